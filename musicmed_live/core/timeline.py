"""The timeline: what has been and will be heard, by position. The only truth about it.

Re-planning has one form: cut at a position, forget what follows, append. A move of the mood control, "too much",
a late clip and the end are that same operation with another position and another successor.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicmed_live.core.emotion import Emotion, clamp
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Block, Cue, Recipe, Samples, frames_of
from musicmed_live.core.judgement import Judgement, expressed

NEAR_FRAMES = frames_of(3.0)  # a bar line that is no farther away is waited for

Floats = NDArray[np.floating[Any]]


class Track:
    """Blocks of one thread of music, by position. There may be holes where blocks came too late."""

    def __init__(self, generator: str = "") -> None:
        """`generator`: the name of what makes it."""
        self.generator = generator
        self._blocks: list[Block] = []
        self._recipes: list[tuple[int, Recipe]] = []  # of clips, by where they begin
        self._silent = 0  # so many of them have been heard, and their sound let go of

    @property
    def end(self) -> int:
        """Position after the last frame, 0 if there is none."""
        return self._blocks[-1].end if self._blocks else 0

    def add(self, block: Block) -> None:
        """Append a block; raises `ValueError` if it would overlap what is there."""
        if block.position < self.end:
            raise ValueError(f"block at {block.position} overlaps what ends at {self.end}")
        if block.recipe is not None:
            # The first clip may be one that was taken up: what is here of it begins later than it did.
            begins = block.position if self._blocks else min(block.position, block.recipe.request.position)
            self._recipes.append((begins, block.recipe))
        self._blocks.append(block)

    def recipe_at(self, position: int) -> Recipe | None:
        """How what is heard at `position` can be made again; None where that is not known."""
        i = bisect_right(self._recipes, position, key=lambda known: known[0])
        return self._recipes[i - 1][1] if i else None

    def cut(self, position: int) -> None:
        """Forget everything from `position` on."""
        while self._blocks and self._blocks[-1].position >= position:
            self._blocks.pop()
        while self._recipes and self._recipes[-1][0] >= position:
            self._recipes.pop()
        if not self._blocks:
            self._recipes.clear()
        self._silent = min(self._silent, len(self._blocks))
        if self.end > position:
            last = self._blocks[-1]
            self._blocks[-1] = replace(last, samples=last.samples[: position - last.position])

    def forget(self, blocks_before: int, sound_before: int) -> None:
        """Let go of blocks that end by `blocks_before`, and of the sound alone of those that end by `sound_before`."""
        keep = next((i for i, b in enumerate(self._blocks) if b.end > blocks_before), len(self._blocks))
        del self._blocks[:keep]
        past = bisect_right(self._recipes, blocks_before, key=lambda known: known[0])
        del self._recipes[: max(0, past - 1)]
        self._silent = max(0, self._silent - keep)
        for block in self._blocks[self._silent :]:
            if block.end > sound_before:
                break
            silence = np.broadcast_to(np.float32(0), block.samples.shape)
            self._blocks[self._silent] = replace(block, samples=silence)
            self._silent += 1

    def between(self, start: int, end: int) -> list[Block]:
        """The blocks with a frame in [start, end)."""
        first = max(0, bisect_right(self._blocks, start, key=lambda block: block.position) - 1)
        found = []
        for block in self._blocks[first:]:
            if block.position >= end:
                break
            if block.end > start:
                found.append(block)
        return found

    def read(self, start: int, frames: int) -> Samples:
        """Frames [start, start + frames); zeros where there is nothing. Shape (frames, 2)."""
        out = np.zeros((frames, CHANNELS), np.float32)
        for block in self.between(start, start + frames):
            a, b = max(start, block.position), min(start + frames, block.end)
            out[a - start : b - start] = block.samples[a - block.position : b - block.position]
        return out

    def next_cue(self, position: int, kind: Cue) -> int | None:
        """The first cue point of that kind, or of more, at or after `position`."""
        for block in self.between(position, self.end):
            if block.cue is kind is Cue.FREE:
                return max(position, block.position)
            if block.position >= position and block.cue.serves_as(kind):
                return block.position
        return None

    def filled_until(self, start: int) -> int:
        """The first position at or after `start` that has no sound."""
        reached = start
        for block in self.between(start, self.end):
            if block.position > reached:
                break
            reached = block.end
        return reached


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A stretch of a track that is to be heard. It fades in over the clip before it."""

    position: int
    frames: int
    start: Emotion  # asked for at its first frame
    end_emotion: Emotion  # and at its end
    track: Track
    fade_frames: int = 0
    rho: float = 0.0  # correlation of the two sides of the fade, 0..1
    heard: Judgement | None = None  # what is heard in it; None as long as nobody has judged it,
    heard_as: Emotion | None = None  # and what was asked for, on average, of what was judged

    @property
    def end(self) -> int:
        """Position after its last frame."""
        return self.position + self.frames

    @property
    def emotion(self) -> Emotion:
        """What it stands for: the middle of its way."""
        return self.start.blend(self.end_emotion, 0.5)

    def emotion_at(self, position: int) -> Emotion:
        """What it was asked for at `position`."""
        share = min(1.0, max(0.0, (position - self.position) / self.frames))
        return self.start.blend(self.end_emotion, share)

    def expressed_at(self, position: int) -> Emotion:
        """What it most likely expresses at `position`: as far off what was asked for as what was judged of it."""
        asked, judged = self.emotion_at(position), self.heard_as
        if judged is None:
            return asked
        likely = expressed(judged, self.heard)
        return Emotion(
            clamp(asked.valence + likely.valence - judged.valence),
            clamp(asked.arousal + likely.arousal - judged.arousal),
        )


