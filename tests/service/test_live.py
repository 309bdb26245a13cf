"""A live session, whatever its patient and its worker do, and when: it lives, and so does the music."""

import logging
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.answers import STOP_FRAMES
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import Event, Goal, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.generator import SAMPLE_RATE, Samples, frames_of
from musicmed_live.core.phases import Phase
from musicmed_live.core.readings import HeartRate
from musicmed_live.core.session import LANDING_EMOTION
from musicmed_live.errors import WorkerDied
from musicmed_live.service import voices
from musicmed_live.service.conductor import HORIZON_FRAMES
from musicmed_live.service.live import ENDED, FAILED
from tests.core.sounds import BAR, BEAT
from tests.service.stage import ANXIOUS, CALM, JOYFUL, MARGIN_FRAMES, Stage, stage

HALF_A_MINUTE = frames_of(30.0)
HORIZON_SECONDS = HORIZON_FRAMES / SAMPLE_RATE
NEARBY = Emotion(-0.5, 0.5)  # a small move from anxious


def play(on: Stage, seconds: float = 15.0) -> None:
    """Start, and play until everything is ready that is kept ready."""
    on.do(Play())
    on.wait(seconds)
    on.check()


def hang(on: Stage) -> None:
    """Let the worker begin something that it does not finish."""
    on.worker.delay = None
    on.until(lambda: on.worker.busy_with)


def recover(on: Stage, underruns: int = 0) -> None:
    """From now on the worker is quick: the music is soon as far ahead as it should be, and on its way."""
    on.worker.delay = 0.01
    on.worker.answer()
    on.wait(3.0)
    on.check()
    assert on.runway > HORIZON_SECONDS - 1
    assert on.live.playing
    assert on.live.mixer.underruns == underruns


def level_db(samples: Samples) -> float:
    return float(10 * np.log10((samples**2).mean() + 1e-12))


# A worker that dies


