"""`musicmed-live models card`: a model card of an adapter, from its evaluation and its training."""

import argparse
import sys
from pathlib import Path


def add_parser(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the other actions of `musicmed-live models`."""
    parser = actions.add_parser(
        "card",
        help="write a model card from an evaluation and a training",
        description="Writes a model card in Markdown, as the Hugging Face hub shows it: what the adapter is, what it "
        "was made from, what was measured, and what is not known.",
    )
    parser.add_argument("--evaluation", metavar="DIR", type=Path, required=True, help="the OUT of models evaluate")
    parser.add_argument("--training", metavar="DIR", type=Path, help="the OUT of models train")
    parser.add_argument("--out", metavar="FILE.md", type=Path, required=True, help="the card; README.md on the hub")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    from models.card import write_card

    write_card(options.evaluation, options.training, options.out)
    sys.stdout.write(f"{options.out}\n")
