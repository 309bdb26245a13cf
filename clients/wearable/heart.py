"""A plausible heart, for trying things out where nobody wears anything. No model of a patient."""

import math
import random
from collections.abc import Iterator

BREATHS_PER_MINUTE = 15.0
SWAY_HZ = 0.1  # Mayer waves
SWAY_MS = 15.0
ARRHYTHMIA_MS = 35.0  # respiratory sinus arrhythmia at rest, amplitude
NOISE_MS = 8.0
STRESS_SECONDS = 180.0
STRESS_BPM = 25.0
STRESS_BREATHS = 6.0  # more a minute
STRESS_ARRHYTHMIA = 0.35  # of what it is at rest
ONSET_SECONDS = 12.0


def beats(bpm: float, stress_at: float | None, seed: int) -> Iterator[tuple[float, float]]:
    """Endless (second of the beat, interval before it in ms), about a mean rate of `bpm`.

    The interval is the mean one, plus a sine for breathing and one for slow waves near 0.1 Hz, plus noise: the two
    bands of the tachogram in McSharry et al. (2003, IEEE Trans Biomed Eng 50:289), each as a single line. From
    `stress_at` (s) on, for `STRESS_SECONDS`, the rate goes up, breathing quickens and moves the rate less, each
    exponentially within `ONSET_SECONDS`.
    """
    chance = random.Random(seed)
    seconds = stress = 0.0
    breath = chance.uniform(0, math.tau)
    sway = chance.uniform(0, math.tau)
    while True:
        arrhythmia_ms = ARRHYTHMIA_MS * (1 - stress * (1 - STRESS_ARRHYTHMIA))
        interval_ms = 60_000 / (bpm + stress * STRESS_BPM)
        interval_ms += arrhythmia_ms * math.sin(breath) + SWAY_MS * math.sin(sway) + chance.gauss(0, NOISE_MS)
        interval_ms = max(interval_ms, 250.0)
        lasted = interval_ms / 1000
        seconds += lasted
        breath += math.tau * lasted * (BREATHS_PER_MINUTE + stress * STRESS_BREATHS) / 60
        sway += math.tau * lasted * SWAY_HZ
        stressed = stress_at is not None and stress_at <= seconds < stress_at + STRESS_SECONDS
        stress += (float(stressed) - stress) * (1 - math.exp(-lasted / ONSET_SECONDS))
        yield seconds, interval_ms
