"""Where the MQTT broker is, and how to enter: `mqtt://user@host:1883`, `mqtts://host:8883?ca=FILE`."""

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from aiomqtt import ProtocolVersion

from musicmed_live.errors import InvalidInput

PASSWORD_VARIABLE = "MUSICMED_MQTT_PASSWORD"
PORTS = {"mqtt": 1883, "mqtts": 8883}
VERSIONS = {"5": ProtocolVersion.V5, "3.1.1": ProtocolVersion.V311}
ACCEPTED = "mqtt://user@host:1883 or mqtts://user@host:8883, with ?version=3.1.1 or ?ca=FILE where that is needed"


@dataclass(frozen=True, slots=True)
class Address:
    """A broker. As text it has neither user nor password."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    version: ProtocolVersion = ProtocolVersion.V5

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}"


def parse_address(text: str, environment: Mapping[str, str] = os.environ) -> Address:
    """The address that a person typed; a password that it lacks is taken from `MUSICMED_MQTT_PASSWORD`.

    Raises `InvalidInput`, whose message has the address without its password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        (parts.hostname or "").encode("idna")  # as it is going to be looked up
    except ValueError:  # UnicodeError is one
        raise _refusal(text, "the host or the port cannot be read") from None
    if parts.scheme not in PORTS or not parts.hostname:
        raise _refusal(text, "no address of a broker")
    if parts.path.strip("/") or parts.fragment:
        raise _refusal(text, "nothing may follow the port but ?version= and ?ca=")
    version, authority = _parse_options(parts, text)
    return Address(
        host=parts.hostname,
        port=port or PORTS[parts.scheme],
        user=None if parts.username is None else unquote(parts.username),
        password=environment.get(PASSWORD_VARIABLE) if parts.password is None else unquote(parts.password),
        tls=_tls(authority, text) if parts.scheme == "mqtts" else None,
        version=version,
    )


def _parse_options(parts: SplitResult, text: str) -> tuple[ProtocolVersion, str | None]:
    """The protocol's version, and the file of the authority that has signed the broker's certificate."""
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    version, authority = options.pop("version", "5"), options.pop("ca", None)
    if options:
        raise _refusal(text, "an unknown option")
    if version not in VERSIONS:
        raise _refusal(text, f"the version is none of {', '.join(VERSIONS)}")
    if authority is not None and parts.scheme != "mqtts":
        raise _refusal(text, "ca is for mqtts://")
    return VERSIONS[version], authority


def _tls(authority: str | None, text: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except (OSError, ValueError) as fault:  # a path with a NUL in it; ssl.SSLError, of no certificate, is an OSError
        raise _refusal(text, f"the ca file cannot be used: {getattr(fault, 'strerror', None) or fault}") from None


def _refusal(text: str, what: str) -> InvalidInput:
    """Everything before the last @ may be a password, and so may what stands where a port should be."""
    public = re.sub(r"^(\w+://)?.*@", r"\1", text).partition("?")[0]
    public = re.sub(r":(?!//|\d+/?$).*$", ":...", public)
    return InvalidInput(f"--mqtt: {public[:60]!r}: {what}; accepted: {ACCEPTED}", "mqtt")
