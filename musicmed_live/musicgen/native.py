"""The CPU engine: 8-bit weights and caches, 16-bit activations, in C (`kernel/engine.h` tells how).

The kernel is built with the package where there is a C compiler; `available` says whether it is there. A result depends
neither on the number of threads nor on the instruction set, bit for bit.
"""

import ctypes
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import Final

import torch

from musicmed_live.errors import GeneratorFailed
from musicmed_live.musicgen.adapters import Adapter
from musicmed_live.musicgen.decoder import PROMPT_TOKENS, WINDOW_STEPS, DecoderConfig, sinusoids
from musicmed_live.musicgen.engine import Conditioning, Sampling

_TILE = 64  # outputs and columns come in multiples of it
_MOST_SLOTS = 16
_MOST_THREADS = 64
_MOST_BOOKS = 8
_SETS: Final = ("avx512", "avx2", "neon", "plain")  # in the kernel's order, the fastest first
_LAYER_MATRICES: Final = (
    *("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj"),
    *("encoder_attn.q_proj", "encoder_attn.k_proj", "encoder_attn.v_proj", "encoder_attn.out_proj"),
    *("fc1", "fc2"),
)
_LAYER_NORMS: Final = ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm")
_STACK = "decoder.model.decoder"

_Weights = Mapping[str, torch.Tensor]


class _Shape(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_int32)
        for name in ("layers", "width", "heads", "ffn", "text_width", "codebooks", "vocab", "slots", "window")
    )


