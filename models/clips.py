"""The clips of an evaluation: a grid over the valence-arousal plane, several seeds, one sound file for each.

A clip that is there already is not made again, so an evaluation that was stopped goes on where it was. `clips.json`
says what they were made with, so that no clip of another model is taken for one of this.
"""

import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from models.whole import whole
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import SAMPLE_RATE, ClipRequest, Generator, Samples, frames_of
from musicmed_live.errors import CannotServe, InvalidInput

SOUNDS = "sounds"
MANIFEST = "clips.json"
EDGE = 0.8  # of the grid: beyond it, the plane's corners are further out than moods are put
_WEIGHTS = (".safetensors", ".bin", ".ckpt", ".pt", ".onnx", ".model", ".json", ".toml")


@dataclass(frozen=True, slots=True)
class Grid:
    """What is asked for: `levels` x `levels` emotions from -0.8 to 0.8, each with `seeds` seeds, `seconds` long."""

    levels: int = 5
    seeds: int = 2
    seconds: float = 30.0

    @property
    def places(self) -> list[float]:
        """The levels of either axis."""
        return [round(float(level), 4) + 0.0 for level in np.linspace(-EDGE, EDGE, self.levels)]

    def wishes(self) -> list[tuple[Emotion, int]]:
        """Emotion and seed of every clip, in order."""
        emotions = list(itertools.starmap(Emotion, itertools.product(self.places, self.places)))
        return list(itertools.product(emotions, range(self.seeds)))


@dataclass(frozen=True, slots=True)
class Side:
    """One of the things that are compared, and how to get at its generator when its clips are to be made."""

    name: str  # "base", "adapter" or "composer": the folder of its sounds
    load: Callable[[], Generator]
    made_of: Mapping[str, str]  # SHA-256 of each file that it consists of, by the file's name


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip that there is."""

    side: str
    emotion: Emotion
    seed: int
    file: str  # relative to the evaluation's folder


def make_clips(folder: Path, grid: Grid, sides: Sequence[Side], told: Callable[[Clip], None]) -> list[Clip]:
    """All clips, those made that are not there yet; `told` hears of each when it is.

    Raises `InvalidInput` where the folder holds clips of something else, `CannotServe` where it cannot be written.
    """
    _claim(folder, grid, sides)
    clips = []
    for side in sides:
        for clip in _make_side(folder, grid, side):
            clips.append(clip)
            told(clip)
    return clips


def read_clip(folder: Path, clip: Clip) -> Samples:
    """The sound of a clip, (frames, 2). Raises `InvalidInput` where its file is damaged or gone."""
    try:
        samples, _ = soundfile.read(folder / clip.file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as fault:
        raise InvalidInput(f"{folder / clip.file} cannot be read ({fault}); remove it and evaluate again") from fault
    return np.asarray(samples, np.float32)


def write_text(path: Path, text: str) -> None:
    """Write a text so that the file is never half of it. Raises `CannotServe`."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def make_folder(folder: Path) -> None:
    """Make a folder that may be there already. Raises `CannotServe`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise CannotServe(f"{folder} cannot be made ({fault.strerror}); give another place") from fault


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of weights or settings in a folder, by its name there."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in _WEIGHTS and path.is_file()):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _make_side(folder: Path, grid: Grid, side: Side) -> Iterator[Clip]:
    generator: Generator | None = None
    for emotion, seed in grid.wishes():
        clip = Clip(side.name, emotion, seed, f"{SOUNDS}/{side.name}/{_file_name(emotion, seed)}")
        if not _is_whole(folder / clip.file, frames_of(grid.seconds)):
            generator = generator or side.load()
            _write(folder / clip.file, _compose(generator, emotion, seed, frames_of(grid.seconds)))
        yield clip


def _file_name(emotion: Emotion, seed: int) -> str:
    return f"v{emotion.valence:+.2f}_a{emotion.arousal:+.2f}_seed{seed}.flac"


def _compose(generator: Generator, emotion: Emotion, seed: int, frames: int) -> Samples:
    voice = generator.open_voice(seed)
    try:
        blocks = voice.compose(ClipRequest(0, frames, emotion, emotion))
        return np.concatenate([block.samples for block in blocks])
    finally:
        voice.close()


def _is_whole(path: Path, frames: int) -> bool:
    """Its header is not enough: of a file that was cut short, that says how long it was to be."""
    try:
        return len(soundfile.read(path, dtype="int16")[0]) == frames
    except (soundfile.LibsndfileError, OSError):
        return False


def _write(path: Path, samples: Samples) -> None:
    with whole(path) as unfinished:
        soundfile.write(unfinished, samples, SAMPLE_RATE, format="FLAC")


def _claim(folder: Path, grid: Grid, sides: Sequence[Side]) -> None:
    """Note what the folder's clips are made with, or see that it is the same as before."""
    path = folder / MANIFEST
    wanted: dict[str, Any] = {"seconds": grid.seconds, "sides": {side.name: dict(side.made_of) for side in sides}}
    before = _read_manifest(path)
    if before is not None:
        known, made = before["sides"], wanted["sides"]
        same = all(known.get(name, made_of) == made_of for name, made_of in made.items())
        if before.get("seconds") != grid.seconds or not same:
            raise InvalidInput(f"{folder} holds clips of another model, adapter or length; give another --out", "--out")
        wanted["sides"] = known | made
    make_folder(folder)
    write_text(path, json.dumps(wanted, indent=1) + "\n")


def _read_manifest(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise InvalidInput(f"{path} cannot be read ({fault}); give another --out", "--out") from fault
    if not isinstance(content, dict) or not isinstance(content.get("sides"), dict):
        raise InvalidInput(f"{path} is not of an evaluation; give another --out", "--out")
    return content
