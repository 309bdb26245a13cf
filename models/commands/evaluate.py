"""`musicmed-live models evaluate`: clips over the plane, judged, with figures and a page to listen on."""

import argparse
import sys
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from musicmed_live.errors import InvalidInput, shown
from musicmed_live.service.generators import DEVICES, GENERATORS, Choice, check_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from models.clap import Clap
    from models.clips import Clip
    from models.evaluate import Content, Judge

EMBEDDED = "embedded"
LEVELS, SEEDS, SECONDS = 5, 2, 30
LEAST_SECONDS, MOST_SECONDS = 5.0, 120.0
MOST_LEVELS, MOST_SEEDS = 21, 1000


def add_parser(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the other actions of `musicmed-live models`."""
    parser = actions.add_parser(
        "evaluate",
        help="let a model, or an adapter beside its base model, play all moods, and measure what is heard",
        description="Makes clips over a grid of the valence-arousal plane, has recognizers judge them, and writes "
        "OUT/evaluation.json and OUT/index.html, a page with all sounds. Stopped, it goes on where it was.",
    )
    parser.add_argument(
        "--model", metavar="DIR|NAME", default="", help="MusicGen's weights: a directory, or a hub name"
    )
    parser.add_argument("--adapter", metavar="DIR", help="an adapter, to be compared with the model without it")
    parser.add_argument(
        "--generator", metavar="NAME", default=GENERATORS[1], help=f"{' or '.join(GENERATORS)}; default: musicgen"
    )
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="the folder for all that comes of it")
    parser.add_argument(
        "--recognizer",
        metavar="NAME[=DIR]",
        action="append",
        default=[],
        help="who judges: embedded, music2emo=DIR or essentia=DIR, several times for several; without =DIR the weights "
        "are looked for in the cache folder; default: embedded, and those whose weights are in the cache",
    )
    parser.add_argument("--clap", metavar="DIR", type=Path, help="CLAP's weights; default: from the hub's local cache")
    parser.add_argument(
        "--levels", metavar="N", default=str(LEVELS), help=f"of either axis, -0.8 to 0.8; default: {LEVELS}"
    )
    parser.add_argument("--seeds", metavar="N", default=str(SEEDS), help=f"clips for each emotion; default: {SEEDS}")
    parser.add_argument(
        "--seconds",
        metavar="N",
        default=str(SECONDS),
        help=f"of each clip, {LEAST_SECONDS:g} or more; default: {SECONDS}",
    )
    parser.add_argument("--device", metavar="NAME", default=DEVICES[0], help=f"one of: {', '.join(DEVICES)}")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    adapters = (options.adapter,) if options.adapter else ()
    choice = Choice(options.generator, options.model, adapters, options.device)
    check_generator(choice)
    levels = _whole(options.levels, "--levels", 2, MOST_LEVELS)
    seeds = _whole(options.seeds, "--seeds", 1, MOST_SEEDS)
    seconds = _seconds(options.seconds)
    from models.clips import Grid
    from models.evaluate import PAGE, evaluate, sides_of

    sides, judges = sides_of(choice), _judges(options.recognizer)
    clap = _clap(options.clap) if choice.name == "musicgen" else None
    with _progress(len(sides) * levels**2 * seeds) as told:
        content = evaluate(sides, judges, Grid(levels, seeds, seconds), options.out, clap, told)
    _say(content)
    sys.stdout.write(f"{options.out / PAGE}\n")


def _judges(options: list[str]) -> "list[Judge]":
    from musicmed_live.recognition.neural import NEURAL, cached

    names = options or [EMBEDDED, *(name for name in NEURAL if cached(name).is_dir())]
    judges = [_judge(text) for text in names]
    if len({judge.name for judge in judges}) < len(judges):
        raise InvalidInput(f"--recognizer: {', '.join(names)} names one of them twice; name each once")
    return judges


def _judge(text: str) -> "Judge":
    from models.clips import digests
    from models.evaluate import Judge
    from musicmed_live.recognition.embedded import load_recognizer
    from musicmed_live.recognition.neural import load_neural, parse_recognizer_option

    if text == EMBEDDED:
        return Judge(EMBEDDED, load_recognizer(), digests(Path(str(resources.files("models.recognizer")))))
    name, folder = parse_recognizer_option(text)
    return Judge(name, load_neural(name, folder), digests(folder))


def _clap(folder: Path | None) -> "Clap | None":
    from models.clap import Clap, cached_clap

    found = folder or cached_clap()
    return None if found is None else Clap(found)


@contextmanager
def _progress(clips: int) -> "Iterator[Callable[[str, Clip], None]]":
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        tasks = {"made": bar.add_task("clips", total=clips), "judged": bar.add_task("judged", total=clips)}
        yield lambda what, _clip: bar.advance(tasks[what])


def _say(content: "Content") -> None:
    from models.page import interval

    for side, by_judge in content["figures"].items():
        for judge, figures in by_judge.items():
            sys.stdout.write(
                f"{side}, heard by {judge}: r of valence {interval(figures['valence']['r'])}, of arousal "
                f"{interval(figures['arousal']['r'])}; right quadrant {interval(figures['quadrants'])}\n"
            )


def _whole(text: str, option: str, low: int, high: int) -> int:
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise InvalidInput(f"{option}: {shown(text)} is not a whole number from {low} to {high}", option)
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not LEAST_SECONDS <= seconds <= MOST_SECONDS:
        raise InvalidInput(
            f"--seconds: {shown(text)} is not a number from {LEAST_SECONDS:g} to {MOST_SECONDS:g}", "--seconds"
        )
    return seconds
