"""Essentia's models: what they are given, what their answers mean, what is refused."""

import math
from pathlib import Path

import librosa
import numpy as np
import pytest
from numpy.typing import NDArray

from musicmed_live.core.judgement import Mono
from musicmed_live.errors import BadWeights, CannotJudge
from musicmed_live.recognition import essentia
from musicmed_live.recognition.essentia import EssentiaRecognizer, mel_bands, patches
from musicmed_live.recognition.features import RATE
from tests.recognition.tiny_onnx import write_embedding, write_head

DEAM, EMOMUSIC = essentia.HEADS


def noise(seconds: float, rate: int = RATE, level: float = 0.1) -> Mono:
    return (level * np.random.default_rng(0).standard_normal(round(seconds * rate))).astype(np.float32)


def write_models(folder: Path, offsets: dict[str, tuple[float, float]], slope: float = 0.0) -> Path:
    """Heads that answer `offsets`, plus `slope` times the mean mel band on the second axis."""
    folder.mkdir()
    write_embedding(folder / essentia.EMBEDDING, np.full((96, 200), 1 / 96, np.float32))
    matrix = np.zeros((200, 2), np.float32)
    matrix[0, 1] = slope
    for name, offset in offsets.items():
        write_head(folder / name, matrix, np.array(offset, np.float32))
    return folder


def band_by_the_book(samples: NDArray[np.float32], frame: int, band: int) -> float:
    """One mel band of one frame, by the definitions: a sum over the spectrum, a triangle in Slaney's mel."""

    def mel(hertz: float) -> float:
        return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * math.log(hertz / 1000) / math.log(6.4)

    def hertz(at: float) -> float:
        return at * 200 / 3 if at < 15 else 1000 * 6.4 ** ((at - 15) / 27)

    low, middle, high = (hertz(mel(8000) * (band + step) / 97) for step in range(3))
    start = 256 * frame - 256
    window = [0.5 - 0.5 * math.cos(2 * math.pi * n / 511) for n in range(512)]
    sounds = [float(samples[start + n]) if 0 <= start + n < len(samples) else 0.0 for n in range(512)]
    energy = 0.0
    for k in range(257):
        at = k * 16_000 / 512
        height = max(0.0, min((at - low) / (middle - low), (high - at) / (high - middle))) * 2 / (high - low)
        spectrum = sum(sounds[n] * window[n] * np.exp(-2j * math.pi * k * n / 512) for n in range(512))
        energy += height * abs(spectrum) ** 2
    return math.log10(1 + 10_000 * energy)


