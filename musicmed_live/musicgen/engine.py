"""What runs a decoder in real time: slots with a key-value cache each, stepped together.

A *step* takes one column of the delay pattern (a token for each codebook) and gives the next one: codebook k of the
column that step s gives belongs to frame s - k. A slot is one thread of music, both rows of classifier-free guidance
included.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import torch

from musicmed_live.musicgen.decoder import PROMPT_TOKENS, WINDOW_STEPS, DecoderConfig


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a token is drawn. The values are those that MusicGen was published with."""

    guidance: float = 3.0  # of classifier-free guidance: unconditional + guidance * (conditional - unconditional)
    top_k: int = 250  # 1: the likeliest token
    temperature: float = 1.0

    def __post_init__(self) -> None:
        """Raise `ValueError` for what cannot be drawn with."""
        if self.top_k < 1 or not self.temperature > 0:
            raise ValueError(f"top_k {self.top_k} must be at least 1, and temperature {self.temperature} above 0")


@dataclass(frozen=True, slots=True, eq=False)
class Conditioning:
    """What a slot is told to play, as the decoder's cross-attention sees it."""

    hidden: torch.Tensor  # (tokens, text_width) float32: the text encoder's last hidden state, tokens <= PROMPT_TOKENS
    log_weight: torch.Tensor  # (tokens,) float32, added to the attention scores: 0, or less where prompts are blended
    adapters: tuple[float, ...] = ()  # a weight for each adapter that the engine was made with


class Engine(Protocol):
    """Runs one decoder. Slots are numbered from 0; a new engine's are empty and unconditioned."""

    config: DecoderConfig
    slots: int
    window: int  # the most steps that a slot holds

    def condition(self, slots: Sequence[int], conditioning: Conditioning) -> None:
        """Replace what the slots follow, from their next step on: a copy into each, its past stays as it was."""
        ...

    def length(self, slot: int) -> int:
        """Steps that the slot holds."""
        ...

    def rewind(self, slot: int, steps: int) -> None:
        """Forget all but the first `steps` steps: a length reset. Raises `ValueError` beyond the slot's length."""
        ...

    def copy(self, source: int, target: int) -> None:
        """Let the slot `target` become what `source` is: its steps, and what it follows."""
        ...

    def lending(self) -> AbstractContextManager[None]:
        """While another thread of the process needs a core, which an engine that works on cores leaves to it."""
        ...

    def advance(
        self, slots: Sequence[int], first: torch.Tensor, known: torch.Tensor, keys: torch.Tensor
    ) -> torch.Tensor:
        """Run T steps in each of `slots` at once; returns the columns they give, shape (slots, T, codebooks) int64.

        `first` (slots, codebooks) is the column that goes into the first step. `known` (slots, T, codebooks) are the
        columns that are to come out: where it is >= 0 that token is taken, where it is -1 one is drawn. Each column
        that comes out goes into the next step. `keys` (slots, T) int64 seed the draws: the same key and the same
        logits give the same tokens, on any machine. Leading columns that are known in all slots are run in one go,
        without drawing. All tensors are on the CPU; there is no device synchronisation within a call but at its end.
        Raises `ValueError` where a slot's window would overflow.
        """
        ...


class Slotted:
    """What engines have in common: how long each slot is, and what they are not to be asked."""

    def __init__(self, config: DecoderConfig, slots: int, adapters: int) -> None:
        """With that many slots, all empty, and that many adapters."""
        self.config, self.slots, self.window = config, slots, WINDOW_STEPS
        self._adapters = adapters
        self._lengths = [0] * slots

    def length(self, slot: int) -> int:
        """See `Engine`."""
        return self._lengths[slot]

    def rewind(self, slot: int, steps: int) -> None:
        """See `Engine`."""
        if not 0 <= steps <= self._lengths[slot]:
            raise ValueError(f"slot {slot} holds {self._lengths[slot]} steps and cannot be rewound to {steps}")
        self._lengths[slot] = steps

    def _grow(self, slots: Sequence[int], steps: int) -> None:
        for slot in slots:
            self._lengths[slot] += steps

    def _check_conditioning(self, conditioning: Conditioning) -> None:
        tokens, width = conditioning.hidden.shape
        if tokens > PROMPT_TOKENS or width != self.config.text_width:
            raise ValueError(
                f"a prompt of {tokens} x {width} does not fit; at most {PROMPT_TOKENS} x {self.config.text_width} do"
            )
        if len(conditioning.log_weight) != tokens:
            raise ValueError(f"{len(conditioning.log_weight)} log weights were given for {tokens} tokens")
        if len(conditioning.adapters) not in (0, self._adapters):
            raise ValueError(
                f"{len(conditioning.adapters)} adapter weights were given; the engine has {self._adapters}"
            )

    def _check_slots(self, slots: Sequence[int]) -> None:
        if not slots or len(set(slots)) < len(slots) or not all(0 <= slot < self.slots for slot in slots):
            raise ValueError(f"slots {list(slots)} are not different ones of the {self.slots} that the engine has")

    def _check_room(self, slots: Sequence[int], steps: int) -> None:
        for slot in slots:
            if self._lengths[slot] + steps > self.window:
                raise ValueError(
                    f"slot {slot} holds {self._lengths[slot]} steps; with {steps} more than {self.window} would be held"
                )
