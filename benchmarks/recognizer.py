"""What the embedded recognizer is worth: `python -m benchmarks.recognizer [--ratings DIR --renderings DIR]`

- With the rated pieces (see `musicmed-live models fit-recognizer --help`): `cv_arousal_r` and `cv_valence_r` are
  correlations of ratings with estimates for pieces that were left out of the fit, played on the piano as the listeners
  heard them; `new_timbre_arousal_r` and `new_timbre_valence_r` those where besides every instrument that plays was left
  out, the mean over four timbres that are struck or plucked; `sustained_arousal_r` and `sustained_valence_r` those on
  two timbres of instruments that sustain, of which none is ever fitted.
- `clip_cpu_s`: CPU time from a clip of 30 s as the composer makes it (stereo, 48 kHz) to its judgement, with one thread
  as in a server, the median.
- `librosa_agreement_r`: the smallest correlation, over frames, of a feature with the one that librosa has.
- `best_of_4_error_ratio`: a noisy generator, the composer asked for an emotion that is off by chance, by .4 (standard
  deviation) on either axis. Of four clips the one is taken that the recognizer finds nearest to what was wanted; the
  error is the distance of what the composer was really asked for, which the recognizer is not told. It is the mean of
  this error over the mean error of all clips.
"""

import argparse
import os
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import librosa
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from benchmarks.emotion import compose
from benchmarks.report import print_figures, print_table
from models.recognizer.fitting import lines, measure_pieces, ratings_of
from models.recognizer.pieces import read_pieces
from models.recognizer.renderings import SUSTAINED, TIMBRES
from models.recognizer.validation import mean_r, validate
from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.generator import Samples
from musicmed_live.core.judgement import Mono, miss
from musicmed_live.recognition.constant_q import HOP as COLUMN
from musicmed_live.recognition.constant_q import LOWEST_KEY, semitones
from musicmed_live.recognition.embedded import load_recognizer
from musicmed_live.recognition.features import listen
from musicmed_live.recognition.spectrum import (
    HOP,
    MEL_BANDS,
    RATE,
    SILENCE,
    WINDOW,
    magnitudes,
    mel_levels_db,
    root_mean_squares,
    spectral_shape,
)
from musicmed_live.recognition.tonality import chroma_of, tonal_centroids

FloatArray = NDArray[np.float64]

HEARD = (Emotion(-0.7, -0.6), Emotion(-0.6, 0.7), Emotion(0.0, 0.0), Emotion(0.7, 0.6), Emotion(0.6, -0.7))
WISHES, TAKES, NOISE_SD = 20, 4, 0.4
SEED = 9000  # of the composer and of the noise; used for nothing else


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ratings", type=Path, metavar="DIR", help="rated pieces; without them nothing is validated")
    parser.add_argument("--renderings", type=Path, metavar="DIR", help="where the played pieces are kept")
    options = parser.parse_args()
    figures: dict[str, float] = {}
    if options.ratings is not None:
        if options.renderings is None:
            parser.error("--ratings needs --renderings DIR")
        figures |= validated(options.ratings, options.renderings)
    figures["clip_cpu_s"] = clip_cpu_seconds()
    figures["librosa_agreement_r"] = librosa_agreement()
    figures["best_of_4_error_ratio"] = best_of_4_error_ratio()
    print_figures("recognizer", figures)


def validated(ratings: Path, renderings: Path) -> dict[str, float]:
    """The figures on pieces and instruments that were left out, after a table of all of them."""
    pieces = read_pieces(ratings)
    table = measure_pieces(pieces, renderings, os.cpu_count() or 1, [*TIMBRES, *SUSTAINED])
    found = validate(table, ratings_of(pieces), TIMBRES, SUSTAINED)
    print("\n".join(lines(found)))
    figures = {}
    for axis in ("arousal", "valence"):
        figures[f"cv_{axis}_r"] = found.cv_r[axis]
        figures[f"new_timbre_{axis}_r"] = mean_r(found.new_timbre_r, axis)
        figures[f"sustained_{axis}_r"] = mean_r(found.sustained_r, axis)
    return figures


