"""The mixer: the same whatever it is asked for, bound in loudness and peak, faded, and never silent at once."""

import numpy as np
import pyloudnorm
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfilt

from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.fader import END_FRAMES
from musicmed_live.core.fill import FILL_FRAMES
from musicmed_live.core.generator import SAMPLE_RATE, Samples, frames_of
from musicmed_live.core.limiter import CEILING
from musicmed_live.core.loudness import AROUSAL_LU, REFERENCE_LUFS, linear
from musicmed_live.core.mixer import GRID, TARGET_LUFS, Mixer
from musicmed_live.core.timeline import Clip, Timeline, Track
from tests.core.sounds import BAR, BEAT, add_beats, largest_step, noise, timeline_of, tone, track_of

QUIET, HOT = 0.1, 4.0  # amplitudes: far below the limiter, and 12 dB above full scale
BASE_GAIN = linear(TARGET_LUFS - REFERENCE_LUFS)
LIMIT = linear(-1.0)


def go_on(timeline: Timeline, position: int, samples: Samples, fade_frames: int = 0) -> None:
    """Cut the timeline at `position` and let it go on with `samples`."""
    timeline.cut(position)
    timeline.append(Clip(position, len(samples), NEUTRAL, NEUTRAL, track_of(samples, position), fade_frames))


def own_step(samples: Samples) -> float:
    """The largest step of the mixed music where nothing happens to it."""
    return largest_step(Mixer(timeline_of(samples)).read(0, len(samples) - GRID))


# The output does not depend on how it is asked for


def eventful() -> Mixer:
    """Two clips with a fade between them, one too hot; the music is late after them; a fade, and an end."""
    timeline = timeline_of(tone(0, BAR, QUIET))
    go_on(timeline, BAR - BEAT, noise(BAR, 1.0), BEAT // 2)
    mixer = Mixer(timeline, length=2 * BAR)
    mixer.fade(BEAT // 3, BEAT, 0.5)
    mixer.fade(BEAT, BEAT, 1.0)
    return mixer


EVENTFUL = eventful().read(0, 2 * BAR + GRID)


@settings(max_examples=25)
@given(st.lists(st.integers(1, BEAT), max_size=20))
def test_the_output_does_not_depend_on_block_size(sizes: list[int]) -> None:
    mixer, position = eventful(), 0
    for frames in sizes:
        heard = mixer.read(position, frames)
        assert heard.shape == (frames, 2)
        assert np.array_equal(heard, EVENTFUL[position : position + frames])
        position += frames
        if position > len(EVENTFUL) - BEAT:
            break


def test_what_is_read_again_is_the_same() -> None:
    mixer = eventful()
    mixer.read(0, BAR)
    assert np.array_equal(mixer.read(100, 5000), EVENTFUL[100:5100])


def test_what_is_not_forgotten_can_be_read_and_rewound() -> None:
    timeline = timeline_of(tone(0, 2 * BAR))
    mixer = Mixer(timeline)
    heard = mixer.read(0, BAR).copy()
    mixer.forget(BEAT + 1)
    assert np.array_equal(mixer.read(BEAT + 1, 100), heard[BEAT + 1 : BEAT + 101])
    go_on(timeline, 2 * BEAT, tone(0, BAR, hz=330))
    mixer.rewind(2 * BEAT)
    assert np.array_equal(mixer.read(BEAT + 1, BEAT - 1), heard[BEAT + 1 : 2 * BEAT])


# Rewinding


@settings(max_examples=25)
@given(st.integers(0, BAR), st.integers(0, BAR), st.integers(0, BEAT))
def test_after_a_rewind_it_sounds_as_if_it_had_always_been_so(position: int, mixed: int, fade_frames: int) -> None:
    timeline, planned_so = timeline_of(tone(0, 2 * BAR)), timeline_of(tone(0, 2 * BAR))
    mixer = Mixer(timeline)
    mixer.read(0, max(1, mixed))
    for one in (timeline, planned_so):
        go_on(one, position, tone(position, 2 * BAR, hz=330), fade_frames)
    mixer.rewind(position)
    expected = Mixer(planned_so).read(position, BAR)
    assert np.array_equal(mixer.read(position, BAR), expected)


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, 3 * BEAT), st.integers(1, BEAT)), min_size=1, max_size=4),
    st.sampled_from([QUIET, HOT]),
)
def test_up_to_a_cut_what_was_heard_stays_bit_identical(cuts: list[tuple[int, int]], amplitude: float) -> None:
    timeline = timeline_of(tone(0, 2 * BAR, amplitude))
    mixer, heard, reached = Mixer(timeline), np.zeros((0, 2), np.float32), 0
    for position, ahead in cuts:
        cut = max(reached, position)
        heard = mixer.read(0, cut + 1)[:cut].copy()
        mixer.read(cut, ahead)
        go_on(timeline, cut, tone(cut, 2 * BAR, amplitude, phase=0.1))
        mixer.rewind(cut)
        reached = cut
    assert np.array_equal(mixer.read(0, reached + 1)[:reached], heard)


