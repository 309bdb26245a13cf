"""A folder of sound files with a table: `path`, and `valence` and `arousal` from -1 to 1 or `tags`; more where known.

`split`, `instruments`, `genres` and `licence` are optional. Several names in a cell are separated by commas.
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
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
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            _check_columns(rows.fieldnames or (), table)
            tracks = [_track(row, sounds, f"{table}, line {rows.line_num}") for row in rows]
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        raise InvalidInput(f"{table} cannot be read as a CSV ({fault}); save it as UTF-8 with commas") from fault
    if not tracks:
        raise InvalidInput(f"{table} names no file", "csv")
    repeated = next(_repeated(track.path for track in tracks), None)
    if repeated is not None:
        raise InvalidInput(f"{table} names {repeated} twice; leave one line of it", "csv")
    return tuple(Wanted(track, _ALL) for track in sorted(tracks, key=lambda track: track.path))


def _check_columns(found: Iterable[str], table: Path) -> None:
    names = {name.strip() for name in found if name}
    missing = [name for name in ("path",) if name not in names]
    if "tags" not in names:
        missing += [name for name in ("valence", "arousal") if name not in names]
    if missing:
        instead = " (or tags)" if "valence" in missing or "arousal" in missing else ""
        raise InvalidInput(
            f"{table} has no column {' and '.join(missing)}{instead}; it has: {', '.join(sorted(names)) or 'none'}",
            "csv",
        )


def _track(row: dict[str | None, str | None], sounds: Path, where: str) -> Track:
    if None in row:
        raise InvalidInput(f"{where} has more cells than there are columns; put cells with commas in quotes", "csv")
    cells = {name: (row.get(name) or "").strip() for name in COLUMNS}
    path = cells["path"]
    if not path or not (sounds / path).resolve().is_relative_to(sounds.resolve()):
        raise InvalidInput(f"{where}: path is {shown(path)}, not a file in {sounds}", "csv")
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


def _repeated(paths: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for path in paths:
        if path in seen:
            yield path
        seen.add(path)
