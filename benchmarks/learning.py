"""Does training teach emotions, and how fast is what it takes? `python -m benchmarks.learning [--proof DIR]`

- `tokenize_realtime_x`: seconds of sound made into tokens in a second by two cores (`benchmarks.tokenizing`);
- `proof_base_r`, `proof_adapter_r`: how far a tiny model follows emotions before and after training, the lower of both
  axes' correlations (`models.proof`); taken from the folder of a proof that was run, or one is run there;
- `gpu_over_peft_x`: training beside transformers with PEFT (`benchmarks.training`); left out where there is no GPU.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks import tokenizing, training
from benchmarks.report import print_figures, print_table
from models.proof.sizes import SIZES
from models.proof.stages import RESULT, Stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--proof", type=Path, help="the folder of a proof; run there where it is not finished")
    parser.add_argument("--size", choices=SIZES, default="cpu", help="of a proof that has to be run")
    options = parser.parse_args()
    threads = torch.get_num_threads()
    proof = found_in(options.proof, options.size) if options.proof else run_aside(options.size)
    torch.set_num_threads(threads)
    report(proof)
    figures = {"tokenize_realtime_x": tokenizing.measure(), **proof["figures"]}
    over_peft = training.gpu_over_peft()
    if over_peft is not None:
        figures["gpu_over_peft_x"] = over_peft
    print_figures("learning", figures)


def found_in(folder: Path, size: str) -> dict[str, Any]:
    """What a proof found, run to its end first if need be."""
    path = folder / RESULT
    if path.exists():
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return content
    torch.set_num_threads(1)
    return Stages(folder, SIZES[size], print).run()


def run_aside(size: str) -> dict[str, Any]:
    """A whole proof, of which nothing is kept but what it found."""
    with tempfile.TemporaryDirectory() as folder:
        return found_in(Path(folder), size)


def report(proof: dict[str, Any]) -> None:
    """A table of how emotions were followed."""
    sides = {
        "base": proof["played"]["base"],
        "adapter": proof["played"]["adapter"],
        "the composer itself": proof["ceilings"]["composer"],
        "the composer, as tokens": proof["ceilings"]["tokens"],
    }
    rows = [
        [name, found["valence"]["r"]["value"], found["arousal"]["r"]["value"], found["quadrants_about_mean"]]
        for name, found in sides.items()
    ]
    print_table(["who plays", "r of valence", "r of arousal", "quadrants about the mean"], rows, "Asked for and heard")


if __name__ == "__main__":
    main()
