"""Fit the regression on human ratings: `python -m benchmarks.fit_human_ratings --ratings FOLDER`.

FOLDER holds `labels.csv` (columns `midi`, `valence_mean`, `arousal_mean`) and the pieces in `midi/`. Each piece's
first 45 s are played on the project's piano, all with one gain. The figures are correlations between ratings and
estimates in ten-fold cross-validation by piece, the mean of five random partitions; signs, means and scales are
fitted within each fold.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import mido
import numpy as np
import pyloudnorm

from benchmarks.features import extract, listen
from benchmarks.human_ratings import LEVEL_LUFS, FloatArray, Regression, fit, save_model
from benchmarks.published import PUBLISHED_WEIGHTS
from benchmarks.report import print_figures, print_table
from musicmed_live.composer.renderer import Renderer
from musicmed_live.composer.sampler import Sampler
from musicmed_live.composer.score import Note
from musicmed_live.core.generator import SAMPLE_RATE, Samples, frames_of

SECONDS = 45.0
FOLDS, PARTITIONS = 10, 5
ALPHAS = (3.0, 10.0, 30.0, 100.0)
SPECTRAL_SHAPE = ("centroid", "spread", "entropy", "rolloff", "flatness", "roughness")


@dataclass(frozen=True, slots=True)
class Piece:
    """A rated piece."""

    path: Path
    valence: float
    arousal: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=Path, required=True, metavar="FOLDER")
    pieces = list(read_pieces(parser.parse_args().ratings))
    measured = measure(pieces)
    names = tuple(name for name in measured[0] if name not in SPECTRAL_SHAPE)
    features = np.array([[row[name] for name in names] for row in measured])
    models: dict[str, Regression] = {}
    figures: dict[str, float] = {}
    for axis in ("valence", "arousal"):
        ratings = np.array([getattr(piece, axis) for piece in pieces])
        published = PUBLISHED_WEIGHTS[axis]
        scores = {alpha: cross_validated_r(features, names, ratings, alpha, published) for alpha in ALPHAS}
        alpha = max(scores, key=lambda candidate: scores[candidate])
        models[axis] = fit(features, names, ratings, alpha, published)
        figures |= {f"{axis}_cv_r": scores[alpha], f"{axis}_alpha": alpha}
    save_model(models, {"pieces": len(pieces), "seconds": SECONDS, "level_lufs": LEVEL_LUFS, **figures})
    print_table(
        ["feature", *models],
        [[name, *(model.weights.get(name, 0.0) for model in models.values())] for name in names],
        "Weights per standard deviation",
    )
    print_figures("fit_human_ratings", figures)


def read_pieces(folder: Path) -> Iterator[Piece]:
    """The rated pieces of `folder`, in the order of `labels.csv`."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as labels:
        for row in csv.DictReader(labels):
            yield Piece(folder / "midi" / row["midi"], float(row["valence_mean"]), float(row["arousal_mean"]))


def measure(pieces: list[Piece]) -> list[dict[str, float]]:
    """The features of each piece, all played with the one gain that brings their median to `LEVEL_LUFS`."""
    sampler = Sampler()
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    heard = []
    for piece in pieces:
        samples = play(piano_notes(piece.path), sampler)
        heard.append((listen(samples), meter.integrated_loudness(samples)))
    gain_db = LEVEL_LUFS - float(np.median([loudness for _, loudness in heard]))
    gain = np.float32(10 ** (gain_db / 20))
    return [extract(mono * gain) for mono, _ in heard]


def play(notes: list[Note], sampler: Sampler) -> Samples:
    """The first `SECONDS` of `notes`, or all of them if they are shorter."""
    end = min(frames_of(SECONDS), max(note.position + note.frames for note in notes))
    return Renderer(sampler).render([note for note in notes if note.position < end], end)


def piano_notes(path: Path) -> list[Note]:
    """The notes of a MIDI file as if played on a piano, with its pedal; the first begins at position 0."""
    notes = sorted(_sounding_notes(mido.MidiFile(path, clip=True)), key=lambda note: note[0])
    first = notes[0][0]
    return [
        Note(frames_of(start - first), max(1, frames_of(end - start)), "piano", key, velocity)
        for start, end, key, velocity in notes
    ]


def _sounding_notes(midi: mido.MidiFile) -> Iterator[tuple[float, float, int, int]]:
    """Start and end in seconds, key and velocity of each note; a key under the pedal sounds until it is lifted."""
    now = 0.0
    pressed: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
    sustained: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    pedal: dict[int, bool] = defaultdict(bool)
    for message in midi:
        now += message.time
        if message.type == "note_on" and message.velocity > 0:
            pressed[message.channel, message.note].append((now, message.velocity))
        elif message.type in ("note_on", "note_off") and pressed[message.channel, message.note]:
            start, velocity = pressed[message.channel, message.note].pop(0)
            if pedal[message.channel]:
                sustained[message.channel].append((start, message.note, velocity))
            else:
                yield start, now, message.note, velocity
        elif message.is_cc(64):
            pedal[message.channel] = message.value >= 64
            if not pedal[message.channel]:
                for start, key, velocity in sustained.pop(message.channel, []):
                    yield start, now, key, velocity
    for held in sustained.values():
        for start, key, velocity in held:
            yield start, now, key, velocity


def cross_validated_r(
    features: FloatArray, names: tuple[str, ...], ratings: FloatArray, alpha: float, published: Mapping[str, float]
) -> float:
    """Correlation of the ratings with estimates for pieces that were left out of the fit."""
    scores = []
    for partition in range(PARTITIONS):
        order = np.random.default_rng(partition).permutation(len(ratings))
        estimates = np.empty(len(ratings))
        for fold in range(FOLDS):
            left_out = order[fold::FOLDS]
            kept = np.setdiff1d(order, left_out)
            model = fit(features[kept], names, ratings[kept], alpha, published)
            for piece in left_out:
                estimates[piece] = model.estimate(dict(zip(names, features[piece], strict=True)))
        scores.append(float(np.corrcoef(estimates, ratings)[0, 1]))
    return float(np.mean(scores))


if __name__ == "__main__":
    main()
