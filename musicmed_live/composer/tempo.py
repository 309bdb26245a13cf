"""Tempo: how many bars a clip holds, and where its beats fall.

A clip of 30 s holds n bars of 4/4, n = 7.6 + 4.1 (a + 1) + 0.5 v rounded, which is 8n beats a minute: from 57 BPM in
calm to 130 BPM in excitement. The clip opens in the tempo that sounded before it, eases into its own during its
first eighth, and ends exactly with a bar. Limits go before all of that: the tempo may leap to keep them.
"""

import math
from dataclasses import dataclass

from musicmed_live.core.bounds import Interval
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, frames_of

BEATS_PER_BAR = 4
PLANNING_FRAMES = frames_of(30.0)  # bars are counted per stretch of this length
MAX_CHANGE = 2.0  # bars per 30 s from clip to clip, unless the emotion jumps
EASING_SHARE = 1 / 8  # of the clip
ROUNDING_TOLERANCE = 0.15  # whole bars may bend the tempo by this much; else the last bar is cut short


@dataclass(frozen=True, slots=True)
class TempoPlan:
    """The beats of one clip. Rates are in beats per frame: `opening` eases linearly into `steady`."""

    position: int  # frame at which the clip begins
    frames: int
    beats: int  # in the whole clip, >= 1
    opening: float
    steady: float

    @property
    def bar_rate(self) -> float:
        """Bars per 30 s over the whole clip."""
        return self.beats / BEATS_PER_BAR * PLANNING_FRAMES / self.frames

    def rate_at(self, position: int) -> float:
        """Beats per frame at `position`."""
        easing = self.frames * EASING_SHARE
        share = min(1.0, max(0.0, (position - self.position) / easing))
        return self.opening + (self.steady - self.opening) * share

    def tempo_bpm(self, position: int) -> float:
        """Beats per minute at `position`."""
        return self.rate_at(position) * 60 * SAMPLE_RATE

    def bars(self) -> list[tuple[int, ...]]:
        """Each bar's beat positions and the position where it ends; only the last may have fewer than 4 beats."""
        grid = [self.position + self._frame_of(beat) for beat in range(self.beats + 1)]
        return [tuple(grid[at : at + BEATS_PER_BAR + 1]) for at in range(0, self.beats, BEATS_PER_BAR)]

    def _frame_of(self, beat: int) -> int:
        if beat == self.beats:
            return self.frames
        easing = self.frames * EASING_SHARE
        eased_beats = easing * (self.opening + self.steady) / 2
        if beat > eased_beats:
            return round(easing + (beat - eased_beats) / self.steady)
        acceleration = (self.steady - self.opening) / easing
        # the root of opening * t + acceleration * t^2 / 2 = beat, in the form that stays exact near 0
        return round(2 * beat / (self.opening + math.sqrt(self.opening**2 + 2 * acceleration * beat)))


def bars_per_30_s(emotion: Emotion) -> float:
    """The pace of an emotion: 7.1 (sad, calm) .. 16.3 (joyful, excited) bars of 4/4 in 30 s."""
    return 7.6 + 4.1 * (emotion.arousal + 1) + 0.5 * emotion.valence


def plan_tempo(
    position: int,
    frames: int,
    emotion: Emotion,
    previous: TempoPlan | None = None,
    jump: bool = False,
    limits_bpm: Interval | None = None,
) -> TempoPlan:
    """Lay out a clip of `frames` (> 0) that begins at `position`, where `previous` (if any) was playing.

    Unless the emotion makes a `jump`, the pace moves by at most 2 bars per 30 s against `previous`. With `limits_bpm`,
    the lowest and the highest tempo, no beat is told to be slower or faster; in a clip of less than 6 s that no number
    of beats between the two fills, the last beat is held.
    """
    pace = bars_per_30_s(emotion)
    if previous is not None and not jump:
        pace = min(previous.bar_rate + MAX_CHANGE, max(previous.bar_rate - MAX_CHANGE, pace))
    bars = pace * frames / PLANNING_FRAMES
    opening = None if previous is None else previous.rate_at(position)
    if limits_bpm is not None:
        return _plan_within(position, frames, bars * BEATS_PER_BAR, opening, limits_bpm)
    return _lay_out(position, frames, _whole_beats(bars), opening)


def _lay_out(position: int, frames: int, beats: int, opening: float | None) -> TempoPlan:
    """So many beats from the rate at which the clip opens; None: evenly."""
    if opening is None:
        opening = beats / frames
    easing = frames * EASING_SHARE
    steady = (beats - easing * opening / 2) / (frames - easing / 2)
    return TempoPlan(position, frames, beats, opening, steady)


def _plan_within(
    position: int, frames: int, wanted_beats: float, opening: float | None, limits_bpm: Interval
) -> TempoPlan:
    """About `wanted_beats` within the limits: eased from `opening` if that can be, else even, else the last is held."""
    lowest, highest = (tempo_bpm / (60 * SAMPLE_RATE) for tempo_bpm in limits_bpm)
    eased = frames * EASING_SHARE / 2  # so many frames count at the opening rate
    if opening is not None:
        opening = min(highest, max(lowest, opening))
        fewest, most = (eased * opening + (frames - eased) * rate for rate in (lowest, highest))
        beats = _beats_between(fewest, most, wanted_beats)
        if beats is not None:
            return _lay_out(position, frames, beats, opening)
    beats = _beats_between(frames * lowest, frames * highest, wanted_beats)
    if beats is not None:
        return _lay_out(position, frames, beats, None)
    return TempoPlan(position, frames, max(1, math.floor(frames * highest)), lowest, lowest)


def _beats_between(fewest: float, most: float, wanted: float) -> int | None:
    """The number of beats next to what is wanted, whole bars if they bend it by no more than is tolerated."""
    wanted = min(most, max(fewest, wanted))
    whole = round(wanted / BEATS_PER_BAR) * BEATS_PER_BAR
    if fewest <= whole <= most and abs(whole / wanted - 1) <= ROUNDING_TOLERANCE:
        return whole
    beats = min(math.floor(most), max(math.ceil(fewest), round(wanted)))
    return beats if fewest <= beats else None


def _whole_beats(bars: float) -> int:
    whole = max(1, round(bars))
    if abs(whole / bars - 1) <= ROUNDING_TOLERANCE:
        return whole * BEATS_PER_BAR
    return max(1, round(bars * BEATS_PER_BAR))
