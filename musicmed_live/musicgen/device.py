"""Work on a device, and what becomes of its failures."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from musicmed_live.errors import DeviceFailed, GeneratorFailed


@contextmanager
def running() -> Iterator[None]:
    """Torch without gradients. Raises `GeneratorFailed` where memory does not suffice, `DeviceFailed` for the rest."""
    try:
        with torch.no_grad():
            yield
    except torch.OutOfMemoryError as error:
        raise GeneratorFailed("the GPU has too little free memory; free some of it, or take a smaller model") from error
    except torch.AcceleratorError as error:
        reason = str(error).partition("\n")[0]
        raise DeviceFailed(f"the GPU failed ({reason}); start again, or use --device cpu") from error
