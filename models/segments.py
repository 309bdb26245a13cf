"""Sound files, read as the codec wants them and cut into segments."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr  # type: ignore[import-untyped]  # soxr has no annotations
from numpy.typing import NDArray

from models.tokens import HOP, Mono
from musicmed_live.errors import InvalidInput
from musicmed_live.musicgen.parts import CODEC_RATE

SEGMENT_SECONDS = 30.0
SHORTEST_SECONDS = 10.0  # of a rest that is kept
LONGEST_MINUTES = 20  # of a file that are read
LOWEST_RATE = 16_000  # Hz; what has less has nothing above 8 kHz, and a model would learn to sound dull

# What may be opened, by what it holds and not by its name: no playlists, which would have others opened.
_FORMATS = "mp3,flac,wav,w64,aiff,ogg,aac,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,caf,au,ac3,wv,ape,asf"
_SILENT = 10 ** (-60 / 20)  # root mean square, of full scale
_WINDOW = CODEC_RATE // 10  # samples over which it is taken


class Unusable(InvalidInput):
    """A sound file from which no segment can be made; the message says why in a few words."""


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A stretch of a file, a whole number of token frames long."""

    start_seconds: float
    sound: Mono


def read_mono(path: Path) -> Mono:
    """The first 20 minutes of a sound file of any usual format, rate and number of channels, mono at `CODEC_RATE`.

    Raises `Unusable` where it is missing, broken, not sound, not finite, or of too low a rate.
    """
    with _opened(path) as container:
        blocks = list(_resampled(container))
    sound: Mono = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
    if not np.isfinite(sound).all():
        raise Unusable("has samples that are no numbers")
    return sound


def seconds_of(path: Path) -> float | None:
    """How long a file lasts by its header; None where that does not say. Raises `Unusable` as `read_mono` does."""
    with _opened(path) as container:
        return None if container.duration is None else container.duration / av.time_base


def cut(sound: Mono, most: int) -> list[Cut]:
    """At most `most` segments of a sound, spread evenly over it: 30 s each, the last one maybe less, at least 10 s.

    Silence (below -60 dBFS) at either end is left out, and so is a segment that is silent more than half of the time.
    Raises `Unusable` where nothing is left.
    """
    loud = _loud_windows(sound)
    if not loud.any():
        raise Unusable("is silent")
    begin = int(loud.argmax()) * _WINDOW
    end = min(len(sound), (len(loud) - int(loud[::-1].argmax())) * _WINDOW)
    if end - begin < SHORTEST_SECONDS * CODEC_RATE:
        raise Unusable(
            f"lasts {(end - begin) / CODEC_RATE:.1f} s without silence at its ends, less than {SHORTEST_SECONDS:.0f}"
        )
    length = round(SEGMENT_SECONDS * CODEC_RATE)
    starts = range(begin, end - round(SHORTEST_SECONDS * CODEC_RATE) + 1, length)
    cuts = [Cut(at / CODEC_RATE, _whole_frames(sound[at : min(at + length, end)])) for at in starts]
    heard = [one for one in cuts if _loud_windows(one.sound).mean() > 0.5]
    if not heard:
        raise Unusable("is silent for more than half of its time")
    wanted = min(most, len(heard))
    return [heard[int((i + 0.5) * len(heard) / wanted)] for i in range(wanted)]


def segments_in(seconds: float) -> int:
    """How many segments a file of that length gives, if it is silent nowhere."""
    whole, rest = divmod(min(seconds, LONGEST_MINUTES * 60), SEGMENT_SECONDS)
    return int(whole) + (rest >= SHORTEST_SECONDS)


@contextmanager
def _opened(path: Path) -> Iterator["av.container.InputContainer"]:
    try:
        with av.open(str(path), options={"format_whitelist": _FORMATS}) as container:
            if not container.streams.audio:
                raise Unusable("holds no sound")
            rate = container.streams.audio[0].codec_context.sample_rate
            if rate < LOWEST_RATE:
                raise Unusable(f"has {rate} Hz, less than {LOWEST_RATE}: too dull to learn from")
            yield container
    except FileNotFoundError:
        raise Unusable("is not there") from None
    except (av.FFmpegError, OSError, ValueError) as fault:
        raise Unusable(f"cannot be read ({getattr(fault, 'strerror', None) or fault})") from fault


def _resampled(container: "av.container.InputContainer") -> Iterator[Mono]:
    stream = container.streams.audio[0]
    rate = stream.codec_context.sample_rate
    planes = av.AudioResampler(format="fltp")
    to_codec_rate = soxr.ResampleStream(rate, CODEC_RATE, 1, dtype="float32", quality="HQ")
    left = LONGEST_MINUTES * 60 * rate
    for frame in container.decode(stream):
        for block in planes.resample(frame):
            mono = block.to_ndarray().mean(axis=0, dtype=np.float32)[:left]
            left -= len(mono)
            yield to_codec_rate.resample_chunk(mono)
        if not left:
            break
    yield to_codec_rate.resample_chunk(np.empty(0, np.float32), last=True)


def _loud_windows(sound: Mono) -> NDArray[np.bool_]:
    """Whether each tenth of a second is louder than silence; of the last, what there is of it."""
    padded = np.pad(sound, (0, -len(sound) % _WINDOW)).reshape(-1, _WINDOW)
    loud: NDArray[np.bool_] = np.sqrt(np.square(padded, dtype=np.float64).mean(axis=1)) > _SILENT
    return loud


def _whole_frames(sound: Mono) -> Mono:
    return sound[: len(sound) // HOP * HOP]
