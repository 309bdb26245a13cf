"""A live session within bounds: whoever plays, and whenever they change, nothing that is forbidden is heard."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from random import Random
from typing import Any

import numpy as np
import pytest

from musicmed_live.core.bounds import Bounds, Region
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import Bound, Event, Goal, Pause, Play, Report, TooMuch
from musicmed_live.core.generator import Block, ClipRequest, Pace, Preference, frames_of
from musicmed_live.core.phases import Phase
from musicmed_live.core.plan import Plan
from musicmed_live.errors import InvalidInput
from musicmed_live.service.live import LiveSession
from musicmed_live.service.sources import Sources
from tests.service.obedient import Obedient
from tests.service.stage import ANXIOUS, CALM, JOYFUL, FreeGenerator, Stage, ToneGenerator, ToneVoice, stage

QUICK = Pace(30.0, 0.08)
REACTION_SECONDS = 1.0  # two beats of these voices


class HostileVoice(ToneVoice):
    """Obeys for four seconds, and then plays what is forbidden."""

    hostile = True

    def _blocks(self, request: ClipRequest, clip: int) -> Iterator[Block]:
        for block in super()._blocks(request, clip):
            if self.hostile and block.position >= frames_of(4.0):
                yield replace(block, tempo_bpm=200.0, instruments=("drill",))
            else:
                yield replace(block, tempo_bpm=60.0, instruments=("harp",))


class Hostile(ToneGenerator):
    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> HostileVoice:
        return HostileVoice(seed, position, memory)


def plan(bounds: Bounds, start: Emotion | None = ANXIOUS) -> Plan:
    return Plan(start, CALM, None, 1, bounds=bounds)


def obedient(on: Stage) -> Stage:
    on.worker.generator = Obedient()
    return on


def play(on: Stage, seconds: float = 5.0) -> None:
    on.do(Play())
    on.until(lambda: on.live.playing)
    on.wait(seconds)


def broken(on: Stage, seconds: float = 9.0, since: int = 0) -> list[str]:
    """What is wrong with what is heard now, or from `since` on, and within the seconds after that."""
    bounds, start = on.live.session.bounds, max(on.live.heard, since)
    end = start + frames_of(seconds)
    heard = chain(on.live.timeline.blocks(start, end), on.live.timeline.fading(start, end))
    return [why for why in map(bounds.broken_by, heard) if why is not None]


def generator(on: Stage) -> tuple[str, str | None]:
    return on.generator["name"], on.generator["reason"]


# Who plays


def test_a_generator_that_this_house_does_not_have_is_refused() -> None:
    with stage() as on:
        on.wait(0.1)
        house = Sources(on.composer, on.composer, on.listener)
        with pytest.raises(InvalidInput, match="there is no musicgen here; this house plays composer") as refused:
            LiveSession("t", "anna", plan(Bounds(generator="musicgen")), house)
    assert refused.value.field == "generator"


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        (Bounds(generator="composer"), "The composer was chosen for this session"),
        (Bounds(forbid=("choir",)), "MusicGen cannot promise to leave out what your therapist forbids"),
        (Bounds(tempo_bpm=(50, 90)), "MusicGen cannot promise to keep the tempo that your therapist allows"),
    ],
)
def test_the_composer_plays_where_the_chosen_one_can_promise_nothing(bounds: Bounds, reason: str) -> None:
    chosen = FreeGenerator(QUICK)
    with stage(chosen=chosen, wish=plan(bounds)) as on:
        play(obedient(on), 20.0)
        assert generator(on) == ("composer", reason)
        assert not chosen.opened
        assert (on.live.bridges, on.live.mixer.underruns) == (0, 0)


@pytest.mark.parametrize("bounds", [Bounds(generator="musicgen"), Bounds(Region((0, 1), (-1, 0))), Bounds()])
def test_the_chosen_one_plays_where_nothing_is_asked_that_it_cannot_promise(bounds: Bounds) -> None:
    with stage(chosen=FreeGenerator(QUICK), wish=plan(bounds)) as on:
        play(on)
        assert generator(on) == ("musicgen", None)


def test_the_composer_takes_over_at_once_when_something_is_forbidden_and_hands_back_when_it_is_allowed() -> None:
    with stage(chosen=FreeGenerator(QUICK), wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        assert generator(on) == ("musicgen", None)
        on.do(Bound({"forbid": ("choir",)}))
        on.wait(REACTION_SECONDS)
        assert generator(on)[0] == "composer"
        assert not broken(on)
        on.wait(30.0)
        assert generator(on)[0] == "composer"
        on.do(Bound({"forbid": ()}))
        on.until(lambda: generator(on) == ("musicgen", None))
        assert on.live.mixer.underruns == 0
        on.check()


def test_what_the_other_generator_has_in_stock_is_given_up() -> None:
    with stage(chosen=FreeGenerator(QUICK), loaded=False, wish=plan(Bounds())) as on:
        play(obedient(on))
        on.load()
        on.until(lambda: on.chosen.held == 1)
        on.do(Bound({"tempo_bpm": (100.0, 140.0)}))
        on.wait(20.0)
        assert generator(on)[0] == "composer"
        assert on.chosen.held == 0
        assert on.live.mixer.underruns == 0


# When they change


def test_what_was_composed_ahead_is_given_up_at_the_next_beat_and_the_thread_goes_on() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        track = on.live.timeline.clips[-1].track
        heard = on.do(Bound({"forbid": ("piano",)}))
        on.until(lambda: on.cuts)
        position, reason = on.cuts[0]
        assert reason == "bounds"
        assert 0 < position - heard <= frames_of(REACTION_SECONDS)
        on.wait(REACTION_SECONDS)
        assert not broken(on)
        assert on.live.timeline.clips[-1].track is track


def test_bounds_that_change_again_and_again_are_kept_all_the_while() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        for number in range(40):
            lowest = 50.0 + 3 * (number % 10)
            forbid = ("piano",) if number % 3 else ("harp",)
            on.do(Bound({"tempo_bpm": (lowest, 1.3 * lowest), "forbid": forbid}))
            on.wait(0.05)
        on.wait(REACTION_SECONDS)
        assert not broken(on)
        assert on.live.mixer.underruns == 0
        on.check()


def test_limits_that_are_widened_change_nothing_of_what_is_composed() -> None:
    with stage(wish=plan(Bounds(tempo_bpm=(60, 90)))) as on:
        play(obedient(on))
        on.live.session.bounds = on.live.session.bounds.changed({"tempo_bpm": (50.0, 100.0)})
        on.wait(3.0)
        assert not on.cuts


def test_loudness_alone_changes_nothing_of_what_is_composed() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on))
        on.do(Bound({"loudest_lufs": -30.0}))
        on.wait(3.0)
        assert "bounds" not in {reason for _, reason in on.cuts}


@pytest.mark.parametrize("phase", [Phase.READY, Phase.PAUSED])
def test_what_is_composed_while_nothing_plays_is_given_up_too(phase: Phase) -> None:
    with stage(wish=plan(Bounds())) as on:
        on.wait(2.0)
        if phase is Phase.PAUSED:
            play(obedient(on))
            on.do(Pause())
            on.wait(2.0)
        obedient(on).do(Bound({"forbid": ("piano",)}))
        on.worker.die()  # with the voices that do not obey
        on.wait(2.0)
        assert on.live.session.phase is phase
        changed = on.live.heard
        play(on, REACTION_SECONDS)
        assert not broken(on, since=changed + frames_of(0.5))


# Too much


def test_landing_music_keeps_the_bounds() -> None:
    bounds = Bounds(Region((-1, 0), (-0.5, 1)), (100.0, 140.0), forbid=("piano",))
    with stage(wish=plan(bounds)) as on:
        play(obedient(on), 12.0)
        on.do(TooMuch())
        for _ in range(30):
            on.wait(0.5)
            assert not broken(on, 1.0)
            assert bounds.region.holds(on.sounding)
        assert on.live.mixer.underruns == 0


def test_landing_music_is_made_anew_when_the_bounds_change() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        on.do(Bound({"forbid": ("piano",), "region": Region((-1, 0), (0, 1))}))
        on.wait(2.0)
        on.do(TooMuch())
        on.wait(0.5)
        assert on.generator["reason"] is None
        assert not broken(on, 5.0)
        assert on.sounding == Emotion(0.0, 0.0)


def test_landing_music_that_has_become_forbidden_is_not_heard() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        on.worker.delay = 0.1
        on.do(Bound({"forbid": ("piano",)}), TooMuch())
        on.wait(REACTION_SECONDS + 0.3)
        assert not broken(on, 5.0)


def test_bounds_reach_into_a_landing() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        on.do(TooMuch())
        on.wait(2.0)
        on.do(Bound({"forbid": ("piano",)}))
        on.wait(REACTION_SECONDS + 0.3)
        assert not broken(on, 5.0)
        assert on.live.session.phase is Phase.LANDING
        assert on.live.mixer.underruns == 0


# Nobody makes other music


def test_what_has_become_forbidden_ends_although_nobody_makes_anything_else() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        on.worker.delay = None  # it hangs
        heard = on.do(Bound({"forbid": ("piano",)}))
        on.wait(4.0)
        assert on.live.heard > heard
        assert not broken(on)
        assert np.abs(on.live.audio(on.live.heard, frames_of(0.1))).max() < 1e-4
        on.worker.delay = 0.0
        on.worker.answer()
        on.wait(3.0)
        assert not on.live.mixer.filling
        assert not broken(on)
        assert np.abs(on.live.audio(on.live.heard, frames_of(0.1))).max() > 1e-2


def test_it_ends_by_the_clock_of_a_slow_sound_card_too() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        on.worker.delay = None  # it hangs
        on.do(Bound({"forbid": ("piano",)}))
        for _ in range(230):
            on.live.follow(on.live.heard - frames_of(0.035))
            on.wait(0.05)
        on.check()
        assert not broken(on)


def test_a_pause_in_that_silence_is_one_from_which_the_music_comes_back() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        on.worker.delay = None  # it hangs
        on.do(Bound({"forbid": ("piano",)}))
        on.wait(3.7)
        on.do(Pause())
        on.wait(1.0)
        on.worker.delay = 0.0
        on.worker.answer()
        on.wait(1.0)
        on.do(Play())
        on.until(lambda: on.live.playing, within=1.0)
        on.wait(2.0)
        on.check()
        assert not broken(on)
        assert np.abs(on.live.audio(on.live.heard, frames_of(0.1))).max() > 1e-2


def test_the_last_bars_are_not_repeated_where_they_have_become_forbidden() -> None:
    with stage(wish=plan(Bounds())) as on:
        play(obedient(on), 12.0)
        on.do(Bound({"forbid": ("piano",)}))
        on.until(lambda: on.cuts)
        on.live._music.timeline.clips[-1].track.cut(on.cuts[0][0] + frames_of(0.5))  # and then the music is late
        on.worker.delay = None
        on.wait(3.0)
        assert on.live.mixer.filling
        assert np.abs(on.live.audio(on.live.heard, frames_of(0.1))).max() < 1e-4


# A generator that does not obey


def test_nothing_is_heard_of_a_composer_that_breaks_the_bounds_and_the_last_bars_repeat() -> None:
    with stage(wish=plan(Bounds(tempo_bpm=(50, 80), forbid=("drill",)))) as on:
        on.worker.generator = Hostile()
        play(on, 0.0)
        for _ in range(100):
            on.wait(0.2)
            assert not broken(on)
        assert not on.running.done()
        assert on.live.broken > 3
        assert on.live.mixer.underruns


def test_a_composer_that_obeys_again_is_heard_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with stage(wish=plan(Bounds(tempo_bpm=(50, 80)))) as on:
        on.worker.generator = Hostile()
        play(on, 8.0)
        assert on.live.mixer.filling
        monkeypatch.setattr(HostileVoice, "hostile", False)
        on.wait(6.0)
        assert not on.live.mixer.filling
        on.check()


def test_another_generator_that_breaks_the_bounds_is_not_heard_and_the_composer_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Sources, "barred", lambda sources, bounds: None)  # nobody keeps it from trying
    with stage(chosen=FreeGenerator(QUICK), wish=plan(Bounds(forbid=("drill",)))) as on:
        play(obedient(on), 0.0)
        for _ in range(60):
            on.wait(0.5)
            assert not broken(on)
            assert on.generator["name"] == "composer"
        assert on.live.broken
        assert on.live.bridges
        assert on.live.mixer.underruns == 0


# Whatever happens


def asked_for(on: Stage) -> Iterator[Emotion]:
    """The emotions of what is heard and planned."""
    heard = on.live.heard
    for clip in on.live.timeline.clips:
        if clip.end > heard:
            yield from (clip.emotion_at(max(heard, clip.position)), clip.end_emotion)


def happening(chance: Random) -> Event:
    """Mostly other bounds."""

    def emotion() -> Emotion:
        return Emotion(chance.uniform(-1, 1), chance.uniform(-1, 1))

    def side() -> tuple[float, float]:
        lowest = chance.uniform(-1, 0.9)
        return lowest, min(1.0, lowest + chance.uniform(0.1, 2))

    lowest = chance.uniform(40, 140)
    changes: dict[str, Any] = {
        "region": Region(side(), side()),
        "tempo_bpm": chance.choice([None, (lowest, lowest * 1.25)]),
        "forbid": tuple(chance.sample(("piano", "harp", "choir"), chance.randrange(3))),
    }
    named = chance.sample(sorted(changes), chance.randint(1, 3))
    bound = Bound({name: changes[name] for name in named})
    events: list[Event] = [Play(), Pause(), TooMuch(), Report(emotion()), Goal(JOYFUL), bound, bound, bound]
    return chance.choice(events)


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_nothing_is_planned_that_breaks_the_bounds(seed: int, other: bool) -> None:
    chance = Random(seed)
    chosen = FreeGenerator(QUICK) if other else None
    with stage(chosen=chosen, wish=plan(Bounds(), chance.choice([None, ANXIOUS]))) as on:
        obedient(on).worker.delay = chance.choice([0.0, 0.02, 0.08])
        play(on, 1.0)
        changed = 0
        for _ in range(50):
            if chance.random() < 0.4:
                event = happening(chance)
                heard = on.do(event)
                changed = heard if isinstance(event, Bound) else changed
            on.wait(chance.choice([0.05, 0.2, 1.0, 3.0]))
            on.check()
            if on.live.heard > changed + frames_of(1.3):
                assert not broken(on)
                for emotion in asked_for(on):
                    assert on.live.session.bounds.region.nearest(emotion).distance(emotion) < 1e-9


def test_a_preferred_instrument_that_is_forbidden_later_is_not_asked_for() -> None:
    wish = Plan(ANXIOUS, CALM, None, 1, Preference(prefer=("piano",)))
    with stage(wish=wish) as on:
        on.do(Bound({"forbid": ("piano",)}))
        request = on.live.session.next_clip(0)
        assert request is not None
        assert request.instruments == Preference((), ("piano",))
