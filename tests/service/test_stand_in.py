"""A live session whose chosen generator is slow, fails or hangs: the composer stands in before anybody hears it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import Event, Goal, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Pace, frames_of
from musicmed_live.core.phases import Phase
from musicmed_live.core.session import LANDING_EMOTION
from musicmed_live.service.landing import REASON
from tests.service.stage import ANXIOUS, CALM, JOYFUL, FreeGenerator, FreeVoice, Stage, stage

ON_A_CPU, ON_A_GPU = Pace(1.7, 0.5), Pace(30.0, 0.08)
PACES = (ON_A_CPU, ON_A_GPU)
A_MINUTE = frames_of(60.0)


def play(on: Stage, seconds: float = 15.0) -> None:
    on.do(Play())
    on.until(lambda: on.live.playing)
    on.wait(seconds)
    on.check()


def hang(on: Stage) -> None:
    """Let the chosen generator begin something that it does not finish."""
    on.other.delay = None
    on.until(lambda: on.other.busy_with)


def recover(on: Stage, pace: Pace = ON_A_CPU) -> None:
    on.other.delay = 0.2 / pace.realtime_x
    on.other.answer()


def name(on: Stage) -> str:
    """Who is heard."""
    told: str = on.generator["name"]
    return told


def nobody_heard_it(on: Stage) -> bool:
    """No music was ever late."""
    return on.live.mixer.underruns == 0


def reasons(on: Stage) -> list[str]:
    return [reason for _, reason in on.cuts]


# All is well


@pytest.mark.parametrize("pace", PACES)
def test_a_generator_that_keeps_up_plays_all_the_time(pace: Pace) -> None:
    with stage(A_MINUTE, chosen=FreeGenerator(pace)) as on:
        play(on, 59.0)
        assert on.generator == {"name": "musicgen", "chosen": "musicgen", "reason": None}
        on.wait(2.0)
        assert on.live.over.is_set()
        assert (on.live.heard, on.live.bridges, on.cuts) == (A_MINUTE, 0, [])
        assert nobody_heard_it(on)


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("pause", [0.1, 0.7, 2.0])
def test_a_burst_of_reports_does_not_starve_it(pace: Pace, pause: float) -> None:
    with stage(chosen=FreeGenerator(pace)) as on:
        play(on)
        for number in range(30):
            on.do(Report((ANXIOUS, JOYFUL, CALM)[number % 3]))
            on.wait(pause)
            on.check()
        assert (on.live.bridges, name(on)) == (0, "musicgen")
        assert reasons(on).count("report") >= 2
        assert nobody_heard_it(on)


@pytest.mark.parametrize(("pace", "within"), [(ON_A_CPU, 1.2), (ON_A_GPU, 0.4)])
def test_a_report_is_heard_as_soon_as_its_pace_allows(pace: Pace, within: float) -> None:
    with stage(chosen=FreeGenerator(pace)) as on:
        play(on)
        heard = on.do(Report(JOYFUL))
        on.until(lambda: on.cuts)
        position, reason = on.cuts[0]
        assert reason == "report"
        assert 0 < position - heard <= frames_of(within + 0.2)
        on.wait(2.0)
        assert on.sounding.distance(JOYFUL) < 0.01


def test_bars_and_tempo_of_music_without_beats_are_told_to_be_unknown() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        clip = on.live.state()["clip"]
        assert (clip["bars"], clip["tempo_bpm"], clip["key"]) == (None, None, None)


# It falls behind


@pytest.mark.parametrize("realtime_x", [0.3, 0.7, 0.95])
def test_a_generator_that_falls_behind_is_bridged_before_there_is_a_gap(realtime_x: float) -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        on.other.delay = 0.2 / realtime_x
        on.until(lambda: on.live.bridges, 300.0)
        assert on.runway > 1.0
        on.until(lambda: name(on) == "composer", 5.0)
        assert reasons(on) == ["late"]
        assert on.generator["reason"] == "MusicGen fell behind"
        assert nobody_heard_it(on)


def test_a_bridge_fades_in_over_what_there_is() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        hang(on)
        on.until(lambda: name(on) == "composer", 15.0)
        clip = on.live.timeline.clip_at(on.live.heard)
        assert clip is not None
        assert clip.fade_frames > frames_of(0.9)
        on.wait(3.0)
        samples = on.live.audio(on.live.heard - SAMPLE_RATE, SAMPLE_RATE)
        assert float(np.sqrt((samples**2).mean())) > 0.001
        on.check()


@pytest.mark.parametrize("seconds", [3.0, 9.0, 12.0, 30.0])
def test_a_generator_that_hangs_plays_again_when_it_goes_on(seconds: float) -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        hang(on)
        on.wait(seconds)
        on.check()
        recover(on)
        on.wait(25.0)
        on.check()
        assert on.generator == {"name": "musicgen", "chosen": "musicgen", "reason": None}
        assert reasons(on) == (["late", "return"] if seconds > 8 else [])
        assert on.live.bridges == int(seconds > 8)
        assert nobody_heard_it(on)


def test_it_returns_at_a_bar_line_and_the_music_goes_on_in_the_emotion_of_the_path() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        hang(on)
        on.until(lambda: on.live.bridges)
        recover(on)
        on.until(lambda: "return" in reasons(on), 30.0)
        position = on.cuts[-1][0]
        before = on.live.timeline.clip_at(position - 1)
        assert before is not None
        assert before.track.generator == "composer"
        assert (position - on.cuts[0][0]) % (4 * SAMPLE_RATE // 2) == 0
        on.until(lambda: name(on) == "musicgen", 10.0)
        assert on.sounding.distance(on.live.session.target(on.live.heard)) < 0.05


def test_one_that_never_keeps_up_is_asked_ever_more_seldom() -> None:
    generator = FreeGenerator(ON_A_CPU)
    with stage(chosen=generator) as on:
        play(on)
        on.other.delay = 0.4  # half of real time
        on.wait(300.0)
        on.check()
        assert nobody_heard_it(on)
        assert 4 < len(generator.opened) < 14
        pauses = np.diff(generator.opened[1:])
        assert pauses[-1] > 4 * pauses[0]
        assert name(on) == "composer"
        on.until(lambda: "again and again" in on.generator["reason"], 300.0)


def test_a_report_is_met_by_the_composer_where_the_chosen_one_hangs_though_there_is_music_ahead() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        hang(on)
        heard = on.do(Report(JOYFUL))
        on.until(lambda: on.sounding.distance(JOYFUL) < 0.05, 4.0)
        assert name(on) == "composer"
        assert on.live.heard - heard < frames_of(4.0)
        assert nobody_heard_it(on)


def test_who_presses_play_while_it_hangs_does_not_wait_long() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        on.other.delay = None
        on.do(Play())
        on.until(lambda: on.live.playing, 4.0)
        on.wait(1.0)
        assert name(on) == "composer"
        on.check()


# It is not to be had


def test_while_it_is_loading_the_composer_plays_and_says_so() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU), loaded=False) as on:
        play(on)
        assert on.generator == {"name": "composer", "chosen": "musicgen", "reason": "MusicGen is still loading"}
        assert on.live.bridges == 0
        on.load()
        on.until(lambda: name(on) == "musicgen", 20.0)
        assert reasons(on) == ["return"]
        assert nobody_heard_it(on)


def test_one_that_is_ready_before_play_begins_the_session_itself() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU), loaded=False) as on:
        on.wait(5.0)
        on.load()
        on.wait(10.0)
        on.do(Play())
        on.wait(0.1)
        assert name(on) == "musicgen"
        on.wait(10.0)
        on.check()
        assert (name(on), on.live.bridges) == ("musicgen", 0)


def test_one_that_is_too_slow_on_this_machine_is_not_asked_at_all() -> None:
    generator = FreeGenerator(Pace(0.7, 1.5))
    with stage(chosen=generator) as on:
        play(on, 60.0)
        reason = "MusicGen makes 0.70 s of music in a second on this machine; it needs 1.1"
        assert on.generator == {"name": "composer", "chosen": "musicgen", "reason": reason}
        assert generator.opened == []


def test_one_that_others_have_is_waited_for() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU), loaded=False) as on:
        on.chosen.held += 1
        on.load()
        play(on)
        assert on.generator["name"] == "composer"
        assert on.generator["reason"] == "MusicGen plays in as many other sessions as it keeps up with (1)"
        on.chosen.held -= 1
        on.until(lambda: name(on) == "musicgen", 20.0)
        assert nobody_heard_it(on)


@pytest.mark.parametrize("rest", [0.0, 45.0])
def test_who_does_not_play_makes_room_for_who_does(rest: float) -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        on.wait(10.0)
        if rest:
            play(on)
            on.do(Pause())
            on.wait(rest)
        at = on.live.heard
        with on.beside("bert") as bert:
            on.do(Play(), live=bert)
            on.until(lambda: bert.state()["generator"]["name"] == "musicgen", 20.0)
            assert bert.mixer.underruns == 0
            on.wait(30.0)
            assert bert.state()["generator"]["name"] == "musicgen"
            on.do(Play())
            assert on.live.heard == at
            assert name(on) == "musicgen", "what it had made is lost"
            on.until(lambda: name(on) == "composer", 15.0)
            assert on.generator["reason"] == "MusicGen plays in as many other sessions as it keeps up with (1)"
            on.wait(30.0)
            assert [live.bridges for live in (on.live, bert)] == [0, 0]
        on.until(lambda: name(on) == "musicgen", 20.0)
        on.check()
        assert nobody_heard_it(on)


def test_who_has_just_paused_keeps_it() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on, on.beside("bert") as bert:
        play(on)
        on.do(Play(), live=bert)
        on.wait(10.0)
        on.do(Pause())
        on.wait(20.0)
        on.do(Play())
        on.wait(60.0)
        assert (name(on), bert.state()["generator"]["name"]) == ("musicgen", "composer")
        assert reasons(on) == ["pause", "play"]


# It fails


def test_one_whose_process_dies_is_bridged_and_comes_back() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        for _ in range(3):
            on.other.die()
            on.wait(1.0)
            on.check()
            on.until(lambda: name(on) == "musicgen" and on.generator["reason"] is None, 60.0)
            on.wait(65.0)
        assert on.live.bridges == 3
        assert on.live.playing
        assert nobody_heard_it(on)


def test_one_that_dies_whenever_it_is_asked_does_not_end_the_session() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        on.other.delay = None
        for _ in range(6):
            on.until(lambda: on.other.busy_with, 200.0)
            on.other.die()
        on.wait(10.0)
        on.check()
        assert on.live.playing
        assert "MusicGen failed: it died" in on.generator["reason"]
        assert nobody_heard_it(on)


def test_when_the_composer_hangs_too_the_chosen_one_comes_back_all_the_same() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        on.other.die()
        on.until(lambda: on.live.bridges)
        on.wait(1.0)
        on.worker.delay = None
        on.until(lambda: name(on) == "musicgen" and on.generator["reason"] is None, 15.0)
        on.wait(10.0)
        on.check()
        assert nobody_heard_it(on)


# What happens while the composer stands in


def bridged(on: Stage) -> None:
    """Play until the composer is heard in place of one that hangs."""
    play(on)
    hang(on)
    on.until(lambda: name(on) == "composer", 15.0)
    on.wait(1.0)


def test_a_report_during_a_bridge_is_met_at_once_and_the_return_meets_it_too() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        bridged(on)
        recover(on)
        on.until(lambda: len(on.chosen.workers._puppet.generator.opened) > 1)  # type: ignore[attr-defined]
        heard = on.do(Report(JOYFUL))
        on.until(lambda: on.sounding.distance(JOYFUL) < 0.05, 2.0)
        assert on.live.heard - heard < frames_of(1.0)
        on.until(lambda: name(on) == "musicgen", 20.0)
        assert on.sounding.distance(on.live.session.target(on.live.heard)) < 0.05
        assert on.sounding.distance(JOYFUL) < 0.3
        assert nobody_heard_it(on)


def test_too_much_is_answered_by_the_composer_and_the_chosen_one_goes_on_calmly() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        position = on.do(TooMuch())
        on.wait(0.5)
        assert on.generator == {"name": "composer", "chosen": "musicgen", "reason": REASON}
        assert on.cuts[0][0] <= position + 4800
        on.wait(12.0)
        assert (name(on), on.live.bridges) == ("musicgen", 0)
        assert on.sounding == LANDING_EMOTION
        on.do(Play())
        on.wait(5.0)
        on.check()
        assert nobody_heard_it(on)


@pytest.mark.parametrize("before_end", [20.0, 12.0, 4.0])
def test_too_much_near_the_end_while_the_chosen_one_hangs_plays_it_out(before_end: float) -> None:
    with stage(A_MINUTE, chosen=FreeGenerator(ON_A_GPU)) as on:
        play(on, 60.0 - before_end)
        on.other.delay = None
        on.do(TooMuch())
        on.wait(before_end + 0.1)
        assert on.live.over.is_set()
        assert on.live.heard == A_MINUTE
        assert nobody_heard_it(on)


def test_a_composer_that_cannot_even_make_calm_music_does_not_end_a_session_that_plays() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        on.worker.delay = None
        play(on, 1.0)
        for _ in range(3):
            on.until(lambda: on.worker.busy_with)
            on.worker.die()
        on.wait(5.0)
        on.do(TooMuch())
        on.wait(5.0)
        on.check()
        assert (name(on), on.sounding) == ("musicgen", LANDING_EMOTION)


@pytest.mark.parametrize("later", [0.0, 0.5, 3.0, 6.0])
def test_too_much_during_a_bridge_is_calm_whoever_plays(later: float) -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        bridged(on)
        recover(on)
        on.wait(later)
        on.do(TooMuch())
        for _ in range(20):
            on.wait(1.0)
            on.check()
            assert on.sounding == LANDING_EMOTION
        assert name(on) == "musicgen"
        assert nobody_heard_it(on)


def test_a_pause_during_a_bridge_stands_still_and_goes_on() -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        bridged(on)
        on.do(Pause())
        on.wait(1.0)
        stood = on.live.heard
        recover(on)
        on.wait(60.0)
        assert on.live.heard == stood
        on.do(Play())
        on.wait(15.0)
        on.check()
        assert name(on) == "musicgen"
        assert nobody_heard_it(on)


@pytest.mark.parametrize("later", [0.0, 1.0, 5.0])
def test_a_stop_during_a_bridge_ends_the_session(later: float) -> None:
    with stage(chosen=FreeGenerator(ON_A_CPU)) as on:
        bridged(on)
        recover(on)
        on.wait(later)
        on.do(Stop())
        on.wait(2.0)
        assert on.live.over.is_set()
        assert on.running.exception() is None


@pytest.mark.parametrize("before_end", [20.0, 12.0, 5.0])
def test_a_session_that_is_bridged_near_its_end_comes_to_rest(before_end: float) -> None:
    with stage(A_MINUTE, chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on, 60.0 - before_end)
        on.other.die()
        on.wait(before_end + 0.1)
        assert on.live.over.is_set()
        assert on.live.heard == A_MINUTE
        assert nobody_heard_it(on)


@pytest.mark.parametrize("sample", [np.nan, np.inf, 1e20])
def test_what_is_no_sound_is_not_heard(sample: float, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = FreeVoice._blocks

    def spoilt(voice: FreeVoice, request: ClipRequest, clip: int) -> Iterator[Block]:
        for block in sound(voice, request, clip):
            yield replace(block, samples=np.full_like(block.samples, sample))

    with stage(A_MINUTE, chosen=FreeGenerator(ON_A_CPU)) as on:
        play(on)
        monkeypatch.setattr(FreeVoice, "_blocks", spoilt)
        on.do(Report(JOYFUL))
        on.until(lambda: name(on) == "composer")
        assert "MusicGen failed: it made numbers that are no sound" in on.generator["reason"]
        on.wait(10.0)
        on.check()
        assert name(on) == "composer"
        assert nobody_heard_it(on)


# Anything


@dataclass(frozen=True)
class Dies:
    """The chosen generator's process does."""


