"""The loop of a training: batches in, weights that are a little better out, on one device or on several at once."""

import math
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from accelerate import Accelerator

from models.batches import Batch, Segments
from models.checkpoints import State
from models.conditioned import Conditioned, losses
from models.history import History, Validated
from models.recipe import Recipe
from models.schedule import rate
from musicmed_live.errors import InvalidInput

BETAS = (0.9, 0.95)  # of AdamW, as MusicGen was trained with (Copet et al. 2023, 4.1)
_DROPOUT = 2  # what chance is drawn for; see `batches.py`


class NotFinite(InvalidInput):
    """The loss or its gradient is no finite number; the weights are as they were before that step."""


class Trainer:
    """A model, what it is trained on, and how far it has come.

    All processes of a training run the same calls. What chance decides in a step follows from the seed, the step and
    the process, so that a training that goes on from a `State` makes the same steps as one that was never stopped.
    """

    def __init__(
        self, model: Conditioned, segments: Segments, unseen: Segments, recipe: Recipe, accelerator: Accelerator
    ) -> None:
        """`unseen` are the segments to validate with."""
        self._recipe, self._accelerator = recipe, accelerator
        self._segments, self._unseen = segments, unseen
        self._sampled = unseen.sample(recipe.validation.segments, recipe.seed)
        self.history = History()
        optimizer = torch.optim.AdamW(_groups(model, recipe), betas=BETAS, weight_decay=recipe.training.weight_decay)
        self._model, self._optimizer = accelerator.prepare(model, optimizer)
        self._full = [group["lr"] for group in self._optimizer.param_groups]

    @property
    def model(self) -> Conditioned:
        """What is trained."""
        model: Conditioned = self._accelerator.unwrap_model(self._model)
        return model

    @property
    def device(self) -> torch.device:
        """Where this process computes."""
        device: torch.device = self._accelerator.device
        return device

    @property
    def validation_batches(self) -> int:
        """Batches of a validation that this process computes: all of them, or its share."""
        together: int = self._recipe.training.batch * self._accelerator.num_processes
        return -(-len(self._sampled) // together)

    def state(self) -> State:
        """How far it has come, on the CPU, to be written; it shares memory with what is trained there."""
        weights = {name: weight.detach().cpu() for name, weight in self.model.trained()}
        return State(weights, self._optimizer.state_dict(), self.history)

    def restore(self, state: State) -> None:
        """Go on from there."""
        with torch.no_grad():
            for name, weight in self.model.trained():
                weight.copy_(state.weights[name])
        self._optimizer.load_state_dict(state.optimizer)
        self.history = state.history

    def run(self, keep: Callable[["Trainer", bool], None], watch: Callable[[History], None]) -> None:
        """Train until the recipe's steps are made, or validation has not got better for long.

        After each validation `keep` is called, with whether it was the best so far; after each step, `watch`. Raises
        `NotFinite` where the loss or its gradient is no finite number, after `keep` where the weights still are.
        """
        if not self.history.validated:
            self._validate(keep)
        while not self.history.stopped:
            try:
                self.history.losses.append(self._step())
            except NotFinite:
                if self._is_finite():
                    keep(self, False)
                raise
            watch(self.history)
            step, recipe = self.history.step, self._recipe
            if step % recipe.validation.every == 0 or step == recipe.training.steps:
                self._validate(keep)

    def trial(self) -> None:
        """Compute all of a step's first batch but the change of the weights: to measure what that takes."""
        self._backward(0, 0)
        self._optimizer.zero_grad()

    def _step(self) -> float:
        """One step: the loss before it."""
        step, training = self.history.step, self._recipe.training
        share = rate(step, training.steps, training.warmup_steps)
        for group, full in zip(self._optimizer.param_groups, self._full, strict=True):
            group["lr"] = full * share
        torch.manual_seed(self._seed(step))
        found = [self._backward(step, part) for part in range(training.accumulate)]
        mean = torch.stack([loss for loss, _ in found]).mean()
        loss = float(self._accelerator.reduce(mean, "mean"))
        norm = float(self._accelerator.clip_grad_norm_(self._trained(), training.clip_norm))
        if not math.isfinite(loss) or not math.isfinite(norm):
            self._optimizer.zero_grad()
            raise _not_finite(step, loss, norm, found)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return loss

    def _backward(self, step: int, part: int) -> tuple[torch.Tensor, Batch]:
        """Add to the gradients those of one batch of a step; its loss, and the batch."""
        training, accelerator = self._recipe.training, self._accelerator
        batch = self._batch(step, part)
        last = part == training.accumulate - 1
        with nullcontext() if last else accelerator.no_sync(self._model):
            loss = losses(self._model(batch), batch.targets).mean()
            accelerator.backward(loss / training.accumulate)
        return loss.detach(), batch

    def _batch(self, step: int, part: int) -> Batch:
        training, accelerator = self._recipe.training, self._accelerator
        place = (step * training.accumulate + part) * accelerator.num_processes + accelerator.process_index
        batch = self._segments.at(place * training.batch, training.batch, self._recipe.conditioning, self._recipe.seed)
        return batch.to(accelerator.device)

    def _validate(self, keep: Callable[["Trainer", bool], None]) -> None:
        """Look at the unseen segments, and whether it is enough."""
        found = self._unseen_losses()
        validated = Validated.of(self.history.step, found)
        if not math.isfinite(validated.loss):
            raise NotFinite(
                f"step {self.history.step}: the loss of the validation is {validated.loss:g}; "
                "lower learning_rate in the recipe and train anew"
            )
        history, recipe = self.history, self._recipe
        history.validated.append(validated)
        if history.step >= recipe.training.steps:
            history.stopped = "all steps were made"
        elif history.fruitless >= recipe.validation.patience:
            history.stopped = (
                f"{history.fruitless} validations in a row were no better than that of step {_best(history)}"
            )
        keep(self, history.best is validated)

    def _unseen_losses(self) -> list[tuple[str, float]]:
        """Quadrant and loss of each segment to validate with; each process computes its share of them."""
        accelerator, size = self._accelerator, self._recipe.training.batch
        found = torch.zeros(len(self._sampled), device=accelerator.device)
        quadrants = self._unseen.quadrants(self._sampled)
        self._model.eval()
        with torch.no_grad():
            for begin in range(accelerator.process_index * size, len(found), accelerator.num_processes * size):
                batch = self._unseen.whole(self._sampled[begin : begin + size]).to(accelerator.device)
                found[begin : begin + size] = losses(self._model(batch), batch.targets)
        self._model.train()
        return list(zip(quadrants, accelerator.reduce(found, "sum").tolist(), strict=True))

    def _trained(self) -> list[torch.nn.Parameter]:
        return [weight for _, weight in self.model.trained()]

    def _is_finite(self) -> bool:
        return all(bool(weight.isfinite().all()) for weight in self._trained())

    def _seed(self, step: int) -> int:
        """What dropout is drawn with in this step and process."""
        numbers = [self._recipe.seed, _DROPOUT, step, self._accelerator.process_index]
        return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])


