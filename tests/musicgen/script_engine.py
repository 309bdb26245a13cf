"""An engine without a model: each token that it draws tells all that went into it, so nothing can go wrong unseen."""

import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from musicmed_live.musicgen.decoder import WINDOW_STEPS, DecoderConfig
from musicmed_live.musicgen.engine import Conditioning


class ScriptEngine:
    """Slots remember a digest of every column that went in; what is drawn is hashed from it, the prompt and the key."""

    config = DecoderConfig(layers=1, width=64, heads=1, ffn=64)
    window = WINDOW_STEPS

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.columns: list[list[tuple[int, ...]]] = [[] for _ in range(slots)]  # that went in, by slot
        self.drawn = 0
        self.filled = 0  # columns that were run without drawing
        self.under: list[list[bytes]] = [[] for _ in range(slots)]  # the prompt under which each of them did
        self._digests: list[list[bytes]] = [[b""] for _ in range(slots)]
        self._prompts = [b""] * slots

    def condition(self, slots: Sequence[int], conditioning: Conditioning) -> None:
        for slot in slots:
            self._prompts[slot] = conditioning.hidden.numpy().tobytes() + repr(conditioning.adapters).encode()

    def length(self, slot: int) -> int:
        return len(self.columns[slot])

    def rewind(self, slot: int, steps: int) -> None:
        assert 0 <= steps <= self.length(slot)
        del self.columns[slot][steps:], self.under[slot][steps:], self._digests[slot][steps + 1 :]

    def copy(self, source: int, target: int) -> None:
        self.columns[target] = self.columns[source].copy()
        self.under[target] = self.under[source].copy()
        self._digests[target] = self._digests[source].copy()
        self._prompts[target] = self._prompts[source]

    def lending(self) -> AbstractContextManager[None]:
        return nullcontext()

    def advance(
        self, slots: Sequence[int], first: torch.Tensor, known: torch.Tensor, keys: torch.Tensor
    ) -> torch.Tensor:
        assert known.shape == (len(slots), keys.shape[1], self.config.codebooks) and known.shape[1] > 0
        out = known.clone()
        for lane, slot in enumerate(slots):
            column = first[lane]
            for step in range(known.shape[1]):
                column = out[lane, step] = self._step(slot, column, known[lane, step], int(keys[lane, step]))
        return out

    def _step(self, slot: int, column: torch.Tensor, known: torch.Tensor, key: int) -> torch.Tensor:
        assert (column >= 0).all() and len(self.columns[slot]) < self.window
        self.columns[slot].append(tuple(column.tolist()))
        self.under[slot].append(self._prompts[slot])
        self._digests[slot].append(hashlib.blake2b(self._digests[slot][-1] + repr(column.tolist()).encode()).digest())
        if (known >= 0).all():
            self.filled += 1
            return known
        self.drawn += 1
        word = hashlib.blake2b(self._digests[slot][-1] + self._prompts[slot] + repr(key).encode()).digest()
        tokens = torch.tensor([int.from_bytes(word[2 * k : 2 * k + 2], "little") % 2048 for k in range(len(known))])
        return torch.where(known >= 0, known, tokens)
