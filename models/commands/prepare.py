"""`musicmed-live models prepare`: a data set, to the tokens that an adapter is trained on."""

import argparse
import math
import os
from pathlib import Path

from models.commands.packages import require_packages
from musicmed_live.errors import InvalidInput
from musicmed_live.service.generators import require_musicgen

JAMENDO = "jamendo"
LICENCES = ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd")

_PACKAGES = ("datasets", "pyarrow")  # beside those of MusicGen


def add_parser(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the other actions of `musicmed-live models`."""
    parser = actions.add_parser(
        "prepare",
        help="make a data set to train on: fetch, select, caption, cut, encode",
        description="Makes a data set to train an adapter on: music in segments of 30 s, as the tokens of a model's "
        "codec, with its emotion and captions. Whatever ends it, the same command goes on where it was. "
        f"Begin with: musicmed-live models prepare {JAMENDO} --model small --out jamendo --hours 5 --dry-run",
    )
    parser.add_argument("source", metavar="SOURCE", help=f"{JAMENDO}, or a folder of sound files (with --csv)")
    parser.add_argument("--model", metavar="DIR|NAME", required=True, help="the MusicGen that is to be trained")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the data set goes")
    parser.add_argument("--dry-run", action="store_true", help="say what it would take, and make nothing")
    parser.add_argument("--processes", metavar="N", type=int, help="that encode; default: one for each core")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="what encodes; default: a GPU if there is one"
    )
    folder = parser.add_argument_group("a folder of sound files")
    folder.add_argument(
        "--csv",
        metavar="FILE",
        type=Path,
        help="its columns: path; valence and arousal (-1 to 1), or tags such as happy, dark; and where known split "
        "(train, validation, test), instruments, genres, licence",
    )
    published = parser.add_argument_group("MTG-Jamendo")
    published.add_argument("--quality", choices=("low", "full"), help="46 GB in all, or 152 GB; default: low")
    published.add_argument("--split", type=int, choices=range(5), help="of the official ones; default: 0")
    published.add_argument("--hours", metavar="N", type=float, help="of music, in all; default: all that is balanced")
    published.add_argument(
        "--licence",
        choices=LICENCES,
        action="append",
        default=[],
        help="take only tracks under this Creative Commons licence; may be given several times",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    _check(options)
    require_musicgen()
    require_packages("preparing", _PACKAGES)
    from models.preparation import JamendoChoice, prepare_folder, prepare_jamendo
    from models.prepare import Machine, default_machine

    usual = default_machine(options.device)
    machine = Machine(usual.device, options.processes or usual.processes)
    if options.source == JAMENDO:
        choice = JamendoChoice(options.quality or "low", options.split or 0, options.hours, tuple(options.licence))
        prepare_jamendo(choice, options.model, options.out, machine, options.dry_run)
    else:
        folder = Path(options.source)
        prepare_folder(folder, options.csv, options.model, options.out, machine, options.dry_run)


def _check(options: argparse.Namespace) -> None:
    if options.hours is not None and not (math.isfinite(options.hours) and options.hours > 0):
        raise InvalidInput(f"--hours: {options.hours} is not more than 0", "hours")
    if options.processes is not None and not 1 <= options.processes <= 256:
        raise InvalidInput(f"--processes: {options.processes} is not from 1 to 256", "processes")
    if options.source == JAMENDO:
        if options.csv is not None:
            raise InvalidInput(f"--csv is for a folder of sound files; {JAMENDO} has its own tables", "csv")
        return
    if not os.path.isdir(options.source):  # noqa: PTH112 - that of a Path fails for too long a name
        raise InvalidInput(f"{options.source} is neither {JAMENDO} nor a folder of sound files", "source")
    for option in ("quality", "split", "hours", "licence"):
        if getattr(options, option) not in (None, []):
            raise InvalidInput(f"--{option} is for {JAMENDO}; of a folder, the table says what is taken", option)
    if options.csv is None:
        raise InvalidInput(f"{options.source} needs a table of what is in it: give --csv FILE", "csv")
