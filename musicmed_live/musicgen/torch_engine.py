"""The engine in torch: for a GPU, where a step is one CUDA graph, and for a CPU without a compiled kernel.

A step runs over a range of slots at once, each at its own length. On a CPU that range reaches from the first to the
last slot asked for. On a GPU it is a pair of slots, which is what a voice has, or else all of them: a graph has one
shape, and there is one for each such range and each span of the cache that may be looked at. A slot in the range that
was not asked for is run for nothing: its new keys and values go to a spare place behind the window, and its length
stays.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import product
from typing import Literal

import torch

from musicmed_live.musicgen.adapters import Adapter
from musicmed_live.musicgen.decoder import WINDOW_STEPS, DecoderConfig
from musicmed_live.musicgen.device import running
from musicmed_live.musicgen.engine import Conditioning, Sampling, Slotted
from musicmed_live.musicgen.projection import Blend, Loader
from musicmed_live.musicgen.sampling import guide, sample, streams_of
from musicmed_live.musicgen.stack import Memory, Stack

_PLACES = 1536  # of the cache: the window, and at least one to spare
# How finely it is decided how many of them are looked at. A CPU looks at all: oneDNN copies a part before it reads it.
_SPAN = {"cuda": 128, "cpu": _PLACES}
_PREFILL = 256  # steps that are run in one go, which bounds the memory that they need


class TorchEngine(Slotted):
    """An `Engine` in torch. `dtype` is that of the matrices: float32, bfloat16, or int8 (on a CPU, in bfloat16).

    Raises `GeneratorFailed` where the device has too little memory, `DeviceFailed` where it fails, from whichever
    method meets it; the slots' lengths are then as they were.
    """

    def __init__(
        self,
        config: DecoderConfig,
        weights: Mapping[str, torch.Tensor],
        adapters: Sequence[Adapter] = (),
        slots: int = 2,
        sampling: Sampling | None = None,
        device: Literal["cpu", "cuda"] = "cpu",
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(config, slots, len(adapters))
        self._sampling = sampling or Sampling()
        self._device = device
        self._span = _SPAN[device]
        activations = torch.bfloat16 if dtype is torch.int8 else dtype
        if device == "cuda":
            torch.backends.cuda.enable_cudnn_sdp(False)  # for the process: it plans anew for each shape of a past
        with running():
            self._memory = Memory(config, slots, _PLACES, activations, device)  # first: if it fails, it fails at once
            self._blend = Blend(slots, len(adapters), activations, device)
            self._stack = Stack(config, Loader(weights, adapters, self._blend, dtype, device), _PLACES)
            self._turn = _Turn(config, slots, device)
            self._graphs = self._captured() if device == "cuda" else {}

    def condition(self, slots: Sequence[int], conditioning: Conditioning) -> None:
        """See `Engine`. Raises `ValueError` for a prompt that is too long, or not one weight for each adapter."""
        self._check_slots(slots)
        self._check_conditioning(conditioning)
        with running():
            for slot in slots:
                self._blend.follow(slot, conditioning.adapters or (0.0,) * self._adapters)
            self._blend.over(slice(slots[0], slots[0] + 1))
            texts = self._stack.texts(conditioning.hidden[None], conditioning.log_weight[None])
            for slot in slots:
                self._memory.read(slot, texts)

    def copy(self, source: int, target: int) -> None:
        """Make the slot `target` what `source` is: its past, and what it follows."""
        with running():
            self._memory.copy(source, target, self._lengths[source])
            self._blend.copy(source, target)
        self._lengths[target] = self._lengths[source]

    def lending(self) -> AbstractContextManager[None]:
        """See `Engine`. It has one thread."""
        return nullcontext()

    def advance(
        self, slots: Sequence[int], first: torch.Tensor, known: torch.Tensor, keys: torch.Tensor
    ) -> torch.Tensor:
        """See `Engine`."""
        steps = known.shape[1]
        lengths = [self._lengths[slot] for slot in slots]
        self._check_slots(slots)
        self._check_room(slots, steps)
        given = int((known >= 0).all(-1).all(0).cumprod(0).sum())
        inputs = torch.cat([first[:, None], known], dim=1)
        with running():
            for slot, columns in zip(slots, inputs, strict=True):
                self._prefill(slot, columns[:given])
            self._turn.begin(slots, [length + given for length in lengths], inputs[:, given], known, keys, given)
            for step in range(given, steps):
                self._run(range(min(slots), max(slots) + 1), max(lengths) + step + 1)
            made = self._turn.made[list(slots), :steps].cpu()
        made[:, :given] = known[:, :given]
        self._grow(slots, steps)
        return made

    def _prefill(self, slot: int, columns: torch.Tensor) -> None:
        """Run known columns (T, codebooks) without asking what comes out."""
        part = slice(slot, slot + 1)
        self._blend.over(part)
        columns = columns.to(self._device)[None]
        places = self._lengths[slot] + torch.arange(columns.shape[1], device=self._device)[None]
        for begin in range(0, columns.shape[1], _PREFILL):
            some = slice(begin, begin + _PREFILL)
            span = self._places_for(self._lengths[slot] + min(begin + _PREFILL, columns.shape[1]))
            pasts, texts = self._memory.pasts(part, places[:, some], span), self._memory.texts(part)
            self._stack.run(columns[:, some], places[:, some], pasts, texts)

    def _run(self, slots: range, length: int) -> None:
        """One step; `length` is the greatest that a slot has after it."""
        span = self._places_for(length)
        if self._graphs:
            self._graphs[self._recorded(slots), span].replay()
        else:
            self._step(slots, span)

    def _recorded(self, slots: range) -> range:
        """The pair that they are in, or else all slots."""
        first = slots.start // 2 * 2
        return range(first, first + 2) if slots.stop <= first + 2 <= self.slots else range(self.slots)

    def _step(self, slots: range, span: int) -> None:
        """One step of these slots. Works on tensors that stay in place, and waits for nothing."""
        turn, part = self._turn, slice(slots.start, slots.stop)
        self._blend.over(part)
        places = torch.where(turn.active[part], turn.places[part], _PLACES - 1)[:, None]
        pasts, texts = self._memory.pasts(part, places, span), self._memory.texts(part)
        logits = self._stack.logits(self._stack.run(turn.column[part][:, None], places, pasts, texts))[:, :, 0]
        conditional, unconditional = logits.unbind(1)
        guided = guide(conditional, unconditional, self._sampling.guidance)
        turn.end(part, sample(guided, turn.drawing(part), self._sampling))

    def _places_for(self, length: int) -> int:
        """Places to look at for that many steps."""
        return -(-length // self._span) * self._span

    def _captured(self) -> dict[tuple[range, int], torch.cuda.CUDAGraph]:
        """The step of all slots and of each pair as a graph, for each span.

        Nobody's turn it is yet, so that nothing is changed.
        """
        graphs = {}
        # A stream of its own: what torch keeps for a stream on which graphs were recorded goes when one of them does.
        pool, stream = torch.cuda.graph_pool_handle(), torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's
        pairs = [self._recorded(range(slot, slot + 1)) for slot in range(self.slots)]
        ranges, spans = dict.fromkeys([range(self.slots), *pairs]), range(_PLACES, 0, -self._span)
        for slots, span in product(ranges, spans):  # the greatest first: the others fit into its memory
            self._step(slots, span)  # what torch sets up on a first use is not to be recorded
            graph = graphs[slots, span] = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=stream):
                self._step(slots, span)
        return graphs


class _Turn:
    """What goes into the steps of one `advance` and what comes out, in tensors that stay in place."""

    def __init__(self, config: DecoderConfig, slots: int, device: str) -> None:
        many = (slots, WINDOW_STEPS)
        self.known = torch.zeros(*many, config.codebooks, dtype=torch.int64, device=device)
        self.streams = torch.zeros_like(self.known)
        self.made = torch.zeros_like(self.known)
        self.column = torch.zeros(slots, config.codebooks, dtype=torch.int64, device=device)
        self.places = torch.zeros(slots, dtype=torch.int64, device=device)
        self.active = torch.zeros(slots, dtype=torch.bool, device=device)
        self.step = torch.zeros(1, dtype=torch.int64, device=device)

    def begin(
        self,
        slots: Sequence[int],
        places: Sequence[int],
        column: torch.Tensor,
        known: torch.Tensor,
        keys: torch.Tensor,
        step: int,
    ) -> None:
        """Make it the turn of `slots`, which are about to run `column` as the given step."""
        rows, steps = list(slots), known.shape[1]
        device = self.step.device
        self.active.zero_()
        self.active[rows] = True
        self.places[rows] = torch.tensor(places, device=device)
        self.column[rows] = column.to(device)
        self.known[rows, :steps] = known.to(device)
        self.streams[rows, :steps] = streams_of(keys, known.shape[-1]).to(device)
        self.step.fill_(step)

    def drawing(self, part: slice) -> torch.Tensor:
        """The streams (n, codebooks) that this step's tokens are drawn with."""
        return self.streams[part].index_select(1, self.step)[:, 0]

    def end(self, part: slice, drawn: torch.Tensor) -> None:
        """Take the tokens that were drawn (n, codebooks), but for those that were known, and go on to the next step."""
        known = self.known[part].index_select(1, self.step)[:, 0]
        column = torch.where(known >= 0, known, drawn)
        self.column[part] = column
        self.made[part].index_copy_(1, self.step, column[:, None])
        self.places += 1
        self.step += 1
