"""The address of an MQTT broker, as `--mqtt` takes it: the same as the server's."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from clients.wearable.errors import Refused, sentence

PASSWORD = "MUSICMED_MQTT_PASSWORD"
PORTS = {"mqtt": 1883, "mqtts": 8883}
VERSIONS = ("5", "3.1.1")
FORM = "mqtt://user@host:1883 or mqtts://user@host:8883, with ?version=3.1.1 or ?ca=FILE where needed"


@dataclass(frozen=True)
class Broker:
    """Where a broker is and how it wants to be spoken to; `tls` is None where it is not encrypted."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    version: str = "5"
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """For the display."""
        return f"{self.host}:{self.port}"


def parse_broker(text: str, environment: Mapping[str, str]) -> Broker:
    """A broker from its address; a password that it lacks is the environment's, where no list of processes shows it.

    Raises `Refused`, which never names the password.
    """
    try:
        parts = urlsplit(text)
        port = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:  # UnicodeError, of a label that is empty or too long, is one
        raise Refused(f"--mqtt: no valid host and port; give {FORM}") from None
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise Refused(f"--mqtt: not the address of a broker; give {FORM}")
    options = _options(parts.query)
    user = unquote(parts.username) if parts.username else None
    password = environment.get(PASSWORD) if parts.password is None else unquote(parts.password)
    if "ca" in options and parts.scheme != "mqtts":
        raise Refused(f"--mqtt: ca is for mqtts://; give {FORM}")
    tls = _tls(options.get("ca")) if parts.scheme == "mqtts" else None
    version = options.get("version", VERSIONS[0])
    return Broker(parts.hostname, port or PORTS[parts.scheme], user, password, version, tls)


def _options(query: str) -> dict[str, str]:
    given = {key: values[-1] for key, values in parse_qs(query, keep_blank_values=True).items()}
    for key in given:
        if key not in ("version", "ca"):
            raise Refused(f"--mqtt: unknown option {key!r}; give {FORM}")
    if given.get("version", VERSIONS[0]) not in VERSIONS:
        raise Refused(f"--mqtt: version {given['version']!r} is none of {', '.join(VERSIONS)}")
    return given


def _tls(ca: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ValueError) as fault:  # ValueError: a path with a NUL in it
        raise Refused(f"--mqtt: the certificates in {ca!r} cannot be read: {sentence(fault)}") from None