def _groups(model: Conditioned, recipe: Recipe) -> list[dict[str, object]]:
    """Parameters by their learning rate. Vectors, which are norms and biases, do not decay."""
    decoder = [weight for weight in model.decoder.parameters() if weight.requires_grad]
    training = recipe.training
    groups: list[dict[str, object]] = [
        {"params": [weight for weight in decoder if weight.dim() > 1], "lr": training.learning_rate},
        {
            "params": [weight for weight in decoder if weight.dim() <= 1],
            "lr": training.learning_rate,
            "weight_decay": 0.0,
        },
    ]
    if model.tokens is not None and recipe.emotion is not None:
        groups.append(
            {"params": list(model.tokens.parameters()), "lr": recipe.emotion.learning_rate, "weight_decay": 0.0}
        )
    return [group for group in groups if group["params"]]


def _best(history: History) -> int:
    return history.best.step if history.best else 0


def _not_finite(step: int, loss: float, norm: float, found: list[tuple[torch.Tensor, Batch]]) -> NotFinite:
    """Which segments it was, as far as that can be told: where only the gradient is none, it may be any of the step."""
    bad = [batch for mean, batch in found if not mean.isfinite()] or [batch for _, batch in found]
    names = [name for batch in bad for name in batch.ids]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} others" if len(names) > 8 else "")
    return NotFinite(
        f"step {step}: the loss is {loss:g} and its gradient {norm:g}, with the segments {shown}; the last good state "
        "is kept: leave them out, or lower learning_rate in the recipe, and train anew",
        "loss",
    )