@pytest.mark.parametrize("amplitude", [QUIET, HOT])
@pytest.mark.parametrize("position", [0, 1, 47, 48, GRID - 1, GRID, BEAT + 1000, BEAT + 1017, BAR])
def test_at_a_cut_it_takes_no_step_larger_than_the_music_does(position: int, amplitude: float) -> None:
    music = tone(0, 2 * BAR, amplitude)
    timeline = timeline_of(music)
    mixer = Mixer(timeline)
    mixer.read(0, position + 3000)
    swell = np.linspace(1.0, 1.5, BAR)[:, None].astype(np.float32)  # the new music goes its own way, from there
    go_on(timeline, position, tone(position, BAR, amplitude) * swell)
    mixer.rewind(position)
    assert largest_step(mixer.read(0, position + BAR - GRID)) <= 1.05 * 1.5 * own_step(music)


@pytest.mark.parametrize("position", [BEAT + 100, BEAT + 1017, BEAT + 2003, BEAT + 4790])
def test_a_cut_to_hotter_music_keeps_the_limiter_on_the_line_that_was_heard(position: int) -> None:
    timeline = timeline_of(tone(0, 2 * BAR, HOT))
    mixer = Mixer(timeline)
    heard = mixer.read(0, BAR).copy()
    swell = 1 + 7 * np.clip(np.arange(BAR) / 240, 0, 1)[:, None].astype(np.float32)
    go_on(timeline, position, tone(position, BAR, HOT) * swell)
    mixer.rewind(position)
    step = mixer.read(position, 1) - heard[position - 1]
    assert np.abs(step - (heard[position] - heard[position - 1])).max() <= 0.01