class _Columns(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int),
        ("columns", ctypes.c_int),
        ("slots", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("tokens", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
    )


class _Draws(ctypes.Structure):
    _fields_ = (
        ("count", ctypes.c_int),
        ("steps", ctypes.c_int),
        ("slots", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("columns", ctypes.c_void_p),
        ("keys", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
        ("guidance", ctypes.c_float),
        ("top_k", ctypes.c_int32),
        ("temperature", ctypes.c_double),
    )


class _Recurrent(ctypes.Structure):
    _fields_ = (
        ("width", ctypes.c_int),
        ("frames", ctypes.c_int),
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("gates", ctypes.c_void_p),
        ("out", ctypes.c_void_p),
        ("cell", ctypes.c_void_p),
        ("outs", ctypes.c_void_p),
    )


class _Numbers:
    """An argument that is a tensor's numbers; the call keeps the tensor alive."""

    @classmethod
    def from_param(cls, tensor: torch.Tensor) -> ctypes.c_void_p:
        if not tensor.is_contiguous():
            raise ValueError(f"numbers must lie one after the other; strides {tensor.stride()}")
        return ctypes.c_void_p(tensor.data_ptr())


_ENGINE, _INT = ctypes.c_void_p, ctypes.c_int
_FUNCTIONS: Final = {
    "engine_supports": (_INT, [_INT]),
    "engine_open": (_ENGINE, [ctypes.POINTER(_Shape), _INT, _INT, _INT, _INT]),
    "engine_close": (None, [_ENGINE]),
    "engine_matrix": (None, [_ENGINE, _INT, _Numbers]),
    "engine_norm": (None, [_ENGINE, _INT, _Numbers, _Numbers]),
    "engine_embedding": (None, [_ENGINE, _INT, _Numbers]),
    "engine_vectors": (None, [_ENGINE, _Numbers, _Numbers]),
    "engine_low_rank": (ctypes.c_bool, [_ENGINE, _INT, _INT, _Numbers, _Numbers, _Numbers]),
    "engine_condition": (None, [_ENGINE, _INT, _INT, _Numbers, _Numbers, _Numbers]),
    "engine_run": (None, [_ENGINE, ctypes.POINTER(_Columns)]),
    "engine_draw": (None, [_ENGINE, ctypes.POINTER(_Draws)]),
    "engine_copy": (None, [_ENGINE, _INT, _INT, _INT]),
    "engine_lend": (None, [_ENGINE, _INT]),
    "recurrent_unroll": (None, [_INT, ctypes.POINTER(_Recurrent)]),
}


@cache
def _library() -> ctypes.CDLL | None:
    found = find_spec("musicmed_live.musicgen._kernel")
    if found is None or found.origin is None:
        return None
    library = ctypes.CDLL(found.origin)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def available() -> bool:
    """Whether the kernel was built with the package."""
    return _library() is not None


def plays(config: DecoderConfig) -> bool:
    """Whether it is there, and made for such a decoder."""
    return available() and _misfit(config) is None


def instruction_sets() -> tuple[str, ...]:
    """Those that this CPU and the kernel share, the fastest first; empty without a kernel."""
    library = _library()
    if library is None:
        return ()
    return tuple(name for number, name in enumerate(_SETS) if library.engine_supports(number))


class NativeEngine:
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
        library = _library()
        if library is None:
            raise GeneratorFailed("the CPU kernel was not built; install a C compiler, then this package again")
        misfit = _misfit(config)
        if misfit is not None:
            raise GeneratorFailed(misfit)
        if not 1 <= slots <= _MOST_SLOTS:
            raise GeneratorFailed(f"the CPU kernel has 1 to {_MOST_SLOTS} slots, not {slots}")
        self.config, self.slots, self.window = config, slots, WINDOW_STEPS
        self._sampling = sampling or Sampling()
        self._adapters = len(adapters)
        self._lengths = [0] * slots
        self._library = library
        self._engine = ctypes.c_void_p(
            self._opened(adapters, min(threads or usable_cores(), _MOST_THREADS), instructions)
        )
        self._load(weights)
        self._adapt(adapters)

    def __del__(self) -> None:
        engine, self._engine = getattr(self, "_engine", None), ctypes.c_void_p()
        if engine:
            self._library.engine_close(engine)

    def condition(self, slot: int, conditioning: Conditioning) -> None:
        """See `Engine`. Raises `ValueError` for a prompt that is too long, or not one weight for each adapter."""
        self._check_slots([slot])
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
        hidden = torch.zeros(tokens, -(-width // _TILE) * _TILE)
        hidden[:, :width] = conditioning.hidden
        log_weight = conditioning.log_weight.float().contiguous()
        shares = torch.tensor(conditioning.adapters or (0.0,) * self._adapters, dtype=torch.float32)
        self._library.engine_condition(self._engine, slot, tokens, hidden, log_weight, shares)

    def length(self, slot: int) -> int:
        """See `Engine`."""
        return self._lengths[slot]

    def rewind(self, slot: int, steps: int) -> None:
        """See `Engine`."""
        if not 0 <= steps <= self._lengths[slot]:
            raise ValueError(f"slot {slot} holds {self._lengths[slot]} steps and cannot be rewound to {steps}")
        self._lengths[slot] = steps

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
        run = _Columns(*columns.shape[:2], *pointers, None if logits is None else logits.data_ptr())
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
        draws = _Draws(count, steps, *pointers, sampling.guidance, sampling.top_k, sampling.temperature)
        self._library.engine_draw(self._engine, ctypes.byref(draws))
        self._grow(slots, steps)
        return tokens.long()

    def _places(self, slots: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """The slots and their lengths as the kernel reads them."""
        lengths = [self._lengths[slot] for slot in slots]
        return torch.tensor(slots, dtype=torch.int32), torch.tensor(lengths, dtype=torch.int32)

    def _grow(self, slots: Sequence[int], steps: int) -> None:
        for slot in slots:
            self._lengths[slot] += steps

    def _check_slots(self, slots: Sequence[int]) -> None:
        if not slots or len(set(slots)) < len(slots) or not all(0 <= slot < self.slots for slot in slots):
            raise ValueError(f"slots {list(slots)} are not different ones of the {self.slots} that the engine has")

    def _check_room(self, slots: Sequence[int], steps: int) -> None:
        for slot in slots:
            if self._lengths[slot] + steps > self.window:
                raise ValueError(
                    f"slot {slot} holds {self._lengths[slot]} steps; with {steps} more than {self.window} would be held"
                )

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
        shape = _Shape(
            *(config.layers, config.width, config.heads, config.ffn, config.text_width, config.codebooks, config.vocab),
            *(self.slots, self.window),
        )
        ranks: dict[str, int] = {}
        for adapter in adapters:
            for module, (down, _) in adapter.layers.items():
                ranks[module] = ranks.get(module, 0) + len(down)
        number = _SETS.index(instructions or sets[0])
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
            library.engine_embedding(engine, book, _floats(weights, f"{_STACK}.embed_tokens.{book}.weight"))
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


class Recurrence:
    """What an LSTM layer makes of its last output: (4 * width, width), in the order i, f, o, g; 16 bits, one core.

    Raises `GeneratorFailed` where there is no kernel, or for a width that is no multiple of 16.
    """

    def __init__(self, weights: torch.Tensor) -> None:
        library = _library()
        if library is None or weights.shape[1] % 16:
            raise GeneratorFailed(f"the CPU kernel has no recurrent layer of width {weights.shape[1]}")
        self._library, self._set = library, _SETS.index(instruction_sets()[0])
        self._scales = (weights.abs().amax(1) / 32767).clamp_min(1e-30)
        self._weights = (weights / self._scales[:, None]).round().to(torch.int16).contiguous()

    def __call__(
        self, gates: torch.Tensor, out: torch.Tensor, cell: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Run over `gates` (n, 4 * width), the input's share, from the last output and the cell, each (1, width).

        Returns all outputs (n, width), and the last of them and the cell as they are then.
        """
        frames, width = len(gates), out.shape[1]
        gates, out, cell, outs = gates.clone(), out.clone(), cell.clone(), gates.new_empty(frames, width)
        tensors = (self._weights, self._scales, gates, out, cell, outs)
        layer = _Recurrent(width, frames, *(tensor.data_ptr() for tensor in tensors))
        self._library.recurrent_unroll(self._set, ctypes.byref(layer))
        return outs, out, cell


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