@dataclass(frozen=True, slots=True)
class Description:
    """A clip in a musician's words, as far as they are known: None where nobody counted."""

    bars: int | None
    tempo_bpm: float | None
    key: str | None
    instruments: tuple[str, ...]


class Timeline:
    """Clips without a gap between them, from the first that is remembered to the last that is planned."""

    def __init__(self) -> None:
        self.clips: list[Clip] = []
        self.repeats_from = 0  # what was heard before that must not be heard again

    @property
    def end(self) -> int:
        """Position after the last planned frame."""
        return self.clips[-1].end if self.clips else 0

    def append(self, clip: Clip) -> None:
        """Plan a clip; raises `ValueError` unless it begins exactly where the timeline ends."""
        if clip.frames <= 0:
            raise ValueError(f"a clip of {clip.frames} frames")
        if self.clips and clip.position != self.end:
            raise ValueError(f"clip at {clip.position}, but the timeline ends at {self.end}")
        self.clips.append(clip)

    def cut(self, position: int) -> None:
        """Forget what is planned from `position` on; raises `ValueError` beyond the end."""
        if position > self.end:
            raise ValueError(f"cut at {position}, but the timeline ends at {self.end}")
        while self.clips and self.clips[-1].position >= position:
            self.clips.pop()
        if self.clips:
            last = self.clips[-1]
            self.clips[-1] = replace(last, frames=position - last.position, end_emotion=last.emotion_at(position))

    def hear(self, judged: Clip, judgement: Judgement, asked: Emotion) -> None:
        """Note what is heard in a clip, and what was asked for there, if it is still planned, cut or not."""
        for i, clip in enumerate(self.clips):
            if (clip.track, clip.position, clip.start) == (judged.track, judged.position, judged.start):
                self.clips[i] = replace(clip, heard=judgement, heard_as=asked)

    def extend(self, position: int) -> None:
        """Let the last clip go on until `position`, if it ends before that."""
        if self.clips and position > self.end:
            last = self.clips[-1]
            self.clips[-1] = replace(last, frames=position - last.position)

    def clip_at(self, position: int) -> Clip | None:
        """The clip that is heard (or fading in) at `position`."""
        i = self._index(position)
        return self.clips[i] if i >= 0 and position < self.clips[i].end else None

    def bar_near(self, position: int) -> int:
        """The first bar line at or after `position`, if it is near; else `position` itself."""
        clip = self.clip_at(position)
        bar = None if clip is None else clip.track.next_cue(position, Cue.BAR)
        return position if bar is None or bar > position + NEAR_FRAMES else bar

    def read(self, start: int, frames: int) -> Samples:
        """What is heard in [start, start + frames), fades included; zeros where there is nothing."""
        out = np.zeros((frames, CHANNELS), np.float32)
        for i in range(max(0, self._index(start)), len(self.clips)):
            a, b = max(start, self.clips[i].position), min(start + frames, self.clips[i].end)
            if a < b:
                out[a - start : b - start] = self._sound(i, a, b)
        return out

    def blocks(self, start: int, end: int) -> Iterator[Block]:
        """What is heard in [start, end), but for what fades out there."""
        for clip in self.clips:
            if max(start, clip.position) < min(end, clip.end):
                yield from clip.track.between(max(start, clip.position), min(end, clip.end))

    def fading(self, start: int, end: int) -> Iterator[Block]:
        """What fades out in [start, end), under other clips."""
        for i, clip in enumerate(self.clips):
            yield from self._under(i, max(start, clip.position), min(end, clip.end))

    def ready_until(self, start: int) -> int:
        """The first position at or after `start` for which there is no sound yet."""
        reached = start
        for clip in self.clips[max(0, self._index(start)) :]:
            if reached < clip.end:
                reached = min(clip.end, clip.track.filled_until(reached))
                if reached < clip.end:
                    break
        return reached

    def forget_before(self, position: int) -> None:
        """Let go of clips and sound that end before `position`; what is known of a clip that goes on stays."""
        while len(self.clips) > 1 and self.clips[1].position + self.clips[1].fade_frames <= position:
            del self.clips[0]
        for clip in self.clips:
            clip.track.forget(self.clips[0].position, position)

    def describe(self, clip: Clip) -> Description:
        """What is known of `clip`; its bars are reckoned from the tempo as long as it is not composed to its end."""
        blocks = [b for b in clip.track.between(clip.position, clip.end) if b.position >= clip.position]
        if not blocks:
            return Description(None, None, None, ())
        names = tuple(sorted({name for block in blocks for name in block.instruments}))
        beats = sum(block.cue.serves_as(Cue.BEAT) for block in blocks)
        if not beats:
            return Description(None, None, blocks[0].key or None, names)
        bars = sum(block.cue is Cue.BAR for block in blocks)
        composed = blocks[-1].end - blocks[0].position
        tempo_bpm = 60 * SAMPLE_RATE * beats / composed
        if composed < clip.frames:
            bars = round(clip.frames * tempo_bpm / (240 * SAMPLE_RATE))
        return Description(bars, round(tempo_bpm, 2), blocks[0].key or None, names)

    def _sound(self, i: int, start: int, end: int) -> Samples:
        """Clip `i` in [start, end), and under its fade what went on sounding of the clips before it."""
        samples = self.clips[i].track.read(start, end - start)
        first = self._thread(i)
        clip = self.clips[first]
        fading = min(end, clip.position + clip.fade_frames) - start
        if first and fading > 0:
            before = self._sound(first - 1, start, start + fading)
            share = np.arange(start - clip.position, start - clip.position + fading) / clip.fade_frames
            out_gain, in_gain = crossfade_gains(share, clip.rho)
            samples[:fading] = samples[:fading] * in_gain[:, None] + before * out_gain[:, None]
        return samples

    def _under(self, i: int, start: int, end: int) -> Iterator[Block]:
        """What fades out in [start, end), under clip `i`."""
        first = self._thread(i)
        end = min(end, self.clips[first].position + self.clips[first].fade_frames)
        if first and start < end:
            yield from self.clips[first - 1].track.between(start, end)
            yield from self._under(first - 1, start, end)

    def _thread(self, i: int) -> int:
        """The first of the clips that clip `i` continues on its own track: a cut does not break off their fade."""
        while i and not self.clips[i].fade_frames and self.clips[i].track is self.clips[i - 1].track:
            i -= 1
        return i

    def _index(self, position: int) -> int:
        return bisect_right(self.clips, position, key=lambda clip: clip.position) - 1


def crossfade_gains(share: Floats, rho: float) -> tuple[Floats, Floats]:
    """Gains (a, b) of the outgoing and the incoming side at `share` (0..1) of a fade.

    They satisfy a^2 + b^2 + 2 rho a b = 1, so that sides whose correlation is `rho` (0 <= rho < 1) keep their
    level: equal power for rho = 0, equal gain towards 1. (Spherical interpolation: K. Shoemake, "Animating
    rotation with quaternion curves", SIGGRAPH 1985, with cos(theta) = rho.)
    """
    theta = math.acos(min(rho, 0.9999))
    a = np.sin((1 - share) * theta) / math.sin(theta)
    b = np.sin(share * theta) / math.sin(theta)
    return a.astype(np.float32), b.astype(np.float32)
