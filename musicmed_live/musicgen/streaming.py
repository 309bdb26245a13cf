"""EnCodec's decoder (Defossez et al. 2022, arXiv 2210.13438) in streaming form: rows in, rows out.

Sound goes through the layers as rows, shape (time, channels). EnCodec's convolutions are centred: what they pad is
look-ahead here, so a layer gives its rows a little later than it gets them. At the two ends it pads as transformers
does. A layer itself never changes; what it remembers is a `State`, a few rows, that it takes and gives.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.models.encodec.modeling_encodec import (
    EncodecConv1d,
    EncodecConvTranspose1d,
    EncodecDecoder,
    EncodecLSTM,
    EncodecResnetBlock,
)

from musicmed_live.musicgen import binding
from musicmed_live.musicgen.recurrence import Recurrence

State = tuple[Tensor, ...]  # what one layer remembers

# Numbers that a layer takes at a time on a CPU. What it makes of so few stays in the cache, and is freed again in small
# parts: the C library can use them again though what is kept for going back lies between them.
_PIECE = 65_536


class Layer(Protocol):
    """A layer of the decoder that takes its input piece by piece."""

    rate: int  # rows given for each row taken
    lag: int  # rows, of those given, by which the output is behind the input

    def begin(self) -> State:
        """What the layer remembers before the first row."""
        ...

    def step(self, rows: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """The rows that can be known after `rows` (n, channels), n >= 0, and what is to be remembered.

        `last` says that nothing follows: all that is due comes out. `rows` may be overwritten, `state` never is.
        """
        ...


class _Affine:
    """`rows @ weight.T + bias`.

    On a CPU the weight is laid out for oneDNN once: with few rows that is 2 to 4 times as fast as BLAS.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        self.width, self._bias = len(weight), bias
        self._packed = weight.device.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]  # torch's
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous()) if self._packed else weight

    def __call__(self, rows: Tensor) -> Tensor:
        if not len(rows):
            return rows.new_empty(0, self.width)
        if self._packed:
            packed = torch.ops.mkldnn._linear_pointwise(rows, self._weight, self._bias, "none", [], "")
            return cast(Tensor, packed)
        return F.linear(rows, self._weight, self._bias)


