"""What the optional neural recognizers have in common: where their weights are, what goes in, what comes out.

Their weights are other people's and are not part of this package. They are used where they are present: in the folder
that is named (`music2emo=DIR`), or in the one of that name in the user's cache.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.judgement import Judgement, Mono, Recognizer
from musicmed_live.errors import BadWeights, CannotJudge, InvalidInput
from musicmed_live.recognition.features import RATE

NEURAL = ("music2emo", "essentia")
LEAST_SECONDS = 3.0  # what the recognizers need to hear
_QUIETEST = 1e-5  # root mean square, full scale 1: below -100 dB there is nothing to judge


@dataclass(frozen=True, slots=True)
class Tagged:
    """A judgement, and the mood tags of MTG-Jamendo that are heard as well."""

    judgement: Judgement
    probabilities: Mapping[str, float]  # of each tag that the recognizer knows, 0 .. 1
    tags: frozenset[str]  # those that it takes for present


@runtime_checkable
class Tagger(Protocol):
    """A recognizer that knows mood tags, too."""

    def judge(self, mono: Mono) -> Judgement:
        """As `Recognizer.judge`."""
        ...

    def tag(self, mono: Mono) -> Tagged:
        """The judgement and the tags, in one go. Raises `CannotJudge` as `judge` does."""
        ...


def parse_recognizer_option(text: str) -> tuple[str, Path]:
    """Name and folder of `NAME[=DIR]`, where NAME is one of `NEURAL`; without DIR, the folder in the user's cache.

    Raises `InvalidInput` for another name.
    """
    name, equals, folder = text.partition("=")
    if name not in NEURAL:
        raise InvalidInput(f"--recognizer: {text!r} is none of embedded, {', '.join(NEURAL)}, or NAME=DIR with those")
    if equals and not folder:
        raise InvalidInput(f"--recognizer: {text!r} names no folder; write {name}=DIR")
    return name, Path(folder).expanduser() if folder else cached(name)


def cached(name: str) -> Path:
    """Where the weights of a recognizer are looked for when no folder is named. It need not exist."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "musicmed-live" / "recognizers" / name


def load_neural(name: str, folder: Path) -> Recognizer:
    """A recognizer of `NEURAL` from its weights. Loading takes seconds, and so does judging: not on an event loop.

    Raises `BadWeights` where the weights are missing, damaged or of something else, `InvalidInput` where a package is
    not installed.
    """
    if not folder.is_dir():
        raise BadWeights(f"{folder} is not a directory; {name} needs its weights there, or name them: {name}=DIR")
    try:
        if name == "music2emo":
            from musicmed_live.recognition.music2emo import Music2Emo

            return Music2Emo(folder)
        from musicmed_live.recognition.essentia import EssentiaRecognizer

        return EssentiaRecognizer(folder)
    except ModuleNotFoundError as fault:
        raise InvalidInput(
            f"--recognizer {name} needs {fault.name}: pip install 'musicmed-live[recognizers]'"
        ) from fault


def at_rate(mono: Mono, rate: int) -> NDArray[np.float32]:
    """Sound at 22.05 kHz as the recognizer wants it, shape (frames at `rate`,).

    Raises `CannotJudge` where it is shorter than 3 s, silent, or not finite.
    """
    if mono.ndim != 1 or len(mono) < LEAST_SECONDS * RATE:
        raise CannotJudge(f"{len(mono) / RATE:.1f} s of sound are too little to judge; {LEAST_SECONDS:g} s are needed")
    if not np.isfinite(mono).all():
        raise CannotJudge("the sound holds what is no finite number; decode it again")
    if math.sqrt(float(np.square(mono, dtype=np.float64).mean())) < _QUIETEST:
        raise CannotJudge("the sound is silent, so there is nothing to judge")
    common = math.gcd(rate, RATE)
    return np.asarray(resample_poly(mono, rate // common, RATE // common), np.float32)


def from_ratings(valence: float, arousal: float) -> Emotion:
    """Ratings on a scale of 1 to 9 as a point of the plane: 5 is its middle. Raises `CannotJudge` for NaN.

    What lies beyond the scale, which a regression may say, is brought to its end.
    """
    if not (math.isfinite(valence) and math.isfinite(arousal)):
        raise CannotJudge("the recognizer answers with what is no number; its weights may be damaged: get them again")
    return Emotion(clamp((valence - 5) / 4), clamp((arousal - 5) / 4))


def error_of_fit(sd_of_ratings: float, r_squared: float) -> float:
    """Standard deviation of a regression's error in units of the plane, from ratings on 1..9 and its R^2 on them."""
    return sd_of_ratings * math.sqrt(1 - r_squared) / 4
