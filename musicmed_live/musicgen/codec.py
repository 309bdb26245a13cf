"""From codec tokens to sound, block by block: EnCodec's decoder, resampled to 48 kHz and made stereo.

Any split of the tokens into blocks gives the sound that decoding them as a whole would, to rounding.
"""

from dataclasses import dataclass

import numpy as np
import soxr  # type: ignore[import-untyped]  # soxr has no annotations
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from transformers import EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecEuclideanCodebook

from musicmed_live.core.generator import SAMPLE_RATE, Samples
from musicmed_live.musicgen.decoder import FRAME_RATE
from musicmed_live.musicgen.device import running
from musicmed_live.musicgen.parts import CODEC_RATE
from musicmed_live.musicgen.stereo import WideningState, begin_widening, widen
from musicmed_live.musicgen.streaming import State, lag_of, layers_of, run

FRAME_SAMPLES = SAMPLE_RATE // FRAME_RATE  # 48 kHz samples of a codec frame
_HOP = CODEC_RATE // FRAME_RATE  # 32 kHz samples of a codec frame
_QUALITY = "VHQ"
_REACH = 128  # 32 kHz samples, even: soxr's VHQ filter is 126 long to either side at -160 dB


@dataclass(frozen=True, slots=True, eq=False)
class CodecState:
    """All that decoding on takes, less than 100 KB. Never modified: decode other tokens from an old one."""

    frames: int  # codec frames consumed
    layers: tuple[State, ...]
    mono: NDArray[np.float32]  # 32 kHz samples that are not resampled yet, and what the filter reaches before them
    side: WideningState


class StreamingCodec:
    """Decodes codec frames as they come. Holds no state of a stream: one serves any number of them."""

    def __init__(self, model: EncodecModel) -> None:
        """Take what decoding needs of `model`, in float32 and where its weights lie; nothing of it is kept.

        The model is of the kind that MusicGen uses: one of which `parts.codec_config` has read the configuration.
        """
        codebooks = (part for part in model.quantizer.modules() if isinstance(part, EncodecEuclideanCodebook))
        self._codebooks = [codebook.embed.detach().float().clone() for codebook in codebooks]
        self._layers = layers_of(model.decoder)
        self.latency_frames = -(-(lag_of(self._layers) + _REACH) // _HOP)

    def begin(self) -> CodecState:
        """Nothing consumed yet."""
        layers = tuple(layer.begin() for layer in self._layers)
        return CodecState(0, layers, np.empty(0, np.float32), begin_widening())

    def decode(self, codes: Tensor, state: CodecState) -> tuple[Samples, CodecState]:
        """The sound that `codes` (codebooks, n), n >= 0, int64, complete after `state`, and the state after them.

        It lags by `latency_frames`: of a stream of which `total` frames are consumed, FRAME_SAMPLES *
        max(0, total - latency_frames) samples have come out in all.
        """
        mono, layers = self._mono(codes, state, last=False)
        frames = state.frames + codes.shape[1]
        begin, end = self._complete(state.frames), self._complete(frames)
        stereo, side = widen(_resampled(mono, begin, end), state.side)
        kept = mono[_kept_from(end) - _kept_from(begin) :].copy()
        return stereo, CodecState(frames, layers, kept, side)

    def finish(self, state: CodecState) -> Samples:
        """The rest of the sound after `state`, if nothing follows: all samples of the frames that are not out yet."""
        nothing = torch.empty(len(self._codebooks), 0, dtype=torch.int64)
        mono, _ = self._mono(nothing, state, last=True)
        stereo, _ = widen(_resampled(mono, self._complete(state.frames), state.frames), state.side)
        return stereo

    def _complete(self, frames: int) -> int:
        """Frames of sound that are out when `frames` of tokens are consumed."""
        return max(0, frames - self.latency_frames)

    def _mono(self, codes: Tensor, state: CodecState, last: bool) -> tuple[NDArray[np.float32], tuple[State, ...]]:
        """What `state` keeps at 32 kHz and what `codes` add to it."""
        device = self._codebooks[0].device
        with running(), torch.inference_mode():
            codes = codes.to(device)
            rows = torch.stack([F.embedding(c, e) for c, e in zip(codes, self._codebooks, strict=True)]).sum(0)
            rows, layers = run(self._layers, rows, state.layers, last)
            return np.concatenate((state.mono, rows[:, 0].cpu().numpy())), layers


def _kept_from(frames: int) -> int:
    """Where the kept 32 kHz samples begin when `frames` of sound are out."""
    return max(0, frames * _HOP - _REACH)


def _resampled(mono: NDArray[np.float32], begin: int, end: int) -> NDArray[np.float32]:
    """Frames `begin` to `end` of the sound at 48 kHz, `mono` being kept from where `begin` needs it."""
    if begin == end:
        return np.empty(0, np.float32)
    start = _kept_from(begin)
    window = mono[: end * _HOP + _REACH - start]
    first = (begin * _HOP - start) * SAMPLE_RATE // CODEC_RATE
    resampled: NDArray[np.float32] = soxr.resample(window, CODEC_RATE, SAMPLE_RATE, quality=_QUALITY)
    return resampled[first : first + (end - begin) * FRAME_SAMPLES]
