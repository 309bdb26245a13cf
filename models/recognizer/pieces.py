"""The rated pieces, as notes: what listeners said of them, and what stands in their MIDI files."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mido

from musicmed_live.errors import InvalidInput

COLUMNS = ("midi", "valence_mean", "arousal_mean")
FEWEST = 20  # pieces, below which a cross-validated figure means nothing


@dataclass(frozen=True, slots=True)
class Piece:
    """A rated piece. Ratings are means over listeners, -1 .. 1."""

    path: Path
    valence: float
    arousal: float


@dataclass(frozen=True, slots=True)
class Keystroke:
    """One note of a piece, whoever plays it."""

    start: float  # seconds since the first note
    end: float  # when it is let go, the pedal included
    key: int  # MIDI, 0..127
    velocity: int  # 1..127


def read_pieces(folder: Path) -> list[Piece]:
    """The pieces of `folder`, in the order of its `labels.csv`, whose column `midi` names files in `folder/midi`.

    Raises `InvalidInput` where the table, a column, a number or a file is missing, or there are too few pieces.
    """
    table = folder / "labels.csv"
    try:
        with table.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{table}: cannot be read ({error}); give a folder with labels.csv and midi/") from None
    if len(rows) < FEWEST:
        raise InvalidInput(f"{table}: {len(rows)} pieces; at least {FEWEST} are needed")
    return [_piece(folder, row, line) for line, row in enumerate(rows, start=2)]


def _piece(folder: Path, row: dict[str, str], line: int) -> Piece:
    where = f"{folder / 'labels.csv'}, line {line}"
    for column in COLUMNS:
        if not row.get(column):
            raise InvalidInput(f"{where}: nothing in the column {column}; needed are {', '.join(COLUMNS)}")
    path = folder / "midi" / row["midi"]
    if not path.is_file():
        raise InvalidInput(f"{where}: there is no file {path}")
    return Piece(path, *(_rating(row[column], where) for column in COLUMNS[1:]))


def _rating(text: str, where: str) -> float:
    try:
        rating = float(text)
    except ValueError:
        rating = float("nan")
    if not -1.0 <= rating <= 1.0:
        raise InvalidInput(f"{where}: the rating {text!r} is not a number from -1 to 1")
    return rating


def checksum(pieces: list[Piece]) -> str:
    """SHA-256 over the pieces and their ratings, in order."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(hashlib.sha256(piece.path.read_bytes()).digest())
        digest.update(f"{piece.valence} {piece.arousal}\n".encode())
    return digest.hexdigest()


def read_keystrokes(path: Path) -> list[Keystroke]:
    """The notes of a MIDI file by onset; the first begins at 0. Raises `InvalidInput`."""
    try:
        strokes = sorted(_sounding(mido.MidiFile(path, clip=True)), key=lambda stroke: (stroke.start, stroke.key))
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise InvalidInput(f"{path}: not a MIDI file that can be read ({error})") from None
    if not strokes:
        raise InvalidInput(f"{path}: there is not a note in it")
    first = strokes[0].start
    return [Keystroke(stroke.start - first, stroke.end - first, stroke.key, stroke.velocity) for stroke in strokes]


def _sounding(midi: mido.MidiFile) -> Iterator[Keystroke]:
    """The notes as they end; a key under the pedal sounds until it is lifted."""
    now = 0.0
    pressed: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)
    sustained: dict[int, list[tuple[float, int, int]]] = defaultdict(list)
    pedal: dict[int, bool] = defaultdict(bool)
    for message in midi:
        now += message.time
        if message.type == "note_on" and message.velocity > 0:
            pressed[message.channel, message.note].append((now, message.velocity))
        elif message.type in ("note_on", "note_off") and pressed[message.channel, message.note]:
            start, velocity = pressed[message.channel, message.note].pop(0)
            if pedal[message.channel]:
                sustained[message.channel].append((start, message.note, velocity))
            else:
                yield Keystroke(start, now, message.note, velocity)
        elif message.is_cc(64):
            pedal[message.channel] = message.value >= 64
            if not pedal[message.channel]:
                for start, key, velocity in sustained.pop(message.channel, []):
                    yield Keystroke(start, now, key, velocity)
    for held in sustained.values():
        for start, key, velocity in held:
            yield Keystroke(start, now, key, velocity)
