"""From ratings to the plane of the slider: the composer, asked for known emotions, is the measure.

Mean ratings shrink towards the middle, and so do estimates of them; and no rating says what the ends of the slider
sound like. The composer's music is what patients hear there.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from multiprocessing import get_context

import numpy as np

from musicmed_live.composer.voice import ComposerGenerator
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import ClipRequest, Samples, Voice, frames_of
from musicmed_live.recognition.features import extract, listen
from musicmed_live.recognition.spectrum import FloatArray

LEVELS = (-0.8, -0.4, 0.0, 0.4, 0.8)
SEEDS = (1000, 1001, 1002)  # not to be used where the composer is evaluated
SETTLING_SECONDS, CLIP_SECONDS = 8.0, 30.0

Anchor = tuple[Emotion, dict[str, float]]  # what was asked for, and the features of what came


def anchors(workers: int, levels: Sequence[float], seeds: Sequence[int]) -> Iterator[Anchor]:
    """A clip at constant emotion for each point of the grid and each seed, as they are made."""
    wanted = [(Emotion(valence, arousal), seed) for valence, arousal in product(levels, levels) for seed in seeds]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(_anchor, *zip(*wanted, strict=True))


def plane_of(estimates: FloatArray, asked: FloatArray) -> tuple[float, float]:
    """Offset and slope of the map that brings `estimates` of the composer's clips to what was asked for, on average.

    Both have shape (clips,). It inverts the regression of the estimates on what was asked for: that of what was asked
    for on the estimates would shrink once more.
    """
    slope, offset = np.polyfit(asked, estimates, 1)
    return -float(offset / slope), 1.0 / float(slope)


def _anchor(emotion: Emotion, seed: int) -> Anchor:
    voice = _composer().open_voice(seed)
    settling, clip = frames_of(SETTLING_SECONDS), frames_of(CLIP_SECONDS)
    _sound(voice, ClipRequest(0, settling, emotion, emotion))
    return emotion, extract(listen(_sound(voice, ClipRequest(settling, clip, emotion, emotion))))


@cache
def _composer() -> ComposerGenerator:
    return ComposerGenerator()


def _sound(voice: Voice, request: ClipRequest) -> Samples:
    return np.concatenate([block.samples for block in voice.compose(request)])
