"""`musicmed-live models fit-recognizer`: fit the embedded recognizer to listeners' ratings."""

import argparse
import os
from pathlib import Path

from models.commands.packages import require_packages
from musicmed_live.errors import InvalidInput

EPILOG = """
DIR of --ratings holds labels.csv, with the columns midi, valence_mean and arousal_mean (ratings from -1 to 1), and in
midi/ the pieces, such as those of the VGMIDI data set. Each piece is played by the composer's orchestra in six timbres,
which are kept in the folder that --renderings names, so that a later fit needs no rendering: for 146 pieces some 1.4 GB
and a quarter of an hour on two cores. Afterwards a table says what the recognizer is worth on pieces, and on
instruments, that it was not fitted to.
"""


def add_parser(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the other actions of `musicmed-live models`."""
    parser = actions.add_parser(
        "fit-recognizer",
        help="fit the recognizer of emotions to listeners' ratings of pieces",
        description="Fit the embedded recognizer of emotions to listeners' ratings of pieces.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ratings", type=Path, required=True, metavar="DIR", help="the rated pieces, see below")
    parser.add_argument("--renderings", type=Path, required=True, metavar="DIR", help="where played pieces are kept")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="where the coefficients go")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (default: %(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    require_packages("fitting", ("mido",))
    if options.workers < 1:
        raise InvalidInput(f"--workers: {options.workers} processes cannot play; give 1 or more", "--workers")
    from models.recognizer.fitting import fit_recognizer

    fit_recognizer(options.ratings, options.renderings, options.out, options.workers)
