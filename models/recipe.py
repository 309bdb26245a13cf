"""Recipes: everything about a training that is chosen, in one TOML file of few keys."""

import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_type_hints

from musicmed_live.errors import InvalidInput, shown

PACKAGED = Path(__file__).parent / "lora"

Section = TypeVar("Section")

# What a number may be, by its name: from, to. All others are counts from 1.
_RANGES: Mapping[str, tuple[float, float]] = {
    "seed": (0, 2**63 - 1),
    "dropout": (0.0, 0.9),
    "alpha": (1e-6, 1e6),
    "drop_text": (0.0, 1.0),
    "drop_emotion": (0.0, 1.0),
    "drop_both": (0.0, 1.0),
    "learning_rate": (1e-9, 1.0),
    "warmup_steps": (0, 10**9),
    "weight_decay": (0.0, 1.0),
    "clip_norm": (1e-6, 1e6),
}
_MOST = 10**9


@dataclass(frozen=True, slots=True)
class Lora:
    """Low-rank changes (Hu et al. 2021, arXiv 2106.09685) of some of the decoder's matrices, which stay as they are."""

    rank: int
    alpha: float  # a change is scaled by alpha / rank
    targets: tuple[str, ...]  # ends of module names, such as "q_proj" or "encoder_attn.k_proj"
    dropout: float = 0.0  # of what goes into a change


@dataclass(frozen=True, slots=True)
class Emotion:
    """Emotion tokens beside the text: continuous valence and arousal."""

    tokens: int = 4
    width: int = 256  # of the net's hidden layers
    learning_rate: float = 1e-3  # the net starts from nothing, so it learns faster than what is adapted


@dataclass(frozen=True, slots=True)
class Conditioning:
    """How often a segment is trained without what it could be told; without both it is unconditional."""

    drop_text: float = 0.1
    drop_emotion: float = 0.1
    drop_both: float = 0.1


@dataclass(frozen=True, slots=True)
class Optimization:
    """AdamW (Loshchilov & Hutter 2019) with warm-up and half a cosine."""

    steps: int
    batch: int  # segments in each process at a time
    learning_rate: float
    accumulate: int = 1  # batches to a step
    warmup_steps: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 1.0  # of all gradients together
    checkpoint_layers: bool = False  # keep only what goes into each layer, and compute the rest again: less memory


@dataclass(frozen=True, slots=True)
class Validation:
    """When to look at segments that are not trained on, and when that is enough."""

    every: int  # steps
    segments: int = 256  # at most so many
    patience: int = 5  # stop after so many validations without a better one


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training. Without `lora` all weights of the decoder are trained; without `emotion` it has text alone."""

    training: Optimization
    validation: Validation
    conditioning: Conditioning = field(default_factory=Conditioning)
    lora: Lora | None = None
    emotion: Emotion | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise `InvalidInput` for what cannot be trained by."""
        for name, value in _numbers("", asdict(self)):
            _check_range(name, value)
        dropped = self.conditioning.drop_text + self.conditioning.drop_emotion + self.conditioning.drop_both
        if dropped > 1:
            raise InvalidInput(f"conditioning: the shares that are dropped add up to {dropped:g}, which is above 1")
        if self.lora is not None and not self.lora.targets:
            raise InvalidInput('lora.targets is empty; name modules such as ["q_proj", "v_proj"]', "lora.targets")

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all values: what was begun by one recipe is gone on with by the same."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def find_recipe(name: str) -> Path:
    """The file of a recipe that comes along, by its name such as `small`; or the path that `name` is."""
    packaged = PACKAGED / f"{name}.toml"
    return packaged if packaged.is_file() else Path(name)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a TOML file. Raises `InvalidInput` that names what is wrong: a key, its value, what is accepted."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidInput(f"{path} is missing; recipes that come along are small, medium, large and tiny") from None
    except OSError as fault:
        raise InvalidInput(f"{path} cannot be read ({fault.strerror}); see that it may be") from fault
    except ValueError as fault:
        raise InvalidInput(f"{path} is not TOML ({fault}); begin with a copy of {PACKAGED / 'small.toml'}") from fault
    try:
        return _section(Recipe, found, "")
    except InvalidInput as fault:
        raise InvalidInput(f"{path}: {fault.message}", fault.field) from None


def _section(kind: type[Section], found: Mapping[str, Any], prefix: str) -> Section:
    """A dataclass of a table. Its keys are the fields; what has no default has to be there."""
    known = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]  # only dataclasses come here
    for name in found:
        if name not in known:
            raise InvalidInput(f"{prefix}{name} is no key; known are {', '.join(known)}", f"{prefix}{name}")
    for name, each in known.items():
        if name not in found and each.default is MISSING and each.default_factory is MISSING:
            raise InvalidInput(f"{prefix}{name} is missing", f"{prefix}{name}")
    types = get_type_hints(kind)
    return kind(**{name: _value(types[name], value, f"{prefix}{name}") for name, value in found.items()})


def _value(wanted: Any, value: object, name: str) -> object:
    if isinstance(wanted, UnionType):
        wanted = next(kind for kind in get_args(wanted) if kind is not NoneType)
    if hasattr(wanted, "__dataclass_fields__"):
        if not isinstance(value, dict):
            raise InvalidInput(f"{name} is {shown(value)}, not a table", name)
        return _section(wanted, value, f"{name}.")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if wanted in (int, float, bool):
        if type(value) is not wanted:
            raise InvalidInput(f"{name} is {shown(value)}, not {_WORDS[wanted]}", name)
        return value
    if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
        raise InvalidInput(f"{name} is {shown(value)}, not a list of names", name)
    return tuple(value)


_WORDS = {int: "a whole number", float: "a number", bool: "true or false"}


def _numbers(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(f"{prefix}{name}.", value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{name}", value


def _check_range(name: str, value: float) -> None:
    low, high = _RANGES.get(name.rpartition(".")[2], (1, _MOST))
    if not low <= value <= high:
        raise InvalidInput(f"{name} is {value:g}, not from {low:g} to {high:g}", name)
