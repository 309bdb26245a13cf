"""Does the music carry the emotion that was asked for? `python -m benchmarks.emotion [--seeds 0 1 ...] [--quick]`

For each point of a grid over the valence-arousal plane and each seed a voice composes 30 s at constant emotion (after
8 s in which it settles). Three estimates of what a listener would perceive are set against what was asked for:

- *published*: the regressions of Eerola, Lartillot and Toiviainen (`benchmarks.published`), on features standardised
  over the grid;
- *tonal*, for valence: mode on three time scales and key clarity, equally weighted, standardised over the grid;
- *human*: the embedded recognizer (`musicmed_live.recognition`), a regression on listeners' ratings of pieces. Its map
  to the plane is made by clips of this composer with other seeds, which correlations do not depend on, and two of its
  features were chosen with a view to this composer. It is read relative to the middle of the grid but for
  `human_quadrants_absolute`.

`activity_r`, `valence_r` and `human_..._r` are correlations over all clips with what was asked for. `valence_r`,
`crosstalk_r` and `quadrants` take the published or the tonal estimate, whichever follows better, which is printed.
`crosstalk_r` is the larger correlation, in magnitude, of an estimate with the other axis. `quadrants` is the share of
the clips off the axes whose estimate lies on the right side of the grid's mean on both, `human_quadrants_absolute` the
same for the middle of the plane: what the player takes the music for.
"""

import argparse
import itertools
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pyloudnorm
from numpy.typing import NDArray

from benchmarks.published import PUBLISHED_WEIGHTS
from benchmarks.report import print_figures, print_table
from musicmed_live.composer.voice import ComposerGenerator
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Samples, Voice, frames_of
from musicmed_live.recognition.embedded import EmbeddedRecognizer, load_recognizer
from musicmed_live.recognition.features import extract, listen

FloatArray = NDArray[np.float64]

LEVELS = (-0.8, -0.4, 0.0, 0.4, 0.8)
QUICK_LEVELS = (-0.8, 0.0, 0.8)
SETTLING_FRAMES, CLIP_FRAMES = frames_of(8.0), frames_of(30.0)
WORKERS = 2

TONAL = {"mode": 1.0, "whole_mode": 1.0, "major_chords": 1.0, "key_clarity": 1.0}


@dataclass(frozen=True, slots=True)
class Clip:
    """What was asked for, and what came."""

    emotion: Emotion
    seed: int
    loudness_lufs: float
    features: dict[str, float]


