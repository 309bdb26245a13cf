"""What happened in a training: the loss of every step, the validations, how it ended."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Share:
    """A mean over segments."""

    loss: float  # nats per token
    segments: int


@dataclass(frozen=True, slots=True)
class Validated:
    """The loss on segments that are not trained on."""

    step: int  # steps that had been made
    loss: float  # the mean over all segments
    quadrants: Mapping[str, Share]

    @classmethod
    def of(cls, step: int, losses: Iterable[tuple[str, float]]) -> "Validated":
        """From the quadrant and the loss of each segment."""
        by_quadrant: dict[str, list[float]] = defaultdict(list)
        for quadrant, loss in losses:
            by_quadrant[quadrant].append(loss)
        shares = {name: Share(_mean(found), len(found)) for name, found in sorted(by_quadrant.items())}
        return cls(step, _mean([loss for found in by_quadrant.values() for loss in found]), shares)


@dataclass(slots=True)
class History:
    """Grows as the training goes on, and is kept with it."""

    losses: list[float] = field(default_factory=list)  # of each step, in nats per token
    validated: list[Validated] = field(default_factory=list)
    stopped: str = ""  # why there is nothing more to do; "" as long as there is

    @property
    def step(self) -> int:
        """Steps that have been made."""
        return len(self.losses)

    @property
    def best(self) -> Validated | None:
        """The validation with the lowest loss, the first of equals."""
        return min(self.validated, key=lambda each: each.loss, default=None)

    @property
    def fruitless(self) -> int:
        """Validations since the best one."""
        best = self.best
        return 0 if best is None else len(self.validated) - 1 - self.validated.index(best)

    def as_json(self) -> dict[str, Any]:
        """For a JSON file, or a checkpoint."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "History":
        """Back from it."""
        validated = [
            Validated(each["step"], each["loss"], {name: Share(**share) for name, share in each["quadrants"].items()})
            for each in content["validated"]
        ]
        return cls(list(content["losses"]), validated, content["stopped"])


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
