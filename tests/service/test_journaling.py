"""What goes into the journal: everything that happens to a session, by whom, and what was heard of it."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.estimate import Estimate
from musicmed_live.core.events import Event, Goal, Obey, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, frames_of
from musicmed_live.core.judgement import Judgement, Reason
from musicmed_live.core.messages import judgement_object
from musicmed_live.core.plan import Plan
from musicmed_live.core.readings import HeartRate
from musicmed_live.core.session import Session
from musicmed_live.core.timeline import Description
from musicmed_live.errors import IllegalTransition
from musicmed_live.journal.entries import Checkpoint, Entry, Kind
from musicmed_live.journal.store import Journal
from musicmed_live.service import scribe
from musicmed_live.service.generators import Choice
from musicmed_live.service.journaling import LOOK_SECONDS, Journaling, keeping
from musicmed_live.service.scribe import DESCRIBED_FRAMES, SUMMARY_SECONDS
from tests.service.stage import ANXIOUS, CALM, JOYFUL, Stage, ToneGenerator, ToneVoice, stage

HEARD = Judgement(Emotion(0.1, 0.2), 0.3, 0.25, (Reason("tempo", "arousal", 0.3),))
WELL: dict[str, Any] = {"writing": True, "reason": None, "waiting": 0, "lost": 0}


class Kept(list[Entry]):
    """The entries of a session so far, and its checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.checkpoints: list[Checkpoint] = []

    def bodies(self, kind: Kind) -> list[dict[str, Any]]:
        """What was kept of that kind."""
        return [dict(entry.body) for entry in self if entry.kind is kind]

    def of(self, kind: Kind) -> list[Entry]:
        """The entries of that kind."""
        return [entry for entry in self if entry.kind is kind]

    def put(self, entry: Entry) -> bool:
        """Keep it."""
        self.append(entry)
        return True

    def keep(self, checkpoint: Checkpoint) -> None:
        """Keep it, too."""
        self.checkpoints.append(checkpoint)

    def when_written(self, then: Callable[[], None]) -> None:
        """It is."""
        then()

    def health(self) -> dict[str, Any]:
        """All is well."""
        return WELL


def kept(stage: Stage, start: Emotion | None = ANXIOUS, frames: int | None = None) -> AbstractContextManager[Kept]:
    """What is kept of the session on that stage, which ends as a server that is closed."""
    return watched(stage, lambda keeper: keeper.begin(stage.live, Plan(start, CALM, frames, 1)))


@contextmanager
def watched(stage: Stage, begin: Callable[[Journaling], None]) -> Iterator[Kept]:
    entries = Kept()
    keeper = Journaling(Choice(), Journal("sqlite:////never-opened"), entries, "ward7:8765")
    with pytest.MonkeyPatch.context() as patch:
        clock = stage.clock.monotonic
        patch.setattr(scribe, "time", SimpleNamespace(monotonic=clock, time=clock))
        begin(keeper)
        running = stage._loop.create_task(keeper.watch(stage.live))
        try:
            yield entries
        finally:
            running.cancel()
            stage._loop.run_until_complete(asyncio.wait({running}))
            keeper.end(stage.live, "server_closed")


def do(stage: Stage, event: Event, by: str) -> None:
    """Have somebody do something."""

    async def happen() -> None:
        stage.live.handle(event, by)

    stage._loop.run_until_complete(happen())


def start(stage: Stage) -> None:
    """Play, and hear something."""
    do(stage, Play(), "patient")
    stage.until(lambda: stage.live.heard > frames_of(0.5))


def wear(stage: Stage, bpm: float, seconds: int) -> None:
    """Wear a strap that beats so."""

    async def beat() -> None:
        for number in range(seconds):
            at, rr_ms = stage.clock.now, (60_000 / bpm + number % 5,)
            stage.live.sense(HeartRate(at, bpm, rr_ms, True))
            await asyncio.sleep(1)

    stage._loop.run_until_complete(beat())


