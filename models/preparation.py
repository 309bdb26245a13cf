"""What `musicmed-live models prepare` does: says what it would take, fetches, encodes, and says what came of it."""

import hashlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from models import jamendo
from models.destination import check_destination, claimed
from models.folder import read_table
from models.prepare import UNKNOWN_SEGMENTS, Machine, prepare, reckoned
from models.segments import SEGMENT_SECONDS, SHORTEST_SECONDS, Unusable, seconds_of, segments_in
from models.selection import archive_of, balanced, quadrant_segments
from models.shards import QUADRANTS, SPLITS, UNKNOWN, Prepared
from models.tracks import Wanted
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.musicgen import hub
from musicmed_live.musicgen.weights import open_checkpoint

CREDITS = "credits.tsv"  # beside the shards: whom to name for each track, as most licences ask

_GB = 1e9
_MOST_NAMED = 10  # files that cannot be used


@dataclass(frozen=True, slots=True)
class JamendoChoice:
    """Which part of MTG-Jamendo is wanted."""

    quality: str  # one of `jamendo.QUALITIES`
    split: int  # of the official ones, 0 .. 4
    hours: float | None  # None: all that can be balanced
    licences: tuple[str, ...]  # such as "by-nc-sa"; none: all


def prepare_jamendo(choice: JamendoChoice, model: str, out: Path, machine: Machine, dry_run: bool) -> None:
    """Fetch MTG-Jamendo, or what is chosen of it, and make shards of it; or, with `dry_run`, say what that would take.

    Raises `InvalidInput` and `CannotServe` as `jamendo` and `prepare` do.
    """
    _check_model(model, dry_run)
    check_destination(out)
    with claimed(out, "preparation"):
        _prepare_jamendo(choice, model, out, machine, dry_run)


def _prepare_jamendo(choice: JamendoChoice, model: str, out: Path, machine: Machine, dry_run: bool) -> None:
    site, source = jamendo.SITE, out / "source"
    with _progress("metadata", None, DownloadColumn()) as advance:
        catalogue = jamendo.fetch_catalogue(site, source, choice.quality, choice.split, advance)
    tracks = [track for track in catalogue.tracks if _allowed(track.licence, choice.licences)]
    selected = balanced(tracks, choice.hours)
    if not selected:
        raise InvalidInput("no track has one of these licences; leave out --licence, or name more", "licence")
    _say(f"MTG-Jamendo, official split {choice.split}, {choice.quality} quality")
    _say_selection(selected)
    needed = _needed_bytes(site, catalogue, selected, source / "sounds")
    _say(f"to download: {needed / _GB:.1f} GB; free at {out}: {_free(out) / _GB:.1f} GB")
    if dry_run:
        return
    if needed > _free(out):
        raise CannotServe(f"{out} has {_free(out) / _GB:.1f} GB free of {needed / _GB:.1f} GB; take fewer --hours")
    _write_credits(selected, out)
    chosen = [wanted.track for wanted in selected]
    with _progress("sounds", needed, DownloadColumn(), TransferSpeedColumn()) as advance:
        lost = jamendo.fetch_sounds(site, catalogue, chosen, source / "sounds", advance)
    _say_skipped(lost)
    origin = {"source": f"MTG-Jamendo {site.metadata}", "quality": choice.quality, "split": choice.split}
    _encode(selected, source / "sounds", model, out, origin, machine)


def prepare_folder(sounds: Path, table: Path, model: str, out: Path, machine: Machine, dry_run: bool) -> None:
    """Make shards of a folder's sound files; or, with `dry_run`, say what the table names.

    Raises `InvalidInput` and `CannotServe` as `folder` and `prepare` do.
    """
    _check_model(model, dry_run)
    check_destination(out, sounds)
    selected = tuple(sorted(read_table(table, sounds), key=lambda wanted: SPLITS.index(wanted.track.split)))
    usable, skipped = _measured(selected, sounds)
    _say_selection(usable)
    _say_skipped(skipped)
    if dry_run:
        _say_gaps({wanted.track.split for wanted in usable})
    else:
        with claimed(out, "preparation"):
            _encode(selected, sounds, model, out, {"source": "folder"}, machine)


def _check_model(model: str, dry_run: bool) -> None:
    """Look at the model before anything is made with it; a dry run does not download one."""
    here = os.path.exists(os.path.expanduser(model))  # noqa: PTH110, PTH111 - those of Path fail for too long a name
    if not dry_run or here or hub.cached(hub.hub_name(model)):
        open_checkpoint(model).codec()


def _measured(selected: Sequence[Wanted], sounds: Path) -> tuple[list[Wanted], dict[str, str]]:
    """The tracks with what their files' headers say of their length, and what cannot be used, by path, and why."""
    usable, skipped = [], {}
    for wanted in selected:
        try:
            seconds = seconds_of(sounds / wanted.track.path)
        except Unusable as fault:
            skipped[wanted.track.path] = fault.message
            continue
        segments = UNKNOWN_SEGMENTS if seconds is None else segments_in(seconds)
        if segments:
            usable.append(Wanted(replace(wanted.track, seconds=seconds), segments))
        else:
            skipped[wanted.track.path] = f"lasts {seconds:.1f} s, less than {SHORTEST_SECONDS:.0f}"
    return usable, skipped


