"""`musicmed-live models train`: an adapter for MusicGen from shards of tokens."""

import argparse
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from models.commands.packages import require_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.history import History
    from models.train import Training

_PACKAGES = ("torch", "transformers", "peft", "accelerate", "datasets", "pyarrow", "tensorboard")

_EPILOG = """\
It begins with an estimate of hours and memory. Stop it at any time: --resume goes on where the last validation was, as
if it had not been stopped. What was best in validation is in OUT/adapter; play it with
  musicmed-live play --generator musicgen --model MODEL --adapter OUT/adapter
On several GPUs: accelerate launch --multi_gpu -m musicmed_live models train ..."""


def add_parser(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add it."""
    parser = actions.add_parser(
        "train",
        help="train an adapter for MusicGen: moods by text, and continuous valence and arousal",
        description="Train an adapter for MusicGen, by a recipe, on what `musicmed-live models prepare` made ready.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_train)
    parser.add_argument("recipe", metavar="RECIPE", help="small, medium, large or tiny, or a TOML file of your own")
    parser.add_argument("--model", required=True, metavar="DIR|NAME", help="MusicGen's weights, such as small")
    parser.add_argument("--shards", required=True, type=Path, metavar="DIR", help="what `models prepare` wrote")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="where the adapter is to be")
    parser.add_argument("--resume", action="store_true", help="go on with the training in OUT")
    parser.add_argument("--dry-run", action="store_true", help="only estimate hours and memory")


def _train(options: argparse.Namespace) -> None:
    require_packages("training", _PACKAGES)
    from models.recipe import find_recipe
    from models.train import Training

    training = Training(find_recipe(options.recipe), options.model, options.shards, options.out, options.resume)
    with _telling_how_to_go_on(training):
        if training.history.stopped:
            _say_once(training, f"{options.out} is finished: nothing is left to go on with")
        else:
            _say_once(training, training.estimate().in_words())
        if not options.dry_run:
            _run(training)


@contextmanager
def _telling_how_to_go_on(training: "Training") -> "Iterator[None]":
    try:
        yield
    except KeyboardInterrupt:
        if training.is_main:
            sys.stderr.write(f"musicmed-live: stopped after {training.history.step} steps; {_way_on(training)}\n")
        raise


def _way_on(training: "Training") -> str:
    if training.can_go_on:
        return "the same command with --resume goes on where the last validation was"
    return "nothing is kept yet: begin again with the same command"


def _run(training: "Training") -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    shown = training.is_main and sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not shown) as bar:
        task = bar.add_task("training", total=training.recipe.training.steps)

        def watch(history: "History") -> None:
            bar.update(task, completed=history.step, description=_loss(history))

        outcome = training.run(watch)
    best = outcome.history.best
    if best is not None:
        _say_once(
            training, f"{outcome.adapter}: best in validation at step {best.step}, {best.loss:.4f} nats per token"
        )
        _say_once(training, f"ended after {outcome.history.step} steps: {outcome.history.stopped}")


def _loss(history: "History") -> str:
    best = history.best
    validation = "" if best is None else f", validation {best.loss:.3f} at best"
    return f"loss {history.losses[-1]:.3f}{validation}"


def _say_once(training: "Training", text: str) -> None:
    """Of several processes, only the main one tells."""
    if training.is_main:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