def test_the_first_entry_says_what_was_planned_and_what_makes_it() -> None:
    with stage(start=ANXIOUS) as on, kept(on) as entries:
        first = entries[0]
        assert (first.kind, first.position, first.session) == (Kind.OPENED, 0, "s")
        assert first.body["patient"] == "anna"
        assert first.body["start"] == {"valence": -0.6, "arousal": 0.6}
        assert (first.body["seed"], first.body["frames"]) == (1, None)
        assert set(first.body["rules"]) == {"step", "hold_frames", "shape", "patience", "tolerance"}
        assert first.body["generator"] == {"name": "composer", "model": None, "adapters": []}
        assert {"musicmed-live", "python", "numpy"} <= set(first.body["versions"])


def test_everything_that_is_done_is_kept_with_who_did_it() -> None:
    with stage() as on, kept(on) as entries:
        start(on)
        do(on, Report(JOYFUL), "patient")
        do(on, Goal(CALM), "therapist")
        do(on, Obey({"step": 0.1}), "therapist")
        do(on, TooMuch(), "patient")
        do(on, Play(), "mqtt")
        do(on, Pause(), "therapist")
        do(on, Stop(), "api")
        assert entries.bodies(Kind.EVENT) == [
            {"event": "play", "by": "patient"},
            {"event": "report", "by": "patient", "valence": 0.7, "arousal": 0.7},
            {"event": "goal", "by": "therapist", "valence": 0.6, "arousal": -0.4},
            {"event": "rules", "by": "therapist", "step": 0.1},
            {"event": "too_much", "by": "patient"},
            {"event": "play", "by": "mqtt"},
            {"event": "pause", "by": "therapist"},
            {"event": "stop", "by": "api"},
        ]


def test_what_a_session_refuses_has_not_happened() -> None:
    with stage() as on, kept(on) as entries:
        do(on, Stop(), "patient")
        with pytest.raises(IllegalTransition):
            do(on, Report(JOYFUL), "patient")
        assert entries.bodies(Kind.EVENT) == [{"event": "stop", "by": "patient"}]


def test_a_decision_is_kept_at_once_with_its_path_and_its_reason_and_only_when_it_changes() -> None:
    with stage() as on, kept(on) as entries:
        start(on)
        on.wait(2)
        before = len(entries.of(Kind.DECISION))
        do(on, Report(JOYFUL), "patient")
        assert [entry.kind for entry in entries[-1:]] == [Kind.DECISION]
        decided = entries.bodies(Kind.DECISION)[-1]
        assert decided["phase"] == "matching"
        assert decided["why"] == str(on.live.session.decision.why)
        assert [corner["position"] for corner in decided["path"]] == sorted(c["position"] for c in decided["path"])
        on.wait(3)
        assert len(entries.of(Kind.DECISION)) == before + 1
        do(on, Pause(), "patient")
        assert entries.bodies(Kind.DECISION)[-1] | {"path": []} == {
            "phase": "paused",
            "stance": "match",
            "why": "Paused",
            "path": [],
        }


def test_a_way_that_changes_for_the_same_reason_is_a_new_decision() -> None:
    with stage() as on, kept(on) as entries:
        start(on)
        before = entries.bodies(Kind.DECISION)[-1]
        do(on, Obey({"step": 0.05}), "therapist")
        after = entries.bodies(Kind.DECISION)[-1]
        assert (after["phase"], after["why"]) == (before["phase"], before["why"])
        assert after["path"] != before["path"]


def test_a_clip_is_kept_when_it_begins_to_be_heard_and_not_before() -> None:
    with stage() as on, kept(on) as entries:
        on.wait(5)
        assert on.live.timeline.clips
        assert not entries.of(Kind.CLIP)
        start(on)
        first = entries.of(Kind.CLIP)[0]
        assert (first.position, first.body["frames"]) == (0, 30 * SAMPLE_RATE)
        assert first.body["from"] == first.body["to"] == {"valence": -0.6, "arousal": 0.6}
        assert (first.body["generator"], first.body["key"], first.body["tempo_bpm"]) == ("composer", "C ionian", 120.0)
        assert first.body["instruments"] == ["piano"]
        on.wait(65)
        clips = entries.of(Kind.CLIP)
        assert [clip.position for clip in clips] == [0, 30 * SAMPLE_RATE, 60 * SAMPLE_RATE]
        for clip in clips[1:]:
            assert clip.at - first.at == pytest.approx(clip.position / SAMPLE_RATE, abs=2 * LOOK_SECONDS)


