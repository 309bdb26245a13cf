"""The kiosk's parts, each by itself: the PIN, the settings, headphones, systemd, and what is installed."""

import asyncio
import json
import os
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clients.kiosk
from musicmed_live.errors import InvalidInput, TooManyCalls
from musicmed_live.service import headphones
from musicmed_live.service.headphones import Plug, plug_of
from musicmed_live.service.kiosk_settings import Memory, Settings, Store, settings_object
from musicmed_live.service.pin import FIRST_WAIT_SECONDS, FREE_GUESSES, LONGEST_WAIT_SECONDS, Guesses, Pin
from musicmed_live.service.watchdog import READY, WELL, Supervisor
from tests.service.pactl import CARD, fake_pactl

KIOSK = Path(clients.kiosk.__file__).parent
UNITS = sorted(KIOSK.glob("*.service"))


class Clock:
    """Seconds that pass when they are told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


# The PIN


def test_a_pin_matches_itself_and_nothing_else() -> None:
    pin = Pin.of("1234")
    assert pin.matches("1234")
    assert not any(pin.matches(other) for other in ("1235", "12345", "123", "", "１２３４", "1234\n"))


def test_the_same_pin_is_kept_in_another_way_each_time() -> None:
    assert Pin.of("1234") != Pin.of("1234")


@pytest.mark.parametrize("digits", ["", "123", "123456789", "12a4", "١٢٣٤", "1234\n", "1" * 10_000])
def test_a_pin_is_4_to_8_digits(digits: str) -> None:
    with pytest.raises(InvalidInput, match="4 to 8 digits"):
        Pin.of(digits)


def test_a_few_wrong_pins_cost_nothing_and_further_ones_ever_longer() -> None:
    clock = Clock()
    guesses = Guesses(0, clock)
    for _ in range(FREE_GUESSES):
        guesses.check()
        guesses.count()
    waits = []
    for _ in range(8):
        waits.append(guesses.wait_seconds)
        with pytest.raises(TooManyCalls):
            guesses.check()
        clock.now += guesses.wait_seconds
        guesses.check()
        guesses.count()
    assert waits[:3] == [FIRST_WAIT_SECONDS, 2 * FIRST_WAIT_SECONDS, 4 * FIRST_WAIT_SECONDS]
    assert waits[-1] == LONGEST_WAIT_SECONDS


def test_a_restart_shortens_no_wait_and_the_right_pin_ends_it() -> None:
    clock = Clock()
    again = Guesses(FREE_GUESSES + 1, clock)
    assert again.wait_seconds == 2 * FIRST_WAIT_SECONDS
    again.forgive()
    assert again.wait_seconds == 0


# The settings


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "kiosk" / "kiosk.json")


def test_what_is_kept_comes_back(store: Store) -> None:
    settings = Settings().changed(
        {
            "session": {"goal": "sleepy", "minutes": 30, "control": "pad", "patient": "patient-7", "loudest_dba": 45},
            "output": "pillow",
            "night": {"since": "20:00", "until": "07:00"},
            "brightness": 0.1,
            "language": "de",
            "volume_percent": 60,
        }
    )
    memory = Memory(settings, Pin.of("4711"), 2, "0123")
    store.save(memory)
    assert store.load() == memory


def test_it_is_for_its_owner_alone(store: Store, tmp_path: Path) -> None:
    store.save(Memory())
    assert stat.S_IMODE((tmp_path / "kiosk" / "kiosk.json").stat().st_mode) == 0o600


def test_a_first_start_has_calm_music_and_no_pin(store: Store) -> None:
    memory = store.load()
    assert memory.settings.session == {"goal": "calm", "minutes": 15, "control": "faces"}
    assert memory.pin is None


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"version": 2}',
        b'{"version": 1, "settings": 7}',
        b'{"version": 1, "settings": {"session": {"goal": "grumpy"}}}',
        b'{"version": 1, "pin": {"salt": 1, "digest": "x"}}',
        b'{"version": 1, "pin": "1234"}',
        b'{"version": 1, "wrong_pins": -1}',
        b'{"version": 1, "session": 4}',
        b'{"version": 1, "more": 4}',
    ],
)
def test_a_damaged_file_is_put_aside(store: Store, tmp_path: Path, damaged: bytes) -> None:
    folder = tmp_path / "kiosk"
    folder.mkdir()
    (folder / "kiosk.json").write_bytes(damaged)
    assert store.load() == Memory()
    assert (folder / "kiosk.damaged").read_bytes() == damaged
    assert not (folder / "kiosk.json").exists()


def test_a_file_that_cannot_be_read_keeps_nobody_from_the_music(store: Store, tmp_path: Path) -> None:
    (tmp_path / "kiosk" / "kiosk.json").mkdir(parents=True)
    assert store.load() == Memory()


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        ({"session": "calm"}, "session"),
        ({"session": {}}, "session.goal"),
        ({"session": {"goal": "calm", "minutes": 10_000}}, "session.minutes"),
        ({"session": {"goal": "calm", "patient": "../etc"}}, "session.patient"),
        ({"session": {"goal": "calm", "seed": 1}}, "session.seed"),
        ({"session": {"goal": "calm", "output": "x"}}, "session.output"),
        ({"session": {"goal": "calm", "instruments": {"prefer": ["vuvuzela"]}}}, "session.instruments"),
        ({"output": ""}, "output"),
        ({"output": "x" * 65}, "output"),
        ({"night": {"since": "25:00", "until": "06:00"}}, "night.since"),
        ({"night": {"since": "21:00"}}, "night"),
        ({"night": "always"}, "night"),
        ({"brightness": 0}, "brightness"),
        ({"brightness": True}, "brightness"),
        ({"language": "tlh"}, "language"),
        ({"language": []}, "language"),
        ({"volume_percent": 101}, "volume_percent"),
        ({"volume_percent": 0.5}, "volume_percent"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(wishes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Settings().changed(wishes)
    assert refused.value.field.startswith(field)


def test_settings_go_out_and_in_again() -> None:
    settings = Settings(output="pillow", night=None)
    assert Settings().changed(settings_object(settings)) == settings


def test_a_level_in_dba_holds_on_a_calibrated_output_and_elsewhere_loudness_is_limited() -> None:
    settings = Settings(session={"goal": "calm", "loudest_dba": 45.0}, output="bed 3")
    known, unknown = settings.body("bed 3"), settings.body(None)
    assert (known["output"], known["loudest_dba"]) == ("bed 3", 45.0)
    assert not {"output", "loudest_dba"} & set(unknown)
    assert unknown["loudest_lufs"] == -23


def test_softer_than_the_limit_stays_softer() -> None:
    assert Settings(session={"goal": "calm", "loudest_lufs": -35}).body(None)["loudest_lufs"] == -35


def test_headphones_are_calibrated_under_a_name_of_their_own() -> None:
    settings = Settings(output="bed 3")
    assert settings.output_with(headphones=False) == "bed 3"
    assert settings.output_with(headphones=True) == "bed 3-headphones"


# Headphones

NULL_SINK = {"index": 1, "name": "card", "ports": [], "active_port": None}


def test_headphones_are_found_by_the_port_that_plays() -> None:
    name = str(CARD["name"])
    assert plug_of([NULL_SINK, CARD], name) is Plug.IN
    assert plug_of([{**CARD, "active_port": "analog-output-speaker"}], name) is Plug.OUT


def test_a_card_that_cannot_tell_is_unknown() -> None:
    assert plug_of([NULL_SINK, CARD], "card") is Plug.UNKNOWN
    assert plug_of([CARD], "gone") is Plug.UNKNOWN
    assert plug_of([], "card") is Plug.UNKNOWN


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `fake_pactl` puts its program."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")


async def test_a_plug_that_is_pulled_is_told_as_soon_as_the_sound_server_says_so(tmp_path: Path) -> None:
    pulled = json.dumps([{**CARD, "active_port": "analog-output-speaker"}])
    (tmp_path / "pulled").write_text(pulled)
    fake_pactl(tmp_path, json.dumps([CARD]), "mv pulled sinks; echo \"Event 'change' on sink #0\"; exec sleep 60")
    told: list[Plug] = []
    done = asyncio.Event()

    async def tell(plug: Plug) -> None:
        told.append(plug)
        if len(told) == 2:
            done.set()

    watching = asyncio.create_task(headphones.watch(tell))
    async with asyncio.timeout(10):
        await done.wait()
    watching.cancel()
    await asyncio.wait({watching})
    assert told == [Plug.IN, Plug.OUT]


@pytest.mark.parametrize("listing", ["", "not json", "[7]", "{}", '[{"name": 1}]'])
async def test_a_sound_server_that_is_not_understood_is_unknown(tmp_path: Path, listing: str) -> None:
    fake_pactl(tmp_path, listing, "exit 1")
    assert await headphones.look() is Plug.UNKNOWN


async def test_without_a_sound_server_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert await headphones.look() is Plug.UNKNOWN


# systemd


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """What systemd listens to, and the environment that it starts a service with."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        abstract = request.param == "abstract"
        name = f"musicmed-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        listener.bind(f"\0{name}" if abstract else name)
        listener.setblocking(False)
        yield listener, {"NOTIFY_SOCKET": f"@{name}" if abstract else name, "WATCHDOG_USEC": "40000"}