class _Elu:
    """The exponential linear unit."""

    rate, lag = 1, 0

    def begin(self) -> State:
        """See `Layer`."""
        return ()

    def step(self, rows: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """See `Layer`."""
        return F.elu_(rows), state


class _Convolution:
    """A centred convolution of odd kernel; it remembers the rows that its kernel still reaches.

    Until more rows came than it reaches to one side it can give none, and remembers them all: the reflection that goes
    before the first row needs them. So the number of remembered rows tells whether it has begun.
    """

    rate = 1

    def __init__(self, layer: EncodecConv1d) -> None:
        weight, bias = _folded(layer.conv)  # (out, in, kernel)
        self._width, _, self._kernel = weight.shape
        self._dilation = layer.conv.dilation[0]
        self.lag = (self._kernel - 1) * self._dilation // 2
        taps = weight.permute(2, 0, 1).flatten(0, 1)  # (kernel * out, in)
        self._affine = _Affine(taps, F.pad(bias, (0, len(taps) - len(bias))))
        self._nothing = weight.new_empty(0, weight.shape[1])

    def begin(self) -> State:
        """See `Layer`."""
        return (self._nothing,)

    def step(self, rows: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """See `Layer`."""
        (held,) = state
        begun = len(held) > self.lag
        rows = torch.cat((held, rows))
        if not begun and len(rows) > self.lag:
            rows, begun = torch.cat((rows[1 : self.lag + 1].flip(0), rows)), True
        if last:
            rows = torch.cat((rows, rows[-self.lag - 1 : -1].flip(0))) if begun else self._padded_alone(rows)
        elif not begun:
            return rows.new_empty(0, self._width), (rows,)
        return self._convolved(rows), (rows[len(rows) - 2 * self.lag :].clone(),)

    def _convolved(self, rows: Tensor) -> Tensor:
        """One product for all taps, shifted and added: that spares a copy of the rows for each tap."""
        count = len(rows) - 2 * self.lag
        products = self._affine(rows).view(len(rows), self._kernel, self._width)
        total = products[:count, 0]
        for tap in range(1, self._kernel):
            total = total + products[tap * self._dilation :][:count, tap]
        return total

    def _padded_alone(self, rows: Tensor) -> Tensor:
        """Pad a whole signal that is too short to be reflected: as transformers does, by lengthening it with zeros."""
        if not len(rows):
            return rows.new_zeros(2 * self.lag, rows.shape[1])
        missing = self.lag + 1 - len(rows)
        longer = F.pad(rows.T, (0, missing))
        return F.pad(longer, (self.lag, self.lag), mode="reflect")[:, :-missing].T.contiguous()


class _Upsampling:
    """A transposed convolution whose kernel is two strides long: a stride of output sees a row and the one before.

    Its first `stride - stride // 2` and last `stride // 2` rows are cut off, as transformers does.
    """

    def __init__(self, layer: EncodecConvTranspose1d) -> None:
        weight, bias = _folded(layer.conv)  # (in, out, 2 * stride)
        self.rate = layer.conv.stride[0]
        self.lag = self.rate - self.rate // 2
        now, before = (half.permute(2, 1, 0).flatten(0, 1) for half in weight.chunk(2, dim=2))
        self._channels = weight.shape[1]
        self._affine = _Affine(torch.cat((before, now), dim=1), bias.repeat(self.rate))
        self._zero = weight.new_zeros(1, weight.shape[0])

    def begin(self) -> State:
        """See `Layer`."""
        return (self._zero[:0],)

    def step(self, rows: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """See `Layer`."""
        (held,) = state
        if not len(held) and not len(rows):
            return rows.new_empty(0, self._channels), state
        skipped = 0 if len(held) else self.lag
        seen = (held if len(held) else self._zero, rows, *((self._zero,) if last else ()))
        rows = torch.cat(seen)
        pairs = torch.cat((rows[:-1], rows[1:]), dim=1)
        out = self._affine(pairs).view(-1, self._channels)
        end = len(out) - self.rate // 2 if last else len(out)
        return out[skipped:end], (rows[-1:].clone(),)


class _Residual:
    """Convolutions, each after an ELU, whose input is added to their output at the same place."""

    rate = 1

    def __init__(self, block: EncodecResnetBlock) -> None:
        self._convolutions = tuple(_Convolution(layer) for layer in block.block if isinstance(layer, EncodecConv1d))
        self._shortcut = None if isinstance(block.shortcut, nn.Identity) else _Convolution(block.shortcut)
        self.lag = sum(convolution.lag for convolution in self._convolutions)

    def begin(self) -> State:
        """See `Layer`."""
        held = tuple(tensor for convolution in self._convolutions for tensor in convolution.begin())
        return (held[0], *held)

    def step(self, rows: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """See `Layer`."""
        direct = torch.cat((state[0], rows))
        held: list[Tensor] = []
        for convolution, before in zip(self._convolutions, state[1:], strict=True):
            rows, after = convolution.step(F.elu_(rows), (before,), last)
            held += after
        direct, delayed = direct[: len(rows)], direct[len(rows) :].clone()
        if self._shortcut is not None:
            direct, _ = self._shortcut.step(direct, self._shortcut.begin(), False)
        return rows.add_(direct), (delayed, *held)


class _Recurrent:
    """The LSTM (Hochreiter and Schmidhuber 1997) with its input added to its output.

    Each of its layers takes all rows before the next one does: the input's share of the gates is one product for all
    of them, and the recurrent weights stay in the cache. Gates are kept in the order i, f, o, g.
    """

    rate, lag = 1, 0

    def __init__(self, layer: EncodecLSTM) -> None:
        tensors = {name: _sigmoids_first(tensor.detach().float()) for name, tensor in layer.lstm.named_parameters()}
        self._gates = [
            (
                _Affine(tensors[f"weight_ih_l{index}"], tensors[f"bias_ih_l{index}"] + tensors[f"bias_hh_l{index}"]),
                _recurrence(tensors[f"weight_hh_l{index}"]),
            )
            for index in range(layer.lstm.num_layers)
        ]
        self._zero = tensors["bias_hh_l0"].new_zeros(1, layer.lstm.hidden_size)

    def begin(self) -> State:
        """See `Layer`."""
        return (self._zero,) * (2 * len(self._gates))

    def step(self, rows: Tensor, state: State, last: bool) -> tuple[Tensor, State]:
        """See `Layer`."""
        if not len(rows):
            return rows, state
        out, after = rows, []
        for index, (ahead, unroll) in enumerate(self._gates):
            out, *new = unroll(ahead(out), state[2 * index], state[2 * index + 1])
            after += new
        return out.add_(rows), tuple(after)


def _recurrence(weights: Tensor) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """One layer over its input's share of the gates, by the kernel where that can."""
    if binding.available() and weights.device.type == "cpu" and weights.shape[1] % 16 == 0:
        return Recurrence(weights)
    return partial(_unroll, _Affine(weights, None))


def _unroll(back: _Affine, gates: Tensor, out: Tensor, cell: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """As `Recurrence`, on any device."""
    width = cell.shape[1]
    outs = []
    for gate in gates.unbind():
        total = back(out).add_(gate)
        admit, keep, show = total[:, : 3 * width].sigmoid_().chunk(3, dim=1)
        cell = (keep * cell).addcmul_(admit, total[:, 3 * width :].tanh_())
        out = show * cell.tanh()
        outs.append(out)
    return torch.cat(outs), out, cell


def layers_of(decoder: EncodecDecoder) -> tuple[Layer, ...]:
    """The decoder's layers in streaming form, in float32 where its weights lie; they share nothing with the module."""
    return tuple(_streaming(layer) for layer in decoder.layers)


def run(layers: Sequence[Layer], rows: Tensor, states: Sequence[State], last: bool) -> tuple[Tensor, tuple[State, ...]]:
    """Take rows through all layers, one after the other; `states` has one state for each.

    On a CPU a layer takes a piece of them at a time, which goes through all that follow before the next one does.
    """
    if not layers:
        return rows, ()
    state, behind, outs = states[0], tuple(states[1:]), []
    pieces = torch.split(rows, max(1, _PIECE // rows.shape[1])) if rows.device.type == "cpu" else (rows,)
    for number, piece in enumerate(pieces, 1):
        ends = last and number == len(pieces)
        out, state = layers[0].step(piece, state, ends)
        out, behind = run(layers[1:], out, behind, ends)
        outs.append(out)
    return outs[0] if len(outs) == 1 else torch.cat(outs), (state, *behind)


def lag_of(layers: Sequence[Layer]) -> int:
    """Rows of the last layer's output by which it is behind what the first layer has taken."""
    lag = 0
    for layer in layers:
        lag = lag * layer.rate + layer.lag
    return lag


def _streaming(layer: nn.Module) -> Layer:
    """The streaming form of one of transformers' modules."""
    match layer:
        case EncodecConv1d():
            return _Convolution(layer)
        case EncodecConvTranspose1d():
            return _Upsampling(layer)
        case EncodecResnetBlock():
            return _Residual(layer)
        case EncodecLSTM():
            return _Recurrent(layer)
        case nn.ELU():
            return _Elu()
    raise TypeError(f"EnCodec's decoder has no layer such as {type(layer).__name__}.")


def _folded(conv: nn.Conv1d | nn.ConvTranspose1d) -> tuple[Tensor, Tensor]:
    """Weight, its norm folded in, and bias, in float32."""
    assert conv.bias is not None
    return conv.weight.detach().float(), conv.bias.detach().float()


def _sigmoids_first(gates: Tensor) -> Tensor:
    """torch's order of an LSTM's gates, i f g o, to i f o g."""
    admit, keep, write, show = gates.chunk(4)
    return torch.cat((admit, keep, show, write))