UNKNOWN = Description(None, None, None, ())


def test_a_clip_waits_until_it_is_known_what_plays() -> None:
    with stage() as on, kept(on) as entries, pytest.MonkeyPatch.context() as patch:
        patch.setattr(on.live.timeline, "describe", lambda clip: UNKNOWN)
        start(on)
        on.until(lambda: on.live.heard > frames_of(2))
        assert not entries.of(Kind.CLIP)
        patch.undo()
        on.wait(2 * LOOK_SECONDS)
        assert [clip.body["instruments"] for clip in entries.of(Kind.CLIP)] == [["piano"]]


@pytest.mark.parametrize("is_ended", [False, True])
def test_a_clip_of_which_nothing_becomes_known_is_kept_all_the_same(is_ended: bool) -> None:
    with stage() as on, pytest.MonkeyPatch.context() as patch:
        patch.setattr(on.live.timeline, "describe", lambda clip: UNKNOWN)
        with kept(on) as entries:
            start(on)
            if not is_ended:
                on.until(lambda: on.live.heard > DESCRIBED_FRAMES + frames_of(2 * LOOK_SECONDS))
                assert len(entries.of(Kind.CLIP)) == 1
        assert [(clip.position, clip.body["key"]) for clip in entries.of(Kind.CLIP)] == [(0, None)]


class Entering(ToneVoice):
    """A flute joins in after five seconds."""

    def _blocks(self, request: ClipRequest, clip: int) -> Iterator[Block]:
        for block in super()._blocks(request, clip):
            joined = block.position >= request.position + frames_of(5)
            yield replace(block, instruments=("flute", "piano") if joined else block.instruments)


class OfEntering(ToneGenerator):
    """Opens such voices."""

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> ToneVoice:
        return Entering(seed, position, memory)


def of_entering(stage: Stage) -> None:
    stage.worker.generator = OfEntering()


def test_what_joins_in_later_is_told_of_when_its_clip_is_over() -> None:
    with stage() as on, kept(on) as entries:
        of_entering(on)
        on.worker.delay = 0.4  # for half a second of music
        start(on)
        on.until(lambda: len(entries.of(Kind.CLIP)) == 2)
        assert entries.bodies(Kind.CLIP)[0]["instruments"] == ["piano"]
        over = entries.of(Kind.PLAYED)
        assert [(entry.position, entry.body) for entry in over] == [
            (0, {"known_from": 0, "key": "C ionian", "tempo_bpm": 120.0, "instruments": ["flute", "piano"]})
        ]


def test_what_was_composed_ahead_and_never_heard_is_not_told_of_then() -> None:
    with stage() as on:
        with kept(on) as entries:
            of_entering(on)
            on.until(lambda: on.runway > 7)
            start(on)
            on.wait(2)
            do(on, Pause(), "patient")
            on.wait(1)
            assert not entries.of(Kind.PLAYED), "a pause ends no clip"
            do(on, Play(), "patient")
            do(on, Report(JOYFUL), "patient")
            on.until(lambda: len(entries.of(Kind.CLIP)) == 2)
        assert entries.bodies(Kind.CLIP)[0]["instruments"] == ["flute", "piano"]
        assert [entry.body["instruments"] for entry in entries.of(Kind.PLAYED)] == [["piano"], ["piano"]]
        assert [entry.position for entry in entries.of(Kind.PLAYED)] == [e.position for e in entries.of(Kind.CLIP)]


def test_of_a_clip_that_was_taken_up_it_is_told_from_where_on_its_music_is_known() -> None:
    with stage() as on:
        of_entering(on)
        start(on)
        on.until(lambda: on.live.heard > frames_of(14))
        left_at = on.live.heard
        on.die(2.0)
        with watched(on, lambda keeper: keeper.resume(on.live, 2.0, left_at)) as entries:
            on.until(lambda: entries.of(Kind.PLAYED))
        over = entries.of(Kind.PLAYED)[0]
        assert over.position == 0
        assert left_at < over.body["known_from"] < left_at + frames_of(4)