@pytest.mark.parametrize(("frame", "band"), [(0, 3), (7, 40), (31, 95)])
def test_mel_bands_are_those_that_musicnn_was_trained_on(frame: int, band: int) -> None:
    samples = noise(0.5, 16_000)

    bands = mel_bands(samples)

    assert bands.shape == (1 + len(samples) // 256, 96)
    assert bands[frame, band] == pytest.approx(band_by_the_book(samples, frame, band), rel=1e-5)


def test_mel_bands_agree_with_librosa_whose_the_training_used() -> None:
    samples = noise(2.0, 16_000)

    theirs = librosa.feature.melspectrogram(y=samples, sr=16_000, n_fft=512, hop_length=256, n_mels=96)

    expected = np.log10(1 + 10_000 * theirs.T)
    assert np.corrcoef(mel_bands(samples).ravel(), expected.ravel())[0, 1] > 0.9999
    assert np.abs(mel_bands(samples) - expected)[1:-1].max() < 0.06  # its Hann window ends one sample later


def test_patches_are_three_seconds_long_and_overlap_by_half() -> None:
    bands = np.arange(400 * 96, dtype=np.float32).reshape(400, 96)

    found = patches(bands)

    assert found.shape == (3, 187, 96)
    for index, patch in enumerate(found):
        assert np.array_equal(patch, bands[93 * index : 93 * index + 187])


def test_ratings_become_points_of_the_plane_and_heads_are_averaged(tmp_path: Path) -> None:
    folder = write_models(tmp_path / "essentia", {DEAM: (7.0, 3.0), EMOMUSIC: (6.0, 4.0)})

    judgement = EssentiaRecognizer(folder).judge(noise(4.0))

    assert judgement.emotion.valence == pytest.approx(0.375)
    assert judgement.emotion.arousal == pytest.approx(-0.375)
    assert 0 < judgement.valence_sd < 1
    assert 0 < judgement.arousal_sd < 1
    assert [reason.feature for reason in judgement.reasons] == ["deam", "deam", "emomusic", "emomusic"]


def test_the_judgement_follows_the_sound(tmp_path: Path) -> None:
    recognizer = EssentiaRecognizer(write_models(tmp_path / "essentia", {DEAM: (5.0, 3.0)}, slope=0.8))

    quiet, loud = (recognizer.judge(noise(4.0, level=level)).emotion.arousal for level in (0.01, 0.3))

    assert quiet < loud < 1


def test_what_lies_beyond_the_scale_is_brought_to_its_end(tmp_path: Path) -> None:
    recognizer = EssentiaRecognizer(write_models(tmp_path / "essentia", {DEAM: (12.0, -3.0)}))

    emotion = recognizer.judge(noise(4.0)).emotion

    assert (emotion.valence, emotion.arousal) == (1.0, -1.0)


@pytest.mark.parametrize(
    ("sound", "what"),
    [
        (noise(2.9), "too little"),
        (np.zeros(5 * RATE, np.float32), "silent"),
        (np.full(5 * RATE, np.nan, np.float32), "no finite number"),
    ],
)
def test_sound_that_cannot_be_judged_is_refused(tmp_path: Path, sound: Mono, what: str) -> None:
    recognizer = EssentiaRecognizer(write_models(tmp_path / "essentia", {DEAM: (5.0, 5.0)}))

    with pytest.raises(CannotJudge, match=what):
        recognizer.judge(sound)


def test_weights_that_answer_with_nothing_are_no_judgement(tmp_path: Path) -> None:
    recognizer = EssentiaRecognizer(write_models(tmp_path / "essentia", {DEAM: (math.nan, 5.0)}))

    with pytest.raises(CannotJudge, match="damaged"):
        recognizer.judge(noise(4.0))


def test_a_folder_without_a_head_or_without_the_embedding_says_what_is_missing(tmp_path: Path) -> None:
    folder = write_models(tmp_path / "essentia", {})
    with pytest.raises(BadWeights, match=r"neither deam-msd-musicnn-2\.onnx nor emomusic"):
        EssentiaRecognizer(folder)

    (folder / essentia.EMBEDDING).unlink()
    with pytest.raises(BadWeights, match="is missing"):
        EssentiaRecognizer(folder)


def test_a_damaged_model_and_one_of_something_else_are_refused(tmp_path: Path) -> None:
    folder = write_models(tmp_path / "essentia", {DEAM: (5.0, 5.0)})
    whole = (folder / DEAM).read_bytes()
    (folder / DEAM).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadWeights, match="cut short"):
        EssentiaRecognizer(folder)

    write_head(folder / DEAM, np.zeros((200, 5), np.float32), np.zeros(5, np.float32))
    with pytest.raises(BadWeights, match="another model"):
        EssentiaRecognizer(folder)


@pytest.mark.parametrize("relative", [True, False])
def test_a_model_that_reads_files_from_outside_of_its_folder_is_refused(tmp_path: Path, relative: bool) -> None:
    folder = write_models(tmp_path / "essentia", {DEAM: (5.0, 5.0)})
    secret = tmp_path / "secret"
    secret.write_bytes(np.ones(2, np.float32).tobytes())
    where = "../secret" if relative else str(secret)

    write_head(folder / DEAM, np.zeros((200, 2), np.float32), np.zeros(2, np.float32), elsewhere=where)

    with pytest.raises(BadWeights):
        EssentiaRecognizer(folder)
