"""What a sound font says about a note: its zones, their parameters, and how velocity and key move them.

"SoundFont Technical Specification", version 2.04, E-mu Systems and Creative Technology, 2006; the numbers below
are those of its section 8. Of the modulators only those are read that follow velocity or key in a straight line.
"""

from dataclasses import dataclass
from enum import IntEnum


class Gen(IntEnum):
    """The generators (parameters of a zone) that are used here, by their number in the specification."""

    START_OFFSET = 0  # frames
    LOOP_START_OFFSET = 2  # frames
    LOOP_END_OFFSET = 3  # frames
    START_COARSE_OFFSET = 4  # 32768 frames
    LFO_TO_VOLUME = 13  # centibels
    PAN = 17  # -500 left .. 500 right
    LFO_DELAY = 21  # timecents
    LFO_FREQUENCY = 22  # cents above 8.176 Hz
    DELAY = 33  # timecents, as are the other stages of the volume envelope
    ATTACK = 34
    HOLD = 35
    DECAY = 36  # to -100 dB
    SUSTAIN = 37  # centibels below the peak
    RELEASE = 38  # to -100 dB
    KEY_TO_HOLD = 39  # timecents per key below 60
    KEY_TO_DECAY = 40
    INSTRUMENT = 41
    KEYS = 43
    VELOCITIES = 44
    LOOP_START_COARSE_OFFSET = 45
    ATTENUATION = 48  # centibels
    LOOP_END_COARSE_OFFSET = 50
    COARSE_TUNE = 51  # semitones
    FINE_TUNE = 52  # cents
    SAMPLE = 53
    SAMPLE_MODES = 54  # 1: loops
    SCALE_TUNING = 56  # cents per key
    ROOT_KEY = 58


DEFAULTS: dict[int, int] = {
    **dict.fromkeys((Gen.LFO_DELAY, Gen.DELAY, Gen.ATTACK, Gen.HOLD, Gen.DECAY, Gen.RELEASE), -12000),
    Gen.SCALE_TUNING: 100,
    Gen.ROOT_KEY: -1,
}

_VELOCITY, _KEY = 2, 3  # note-on controllers (8.2.1)


@dataclass(frozen=True, slots=True)
class Sample:
    """Where a recording lies in the file, and how it is to be played."""

    name: str
    start: int  # byte within the sample part of the file
    end: int
    compressed: bool  # Ogg Vorbis; else 16-bit little-endian
    loop_start: int  # frame within the recording
    loop_end: int
    rate_hz: int
    root_key: int
    correction_cents: int


@dataclass(frozen=True, slots=True)
class Modulator:
    """Moves a generator with velocity and key: amount * source * amount_source, each 0..1 or -1..1."""

    source: int
    amount_source: int  # 0: none
    number: int  # the generator that is moved
    amount: int

    def at(self, key: int, velocity: float) -> float:
        """What it adds to its generator for a note of that key and velocity."""
        second = _linear(self.amount_source, key, velocity) if self.amount_source else 1.0
        return self.amount * _linear(self.source, key, velocity) * second


@dataclass(frozen=True, slots=True)
class Zone:
    """One recording of a preset and the notes that it is played for."""

    keys: tuple[int, int]  # lowest, highest
    velocities: tuple[int, int]
    sample: Sample
    generators: dict[int, int]  # instrument and preset summed; those not in the file are left out
    modulators: tuple[Modulator, ...]

    def covers(self, key: int, velocity: float) -> bool:
        """Whether a note of that key and velocity plays this zone."""
        (low, high), (soft, loud) = self.keys, self.velocities
        return low <= key <= high and soft <= int(velocity) <= loud

    def played(self, key: int, velocity: float) -> "PlayedZone":
        """The zone for one note: its modulators applied."""
        values: dict[int, float] = dict(self.generators)
        for modulator in self.modulators:
            before = values.get(modulator.number, DEFAULTS.get(modulator.number, 0))
            values[modulator.number] = before + modulator.at(key, velocity)
        return PlayedZone(self.sample, key, values)


@dataclass(frozen=True, slots=True)
class PlayedZone:
    """What one zone contributes to one note."""

    sample: Sample
    key: int
    values: dict[int, float]

    def __getitem__(self, number: Gen) -> float:
        """A generator in its own unit."""
        return self.values.get(number, DEFAULTS.get(number, 0))

    def seconds(self, stage: Gen, per_key: Gen | None = None) -> float:
        """The length of a stage given in timecents; -12000, the least, is none at all."""
        timecents = self[stage] + ((60 - self.key) * self[per_key] if per_key else 0)
        return 2.0 ** (timecents / 1200) if timecents > -12000 else 0.0


def _linear(source: int, key: int, velocity: float) -> float:
    """The value of a linear source (8.2): bit 8 turns it round, bit 9 makes it bipolar."""
    x = (velocity if source & 0x7F == _VELOCITY else key) / 127
    x = 1 - x if source & 0x100 else x
    return 2 * x - 1 if source & 0x200 else x


def is_linear(source: int) -> bool:
    """Whether a modulator's source is one that is read: velocity or key, in a straight line."""
    return source & 0xFCFF in (_VELOCITY, _KEY)