async def test_systemd_is_told(systemd: tuple[socket.socket, dict[str, str]]) -> None:
    listener, environment = systemd
    Supervisor(environment).tell(READY)
    assert listener.recv(64) == b"READY=1"


async def test_systemd_hears_that_all_is_well_as_long_as_it_is(
    systemd: tuple[socket.socket, dict[str, str]],
) -> None:
    listener, environment = systemd
    faults = iter([None, "the sound card has stopped", None])
    asked = asyncio.Event()

    async def fault(seconds: float) -> str | None:
        assert seconds == 0.01
        try:
            return next(faults)
        except StopIteration:
            asked.set()
            return "over"

    watching = asyncio.create_task(Supervisor(environment).watch(fault))
    async with asyncio.timeout(5):
        await asked.wait()
    watching.cancel()
    await asyncio.wait({watching})
    assert [listener.recv(64) for _ in range(2)] == [WELL.encode()] * 2
    with pytest.raises(BlockingIOError):
        listener.recv(64)


@pytest.mark.parametrize(
    "environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "@"}, {"NOTIFY_SOCKET": "vsock:2:1"}]
)
async def test_without_systemd_nobody_is_told(environment: dict[str, str]) -> None:
    supervisor = Supervisor(environment)
    supervisor.tell(READY)
    assert not supervisor.is_there