@cache
def clips() -> list[Samples]:
    """A clip of each emotion of `HEARD`."""
    return [compose(emotion, SEED + at) for at, emotion in enumerate(HEARD)]


def clip_cpu_seconds() -> float:
    """Median over the clips, each judged twice; the first is not counted."""
    recognizer = load_recognizer()
    seconds = []
    with threadpool_limits(1, user_api="blas"):
        for clip in [*clips(), *clips()]:
            begun = time.process_time()
            recognizer.judge(listen(clip))
            seconds.append(time.process_time() - begun)
    return float(np.median(seconds[1:]))


def librosa_agreement() -> float:
    """The smallest correlation over frames, clips and features, after a table of them."""
    rows: dict[str, list[float]] = {}
    for clip in clips():
        for name, ours, theirs in beside_librosa(listen(clip)):
            rows.setdefault(name, []).append(float(np.corrcoef(ours.ravel(), theirs.ravel())[0, 1]))
    print_table(["feature", "smallest r"], [[name, min(found)] for name, found in rows.items()], "Beside librosa")
    return min(min(found) for found in rows.values())


def beside_librosa(mono: Mono) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """Name, ours and librosa's of each feature that both have, over the frames that are not silent."""
    ours, rms = magnitudes(mono), root_mean_squares(mono)
    theirs = np.abs(librosa.stft(mono, n_fft=WINDOW, hop_length=HOP))
    heard = rms > SILENCE
    shape = spectral_shape(ours[heard])
    loud = theirs[:, heard]
    mel = librosa.feature.melspectrogram(S=theirs**2, sr=RATE, n_mels=MEL_BANDS)
    constant_q = semitones(mono).astype(np.float64)
    their_constant_q = np.abs(
        librosa.cqt(mono, sr=RATE, hop_length=COLUMN, fmin=_hertz(LOWEST_KEY - 1 / 3), n_bins=252, bins_per_octave=36)
    )
    their_semitones = their_constant_q.reshape(84, 3, -1).max(axis=1).T.astype(np.float64)
    yield "rms", rms, librosa.feature.rms(y=mono, frame_length=WINDOW, hop_length=HOP)[0]
    yield "centroid", shape["centroid"], librosa.feature.spectral_centroid(S=loud, sr=RATE)[0]
    yield "spread", shape["spread"], librosa.feature.spectral_bandwidth(S=loud, sr=RATE)[0]
    yield "rolloff", shape["rolloff"], librosa.feature.spectral_rolloff(S=loud, sr=RATE)[0]
    yield "flatness", np.log(shape["flatness"]), np.log(librosa.feature.spectral_flatness(S=loud)[0])
    yield "mel", mel_levels_db(ours).astype(np.float64), librosa.power_to_db(mel, top_db=None).T
    yield "semitones", constant_q, their_semitones
    yield "chroma", chroma_of(constant_q), chroma_of(their_semitones)
    yield (
        "tonnetz",
        tonal_centroids(chroma_of(constant_q)),
        librosa.feature.tonnetz(chroma=chroma_of(their_semitones).T).T,
    )


def _hertz(key: float) -> float:
    return float(librosa.midi_to_hz(key))


def best_of_4_error_ratio() -> float:
    """The mean error of the best of four over that of all, by what the composer was really asked for."""
    recognizer = load_recognizer()
    dice = np.random.default_rng(SEED)
    every, best = [], []
    for wish in range(WISHES):
        wanted = Emotion(*dice.uniform(-0.8, 0.8, 2))
        made = [_noisy(wanted, dice) for _ in range(TAKES)]
        heard = [
            recognizer.judge(listen(compose(emotion, SEED + 10 * wish + take))) for take, emotion in enumerate(made)
        ]
        chosen = min(range(TAKES), key=lambda take: miss(wanted, heard[take]))
        every += [wanted.distance(emotion) for emotion in made]
        best.append(wanted.distance(made[chosen]))
    return float(np.mean(best) / np.mean(every))


def _noisy(wanted: Emotion, dice: np.random.Generator) -> Emotion:
    valence, arousal = dice.normal((wanted.valence, wanted.arousal), NOISE_SD)
    return Emotion(clamp(float(valence)), clamp(float(arousal)))


if __name__ == "__main__":
    main()
