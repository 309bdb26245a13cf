"""The instruments of the embedded orchestra: their place in the font, their seat and their level."""

from dataclasses import dataclass

DRUM_BANK = 128


@dataclass(frozen=True, slots=True)
class Instrument:
    """One instrument of the font, its seat on the stage and its levels."""

    name: str
    bank: int  # of the font; `DRUM_BANK`: every key is another sound, and none may be folded
    program: int  # MIDI program, 0..127
    lowest: int  # comfortable range, MIDI keys
    highest: int
    sustains: bool  # sounds for as long as the key is held; else it decays by itself
    cutoffs_hz: tuple[float, float, float, float] | None  # brightness, per velocity layer; None: as recorded
    gain_db: float  # makes all instruments equally loud at the same velocity (benchmarks/calibrate.py)
    pan: float  # -1 left .. 1 right
    room_send: float  # amplitude of its sound in the hall, relative to the direct sound

    @property
    def middle(self) -> int:
        """The key in the middle of the comfortable range."""
        return (self.lowest + self.highest) // 2


_ALL = (
    Instrument("piano", 0, 0, 28, 100, False, (900, 1600, 2800, 5200), -26.0, -0.10, 0.30),
    Instrument("celesta", 0, 8, 60, 96, False, None, -25.6, 0.30, 0.42),
    Instrument("glockenspiel", 0, 9, 72, 103, False, None, -27.3, 0.35, 0.42),
    Instrument("harp", 0, 46, 36, 96, False, (2500, 4000, 7000, 12000), -25.6, 0.25, 0.38),
    Instrument("guitar", 0, 24, 40, 79, False, (1500, 2500, 5000, 9000), -25.1, -0.30, 0.30),
    Instrument("bass", 0, 32, 28, 55, False, (500, 800, 1600, 4000), -23.6, 0.0, 0.08),
    Instrument("strings", 0, 49, 36, 91, True, (1200, 2200, 4200, 9000), -27.9, 0.0, 0.40),
    Instrument("violins", 0, 48, 48, 93, True, (1600, 3000, 6000, 12000), -27.7, -0.15, 0.35),
    Instrument("tremolo", 0, 44, 43, 88, True, (1500, 2600, 5000, 10000), -26.9, 0.0, 0.35),
    Instrument("pizzicato", 0, 45, 36, 88, False, None, -28.1, 0.15, 0.35),
    Instrument("cello", 0, 42, 36, 72, True, (1000, 1800, 3500, 7000), -28.0, -0.25, 0.40),
    Instrument("choir", 0, 52, 43, 79, True, (800, 1400, 2400, 4000), -29.3, 0.0, 0.50),
    Instrument("pad", 0, 89, 36, 84, True, (700, 1200, 2500, 5000), -28.4, 0.0, 0.40),
    Instrument("flute", 0, 73, 60, 93, True, (2500, 4000, 7000, 12000), -28.2, 0.15, 0.42),
    Instrument("oboe", 0, 68, 58, 88, True, (2000, 3000, 5000, 9000), -27.7, -0.20, 0.42),
    Instrument("clarinet", 0, 71, 50, 88, True, (1500, 2500, 5000, 9000), -26.8, -0.20, 0.40),
    Instrument("horn", 0, 60, 41, 74, True, (700, 1200, 2200, 4500), -27.2, -0.30, 0.45),
    Instrument("timpani", 0, 47, 40, 57, False, None, -26.7, 0.10, 0.35),
    Instrument("percussion", DRUM_BANK, 40, 27, 87, False, None, -8.9, 0.0, 0.16),
)

INSTRUMENTS: dict[str, Instrument] = {instrument.name: instrument for instrument in _ALL}