@pytest.mark.parametrize("later", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(
    ("event", "then"), [(Report(JOYFUL), JOYFUL), (Goal(JOYFUL), ANXIOUS), (TooMuch(), LANDING_EMOTION)]
)
def test_what_happens_right_after_a_worker_died_is_answered(event: Event, then: Emotion, later: float) -> None:
    with stage() as on:
        play(on)
        on.worker.die()
        on.wait(later)
        on.do(event)
        recover(on)
        assert on.sounding.distance(then) < 0.1
        assert on.live.session.goal == (JOYFUL if isinstance(event, Goal) else CALM)


def test_a_worker_that_dies_is_not_heard() -> None:
    with stage() as on:
        play(on)
        hang(on)
        on.worker.die()
        recover(on)
        assert [reason for _, reason in on.cuts] == ["late"]


@pytest.mark.parametrize("seconds", [5.0, 12.0, 40.0])
def test_a_worker_that_hangs_and_then_dies_is_got_over(seconds: float) -> None:
    with stage() as on:
        play(on)
        hang(on)
        on.wait(seconds)
        on.worker.die()
        recover(on, underruns=int(seconds > HORIZON_SECONDS))


@pytest.mark.parametrize("seconds", [5.0, 12.0, 40.0])
def test_a_worker_that_hangs_and_then_goes_on_is_got_over(seconds: float) -> None:
    with stage() as on:
        play(on)
        hang(on)
        on.wait(seconds)
        recover(on, underruns=int(seconds > HORIZON_SECONDS))


def test_a_worker_that_dies_over_the_same_work_again_and_again_is_given_up() -> None:
    with stage() as on:
        play(on)
        on.worker.delay = None
        for _ in range(3):
            on.until(lambda: on.worker.busy_with)
            on.worker.die()
            on.wait(0.1)
        assert on.live.over.is_set()
        assert on.live.close_code == FAILED == 1011
        assert on.live.session.phase is Phase.ENDED
        assert not on.live.playing
        with pytest.raises(ExceptionGroup) as failed:
            on.running.result()
        assert failed.group_contains(WorkerDied)


def test_a_session_that_failed_lets_its_voice_go() -> None:
    with stage() as on:
        play(on)
        assert "s composer" in voices._voices
        on.worker.delay = None
        for _ in range(3):
            on.until(lambda: on.worker.busy_with)
            on.worker.die()
            voices.open_voice("s composer", 1, 0)  # as if it had died a moment later
            on.wait(0.1)
        assert "s composer" not in voices._voices


def test_deaths_with_music_between_them_are_got_over() -> None:
    with stage() as on:
        play(on)
        for _ in range(10):
            on.worker.die()
            recover(on)


# Too much


@pytest.mark.parametrize("later", [0.0, 0.01, 0.05, 0.12, 0.3, 0.5])
def test_play_soon_after_too_much_goes_on_from_the_calm(later: float) -> None:
    with stage() as on:
        play(on)
        on.do(TooMuch())
        on.wait(later)
        on.do(Play())
        recover(on)
        assert on.live.session.phase is Phase.PLAYING
        assert on.sounding.distance(LANDING_EMOTION) < 0.1


def test_too_much_goes_before_a_report_that_is_being_composed() -> None:
    with stage() as on:
        play(on)
        on.worker.delay = None
        on.do(Report(JOYFUL))
        on.until(lambda: on.worker.busy_with is voices.begin_clip)
        on.do(TooMuch())
        recover(on)
        assert on.sounding == LANDING_EMOTION
        assert "report" not in [reason for _, reason in on.cuts]


def test_too_much_before_calm_music_is_kept_ready_is_quiet_at_once_and_calm_from_the_next_beat() -> None:
    with stage() as on:
        on.worker.delay = 0.2
        on.do(Play())
        on.until(lambda: on.live.playing)
        position = on.do(TooMuch())
        recover(on)
        (quiet, _), (calm, reason) = on.cuts
        assert quiet <= position + 4800
        assert (calm % BEAT, reason) == (0, "too_much")
        assert on.sounding == LANDING_EMOTION


def test_too_much_while_the_calm_music_is_being_prepared_takes_effect() -> None:
    with stage() as on:
        on.worker.delay = 0.05
        on.do(Play())
        on.until(lambda: on.worker.busy_with is voices.compose_alone)
        on.worker.delay = 1.0
        on.do(TooMuch())
        recover(on)
        assert on.sounding == LANDING_EMOTION


def test_too_much_is_heard_while_the_worker_hangs() -> None:
    with stage() as on:
        play(on)
        hang(on)
        before = level_db(on.live.audio(on.live.heard, 4800))
        position = on.do(TooMuch())
        on.wait(1.0)
        assert level_db(on.live.audio(position + SAMPLE_RATE, 4800)) < before - 6
        assert on.sounding == LANDING_EMOTION
        assert on.cuts[0][0] <= position + 4800


def test_play_after_the_calm_music_ran_out_while_the_worker_hung() -> None:
    with stage() as on:
        play(on)
        hang(on)
        on.do(TooMuch())
        on.wait(7.6)
        on.do(Play())
        on.wait(1.0)
        recover(on, underruns=1)


@pytest.mark.parametrize("pauses", [True, False])
def test_too_much_is_got_over_when_the_worker_hangs_past_the_calm_music(pauses: bool) -> None:
    with stage() as on:
        play(on)
        hang(on)
        on.do(TooMuch())
        on.wait(14.0)
        if pauses:
            on.do(Pause())
            on.wait(1.0)
        on.worker.delay = 0.01
        on.worker.answer()
        on.wait(0.5)
        on.do(Play())
        recover(on, underruns=1)


@pytest.mark.parametrize("before_end", [4.0, 1.0, 0.1])
def test_too_much_near_the_end_of_a_session_whose_worker_has_died_plays_it_out(before_end: float) -> None:
    with stage(HALF_A_MINUTE) as on:
        play(on, 30.0 - before_end)
        on.worker.die()
        on.do(TooMuch())
        on.wait(before_end + 0.1)
        assert on.live.over.is_set()
        assert (on.live.close_code, on.live.mixer.underruns) == (ENDED, 0)


@pytest.mark.parametrize("later", [0.0, 3.0])  # while it still fades out, and when it stands
@pytest.mark.parametrize("runway", [0.0, 0.45])  # in seconds, at the pause
@pytest.mark.parametrize("wishes", [(), (Report(JOYFUL),)])
def test_play_after_a_pause_that_ended_right_before_music_that_came_too_late(
    wishes: tuple[Event, ...], runway: float, later: float
) -> None:
    with stage() as on:
        play(on)
        hang(on)
        on.until(lambda: on.runway <= runway)
        on.do(Pause())
        on.wait(0.36)  # less than it takes to fade out
        on.worker.delay = 0.01
        on.worker.die()
        on.wait(0.04)
        heard, clip = on.live.heard, on.live.timeline.clips[-1]
        assert on.live.playing
        assert on.live.timeline.ready_until(heard) < clip.position, "there is no hole"
        on.wait(later)
        on.do(*wishes, Play())
        on.wait(1.0)
        recover(on, underruns=on.live.mixer.underruns)


def test_a_pause_while_play_waits_for_music_leaves_the_play_head_where_it_is() -> None:
    with stage() as on:
        play(on)
        on.do(Pause())
        on.wait(2.0)
        on.worker.delay = None
        at = on.do(Report(JOYFUL), Play())
        for _ in range(3):
            on.wait(0.5)
            assert on.do(Pause()) == at
            on.wait(0.5)
            assert on.do(Play()) == at
        on.worker.delay = 0.01
        on.worker.answer()
        on.until(lambda: on.live.playing, within=1.0)
        assert on.live.heard < at + frames_of(0.1)
        recover(on)


# Before the music


def test_a_pause_before_the_music_is_ready_keeps_it_from_starting() -> None:
    with stage() as on:
        on.worker.delay = 0.5
        on.do(Play())
        on.wait(0.3)
        on.do(Pause())
        on.wait(10.0)
        assert on.live.session.phase is Phase.PAUSED
        assert (on.live.playing, on.live.heard) == (False, 0)
        on.do(Play())
        on.wait(1.0)
        assert on.live.heard == SAMPLE_RATE
        assert level_db(on.live.audio(on.live.heard, 4800)) > -40


def test_a_stop_before_the_music_is_ready_ends_the_session() -> None:
    with stage() as on:
        on.worker.delay = None
        on.do(Play())
        on.wait(0.3)
        on.do(Stop())
        on.wait(0.1)
        assert on.live.over.is_set()
        assert (on.live.playing, on.live.heard, on.live.close_code) == (False, 0, ENDED)


def beginning(*waits: float) -> tuple[Samples, list[tuple[int, str]]]:
    """The first seconds of a session to which a report, another one, and play come after those waits."""
    with stage() as on:
        on.worker.delay = 0.05
        course: tuple[Event, ...] = (Report(JOYFUL), Report(NEARBY), Play())
        for seconds, event in zip(waits, course, strict=True):
            on.wait(seconds)
            on.do(event)
        on.until(lambda: on.live.playing)
        on.wait(0.5)
        on.check()
        return on.live.audio(0, frames_of(1.5)), on.cuts


@pytest.mark.parametrize("waits", [(0.02, 0.0, 0.0), (0.3, 0.3, 0.0), (4.0, 0.01, 0.06), (4.0, 4.0, 4.0)])
def test_a_report_before_play_begins_the_music_anew_so_that_it_sounds_the_same_whenever_it_came(
    waits: tuple[float, ...],
) -> None:
    expected, _ = beginning(0.0, 0.0, 0.0)
    heard, cuts = beginning(*waits)
    assert np.array_equal(heard, expected)
    assert {position for position, _ in cuts} <= {0}


# Reports


def test_a_large_report_is_heard_from_the_first_beat_that_can_be_reached_and_a_small_one_from_the_bar() -> None:
    for emotion, grid in ((JOYFUL, BEAT), (NEARBY, BAR)):
        with stage() as on:
            play(on, 15.1)
            position = on.do(Report(emotion)) + MARGIN_FRAMES
            recover(on)
            assert on.cuts == [(-(-position // grid) * grid, "report")]
            assert on.sounding.distance(emotion) < 0.01


def test_a_large_report_that_a_small_one_follows_at_once_keeps_its_beat() -> None:
    with stage() as on:
        play(on, 15.1)
        position = on.do(Report(JOYFUL), Report(NEARBY)) + MARGIN_FRAMES
        recover(on)
        assert on.cuts == [(-(-position // BEAT) * BEAT, "report")]
        assert on.sounding.distance(NEARBY) < 0.01


def test_a_burst_of_reports_never_eats_the_runway() -> None:
    with stage() as on:
        play(on)
        on.worker.delay = 0.1
        for number in range(200):
            on.do(Report((ANXIOUS, JOYFUL, CALM)[number % 3]))
            on.wait(0.05)
            on.check()
            assert on.runway > 0.1
        recover(on)
        assert len(on.cuts) > 5


# The end


@pytest.mark.parametrize("before_end", [20.0, 2.0, 1.0, 0.02])
def test_a_stop_ends_the_session_when_it_has_faded_out_or_the_music_is_over(before_end: float) -> None:
    with stage(HALF_A_MINUTE) as on:
        play(on, 30.0 - before_end)
        on.do(Stop())
        on.wait(2.0)
        assert on.live.over.is_set()
        assert on.live.heard <= HALF_A_MINUTE - frames_of(before_end) + STOP_FRAMES + frames_of(0.05)
        assert on.running.done()
        assert on.live.close_code == ENDED


def test_a_report_and_play_in_a_pause_close_to_the_end_are_answered() -> None:
    with stage(HALF_A_MINUTE) as on:
        play(on, 28.0)
        on.do(Pause())
        on.wait(1.0)
        on.do(Report(JOYFUL), Play())
        on.wait(0.5)
        assert on.live.playing
        on.wait(2.0)
        assert on.live.over.is_set()


def test_a_session_is_over_when_its_last_frame_was_heard() -> None:
    with stage(HALF_A_MINUTE) as on:
        play(on, 29.9)
        assert not on.live.over.is_set()
        on.wait(0.2)
        assert on.live.over.is_set()
        assert (on.live.heard, on.live.session.phase, on.live.close_code) == (HALF_A_MINUTE, Phase.ENDED, ENDED)
        assert on.live.mixer.underruns == 0
        assert "s composer" not in voices._voices


# Anything


@dataclass(frozen=True)
class Dies:
    """The worker does."""


@dataclass(frozen=True)
class Takes:
    """From now on the worker takes so many seconds over a call; None: it hangs."""

    seconds: float | None


def test_too_much_is_heard_even_while_play_waits_for_music() -> None:
    with stage() as on:
        on.do(Play())
        on.wait(0.02)
        on.worker.delay = None
        on.worker.die()
        on.wait(9.0)
        on.do(Pause(), Play())
        on.wait(0.5)
        assert not on.live.playing

        on.do(TooMuch())
        on.worker.delay = 0.01
        on.worker.answer()
        on.until(lambda: on.live.playing, 3)
        come_round(on)


moods = st.sampled_from([ANXIOUS, CALM, JOYFUL, NEARBY])
events = st.sampled_from([Play(), Pause(), TooMuch(), Play()]) | moods.map(Report) | moods.map(Goal)
deeds = events | st.just(Dies()) | st.sampled_from([None, 0.0, 0.1, 0.4, 2.0]).map(Takes)
waits = st.sampled_from([0.0, 0.0, 0.02, 0.1, 0.5, 3.0, 9.0])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(waits, deeds), max_size=12), st.sampled_from([None, HALF_A_MINUTE]))
def test_no_sequence_of_events_delays_and_deaths_harms_a_session(
    course: list[tuple[float, Event | Dies | Takes]], frames: int | None
) -> None:
    with stage(frames) as on:
        on.do(Play())
        for seconds, deed in course:
            on.wait(seconds)
            if on.live.over.is_set():
                break
            carry_out(on, deed)
            on.check()
        on.worker.delay = 0.01
        on.worker.answer()
        come_round(on)


def carry_out(on: Stage, deed: Event | Dies | Takes) -> None:
    match deed:
        case Takes(seconds):
            on.worker.delay = seconds
            on.worker.answer()
        case Dies() if on.worker.deaths < 2:  # a third over the same work would be one too many
            on.worker.die()
        case Dies():
            pass
        case event:
            on.do(event)


def come_round(on: Stage) -> None:
    """Whatever was before, with a quick worker the music plays on to the end without a hole."""
    on.wait(2.0)
    if on.live.session.phase is not Phase.ENDED:
        on.do(Play())
    on.wait(3.0)
    if not on.live.over.is_set():
        underruns = on.live.mixer.underruns
        on.check()
        assert on.live.playing
        on.wait(8.0)
        assert on.live.mixer.underruns == underruns
    if on.live.session.phase is not Phase.ENDED:
        on.check()
        on.do(Stop())
    on.wait(2.0)
    assert on.live.over.is_set()
    assert on.running.exception() is None


def test_what_becomes_of_a_source_is_told_at_once_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with stage() as on:
        on.wait(1.0)
        on.live.sense(HeartRate(on.clock.now, 70.0, contact=True))
        told: list[str | None] = []
        on.live.on_change.add(lambda: told.extend(source["fault"] for source in on.live.state()["sources"]))

        on.wait(2.0)
        assert told == [None]
        on.wait(12.0)
        assert told[0] is None
        assert set(told[1:]) == {"quiet"}
        assert "nothing heard for" in caplog.text


def test_a_reading_changes_the_music_only_where_it_changes_the_plan() -> None:
    with stage() as on:
        on.do(Play())
        on.wait(5.0)
        cuts = list(on.cuts)
        for second in range(20):
            on.live.sense(HeartRate(on.clock.now, 60.0, (960.0 + 20 * (second % 5),)))
            on.wait(1.0)
        assert on.cuts == cuts
        assert on.live.state()["vitals"]["heart_rate_bpm"] == pytest.approx(60.0, abs=0.5)
