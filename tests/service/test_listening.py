"""Where a server listens: beyond this machine only with a key and TLS, unless it is told otherwise in so many words."""

import argparse
import logging
import os
import subprocess
from pathlib import Path

import pytest

from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.service.listening import KEY_VARIABLE, Listening, add_options, parse_listening
from tests.certificates import make_certificate

KEY = "a-key-of-24-hex-digits-or-so"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"), "IP:127.0.0.1")
    return str(certificate), str(key)


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "admin.key"
    path.touch(mode=0o600)
    path.write_text(f"{KEY}\n")
    return path


def listening(*arguments: str, **environment: str) -> Listening:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return parse_listening(parser.parse_args(list(arguments)), environment)


def refusal(*arguments: str, **environment: str) -> str:
    """One line that does not tell a key."""
    with pytest.raises(InvalidInput) as refused:
        listening(*arguments, **environment)
    assert "\n" not in refused.value.message
    assert all(secret not in refused.value.message for secret in environment.values() if secret)
    return refused.value.message


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_on_loopback_everything_is_open(host: str) -> None:
    assert listening("--host", host).is_open


def test_unless_there_is_a_key(key_file: Path) -> None:
    assert not listening("--admin-key-file", str(key_file)).is_open
    assert listening("--admin-key-file", str(key_file)).key == KEY
    assert listening(**{KEY_VARIABLE: f"{KEY}\n"}).key == KEY


def test_beyond_this_machine_it_takes_a_key_and_tls(key_file: Path, tls: tuple[str, str]) -> None:
    asked = ("--host", "0.0.0.0", "--public-name", "music.ward.example")
    key, secured = ("--admin-key-file", str(key_file)), ("--tls-cert", tls[0], "--tls-key", tls[1])
    assert "--admin-key-file" in refusal(*asked)
    assert "--admin-key-file" in refusal(*asked, *secured)
    assert "--tls-cert" in refusal(*asked, *key)
    found = listening(*asked, *key, *secured)
    assert (found.host, found.is_open, found.tls is None) == ("0.0.0.0", False, False)
    assert found.url(8765) == "https://music.ward.example:8765/"


def test_a_public_name_takes_a_key_even_on_loopback(key_file: Path) -> None:
    asked = ("--public-name", "music.ward.example")
    assert "--admin-key-file" in refusal(*asked)
    assert listening(*asked, "--admin-key-file", str(key_file)).names == ("music.ward.example",)  # behind a proxy


def test_insecure_says_loudly_what_it_means(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = listening("--host", "192.0.2.1", "--insecure")
    assert not found.is_open  # those who come need a token all the same
    assert "WITHOUT TLS" in caplog.text


def test_it_is_called_by_its_address_where_that_is_one(key_file: Path, tls: tuple[str, str]) -> None:
    secured = ("--admin-key-file", str(key_file), "--tls-cert", tls[0], "--tls-key", tls[1])
    assert listening("--host", "192.0.2.7", *secured).names == ("192.0.2.7",)
    assert listening("--host", "2001:db8::7", *secured).url(443) == "https://[2001:db8::7]:443/"
    assert "--public-name" in refusal("--host", "0.0.0.0", *secured)
    assert "--public-name" in refusal("--host", "::", *secured)


@pytest.mark.parametrize("name", ["MUSIC.ward.example", "music", "10.0.0.5", "[2001:db8::5]", "a" * 63 + ".example"])
def test_names(name: str, key_file: Path) -> None:
    assert listening("--public-name", name, "--admin-key-file", str(key_file)).names == (name.lower(),)


@pytest.mark.parametrize(
    "name", ["", "https://music.example", "music.example:443", "*", "a..b", "-a", "ü.example", "a b"]
)
def test_no_names(name: str, key_file: Path) -> None:
    assert "--public-name" in refusal(f"--public-name={name}", "--admin-key-file", str(key_file))


@pytest.mark.parametrize("host", ["", "no such host", "a" * 300, "http://localhost", "127.0.0.1:8765"])
def test_no_addresses(host: str) -> None:
    assert "--host" in refusal("--host", host)


@pytest.mark.parametrize("port", ["-1", "65536", "1e3", "٣", "9" * 5000])
def test_no_ports(port: str) -> None:
    assert "--port" in refusal(f"--port={port}")


@pytest.mark.parametrize("key", ["", "short", "with spaces in between it", "ü" * 20, "k" * 5000])
def test_keys_that_are_none(key: str, tmp_path: Path) -> None:
    path = tmp_path / "admin.key"
    path.touch(mode=0o600)
    path.write_text(key)
    assert "16 to 256" in refusal("--admin-key-file", str(path))
    assert KEY_VARIABLE in refusal(**{KEY_VARIABLE: key})


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_a_key_that_everybody_can_read_is_refused(key_file: Path) -> None:
    key_file.chmod(0o644)
    assert "chmod 600" in refusal("--admin-key-file", str(key_file))


def test_a_key_file_that_is_not_there(tmp_path: Path) -> None:
    assert "No such file" in refusal("--admin-key-file", str(tmp_path / "none"))
    tmp_path.chmod(0o700)
    assert "directory" in refusal("--admin-key-file", str(tmp_path))


def test_certificates_that_are_none(tmp_path: Path, tls: tuple[str, str]) -> None:
    other = make_certificate(tmp_path, "DNS:localhost")
    encrypted = tmp_path / "encrypted.pem"
    lock: list[str | Path] = [
        "openssl",
        "pkcs8",
        "-topk8",
        "-in",
        other[1],
        "-out",
        encrypted,
        "-passout",
        "pass:secret",
    ]
    subprocess.run(lock, check=True, capture_output=True)
    assert "both" in refusal("--tls-cert", tls[0])
    assert "both" in refusal("--tls-key", tls[1])
    assert "cannot be read" in refusal("--tls-cert", "none.pem", "--tls-key", tls[1])
    for certificate, key in ((tls[0], other[1]), (tls[1], tls[0]), (tls[0], tls[0]), (other[0], encrypted)):
        assert "its own key" in refusal("--tls-cert", str(certificate), "--tls-key", str(key))


def test_an_address_that_cannot_be_had() -> None:
    with pytest.raises(CannotServe, match=r"192\.0\.2\.1, port 8765"):
        Listening("192.0.2.1").bind()


def test_a_key_is_never_shown() -> None:
    assert KEY not in repr(Listening(key=KEY))
