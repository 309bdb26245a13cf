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
    allowed = np.minimum(1.0, CEILING / np.maximum(oversampled_peaks(samples, SPAN), 1e-9))
    if most is not None:
        allowed = np.minimum(allowed, most)
    ahead = LOOKAHEAD // SPAN
    count = len(samples) // SPAN - ahead
    nodes = np.empty(count + 1)
    nodes[0] = allowed[0] if gain is None else gain
    kept = 1
    if held is not None:
        kept = len(held)
        nodes[:kept] = held
    for k in range(kept - 1, count):
        here = nodes[k]
        target = here + (1.0 - here) / RELEASE_SPANS
        for distance in range(1, ahead + 1):
            target = min(target, here + (allowed[k + distance] - here) / distance)
        nodes[k + 1] = min(target, allowed[k])
    if nodes[-1] > 0.9999:
        nodes[-1] = 1.0
    return None if held is None and nodes.min() == 1.0 else nodes


def apply_nodes(samples: Samples, nodes: Nodes | None) -> Samples:
    """`samples` under the gain of `limit_nodes`; what a held node let through is clipped."""
    if nodes is None:
        return samples
    gain = np.interp(np.arange(len(samples)), np.arange(len(nodes)) * SPAN, nodes).astype(np.float32)
    limited: Samples = np.clip(samples * gain[:, None], -CEILING, CEILING)
    return limited
