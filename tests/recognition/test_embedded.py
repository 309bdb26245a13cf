import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.errors import CannotJudge, InvalidInput
from musicmed_live.recognition.embedded import (
    AxisModel,
    Coefficients,
    EmbeddedRecognizer,
    load_recognizer,
    to_json,
)
from musicmed_live.recognition.features import RATE, extract
from tests.recognition.sounds import C_MAJOR, C_MINOR, chords, sine

COEFFICIENTS = Coefficients(
    features=("mode", "onset_rate"),
    means=(0.0, 3.0),
    sds=(0.1, 1.0),
    prototypes=((0.0, 0.0), (1.0, 1.0), (-1.0, -1.0)),
    usual_strangeness=0.3,
    axes={
        "valence": AxisModel(0.1, (0.2, 0.0), (0.0, 0.0, 0.0), 0.2, 0.12, -0.2, 2.0),
        "arousal": AxisModel(0.0, (-0.05, 0.15), (0.0, 0.0, 0.0), 0.25, 0.15, 0.0, 2.0),
    },
    seconds=(3.0, 30.0),
    shortness=(1.5, 1.0),
)
RECOGNIZER = EmbeddedRecognizer(COEFFICIENTS)


@pytest.fixture(scope="module")
def learned() -> EmbeddedRecognizer:
    return load_recognizer()


def judged(mode: float, onset_rate: float, seconds: float = 30.0) -> Judgement:
    return RECOGNIZER.judge_features({"mode": mode, "onset_rate": onset_rate, "more": 1.0}, seconds)


def test_an_estimate_is_brought_from_ratings_to_the_plane() -> None:
    emotion = judged(mode=0.1, onset_rate=4.0).emotion
    assert emotion.valence == pytest.approx(-0.2 + 2 * (0.1 + 0.2))
    assert emotion.arousal == pytest.approx(2 * (-0.05 + 0.15))


def test_reasons_say_what_each_feature_adds_the_strongest_first() -> None:
    judgement = judged(mode=0.1, onset_rate=2.0)
    assert [(reason.feature, reason.axis) for reason in judgement.reasons[:3]] == [
        ("mode", "valence"),
        ("onset_rate", "arousal"),
        ("mode", "arousal"),
    ]
    assert judgement.reasons[0].adds == pytest.approx(0.4)
    assert sum(reason.adds for reason in judgement.reasons if reason.axis == "arousal") == pytest.approx(
        judgement.emotion.arousal
    )


def test_no_music_is_judged_outside_of_the_plane() -> None:
    extreme = judged(mode=3.0, onset_rate=90.0)
    assert extreme.emotion.valence == 1.0
    assert -1.0 <= extreme.emotion.arousal <= 1.0


def test_short_music_is_judged_with_less_certainty() -> None:
    assert judged(0.0, 3.0, seconds=3.0).arousal_sd == pytest.approx(1.5 * judged(0.0, 3.0).arousal_sd)
    assert judged(0.0, 3.0, seconds=300.0).arousal_sd == judged(0.0, 3.0).arousal_sd


def test_music_unlike_what_was_fitted_is_judged_with_less_certainty() -> None:
    familiar, strange = judged(0.0, 3.0), judged(1.0, 3.0)
    assert familiar.valence_sd == pytest.approx(2 * 0.12)
    assert strange.valence_sd == pytest.approx(2 * np.hypot(0.12, 0.2 * np.sqrt(1 - 0.3)), rel=0.01)


def test_what_prototypes_add_counts_near_to_them_and_is_told_as_reasons() -> None:
    axes = dict(COEFFICIENTS.axes)
    axes["valence"] = replace(axes["valence"], by_nearness=(0.0, 0.2, -0.1))
    curved = EmbeddedRecognizer(replace(COEFFICIENTS, axes=axes))
    here, there = ({"mode": mode, "onset_rate": rate} for mode, rate in ((0.1, 4.0), (0.3, 0.0)))
    near = curved.judge_features(here, 30.0).emotion.valence - judged(0.1, 4.0).emotion.valence
    far = curved.judge_features(there, 30.0).emotion.valence - judged(0.3, 0.0).emotion.valence
    assert near == pytest.approx(2 * (0.2 - 0.1 * np.exp(-4.0)), abs=1e-3)
    assert abs(far) < 0.1 * near
    assert curved.middle("valence") + curved.contributions(here)["valence"].sum() == pytest.approx(
        judged(0.1, 4.0).emotion.valence + near
    )


