"""The generators of a house: which are there, how fast they are, and what becomes of one that fails."""

import asyncio
import os
from collections.abc import Iterator
from functools import partial

import pytest

from musicmed_live.core.generator import Pace
from musicmed_live.errors import GeneratorFailed, MusicmedError
from musicmed_live.service import sources as module
from musicmed_live.service import workers
from musicmed_live.service.answering import Prepare
from musicmed_live.service.generators import Choice
from musicmed_live.service.sources import Source, Sources, open_sources
from musicmed_live.service.voices import Measured
from musicmed_live.service.workers import Workers
from tests.service.stage import Listener


class Loading(Workers):
    """Workers that are as fast as they are told to be, or fail, each time they are loaded."""

    def __init__(self, *outcomes: Measured | MusicmedError) -> None:
        self._outcomes = list(outcomes)
        self.died = asyncio.Event()

    async def warm_up(self) -> list[Measured]:
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, MusicmedError):
            raise outcome
        return [outcome]

    async def lose_one(self) -> None:
        await self.died.wait()
        self.died.clear()


def source(*outcomes: Measured | MusicmedError) -> Source:
    return Source(Choice("musicgen"), Loading(*outcomes))


FAST = Measured(Pace(3.0, 0.1), 4, 0)  # time for two


async def test_a_source_says_why_it_cannot_be_had() -> None:
    one = source(FAST)
    said = [one.absence]
    await one.warm_up()
    said.append(one.absence)
    assert said == ["MusicGen is still loading", None]
    one.held = 2
    assert one.absence == "MusicGen plays in as many other sessions as it keeps up with (2)"
    slow = source(Measured(Pace(0.74, 0.1), 1, 0))
    await slow.warm_up()
    assert slow.absence == "MusicGen makes 0.74 s of music in a second on this machine; it needs 1.1"


async def test_the_more_voices_share_a_source_the_earlier_it_needs_to_know() -> None:
    one, composer = source(Measured(Pace(4.0, 0.1), 3, 0)), Source(Choice(), Loading())
    await one.warm_up()
    both = Sources(one, composer, Listener())
    margins = []
    for one.held in (1, 2, 3):
        assert both.floor_frames(one) < both.enough_frames(one)
        margins.append(both.margin_frames(one))
    assert margins == sorted(margins)
    assert both.margin_frames(composer) < margins[0]


async def test_one_that_stops_is_loaded_again_until_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    loading = Loading(FAST, GeneratorFailed("no GPU is there"), FAST)
    one = Source(Choice("musicgen"), loading)
    await one.warm_up()
    caring = asyncio.create_task(one.stay_ready())
    await asyncio.sleep(0.0)
    assert one.loaded
    loading.died.set()
    await asyncio.sleep(0.02)
    assert one.absence == "MusicGen cannot work any more: no GPU is there"
    await asyncio.sleep(0.2)
    assert one.absence is None
    caring.cancel()


async def test_one_that_was_too_slow_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.01)
    slow = Measured(Pace(0.9, 0.1), 1, 0)
    one = source(slow, slow, FAST)
    await one.warm_up()
    caring = asyncio.create_task(one.stay_ready())
    await asyncio.sleep(0.2)
    assert one.absence is None
    caring.cancel()


async def test_one_that_cannot_be_loaded_at_first_says_so_to_whoever_started_it() -> None:
    with pytest.raises(GeneratorFailed, match="no weights"):
        await Sources(source(GeneratorFailed("no weights")), source(FAST), Listener()).warm_up()


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, int]]]:
    """The generators' processes that would be started, on a machine of eight cores."""
    started: list[tuple[str, int]] = []

    def start(prepare: Prepare) -> None:
        if isinstance(prepare, partial):
            choice, count = prepare.args
            started.append((choice.name, count))

    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(workers, "_Process", start)
    yield started


def test_musicgen_has_one_process_and_the_composer_half_of_the_cores_beside_it(counted: list[tuple[str, int]]) -> None:
    both = open_sources(Choice("musicgen", "somewhere"))
    assert both.differ
    assert counted == [("composer", 4)] * 4 + [("musicgen", 1)]


def test_the_composer_alone_has_a_process_for_each_core(counted: list[tuple[str, int]]) -> None:
    assert not open_sources(Choice()).differ
    assert counted == [("composer", 8)] * 8
