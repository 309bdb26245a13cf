"""How loud the instruments are, and the `gain_db` that makes them equally loud: `python -m benchmarks.calibrate`.

A typical note of each instrument is rendered, with the hall, at keys over the middle half of its range, once in each
velocity layer; its loudness is the greatest momentary loudness (ITU-R BS.1770-4, EBU Tech 3341). All of them are to be
at `REFERENCE_LUFS` for velocity 80, and to follow the sampler's law of velocity from there.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.signal import sosfilt

from benchmarks.report import print_figures, print_table
from musicmed_live.composer.instruments import DRUM_BANK, INSTRUMENTS, Instrument
from musicmed_live.composer.renderer import LOUDNESS_EXPONENT, Renderer
from musicmed_live.composer.sampler import Sampler
from musicmed_live.composer.score import Note
from musicmed_live.core.generator import Samples, frames_of

REFERENCE_LUFS = -26.0  # a single note of velocity 80: eight such voices make about -17 LUFS
REFERENCE_VELOCITY = 80
_MEASURED_VELOCITIES = (36, 52, 73, 100)  # one for each layer
_DRUMS = (36, 38, 42, 54, 70)  # the keys of the kit that carry a rhythm

_K_WEIGHTING = np.array(  # BS.1770-4, tables 1 and 2, for 48 kHz
    [
        [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585],
        [1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621],
    ]
)


def momentary_loudness(samples: Samples) -> float:
    """The greatest loudness of any 400 ms, in LUFS, of (frames, 2)."""
    power = np.square(sosfilt(_K_WEIGHTING, samples.astype(np.float64), axis=0)).sum(axis=1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    window = frames_of(0.4)
    return -0.691 + 10 * math.log10(float((total[window:] - total[:-window]).max()) / window)


def note_loudness(sampler: Sampler, instrument: Instrument, key: int, velocity: float) -> tuple[float, float]:
    """Loudness in LUFS and peak amplitude of a typical note, with its hall, as it is calibrated now."""
    held = frames_of(1.5 if instrument.sustains else 0.8)
    note = Note(0, held, instrument.name, key, velocity)
    samples = Renderer(sampler).render([note], frames_of(3.0))
    return momentary_loudness(samples), float(np.abs(samples).max())


def typical_keys(instrument: Instrument) -> tuple[int, ...]:
    """Five keys over the middle half of the comfortable range; of the kit, those of a rhythm."""
    if instrument.bank == DRUM_BANK:
        return _DRUMS
    quarter = (instrument.highest - instrument.lowest) / 4
    return tuple(round(instrument.lowest + quarter * (1 + share)) for share in (0, 0.5, 1, 1.5, 2))


def wished_loudness(velocity: float) -> float:
    """In LUFS, by the law of velocity."""
    return REFERENCE_LUFS + 20 * LOUDNESS_EXPONENT * math.log10(velocity / REFERENCE_VELOCITY)


def calibrate(sampler: Sampler, instrument: Instrument) -> tuple[float, NDArray[np.float64]]:
    """The gain in dB, and the errors that the present one leaves, (layers, keys), in LU."""
    errors = np.array(
        [
            [
                note_loudness(sampler, instrument, key, velocity)[0] - wished_loudness(velocity)
                for key in typical_keys(instrument)
            ]
            for velocity in _MEASURED_VELOCITIES
        ]
    )
    return instrument.gain_db - float(errors.mean()), errors


def main() -> None:
    sampler = Sampler()
    rows, errors_now, spreads = [], [], []
    for instrument in INSTRUMENTS.values():
        gain_db, errors = calibrate(sampler, instrument)
        peak = max(note_loudness(sampler, instrument, key, 80)[1] for key in typical_keys(instrument))
        errors_now.append(float(np.abs(errors.mean(axis=1)).max()))
        spreads.append(float(np.ptp(errors, axis=1).max()))
        rows.append((instrument.name, gain_db, errors_now[-1], spreads[-1], peak))
    print_table(("instrument", "gain_db", "error now, LU", "key spread, LU", "peak at 80"), rows)
    print_figures("calibrate", {"error_lu": max(errors_now), "key_spread_lu": float(np.median(spreads))})


if __name__ == "__main__":
    main()
