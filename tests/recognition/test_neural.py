"""What the optional recognizers share: how they are named, where they are, which scale they answer on."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from musicmed_live.errors import BadWeights, CannotJudge, InvalidInput
from musicmed_live.recognition.features import RATE
from musicmed_live.recognition.neural import at_rate, cached, error_of_fit, from_ratings, load_neural
from musicmed_live.recognition.neural import parse_recognizer_option as parse


def test_a_recognizer_is_named_with_its_folder_or_taken_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert parse("essentia=/weights/here") == ("essentia", Path("/weights/here"))
    assert parse("music2emo") == ("music2emo", Path("/somewhere/musicmed-live/recognizers/music2emo"))

    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cached("essentia") == Path.home() / ".cache/musicmed-live/recognizers/essentia"


@pytest.mark.parametrize("text", ["", "clap", "Music2Emo", "=here", "music2emo="])
def test_another_name_is_refused_with_the_known_ones(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"--recognizer: .*music2emo"):
        parse(text)


def test_weights_that_are_not_there_are_said_to_be_needed(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="essentia needs its weights there"):
        load_neural("essentia", tmp_path / "nowhere")


@given(st.floats(1, 9), st.floats(1, 9))
def test_the_middle_of_the_scale_is_the_middle_of_the_plane(valence: float, arousal: float) -> None:
    emotion = from_ratings(valence, arousal)
    assert emotion.valence == pytest.approx((valence - 5) / 4)
    assert emotion.arousal == pytest.approx((arousal - 5) / 4)


def test_a_rating_that_is_no_number_is_no_emotion() -> None:
    with pytest.raises(CannotJudge):
        from_ratings(float("nan"), 5)


def test_a_fit_that_explains_three_quarters_errs_by_half_of_the_spread() -> None:
    assert error_of_fit(2.0, 0.75) == pytest.approx(0.25)  # half of 2, on a scale four times finer


def test_sound_changes_its_rate_and_nothing_else() -> None:
    seconds = np.arange(4 * RATE) / RATE
    tone = np.sin(2 * np.pi * 440 * seconds).astype(np.float32)

    heard = at_rate(tone, 16_000)

    assert len(heard) == 4 * 16_000
    expected = np.sin(2 * np.pi * 440 * np.arange(len(heard)) / 16_000)
    assert np.abs(heard - expected)[500:-500].max() < 0.01
