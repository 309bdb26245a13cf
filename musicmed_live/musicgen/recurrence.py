"""The codec's LSTM in the kernel: reading its weights is what takes the time, and half of the bytes take half of it."""

import ctypes

import torch

from musicmed_live.errors import GeneratorFailed
from musicmed_live.musicgen.binding import SETS, Recurrent, instruction_sets, library


class Recurrence:
    """What an LSTM layer makes of its last output: (4 * width, width), in the order i, f, o, g; 16 bits, one core.

    Raises `GeneratorFailed` where there is no kernel, or for a width that is no multiple of 16.
    """

    def __init__(self, weights: torch.Tensor) -> None:
        kernel = library()
        if kernel is None or weights.shape[1] % 16:
            raise GeneratorFailed(f"the CPU kernel has no recurrent layer of width {weights.shape[1]}")
        self._library, self._set = kernel, SETS.index(instruction_sets()[0])
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
        layer = Recurrent(width, frames, *(tensor.data_ptr() for tensor in tensors))
        self._library.recurrent_unroll(self._set, ctypes.byref(layer))
        return outs, out, cell