@dataclass(frozen=True, slots=True)
class Estimate:
    """One estimate of one axis over all clips: a middle, and what each feature adds to it."""

    name: str
    axis: str
    parts: dict[str, FloatArray]  # each of shape (clips,)
    middle: float = 0.0

    @property
    def total(self) -> FloatArray:
        return self.middle + np.asarray(np.sum(list(self.parts.values()), axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--quick", action="store_true", help="a 3x3 grid and the first seed only")
    options = parser.parse_args()
    levels, seeds = (QUICK_LEVELS, options.seeds[:1]) if options.quick else (LEVELS, options.seeds)
    clips = measure(list(itertools.product(itertools.starmap(Emotion, itertools.product(levels, levels)), seeds)))
    report(clips, levels)


def measure(wanted: Sequence[tuple[Emotion, int]]) -> list[Clip]:
    """The clips of these emotions and seeds, composed and measured in worker processes."""
    os.environ["OMP_NUM_THREADS"] = "1"  # inherited by the workers, which would otherwise fight for the cores
    workers = min(WORKERS, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_measure_one, wanted))


def _measure_one(wanted: tuple[Emotion, int]) -> Clip:
    emotion, seed = wanted
    samples = compose(emotion, seed)
    loudness = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(samples)
    return Clip(emotion, seed, float(loudness), extract(listen(samples)))


def compose(emotion: Emotion, seed: int) -> Samples:
    """30 s of music at constant emotion, by a voice that has played for 8 s."""
    voice = _composer().open_voice(seed)
    _sound(voice, ClipRequest(0, SETTLING_FRAMES, emotion, emotion))
    return _sound(voice, ClipRequest(SETTLING_FRAMES, CLIP_FRAMES, emotion, emotion))


@cache
def _composer() -> ComposerGenerator:
    return ComposerGenerator()


def _sound(voice: Voice, request: ClipRequest) -> Samples:
    return np.concatenate([block.samples for block in voice.compose(request)])


def report(clips: Sequence[Clip], levels: Sequence[float]) -> None:
    """Print the tables, then the figures."""
    asked = {axis: np.array([getattr(clip.emotion, axis) for clip in clips]) for axis in ("valence", "arousal")}
    activity, published, tonal = (
        published_estimate(clips, name, axis, weights)
        for name, axis, weights in (
            ("published", "arousal", PUBLISHED_WEIGHTS["arousal"]),
            ("published", "valence", PUBLISHED_WEIGHTS["valence"]),
            ("tonal", "valence", TONAL),
        )
    )
    valence = max((published, tonal), key=lambda estimate: correlation(estimate.total, asked["valence"]))
    recognizer = load_recognizer()
    human_valence, human_arousal = (human_estimate(clips, axis, recognizer) for axis in ("valence", "arousal"))
    estimates = (activity, published, tonal, human_arousal, human_valence)
    print_grid("Loudness (LUFS)", clips, np.array([clip.loudness_lufs for clip in clips]), levels)
    for estimate in estimates:
        print_grid(f"{estimate.axis.title()}, {estimate.name}: mean estimate", clips, estimate.total, levels)
        print_parts(estimate, asked)
    print_correlations(estimates, asked)
    print(f"\nvalence_r, crosstalk_r and quadrants take the {valence.name} estimate of valence.")
    print_figures(
        "emotion",
        {
            "activity_r": correlation(activity.total, asked["arousal"]),
            "valence_r": correlation(valence.total, asked["valence"]),
            "crosstalk_r": max(
                abs(correlation(valence.total, asked["arousal"])),
                abs(correlation(activity.total, asked["valence"])),
            ),
            "quadrants": quadrants(valence, activity, asked),
            "human_arousal_r": correlation(human_arousal.total, asked["arousal"]),
            "human_valence_r": correlation(human_valence.total, asked["valence"]),
            "human_quadrants": quadrants(centred(human_valence), centred(human_arousal), asked),
            "human_quadrants_absolute": quadrants(human_valence, human_arousal, asked),
        },
    )


def published_estimate(clips: Sequence[Clip], name: str, axis: str, weights: Mapping[str, float]) -> Estimate:
    """A weighted sum of features that are standardised over `clips`."""
    parts = {}
    for feature, weight in weights.items():
        values = np.array([clip.features[feature] for clip in clips])
        parts[feature] = weight * (values - values.mean()) / (values.std() + 1e-12)
    return Estimate(name, axis, parts)


def human_estimate(clips: Sequence[Clip], axis: str, recognizer: EmbeddedRecognizer) -> Estimate:
    """What the recognizer says, in units of the plane."""
    adds = np.array([recognizer.contributions(clip.features)[axis] for clip in clips])
    parts = dict(zip(recognizer.coefficients.features, adds.T, strict=True))
    return Estimate("human", axis, parts, recognizer.middle(axis))


def centred(estimate: Estimate) -> Estimate:
    """Relative to its mean."""
    return replace(estimate, middle=estimate.middle - float(estimate.total.mean()))


def correlation(x: FloatArray, y: FloatArray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def quadrants(valence: Estimate, arousal: Estimate, asked: Mapping[str, FloatArray]) -> float:
    """Share of the clips off the axes whose estimates have the signs that were asked for."""
    off_axes = (asked["valence"] != 0) & (asked["arousal"] != 0)
    right = (valence.total * asked["valence"] > 0) & (arousal.total * asked["arousal"] > 0)
    return float(right[off_axes].mean())


def print_grid(title: str, clips: Sequence[Clip], values: FloatArray, levels: Sequence[float]) -> None:
    """The mean of `values`, shape (clips,), at each grid point: arousal down, valence to the right."""
    rows = []
    for arousal in reversed(levels):
        at = [
            [value for clip, value in zip(clips, values, strict=True) if clip.emotion == Emotion(valence, arousal)]
            for valence in levels
        ]
        rows.append([f"{arousal:+.1f}", *(float(np.mean(there)) for there in at)])
    print_table(["A \\ V", *(f"{valence:+.1f}" for valence in levels)], rows, title)


def print_parts(estimate: Estimate, asked: Mapping[str, FloatArray]) -> None:
    """What each feature adds to the estimate's correlations with both axes; the columns sum to them."""
    total = estimate.total
    shares = {feature: float(part.std() / total.std()) for feature, part in estimate.parts.items() if part.std() > 0}
    adds = {
        axis: {feature: correlation(estimate.parts[feature], asked[axis]) * share for feature, share in shares.items()}
        for axis in ("arousal", "valence")
    }
    ranked = sorted(shares, key=lambda feature: adds[estimate.axis][feature])
    print_table(
        ["feature", "adds to r with arousal", "with valence"],
        [(feature, adds["arousal"][feature], adds["valence"][feature]) for feature in ranked],
        f"{estimate.axis.title()}, {estimate.name}",
    )


def print_correlations(estimates: Sequence[Estimate], asked: Mapping[str, FloatArray]) -> None:
    """Each estimate against both axes."""
    rows = [
        [estimate.axis, estimate.name, *(correlation(estimate.total, asked[axis]) for axis in ("arousal", "valence"))]
        for estimate in estimates
    ]
    print_table(["estimate", "by", "r with arousal", "r with valence"], rows, "Estimates against what was asked for")


if __name__ == "__main__":
    main()
