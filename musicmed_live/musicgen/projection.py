"""The decoder's matrices as an engine runs them: those of one input stacked, in any precision, adapters unmerged."""

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional

from musicmed_live.musicgen.adapters import Adapter


class Blend:
    """How much of each adapter is heard in each slot."""

    def __init__(self, slots: int, adapters: int, dtype: torch.dtype, device: str) -> None:
        self._weights = torch.zeros(slots, adapters, dtype=dtype, device=device)
        self.part = slice(0, slots)  # the slots that are run just now
        self._by_rank: dict[tuple[int, ...], torch.Tensor] = {}

    def by_rank(self, owners: tuple[int, ...]) -> torch.Tensor:
        """The weights (slots, 1, 1, ranks) of ranks that belong to these adapters; stays in place, and true."""
        if owners not in self._by_rank:
            self._by_rank[owners] = self._weights[:, None, None, list(owners)]
        return self._by_rank[owners]

    def follow(self, slot: int, weights: Sequence[float]) -> None:
        """Let a slot hear each adapter by its weight."""
        self._weights[slot] = torch.tensor(weights).to(self._weights)
        self._spread(slot)

    def copy(self, source: int, target: int) -> None:
        """Let the slot `target` hear what `source` does."""
        self._weights[target] = self._weights[source]
        self._spread(target)

    def over(self, slots: slice) -> None:
        """Turn to some of the slots: what is run from now on has a thread for each of them."""
        self.part = slots

    def _spread(self, slot: int) -> None:
        for owners, weights in self._by_rank.items():
            weights[slot] = self._weights[slot, list(owners)]


class LowRank:
    """What adapters add to one matrix, or to several that are stacked."""

    def __init__(self, down: torch.Tensor, up: torch.Tensor, owners: tuple[int, ...], blend: Blend) -> None:
        self.down = down  # (rank, in): all adapters' below each other
        self.up = up  # (out, rank)
        self.weights = blend.by_rank(owners)  # (slots, 1, 1, rank): of the adapter that each rank belongs to
        self.blend = blend

    def onto(self, total: torch.Tensor, x: torch.Tensor) -> None:
        """Add it in place to (n, rows, T, out), for x (n, rows, T, in): each adapter by its weight."""
        self._lift_onto(total, x @ self.down.T)

    def of_tokens_onto(self, total: torch.Tensor, tokens: torch.Tensor) -> None:
        """The same for an embedding, tokens (n, T) for rows of one 1 each, onto (n, 1, T, out)."""
        self._lift_onto(total, self.down.T[tokens][:, None])

    def _lift_onto(self, total: torch.Tensor, low: torch.Tensor) -> None:
        _add_product(total, low * self.weights[self.blend.part], self.up)


def _add_product(total: torch.Tensor, x: torch.Tensor, weight: torch.Tensor) -> None:
    """Add `x @ weight.T` to `total` in place: (n, rows, T, in), (n, rows, T, out)."""
    total.view(-1, total.shape[-1]).addmm_(x.reshape(-1, x.shape[-1]), weight.T)


class Projection(nn.Module):
    """`W x + b`, and what the adapters add."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None, low_rank: LowRank | None) -> None:
        super().__init__()
        self.weight = weight  # (out, in)
        self.bias = bias  # (out,)
        self.low_rank = low_rank

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, rows, T, in) to (n, rows, T, out)."""
        y = self.plain(x)
        if self.low_rank is not None:
            self.low_rank.onto(y, x)
        return y

    def onto(self, total: torch.Tensor, x: torch.Tensor) -> None:
        """Add it to `total` (n, rows, T, out) in place, in one product; there is no bias."""
        _add_product(total, x, self.weight)
        if self.low_rank is not None:
            self.low_rank.onto(total, x)

    def plain(self, x: torch.Tensor) -> torch.Tensor:
        """Without the adapters."""
        return functional.linear(x, self.weight, self.bias)


