"""What this machine can do, and how to get what is missing."""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from musicmed_live.errors import MusicmedError
from musicmed_live.service.broker import find_mosquitto
from musicmed_live.service.generators import Choice, check_generator, missing_for_musicgen

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "firefox")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked for."""

    what: str
    found: bool
    words: str


def examine() -> Iterator[Finding]:
    """Look for everything that a session could use. Nothing is started."""
    yield _composer()
    yield _musicgen()
    yield _sound_card()
    yield _gpu()
    yield _browser()
    yield _mqtt()


def _composer() -> Finding:
    try:
        check_generator(Choice())
    except MusicmedError as fault:
        return Finding("generator composer", False, str(fault))
    return Finding("generator composer", True, "needs nothing further")


def _musicgen() -> Finding:
    missing = missing_for_musicgen()
    if missing:
        words = f"needs {', '.join(missing)}: pip install 'musicmed-live[musicgen]'"
        return Finding("generator musicgen", False, words)
    from musicmed_live.musicgen import binding

    words = "needs weights: musicmed-live models list"
    if not binding.available():
        words += "; its kernel for CPUs was not compiled, and without that only a GPU keeps up"
    return Finding("generator musicgen", True, words)


def _sound_card() -> Finding:
    try:
        import sounddevice
    except OSError:
        return Finding("sound card", False, "PortAudio is not installed (Debian: apt-get install libportaudio2)")
    try:
        device = sounddevice.query_devices(kind="output")
    except (sounddevice.PortAudioError, ValueError):
        return Finding("sound card", False, "none found; the page plays sound in the browser instead")
    return Finding("sound card", True, str(device["name"]))


def _gpu() -> Finding:
    command = shutil.which("nvidia-smi")
    if command is None:
        return Finding("GPU", False, "no NVIDIA driver found; the composer does not need one")
    query = [command, "--query-gpu=name", "--format=csv,noheader"]
    try:
        names = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.split("\n")
    except (subprocess.SubprocessError, OSError) as fault:
        return Finding("GPU", False, f"nvidia-smi fails: {fault}")
    return Finding("GPU", True, ", ".join(name for name in names if name))


def _browser() -> Finding:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        return Finding("browser", False, "none found here; any browser that reaches this machine will do")
    return Finding("browser", True, found)


def _mqtt() -> Finding:
    try:
        return Finding("MQTT broker", True, find_mosquitto())
    except MusicmedError as fault:
        return Finding("MQTT broker", False, f"{fault}; only --mqtt needs one")
