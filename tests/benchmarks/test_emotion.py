import numpy as np
import pytest

from benchmarks.emotion import Clip, human_estimate, published_estimate, quadrants
from musicmed_live.core.emotion import Emotion
from musicmed_live.recognition.embedded import load_recognizer

CORNERS = [Emotion(valence, arousal) for valence in (-0.8, 0.8) for arousal in (-0.8, 0.8)]
ASKED = {axis: np.array([getattr(corner, axis) for corner in CORNERS]) for axis in ("valence", "arousal")}

RECOGNIZER = load_recognizer()


def clips(**features: list[float]) -> list[Clip]:
    """A clip at each corner, with these features of the corners in turn and the rated pieces' means otherwise."""
    learned = RECOGNIZER.coefficients
    means = dict(zip(learned.features, learned.means, strict=True))
    return [
        Clip(corner, 0, -20.0, means | {name: values[i] for name, values in features.items()})
        for i, corner in enumerate(CORNERS)
    ]


def test_a_published_estimate_does_not_depend_on_the_units_of_the_features() -> None:
    plain = published_estimate(clips(mode=[-1.0, -1.0, 1.0, 1.0]), "tonal", "valence", {"mode": 1.0})
    scaled = published_estimate(clips(mode=[-9.0, -9.0, 7.0, 7.0]), "tonal", "valence", {"mode": 1.0})
    assert plain.total.tolist() == pytest.approx(scaled.total.tolist())


def test_clips_that_follow_both_axes_lie_in_their_quadrants() -> None:
    following = clips(mode=[-0.2, -0.2, 0.2, 0.2], onset_rate=[1.0, 6.0, 1.0, 6.0])
    valence = published_estimate(following, "tonal", "valence", {"mode": 1.0})
    arousal = published_estimate(following, "onsets", "arousal", {"onset_rate": 1.0})
    assert quadrants(valence, arousal, ASKED) == 1.0


def test_the_human_estimate_is_what_the_recognizer_says() -> None:
    heard = clips(mode=[-0.1, -0.1, 0.1, 0.1], onset_rate=[3.0, 4.0, 3.0, 4.0])
    for axis in ("valence", "arousal"):
        judged = [getattr(RECOGNIZER.judge_features(clip.features, 30.0).emotion, axis) for clip in heard]
        assert human_estimate(heard, axis, RECOGNIZER).total.tolist() == pytest.approx(judged)


def test_clips_that_follow_arousal_only_lie_in_half_of_the_quadrants() -> None:
    following = clips(mode=[-0.2, 0.2, -0.2, 0.2], onset_rate=[1.0, 6.0, 1.0, 6.0])
    valence = published_estimate(following, "tonal", "valence", {"mode": 1.0})
    arousal = published_estimate(following, "onsets", "arousal", {"onset_rate": 1.0})
    assert quadrants(valence, arousal, ASKED) == 0.5
