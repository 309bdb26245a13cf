"""The composer as a generator: voices that write a bar when its first beat is asked for, and sound it beat by beat."""

import copy
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from musicmed_live.composer.harmony import Scale
from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.orchestration import Cast
from musicmed_live.composer.phrase import Phrase
from musicmed_live.composer.preferences import Ensemble, Layer, choose_ensemble
from musicmed_live.composer.renderer import Renderer
from musicmed_live.composer.sampler import CACHE_BYTES, PACKAGED_FONT, Sampler
from musicmed_live.composer.score import Bar, Note
from musicmed_live.composer.tempo import TempoPlan, plan_tempo
from musicmed_live.composer.writer import Ending, Thread, write_bar
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Block, ClipRequest, Cue, Pace, Samples, frames_of
from musicmed_live.core.notation import Notation
from musicmed_live.errors import InvalidInput

REMEMBERED_FRAMES = frames_of(14.0)  # how far back a voice can be rewound
JUMP = 0.5  # of emotion from clip to clip: the tempo may leap, too
MOODS = (Emotion(0.0, 0.0), Emotion(-0.6, -0.4), Emotion(0.6, -0.4), Emotion(-0.5, 0.6), Emotion(0.6, 0.6))
WARM_UP_SECONDS = 6.0  # of music in each of them
BREAK_FRAMES = frames_of(0.05)  # in which what may not go on ringing fades out


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where the music may be taken up again: a beat, and the thread and tempo from there on."""

    position: int
    thread: Thread
    tempo: TempoPlan | None
    emotion: Emotion | None  # of the bar before it


@dataclass(frozen=True, slots=True)
class _Memory:
    """All that the music depends on from a mark on."""

    version: int
    mark: _Mark
    ringing: tuple[Note, ...]


_MEMORY_VERSION = 1  # another one may write other music from the same thread
_NOTATION = Notation((_Memory, _Mark, Thread, Phrase, Ensemble, Layer, Scale, Cast, TempoPlan, Emotion, Note))


class ComposerGenerator:
    """Opens voices that share one sampler. The packaged font is used unless another one is given.

    Raises `GeneratorFailed` where the font is missing or is no sound font.
    """

    def __init__(self, font: Path = PACKAGED_FONT, cache_bytes: int = CACHE_BYTES) -> None:
        self._sampler = Sampler(font, cache_bytes)

    @property
    def cached_bytes(self) -> int:
        """Memory of the notes that the voices share."""
        return self._sampler.cached_bytes

    @property
    def voices(self) -> int | None:
        """None: it is so fast that there is time for any number."""
        return None

    @property
    def takes(self) -> int:
        """1: what it is asked for says all."""
        return 1

    def warm_up(self) -> Pace:
        """Make the notes of a few bars of every mood; the pace is that of the slowest mood."""
        paces = [self._measure(mood) for mood in MOODS]
        return Pace(min(pace.realtime_x for pace in paces), max(pace.first_block_seconds for pace in paces))

    def open_voice(self, seed: int, position: int = 0, memory: str | None = None) -> "ComposerVoice":
        """A new voice whose first clip begins at `position`.

        With the `memory` of another one, of that position, it goes on as that did, sample for sample but for rounding.
        Raises `InvalidInput` for a memory that is none.
        """
        return ComposerVoice(seed, self._sampler, position, memory)

    def _measure(self, mood: Emotion) -> Pace:
        """How fast a mood is whose notes have been made before."""
        request = ClipRequest(0, frames_of(WARM_UP_SECONDS), mood, mood)
        list(self.open_voice(0).compose(request))
        begun = time.perf_counter()
        blocks = self.open_voice(0).compose(request)
        next(blocks)
        first_block_seconds = time.perf_counter() - begun
        list(blocks)
        return Pace(WARM_UP_SECONDS / (time.perf_counter() - begun), first_block_seconds)


class ComposerVoice:
    """One session's music. The same seed and the same calls give the same samples."""

    def __init__(self, seed: int, sampler: Sampler, position: int = 0, memory: str | None = None) -> None:
        """Raises `InvalidInput` for a memory that is none."""
        self._sampler = sampler
        self._renderer = Renderer(sampler, position)
        mark = _Mark(position, Thread(seed), None, None)
        if memory is not None:
            known = _recall(memory)
            mark = known.mark
            self._renderer.skip(known.ringing, position)
        self._earlier: deque[tuple[int, Renderer]] = deque()  # those that were broken off, and where
        self._marks = deque([replace(mark, position=position)])
        self._clip: Generator[Block, None, None] | None = None
        self._double: ComposerVoice | None = None  # which has rehearsed

    @property
    def position(self) -> int:
        """The frame up to which the music has sounded."""
        return self._marks[-1].position

    def compose(self, request: ClipRequest, heard_from: int = 0) -> Generator[Block, None, None]:
        """The clip in blocks of one beat, written and sounded as they are asked for; those that end by `heard_from` are
        only written, and left out.

        Where an instrument still rings that the request forbids, all that rings fades out within the first 50 ms.

        Raises `ValueError` if the clip does not begin where the music stands or is empty, `InvalidInput` if the
        request's preferences cannot be met.
        """
        if request.position != self.position:
            raise ValueError(f"a clip at frame {request.position} does not continue the music at {self.position}")
        if request.frames <= 0:
            raise ValueError(f"a clip of {request.frames} frames is empty")
        ensemble = choose_ensemble(request.instruments, request.style)
        self._forget_clip()
        self._clip = self._blocks(request, ensemble, heard_from)
        return self._clip

    def rehearse(self, request: ClipRequest, takes: int) -> Iterator[Sequence[Block]]:
        """The clip block by block, just as `compose` would give it; there is one take, as all would be the same.

        Raises as `compose` does.
        """
        self._forget_clip()
        double = copy.copy(self)
        double._marks, double._renderer = self._marks.copy(), self._renderer.fork()
        double._earlier = self._earlier.copy()
        self._double = double
        return ((block,) for block in double.compose(request))

    def settle(self, take: int) -> None:
        """Go on from where the rehearsal has come to. Raises `ValueError` where there was none."""
        if self._double is None:
            raise ValueError(f"there is no take {take}: nothing was rehearsed")
        self._marks, self._renderer = self._double._marks, self._double._renderer
        self._earlier = self._double._earlier
        self._forget_clip()

    def rewind(self, position: int) -> int:
        """Forget everything from the first beat at or after `position` on, and return that beat's position.

        Inside a bar the rest of the bar is forgotten, and the next clip begins there with a downbeat.
        Raises `ValueError` where `position` lies ahead of the music or before what is remembered (14 s).
        """
        if not self._marks[0].position <= position <= self.position:
            raise ValueError(
                f"cannot rewind to frame {position}: remembered are {self._marks[0].position} to {self.position}"
            )
        self._forget_clip()
        while len(self._marks) > 1 and self._marks[-2].position >= position:
            self._marks.pop()
        while self._earlier and self.position <= self._earlier[-1][0]:
            self._renderer = self._earlier.pop()[1]
        self._renderer.rewind(self.position)
        return self.position

    def memory(self) -> str:
        """Where the thread is, and what rings on; for `ComposerGenerator.open_voice`, at this position."""
        return _NOTATION.write(_Memory(_MEMORY_VERSION, self._marks[-1], self._renderer.ringing))

    def close(self) -> None:
        """It holds nothing that others could use."""
        self._forget_clip()

    def _forget_clip(self) -> None:
        self._double = None
        if self._clip is not None:
            self._clip.close()
            self._clip = None

    def _blocks(self, request: ClipRequest, ensemble: Ensemble, heard_from: int) -> Generator[Block, None, None]:
        tempo = _plan(request, self._marks[-1])
        bars = tempo.bars()
        ringing = self._break_off(ensemble)
        for index, beats in enumerate(bars):
            emotion = request.start.blend(request.end, (index + 0.5) / len(bars))
            ending = _ending(index, len(bars)) if request.final else Ending.NONE
            thread = self._marks[-1].thread
            bar, following = write_bar(thread, emotion, ensemble, beats, tempo.tempo_bpm(beats[0]), ending)
            for start, end in pairwise(beats):
                mark = _Mark(end, following, tempo, emotion)
                if end <= heard_from:
                    self._renderer.skip(bar.notes_within(start, end), end)
                    ringing = None
                    self._remember(mark)
                    continue
                block = self._sound(bar, start, end, tempo)
                if ringing is not None:
                    block.samples[:BREAK_FRAMES] += ringing[: end - start]
                    ringing = None
                self._remember(mark)
                yield block

    def _break_off(self, ensemble: Ensemble) -> Samples | None:
        """Where something rings that is forbidden now, let all that sounds end here; what is heard of that."""
        if not self._renderer.rings([name for name in INSTRUMENTS if not ensemble.allows(name)]):
            return None
        ringing = self._renderer.render((), self.position + BREAK_FRAMES)
        self._earlier.append((self.position, self._renderer))
        self._renderer = Renderer(self._sampler, self.position)
        return ringing * np.linspace(1, 0, BREAK_FRAMES, dtype=np.float32)[:, None]

    def _sound(self, bar: Bar, start: int, end: int, tempo: TempoPlan) -> Block:
        samples = self._renderer.render(bar.notes_within(start, end), end)
        playing = {note.instrument for note in bar.notes if start < note.position + note.frames and note.position < end}
        cue = Cue.BAR if start == bar.beats[0] else Cue.BEAT
        return Block(start, samples, cue, tempo.tempo_bpm(start), bar.key, tuple(sorted(playing)))

    def _remember(self, mark: _Mark) -> None:
        self._marks.append(mark)
        while self._marks[1].position <= mark.position - REMEMBERED_FRAMES:
            self._marks.popleft()
        while self._earlier and self._earlier[0][0] < self._marks[0].position:
            self._earlier.popleft()


def _recall(memory: str) -> _Memory:
    found = _NOTATION.read(memory)
    if not isinstance(found, _Memory) or found.version != _MEMORY_VERSION:
        raise InvalidInput("memory: it is of another version of the composer", "memory")
    return found


def _plan(request: ClipRequest, mark: _Mark) -> TempoPlan:
    jump = mark.emotion is not None and mark.emotion.distance(request.start) > JUMP
    middle = request.start.blend(request.end, 0.5)
    return plan_tempo(request.position, request.frames, middle, mark.tempo, jump, request.tempo_bpm)


def _ending(index: int, bars: int) -> Ending:
    """What a bar is to the end of a final clip. A clip of one or two bars has no time to die away."""
    last = [Ending.CADENCE, Ending.REST, Ending.SILENCE] if bars > 2 else [Ending.CADENCE, Ending.REST]
    left = bars - index
    return last[-left] if left <= len(last) else Ending.NONE
