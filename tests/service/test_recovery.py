"""A session that goes on after its server was killed: where it was, with the same music, and nothing forgotten."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from musicmed_live.core.answers import LANDING_GAIN
from musicmed_live.core.bounds import Region
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import (
    Bound,
    EndGently,
    Event,
    Goal,
    Hold,
    Lead,
    Pause,
    Play,
    Report,
    StepBack,
    TooMuch,
)
from musicmed_live.core.generator import Pace, frames_of
from musicmed_live.core.path import Rules
from musicmed_live.core.phases import Phase
from musicmed_live.core.plan import Plan, PlannedPause
from musicmed_live.core.readings import HeartRate
from musicmed_live.core.snapshot import BUFFERED_SECONDS, START_SECONDS, Snapshot
from musicmed_live.errors import InvalidInput
from tests.service.obedient import Obedient
from tests.service.stage import ANXIOUS, CALM, JOYFUL, FreeGenerator, FreeVoice, Stage, stage

GRID = frames_of(0.1)
ON_A_GPU = Pace(30.0, 0.08)


def play(on: Stage, seconds: float = 20.0) -> None:
    on.do(Play())
    on.until(lambda: on.live.heard > frames_of(seconds))


def level(on: Stage, ahead_seconds: float) -> float:
    return float(on.live.audio(on.live.heard + frames_of(ahead_seconds), frames_of(0.5)).std())


def test_it_goes_on_where_it_was_with_the_same_music() -> None:
    with stage() as on:
        play(on)
        heard = on.live.heard
        before = on.live.audio(heard + frames_of(3), frames_of(2))
        on.die(0.7)
        assert 0 <= heard + frames_of(0.7 + START_SECONDS) - on.live.heard < GRID
        on.until(lambda: on.live.playing, within=1.0)
        after = on.live.audio(heard + frames_of(3), frames_of(2))
        assert np.abs(after - before).max() < 0.02 * np.abs(before).max()  # the slow gain is a little behind
        on.wait(60.0)
        on.check()
        assert on.live.mixer.underruns == 0


def test_one_that_dies_again_before_its_music_is_back_still_goes_on_with_the_same() -> None:
    with stage() as on:
        play(on)
        late = on.live.heard + frames_of(4), frames_of(1)
        before = on.live.audio(*late)
        on.die(0.2)
        on.wait(0.0)
        assert not on.live.timeline.clips
        on.die(0.1)
        on.until(lambda: on.live.playing, within=1.0)
        assert np.abs(on.live.audio(*late) - before).max() < 0.02 * np.abs(before).max()


def test_one_that_dies_again_and_again_before_its_music_is_back_stays_where_it_is() -> None:
    with stage() as on:
        play(on)
        on.die(1.0)
        at = on.live.heard
        for _ in range(5):
            on.wait(0.0)
            on.die(10.0)
            assert on.live.heard == at
        on.until(lambda: on.live.playing, within=1.0)
        on.wait(1.0)
        heard = on.live.heard
        on.die(1.0)
        assert on.live.heard > heard, "and once it plays again, players are ahead of it again"
        on.wait(0.1)


def test_one_that_dies_again_in_the_clip_that_was_taken_up_goes_on_with_the_same() -> None:
    with stage() as on:
        play(on, 8.0)
        late = frames_of(18), frames_of(1)
        on.until(lambda: on.live.timeline.ready_until(on.live.heard) > sum(late))
        before = on.live.timeline.read(*late)
        for _ in range(2):
            on.die(0.2)
            on.until(lambda: on.live.playing, within=1.0)
            on.wait(1.0)
        on.until(lambda: on.live.timeline.ready_until(on.live.heard) > sum(late))
        assert np.abs(on.live.timeline.read(*late) - before).max() < 0.02 * np.abs(before).max()


def test_one_that_had_not_begun_to_sound_when_it_died_begins_at_its_beginning() -> None:
    with stage() as on:
        on.do(Play())
        assert not on.live.playing
        on.die(5.0)
        on.until(lambda: on.live.playing, within=3.0)
        assert on.live.heard < GRID


def test_it_goes_on_no_further_ahead_than_players_had_been_sent_music() -> None:
    with stage() as on:
        play(on)
        heard = on.live.heard
        on.die(300.0)
        assert 0 <= heard + frames_of(BUFFERED_SECONDS) - on.live.heard < GRID
        on.wait(0.1)


def test_it_fades_in() -> None:
    with stage() as on:
        play(on)
        on.die(0.5)
        on.until(lambda: on.live.playing)
        sound = np.abs(on.live.audio(on.live.heard, frames_of(1.0))).max(axis=1)
        assert sound[: frames_of(0.05)].max() < 0.1 * sound.max()
        assert sound[frames_of(0.6) :].max() > 0.9 * sound.max()


def test_one_that_nobody_has_started_waits_as_before() -> None:
    with stage() as on:
        on.until(lambda: on.live.timeline.clips)
        on.die(5.0)
        on.wait(2.0)
        assert (on.live.session.phase, on.live.heard, on.live.started) == (Phase.READY, 0, False)
        play(on, 1.0)


def test_a_paused_one_stays_so_until_it_is_played() -> None:
    with stage() as on:
        play(on)
        on.do(Pause())
        on.wait(1.0)
        heard = on.live.heard
        on.die(20.0)
        on.wait(5.0)
        assert (on.live.session.phase, on.live.playing) == (Phase.PAUSED, False)
        assert 0 <= heard - on.live.heard < GRID
        on.do(Play())
        on.wait(2.0)
        assert level(on, 0.1) > 0.01
        on.check()


def test_too_much_stays_quiet_and_calm() -> None:
    with stage() as on:
        play(on)
        loud = level(on, 0.5)
        on.do(TooMuch())
        on.wait(5.0)
        on.die(2.0)
        on.until(lambda: on.live.playing)
        assert on.live.session.phase is Phase.LANDING
        assert on.sounding.arousal < -0.5
        assert level(on, 1.0) < 1.5 * LANDING_GAIN * loud


def test_a_gentle_end_goes_on_fading() -> None:
    with stage(frames=frames_of(120)) as on:
        play(on, 50.0)
        on.do(EndGently())
        ends = on.live.ends
        assert ends is not None
        on.wait(33.0)
        quiet = frames_of(3.0), frames_of(0.5)
        before = np.abs(on.live.audio(on.live.heard + quiet[0], quiet[1])).max()
        heard = on.live.heard
        on.die(0.2)
        on.until(lambda: on.live.playing)
        assert on.live.ends == ends
        after = np.abs(on.live.audio(heard + quiet[0], quiet[1])).max()
        assert after == pytest.approx(before, rel=0.05)
        on.until(on.live.over.is_set, within=13.0)


def test_a_report_that_was_not_answered_yet_is_answered_then() -> None:
    with stage() as on:
        play(on)
        on.do(Report(JOYFUL))
        on.die(0.2)
        on.until(lambda: on.live.playing)
        on.wait(4.0)
        assert on.live.session.reported is not None
        assert on.live.session.reported[0] == JOYFUL
        assert on.sounding.distance(JOYFUL) < 0.1
        on.check()


def test_its_clock_goes_on() -> None:
    with stage() as on:
        play(on, 5.0)
        on.do(Report(CALM))
        before = on.live.now
        on.die(60.0)
        assert on.live.now == pytest.approx(before + 60.0)
        assert on.live.state()["report"]["seconds"] == pytest.approx(60.0, abs=0.1)
        on.wait(0.1)


def test_bounds_that_change_before_its_music_is_back_let_it_begin_anew_at_once() -> None:
    with stage() as on:
        play(on)
        on.die(0.63)
        on.do(Bound({"tempo_bpm": (130.0, 170.0)}))  # and these voices play 120
        on.worker.generator = Obedient()
        on.until(lambda: on.live.playing, within=3.0)
        on.wait(5.0)
        on.check()


def because(on: Stage) -> str:
    return str(on.live.state()["because"]["key"])


def wear(on: Stage, bpm: float, seconds: int) -> None:
    """A strap that says so each second."""
    for _ in range(seconds):
        on.live.sense(HeartRate(on.clock.now, bpm, contact=True))
        on.wait(1.0)


@pytest.mark.parametrize("comes_back", [False, True])
def test_it_waits_no_longer_for_a_wearable_that_does_not_come_back(comes_back: bool) -> None:
    wish = Plan(ANXIOUS, CALM, None, 1, rules=Rules(step=1.0, tolerance=0.1))
    with stage(wish=wish) as on:
        on.do(Play())
        for _ in range(150):
            if because(on) == "staying_livelier":
                break
            wear(on, 90.0, 1)
        assert because(on) == "staying_livelier"
        on.die(0.5)
        if comes_back:
            wear(on, 90.0, 20)
        else:
            on.wait(20.0)
        assert because(on) == ("staying_livelier" if comes_back else "leading")


def without_passages(found: Snapshot) -> Snapshot:
    return replace(found, passages=())


def of_musicgen(found: Snapshot) -> Snapshot:
    return replace(found, passages=tuple(replace(p, generator="musicgen") for p in found.passages))


@pytest.mark.parametrize("change", [without_passages, of_musicgen])
def test_where_the_music_cannot_be_made_again_a_new_thread_begins(
    change: Callable[[Snapshot], Snapshot], caplog: pytest.LogCaptureFixture
) -> None:
    with stage() as on:
        play(on)
        on.die(1.0, change)
        on.until(lambda: on.live.playing, within=3.0)
        on.wait(40.0)
        on.check()
        assert on.live.mixer.underruns == 0
    assert "the music begins anew" in caplog.text


def test_what_was_done_under_an_id_is_known_to_be_done_after_the_kill() -> None:
    with stage() as on:
        play(on)
        on.live.on_event.add(lambda *_: kept.append(on.live.snapshot().done))
        kept: list[tuple[str, ...]] = []
        on.live.handle(Report(JOYFUL), said_as="page-7")
        assert kept == [("page-7",)], "it is kept without its event, or that without it"
        with pytest.raises(InvalidInput):
            on.live.handle(Bound({"loudest_dba": 45.0}), said_as="page-8")
        on.die(1.0)
        assert list(on.live.done) == ["page-7"]
        on.until(lambda: on.live.playing)


def test_it_can_be_killed_again_and_again() -> None:
    with stage(frames=frames_of(60)) as on:
        play(on, 5.0)
        for _ in range(4):
            on.die(0.5)
            on.wait(3.0)
            on.check()
        on.until(on.live.over.is_set, within=90.0)
        assert on.live.heard == frames_of(60)


class Forgetful(FreeGenerator):
    """Refuses every memory once it `forgets`, as a model of another version does."""

    forgets = False

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> FreeVoice:
        voice = super().open_voice(seed, position, memory)
        if self.forgets and memory is not None:
            raise InvalidInput("memory: it is of another model", "memory")
        return voice


def test_the_chosen_generator_goes_on_from_what_it_had_played() -> None:
    with stage(chosen=FreeGenerator(ON_A_GPU)) as on:
        play(on)
        on.die(1.0)
        on.until(lambda: on.live.playing)
        assert on.generator["name"] == "musicgen"
        on.wait(40.0)
        on.check()


def test_too_much_before_the_music_is_taken_up_is_heard_and_the_session_goes_on() -> None:
    with stage(chosen=FreeGenerator(ON_A_GPU), loaded=False) as on:
        play(on, 12.0)
        on.worker.delay = 0.1
        on.die(30.0)
        on.until(lambda: on.live._music._landing._blocks, within=5.0)
        assert on.live._music._past is not None
        on.do(TooMuch())
        on.wait(5.0)
        assert on.live.session.phase is Phase.LANDING
        assert on.live.playing


def test_an_encoder_may_run_in_before_the_music_was_taken_up() -> None:
    with stage() as on:
        play(on)
        on.do(Pause())
        on.wait(5.0)
        on.die(1.0)
        on.wait(1.0)
        before = on.live.heard - frames_of(0.08)
        assert not on.live.audio(before, frames_of(0.02)).any()


def test_while_that_is_being_loaded_the_composer_plays() -> None:
    chosen = FreeGenerator(ON_A_GPU)
    with stage(chosen=chosen) as on:
        play(on)
        on.unload()
        on.die(1.0)
        on.until(lambda: on.live.playing)
        assert on.generator["name"] == "composer"
        on.wait(5.0)
        on.load()
        on.until(lambda: on.generator["name"] == "musicgen")
        assert chosen.memories[-1] is not None, "it began anew"


def test_with_a_memory_of_another_model_the_chosen_generator_begins_anew() -> None:
    chosen = Forgetful(ON_A_GPU)
    with stage(chosen=chosen) as on:
        play(on)
        chosen.forgets = True
        on.die(1.0)
        on.until(lambda: on.live.playing)
        on.until(lambda: on.generator["name"] == "musicgen")
        assert chosen.memories[-1] is None
        on.check()
        on.wait(5.0)
        on.check()


def happening(chance: Random) -> Event:
    mood = Emotion(chance.uniform(-1, 1), chance.uniform(-1, 1))
    lowest_bpm = chance.uniform(40, 140)
    bounds: list[Event] = [
        Bound({"tempo_bpm": (lowest_bpm, 1.25 * lowest_bpm)}),
        Bound({"tempo_bpm": None}),
        Bound({"forbid": ("piano",)}),
        Bound({"forbid": ()}),
        Bound({"region": Region((-1.0, 0.1), (0.0, 1.0))}),
    ]
    others: list[Event] = [Report(mood), Goal(mood), Hold(), Lead(), StepBack(), TooMuch(), Pause(), Play(), Play()]
    return chance.choice(bounds + others)


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_and_whenever_it_is_killed_it_plays_on(seed: int, other: bool) -> None:
    chance = Random(seed)
    wish = Plan(ANXIOUS, CALM, None, 1, pauses=(PlannedPause(frames_of(30), 6.0), PlannedPause(frames_of(60), 6.0)))
    with stage(chosen=FreeGenerator(ON_A_GPU) if other else None, wish=wish) as on:
        on.worker.generator = Obedient()
        on.worker.delay = chance.choice([0.0, 0.02, 0.08])
        play(on, 1.0)
        for _ in range(25):
            if chance.random() < 0.7:
                on.do(happening(chance))
            else:
                on.die(chance.choice([0.1, 0.5, 3.0, 30.0]))
            on.wait(chance.choice([0.02, 0.05, 0.2, 1.0, 3.0]))
            on.check()
        on.do(Play())
        on.until(lambda: on.live.playing, within=4.0)
        on.wait(2.0)
        on.check()
