"""Where a server listens, by which names it is called, and what protects it: nobody is let in by accident."""

import argparse
import ipaddress
import logging
import os
import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.service.access import check_key

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8765
KEY_VARIABLE = "MUSICMED_ADMIN_KEY"
KEY_FILE_LIMIT = 4096  # bytes
PLAIN = "WITHOUT TLS, WHOEVER IS ON THE NETWORK CAN READ AND CHANGE EVERYTHING THAT IS SENT, MOODS AND TOKENS INCLUDED"

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True)
class Listening:
    """An address of this machine, and what protects it."""

    host: str = LOOPBACK  # an IP address
    port: int = DEFAULT_PORT  # 0: any that is free
    names: tuple[str, ...] = ()  # as a `Host` header has them, beside loopback's
    key: str | None = field(default=None, repr=False)  # the administrator's
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @property
    def is_open(self) -> bool:
        """Whether everybody who can reach it may do everything."""
        return self.key is None and not self.names and _is_loopback(self.host)

    def url(self, port: int) -> str:
        """How it is called, with a closing slash."""
        return f"http{'s' if self.tls else ''}://{self.names[0] if self.names else _in_url(self.host)}:{port}/"

    def bind(self) -> socket.socket:
        """A socket there, which does not listen yet. Raises `CannotServe` where it cannot be had."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self.port))
        except OSError as fault:
            listener.close()
            where = f"port {self.port}" if self.host == LOOPBACK else f"{self.host}, port {self.port}"
            raise CannotServe(f"{where}: {fault.strerror}; choose another one with --port") from None
        return listener


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where a server listens, and what protects it."""
    parser.add_argument("--port", metavar="N", default=str(DEFAULT_PORT), help=f"to listen on; default: {DEFAULT_PORT}")
    parser.add_argument(
        "--host", metavar="ADDRESS", default=LOOPBACK, help=f"to listen on; default: {LOOPBACK}, this machine alone"
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate, and those up to its root; PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="the certificate's key; PEM")
    parser.add_argument(
        "--admin-key-file",
        type=Path,
        metavar="FILE",
        help=f"the administrator's key, with which everybody needs a token; or in the environment as {KEY_VARIABLE}",
    )
    parser.add_argument(
        "--public-name",
        metavar="NAME",
        action="append",
        default=[],
        help="by which this server is called beside localhost; may be given several times",
    )
    parser.add_argument(
        "--insecure", action="store_true", help="listen beyond this machine without TLS or without a key all the same"
    )


def parse_listening(options: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Listening:
    """What the options of `add_options` ask for.

    Raises `InvalidInput` where one cannot be used, or where others could come in that nobody has asked in.
    """
    host = _address(options.host)
    listening = Listening(
        host,
        parse_port(options.port),
        _names(options.host, host, options.public_name),
        _key(options.admin_key_file, environment),
        _tls(options.tls_cert, options.tls_key),
    )
    if not options.insecure:
        _check(listening)
    elif not _is_loopback(host) and listening.tls is None:
        log.warning("%s", PLAIN)
    return listening


def parse_port(text: str) -> int:
    """A port as it was typed. Raises `InvalidInput`."""
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:
        raise InvalidInput(f"--port: {text!r} is not a port number from 0 to 65535 (0: any free one)", "port")
    return int(text)


def _check(listening: Listening) -> None:
    """Refuse what lets others in, or lets them read what is sent. Raises `InvalidInput`."""
    if listening.is_open:
        return
    beyond = not _is_loopback(listening.host)
    whom = f"--host {listening.host}" if beyond else f"--public-name {listening.names[0]}" if listening.names else ""
    if listening.key is None:
        raise InvalidInput(
            f"{whom}: others can reach that; keep them out with a key (openssl rand -hex 24 > admin.key; chmod 600 "
            "admin.key) and --admin-key-file admin.key, or say --insecure",
            "admin_key_file",
        )
    if beyond and listening.tls is None:
        raise InvalidInput(
            f"{whom}: others on the network could read what is sent; give --tls-cert and --tls-key "
            "(docs/access.md says how to come by them), or say --insecure",
            "tls_cert",
        )


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host).is_loopback


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _address(host: str) -> str:
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError):  # UnicodeError: of a label that is too long
        raise InvalidInput(f"--host: {host[:60]!r} is not an address of this machine", "host") from None


def _names(asked: str, host: str, public: list[str]) -> tuple[str, ...]:
    """By which it is called: as it was told, or else as its address is written. Loopback's names need no telling."""
    names = tuple(name.lower() for name in public)
    for name in names:
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                f"--public-name: {name[:60]!r} is not a name such as music.ward.example or 10.0.0.5: leave out "
                "https:// and the port",
                "public_name",
            )
    address = ipaddress.ip_address(host)
    if address.is_unspecified and not names:
        raise InvalidInput(f"--host {asked}: say by which name others call this machine: --public-name NAME", "host")
    if not names and not address.is_loopback:
        return (_in_url(host),)
    return names


def _key(path: Path | None, environment: Mapping[str, str]) -> str | None:
    """The administrator's key. Raises `InvalidInput` where it is none; what it is stays untold."""
    if path is None:
        key = environment.get(KEY_VARIABLE)
        return None if key is None else check_key(key.strip(), KEY_VARIABLE)
    try:
        if os.name == "posix" and path.stat().st_mode & 0o007:
            raise InvalidInput(f"--admin-key-file: everybody can read {path}; chmod 600 it", "admin_key_file")
        with path.open("rb") as file:
            content = file.read(KEY_FILE_LIMIT)
    except OSError as fault:
        raise InvalidInput(f"--admin-key-file: {path}: {fault.strerror}", "admin_key_file") from None
    return check_key(content.decode("ascii", "replace").strip(), str(path))


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """TLS 1.2 or newer with that certificate. Raises `InvalidInput`."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise InvalidInput("--tls-cert and --tls-key: give both, or neither", "tls_cert")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    for option, path in (("--tls-cert", certificate), ("--tls-key", key)):
        if not os.access(path, os.R_OK):
            raise InvalidInput(f"{option}: {path} cannot be read", "tls_cert")
    try:
        context.load_cert_chain(certificate, key, password="")  # never ask on the terminal
    except (OSError, ValueError) as fault:  # ssl.SSLError is an OSError
        why = getattr(fault, "reason", None) or fault
        raise InvalidInput(
            f"--tls-cert {certificate}, --tls-key {key}: not a certificate and its own key in PEM, without a "
            f"passphrase ({why})",
            "tls_cert",
        ) from None
    return context