class Int8Projection(Projection):
    """The same with weights rounded to 8 bits, a scale for each row, and no bias. For bfloat16, on a CPU."""

    def __init__(self, weight: torch.Tensor, low_rank: LowRank | None) -> None:
        weight = weight.float()
        scale = (weight.abs().amax(1) / 127).clamp_min(1e-30).bfloat16()
        rounded = (weight / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
        super().__init__(rounded, None, low_rank)
        self.scale = scale  # (out,)

    def plain(self, x: torch.Tensor) -> torch.Tensor:
        y = torch._weight_int8pack_mm(x.reshape(-1, x.shape[-1]), self.weight, self.scale)
        return y.view(*x.shape[:-1], -1)

    def onto(self, total: torch.Tensor, x: torch.Tensor) -> None:
        total += self(x)


class Embedding(nn.Module):
    """The sum of the codebooks' embeddings, and what the adapters add to them."""

    def __init__(self, tables: Sequence[torch.Tensor], low_ranks: Sequence[LowRank | None]) -> None:
        super().__init__()
        self.table = torch.cat(list(tables))  # (codebooks * (vocab + 1), width)
        self.first = torch.arange(0, len(self.table), len(tables[0]), device=self.table.device)  # each codebook's row
        self.low_ranks = low_ranks

    def forward(self, columns: torch.Tensor) -> torch.Tensor:
        """Tokens (n, T, codebooks) to (n, 1, T, width)."""
        x = functional.embedding(columns + self.first, self.table).sum(-2)[:, None]
        for k, low_rank in enumerate(self.low_ranks):
            if low_rank is not None:
                low_rank.of_tokens_onto(x, columns[..., k])
        return x


class Loader:
    """Reads the matrices of a checkpoint, one at a time, in an engine's precision and with its adapters."""

    def __init__(
        self,
        weights: Mapping[str, torch.Tensor],
        adapters: Sequence[Adapter],
        blend: Blend,
        dtype: torch.dtype,  # of the matrices
        device: str,
    ) -> None:
        self.weights = weights
        self.adapters = adapters
        self.blend = blend
        self.dtype = dtype
        self.activations = torch.bfloat16 if dtype is torch.int8 else dtype
        self.device = device

    def projection(self, *names: str) -> Projection:
        """The matrices of `names`, which share their input, below each other."""
        weight = torch.cat([self.weights[f"{name}.weight"] for name in names])
        if self.dtype is torch.int8:
            return Int8Projection(weight, self._low_rank(names))
        return Projection(self._converted(weight), None, self._low_rank(names))

    def projection_with_bias(self, name: str) -> Projection:
        """The one matrix that has a bias, in the precision of the activations."""
        weight, bias = (self._converted(self.weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        return Projection(weight, bias, self._low_rank((name,)))

    def norm(self, name: str) -> nn.LayerNorm:
        weight, bias = (self._converted(self.weights[f"{name}.{part}"]) for part in ("weight", "bias"))
        norm = nn.LayerNorm(len(weight), device="meta")
        norm.weight, norm.bias = nn.Parameter(weight, requires_grad=False), nn.Parameter(bias, requires_grad=False)
        return norm

    def embedding(self, *names: str) -> Embedding:
        """An embedding for each codebook."""
        tables = [self._converted(self.weights[f"{name}.weight"]) for name in names]
        return Embedding(tables, [self._low_rank((name,)) for name in names])

    def _converted(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.to(self.device, self.activations, copy=True)

    def _low_rank(self, names: Sequence[str]) -> LowRank | None:
        """What all adapters add to the matrices of `names`; each one's `up` reaches its own matrix's rows only."""
        downs, ups, owners = [], [], []
        for number, adapter in enumerate(self.adapters):
            for name in names:
                if name in adapter.layers:
                    down, up = adapter.layers[name]
                    downs.append(down)
                    ups.append(torch.cat([up if name == other else self._nothing(other, up) for other in names]))
                    owners += [number] * len(down)
        if not downs:
            return None
        down, up = self._converted(torch.cat(downs)), self._converted(torch.cat(ups, 1))
        return LowRank(down, up, tuple(owners), self.blend)

    def _nothing(self, name: str, up: torch.Tensor) -> torch.Tensor:
        return up.new_zeros(len(self.weights[f"{name}.weight"]), up.shape[1])
