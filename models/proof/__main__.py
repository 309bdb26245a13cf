"""Does the training teach emotions? `python -m models.proof --size ci|cpu|gpu --out DIR`"""

import argparse
from pathlib import Path

from models.proof.sizes import SIZES
from models.proof.stages import Stages


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    Stages(options.out, SIZES[options.size], lambda line: print(line, flush=True)).run()


if __name__ == "__main__":
    main()
