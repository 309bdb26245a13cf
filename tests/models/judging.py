"""What evaluations are tested with: a generator that plays tones, and recognizers that hear them."""

from collections.abc import Iterator, Sequence

import numpy as np

from models.clips import Side
from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Cue, Pace, Samples
from musicmed_live.core.judgement import Judgement, Mono
from musicmed_live.errors import CannotJudge
from musicmed_live.recognition.features import RATE
from musicmed_live.recognition.neural import Tagged

LOWEST_HZ, OCTAVES = 200.0, 4.0  # the tone's pitch tells the valence,
OVERTONE_HZ = 8000.0  # and how strong this one is beside it the arousal


class Tones:
    """Plays a tone for an emotion; `error` is how far it goes astray, by chance."""

    voices: int | None = None
    takes = 1

    def __init__(self, error: float = 0.0) -> None:
        self.error = error
        self.opened = 0

    def warm_up(self) -> Pace:
        """At once."""
        return Pace(100.0, 0.0)

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> "ToneVoice":
        """A voice that plays on from there."""
        self.opened += 1
        return ToneVoice(np.random.default_rng(seed).normal(0, self.error, 2) if self.error else np.zeros(2))


def tones(name: str, error: float = 0.0) -> Side:
    """A side of an evaluation that plays them."""
    return Side(name, lambda: Tones(error), {"tones": f"{error:g}"})


class ToneVoice:
    """One clip of a tone."""

    def __init__(self, astray: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> None:
        self.astray = astray

    def compose(self, request: ClipRequest, heard_from: int = 0) -> Iterator[Block]:
        """The clip as one block."""
        valence, arousal = request.start.valence + self.astray[0], request.start.arousal + self.astray[1]
        yield Block(request.position, tone(valence, arousal, request.frames), Cue.FREE, 0.0, "", ())

    def rehearse(self, request: ClipRequest, takes: int) -> Iterator[Sequence[Block]]:
        """One take, which is what would be played."""
        yield from ((block,) for block in self.compose(request))

    def settle(self, take: int) -> None:
        """Nothing is remembered."""

    def rewind(self, position: int) -> int:
        """Nothing is remembered."""
        return position

    def memory(self) -> str | None:
        """Nothing is remembered."""
        return None

    def close(self) -> None:
        """Nothing is held."""


def tone(valence: float, arousal: float, frames: int) -> Samples:
    """Stereo at 48 kHz."""
    hertz = LOWEST_HZ * 2 ** ((1 + valence) / 2 * OCTAVES)
    seconds = np.arange(frames) / SAMPLE_RATE
    strength = 10 ** ((clamp(arousal) - 1.5) * 10 / 20)
    wave = 0.2 * np.sin(2 * np.pi * hertz * seconds) + 0.2 * strength * np.sin(2 * np.pi * OVERTONE_HZ * seconds)
    return np.repeat(wave.astype(np.float32)[:, None], 2, axis=1)


class ToneListener:
    """Hears what `Tones` plays; cannot hear what is `unpleasant` where that is set."""

    def __init__(self, deaf_to_unpleasant: bool = False) -> None:
        self.deaf = deaf_to_unpleasant

    def judge(self, mono: Mono) -> Judgement:
        """The emotion, read off pitch and overtone."""
        power = np.abs(np.fft.rfft(mono)) ** 2
        low, high = np.split(power, [round(OVERTONE_HZ / 2 * len(mono) / RATE)])
        valence = np.log2(max(int(low.argmax()) * RATE / len(mono), 1.0) / LOWEST_HZ) / OCTAVES * 2 - 1
        arousal = np.log10(high.sum() / low.sum()) + 1.5
        if self.deaf and valence < -0.1:
            raise CannotJudge("too low to be heard")
        return Judgement(Emotion(clamp(float(valence)), clamp(float(arousal))), 0.1, 0.1)


class ToneTagger(ToneListener):
    """One that knows tags as well: whatever it hears is calm."""

    def tag(self, mono: Mono) -> Tagged:
        """The judgement, and that it is calm."""
        return Tagged(self.judge(mono), {"calm": 0.9, "happy": 0.2}, frozenset({"calm"}))
