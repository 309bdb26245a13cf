"""Work on a device, and what becomes of its failures."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from musicmed_live.errors import DeviceFailed, GeneratorFailed

_CUBLAS = "CUBLAS_STATUS_"
_OF_DEVICE = (_CUBLAS, "cuDNN error", "CUDA error", "CUDA driver error")  # in the message of a plain RuntimeError
_OUT_OF_MEMORY = ("out of memory", f"{_CUBLAS}ALLOC_FAILED", f"{_CUBLAS}NOT_INITIALIZED")  # cuBLAS's handle takes some


@contextmanager
def running() -> Iterator[None]:
    """Torch without gradients. Raises `GeneratorFailed` where memory does not suffice, `DeviceFailed` for the rest."""
    try:
        with torch.no_grad():
            yield
    except RuntimeError as error:
        text = str(error)
        known = isinstance(error, torch.OutOfMemoryError | torch.AcceleratorError)
        if not known and not any(sign in text for sign in _OF_DEVICE):
            raise
        if isinstance(error, torch.OutOfMemoryError) or any(sign in text for sign in _OUT_OF_MEMORY):
            said = "the GPU has too little free memory; free some of it, or take a smaller model"
            raise GeneratorFailed(said) from error
        reason = text.partition("\n")[0]
        raise DeviceFailed(f"the GPU failed ({reason}); start again, or use --device cpu") from error
