"""Can one hear where one clip ends and the next begins? `python -m benchmarks.joins [--seeds 7 8 9] [--minutes 15]`

For each seed a voice composes two sessions of 30-s clips: one that leads from anxious to calm and one that stays happy.
At every join of two clips is measured

- the step from the last sample to the first, over the 99.9th percentile of the steps inside both clips. `step_ratio`
  is the largest. The same is measured where a voice is rewound in mid-clip and goes on with another emotion, over the
  steps in the half second on either side, since the two emotions may differ much in level: `rewind_step_ratio`;
- the spectral flux on the join among that on the bar lines inside both clips. `flux_percentile` is the median of the
  percentiles: 50 where a join is a downbeat like any other;
- the jump in level from the 2 s before to the 2 s after. `level_jump_ratio` is the 95th percentile of the jumps at
  joins over that at bar lines inside clips.

The same sessions are then rendered by the command, as a listener gets them. `loudness_step_lu` is the largest
difference of integrated loudness (ITU-R BS.1770) between adjacent clips, `true_peak_dbtp` the highest true peak
(fourfold oversampling), `longest_gap_s` the longest stretch under -60 dBFS between two sounds.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import pyloudnorm
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

from benchmarks.report import print_figures, print_table
from musicmed_live.composer.voice import ComposerGenerator
from musicmed_live.core.emotion import WORDS, Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Cue, Samples, Voice, frames_of
from musicmed_live.core.plan import Plan
from musicmed_live.core.session import Session
from musicmed_live.recognition.features import RATE, listen
from musicmed_live.recognition.rhythm import spectral_flux
from musicmed_live.recognition.spectrum import HOP, magnitudes, mel_levels_db

FloatArray = NDArray[np.float64]

JOURNEYS = (("anxious", "calm"), ("happy", "happy"))
AROUND = frames_of(2.0)  # on either side of a bar line, for levels
STEPS_AROUND = frames_of(0.5)  # on either side of a rewind, for steps
ONSET_FRAMES = 3  # of the spectrogram before and after a bar line: 70 ms, within which its notes begin
REWINDS = 10
SILENT_DBFS = -60.0
GAP_FRAMES = SAMPLE_RATE // 100
OVERSAMPLING, EDGE = 4, 64
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip as a voice made it."""

    samples: Samples
    bars: list[int]  # frames from the clip's beginning to its bar lines, the first of them 0


@dataclass(slots=True)
class Joins:
    """What was measured at the joins of one or more sessions."""

    step_ratios: list[float] = field(default_factory=list)
    flux_percentiles: list[float] = field(default_factory=list)
    jumps_db: list[float] = field(default_factory=list)
    inside_jumps_db: list[float] = field(default_factory=list)

    def add(self, other: "Joins") -> None:
        self.step_ratios += other.step_ratios
        self.flux_percentiles += other.flux_percentiles
        self.jumps_db += other.jumps_db
        self.inside_jumps_db += other.inside_jumps_db

    @property
    def level_jump_ratio(self) -> float:
        return float(np.percentile(self.jumps_db, 95) / np.percentile(self.inside_jumps_db, 95))


@dataclass(frozen=True, slots=True)
class Rendering:
    """What was measured on a session's file."""

    loudness_step_lu: float
    true_peak_dbtp: float
    longest_gap_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[7, 8, 9])
    parser.add_argument("--minutes", type=float, default=15.0)
    options = parser.parse_args()
    sessions = [(*journey, seed, options.minutes) for journey in JOURNEYS for seed in options.seeds]
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers, which would otherwise fight for the cores
    with ProcessPoolExecutor(WORKERS, multiprocessing.get_context("spawn")) as pool:
        composed = pool.map(measure_joins, sessions)
        rewound = pool.map(rewind_ratios, options.seeds)
        rendered = pool.map(measure_rendering, sessions)
        report(sessions, list(composed), [ratio for ratios in rewound for ratio in ratios], list(rendered))


