"""Whether a session's clips carry what was asked for: tried before they are played, where there is time for that.

A clip that follows another is rehearsed as long as there is enough music ahead, and asked for in the way that came
nearest. One that a cut begins is heard at once, so it is judged by its beginning, as soon as that is composed. Nothing
waits for either.
"""

import asyncio
import logging

import numpy as np

from musicmed_live.core.emotion import Emotion
from musicmed_live.core.generator import Block, ClipRequest, frames_of
from musicmed_live.core.judgement import Judgement, Mono, miss, mono_of
from musicmed_live.core.timeline import Clip, Timeline
from musicmed_live.recognition.audition import Audition, Trial
from musicmed_live.service.judging import Judge
from musicmed_live.service.sources import Part

log = logging.getLogger(__name__)

TRIAL_REALTIME_X = 3.0  # a generator that is less fast has no time to try anything
BEGINNING_FRAMES = frames_of(12.0)  # of a clip that was not tried: by so much of it, it is judged,
LEAST_FRAMES = frames_of(5.0)  # or by so much, if it is no longer
PATIENCE_SECONDS = 20.0  # a judgement is asked for after what has to sound before then


class Hearing:
    """The judgements of one session's clips. `run` it as a task."""

    def __init__(self, patient: str, judge: Judge, timeline: Timeline) -> None:
        self._patient, self._judge, self._timeline = patient, judge, timeline
        self._audition = Audition()
        self._clip: Clip | None = None  # the one that nobody has tried,
        self._sound: list[Mono] = []  # and its beginning
        # Of one: a clip that begins before the last one is judged takes its place.
        self._waiting: asyncio.Queue[tuple[Clip, Mono]] = asyncio.Queue(1)
        self._limit: asyncio.Timeout | None = None  # while a clip is tried

    async def try_out(self, part: Part, request: ClipRequest) -> Trial:
        """The way to ask for the clip, and what will be heard in it, as far as that is found out until `stop_trying`.

        The voice may be asked for anything then. Raises what it raises.
        """
        if not part.source.takes or part.source.voice_realtime_x < TRIAL_REALTIME_X:
            return self.untried(request)
        try:
            async with asyncio.timeout(None) as self._limit:
                await self._rehearse(part, request)
        except TimeoutError:
            log.info("%s: no time to try the clip at %d to the end", self._patient, request.position)
        finally:
            self._limit = None
        trial = self._audition.settle()
        if trial.judgement is not None and trial.judged_as is not None:
            self._tell(trial.judged_as, trial.judgement)
        return trial

    def stop_trying(self) -> None:
        """What has been found out until now will do."""
        if self._limit is not None:
            limit, self._limit = self._limit, None
            limit.reschedule(asyncio.get_running_loop().time())

    def untried(self, request: ClipRequest) -> Trial:
        """How to ask for the clip where there is no time to try it: as the one before it has ended."""
        self._audition.ask(request)
        return self._audition.settle()

    def forget(self) -> None:
        """The music goes elsewhere, or another one makes it."""
        self._audition.forget()

    def begin(self, clip: Clip) -> None:
        """A clip begins that was not tried; some of it may be there already."""
        self._clip = clip
        self._sound = [mono_of(clip.track.read(clip.position, max(0, clip.track.end - clip.position)))]
        self._look()

    def add(self, block: Block) -> None:
        """Some more of the clip that began last."""
        if self._clip is not None:
            self._sound.append(mono_of(block.samples))
            self._look()

    def end(self) -> None:
        """There is no more of it."""
        if self._clip is not None and self._frames >= LEAST_FRAMES:
            self._ask(self._clip)
        self._clip, self._sound = None, []

    async def run(self) -> None:
        """Have what waits judged, until cancelled."""
        while True:
            clip, mono = await self._waiting.get()
            judgement = await self._judge.judge(mono, asyncio.get_running_loop().time() + PATIENCE_SECONDS)
            if judgement is not None:
                asked = clip.emotion_at(clip.position + len(mono) // 2)
                self._timeline.hear(clip, judgement, asked)
                self._tell(asked, judgement)

    async def _rehearse(self, part: Part, request: ClipRequest) -> None:
        asked: ClipRequest | None = self._audition.ask(request)
        deadline = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while asked is not None:
            sounds = await part.voice.rehearse(asked, part.source.takes, deadline)
            judgements = [await self._judge.judge(sound, deadline) for sound in sounds]
            asked = self._audition.hear(judgements, len(sounds[0]) / request.frames)

    @property
    def _frames(self) -> int:
        return sum(len(mono) for mono in self._sound)

    def _look(self) -> None:
        if self._clip is not None and self._frames >= BEGINNING_FRAMES:
            self._ask(self._clip)
            self._clip, self._sound = None, []

    def _ask(self, clip: Clip) -> None:
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait((clip, np.concatenate(self._sound)))

    def _tell(self, asked: Emotion, judgement: Judgement) -> None:
        heard = judgement.emotion
        log.info(
            "%s: asked for %+.2f %+.2f, heard %+.2f %+.2f (off by %.2f)",
            *(self._patient, asked.valence, asked.arousal, heard.valence, heard.arousal, miss(asked, judgement)),
        )
