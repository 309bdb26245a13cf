"""The state of a training on disk, so that it can go on after it was stopped."""

import json
import pickle
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.history import History
from models.whole import whole
from musicmed_live.errors import InvalidInput

FOLDER = "checkpoints"
FILE = "last.pt"


@dataclass(frozen=True, slots=True)
class State:
    """All that a training consists of between two steps. Chance is drawn from the step, so it has no state."""

    weights: dict[str, torch.Tensor]  # those that are trained
    optimizer: dict[str, Any]  # torch's `state_dict`
    history: History


def is_begun(out: Path) -> bool:
    """Whether there is a state to go on from."""
    return (out / FOLDER / FILE).is_file()


def write_state(state: State, begun: dict[str, str], out: Path) -> None:
    """Write the state. `begun` says what the training was begun with. Raises `CannotServe` on a full disk."""
    path = out / FOLDER / FILE
    content = {
        "begun": begun,
        "weights": state.weights,
        "optimizer": state.optimizer,
        "history": json.dumps(state.history.as_json()),
    }
    with whole(path) as partial, partial.open("wb") as file:  # of a full disk, only a file of Python's tells
        torch.save(content, file)


def read_state(begun: dict[str, str], out: Path) -> State:
    """The state that was written last. No object but tensors and plain values is read from it.

    Raises `InvalidInput` where it is damaged, or where the training was begun with something else than `begun` says.
    """
    path = out / FOLDER / FILE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch says of a foreign file; it is refused below
            content = torch.load(path, map_location="cpu", weights_only=True)
        found = dict(content["begun"])
        history = History.from_json(json.loads(content["history"]))
        state = State(dict(content["weights"]), dict(content["optimizer"]), history)
    except (
        OSError,
        EOFError,
        RuntimeError,
        LookupError,
        ValueError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
    ) as fault:
        raise InvalidInput(
            f"{path} is damaged, or no state of a training; train anew into another folder (an adapter/ in {out} is "
            "whole)",
            "resume",
        ) from fault
    differing = [name for name, value in begun.items() if found.get(name) != value]
    if differing:
        raise InvalidInput(
            f"{out} was begun with another {' and another '.join(differing)}; "
            "go on with the same, or give another --out",
            "resume",
        )
    return state