def report(
    sessions: list[tuple[str, str, int, float]],
    composed: list[Joins],
    rewind_steps: list[float],
    rendered: list[Rendering],
) -> None:
    """Print a line for each session, then the figures over all of them."""
    every = Joins()
    rows = []
    for (start, goal, seed, _), joins, rendering in zip(sessions, composed, rendered, strict=True):
        every.add(joins)
        rows.append(
            (
                f"{start} to {goal}",
                seed,
                max(joins.step_ratios),
                float(np.median(joins.flux_percentiles)),
                joins.level_jump_ratio,
                rendering.loudness_step_lu,
                rendering.true_peak_dbtp,
                rendering.longest_gap_s,
            )
        )
    print_table(["session", "seed", "step", "flux %", "jump", "step LU", "peak dBTP", "gap s"], rows)
    print(f"\n{len(rewind_steps)} rewinds: largest step ratio {max(rewind_steps):.3f}")
    print_figures(
        "joins",
        {
            "step_ratio": max(every.step_ratios),
            "rewind_step_ratio": max(rewind_steps),
            "flux_percentile": float(np.median(every.flux_percentiles)),
            "level_jump_ratio": every.level_jump_ratio,
            "loudness_step_lu": max(rendering.loudness_step_lu for rendering in rendered),
            "true_peak_dbtp": max(rendering.true_peak_dbtp for rendering in rendered),
            "longest_gap_s": max(rendering.longest_gap_s for rendering in rendered),
        },
    )


def measure_joins(session: tuple[str, str, int, float]) -> Joins:
    """The joins of one session, composed from (start, goal, seed, minutes)."""
    joins = Joins()
    flux_before: FloatArray = np.array([])
    for before, after in itertools.pairwise(itertools.chain([None], compose(*session))):
        assert after is not None
        context = np.zeros((AROUND, 2), np.float32) if before is None else before.samples[-AROUND:]
        bars = [AROUND + bar for bar in after.bars]
        stretch = np.concatenate([context, after.samples])
        at_join, *flux = bar_line_flux(stretch, bars)
        settled = [bar for bar in bars if 2 * AROUND <= bar <= len(stretch) - AROUND]
        joins.inside_jumps_db += [level_jump_db(stretch, bar) for bar in settled]
        if before is not None:
            joins.step_ratios.append(step_ratio(before.samples, after.samples))
            joins.jumps_db.append(level_jump_db(stretch, AROUND))
            others = np.concatenate([flux_before, flux])
            joins.flux_percentiles.append(100 * float((others < at_join).mean()))
        flux_before = np.array(flux)
    return joins


def compose(start: str, goal: str, seed: int, minutes: float) -> Iterator[Clip]:
    """The clips of a session as the planner asks for them, before the session's gain."""
    session = Session(Plan(WORDS[start][0], WORDS[goal][0], frames_of(60 * minutes), seed))
    voice = _composer().open_voice(seed)
    position = 0
    while (request := session.next_clip(position)) is not None:
        yield sound(voice, request)
        position += request.frames


@cache
def _composer() -> ComposerGenerator:
    return ComposerGenerator()


def sound(voice: Voice, request: ClipRequest) -> Clip:
    """The whole clip."""
    blocks = list(voice.compose(request))
    bars = [block.position - request.position for block in blocks if block.cue is Cue.BAR]
    return Clip(np.concatenate([block.samples for block in blocks]), bars)


def step_ratio(before: Samples, after: Samples) -> float:
    """The step from the last frame of `before` to the first of `after` over the p99.9 of the steps inside both."""
    inside = np.concatenate([np.abs(np.diff(samples, axis=0)).ravel() for samples in (before, after)])
    return float(np.abs(after[0] - before[-1]).max() / np.percentile(inside, 99.9))


