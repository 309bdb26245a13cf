"""The mixer: what the timeline holds, brought to the session's loudness, faded, limited, never silent, never too loud.

It works on a grid of 100 ms counted from position 0, so its output does not depend on how it is asked. It
keeps its state at every line of the grid, so it can go back to a position and play what follows anew; the
samples before that position stay as they were heard.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from musicmed_live.core import loudness
from musicmed_live.core.ceilings import (
    AT_REST,
    FORESIGHT_GRIDS,
    LOWERING_FRAMES,
    SHORT_TERM_GRIDS,
    Ceilings,
    Plafond,
    Ride,
    loudest_of,
)
from musicmed_live.core.exposure import Energy, energy_of
from musicmed_live.core.fader import END_FRAMES, Fader
from musicmed_live.core.fill import RESUME_FRAMES, SEAM_FRAMES, Fill
from musicmed_live.core.generator import CHANNELS, Cue, Samples, frames_of
from musicmed_live.core.limiter import LOOKAHEAD, SPAN, Nodes, apply_nodes, limit_nodes
from musicmed_live.core.timeline import Timeline, crossfade_gains

GRID = loudness.METER_FRAMES
_SILENCE = np.zeros((GRID, CHANNELS), np.float32)
TARGET_LUFS = -23.0  # EBU R 128

_METER_GRIDS = 50  # the generator's loudness is averaged over about 5 s,
_SERVO_GRIDS = 300  # what it is off by is mended over about 30 s,
_SERVO_DB = 0.01  # never faster than 0.1 dB/s,
_SERVO_RANGE_DB = 8.0  # and never by more than this
_GATE_LUFS = -50.0  # nothing is learned from near silence

_FILL_LOOP_FRAMES = frames_of(2.0)  # where no bar line is known


@dataclass(frozen=True, slots=True)
class _State:
    """All that the mixer remembers from one line of the grid to the next."""

    energy: float = 0.0  # running mean of the generator's, 0 before it was heard
    servo_db: float = 0.0
    limiter_gain: float | None = None  # None before anything was heard
    fill: Fill | None = None
    resumed: int = 0  # where music was back after the last fill: before that the timeline may have a hole
    underruns: int = 0
    ride: Ride = AT_REST


@dataclass(frozen=True, slots=True)
class _Heard:
    """The beginning of a cell that is mixed anew: what was heard of it stays."""

    samples: Samples
    nodes: Nodes
    after: _State

    def until(self, frames: int) -> "_Heard":
        """Its first `frames`. The node after them is held, too: the line that was heard leads to it."""
        return replace(self, samples=self.samples[:frames], nodes=self.nodes[: math.ceil(frames / SPAN) + 1])

    def go_on(self, before: _State, position: int) -> _State:
        """The state `before` it, with the fill that was heard in it until `position`."""
        fill = self.after.fill
        if fill is None or fill.since >= position:
            return before
        if fill.resume is not None and fill.resume >= position:
            fill = replace(fill, resume=None)
        return replace(before, fill=fill, underruns=self.after.underruns)


@dataclass(frozen=True, slots=True)
class Level:
    """What the mixer has come to: the slow gain that brings a generator to its reference, and the fader."""

    energy: float  # running mean of the generator's, 0 before it was heard
    servo_db: float
    gain: float  # 0..1: where the fader is, or is going
    endings: tuple[tuple[int, int], ...]  # where each gets to silence, and within how many frames


class Mixer:
    """`read` gives any stretch from the last `forget` on; what was not mixed yet is mixed then."""

    def __init__(self, timeline: Timeline, length: int | None = None, ending_frames: int = END_FRAMES) -> None:
        """From `length` on silence is meant; the `ending_frames` before it fade out."""
        self._timeline = timeline
        self._states = {0: _State()}  # by grid position
        self._nodes: dict[int, Nodes] = {}  # the limiter's, where it was at work
        self._mixed: dict[int, Samples] = {}  # by grid position
        self._begin = self._end = 0  # of what is mixed, on the grid
        self._heard: _Heard | None = None  # of the grid cell at `_end`, before a rewind
        self._fader = Fader()
        self._plafond = Plafond()
        self._energies: dict[int, Energy] = {}  # of what is mixed, by grid position
        self._ahead: dict[int, Energy] = {}  # of what the timeline holds, by grid position
        if length is not None:
            self._fader.end_at(length, ending_frames)

    def level_at(self, position: int) -> Level:
        """What it has come to where `position` is being heard."""
        state = self._states[min(self._end, position - position % GRID)]
        return Level(state.energy, state.servo_db, self._fader.gain, self._fader.endings)

    def begin_at(self, position: int, level: Level, fade_frames: int) -> None:
        """Go on from another mixer's `level`, ending as that, with a fade in from `position`, before a read."""
        self._begin = self._end = position - position % GRID
        self._states = {self._end: _State(level.energy, level.servo_db)}
        self._fader.fade(self._end - 1, 1, 0.0)
        self._fader.fade(position, fade_frames, level.gain)
        self._fader.end_as(level.endings)

    @property
    def end(self) -> int:
        """Position up to which everything is mixed."""
        return self._end

    @property
    def filling(self) -> bool:
        """Whether the last bars are being repeated because the generator is late."""
        fill = self._states[self._end].fill
        return fill is not None and fill.resume is None

    @property
    def underruns(self) -> int:
        """Times that music was not there when it was due."""
        return self._states[self._end].underruns

    def read(self, position: int, frames: int) -> Samples:
        """Frames [position, position + frames), shape (frames, 2). Always as many as asked for, at least 1.

        Before it began there is silence: an encoder runs in over that.
        """
        while self._end < position + frames:
            self._mix_cell()
        first = position - position % GRID
        cells = [_SILENCE if p < self._begin else self._mixed[p] for p in range(first, position + frames, GRID)]
        joined = cells[0] if len(cells) == 1 else np.concatenate(cells)
        return joined[position - first : position - first + frames]

    def ready_until(self, position: int) -> int:
        """How far one can read from `position` on before something is missing. A cell is mixed as a whole."""
        ready, end = self._timeline.ready_until(position), self._fader.end
        if end is not None and ready >= end:
            return end
        foresight = 0 if self._plafond.open else GRID
        return max(self._end, (ready - LOOKAHEAD - foresight) // GRID * GRID)

    def rewind(self, position: int) -> None:
        """The timeline or a fade has changed from `position` on: mix anew from there."""
        for stale in [cell for cell in self._ahead if cell + GRID > position]:
            del self._ahead[stale]
        if position < self._end:
            self._go_back_to(position - position % GRID)
        if self._heard is not None:
            self._heard = self._heard.until(position - self._end) if position > self._end else None

    def fade(self, position: int, frames: int, gain: float) -> None:
        """From `position` on move the output to `gain` (0..1) within `frames`; replaces later fades."""
        self._fader.fade(position, frames, gain)
        self.rewind(position)

    def limit(self, position: int, ceilings: Ceilings, frames: int = LOWERING_FRAMES) -> None:
        """From the next line of the grid on play no louder than that; a ceiling that is lowered comes down in `frames`.

        Before anything was heard, it holds at once.
        """
        line = position + -position % GRID
        self._plafond.change(line, ceilings, frames)
        self.rewind(line)

    def energies(self, start: int, end: int) -> list[Energy]:
        """Of the mixed cells of 100 ms within [start, end), as they are heard; kept for 3 s more than `forget` says."""
        first = start + -start % GRID
        return [self._energies[cell] for cell in range(first, end - GRID + 1, GRID) if cell in self._energies]

    def end_at(self, position: int, fade_frames: int) -> None:
        """End at `position` already, silent from there on; the `fade_frames` before it fade out.

        These must not have been heard yet. An end later than the one that holds changes nothing.
        """
        if self._fader.end_at(position, fade_frames):
            self.rewind(position - fade_frames)

    def forget(self, position: int) -> None:
        """Nothing before `position` is read any more, and no rewind goes back before it."""
        cell = position - position % GRID
        for past in [p for p in self._states if p < cell]:
            del self._states[past]
            self._mixed.pop(past, None)
            self._nodes.pop(past, None)
        for past in [p for p in self._energies if p < cell - SHORT_TERM_GRIDS * GRID]:
            del self._energies[past]
        for past in [p for p in self._ahead if p < cell]:
            del self._ahead[past]
        self._fader.forget(cell)
        self._plafond.forget(cell)

    def _go_back_to(self, cell: int) -> None:
        """Forget what was mixed from the line `cell` of the grid on; that cell itself stays at hand in `_heard`."""
        self._heard = _Heard(
            self._mixed[cell], self._nodes.get(cell, np.ones(GRID // SPAN + 1)), self._states[cell + GRID]
        )
        for stale in range(cell, self._end, GRID):
            self._mixed.pop(stale, None)
            self._nodes.pop(stale, None)
            self._states.pop(stale + GRID, None)
        self._end = cell

    def _mix_cell(self) -> None:
        start, state, heard = self._end, self._states[self._end], self._heard
        heard_until = start
        if heard is not None:
            heard_until += len(heard.samples)
            state = heard.go_on(state, heard_until)
        music, state = self._music(start, heard_until, state)
        state, gain_db = self._serve(start, music[:GRID], state)
        first, last = (loudness.linear(TARGET_LUFS - loudness.REFERENCE_LUFS + db) for db in gain_db)
        gain = np.linspace(first, last, GRID, endpoint=False)
        gain = np.concatenate((gain, np.full(LOOKAHEAD, last))) * self._fader.gains(start, GRID + LOOKAHEAD)
        state, most = self._ride(start, music[:GRID], last, state)
        music *= gain[:, None].astype(np.float32)
        nodes = limit_nodes(music, state.limiter_gain, None if heard is None else heard.nodes, most)
        mixed = apply_nodes(music[:GRID], nodes)
        if heard is not None:
            mixed[: len(heard.samples)] = heard.samples
        if nodes is not None:
            self._nodes[start] = nodes
        self._mixed[start], self._energies[start] = mixed, energy_of(mixed)
        self._heard = None
        self._end = start + GRID
        self._states[self._end] = replace(state, limiter_gain=1.0 if nodes is None else float(nodes[-1]))

    def _ride(self, start: int, music: Samples, gain: float, state: _State) -> tuple[_State, Nodes | None]:
        """The state after a cell, and the most that the limiter may let through in it: None where there is no ceiling.

        `gain` is what the music is played with otherwise.
        """
        wanted, cells = self._plafond.wanted_at(start)
        if wanted.open and state.ride.at_rest:
            return replace(state, ride=AT_REST), None
        just_heard = self.energies(start - SHORT_TERM_GRIDS * GRID, start)
        ride = state.ride.lower(wanted, cells, loudest_of(just_heard))
        ahead = [energy.times(gain) for energy in self._look_ahead(start + GRID)]
        after, begins_db = ride.over(energy_of(music).times(gain), ahead)
        line_db = np.linspace(begins_db, after.gain_db, GRID // SPAN + 1)
        if not line_db.any():
            return replace(state, ride=after), None
        most = 10 ** (np.minimum(line_db[1:], line_db[:-1]) / 20)
        return replace(state, ride=after), np.append(most, np.full(LOOKAHEAD // SPAN, most[-1]))

    def _look_ahead(self, start: int) -> list[Energy]:
        """The energies of the cells from `start` on, as far as they are composed, and no further than there is need."""
        ready = min(self._meant(self._timeline.ready_until(start)), start + FORESIGHT_GRIDS * GRID)
        cells = range(start, ready - GRID + 1, GRID)
        for cell in cells:
            if cell not in self._ahead:
                self._ahead[cell] = energy_of(self._timeline.read(cell, GRID))
        return [self._ahead[cell] for cell in cells]

    def _serve(self, start: int, music: Samples, state: _State) -> tuple[_State, tuple[float, float]]:
        """One slow gain: brings a generator that is off its reference back to it, and leaves arousal its range."""
        clip = self._timeline.clip_at(start)
        energy = loudness.energy(music)
        if clip is None or state.fill is not None or loudness.loudness(energy) < _GATE_LUFS:
            return state, (state.servo_db, state.servo_db)
        mean = energy if state.energy == 0.0 else state.energy + (energy - state.energy) / _METER_GRIDS
        meant = loudness.REFERENCE_LUFS + loudness.AROUSAL_LU * clip.emotion_at(start).arousal
        wanted = min(_SERVO_RANGE_DB, max(-_SERVO_RANGE_DB, meant - loudness.loudness(mean)))
        step = min(_SERVO_DB, max(-_SERVO_DB, (wanted - state.servo_db) / _SERVO_GRIDS))
        after = replace(state, energy=mean, servo_db=state.servo_db + step)
        return after, (state.servo_db, after.servo_db)

    def _music(self, start: int, heard_until: int, state: _State) -> tuple[Samples, _State]:
        """The cell at `start` and the look-ahead after it; filled where the generator is late."""
        frames = GRID + LOOKAHEAD
        music = self._timeline.read(start, frames)
        state = self._fill_or_resume(start, heard_until, state)
        return (music if state.fill is None else state.fill.over(music, start)), state

    def _fill_or_resume(self, start: int, heard_until: int, state: _State) -> _State:
        due = self._meant(start + GRID)
        ready = self._timeline.ready_until(start)
        fill = state.fill
        if fill is not None and fill.resume is not None and start >= fill.resume + len(fill.loop) + SEAM_FRAMES:
            state = replace(state, resumed=fill.resume)
            fill = None  # there is a bar of music again that could be repeated
        if ready < due and (fill is None or fill.resume is not None):
            gives_way = fill is not None and fill.gives_way_at(heard_until)  # only this one can go on from there
            begun = self._start_fill(heard_until if gives_way else max(ready, heard_until), fill, state.resumed)
            return replace(state, fill=begun, underruns=state.underruns + 1)
        back = heard_until + RESUME_FRAMES
        back += -back % GRID  # a fill may begin in any cell but one in which another still gives way to the music
        if fill is not None and fill.resume is None and ready >= self._meant(back):
            fill = replace(fill, resume=heard_until)
        return replace(state, fill=fill)

    def _meant(self, position: int) -> int:
        """`position`, or where the session ends before it: the silence after that is meant."""
        return position if self._fader.end is None else min(position, self._fader.end)

    def _start_fill(self, since: int, before: Fill | None, resumed: int) -> Fill:
        last = self._timeline.read(since - 1, 1)
        fresh = self._timeline.repeats_from
        if fresh and since - fresh < _FILL_LOOP_FRAMES:  # too little to repeat
            ended = last if before is None else before.over(last, since - 1)
            return Fill(since, np.zeros((_FILL_LOOP_FRAMES, CHANNELS), np.float32), ended)
        resumed = max(resumed, fresh)
        if before is not None:  # the music is late again, and there is no other bar to repeat yet
            level = before.level_at(since)
            step = before.over(last, since - 1) - level * before.loop[:1]
            return Fill(since, before.loop, step, level=level)
        seam = min(SEAM_FRAMES, (since - resumed) // 2)
        frames = max(1, min(self._last_bar_frames(since), since - seam - resumed))
        lead_in = self._timeline.read(since - frames - seam, frames + seam)
        loop = lead_in[seam:].copy()
        out_gain, in_gain = crossfade_gains(np.arange(seam) / max(1, seam), 0.0)
        loop[frames - seam :] = loop[frames - seam :] * out_gain[:, None] + lead_in[:seam] * in_gain[:, None]
        return Fill(since, loop, last - loop[:1])

    def _last_bar_frames(self, since: int) -> int:
        """From the last bar line that is not too near up to `since`; something like a bar where none is known."""
        clip = self._timeline.clip_at(since - 1) if since else None
        blocks = clip.track.between(max(0, since - frames_of(5.0)), since) if clip else []
        bars = [since - block.position for block in blocks if block.cue is Cue.BAR]
        return min((bar for bar in bars if bar >= _FILL_LOOP_FRAMES // 2), default=_FILL_LOOP_FRAMES)