def test_a_clip_that_was_cut_before_it_was_heard_is_not_told_of() -> None:
    with stage() as on, kept(on) as entries:
        start(on)
        for _ in range(5):
            do(on, Report(JOYFUL), "patient")
            do(on, Report(ANXIOUS), "patient")
        on.wait(5)
        told = [clip.position for clip in entries.of(Kind.CLIP)]
        planned = [clip.position for clip in on.live.timeline.clips if clip.position < on.live.heard]
        assert told == planned
        assert {cut.body["reason"] for cut in entries.of(Kind.CUT)} == {"report"}


def die_before_the_second_clip(on: Stage) -> int:
    """The session goes on in the second clip; where it was left."""
    start(on)
    on.until(lambda: on.live.heard > frames_of(29.5))
    left_at = on.live.heard
    on.die(2.0)
    return left_at


def test_a_clip_that_began_while_the_server_was_away_is_told_of_and_none_before_it() -> None:
    with stage() as on:
        left_at = die_before_the_second_clip(on)
        assert on.live.heard > 30 * SAMPLE_RATE
        with watched(on, lambda keeper: keeper.resume(on.live, 2.0, left_at)) as entries:
            on.until(lambda: on.live.playing)
            on.wait(1)
        assert entries[0].kind is Kind.RESUMED
        assert [clip.position for clip in entries.of(Kind.CLIP)] == [30 * SAMPLE_RATE]


def test_nor_is_it_forgotten_where_the_next_server_dies_before_the_music_is_back() -> None:
    with stage() as on:
        left_at = die_before_the_second_clip(on)
        with watched(on, lambda keeper: keeper.resume(on.live, 2.0, left_at)) as entries:
            on.wait(0.0)
        left_at = entries.checkpoints[-1].position
        assert left_at < 30 * SAMPLE_RATE < on.live.heard
        on.die(2.0)
        with watched(on, lambda keeper: keeper.resume(on.live, 2.0, left_at)) as entries:
            on.until(lambda: on.live.playing)
            on.wait(1.5)
        assert [clip.position for clip in entries.of(Kind.CLIP)] == [30 * SAMPLE_RATE]
        assert entries.checkpoints[-1].position > 30 * SAMPLE_RATE


def test_a_clip_has_what_was_heard_in_it_or_a_later_entry_has() -> None:
    with stage() as on, kept(on) as entries:
        on.listener.verdict = lambda _: HEARD
        start(on)
        on.until(lambda: entries.of(Kind.JUDGED))
        on.until(lambda: len(entries.of(Kind.CLIP)) == 3)
        heard = judgement_object(HEARD)
        first, *later = entries.bodies(Kind.CLIP)
        assert first["heard"] is None
        assert [(entry.position, entry.body["heard"]) for entry in entries.of(Kind.JUDGED)] == [(0, heard)]
        assert [clip["heard"] for clip in later] == [heard, heard]


def test_readings_are_summed_up_at_most_every_ten_seconds_and_once_when_they_are_gone() -> None:
    with stage() as on, kept(on) as entries:
        start(on)
        wear(on, 72, 45)
        worn = entries.of(Kind.READING)
        assert 4 <= len(worn) <= 5
        assert all(b.at - a.at >= SUMMARY_SECONDS for a, b in pairwise(worn))
        assert worn[-1].body["kind"] == "heart_rate"
        assert worn[-1].body["heart_rate_bpm"] == pytest.approx(72, abs=1)
        assert worn[-1].body["trust"] > 0.9
        on.wait(60)
        gone = entries.of(Kind.READING)[-1]
        assert (gone.body["trust"], gone.body["heart_rate_bpm"]) == (0, None)
        assert len(entries.of(Kind.READING)) <= len(worn) + 2