def bar_line_flux(samples: Samples, bars: list[int]) -> FloatArray:
    """The highest spectral flux within 70 ms of each of `bars`, frames in `samples`."""
    flux = spectral_flux(mel_levels_db(magnitudes(listen(samples))))
    centres = [round(bar * RATE / SAMPLE_RATE / HOP) for bar in bars]
    return np.array([flux[max(0, at - ONSET_FRAMES) : at + ONSET_FRAMES].max() for at in centres])


def level_jump_db(samples: Samples, at: int) -> float:
    """The difference of level between the 2 s before and after frame `at`, without its sign."""
    before, after = (
        float((part.astype(np.float64) ** 2).mean()) for part in (samples[at - AROUND : at], samples[at : at + AROUND])
    )
    return abs(10 * math.log10(after / before))


def rewind_ratios(seed: int) -> list[float]:
    """The step ratios where a voice is rewound in mid-clip and goes on with another emotion."""
    dice = random.Random(f"{seed}:rewinds")
    voice = _composer().open_voice(seed)
    here, start, frames = _any_emotion(dice), 0, frames_of(20.0)
    ratios = []
    before = sound(voice, ClipRequest(start, frames, here, here)).samples
    for _ in range(REWINDS):
        cut = voice.rewind(start + frames - frames_of(dice.uniform(0.5, 10.0)))
        there = _any_emotion(dice)
        after = sound(voice, ClipRequest(cut, frames, there, there)).samples
        ratios.append(step_ratio(before[: cut - start][-STEPS_AROUND:], after[:STEPS_AROUND]))
        before, start = after, cut
    return ratios


def _any_emotion(dice: random.Random) -> Emotion:
    return Emotion(dice.uniform(-0.8, 0.8), dice.uniform(-0.8, 0.8))


def measure_rendering(session: tuple[str, str, int, float]) -> Rendering:
    """The file that the command writes for (start, goal, seed, minutes)."""
    with tempfile.TemporaryDirectory() as folder:
        audio, written = Path(folder, "session.flac"), Path(folder, "session.json")
        start, goal, seed, minutes = (str(part) for part in session)
        command = [sys.executable, "-m", "musicmed_live", "render", str(audio), "--report", str(written)]
        wish = ["--start", start, "--goal", goal, "--seed", seed, "--minutes", minutes]
        subprocess.run([*command, *wish], check=True, capture_output=True)
        clips = json.loads(written.read_text())["clips"]
        return Rendering(
            loudness_step_lu(audio, [(clip["position"], clip["frames"]) for clip in clips]),
            true_peak_dbtp(audio),
            longest_gap_seconds(audio),
        )


def loudness_step_lu(audio: Path, clips: list[tuple[int, int]]) -> float:
    """Largest difference of integrated loudness between adjacent clips, given as position and frames."""
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    loudness = [
        meter.integrated_loudness(soundfile.read(audio, start=position, frames=frames)[0]) for position, frames in clips
    ]
    return float(np.abs(np.diff(loudness)).max())


def true_peak_dbtp(audio: Path) -> float:
    """Highest peak of the waveform, oversampled (ITU-R BS.1770, annex 2)."""
    peak = 0.0
    for samples in soundfile.blocks(audio, blocksize=10 * SAMPLE_RATE, overlap=2 * EDGE):
        oversampled = resample_poly(samples, OVERSAMPLING, 1, axis=0)
        within = slice(EDGE * OVERSAMPLING, -EDGE * OVERSAMPLING)  # the filter rings where a block is cut
        peak = max(peak, float(np.abs(oversampled[within]).max(initial=0.0)))
    return 20 * math.log10(peak)


def longest_gap_seconds(audio: Path) -> float:
    """Longest run of 10-ms frames under -60 dBFS before the last sound."""
    power = [float((samples**2).mean()) for samples in soundfile.blocks(audio, blocksize=GAP_FRAMES)]
    audible = np.flatnonzero(np.array(power) >= 10 ** (SILENT_DBFS / 10))
    gaps = np.diff(np.concatenate([[-1], audible])) - 1
    return float(gaps.max()) * GAP_FRAMES / SAMPLE_RATE


if __name__ == "__main__":
    main()
