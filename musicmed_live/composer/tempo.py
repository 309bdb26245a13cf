"""Tempo: how many bars a clip holds, and where its beats fall.

A clip of 30 s holds n bars of 4/4, n = 7.6 + 4.1 (a + 1) + 0.5 v rounded, which is 8n beats a minute: from 57 BPM in
calm to 130 BPM in excitement. The clip opens in the tempo that sounded before it, eases into its own during its
first eighth, and ends exactly with a bar.
"""

import math
from dataclasses import dataclass

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
    position: int, frames: int, emotion: Emotion, previous: TempoPlan | None = None, jump: bool = False
) -> TempoPlan:
    """Lay out a clip of `frames` (> 0) that begins at `position`, where `previous` (if any) was playing.

    Unless the emotion makes a `jump`, the pace moves by at most 2 bars per 30 s against `previous`.
    """
    pace = bars_per_30_s(emotion)
    if previous is not None and not jump:
        pace = min(previous.bar_rate + MAX_CHANGE, max(previous.bar_rate - MAX_CHANGE, pace))
    beats = _whole_beats(pace * frames / PLANNING_FRAMES)
    opening = previous.rate_at(position) if previous is not None else beats / frames
    easing = frames * EASING_SHARE
    steady = (beats - easing * opening / 2) / (frames - easing / 2)
    return TempoPlan(position, frames, beats, opening, steady)


def _whole_beats(bars: float) -> int:
    whole = max(1, round(bars))
    if abs(whole / bars - 1) <= ROUNDING_TOLERANCE:
        return whole * BEATS_PER_BAR
    return max(1, round(bars * BEATS_PER_BAR))
