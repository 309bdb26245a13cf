"""`musicmed-live calibrate NAME`: how loud this machine's own sound card is, by noise and a sound level meter."""

import argparse
import sys
from contextlib import closing

import numpy as np

from musicmed_live.core.generator import Samples, frames_of
from musicmed_live.core.pink import pink_noise
from musicmed_live.errors import InvalidInput

RISE_FRAMES = frames_of(8.0)
SOFTEST_DB = -50.0

BEFORE = """\
Set the sound card's volume as it will stay. Take a sound level meter, set to A and slow (an app on a phone will do, but
may be wrong by 5 dB), and hold it where the ear will be; for headphones, put an ear pad over its microphone.
Nobody should wear them now. The noise begins very softly and comes up over 8 seconds; Ctrl-C ends it.
"""


def add_parsers(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the command line's others."""
    parser = commands.add_parser("calibrate", help="measure how loud this machine's sound card is, with any meter")
    parser.add_argument("name", metavar="NAME", help="of the output, such as 'Room 12 loudspeaker'")
    parser.set_defaults(run=calibrate)


def calibrate(options: argparse.Namespace) -> None:
    """Play the noise, ask what the meter shows, and keep that."""
    from musicmed_live.service.outputs import check_name, default_outputs
    from musicmed_live.service.soundcard import open_stream

    check_name(options.name)
    sys.stdout.write(BEFORE)
    sys.stdout.flush()
    with closing(open_stream(RisingNoise())):
        meter_dba = _ask()
    default_outputs().put(options.name, meter_dba)
    sys.stdout.write(f"Done. Music as it comes is at about {meter_dba:g} dB(A) on {options.name!r}.\n")


class RisingNoise:
    """Pink noise without an end, which comes up from `SOFTEST_DB` below its level. Read by the card's thread."""

    def __init__(self) -> None:
        self._noise = pink_noise()
        self._played = 0

    def read(self, out: Samples) -> None:
        """The next frames, as many as `out` has."""
        positions = np.arange(self._played, self._played + len(out))
        gain_db = SOFTEST_DB * (1.0 - np.minimum(1.0, positions / RISE_FRAMES))
        out[:] = self._noise[positions % len(self._noise)] * (10 ** (gain_db / 20))[:, None]
        self._played += len(out)


def _ask() -> float:
    try:
        typed = input("When it is steady: what does the meter show, in dB(A)? ")
    except EOFError:
        raise InvalidInput("meter_dba: nothing was typed, so nothing is kept", "meter_dba") from None
    try:
        return float(typed.strip().replace(",", "."))
    except ValueError:
        raise InvalidInput(f"meter_dba: {typed!r} is not a number such as 62.5", "meter_dba") from None
