"""Tensors in files, by name: what is there is known from the headers; a tensor is read when it is asked for."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from musicmed_live.errors import BadWeights, shown

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """Where a tensor lies, and what it is."""

    path: Path
    name: str  # in its file
    shape: Shape
    is_float: bool


class MappedTensors(Mapping[str, torch.Tensor]):
    """Tensors of safetensors files, each a view of its file.

    The file is mapped anew for each tensor, so that the memory of one that is dropped is free at once, even while
    others are held: what turns a model into another form never holds all of it.
    """

    def __init__(self, stored: Mapping[str, Stored]) -> None:
        self._stored = stored

    def __getitem__(self, name: str) -> torch.Tensor:
        place = self._stored[name]
        with safe_open(place.path, framework="pt") as file:
            tensor: torch.Tensor = file.get_tensor(place.name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)


def list_tensors(folder: Path) -> dict[str, Stored]:
    """What `model.safetensors`, or the files that its index names, hold. Reads headers only.

    Raises `BadWeights` for a file that is missing, cut short or no safetensors file.
    """
    if (folder / SINGLE).is_file():
        return _list_file(folder / SINGLE)
    if not (folder / INDEX).is_file():
        raise BadWeights(f"{folder} has no {SINGLE}, nor {INDEX} with the files that it names; copy the whole model")
    found: dict[str, Stored] = {}
    for name in _named_files(folder / INDEX):
        found |= _list_file(folder / name)
    return found


def _named_files(index: Path) -> list[str]:
    content = read_json(index)
    placed = content.get("weight_map")
    if not isinstance(placed, dict) or not all(isinstance(name, str) for name in placed.values()):
        raise BadWeights(f"{index} has no weight_map from tensors to files; download it again")
    names = sorted(set(placed.values()))
    for name in names:
        if Path(name).name != name:
            raise BadWeights(f"{index} names {shown(name)}, which is not a file beside it; download it again")
    return names


def _list_file(path: Path) -> dict[str, Stored]:
    if not path.is_file():
        raise BadWeights(f"{path} is missing; copy the whole model, or pull it again")
    try:
        with safe_open(path, framework="pt") as file:
            pieces = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # not a mapping
            return {
                name: Stored(path, name, tuple(piece.get_shape()), piece.get_dtype() in FLOATS)
                for name, piece in pieces.items()
            }
    except (SafetensorError, OSError) as fault:
        raise BadWeights(f"{path} is cut short or no safetensors file ({fault}); download it again") from fault


def read_json(path: Path) -> dict[str, object]:
    """A JSON object from a file. Raises `BadWeights` where it is missing or is something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadWeights(f"{path} is missing; copy the whole model, or pull it again") from None
    except OSError as fault:
        raise BadWeights(f"{path} cannot be read ({fault.strerror}); see that it may be") from fault
    except (ValueError, RecursionError) as fault:
        raise BadWeights(f"{path} is not JSON ({fault}); download it again") from fault
    if not isinstance(content, dict):
        raise BadWeights(f"{path} holds {shown(content)}, not an object; download it again")
    return content


def check_tensors(found: Mapping[str, Stored], wanted: Mapping[str, Shape], where: Path) -> None:
    """Raise `BadWeights` unless every wanted tensor is there, in its shape, of floating-point numbers."""
    missing = sorted(set(wanted) - set(found))
    if missing:
        others = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
        raise BadWeights(f"{where} lacks the tensor {missing[0]}{others}; it is not complete, or of another model")
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise BadWeights(
                f"{where}: {name} has the shape {found[name].shape}, not {shape} as its configuration says"
            )
        if not found[name].is_float:
            raise BadWeights(f"{where}: {name} is not stored in floating-point numbers; get the unquantised model")
