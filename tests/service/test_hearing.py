"""Whether the music carries what was asked for: clips are tried before they are played, and nothing waits for that."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.events import Event, Pause, Play, Report, TooMuch
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Pace, frames_of
from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.service import voices
from musicmed_live.service.hearing import BEGINNING_FRAMES
from tests.service.stage import ANXIOUS, CALM, JOYFUL, FreeGenerator, FreeVoice, Stage, stage

A_MINUTE = frames_of(60.0)
ON_A_GPU = Pace(30.0, 0.08)


def play(on: Stage, seconds: float) -> None:
    on.do(Play())
    on.until(lambda: on.live.playing)
    on.wait(seconds)
    on.check()


def off(on: Stage, valence: float) -> None:
    """From now on everything sounds like that."""
    on.listener.verdict = lambda _: Judgement(Emotion(valence, 0.0), 0.25, 0.25)


def judged(on: Stage) -> list[bool]:
    return [clip.heard is not None for clip in on.live.timeline.clips]


def test_the_next_clip_is_tried_before_anybody_hears_it() -> None:
    with stage() as on:
        off(on, -0.6)
        play(on, 22.5)
        following = on.live.timeline.clips[-1]
        assert following.position > on.live.heard and following.heard is not None
        assert following.track.end > following.position
        told = on.live.state()["clip"]["heard"]
        assert told["valence"] == -0.6, "the first one was judged by its beginning"
        assert on.live.mixer.underruns == 0


def test_a_clip_that_misses_is_asked_for_beside_the_mark_and_still_said_to_be_what_was_asked_for() -> None:
    with stage(start=CALM) as on:
        answers = iter((-0.1, 0.0, 0.1))
        on.listener.verdict = lambda _: Judgement(Emotion(next(answers), CALM.arousal), 0.25, 0.25)
        play(on, 25.0)
        clip = on.live.timeline.clips[-1]
        assert clip.emotion == CALM
        assert clip.heard is not None and clip.heard.emotion.valence == 0.1
        request = voices._voices["s composer"]._last  # type: ignore[attr-defined]
        assert request.end.valence > CALM.valence


def test_the_first_clip_and_one_that_a_cut_begins_are_judged_by_their_beginning() -> None:
    with stage() as on:
        off(on, 0.5)
        play(on, 4.0)
        assert judged(on) == [True]
        on.do(Report(JOYFUL))
        on.until(lambda: len(on.cuts) == 1)
        assert not judged(on)[-1]
        on.wait(5.0)
        assert judged(on)[-1]
        assert {len(sound) for sound in on.listener.heard} == {BEGINNING_FRAMES}


def test_music_that_is_wanted_now_does_not_wait_for_a_trial() -> None:
    with stage() as on:
        play(on, 18.0)
        on.listener.delay = 30.0
        on.until(lambda: on.live._music.hearing._limit is not None)
        position = on.do(Report(JOYFUL))
        on.until(lambda: on.cuts)
        assert on.cuts[-1][0] - position < frames_of(2.2)
        on.wait(3.0)
        on.check()


def test_a_trial_that_takes_too_long_is_left_off_before_the_music_is_late() -> None:
    with stage() as on:
        on.listener.delay = 60.0
        play(on, 40.0)
        assert on.live.mixer.underruns == 0
        assert not any(judged(on))
        on.wait(30.0)
        assert on.live.mixer.underruns == 0


def test_a_worker_that_dies_over_a_rehearsal_costs_no_more_than_at_any_other_time() -> None:
    with stage() as on:
        play(on, 18.0)
        on.worker.delay = 0.005
        on.until(lambda: on.worker.busy_with is voices.rehearse_on)
        on.worker.die()
        on.wait(12.0)
        on.check()
        assert on.live.mixer.underruns == 0
        assert on.live.playing


def test_of_several_takes_the_best_is_played() -> None:
    with stage(chosen=FreeGenerator(ON_A_GPU, takes=3)) as on:
        on.listener.verdict = loudness_of_the_second
        play(on, 24.0)
        assert on.generator["name"] == "musicgen"
        voice = voices._voices["s musicgen"]
        assert voice._seed == 1 + 20  # type: ignore[attr-defined]
        assert on.live.bridges == 0 and on.live.mixer.underruns == 0


def loudness_of_the_second(mono: Mono) -> Judgement:
    """Likes what is tuned 20 Hz higher than the first take, and not 40 Hz."""
    spectrum = np.abs(np.fft.rfft(mono[:SAMPLE_RATE]))
    hz = float(spectrum.argmax())
    wanted = 500 + 100 * ANXIOUS.valence + 1 + 20
    return Judgement(Emotion(ANXIOUS.valence, max(-1.0, ANXIOUS.arousal - 0.01 * abs(hz - wanted))), 0.25, 0.25)


def test_a_report_after_a_choice_reaches_back_before_it() -> None:
    with stage(chosen=FreeGenerator(ON_A_GPU, takes=3)) as on:
        off(on, 0.0)
        play(on, 20.0)
        on.until(lambda: len(on.live.timeline.clips) == 2)
        on.wait(0.2)
        position = on.do(Report(JOYFUL))
        on.until(lambda: on.cuts)
        assert on.cuts[-1][0] - position < frames_of(1.0)
        assert on.live.bridges == 0
        on.wait(20.0)
        on.check()


def test_what_a_patient_is_compared_with_is_what_the_music_expresses() -> None:
    heard = Judgement(Emotion(-1.0, 0.6), 0.05, 0.05)
    with stage(start=ANXIOUS) as on:
        on.listener.verdict = lambda _: heard
        play(on, 4.0)
        clip = on.live.timeline.clips[0]
        assert clip.heard is heard
        assert clip.emotion_at(on.live.heard).valence == pytest.approx(-0.6)
        assert clip.expressed_at(on.live.heard).valence == pytest.approx(-0.6 - 0.4 * 0.25**2 / (0.25**2 + 0.15**2))


def test_a_report_before_the_first_music_does_not_keep_anybody_from_making_it() -> None:
    with stage() as on:
        on.do(Report(JOYFUL), Play())
        on.until(lambda: on.live.playing)
        on.wait(5.0)
        on.check()


def test_a_worker_that_dies_over_the_first_block_while_a_report_waits_is_got_over() -> None:
    with stage() as on:
        on.worker.delay = None
        on.until(lambda: on.worker.busy_with is voices.open_voice)
        on.worker.answer()
        on.until(lambda: on.worker.busy_with is voices.begin_clip)
        on.do(Play(), Report(JOYFUL))
        on.worker.delay = 0.01
        on.worker.die()
        on.until(lambda: on.live.playing)
        on.wait(5.0)
        on.check()


class Cramped(FreeVoice):
    """Finds room for one take only."""

    def rehearse(self, request: ClipRequest, takes: int) -> Iterator[Sequence[Block]]:
        return super().rehearse(request, 1)


class CrampedGenerator(FreeGenerator):
    """Opens such voices."""

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> Cramped:
        return Cramped(seed, position, memory)


def test_where_there_is_room_for_one_take_that_one_is_played() -> None:
    with stage(chosen=CrampedGenerator(ON_A_GPU, takes=4)) as on:
        off(on, -0.6)
        play(on, 45.0)
        assert on.generator["name"] == "musicgen"
        assert all(judged(on))
        assert on.live.bridges == 0


def test_a_generator_that_is_hardly_faster_than_it_is_heard_tries_nothing() -> None:
    with stage(chosen=FreeGenerator(Pace(1.7, 0.5), takes=4)) as on:
        off(on, -0.6)
        play(on, 45.0)
        assert on.generator["name"] == "musicgen"
        assert {len(sound) for sound in on.listener.heard} == {BEGINNING_FRAMES}, "judged by their beginnings"


def test_what_a_trial_that_is_cut_off_has_found_is_kept() -> None:
    with stage(start=CALM) as on:
        answers = iter((CALM.valence, -0.3))
        on.listener.verdict = lambda _: Judgement(Emotion(next(answers, -0.3), CALM.arousal), 0.25, 0.25)
        play(on, 18.0)
        on.listener.delay = 0.1
        on.until(lambda: len(on.listener.heard) == 2)  # the beginning, and the first try
        on.listener.delay = 30.0  # the second takes too long
        on.wait(8.0)
        clip = on.live.timeline.clips[-1]
        assert clip.heard is not None and clip.heard.emotion.valence == -0.3
        assert on.live.mixer.underruns == 0


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.0, 8.0), st.sampled_from([Report(JOYFUL), Report(CALM), TooMuch(), Pause(), Play()]))
    ),
    st.floats(0.0, 6.0),
    st.sampled_from([0.0, 0.003, 0.02]),
    st.sampled_from([None, 0, 3]),
)
def test_whatever_happens_while_clips_are_tried_the_music_goes_on(
    events: list[tuple[float, Event]], judging: float, composing: float, takes: int | None
) -> None:
    chosen = None if takes is None else FreeGenerator(ON_A_GPU, takes)
    with stage(chosen=chosen) as on:
        off(on, 0.3)
        on.listener.delay, on.worker.delay = judging, composing
        on.do(Play())
        on.wait(17.0)
        for seconds, event in events:
            on.do(event)
            on.wait(seconds)
            on.check()
        on.do(Play())
        on.wait(25.0)
        on.check()
        assert on.live.playing
        assert on.live.mixer.underruns == 0
