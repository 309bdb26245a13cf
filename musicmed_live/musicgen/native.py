"""The CPU engine: 8-bit weights and caches, 16-bit activations, in C (`kernel/engine.h` tells how).

The kernel is built with the package where there is a C compiler; `binding.available` says whether it is there. A result
depends neither on the number of threads nor on the instruction set, bit for bit.
"""

import ctypes
import os
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

import torch

from musicmed_live.errors import GeneratorFailed
from musicmed_live.musicgen.adapters import Adapter
from musicmed_live.musicgen.binding import SETS, Columns, Draws, Shape, available, instruction_sets, library
from musicmed_live.musicgen.decoder import DecoderConfig, sinusoids
from musicmed_live.musicgen.engine import Conditioning, Sampling, Slotted

_TILE = 64  # outputs and columns come in multiples of it
_MOST_SLOTS = 16
_MOST_THREADS = 64
_MOST_BOOKS = 8
_LAYER_MATRICES: Final = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"),
    *("encoder_attn.q_proj", "encoder_attn.k_proj", "encoder_attn.v_proj", "encoder_attn.out_proj"),
    *("fc1", "fc2"),
)
_LAYER_NORMS: Final = ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm")
_STACK = "decoder.model.decoder"

_Weights = Mapping[str, torch.Tensor]


def plays(config: DecoderConfig) -> bool:
    """Whether it is there, and made for such a decoder."""
    return available() and _misfit(config) is None