def _encode(
    selected: Sequence[Wanted], sounds: Path, model: str, out: Path, origin: dict[str, Any], machine: Machine
) -> None:
    """`origin` is completed by a checksum of all that is known of the tracks: their tags, emotions and order."""
    origin |= {"tracks_sha256": hashlib.sha256(repr(selected).encode()).hexdigest()}
    with _progress("tokens", len(selected), TextColumn("{task.completed}/{task.total} files")) as advance:
        prepared = prepare(selected, sounds, model, out, origin, machine, advance)
    _say_prepared(prepared, out)


def _allowed(licence: str, wanted: Sequence[str]) -> bool:
    """Whether a licence such as `CC BY-NC 3.0` is one of those wanted, such as `by-nc`."""
    return not wanted or licence.lower().removeprefix("cc ").partition(" ")[0] in wanted


def _needed_bytes(site: jamendo.Site, catalogue: jamendo.Catalogue, selected: Sequence[Wanted], sounds: Path) -> int:
    missing = {archive_of(wanted.track) for wanted in selected if not (sounds / wanted.track.path).exists()}
    sizes = jamendo.archive_sizes(site, catalogue, sorted(missing))
    unknown = [number for number, size in sizes.items() if size is None]
    if unknown:
        raise CannotServe(
            f"nobody says how large archive {unknown[0]} of MTG-Jamendo is; is there a network? try later"
        )
    return sum(size for size in sizes.values() if size is not None)


def _free(out: Path) -> int:
    there = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    return shutil.disk_usage(there).free


def _write_credits(selected: Sequence[Wanted], out: Path) -> None:
    lines = [f"{wanted.track.id}\t{wanted.track.licence}\t{wanted.track.credit}\n" for wanted in selected]
    try:
        (out / CREDITS).write_text("".join(lines), encoding="utf-8")
    except OSError as fault:
        raise CannotServe(f"{out / CREDITS} cannot be written ({fault.strerror or fault}); make room") from fault


def _say_selection(selected: Sequence[Wanted]) -> None:
    for split in SPLITS:
        of_split = [wanted for wanted in selected if wanted.track.split == split]
        if of_split:
            hours = reckoned(of_split) * SEGMENT_SECONDS / 3600
            counted = quadrant_segments(of_split)
            _say(f"  {split:10} {_counted(len(of_split), 'track', 6)}, about {hours:.1f} h: {_shares(counted)}")
    licences = Counter(wanted.track.licence or "not known" for wanted in selected)
    _say("  licences:  " + (", ".join(f"{name} ({count})" for name, count in licences.most_common()) or "none"))
    if guessed := sum(wanted.track.seconds is None for wanted in selected):
        minutes = UNKNOWN_SEGMENTS * SEGMENT_SECONDS / 60
        _say(f"  {_counted(guessed, 'file')} without a length in the header, guessed as {minutes:.0f} min each")


def _say_prepared(prepared: Prepared, out: Path) -> None:
    for split, tally in prepared.splits.items():
        hours = tally.seconds / 3600
        _say(f"  {split:10} {_counted(tally.segments, 'segment', 6)}, {hours:.2f} h: {_shares(tally.quadrants)}")
    _say_skipped({path: why for tally in prepared.splits.values() for path, why in tally.skipped.items()})
    _say_gaps({split for split, tally in prepared.splits.items() if tally.segments})
    _say(str(out))


def _say_gaps(found: Set[str]) -> None:
    for split in ("train", "validation"):
        if split not in found:
            _say(
                f"nothing is in the split {split}, which training needs: prepare more tracks, or say in a column "
                "`split` of the table which are for it; then into another folder"
            )


def _counted(count: int, what: str, width: int = 0) -> str:
    return f"{count:{width}} {what}{'' if count == 1 else 's'}"


def _shares(counted: Mapping[str, int]) -> str:
    total = sum(counted.values())
    names = [name for name in (*QUADRANTS, UNKNOWN) if counted.get(name)]
    return ", ".join(f"{name} {counted[name] / total:.0%}" for name in names) or "nothing"


def _say_skipped(skipped: Mapping[str, str]) -> None:
    if skipped:
        _say(f"{_counted(len(skipped), 'file')} cannot be used:")
    for path, why in list(skipped.items())[:_MOST_NAMED]:
        _say(f"  {path} {why}")
    if len(skipped) > _MOST_NAMED:
        _say(f"  and {len(skipped) - _MOST_NAMED} more")


@contextmanager
def _progress(what: str, total: int | None, *columns: ProgressColumn) -> Iterator[Callable[[int], None]]:
    """A bar on standard error; what is yielded moves it on."""
    shown = (TextColumn("{task.description}"), BarColumn(), *columns, TimeRemainingColumn())
    with Progress(*shown, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda steps: progress.advance(task, steps)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
