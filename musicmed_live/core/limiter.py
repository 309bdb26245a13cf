"""A look-ahead true-peak limiter, which keeps below a gain that is given, too.

Its gain is a line from node to node, one node every millisecond.
"""

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.generator import SAMPLE_RATE, Samples
from musicmed_live.core.loudness import OVERSHOOT, linear, oversampled_peaks

SPAN = SAMPLE_RATE // 1000  # frames from node to node
LOOKAHEAD = 5 * SPAN  # how far ahead a peak is seen
CEILING = linear(-1.6)  # -1 dBTP, less what fourfold oversampling may miss (BS.1770-5, annex 2) and rounding to 16 bit
RELEASE_SPANS = 80  # time constant of the gain's way back

Nodes = NDArray[np.float64]


def limit_nodes(samples: Samples, gain: float | None, held: Nodes | None, most: Nodes | None = None) -> Nodes | None:
    """The gain at each node of `samples`, whose last `LOOKAHEAD` frames are only looked at. None: 1 throughout.

    `gain` is the first node; None where nothing was heard before, so that it is free, too. `held` are nodes, the
    first one included, that were heard already and are kept: only what follows is free. `most` is the highest gain
    in each span from node to node, the look-ahead's included; None: 1.
    """
    quiet = float(np.abs(samples).max(initial=0.0)) * OVERSHOOT <= CEILING
    if gain in (None, 1.0) and held is None and most is None and quiet:
        return None
    spans = len(samples) // SPAN
    peaks = np.zeros(spans) if quiet else oversampled_peaks(samples, SPAN)
    allowed = np.minimum(1.0 if most is None else most, CEILING / np.maximum(peaks, CEILING)).tolist()
    first = allowed[0] if gain is None else gain
    nodes = _descend(allowed, [first] if held is None else held.tolist(), spans - LOOKAHEAD // SPAN)
    if nodes[-1] > 0.9999:
        nodes[-1] = 1.0
    return None if held is None and nodes.min() == 1.0 else nodes


def _descend(allowed: list[float], nodes: list[float], count: int) -> Nodes:
    """`nodes`, and those after them up to the one after `count` spans: down in time for what is allowed, up slowly."""
    for k in range(len(nodes) - 1, count):
        here = nodes[k]
        target = here + (1.0 - here) / RELEASE_SPANS
        for distance in range(1, LOOKAHEAD // SPAN + 1):
            target = min(target, here + (allowed[k + distance] - here) / distance)
        nodes.append(min(target, allowed[k]))
    return np.array(nodes)


def apply_nodes(samples: Samples, nodes: Nodes | None) -> Samples:
    """`samples` under the gain of `limit_nodes`; what a held node let through is clipped."""
    if nodes is None:
        return samples
    gain = np.interp(np.arange(len(samples)), np.arange(len(nodes)) * SPAN, nodes).astype(np.float32)
    limited: Samples = np.clip(samples * gain[:, None], -CEILING, CEILING)
    return limited
