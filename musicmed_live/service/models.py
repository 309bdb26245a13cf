"""`musicmed-live models`: which weights MusicGen can play with, getting them, and looking whether they are whole.

The commands that make weights are added by whoever offers some under `COMMANDS`: this package does not know them.
"""

import argparse
import sys
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from musicmed_live.service.generators import require_musicgen

if TYPE_CHECKING:
    from musicmed_live.musicgen.weights import Findings

LICENCE = "CC-BY-NC 4.0"
COMMANDS = "musicmed_live.models"  # group of entry points: functions that add to the actions


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line's others."""
    models = commands.add_parser(
        "models", help="weights: list what there is, get it, look whether it is whole, make your own"
    )
    actions = models.add_subparsers(required=True, metavar="ACTION")
    shown = actions.add_parser("list", help="the published models, and which of them are here")
    shown.set_defaults(run=lambda _options: list_models())
    got = actions.add_parser("pull", help="download a model into the local cache")
    got.add_argument("name", metavar="NAME", help="small, medium, large, or OWNER/NAME on the Hugging Face hub")
    got.set_defaults(run=lambda options: pull(options.name))
    looked_at = actions.add_parser("check", help="look whether a model is whole and can be played")
    looked_at.add_argument("source", metavar="DIR|NAME", help="a directory, or the name of a model in the local cache")
    looked_at.set_defaults(run=lambda options: check(options.source))
    for offer in entry_points(group=COMMANDS):
        offer.load()(actions)


def list_models() -> None:
    """Say which models are published, what they take, and where those are that are here."""
    require_musicgen()
    from musicmed_live.musicgen.hub import PUBLISHED, cached

    for model in PUBLISHED:
        _say(f"{model.short:8}{model.parameters:>12} parameters, {model.download:>7} to download; {model.keeps_up}")
        _say(f"        {cached(model.name) or f'not here: musicmed-live models pull {model.short}'}")
    _say(f"The weights are Meta's, {LICENCE}: not for commercial use.")


def pull(name: str) -> None:
    """Download a model, or what is lacking of it, and say where it is. Raises `InvalidInput` where it cannot be had."""
    require_musicgen()
    from musicmed_live.musicgen import hub, weights

    folder = hub.download(hub.hub_name(name))
    _say(f"{_in_words(weights.check(folder))}\n{folder}")


def check(source: str) -> None:
    """Say that a model is whole, and what it is. Raises `InvalidInput` that names the first thing wrong with it."""
    require_musicgen()
    from musicmed_live.musicgen import weights

    found = weights.check(source, offline=True)
    _say(f"ok: {found.folder}\n{_in_words(found)}")


def _in_words(found: "Findings") -> str:
    shape = found.config
    return (
        f"{shape.layers} layers of width {shape.width} with {shape.heads} heads, "
        f"{found.parameters / 1e6:.0f} million parameters, laid out as by {found.layout}"
    )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