@dataclass(frozen=True)
class Takes:
    """From now on the chosen generator takes so many seconds over a call; None: it hangs."""

    seconds: float | None


moods = st.sampled_from([ANXIOUS, CALM, JOYFUL, Emotion(-0.5, 0.5)])
events = st.sampled_from([Play(), Pause(), TooMuch(), Play()]) | moods.map(Report) | moods.map(Goal)
deeds = events | st.just(Dies()) | st.sampled_from([None, 0.01, 0.12, 0.3, 2.0]).map(Takes)
waits = st.sampled_from([0.0, 0.02, 0.1, 0.5, 3.0, 9.0, 20.0])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(waits, deeds), max_size=12),
    st.sampled_from([None, A_MINUTE]),
    st.sampled_from(PACES),
    st.booleans(),
)
def test_whatever_the_chosen_generator_does_the_music_never_stops(
    course: list[tuple[float, Event | Dies | Takes]], frames: int | None, pace: Pace, loaded: bool
) -> None:
    with stage(frames, chosen=FreeGenerator(pace), loaded=loaded) as on:
        on.do(Play())
        for seconds, deed in course:
            on.wait(seconds)
            if on.live.over.is_set():
                break
            carry_out(on, deed)
            on.check()
        assert nobody_heard_it(on)
        come_round(on, pace)


def carry_out(on: Stage, deed: Event | Dies | Takes) -> None:
    match deed:
        case Takes(seconds):
            on.other.delay = seconds
            on.other.answer()
        case Dies():
            on.other.die()
        case event:
            on.do(event)


def come_round(on: Stage, pace: Pace) -> None:
    """Whatever was before, the music plays on, to the end."""
    recover(on, pace)
    if on.live.session.phase is not Phase.ENDED:
        on.do(Play())
    on.wait(10.0)
    if on.live.session.phase is not Phase.ENDED:
        on.check()
        assert on.live.playing
        on.do(Stop())
    on.wait(2.0)
    assert on.live.over.is_set()
    assert on.running.exception() is None
    assert nobody_heard_it(on)
