"""Threads of tokens: what a voice has played and what it plays next, and the windows through which the decoder sees it.

The decoder sees 30 s at a time. So a thread has two windows onto its tokens, each a slot of the engine: one in which it
grows, and one that is filled with the last 10 s on the side, a little after each stretch, and takes over when the first
is full. It is filled beside what is drawn, in the same passes through the weights, so nothing has to stop for it. Until
the full one is needed anew, the thread can go back into it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from musicmed_live.musicgen.engine import Conditioning, Engine

PROMPT_FRAMES = 500  # 10 s: a window begins with so much of what was played before
REMEMBERED_FRAMES = 1000  # 20 s: how far back a thread can go
LEAST_CONTEXT = 250  # frames that a window must hold before where the thread goes back to
MOST_LAG, CATCH_UP = 64, 32  # columns: where the other window is far behind, it is filled faster

UNKNOWN = -1
_GOLDEN = 0x9E3779B97F4A7C15


@dataclass(slots=True)
class _Window:
    """A stretch of at most `engine.window` columns, a slot for each lane. Its first column is that of frame `start`."""

    slots: tuple[int, ...]
    start: int


class Thread:
    """Lanes of tokens that grow in step, each drawn with a seed of its own; a voice has one, a choice of clips several.

    Column c of the delay pattern holds the token of frame c - k for codebook k.
    """

    def __init__(self, engine: Engine, slots: tuple[int, int], seed: int) -> None:
        """One lane without a past, in two slots of `engine`, which are emptied."""
        self._engine = engine
        for slot in slots:
            engine.rewind(slot, 0)
        self._now = _Window(slots[:1], 0)
        self._other = _Window(slots[1:], self._after(0))
        self._seeds: tuple[int, ...] = (seed,)
        self._tokens = torch.full((1, 0, engine.config.codebooks), UNKNOWN)  # of frames from `_first` on
        self._first = 0
        self._column = 0  # the first that is not drawn yet

    @property
    def drawn(self) -> int:
        """Frames of which there are tokens, though not of every codebook yet."""
        return self._column

    def pretend(self, frames: int) -> None:
        """Let random tokens be the past of a thread that has none, to measure how it goes on."""
        shape = (self._engine.config.codebooks, frames)
        self.recall(torch.randint(self._engine.config.vocab, shape, generator=torch.Generator().manual_seed(0)))

    def recall(self, codes: torch.Tensor) -> None:
        """Let these be the past of a thread that has none; shape (codebooks, frames), at most what a window holds.

        The decoder reads them when it has been told what to follow.
        """
        self._tokens = codes.T[None].repeat(len(self._seeds), 1, 1)
        self._column = codes.shape[1]

    def known(self, frames: int) -> torch.Tensor:
        """The last so many frames of the first lane whose tokens are all drawn, shape (codebooks, up to `frames`)."""
        end = self._column - self._engine.config.codebooks + 1
        return self.codes(0, max(self._first, end - frames), max(self._first, end))

    def follow(self, conditioning: Conditioning) -> None:
        """Let what is drawn from now on follow `conditioning`."""
        self._engine.condition(self._now.slots + self._other.slots, conditioning)
        self._run([self._now], self._column - self._held(self._now))

    def grow(self, frames: int) -> None:
        """Draw tokens until the first `frames` frames are known."""
        until = frames + self._engine.config.codebooks - 1
        while self._column < until:
            full = self._now.start + self._engine.window
            end = min(until, full)
            windows = [self._now]
            if self._lag() >= end - self._column:
                windows.append(self._other)  # what is known passes through the weights beside what is drawn
            self._run(windows, end - self._column)
            self._column = end
            self._clear_the_other()
            if self._lag() > MOST_LAG:
                self._run([self._other], CATCH_UP)
            if self._column == full:
                self._run([self._other], self._lag())
                self._now, self._other = self._other, self._now
        self._forget(self._column - self._engine.window - REMEMBERED_FRAMES)

    def codes(self, lane: int, start: int, end: int) -> torch.Tensor:
        """The tokens of frames [start, end) of a lane, shape (codebooks, end - start)."""
        return self._tokens[lane, start - self._first : end - self._first].T.clone()

    def rewind(self, frame: int) -> None:
        """Forget the tokens of all frames from `frame` on. Raises `ValueError` where that is too long ago."""
        oldest = max(0, self._column - REMEMBERED_FRAMES)
        if not oldest <= frame <= self._column:
            raise ValueError(f"frame {frame} is not among the {oldest} to {self._column} that are remembered")
        if self._other.start < self._now.start and frame < self._other.start + self._engine.window:
            self._now, self._other = self._other, self._now
        self._tokens[:, max(0, frame - self._first) :] = UNKNOWN
        self._column = frame
        for window in (self._now, self._other):
            self._shorten(window, frame)
        if frame - self._now.start < LEAST_CONTEXT and self._now.start > self._first:
            self._move_back(frame)

    def fork(self, slots: tuple[int, int], seed: int) -> None:
        """Add a lane in those slots that begins as a copy of the first one and draws with a seed of its own."""
        for window, slot in zip((self._now, self._other), slots, strict=True):
            self._engine.copy(window.slots[0], slot)
            window.slots += (slot,)
        self._tokens = torch.cat((self._tokens, self._tokens[:1]))
        self._seeds += (seed,)

    def keep(self, lane: int) -> None:
        """Let go of all lanes but one, and of their slots."""
        self._seeds = self._seeds[lane : lane + 1]
        self._tokens = self._tokens[lane : lane + 1].clone()
        for window in (self._now, self._other):
            window.slots = window.slots[lane : lane + 1]

    def _after(self, start: int) -> int:
        """Where the window that follows the one from `start` begins, so that it holds the prompt when that is full."""
        return start + self._engine.window - (self._engine.config.codebooks - 1) - PROMPT_FRAMES

    def _move_back(self, frame: int) -> None:
        """Let the window begin anew before `frame`, with the usual prompt."""
        self._now.start = max(self._first, frame - PROMPT_FRAMES)
        self._other.start = self._after(self._now.start)
        for window in (self._now, self._other):
            self._shorten(window, window.start)
        self._run([self._now], frame - self._now.start)

    def _shorten(self, window: _Window, column: int) -> None:
        for slot in window.slots:
            self._engine.rewind(slot, min(self._engine.length(slot), max(0, column - window.start)))

    def _clear_the_other(self) -> None:
        """Let the full window before this one go, which can be gone back into as long as it is not needed."""
        following = self._after(self._now.start)
        if self._other.start < self._now.start and self._column > following:
            self._other.start = following
            self._shorten(self._other, following)

    def _lag(self) -> int:
        """Columns that the other window has yet to be filled with; negative as long as it is not needed."""
        if self._other.start < self._now.start:
            return -1
        return self._column - self._held(self._other)

    def _held(self, window: _Window) -> int:
        """The first column that the window does not hold yet."""
        return window.start + self._engine.length(window.slots[0])

    def _run(self, windows: Sequence[_Window], count: int) -> None:
        """Let the decoder go through the next `count` columns of each of `windows`, and take over what it draws."""
        if count == 0:
            return
        begins = [self._held(window) for window in windows]
        spans = list(zip(windows, begins, strict=True))
        drawn = self._engine.advance(
            [slot for window in windows for slot in window.slots],
            torch.cat([self._columns(window, begin - 1, begin)[:, 0] for window, begin in spans]),
            torch.cat([self._columns(window, begin, begin + count) for window, begin in spans]),
            torch.cat([self._keys(begin, begin + count) for begin in begins]),
        )
        self._take_over(drawn[: len(self._seeds)], windows[0], begins[0])

    def _take_over(self, drawn: torch.Tensor, window: _Window, begin: int) -> None:
        """The columns from `begin` on are what `window` gave, shape (lanes, columns, codebooks)."""
        until = begin + drawn.shape[1]
        frames, books = self._places(begin, until)
        inside = frames >= window.start
        missing = until - self._first - self._tokens.shape[1]
        if missing > 0:
            self._tokens = torch.nn.functional.pad(self._tokens, (0, 0, 0, missing), value=UNKNOWN)
        self._tokens[:, frames[inside] - self._first, books[inside]] = drawn[:, inside]

    def _columns(self, window: _Window, begin: int, end: int) -> torch.Tensor:
        """Columns [begin, end) as `window` has them, shape (lanes, end - begin, codebooks): padded before its start."""
        columns = torch.full((len(self._seeds), end - begin, self._engine.config.codebooks), self._engine.config.vocab)
        frames, books = self._places(begin, end)
        inside = frames >= window.start
        known = inside & (frames < self._first + self._tokens.shape[1])
        columns[:, inside] = UNKNOWN
        columns[:, known] = self._tokens[:, frames[known] - self._first, books[known]]
        return columns

    def _places(self, begin: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Frame and codebook of every token of columns [begin, end), each of shape (end - begin, codebooks)."""
        books = torch.arange(self._engine.config.codebooks).expand(end - begin, -1)
        return torch.arange(begin, end)[:, None] - books, books

    def _keys(self, begin: int, end: int) -> torch.Tensor:
        """What seeds the draws of each column: the lane's seed and the column. Shape (lanes, end - begin)."""
        columns = np.arange(begin, end, dtype=np.uint64)
        return torch.stack([torch.from_numpy(_mix(columns, seed).view(np.int64)) for seed in self._seeds])

    def _forget(self, frame: int) -> None:
        """Let go of tokens before `frame`, now and then."""
        if frame - self._first > self._engine.window:
            self._tokens = self._tokens[:, frame - self._first :].clone()
            self._first = frame


def _mix(
    numbers: "np.ndarray[tuple[int], np.dtype[np.uint64]]", seed: int
) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    """A well-mixed 64-bit number for each of `numbers` (the finalizer of SplitMix64: Steele et al. 2014)."""
    mixed = (numbers + np.uint64(1)) * np.uint64(_GOLDEN) + np.uint64(seed * _GOLDEN % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return cast("np.ndarray[tuple[int], np.dtype[np.uint64]]", mixed ^ (mixed >> np.uint64(31)))
