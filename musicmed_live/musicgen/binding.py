"""The kernel as Python sees it: its structures, its functions, and whether it is there."""

import ctypes
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import torch

SETS: Final = ("avx512", "avx2", "neon", "plain")  # in the kernel's order, the fastest first


class Shape(ctypes.Structure):
    """`Shape` in `kernel/engine.h`."""

    _fields_ = tuple(
        (name, ctypes.c_int32)
        for name in ("layers", "width", "heads", "ffn", "text_width", "codebooks", "vocab", "slots", "window")
    )


class Columns(ctypes.Structure):
    """`Columns` in `kernel/engine.c`."""

    _fields_ = (
        ("count", ctypes.c_int),
        ("columns", ctypes.c_int),
        ("slots", ctypes.c_void_p),
        ("positions", ctypes.c_void_p),
        ("tokens", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
    )


class Draws(ctypes.Structure):
    """`Draws` in `kernel/engine.c`."""

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


class Recurrent(ctypes.Structure):
    """`Recurrent` in `kernel/engine.h`."""

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
    def from_param(cls, tensor: "torch.Tensor") -> ctypes.c_void_p:
        if not tensor.is_contiguous():
            raise ValueError(f"numbers must lie one after the other; strides {tensor.stride()}")
        return ctypes.c_void_p(tensor.data_ptr())


_ENGINE, _INT = ctypes.c_void_p, ctypes.c_int
_FUNCTIONS: Final = {
    "engine_supports": (_INT, [_INT]),
    "engine_open": (_ENGINE, [ctypes.POINTER(Shape), _INT, _INT, _INT, _INT]),
    "engine_close": (None, [_ENGINE]),
    "engine_matrix": (None, [_ENGINE, _INT, _Numbers]),
    "engine_norm": (None, [_ENGINE, _INT, _Numbers, _Numbers]),
    "engine_embedding": (None, [_ENGINE, _INT, _Numbers]),
    "engine_vectors": (None, [_ENGINE, _Numbers, _Numbers]),
    "engine_low_rank": (ctypes.c_bool, [_ENGINE, _INT, _INT, _Numbers, _Numbers, _Numbers]),
    "engine_condition": (None, [_ENGINE, _INT, _Numbers, _INT, _Numbers, _Numbers, _Numbers]),
    "engine_run": (None, [_ENGINE, ctypes.POINTER(Columns)]),
    "engine_draw": (None, [_ENGINE, ctypes.POINTER(Draws)]),
    "engine_copy": (None, [_ENGINE, _INT, _INT, _INT]),
    "engine_lend": (None, [_ENGINE, _INT]),
    "recurrent_unroll": (None, [_INT, ctypes.POINTER(Recurrent)]),
}


@cache
def library() -> ctypes.CDLL | None:
    """The kernel with its functions declared; None where it was not built."""
    found = find_spec("musicmed_live.musicgen._kernel")
    if found is None or found.origin is None:
        return None
    kernel = ctypes.CDLL(found.origin)
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(kernel, name)
        function.restype, function.argtypes = result, arguments
    return kernel


def available() -> bool:
    """Whether the kernel was built with the package."""
    return library() is not None


def instruction_sets() -> tuple[str, ...]:
    """Those that this CPU and the kernel share, the fastest first; empty without a kernel."""
    kernel = library()
    if kernel is None:
        return ()
    return tuple(name for number, name in enumerate(SETS) if kernel.engine_supports(number))
