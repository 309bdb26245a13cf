"""A mosquitto of our own."""

import os
from pathlib import Path

import pytest

from musicmed_live.errors import CannotServe
from musicmed_live.service import broker
from musicmed_live.service.broker import Broker, own_broker
from musicmed_live.service.mqtt_address import parse_address
from tests.mosquitto import watching


async def test_it_is_there_for_as_long_as_it_is_needed() -> None:
    with own_broker() as address:
        async with watching(parse_address(address).port, "greeting") as watcher:
            await watcher.say("greeting", "hello")
            await watcher.until(lambda: watcher.latest.get("greeting") == b"hello")


def test_it_is_ended_and_nothing_else(tmp_path: Path) -> None:
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
    mine, other = Broker(tmp_path / "mine"), Broker(tmp_path / "other")
    mine.start()
    other.start()
    pid = mine.pid
    mine.stop()
    mine.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    os.kill(other.pid, 0)
    other.stop()


def test_a_signal_to_our_group_does_not_reach_it(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    broker.start()
    assert os.getpgid(broker.pid) != os.getpgid(0)
    assert os.getsid(broker.pid) != os.getsid(0)
    broker.stop()


def test_a_configuration_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="mosquitto does not start on port"):
        Broker(tmp_path, ["nonsense 1"]).start()


def test_a_machine_without_one_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(broker, "PLACES", ())
    with pytest.raises(CannotServe, match=r"apt install mosquitto.*--mqtt mqtt://"), own_broker():
        pass
