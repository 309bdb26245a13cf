"""A folder of sound files with a table: `path`, and `valence` and `arousal` from -1 to 1 or `tags`; more where known.

`split`, `instruments`, `genres` and `licence` are optional. Several names in a cell are separated by commas.
"""

import csv
import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from models.segments import LONGEST_MINUTES, SEGMENT_SECONDS
from models.shards import SPLITS
from models.tags import emotion_of
from models.tracks import Track, Wanted
from musicmed_live.core.emotion import Emotion
from musicmed_live.errors import InvalidInput, shown

COLUMNS = ("path", "valence", "arousal", "tags", "split", "instruments", "genres", "licence")

_ALL = int(LONGEST_MINUTES * 60 / SEGMENT_SECONDS)  # segments of the longest file that is read
_TENTHS = {"validation": 8, "test": 9}  # the others are for training, where the table has no splits


def read_table(table: Path, sounds: Path) -> tuple[Wanted, ...]:
    """What a table says of the files in the folder `sounds`; all segments of each are wanted.

    Where there is no column `split`, eight tenths of the files are for training and one each for validation and test,
    by their path. Raises `InvalidInput` that names the columns that are missing, or the line and what is wrong with it.
    """
    tracks: dict[str, Track] = {}
    lines: dict[str, int] = {}
    for line, cells in _rows(table):
        where = f"{table}, line {line}"
        track = _track(cells, sounds, where)
        if track.path in tracks:
            raise InvalidInput(
                f"{where}: path is {shown(cells['path'])}, the file of line {lines[track.path]}; leave one of the two",
                "csv",
            )
        tracks[track.path], lines[track.path] = track, line
    if not tracks:
        raise InvalidInput(f"{table} names no file", "csv")
    return tuple(Wanted(tracks[path], _ALL) for path in sorted(tracks))


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Each row's line and its cells by their column, without the blanks around them."""
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = _split_cells(file, table)
            _, names = next(rows, (0, []))
            _check_columns(names, table)
            return [(line, _by_column(names, cells, f"{table}, line {line}")) for line, cells in rows]
    except OSError as fault:
        raise InvalidInput(f"{table} cannot be read ({fault.strerror or fault}); give a CSV", "csv") from fault
    except UnicodeDecodeError as fault:
        raise InvalidInput(f"{table} is not text in UTF-8; save it as a CSV in UTF-8", "csv") from fault


def _split_cells(lines: Iterable[str], table: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, strict=True, skipinitialspace=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as fault:
        raise InvalidInput(f"{table}, line {reader.line_num}: {fault}; is there a quote too many?", "csv") from fault


def _check_columns(names: Sequence[str], table: Path) -> None:
    _check_spelling(names, table)
    missing = [name for name in ("path",) if name not in names]
    if "tags" not in names:
        missing += [name for name in ("valence", "arousal") if name not in names]
    if missing:
        instead = " (or tags)" if "valence" in missing or "arousal" in missing else ""
        found = ", ".join(sorted(filter(None, names))) or "none"
        raise InvalidInput(f"{table} has no column {' and '.join(missing)}{instead}; it has: {found}", "csv")


def _check_spelling(names: Sequence[str], table: Path) -> None:
    if len(names) == 1 and any(separator in names[0] for separator in ";\t"):
        raise InvalidInput(f"{table} has no commas between its columns; use commas, not semicolons or tabs", "csv")
    for name in names:
        if name not in COLUMNS and name.lower() in COLUMNS:
            raise InvalidInput(f"{table} has a column {name}; names are in lower case: {name.lower()}", "csv")
        if name and names.count(name) > 1:
            raise InvalidInput(f"{table} has {names.count(name)} columns {name}; leave one of them", "csv")


def _by_column(names: Sequence[str], cells: Sequence[str], where: str) -> dict[str, str]:
    if len(cells) > len(names):
        raise InvalidInput(f"{where} has more cells than there are columns; put cells with commas in quotes", "csv")
    if len(cells) < len(names):
        raise InvalidInput(
            f"{where} has {len(cells)} of {len(names)} cells; leave a cell empty, but keep its comma", "csv"
        )
    return dict.fromkeys(COLUMNS, "") | dict(zip(names, cells, strict=True))


def _track(cells: Mapping[str, str], sounds: Path, where: str) -> Track:
    if not (cells["valence"] or cells["arousal"] or cells["tags"]):
        raise InvalidInput(f"{where} says neither valence and arousal nor tags; fill in, or leave out the line", "csv")
    path = _path_in(sounds, cells["path"], where)
    tags = _names(cells["tags"])
    return Track(
        id=path,
        path=path,
        split=_split(cells["split"], path, where),
        emotion=_emotion(cells["valence"], cells["arousal"], where) or emotion_of(tags),
        moods=tags,
        instruments=_names(cells["instruments"]),
        genres=_names(cells["genres"]),
        licence=cells["licence"],
    )


def _path_in(sounds: Path, written: str, where: str) -> str:
    """A file's path in the folder, the same however it is written, so that no sound is taken twice."""
    folder = os.path.realpath(sounds)
    try:
        place = os.path.realpath(sounds / written)
        with suppress(FileNotFoundError, NotADirectoryError):
            Path(place).stat()
    except (OSError, ValueError) as fault:  # a NUL, or a name that is too long
        why = getattr(fault, "strerror", None) or fault
        raise InvalidInput(f"{where}: path is {shown(written)}, which cannot be a file ({why})", "csv") from fault
    if place == folder or not Path(place).is_relative_to(folder):
        raise InvalidInput(f"{where}: path is {shown(written)}, not a file in {sounds}", "csv")
    return Path(place).relative_to(folder).as_posix()


def _emotion(valence: str, arousal: str, where: str) -> Emotion | None:
    if not valence and not arousal:
        return None
    try:
        return Emotion(float(valence), float(arousal))
    except ValueError:
        raise InvalidInput(
            f"{where}: valence and arousal are {shown([valence, arousal])}, not two numbers", "csv"
        ) from None
    except InvalidInput as fault:
        raise InvalidInput(f"{where}: {fault}", "csv") from fault


def _split(name: str, path: str, where: str) -> str:
    if name in SPLITS:
        return name
    if name:
        raise InvalidInput(f"{where}: split is {shown(name)}; it is one of {', '.join(SPLITS)}", "csv")
    tenth = int.from_bytes(hashlib.sha256(path.encode()).digest()[:8], "big") % 10
    return next((split for split, place in _TENTHS.items() if place == tenth), "train")


def _names(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip().lower() for name in cell.split(",") if name.strip()))