@pytest.mark.parametrize("later", [BEAT + 51, BEAT + GRID // 2, BEAT + 3 * GRID])
def test_a_change_before_one_that_is_not_mixed_yet_is_heard(later: int) -> None:
    timeline, planned_so, earlier = timeline_of(tone(0, 2 * BAR)), timeline_of(tone(0, 2 * BAR)), BEAT + 50
    mixer = Mixer(timeline)
    mixer.read(0, BAR)
    go_on(timeline, later, tone(later, 2 * BAR, hz=330))
    mixer.rewind(later)
    for one in (timeline, planned_so):
        go_on(one, earlier, tone(earlier, 2 * BAR, hz=440))
    mixer.rewind(earlier)
    assert np.array_equal(mixer.read(earlier, BAR), Mixer(planned_so).read(earlier, BAR))


def test_a_rewind_beyond_what_is_mixed_changes_nothing() -> None:
    mixer = Mixer(timeline_of(tone(0, BAR)))
    mixer.read(0, BEAT)
    end = mixer.end
    mixer.rewind(end + 5)
    assert mixer.end == end


# Loudness and peak


def mixed_noise(gain_db: float, arousal: float, seconds: float) -> tuple[Samples, Samples]:
    """Noise that is `gain_db` off the loudness that its arousal asks for, and what the mixer makes of it."""
    reference = noise(SAMPLE_RATE, 0.05)
    lufs = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(reference.astype(np.float64))
    wanted = REFERENCE_LUFS + AROUSAL_LU * arousal + gain_db
    music = np.tile(reference, (int(seconds) + 1, 1)) * np.float32(linear(wanted - lufs))
    mixer = Mixer(timeline_of(music, Emotion(0.0, arousal)))
    return music[: frames_of(seconds)], mixer.read(0, frames_of(seconds))


def lufs(samples: Samples) -> float:
    return float(pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples.astype(np.float64)))


@pytest.mark.parametrize("arousal", [-1.0, 0.0, 1.0])
def test_music_at_its_reference_plays_at_its_target_from_the_first_second(arousal: float) -> None:
    _, heard = mixed_noise(0.0, arousal, 3.0)
    assert lufs(heard) == pytest.approx(TARGET_LUFS + AROUSAL_LU * arousal, abs=0.2)


@pytest.mark.parametrize(("gain_db", "arousal"), [(4.0, 0.0), (-4.0, 0.8), (3.0, -0.8)])
def test_music_off_its_reference_is_brought_to_its_target_slowly(gain_db: float, arousal: float) -> None:
    music, heard = mixed_noise(gain_db, arousal, 120.0)
    assert lufs(heard[: frames_of(1.0)]) == pytest.approx(TARGET_LUFS + AROUSAL_LU * arousal + gain_db, abs=0.3)
    assert lufs(heard[-frames_of(10.0) :]) == pytest.approx(TARGET_LUFS + AROUSAL_LU * arousal, abs=0.4)
    power = (music**2).reshape(-1, SAMPLE_RATE * 2).sum(axis=1), (heard**2).reshape(-1, SAMPLE_RATE * 2).sum(axis=1)
    gains_db = 10 * np.log10(power[1] / power[0])
    assert np.abs(np.diff(gains_db)).max() <= 0.11  # per second


def test_a_generator_that_is_far_off_is_not_chased_beyond_8_db() -> None:
    music, heard = mixed_noise(-25.0, 0.0, 150.0)
    gain = float(np.abs(heard[-SAMPLE_RATE:]).max() / np.abs(music[-SAMPLE_RATE:]).max())
    assert 7.0 <= 20 * np.log10(gain / BASE_GAIN) <= 8.0


def test_nothing_is_learned_from_silence() -> None:
    silence = np.zeros((20 * SAMPLE_RATE, 2), np.float32)
    music = np.concatenate([silence, noise(SAMPLE_RATE, 0.05)])
    heard = Mixer(timeline_of(music)).read(0, 20 * SAMPLE_RATE + GRID)
    assert not heard[: 20 * SAMPLE_RATE].any()
    assert np.allclose(heard[-GRID:], music[-SAMPLE_RATE:][:GRID] * np.float32(BASE_GAIN), rtol=0.01)


def true_peak(samples: Samples) -> float:
    """By an oversampler that is not the mixer's; without the end, where being cut off rings."""
    return float(np.abs(resample_poly(samples, 4, 1, axis=0)[: -4 * 1000]).max())


@pytest.mark.parametrize("phase", [0.0, np.pi / 4, np.pi / 3])
@pytest.mark.parametrize("hz", [100, 997, 6000, 11_990, 12_000])
def test_a_tone_12_db_too_hot_from_its_first_frame_has_a_true_peak_of_minus_1_db(hz: int, phase: float) -> None:
    swell = np.minimum(1.0, np.arange(BAR) / 24)[:, None].astype(np.float32)
    heard = Mixer(timeline_of(tone(0, BAR, HOT / BASE_GAIN, hz, phase) * swell)).read(0, BAR - GRID)
    assert true_peak(heard) <= LIMIT


@pytest.mark.parametrize("amplitude", [0.5, 1.0, 4.0])
def test_noise_far_too_hot_has_a_true_peak_of_minus_1_db(amplitude: float) -> None:
    audible = butter(8, 18_000, fs=SAMPLE_RATE, output="sos")
    music = sosfilt(audible, noise(BAR, amplitude), axis=0).astype(np.float32)
    assert true_peak(Mixer(timeline_of(music)).read(0, BAR - GRID)) <= LIMIT


def test_a_sudden_burst_has_a_true_peak_of_minus_1_db() -> None:
    music = tone(0, BAR, QUIET)
    music[BEAT + 777 : BEAT + 2000] *= 40
    assert true_peak(Mixer(timeline_of(music)).read(0, BAR - GRID)) <= LIMIT


# Fades


def envelope(heard: Samples, music: Samples) -> NDArray[np.float32]:
    """The gain that the fader gave, at some places."""
    loud = np.abs(music[:, 0]) > 0.05
    gains: NDArray[np.float32] = heard[loud, 0] / music[loud, 0] / np.float32(BASE_GAIN)
    return gains


def test_a_fade_moves_the_output_within_its_frames_and_leaves_it_there() -> None:
    music = tone(0, BAR)
    mixer = Mixer(timeline_of(music))
    mixer.fade(BEAT, BEAT, 0.5)
    heard = mixer.read(0, BAR)
    assert envelope(heard[:BEAT], music[:BEAT]) == pytest.approx(1.0, abs=0.02)
    assert envelope(heard[2 * BEAT :], music[2 * BEAT :]) == pytest.approx(0.5, abs=0.02)
    gains = envelope(heard[BEAT : 2 * BEAT], music[BEAT : 2 * BEAT])
    assert gains.max() <= 1.02
    assert gains.min() >= 0.48
    assert (np.diff(gains) < 1e-3).all()


def test_a_fade_that_is_asked_for_late_changes_only_what_follows() -> None:
    mixer = Mixer(timeline_of(tone(0, BAR)))
    heard = mixer.read(0, BAR - GRID).copy()
    mixer.fade(BEAT + 123, BEAT, 0.0)
    after = mixer.read(0, BAR - GRID)
    assert np.array_equal(after[: BEAT + 123], heard[: BEAT + 123])
    assert not after[2 * BEAT + 123 :].any()
    assert largest_step(after) <= 1.01 * largest_step(heard)


def test_a_fade_in_the_middle_of_another_goes_on_from_the_gain_reached() -> None:
    music = tone(0, BAR)
    mixer = Mixer(timeline_of(music))
    mixer.fade(BEAT, BEAT, 0.0)
    mixer.read(0, 2 * BEAT)
    mixer.fade(BEAT + BEAT // 2, BEAT, 1.0)
    heard = mixer.read(0, BAR - GRID)
    assert largest_step(heard) <= 1.02 * own_step(music)
    assert envelope(heard[3 * BEAT :], music[3 * BEAT : BAR - GRID]) == pytest.approx(1.0, abs=0.02)
    middle = slice(BEAT + BEAT // 2, BEAT + BEAT // 2 + 500)
    assert envelope(heard[middle], music[middle]) == pytest.approx(0.5, abs=0.02)


def test_fades_that_are_over_still_hold_when_what_was_heard_is_forgotten() -> None:
    music = tone(0, 2 * BAR)
    mixer = Mixer(timeline_of(music))
    mixer.fade(BEAT, BEAT, 0.5)
    mixer.fade(2 * BEAT, BEAT, 0.25)
    mixer.read(0, BAR)
    mixer.forget(BAR)
    heard = mixer.read(BAR, BAR - GRID)
    assert envelope(heard, music[BAR : 2 * BAR - GRID]) == pytest.approx(0.25, abs=0.02)


def test_a_session_fades_out_to_its_end_and_is_silent_from_there_on() -> None:
    music = tone(0, 4 * BAR)
    heard = Mixer(timeline_of(music), length=2 * BAR + 100).read(0, 3 * BAR)
    assert not heard[2 * BAR + 100 :].any()
    assert np.abs(heard[2 * BAR - 400 : 2 * BAR + 100]).max() < 1e-3
    assert envelope(heard[: BAR // 2], music[: BAR // 2]) == pytest.approx(1.0, abs=0.02)
    assert 2 * BAR - END_FRAMES > BAR // 2
    assert largest_step(heard) <= 1.01 * own_step(music)


def test_a_session_may_take_its_time_to_end() -> None:
    music = tone(0, 4 * BAR)
    heard = Mixer(timeline_of(music), length=3 * BAR, ending_frames=2 * BAR).read(0, 3 * BAR + BEAT)
    assert envelope(heard[:BAR], music[:BAR]) == pytest.approx(1.0, abs=0.02)
    halfway = slice(2 * BAR - 500, 2 * BAR + 500)
    assert envelope(heard[halfway], music[halfway]) == pytest.approx(0.5, abs=0.02)
    assert not heard[3 * BAR :].any()


@pytest.mark.parametrize("length", [None, 4 * BAR, 2 * BAR + BEAT])
def test_an_end_may_come_earlier_and_changes_only_what_follows(length: int | None) -> None:
    music = tone(0, 4 * BAR)
    mixer = Mixer(timeline_of(music), length, BAR)
    heard = mixer.read(0, 3 * BAR).copy()
    mixer.end_at(2 * BAR, BEAT)
    after = mixer.read(0, 3 * BAR)
    assert np.array_equal(after[: 2 * BAR - BEAT], heard[: 2 * BAR - BEAT])
    assert not after[2 * BAR :].any()
    assert largest_step(after) <= 1.01 * own_step(music)
    assert mixer.ready_until(0) == 2 * BAR


def test_a_later_end_changes_nothing() -> None:
    mixer = Mixer(timeline_of(tone(0, 4 * BAR)), 2 * BAR, BEAT)
    heard = mixer.read(0, 3 * BAR).copy()
    mixer.end_at(3 * BAR, BEAT)
    assert np.array_equal(mixer.read(0, 3 * BAR), heard)


def test_another_mixer_that_goes_on_ends_just_as_this_one() -> None:
    timeline = timeline_of(tone(0, 6 * BAR))
    mixer = Mixer(timeline, 6 * BAR, 5 * BAR)
    mixer.end_at(5 * BAR, 2 * BAR)  # below which the first ending goes on
    position = 4 * BAR - 4 * BAR % GRID
    heard = mixer.read(0, 6 * BAR)
    other = Mixer(timeline, 5 * BAR, 5 * BAR)
    other.begin_at(position, mixer.level_at(position), BEAT)
    assert np.abs(other.read(position + BEAT, BAR) - heard[position + BEAT : position + BEAT + BAR]).max() < 1e-4


def test_an_end_is_not_a_late_generator() -> None:
    mixer = Mixer(timeline_of(tone(0, BAR)), length=BAR)
    mixer.read(0, 3 * BAR)
    assert mixer.underruns == 0


# The music is late


def late(frames: int, amplitude: float = QUIET) -> tuple[Timeline, Track]:
    """A timeline that is planned on, but composed for `frames` only."""
    track = track_of(tone(0, frames, amplitude))
    timeline = Timeline()
    timeline.append(Clip(0, 60 * SAMPLE_RATE, NEUTRAL, NEUTRAL, track))
    return timeline, track


LATE = 2 * BAR + 777


def test_when_the_music_is_late_the_last_bar_repeats_and_fades_within_8_s() -> None:
    mixer = Mixer(late(2 * BAR)[0])
    heard = mixer.read(0, 2 * BAR + FILL_FRAMES + SAMPLE_RATE)
    assert mixer.filling
    fill = heard[2 * BAR : 2 * BAR + FILL_FRAMES]
    settled = slice(BEAT // 8, BAR - BEAT)
    gain = 1 - (np.arange(FILL_FRAMES) / FILL_FRAMES)[settled]
    assert np.allclose(fill[settled], heard[BAR : 2 * BAR][settled] * gain[:, None], atol=1e-3)
    second = slice(BAR + BEAT // 8, 2 * BAR - BEAT)
    assert np.abs(fill[second]).max() > 0.5 * np.abs(heard[:BAR]).max()
    assert not heard[2 * BAR + FILL_FRAMES :].any()


@pytest.mark.parametrize("frames", [1, 100, GRID, BEAT, BAR, LATE, 3 * BAR + BEAT])
def test_a_fill_takes_no_step_larger_than_the_music_does(frames: int) -> None:
    heard = Mixer(late(frames)[0]).read(0, frames + FILL_FRAMES + GRID)
    assert largest_step(heard) <= 1.5 * own_step(tone(0, BAR))


def test_where_nothing_was_ever_heard_it_is_silent() -> None:
    mixer = Mixer(Timeline())
    assert not mixer.read(0, BAR).any()
    assert mixer.underruns == 1


@pytest.mark.parametrize("back", [LATE + 1, LATE + GRID, LATE + BAR, LATE + FILL_FRAMES + BAR])
@pytest.mark.parametrize("amplitude", [QUIET, HOT])
def test_the_music_comes_back_without_a_step_and_is_counted_late_once(back: int, amplitude: float) -> None:
    timeline, track = late(LATE, amplitude)
    mixer = Mixer(timeline)
    mixer.read(0, back)
    assert mixer.filling
    assert mixer.underruns == 1
    add_beats(track, LATE, tone(LATE, FILL_FRAMES + 10 * BAR, amplitude))
    heard = mixer.read(0, back + 2 * BAR)
    assert not mixer.filling
    assert mixer.underruns == 1
    assert largest_step(heard) <= 1.5 * own_step(tone(0, BAR, amplitude))
    resumed = back + 2 * GRID + min(BAR, (back - LATE) * BAR // FILL_FRAMES)
    known = tone(resumed, BAR, amplitude)
    if amplitude == QUIET:
        assert envelope(mixer.read(resumed, BAR), known) == pytest.approx(1.0, abs=0.03)


def test_after_silence_the_music_comes_back_slowly() -> None:
    timeline, track = late(LATE)
    mixer, back = Mixer(timeline), LATE + FILL_FRAMES + BAR
    mixer.read(0, back)
    music = tone(LATE, FILL_FRAMES + 10 * BAR)
    add_beats(track, LATE, music)
    heard = mixer.read(mixer.end, BAR)
    tenths = np.sqrt((heard**2).reshape(-1, GRID * 2).mean(axis=1)) / np.sqrt((music**2).mean()) / BASE_GAIN
    assert tenths[0] < 0.1
    assert tenths[len(tenths) // 2] < 0.8
    assert (np.diff(tenths) < 0.1).all()
    assert tenths[-1] > 0.9


@pytest.mark.parametrize("composed", [BEAT // 2, BEAT, 2 * BEAT])
def test_music_that_is_late_again_while_it_comes_back_takes_no_step(composed: int) -> None:
    timeline, track = late(LATE)
    mixer, back = Mixer(timeline), LATE + FILL_FRAMES + BAR
    mixer.read(0, back)
    add_beats(track, LATE, tone(LATE, back - LATE + composed))
    heard = mixer.read(0, back + 2 * BAR)
    assert mixer.underruns == 2
    assert largest_step(heard) <= 1.5 * own_step(tone(0, BAR))
    again = back + composed
    before, after = (np.sqrt((heard[a : a + GRID] ** 2).mean()) for a in (again - GRID, again + GRID))
    assert after <= 1.15 * before, "what repeats is louder than what had come back"


def test_music_that_is_late_twice_is_counted_twice() -> None:
    timeline, track = late(BAR)
    mixer = Mixer(timeline)
    mixer.read(0, 2 * BAR)
    add_beats(track, BAR, tone(BAR, 2 * BAR))
    heard = mixer.read(0, 4 * BAR)
    assert mixer.underruns == 2
    assert largest_step(heard) <= 1.5 * own_step(tone(0, BAR))


@pytest.mark.parametrize("position", [LATE + 30, LATE + GRID, LATE + BAR])
@pytest.mark.parametrize("music_is_back", [False, True])
def test_a_fade_during_a_fill_takes_no_step_and_counts_no_second_time(position: int, music_is_back: bool) -> None:
    timeline, track = late(LATE)
    mixer = Mixer(timeline)
    mixer.read(0, position + 2 * GRID)
    if music_is_back:
        add_beats(track, LATE, tone(LATE, 10 * BAR))
    mixer.fade(position, BEAT, 0.9)
    heard = mixer.read(0, position + 2 * BAR)
    assert mixer.underruns == 1
    assert mixer.filling is not music_is_back
    assert largest_step(heard) <= 1.5 * own_step(tone(0, BAR))


# Whatever happens


SPLICE_FRAMES = BEAT // 4

Deed = tuple[str, int, int]
deeds = st.lists(
    st.tuples(
        st.sampled_from(["hear", "compose", "cut", "fade", "splice"]), st.integers(0, BEAT // 2), st.integers(1, BEAT)
    ),
    min_size=3,
    max_size=12,
)


LATE_AGAIN_WHILE_BACK: list[Deed] = [("cut", 0, 1), ("hear", 0, 1), ("hear", 0, 1), ("compose", 0, 1)]


class Life:
    """What a live session does to a timeline and a mixer, with a tone for music."""

    def __init__(self, amplitude: float) -> None:
        self.amplitude = amplitude
        self.timeline, self.track = late(BEAT, amplitude)
        self.mixer = Mixer(self.timeline)
        self.heard = self.mixer.read(0, BEAT // 2).copy()

    def do(self, deed: str, offset: int, frames: int) -> None:
        position = len(self.heard) + offset
        match deed:
            case "hear":
                self.heard = np.concatenate([self.heard, self.mixer.read(len(self.heard), frames)])
            case "compose":
                self.compose(self.track.end, frames)
            case "fade":
                self.mixer.fade(position, 4800 + frames, (offset % 3) / 2)
            case "cut":
                position = max(len(self.heard), min(position, self.track.end))
                below = self.timeline.clip_at(position)
                if below is not None and below.track is self.track and below.position < position:
                    self.track.cut(position)
                    self.go_on(position, frames, 0)
                else:  # nothing of this thread is heard yet that could go on
                    self.do("splice", offset, frames)
            case "splice" if self.track.end >= position + SPLICE_FRAMES:
                self.track = Track()
                self.go_on(position, frames, SPLICE_FRAMES)

    def compose(self, position: int, frames: int) -> None:
        add_beats(self.track, position, tone(position, frames, self.amplitude))

    def go_on(self, position: int, frames: int, fade_frames: int) -> None:
        self.timeline.cut(position)
        self.timeline.append(Clip(position, 60 * SAMPLE_RATE, NEUTRAL, NEUTRAL, self.track, fade_frames))
        self.compose(position, frames)
        self.mixer.rewind(position)


@settings(max_examples=60)
@given(deeds, st.sampled_from([QUIET, HOT]))
@example([*LATE_AGAIN_WHILE_BACK, ("cut", 0, 2398)], QUIET)
@example([*LATE_AGAIN_WHILE_BACK, ("cut", 0, 4800)], QUIET)
@example([("cut", 0, 1), ("hear", 0, 11762), ("cut", 0, 1), ("compose", 0, 14637), ("hear", 0, 1200)], QUIET)
@example([("hear", 0, 25898), ("cut", 0, 7017), ("hear", 0, 503), ("cut", 10, 447)], HOT)
def test_whatever_happens_nothing_clicks_and_what_was_heard_stays(deeds: list[Deed], amplitude: float) -> None:
    life = Life(amplitude)
    for deed in deeds:
        life.do(*deed)
    life.do("hear", 0, BEAT)
    assert np.array_equal(life.heard, life.mixer.read(0, len(life.heard)))
    assert np.abs(life.heard).max() <= np.float32(CEILING)
    # Fades of music over itself bulge, and a fill leads its offset out: that adds to the slope, but takes no step.
    assert largest_step(life.heard) <= 3.0 * own_step(tone(0, BAR, amplitude))