def test_the_learned_recognizer_hears_what_listeners_are_known_to_hear(learned: EmbeddedRecognizer) -> None:
    slow, fast = (learned.judge(chords(C_MAJOR, seconds, 30.0)) for seconds in (1.0, 0.15))
    major, minor = (learned.judge(chords(keys, 0.5, 30.0)) for keys in (C_MAJOR, C_MINOR))
    assert fast.emotion.arousal > slow.emotion.arousal + 0.2
    assert major.emotion.valence > minor.emotion.valence + 0.2


def test_the_same_music_is_judged_the_same_twice(learned: EmbeddedRecognizer) -> None:
    music = chords(C_MAJOR, 0.5, 10.0)
    assert learned.judge(music) == learned.judge(music.copy())


def narrowed(music: Mono) -> Mono:
    """As if it had been sampled at 8 kHz."""
    return np.asarray(resample_poly(resample_poly(music, 80, 441 // 2), 441 // 2, 80), np.float32)


@pytest.mark.parametrize("spoil", [lambda music: music * 0.03, lambda music: np.clip(9 * music, -0.5, 0.5), narrowed])
def test_spoilt_music_is_judged_within_the_plane_and_not_with_more_certainty(
    learned: EmbeddedRecognizer, spoil: Callable[[Mono], Mono]
) -> None:
    music = chords(C_MAJOR, 0.5, 10.0)
    music += sine(5000.0, 10.0, 0.01)
    spoilt = learned.judge(np.asarray(spoil(music), np.float32))
    clean = learned.judge(music)
    assert abs(spoilt.emotion.valence) <= 1
    assert spoilt.valence_sd > 0.9 * clean.valence_sd


@pytest.mark.parametrize("mono", [np.zeros(4 * RATE, np.float32), sine(440.0, 1.0), np.full(4 * RATE, np.inf, "f4")])
def test_what_is_no_music_at_all_is_not_judged(learned: EmbeddedRecognizer, mono: Mono) -> None:
    with pytest.raises(CannotJudge):
        learned.judge(mono)


def test_the_learned_features_are_those_that_are_measured(learned: EmbeddedRecognizer) -> None:
    assert set(learned.coefficients.features) <= set(extract(chords(C_MAJOR, 0.5, 4.0)))


def test_coefficients_survive_their_file(tmp_path: Path) -> None:
    file = tmp_path / "coefficients.json"
    file.write_text(to_json(COEFFICIENTS, {"seed": 1}))
    assert load_recognizer(file).coefficients == COEFFICIENTS


@pytest.mark.parametrize(
    "broken",
    [
        replace(COEFFICIENTS, sds=(0.0, 1.0)),
        replace(COEFFICIENTS, means=(0.0,)),
        replace(COEFFICIENTS, means=(0.0, float("nan"))),
        replace(COEFFICIENTS, prototypes=((1.0, 0.0, 0.0),)),
        replace(COEFFICIENTS, prototypes=()),
        replace(COEFFICIENTS, axes={"valence": COEFFICIENTS.axes["valence"]}),
        replace(COEFFICIENTS, seconds=()),
        replace(
            COEFFICIENTS,
            axes={**COEFFICIENTS.axes, "arousal": AxisModel(0.0, (1.0, 1.0), (0.0,) * 3, 0.2, 0.0, 0.0, 1.0)},
        ),
    ],
)
def test_coefficients_that_do_not_fit_together_are_refused(tmp_path: Path, broken: Coefficients) -> None:
    file = tmp_path / "coefficients.json"
    file.write_text(to_json(broken, {}))
    with pytest.raises(InvalidInput, match=r"coefficients\.json: no coefficients"):
        load_recognizer(file)


@pytest.mark.parametrize("content", ["", "[]", "{}", json.dumps({"version": 99})])
def test_another_file_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "coefficients.json"
    file.write_text(content)
    with pytest.raises(InvalidInput, match="make them with"):
        load_recognizer(file)
    with pytest.raises(InvalidInput, match="no coefficients"):
        load_recognizer(tmp_path / "none.json")
