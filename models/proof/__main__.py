"""Does the training teach emotions? `python -m models.proof --size ci|cpu|gpu --out DIR`"""

import argparse
import json
import sys
from pathlib import Path

import torch

from models.proof.sizes import SIZES
from models.proof.stages import Stages
from musicmed_live.errors import MusicmedError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        found = Stages(options.out, SIZES[options.size], _say).run()
    except MusicmedError as fault:
        sys.exit(str(fault))
    _say(json.dumps(found["figures"]))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
