"""The learning rate over a training."""

import math

FLOOR = 0.1  # of the full rate, where the cosine ends: with none, the last steps would be for nothing


def rate(step: int, steps: int, warmup_steps: int) -> float:
    """The share of the full learning rate at `step`, counted from 0, of `steps`.

    A straight line up to 1 over the warm-up, then half a cosine down to `FLOOR` (Loshchilov & Hutter 2017,
    arXiv 1608.03983, eq. 5).
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, steps - warmup_steps)
    return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