class NativeEngine(Slotted):
    """An `Engine` on the CPU. The weights are read one at a time, and only their 8-bit form is kept.

    `threads` is how many may work, one for each core that this process may use unless given; `instructions` is one of
    `instruction_sets()`, the fastest unless given. Raises `GeneratorFailed` where there is no kernel, for a shape that
    it does not know, and where memory does not suffice.
    """

    def __init__(
        self,
        config: DecoderConfig,
        weights: _Weights,
        adapters: Sequence[Adapter] = (),
        slots: int = 2,
        sampling: Sampling | None = None,
        threads: int | None = None,
        instructions: str | None = None,
    ) -> None:
        kernel = library()
        if kernel is None:
            raise GeneratorFailed("the CPU kernel was not built; install a C compiler, then this package again")
        misfit = _misfit(config)
        if misfit is not None:
            raise GeneratorFailed(misfit)
        if not 1 <= slots <= _MOST_SLOTS:
            raise GeneratorFailed(f"the CPU kernel has 1 to {_MOST_SLOTS} slots, not {slots}")
        super().__init__(config, slots, len(adapters))
        self._sampling = sampling or Sampling()
        self._library = kernel
        self._engine = ctypes.c_void_p(
            self._opened(adapters, min(threads or usable_cores(), _MOST_THREADS), instructions)
        )
        # Not at exit: a thread may still be in it.
        weakref.finalize(self, kernel.engine_close, self._engine).atexit = False
        self._load(weights)
        self._adapt(adapters)

    def condition(self, slots: Sequence[int], conditioning: Conditioning) -> None:
        """See `Engine`. Raises `ValueError` for a prompt that is too long, or not one weight for each adapter."""
        self._check_slots(slots)
        self._check_conditioning(conditioning)
        tokens, width = conditioning.hidden.shape
        hidden = torch.zeros(tokens, -(-width // _TILE) * _TILE)
        hidden[:, :width] = conditioning.hidden
        log_weight = conditioning.log_weight.float().contiguous()
        shares = torch.tensor(conditioning.adapters or (0.0,) * self._adapters, dtype=torch.float32)
        numbers = torch.tensor(slots, dtype=torch.int32)
        self._library.engine_condition(self._engine, len(slots), numbers, tokens, hidden, log_weight, shares)

    def copy(self, source: int, target: int) -> None:
        """Make the slot `target` what `source` is: its past, and what it follows."""
        self._check_slots([source, target] if source != target else [source])
        if source != target:
            self._library.engine_copy(self._engine, source, target, self._lengths[source])
            self._lengths[target] = self._lengths[source]

    @contextmanager
    def lending(self) -> Iterator[None]:
        """See `Engine`."""
        self._library.engine_lend(self._engine, 1)
        try:
            yield
        finally:
            self._library.engine_lend(self._engine, -1)

    def advance(
        self, slots: Sequence[int], first: torch.Tensor, known: torch.Tensor, keys: torch.Tensor
    ) -> torch.Tensor:
        """See `Engine`."""
        steps = known.shape[1]
        self._check_slots(slots)
        self._check_room(slots, steps)
        columns = torch.cat([first[:, None], known], dim=1)  # (slots, T + 1, codebooks): in, and from 1 on out
        self._check_tokens(columns[:, 0])
        given = int((known >= 0).all(-1).all(0).cumprod(0).sum())
        if given:
            self._run(slots, columns[:, :given])
        if given < steps:
            columns[:, given:] = self._draw(slots, columns[:, given:], keys[:, given:])
        return columns[:, 1:]

    def logits(self, slot: int, columns: torch.Tensor) -> torch.Tensor:
        """Run given columns (T, codebooks) as T steps: logits (T, 2, codebooks, vocab) of what follows each.

        The conditional ones come first, as in every pair of rows. Raises `ValueError` where the window would overflow.
        """
        self._check_slots([slot])
        self._check_room([slot], len(columns))
        logits = torch.empty(len(columns), 2, self.config.codebooks, self.config.vocab)
        self._run([slot], columns[None], logits)
        return logits

    def _run(self, slots: Sequence[int], columns: torch.Tensor, logits: torch.Tensor | None = None) -> None:
        """Run known columns (slots, T, codebooks); `logits` takes those of each, (slots, T, 2, codebooks, vocab)."""
        self._check_tokens(columns)
        tokens = columns.to(torch.int32).contiguous()
        numbers, positions = self._places(slots)
        pointers = [tensor.data_ptr() for tensor in (numbers, positions, tokens)]
        run = Columns(*columns.shape[:2], *pointers, None if logits is None else logits.data_ptr())
        self._library.engine_run(self._engine, ctypes.byref(run))
        self._grow(slots, columns.shape[1])

    def _draw(self, slots: Sequence[int], columns: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Run steps (slots, T + 1, codebooks): what goes into the first, and what comes out of each; -1 is drawn."""
        self._check_tokens(columns.clamp_min(0))
        count, steps, sampling = len(slots), columns.shape[1] - 1, self._sampling
        tokens, seeds = columns.to(torch.int32).contiguous(), keys.contiguous()
        logits = torch.empty(count, 2, self.config.codebooks, self.config.vocab)
        numbers, positions = self._places(slots)
        pointers = [tensor.data_ptr() for tensor in (numbers, positions, tokens, seeds, logits)]
        draws = Draws(count, steps, *pointers, sampling.guidance, sampling.top_k, sampling.temperature)
        self._library.engine_draw(self._engine, ctypes.byref(draws))
        self._grow(slots, steps)
        return tokens.long()

    def _places(self, slots: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The slots and their lengths as the kernel reads them."""
        lengths = [self._lengths[slot] for slot in slots]
        return torch.tensor(slots, dtype=torch.int32), torch.tensor(lengths, dtype=torch.int32)

    def _check_tokens(self, columns: torch.Tensor) -> None:
        if columns.shape[-1] != self.config.codebooks:
            raise ValueError(f"columns have {columns.shape[-1]} tokens, not {self.config.codebooks}")
        if columns.numel() and not 0 <= int(columns.min()) <= int(columns.max()) <= self.config.vocab:
            raise ValueError(
                f"tokens go from 0 to {self.config.vocab}, not {int(columns.min())} to {int(columns.max())}"
            )

    def _opened(self, adapters: Sequence[Adapter], threads: int, instructions: str | None) -> int:
        config, sets = self.config, instruction_sets()
        if instructions is not None and instructions not in sets:
            raise GeneratorFailed(f"this CPU has no {instructions}; it has {', '.join(sets)}")
        shape = Shape(
            *(config.layers, config.width, config.heads, config.ffn, config.text_width, config.codebooks, config.vocab),
            *(self.slots, self.window),
        )
        ranks: dict[str, int] = {}
        for adapter in adapters:
            for module, (down, _) in adapter.layers.items():
                ranks[module] = ranks.get(module, 0) + len(down)
        number = SETS.index(instructions or sets[0])
        engine: int | None = self._library.engine_open(
            ctypes.byref(shape), len(adapters), max(ranks.values(), default=0), threads, number
        )
        if engine is None:
            raise GeneratorFailed(f"there is not enough memory for {self.slots} slots; take fewer, or a smaller model")
        return engine

    def _load(self, weights: _Weights) -> None:
        library, engine, config = self._library, self._engine, self.config
        for number, name in enumerate(_matrices(config)):
            library.engine_matrix(engine, number, _floats(weights, f"{name}.weight"))
        for number, name in enumerate(_norms(config)):
            library.engine_norm(engine, number, _floats(weights, f"{name}.weight"), _floats(weights, f"{name}.bias"))
        for book in range(config.codebooks):
            embedding = weights[f"{_STACK}.embed_tokens.{book}.weight"].detach().bfloat16().contiguous()
            library.engine_embedding(engine, book, embedding)
        library.engine_vectors(engine, sinusoids(self.window, config.width), _floats(weights, "enc_to_dec_proj.bias"))

    def _adapt(self, adapters: Sequence[Adapter]) -> None:
        """Give each matrix what the adapters add to it, their ranks one after the other."""
        embeddings = [f"{_STACK}.embed_tokens.{book}" for book in range(self.config.codebooks)]
        for number, name in enumerate([*_matrices(self.config), *embeddings]):
            parts = [(k, *adapter.layers[name]) for k, adapter in enumerate(adapters) if name in adapter.layers]
            if not parts:
                continue
            owners = torch.cat([torch.full((len(down),), k, dtype=torch.int32) for k, down, _ in parts])
            down, up = torch.cat([down for _, down, _ in parts]), torch.cat([up.T for _, _, up in parts])
            if name not in embeddings:
                down = torch.nn.functional.pad(down, (0, -down.shape[1] % _TILE))
            pair = down.bfloat16().contiguous(), up.bfloat16().contiguous()
            if not self._library.engine_low_rank(self._engine, number, len(owners), owners, *pair):
                raise GeneratorFailed(f"there is not enough memory for {len(adapters)} adapters; take fewer")


def usable_cores() -> int:
    """Cores that this process may run on."""
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _misfit(config: DecoderConfig) -> str | None:
    """What the kernel does not do, in a sentence; None where it does it all."""
    tiled = (config.width, config.ffn, config.vocab)
    if any(size < 1 or size % _TILE for size in tiled) or config.heads * config.head_width != config.width:
        return f"the CPU kernel needs width, ffn and vocab in multiples of {_TILE}, not {tiled}"
    if config.head_width not in (32, 64):
        return f"the CPU kernel has heads of 32 and 64 numbers, not {config.head_width}"
    if not 1 <= config.codebooks <= _MOST_BOOKS:
        return f"the CPU kernel has 1 to {_MOST_BOOKS} codebooks, not {config.codebooks}"
    return None


def _matrices(config: DecoderConfig) -> list[str]:
    """Modules in the order in which the kernel numbers their matrices; the embeddings follow."""
    layers = [f"{_STACK}.layers.{layer}.{name}" for layer in range(config.layers) for name in _LAYER_MATRICES]
    heads = [f"decoder.lm_heads.{book}" for book in range(config.codebooks)]
    return [*layers, *heads, "enc_to_dec_proj"]


def _norms(config: DecoderConfig) -> list[str]:
    layers = [f"{_STACK}.layers.{layer}.{name}" for layer in range(config.layers) for name in _LAYER_NORMS]
    return [*layers, f"{_STACK}.layer_norm"]


def _floats(weights: _Weights, name: str) -> torch.Tensor:
    return weights[name].detach().float().contiguous()
