"""A sound card that a test can listen to: a PulseAudio null sink, and a recording of what is played into it."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from tests.e2e.browser import wait_for

RATE = 48_000
_FRAME_BYTES = 4  # 16-bit stereo


class Recording:
    """Everything that was played since it began."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._heard = bytearray()
        self._reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        while block := stream.read(RATE // 100 * _FRAME_BYTES):
            self._heard += block

    @property
    def frames(self) -> int:
        """How much has been heard: the present."""
        return len(self._heard) // _FRAME_BYTES

    def between(self, start: int, end: int) -> NDArray[np.float64]:
        """Mono samples between two frames of the recording. Shape (end - start,), full scale 1."""
        heard = bytes(self._heard[start * _FRAME_BYTES : end * _FRAME_BYTES])
        stereo = np.frombuffer(heard, dtype="<i2").reshape(-1, 2).astype(np.float64)
        return (stereo[:, 0] + stereo[:, 1]) / 65536

    def next(self, seconds: float) -> NDArray[np.float64]:
        """Listen for that long from now on."""
        start = self.frames
        end = start + round(seconds * RATE)
        wait_for(lambda: self.frames >= end, f"{seconds:g} s of sound card time", seconds * 3 + 5)
        return self.between(start, end)


@contextmanager
def null_sink(folder: Path) -> Iterator[dict[str, str]]:
    """A PulseAudio daemon of our own with one silent card; yields the environment of who is to play there."""
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    address = folder / "native"
    daemon = subprocess.Popen(
        [
            *("pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes"),
            f"--load=module-null-sink sink_name=card rate={RATE} channels=2",
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={address}",
        ],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(address.exists, "PulseAudio to start")
        yield {**environment, "PULSE_SERVER": f"unix:{address}"}
    finally:
        daemon.terminate()
        daemon.wait(timeout=10)


@contextmanager
def recording(environment: dict[str, str]) -> Iterator[Recording]:
    """What is played on the card of `null_sink`, from now on."""
    recorder = subprocess.Popen(
        ["parec", "--device=card.monitor", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=2"],
        env=environment,
        stdout=subprocess.PIPE,
    )
    assert recorder.stdout is not None
    try:
        heard = Recording(recorder.stdout)
        wait_for(lambda: heard.frames > 0, "the recording to begin")
        yield heard
    finally:
        recorder.terminate()
        recorder.wait(timeout=10)
        recorder.stdout.close()


def level_dbfs(samples: NDArray[np.float64]) -> float:
    """RMS level; -inf for digital silence."""
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(np.sqrt(np.mean(samples**2))))


def centroid_hz(samples: NDArray[np.float64]) -> float:
    """Where the middle of the spectrum lies: brightness."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.sum(np.fft.rfftfreq(len(samples), 1 / RATE) * spectrum) / np.sum(spectrum))


def longest_gap_s(samples: NDArray[np.float64], floor_dbfs: float) -> float:
    """The longest stretch of 20 ms windows that all lie under a level."""
    window = RATE // 50
    windows = samples[: len(samples) // window * window].reshape(-1, window)
    longest = current = 0
    for quiet in np.mean(windows**2, axis=1) < 10 ** (floor_dbfs / 10):
        current = current + 1 if quiet else 0
        longest = max(longest, current)
    return longest * window / RATE
