"""The rated pieces as sound, on many instruments: so that the timbre of one of them does not decide.

A *timbre* gives every register of a piece an instrument of the composer's orchestra. Each piece is played once in each
timbre, in a key, touch and articulation that vary a little from timbre to timbre but never its tempo, its register by
more than some semitones, or the dynamics that it has.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

import numpy as np
import soundfile
from numpy.typing import NDArray

from models.recognizer.pieces import Keystroke, Piece, read_keystrokes
from models.whole import whole
from musicmed_live.composer.renderer import Renderer
from musicmed_live.composer.sampler import Sampler
from musicmed_live.composer.score import Note
from musicmed_live.core.generator import frames_of
from musicmed_live.recognition.features import RATE, listen

LARGEST_TRANSPOSITION = 4  # semitones, either way
TOUCH = 8.0  # steps of velocity that a whole rendering may be played softer or harder
ARTICULATION = (0.8, 1.15)  # of a note's length
HEADROOM = 0.25  # of a rendering in its file; it is measured as loud as it was played


@dataclass(frozen=True, slots=True)
class Timbre:
    """Who plays: instruments by the lowest MIDI key that they take, the lowest first."""

    name: str
    players: tuple[tuple[int, str], ...]
    seconds: float = 45.0  # of each piece
    place: float = 0.0  # of these seconds in it: 0 its beginning .. 1 its end

    @property
    def instruments(self) -> frozenset[str]:
        return frozenset(instrument for _, instrument in self.players)

    def player(self, key: int) -> str:
        """The instrument that plays `key`."""
        return [instrument for lowest, instrument in self.players if lowest <= key][-1]


TIMBRES = (
    Timbre("piano", ((0, "piano"),), seconds=60.0),  # what the listeners heard
    Timbre("harp", ((0, "harp"),), place=0.5),
    Timbre("guitar", ((0, "bass"), (45, "guitar")), place=1.0),
    Timbre("pizzicato", ((0, "pizzicato"),)),
)
# Instruments that sound as long as a key is held. They blur fast notes, and how loud they are says nothing of how much
# is played: a piano piece is other music on them, of which nobody's rating is known. They are listened to, not fitted.
SUSTAINED = (
    Timbre("tremolo", ((0, "tremolo"),)),
    Timbre("winds", ((0, "horn"), (55, "clarinet"), (69, "flute")), place=0.5),
)


def render(piece: Piece, timbre: Timbre, sampler: Sampler) -> NDArray[np.float32]:
    """The piece, or a stretch of it, in this timbre: mono at `RATE`. Raises `InvalidInput` for a broken file."""
    dice = Random(f"{piece.path.name}:{timbre.name}")
    notes = _arranged(_stretch(read_keystrokes(piece.path), timbre), timbre, dice)
    end = min(frames_of(timbre.seconds), max(note.position + note.frames for note in notes))
    return listen(Renderer(sampler).render([note for note in notes if note.position < end], end))


def _stretch(strokes: list[Keystroke], timbre: Timbre) -> list[Keystroke]:
    """The part of a piece that this timbre plays, from its first note on."""
    spare = max(0.0, strokes[-1].start - timbre.seconds)
    begin = spare * timbre.place
    played = [stroke for stroke in strokes if begin <= stroke.start < begin + timbre.seconds] or strokes
    first = played[0].start
    return [Keystroke(stroke.start - first, stroke.end - first, stroke.key, stroke.velocity) for stroke in played]


def _arranged(strokes: list[Keystroke], timbre: Timbre, dice: Random) -> list[Note]:
    """The strokes as notes of the timbre's players, in one key, touch and articulation."""
    moved = dice.randint(-LARGEST_TRANSPOSITION, LARGEST_TRANSPOSITION)
    harder = dice.uniform(-TOUCH, TOUCH)
    longer = dice.uniform(*ARTICULATION)
    return [
        Note(
            frames_of(stroke.start),
            max(1, frames_of((stroke.end - stroke.start) * longer)),
            timbre.player(key := min(127, max(0, stroke.key + moved))),
            key,
            min(127.0, max(1.0, stroke.velocity + harder)),
        )
        for stroke in strokes
    ]


def render_all(pieces: Sequence[Piece], timbres: Sequence[Timbre], folder: Path, workers: int) -> Iterator[Path]:
    """Write what is missing of the renderings to `folder`, and yield each file as it is there.

    Raises `InvalidInput` for a broken piece, `CannotServe` where they cannot be written.
    """
    wanted = [(piece, timbre, rendering_path(folder, piece, timbre)) for timbre in timbres for piece in pieces]
    yield from (path for _, _, path in wanted if path.exists())
    missing = [job for job in wanted if not job[2].exists()]
    if not missing:
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(_write, *zip(*missing, strict=True), chunksize=8)


def rendering_path(folder: Path, piece: Piece, timbre: Timbre) -> Path:
    """Where a rendering lies: under a name of what is played, so that none is taken for another."""
    recipe = json.dumps([asdict(timbre), LARGEST_TRANSPOSITION, TOUCH, ARTICULATION, HEADROOM])
    played = hashlib.sha256(recipe.encode() + piece.path.read_bytes()).hexdigest()
    return folder / timbre.name / f"{piece.path.stem}-{played[:12]}.flac"


_samplers: list[Sampler] = []  # one in each worker


def _write(piece: Piece, timbre: Timbre, path: Path) -> Path:
    if not _samplers:
        _samplers.append(Sampler())
    sound = render(piece, timbre, _samplers[0]) * np.float32(HEADROOM)
    with whole(path) as unfinished:
        soundfile.write(unfinished, sound, RATE, format="FLAC", subtype="PCM_24")
    return path
