"""Essentia's regression of valence and arousal on MusiCNN embeddings, in ONNX.

The models are those that the Music Technology Group publishes at essentia.upf.edu/models (CC BY-NC-SA 4.0): MusiCNN,
trained to tag the Million Song Dataset (Pons and Serra 2019, arXiv 1909.06654), whose 200 activations before the last
layer go into a small network trained on the ratings of DEAM or of emoMusic (Bogdanov et al. 2022, "MusAV", ISMIR). A
folder holds `msd-musicnn-1.onnx` and one or both of `deam-msd-musicnn-2.onnx` and `emomusic-msd-musicnn-2.onnx`.

MusiCNN hears mel bands. They are made here as the model's authors make them (`TensorflowInputMusiCNN` of Essentia,
which follows librosa 0.6): 16 kHz, frames of 512 samples every 256, Hann window, power, 96 triangular bands on Slaney's
mel scale that have a height of 2 / width, then log10(1 + 10000 x).
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as faults

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.judgement import Judgement, Mono, Reason
from musicmed_live.errors import BadWeights
from musicmed_live.recognition.neural import at_rate, error_of_fit, from_ratings

RATE = 16_000
FRAME, HOP, BANDS = 512, 256, 96
PATCH, PATCH_HOP = 187, 93  # frames that MusiCNN hears at a time (3 s), and how far apart they begin
EMBEDDING = "msd-musicnn-1.onnx"
HEADS = ("deam-msd-musicnn-2.onnx", "emomusic-msd-musicnn-2.onnx")
WIDTH = 200

# Nobody has published how far these heads err on the scale of the ratings. Taken is what Kang and Herremans 2025
# (arXiv 2502.03979, table 2) reach on DEAM with a larger model, so it is rather too small.
VALENCE_SD, AROUSAL_SD = error_of_fit(1.174, 0.518), error_of_fit(1.282, 0.623)

FloatArray = NDArray[np.float32]
_FAULTS = (
    *(faults.Fail, faults.InvalidProtobuf, faults.InvalidGraph, faults.InvalidArgument, faults.NoSuchFile),
    *(faults.NotImplemented, faults.RuntimeException),
)


class EssentiaRecognizer:
    """The mean of the heads that a folder holds. Raises `BadWeights` where it has none, or what is something else."""

    def __init__(self, folder: Path) -> None:
        self._embedding = _open(folder / EMBEDDING, (PATCH, BANDS), WIDTH)
        present = [name for name in HEADS if (folder / name).is_file()]
        if not present:
            raise BadWeights(f"{folder} has neither {' nor '.join(HEADS)}; get one from essentia.upf.edu/models")
        self._heads = {name.split("-")[0]: _open(folder / name, (WIDTH,), 2) for name in present}

    def judge(self, mono: Mono) -> Judgement:
        """The mean over heads and over stretches of 3 s. Raises `CannotJudge`.

        The reasons are the heads, with what each of them says, as far as it is off the middle.
        """
        embeddings = self._embedding(patches(mel_bands(at_rate(mono, RATE))))
        said = {name: from_ratings(*map(float, head(embeddings).mean(axis=0))) for name, head in self._heads.items()}
        points = np.array([[emotion.valence, emotion.arousal] for emotion in said.values()]).mean(axis=0)
        reasons = [Reason(name, "valence", emotion.valence) for name, emotion in said.items()]
        reasons += [Reason(name, "arousal", emotion.arousal) for name, emotion in said.items()]
        ranked = tuple(sorted(reasons, key=lambda reason: -abs(reason.adds)))
        return Judgement(Emotion(float(points[0]), float(points[1])), VALENCE_SD, AROUSAL_SD, ranked)


def mel_bands(samples: FloatArray) -> FloatArray:
    """What MusiCNN hears of sound at 16 kHz: shape (1 + len // 256, 96), the first frame centred on the start."""
    padded = np.pad(samples, FRAME // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(FRAME), axis=1)) ** 2
    return np.log10(1 + 10_000 * power @ _filters().T).astype(np.float32)


def patches(bands: FloatArray) -> FloatArray:
    """Overlapping stretches of mel bands, shape (patches, 187, 96); what is left over at the end is not heard."""
    windows = np.lib.stride_tricks.sliding_window_view(bands, PATCH, axis=0)[::PATCH_HOP]
    return np.ascontiguousarray(windows.transpose(0, 2, 1))


@cache
def _filters() -> NDArray[np.float64]:
    """Triangles that meet at equal steps of Slaney's mel scale from 0 to 8 kHz, shape (96, 257)."""
    corners = _from_mel(np.linspace(0, _to_mel(RATE / 2), BANDS + 2))[:, None]
    bins = np.arange(FRAME // 2 + 1) * RATE / FRAME
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * 2 / (corners[2:] - corners[:-2]))


# Slaney 1998, "Auditory Toolbox": linear up to 1 kHz, which is mel 15, then logarithmic, 27 steps to a factor of 6.4.
_LINEAR_HZ, _KNEE_HZ, _STEP = 200 / 3, 1000.0, np.log(6.4) / 27


def _to_mel(hertz: float) -> float:
    return float(_KNEE_HZ / _LINEAR_HZ + np.log(hertz / _KNEE_HZ) / _STEP)  # of what is above the knee


def _from_mel(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    knee = _KNEE_HZ / _LINEAR_HZ
    return np.where(mel < knee, mel * _LINEAR_HZ, _KNEE_HZ * np.exp(_STEP * (np.maximum(mel, knee) - knee)))


def _open(path: Path, shape: tuple[int, ...], width: int) -> Callable[[FloatArray], FloatArray]:
    """A network that takes (batch, *shape) and one of whose answers is (batch, width)."""
    if not path.is_file():
        raise BadWeights(f"{path} is missing; get it from essentia.upf.edu/models")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # beside music that is being made
    options.log_severity_level = 4  # what is wrong is raised, and said in one line
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _FAULTS as fault:
        raise BadWeights(f"{path} is cut short or no ONNX model ({_first_line(fault)}); download it again") from fault
    inputs = session.get_inputs()
    answers = [answer.name for answer in session.get_outputs() if len(answer.shape) == 2 and answer.shape[1] == width]
    if len(inputs) != 1 or tuple(inputs[0].shape[1:]) != shape or not answers:
        raise BadWeights(f"{path} does not turn {shape} into {width} numbers; it is another model than {path.name}")

    def run(batch: FloatArray) -> FloatArray:
        try:
            return np.asarray(session.run(answers[:1], {inputs[0].name: batch})[0])
        except _FAULTS as fault:
            raise BadWeights(f"{path} cannot be run ({_first_line(fault)}); download it again") from fault

    return run


def _first_line(fault: Exception) -> str:
    return str(fault).partition("\n")[0][:160]