def test_estimates_are_kept_at_most_every_ten_seconds() -> None:
    with stage() as on, kept(on) as entries:
        start(on)
        on.wait(35)
        estimates = entries.of(Kind.ESTIMATE)
        assert 3 <= len(estimates) <= 5
        assert all(b.at - a.at >= SUMMARY_SECONDS for a, b in pairwise(estimates))
        assert set(estimates[0].body) == {"valence", "arousal", "valence_sd", "arousal_sd"}


def test_an_estimate_that_stays_the_same_is_kept_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with stage() as on, kept(on) as entries:
        on.wait(1)
        monkeypatch.setattr(Session, "estimate", lambda *_: Estimate(JOYFUL, 0.1, 0.1))
        on.wait(35)
        assert len(entries.of(Kind.ESTIMATE)) == 2


def test_music_that_is_late_is_told_of() -> None:
    with stage() as on, kept(on) as entries:
        start(on)
        on.worker.delay = None  # it never answers
        on.until(lambda: entries.of(Kind.UNDERRUN))
        assert entries.bodies(Kind.UNDERRUN)[0]["times"] >= 1
        on.worker.delay = 0.0
        on.worker.answer()


def test_a_session_that_ends_by_itself_says_so_and_nothing_follows() -> None:
    with stage(frames=frames_of(20)) as on:
        with kept(on, frames=frames_of(20)) as entries:
            start(on)
            on.until(on.live.over.is_set)
        assert entries.bodies(Kind.EVENT)[-1] == {"event": "finished", "by": "server"}
        assert entries[-1].kind is Kind.ENDED
        assert entries[-1].position == frames_of(20)
        assert entries[-1].body == {"reason": "server_closed", "underruns": 0, "bridges": 0}
        count = len(entries)
        with pytest.raises(IllegalTransition):
            do(on, Play(), "patient")
        assert len(entries) == count


def test_without_a_journal_nothing_is_kept() -> None:
    with keeping(Choice(), "none", 365, "here") as keeper:
        assert keeper is None


def test_a_journal_that_cannot_be_had_keeps_nobody_from_playing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with keeping(Choice(), f"sqlite:///{tmp_path}/file/journal.sqlite", 365, "here") as keeper, stage() as on:
        assert keeper is not None
        keeper.begin(on.live, Plan(ANXIOUS, CALM, None, 1))
        start(on)
        deadline = time.monotonic() + 20
        while not keeper.health()["reason"]:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert not keeper.health()["writing"]
        keeper.end(on.live, "ended")
    assert "the music plays" in caplog.text


def test_what_has_begun_here_is_not_taken_up_again_when_the_journal_is_back(tmp_path: Path) -> None:
    with keeping(Choice(), f"sqlite:///{tmp_path}/journal.sqlite", 365, "here") as keeper, stage() as on:
        assert keeper is not None
        keeper.begin(on.live, Plan(ANXIOUS, CALM, None, 1))
        deadline = time.monotonic() + 20
        while not keeper.journal.take_up("here", time.time()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert asyncio.run(keeper.take_up()) == []
        keeper.end(on.live, "ended")
        on.wait(0.1)


EVENTS: tuple[Callable[[], Event], ...] = (Play, Pause, TooMuch, lambda: Report(JOYFUL), lambda: Goal(CALM))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from(EVENTS), st.sampled_from([0.0, 0.03, 1.0, 17.0])), max_size=8))
def test_whatever_happens_the_journal_has_it_in_order_and_as_json(
    course: list[tuple[Callable[[], Event], float]],
) -> None:
    with stage() as on:
        with kept(on) as entries:
            start(on)
            for event, seconds in course:
                do(on, event(), "patient")
                on.wait(seconds)
        assert len(entries.of(Kind.EVENT)) == 1 + len(course)
        assert (entries[0].kind, entries[-1].kind) == (Kind.OPENED, Kind.ENDED)
        assert [entry.at for entry in entries] == sorted(entry.at for entry in entries)
        clips = entries.of(Kind.CLIP)
        assert all(a.position < b.position for a, b in pairwise(clips))
        assert all(entry.position >= 0 for entry in entries)
        assert all(json.loads(json.dumps(entry.body)) == entry.body for entry in entries[1:])