async def test_a_watchdog_that_is_meant_for_another_process_is_not_ours() -> None:
    async def never(_seconds: float) -> str | None:
        raise AssertionError

    await Supervisor({"WATCHDOG_USEC": "40000", "WATCHDOG_PID": "1"}).watch(never)
    await Supervisor({"WATCHDOG_USEC": "soon"}).watch(never)


def test_a_systemd_that_is_gone_keeps_nobody_from_playing(tmp_path: Path) -> None:
    Supervisor({"NOTIFY_SOCKET": str(tmp_path / "gone")}).tell(READY)


# What is installed


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is not installed; on Debian: apt-get install systemd", pytrace=False)
    for unit in UNITS:  # with programs that are there
        lines = unit.read_text().splitlines()
        lines = ["ExecStart=/bin/true" if line.startswith("ExecStart=") else line for line in lines]
        (tmp_path / unit.name).write_text("\n".join(lines))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, sorted(tmp_path.iterdir()))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_never_gives_up_and_reaches_no_network(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    assert "Restart=always" in lines
    assert "StartLimitIntervalSec=0" in lines
    assert "IPAddressDeny=any" in lines
    assert not [line for line in lines if "network" in line.lower() and "=" in line]


def test_the_installer_says_what_it_would_do_and_does_nothing() -> None:
    done = subprocess.run(
        ["sh", str(KIOSK / "install"), "--print"], capture_output=True, text=True, timeout=60, check=True
    )
    for file in KIOSK.iterdir():
        if file.name not in ("install", "__init__.py", "__pycache__"):
            assert f"/{file.name}" in done.stdout


def test_the_installer_knows_what_it_does_not_know() -> None:
    done = subprocess.run(["sh", str(KIOSK / "install"), "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--uninstall" in done.stderr
