"""How long a training will take and how much memory, told before it begins."""

import time
from dataclasses import dataclass

import torch

from models.fit import Trainer
from models.recipe import Recipe
from musicmed_live.musicgen.decoder import FRAME_RATE, DecoderConfig

_FORWARD = 1 / 3  # of a step's time: going back takes twice as long as going forth


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a training takes on this machine."""

    device: str  # in words
    parameters: int  # of the decoder and the emotion tokens
    trained: int  # of them
    step_seconds: float  # measured
    hours: float  # all steps to come and their validations; fewer where it stops early
    memory_bytes: float  # on the device: weights, gradients, optimizer, and what is kept to go back
    peak_bytes: float | None  # measured by the trial; None where the device does not tell

    def in_words(self) -> str:
        """One line for each figure."""
        measured = "" if self.peak_bytes is None else f" ({_size(self.peak_bytes)} at most while trying)"
        return (
            f"device   {self.device}\n"
            f"weights  {self.parameters / 1e6:.1f} million, of which {self.trained / 1e6:.2f} million are trained\n"
            f"memory   about {_size(self.memory_bytes)}{measured}\n"
            f"time     about {_duration(self.hours)} at {self.step_seconds:.2g} s a step, if it does not stop early"
        )


def estimate(trainer: Trainer, recipe: Recipe, decoder: DecoderConfig, seconds: float, half: bool) -> Estimate:
    """Measure a trial step on the trainer's device, and work out the rest.

    `seconds` is how long the segments are; `half`: whether it computes in bfloat16.
    """
    device = trainer.device
    trainer.trial()  # what is set up on a first use is not to be measured
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    began = time.perf_counter()
    trainer.trial()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    batch_seconds = time.perf_counter() - began
    step_seconds = batch_seconds * recipe.training.accumulate
    weights = list(trainer.model.parameters())
    return Estimate(
        torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        sum(weight.numel() for weight in weights),
        sum(weight.numel() for weight in weights if weight.requires_grad),
        step_seconds,
        hours(recipe, trainer.history.step, trainer.validation_batches, step_seconds, batch_seconds),
        weight_bytes(weights) + activation_bytes(decoder, recipe, round(seconds * FRAME_RATE), half),
        float(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else None,
    )


def weight_bytes(weights: list[torch.nn.Parameter]) -> int:
    """Bytes of the weights; and for those that are trained, of a gradient and of AdamW's two moments, all float32."""
    return sum(weight.numel() * (weight.element_size() + 12 * weight.requires_grad) for weight in weights)


def activation_bytes(decoder: DecoderConfig, recipe: Recipe, frames: int, half: bool) -> float:
    """Bytes that one batch of segments of so many frames keeps until it has gone back.

    Counted as by Korthikanti et al. 2022 (arXiv 2205.05198, 4.1), for this decoder: a layer keeps the streams into its
    three norms (in float32), what the norms give, queries, keys, values and what attention makes of them, and both
    sides of the activation. The logits are there in float32, as logarithms and as gradients; and as computed, if half.
    """
    element = 2 if half else 4
    width, ffn = decoder.width, decoder.ffn
    layer = (3 * 4 + 11 * element) * width + 2 * element * ffn
    if recipe.lora is not None and recipe.lora.dropout:
        layer += (element + 1) * (7 * width + ffn)  # each adapted matrix has an input of its own, and a mask of bytes
    kept = decoder.layers * layer
    if recipe.training.checkpoint_layers:
        kept = decoder.layers * element * width + layer
    logits = decoder.codebooks * decoder.vocab * (3 * 4 + 2 * half)
    columns = frames + decoder.codebooks - 1
    return float(recipe.training.batch * columns * (kept + logits))


def hours(recipe: Recipe, made: int, validation_batches: int, step_seconds: float, batch_seconds: float) -> float:
    """How long it takes from step `made` to the last, with all validations, of so many batches each."""
    steps = recipe.training.steps - made
    validations = steps // recipe.validation.every + 1
    return (steps * step_seconds + validations * validation_batches * batch_seconds * _FORWARD) / 3600


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"
