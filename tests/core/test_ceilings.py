"""Ceilings: no 3 s are louder than they allow, whatever the music does, and the gain that sees to it never jumps."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from musicmed_live.core.ceilings import LOWERING_FRAMES, OPEN, TOLERANCE_LU, Ceilings
from musicmed_live.core.emotion import NEUTRAL
from musicmed_live.core.generator import SAMPLE_RATE, Samples, frames_of
from musicmed_live.core.loudness import REFERENCE_LUFS, linear
from musicmed_live.core.mixer import GRID, TARGET_LUFS, Mixer
from musicmed_live.core.timeline import Clip, Timeline, Track
from tests.core.sounds import a_weighted, add_beats, k_weighted, noise, timeline_of

Weighting = Callable[[Samples], NDArray[np.float64]]

SECOND = SAMPLE_RATE
HOP = 480  # 10 ms
NOISE = noise(SECOND, 1.0)
NOISE_LUFS = float(-0.691 + 10 * np.log10((k_weighted(NOISE) ** 2).mean(axis=0).sum()))


def passages(*levels_lufs: float, seconds: float = 4.0) -> Samples:
    """Noise whose loudness changes at once from passage to passage, as the mixer would play it."""
    gains = [linear(level + REFERENCE_LUFS - TARGET_LUFS - NOISE_LUFS) for level in levels_lufs]
    frames = frames_of(seconds)
    repeated = np.tile(NOISE, (math.ceil(seconds), 1))[:frames]
    return np.concatenate([repeated * np.float32(gain) for gain in gains])


def short_term(heard: Samples, weighted: Weighting, seconds: float = 3.0) -> NDArray[np.float64]:
    """Mean squares over every window of so many seconds, in dB, a hop apart; by filters that are not the mixer's."""
    power = (weighted(heard) ** 2).sum(axis=1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    width = min(len(heard), frames_of(seconds))
    windows = total[width::HOP] - total[: len(total) - width : HOP]
    return np.asarray(10 * np.log10(np.maximum(windows / width, 1e-12)))


def lufs(heard: Samples, seconds: float = 3.0) -> NDArray[np.float64]:
    return short_term(heard, k_weighted, seconds) - 0.691


def gains_db(heard: Samples, music: Samples) -> NDArray[np.float64]:
    """What was done to the music beside the target's gain, in dB, ten times a second."""
    power = [(each.astype(np.float64) ** 2).reshape(-1, GRID * 2).sum(axis=1) for each in (heard, music)]
    return np.asarray(10 * np.log10(power[0] / power[1]) + REFERENCE_LUFS - TARGET_LUFS)


def played(music: Samples, ceilings: Ceilings) -> Samples:
    mixer = Mixer(timeline_of(music))
    mixer.limit(0, ceilings)
    return mixer.read(0, len(music) - GRID)


@pytest.mark.parametrize("ceiling", [-45.0, -35.0, -28.0])
def test_loud_music_plays_at_the_ceiling_from_its_first_frame_on(ceiling: float) -> None:
    heard = played(passages(-20.0, -20.0), Ceilings(lufs=ceiling))
    assert lufs(heard).max() <= ceiling + TOLERANCE_LU
    assert lufs(heard, 0.4).max() <= ceiling + TOLERANCE_LU
    assert lufs(heard).min() >= ceiling - 1.0


def test_music_below_the_ceiling_is_left_alone() -> None:
    music = passages(-30.0, -26.0, -40.0)
    assert np.array_equal(played(music, Ceilings(lufs=-25.0)), played(music, OPEN))


def test_a_ceiling_on_the_a_weighted_level_holds_where_there_is_none_on_loudness() -> None:
    heard = played(passages(-20.0, -14.0, -30.0, -18.0), Ceilings(dbfs_a=-35.0))
    assert short_term(heard, a_weighted).max() <= -35.0 + TOLERANCE_LU
    assert short_term(heard, a_weighted).max() >= -36.0


@settings(max_examples=12)
@given(st.lists(st.floats(-60.0, -5.0), min_size=2, max_size=6), st.floats(0.3, 4.0), st.floats(-45.0, -14.0))
@example([-60.0, -5.0, -60.0, -5.0], 0.8, -45.0)
@example([-60.0, -5.0], 4.0, -45.0)
def test_no_3_s_are_louder_than_the_ceiling(levels: list[float], seconds: float, ceiling: float) -> None:
    music = np.concatenate([passages(*levels, seconds=seconds), passages(levels[0])])
    assert lufs(played(music, Ceilings(lufs=ceiling))).max() <= ceiling + TOLERANCE_LU


def test_a_louder_passage_that_is_composed_in_time_is_met_at_2_db_a_second() -> None:
    music = passages(-32.0, -26.0, -32.0)
    gains = gains_db(played(music, Ceilings(lufs=-30.0)), music[:-GRID])
    assert gains.min() == pytest.approx(-4.0, abs=0.4)
    assert np.diff(gains).min() >= -0.23  # of which 0.1 dB a second may be the servo's
    assert np.diff(gains).max() <= 0.065


def test_where_it_has_to_fall_by_more_it_falls_evenly() -> None:
    music = passages(-50.0, -20.0)
    gains = gains_db(played(music, Ceilings(lufs=-40.0)), music[:-GRID])
    assert gains.min() == pytest.approx(-20.0, abs=0.5)
    assert np.diff(gains).min() >= -20.0 / 30 - 0.1


# While it plays


@pytest.mark.parametrize("seconds", [3.0, 10.0])
def test_a_ceiling_that_is_lowered_comes_down_without_a_jump_and_in_its_time(seconds: float) -> None:
    music = passages(-23.0, seconds=24.0)
    mixer = Mixer(timeline_of(music))
    heard = mixer.read(0, frames_of(6.0)).copy()
    now = frames_of(5.0) + 1234
    mixer.limit(now, Ceilings(lufs=-35.0), frames_of(seconds))
    after = mixer.read(0, len(music) - GRID)
    assert np.array_equal(after[:now], heard[:now])
    assert lufs(after[now + frames_of(seconds) + GRID :]).max() <= -35.0 + TOLERANCE_LU
    falls = np.diff(gains_db(after, music[:-GRID]))
    assert falls.min() >= -12.0 / (10 * seconds) - 0.2
    assert falls[frames_of(5.5) // GRID : frames_of(4.5 + seconds) // GRID].max() < 0.0


def test_a_ceiling_that_is_raised_or_lifted_lets_the_music_rise_by_half_a_db_a_second() -> None:
    music = passages(-23.0, seconds=30.0)
    mixer = Mixer(timeline_of(music))
    mixer.limit(0, Ceilings(lufs=-35.0))
    mixer.limit(frames_of(4.0), OPEN)
    gains = gains_db(mixer.read(0, len(music) - GRID), music[:-GRID])
    assert np.diff(gains).max() <= 0.065
    assert gains[-1] == pytest.approx(0.0, abs=0.1)


def test_the_same_is_heard_whatever_is_asked_for_at_once() -> None:
    music = passages(-40.0, -20.0, -35.0, seconds=2.0)
    whole = played(music, Ceilings(lufs=-32.0))
    mixer = Mixer(timeline_of(music))
    mixer.limit(0, Ceilings(lufs=-32.0))
    pieces = [mixer.read(position, 777) for position in range(0, len(whole) - 777, 777)]
    joined = np.concatenate(pieces)
    assert np.array_equal(joined, whole[: len(joined)])


def test_energies_are_those_of_what_is_heard() -> None:
    mixer = Mixer(timeline_of(passages(-23.0, seconds=8.0)))
    heard = mixer.read(0, frames_of(5.0))
    energies = mixer.energies(frames_of(2.0), frames_of(5.0))
    assert len(energies) == 30
    k, a = (10 * np.log10(sum(getattr(each, name) for each in energies) / 30) for name in ("k", "a"))
    assert k - 0.691 == pytest.approx(lufs(heard)[-1], abs=0.05)
    assert a == pytest.approx(short_term(heard, a_weighted)[-1], abs=0.05)
    mixer.forget(frames_of(4.0))
    assert len(mixer.energies(0, frames_of(5.0))) == 40


Deed = tuple[str, float, float]
deeds = st.lists(
    st.tuples(st.sampled_from(["hear", "compose", "cut", "limit"]), st.floats(0.02, 1.5), st.floats(-50.0, -8.0)),
    min_size=4,
    max_size=14,
)


class Life:
    """What a live session does, with music of any loudness, and a ceiling that changes."""

    def __init__(self) -> None:
        self.timeline, self.track = Timeline(), Track()
        self.timeline.append(Clip(0, 600 * SECOND, NEUTRAL, NEUTRAL, self.track))
        self.mixer = Mixer(self.timeline)
        self.heard = 0
        self.allowed: list[tuple[int, float]] = []  # from where on, once it has come down
        self.limit(-30.0)
        self.compose(0, 1.0, -20.0)

    def do(self, deed: str, seconds: float, level: float) -> None:
        match deed:
            case "hear":
                self.heard += frames_of(seconds)
                self.mixer.read(self.heard, 1)
            case "compose":
                self.compose(self.track.end, 2 * seconds, level)
            case "cut":
                position = self.heard + frames_of(seconds / 10)
                self.timeline.cut(position)
                self.track = Track()
                self.timeline.append(Clip(position, 600 * SECOND, NEUTRAL, NEUTRAL, self.track, 0))
                self.compose(position, seconds, level)
                self.mixer.rewind(position)
            case "limit":
                self.limit(level)

    def compose(self, position: int, seconds: float, level: float) -> None:
        if position + frames_of(seconds) > max(position, self.heard):
            add_beats(self.track, position, passages(level, seconds=seconds))

    def limit(self, ceiling: float) -> None:
        ceiling = min(-14.0, ceiling)
        self.mixer.limit(self.heard, Ceilings(lufs=ceiling))
        self.allowed.append((self.heard, ceiling))


@settings(max_examples=25)
@given(deeds)
@example([("cut", 1.0, -34.0), ("hear", 0.03125, -8.0), ("cut", 1.0, -8.0), ("hear", 1.0, -8.0)])
def test_whatever_happens_the_ceiling_that_holds_is_kept(deeds: list[Deed]) -> None:
    life = Life()
    for deed in deeds:
        life.do(*deed)
    heard = life.mixer.read(0, life.heard + 4 * SECOND)
    for k, level in enumerate(lufs(heard)):
        start, end = k * HOP, k * HOP + frames_of(3.0)
        until = [*(since for since, _ in life.allowed[1:]), len(heard)]
        allowed = [
            ceiling
            for (since, ceiling), ended in zip(life.allowed, until, strict=True)
            if since < end and start < ended + LOWERING_FRAMES + GRID
        ]
        assert level <= max(allowed) + TOLERANCE_LU
