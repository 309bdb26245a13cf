"""`musicmed-live access`: tokens given out and taken back on the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from musicmed_live.cli import main
from musicmed_live.errors import InvalidInput
from musicmed_live.service.access import Access, StaffRole, kept_secret, secret_path


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    yield


def granted(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    main(["access", "grant", *arguments])
    return capsys.readouterr().out.strip()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("role", StaffRole)
def test_a_token_is_printed_and_is_good(capsys: pytest.CaptureFixture[str], role: StaffRole) -> None:
    token = granted(capsys, "--role", role, "--name", "Dr. Öz", "--days", "2")
    grant = Access(kept_secret(secret_path())).check(token)
    assert (grant.role, grant.session, grant.name) == (role, None, "Dr. Öz")


def test_all_are_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    token = granted(capsys, "--role", "nurse", "--name", "Ada")
    main(["access", "revoke", "--all"])
    with pytest.raises(InvalidInput):
        Access(kept_secret(secret_path())).check(token)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("grant", "--role", "patient", "--name", "Ada"), "patient"),
        (("grant", "--role", "nurse", "--name", " "), "name"),
        (("grant", "--role", "nurse", "--name", "a\nb"), "one line"),
        (("grant", "--role", "nurse"), "--name"),
        (("grant", "--role", "nurse", "--name", "Ada", "--days", "0"), "--days"),
        (("grant", "--role", "nurse", "--name", "Ada", "--days", "9" * 30), "--days"),
        (("revoke",), "--all"),
        ((), "ACTION"),
    ],
)
def test_what_cannot_be_granted(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], named: str) -> None:
    assert named in refused(capsys, "access", *arguments)


def test_a_server_that_others_could_reach_does_not_start(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("serve", "play"):
        assert "--admin-key-file" in refused(capsys, command, "--host", "192.0.2.1")


def test_a_damaged_secret_keeps_a_server_from_starting(capsys: pytest.CaptureFixture[str]) -> None:
    kept_secret(secret_path())
    secret_path().write_text("damaged")
    assert "access revoke --all" in refused(capsys, "serve", "--port", "0", "--journal", "none")
    assert secret_path().read_text() == "damaged"
