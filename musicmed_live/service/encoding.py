"""Samples to bytes: the codecs of the wire."""

from typing import Protocol

import av
import numpy as np

from musicmed_live.core.generator import SAMPLE_RATE, Samples
from musicmed_live.core.messages import BLOCK_FRAMES, Codec

OPUS_BIT_RATE = 128_000


class Encoder(Protocol):
    """Turns blocks of `BLOCK_FRAMES` frames into payloads."""

    pre_skip: int  # frames by which a decoder's output lags
    run_in_frames: int  # so much sound before the first that counts a decoder needs to be right

    def encode(self, samples: Samples) -> bytes:
        """The payload of a block, shape (frames, 2) in [-1, 1]."""
        ...


class PcmEncoder:
    """Interleaved 16-bit little-endian samples."""

    pre_skip = 0
    run_in_frames = 0

    def encode(self, samples: Samples) -> bytes:
        """Rounded and clipped to 16 bits."""
        return bytes(np.clip(np.rint(samples * 32767.0), -32768, 32767).astype("<i2").tobytes())


class OpusEncoder:
    """Opus packets of 40 ms through libopus, by way of PyAV."""

    pre_skip = 312  # libopus looks 6.5 ms ahead
    run_in_frames = 2 * BLOCK_FRAMES  # 80 ms, as RFC 7845 (4.6) advises

    def __init__(self) -> None:
        self._codec = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate = SAMPLE_RATE
        self._codec.layout = "stereo"
        self._codec.format = "flt"
        self._codec.bit_rate = OPUS_BIT_RATE
        self._codec.options = {"frame_duration": "40", "application": "audio"}
        self._codec.open()

    def encode(self, samples: Samples) -> bytes:
        """One packet; a block that is shorter than `BLOCK_FRAMES` is padded with silence."""
        padded = np.zeros((1, BLOCK_FRAMES * 2), np.float32)
        padded[0, : samples.size] = samples.reshape(-1)
        frame = av.AudioFrame.from_ndarray(padded, format="flt", layout="stereo")
        frame.sample_rate = SAMPLE_RATE
        return b"".join(bytes(packet) for packet in self._codec.encode(frame))


def encoder_for(codec: Codec) -> Encoder:
    """A fresh encoder: one for each listener, since Opus remembers."""
    return OpusEncoder() if codec is Codec.OPUS else PcmEncoder()
