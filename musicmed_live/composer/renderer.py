"""From notes to samples: every note is added to the bus of its instrument, the buses to the stage and the hall."""

import copy
import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from musicmed_live.composer.instruments import DRUM_BANK, INSTRUMENTS
from musicmed_live.composer.room import HALL_FRAMES, Mono, Planes, Room
from musicmed_live.composer.sampler import Sampler, layer_of
from musicmed_live.composer.score import Note
from musicmed_live.composer.tone import LONGEST_RELEASE, RELEASE_DB, Tone, gain_of_db
from musicmed_live.core.generator import CHANNELS, Samples, frames_of

LOUDNESS_EXPONENT = 1.7  # amplitude over velocity: -13 dB from 127 to 52, about the span of a player

_REMEMBERED = frames_of(15.0)
_RINGS = frames_of(3.0)  # a struck drum is not damped: however short its note, it sounds for this long
_END_FADE = frames_of(0.003)

_Buses = dict[tuple[str, int], Planes]  # by instrument and number of channels


@dataclass(frozen=True, slots=True, eq=False)
class _Sounding:
    """A note that has begun and is not silent yet."""

    note: Note
    tone: Tone
    gain: np.float32  # of one step of the tone's wave
    let_go: int  # position at which the key is released
    end: int  # position from which on it is silent


class Renderer:
    """Plays notes into samples, stretch by stretch; any split gives the same sound to 1e-5.

    The 15 s before the furthest position that was rendered are remembered, so that `rewind` may go back there.
    """

    position: int  # where the next stretch begins

    def __init__(self, sampler: Sampler, position: int = 0) -> None:
        """Silent until `position`."""
        self.position = position
        self._sampler = sampler
        self._room = Room(position)
        self._sounding: list[_Sounding] = []
        self._silent: list[tuple[Note, int]] = []  # remembered notes that have ended, and where
        self._skipped: tuple[Note, ...] = ()  # begun before `position`, and not sounded yet
        self._oldest = position  # where the memory begins

    def render(self, notes: Sequence[Note], until: int) -> Samples:
        """Adds `notes` and returns the frames [position, until), shape (frames, 2), about -1..1, not limited.

        Raises `ValueError` where `until` lies before `position` or a note begins outside of that stretch,
        `KeyError` for an unknown instrument, and what `Sampler.tone` raises.
        """
        if until < self.position:
            raise ValueError(f"cannot render until {until}: already at {self.position}; rewind first")
        for note in notes:
            if not self.position <= note.position < until:
                raise ValueError(f"a note at {note.position} is not within {self.position} .. {until}")
        self._catch_up()
        self._sounding += [self._begin(note) for note in notes]
        buses: _Buses = {}
        for sounding in self._sounding:
            self._mix(sounding, buses, until)
        samples = self._mix_down(buses, until - self.position)
        self.position = until
        self._forget_ended()
        return samples

    def skip(self, notes: Sequence[Note], until: int) -> None:
        """Goes on to `until` without a sound; `notes`, which begin before that, then ring on as what rings now does.

        Nothing before `until` is remembered.
        """
        self._skipped = (*self.ringing, *notes)
        self._sounding, self._silent = [], []
        self.position = self._oldest = until
        if not self._skipped:  # else `_catch_up` makes a new room, which takes a while
            self._room = Room(until)

    def rewind(self, position: int) -> None:
        """Goes back to `position`: forgets the notes that begin there or later, lets go the keys of those that sound.

        Raises `ValueError` where `position` lies ahead or before what is remembered.
        """
        if not self._oldest <= position <= self.position:
            raise ValueError(f"cannot rewind to {position}: {self._oldest} .. {self.position} is remembered")
        self._catch_up()
        begun = [*self._silent, *((sounding.note, sounding.end) for sounding in self._sounding)]
        earlier = [(note, end) for note, end in begun if note.position < position]
        self._silent = [(note, end) for note, end in earlier if end <= position]
        self._sounding = [
            self._begin(replace(note, frames=min(note.frames, position - note.position)))
            for note, end in earlier
            if end > position
        ]
        self._room.rewind(position)
        self.position = position

    def rings(self, instruments: Collection[str]) -> bool:
        """Whether anything is still heard of one of these, in the hall at least."""
        if any(note.instrument in instruments for note in self._skipped):
            self._catch_up()
        since = self.position - HALL_FRAMES
        heard = (*((one.note, one.end) for one in self._sounding), *self._silent)
        return any(end > since and note.instrument in instruments for note, end in heard)

    @property
    def ringing(self) -> tuple[Note, ...]:
        """The notes that have begun and are still heard, in the hall at least."""
        since = self.position - HALL_FRAMES
        silent = [note for note, end in self._silent if end > since]
        return (*self._skipped, *silent, *(one.note for one in self._sounding))

    def fork(self) -> "Renderer":
        """Another one that goes on from here by itself."""
        twin = copy.copy(self)
        twin._room = self._room.fork()
        twin._sounding, twin._silent = self._sounding.copy(), self._silent.copy()
        return twin

    def _catch_up(self) -> None:
        """Sound what is still heard of the notes that were skipped, which takes longer than all that is asked for."""
        if not self._skipped:
            return
        skipped, position, self._skipped = self._skipped, self.position, ()
        self.position = max(0, position - HALL_FRAMES)
        since = self.position - LONGEST_RELEASE
        self._room = Room(self.position)
        self._sounding = [self._begin(note) for note in skipped if note.position + _held(note) > since]
        self.render((), position)
        self._oldest = position

    def _begin(self, note: Note) -> _Sounding:
        instrument = INSTRUMENTS[note.instrument]
        layer = layer_of(note.velocity)
        held = _held(note)
        tone = self._sampler.tone(instrument, note.key, layer, held)
        gain = 10 ** ((instrument.gain_db + note.level_db) / 20)
        gain *= (note.velocity / 100) ** LOUDNESS_EXPONENT * tone.scale
        sounds = held + tone.release_frames
        if tone.complete:
            sounds = min(sounds, tone.wave.shape[1])
        return _Sounding(note, tone, np.float32(gain), note.position + held, note.position + sounds)

    def _mix(self, sounding: _Sounding, buses: _Buses, until: int) -> None:
        """Adds what the note sounds during [position, until) to the bus of its instrument."""
        onset, tone = sounding.note.position, sounding.tone
        begin = max(onset, self.position)
        end = max(begin, min(sounding.end, until))  # a tone that was made anew after a rewind may end earlier
        name = (sounding.note.instrument, len(tone.wave))
        if name not in buses:
            buses[name] = np.zeros((len(tone.wave), until - self.position), np.float32)
        bus = buses[name][:, begin - self.position : end - self.position]
        wave = tone.wave[:, begin - onset : end - onset]
        held = min(max(sounding.let_go - begin, 0), end - begin)
        bus[:, :held] += wave[:, :held] * sounding.gain
        if held < end - begin:
            fading = _release(tone.release_frames)[begin + held - sounding.let_go : end - sounding.let_go]
            bus[:, held:] += wave[:, held:] * (fading * sounding.gain)

    def _mix_down(self, buses: _Buses, frames: int) -> Samples:
        """Seats the buses on the stage and adds the hall's answer."""
        stage = np.zeros((CHANNELS, frames), np.float32)
        send = np.zeros(frames, np.float32)
        for (name, channels), bus in buses.items():
            instrument = INSTRUMENTS[name]
            for side, seat, gain in zip(stage, (bus[0], bus[-1]), _seat_gains(instrument.pan), strict=True):
                side += seat * np.float32(gain)
            # both sides of a stereo recording differ, so that their powers add, not their amplitudes
            send += bus.sum(axis=0) * np.float32(instrument.room_send / math.sqrt(channels))
        stage += self._room.render(send)
        return np.ascontiguousarray(stage.T)

    def _forget_ended(self) -> None:
        self._oldest = max(self._oldest, self.position - _REMEMBERED)
        ended = [(sounding.note, sounding.end) for sounding in self._sounding if sounding.end <= self.position]
        since = self._oldest - HALL_FRAMES  # where a rewind may lead to, the hall still answers them
        self._silent = [(note, end) for note, end in [*self._silent, *ended] if end > since]
        self._sounding = [sounding for sounding in self._sounding if sounding.end > self.position]


def _held(note: Note) -> int:
    """For how many frames its key is held."""
    return max(note.frames, _RINGS) if INSTRUMENTS[note.instrument].bank == DRUM_BANK else note.frames


def _seat_gains(pan: float) -> tuple[float, float]:
    """Left and right, of equal power wherever the seat is; 1 and 1 in the middle."""
    angle = (pan + 1) * math.pi / 4
    return math.sqrt(2) * math.cos(angle), math.sqrt(2) * math.sin(angle)


@lru_cache(maxsize=64)
def _release(frames: int) -> Mono:
    """The gain after letting go a key: falls by `RELEASE_DB` evenly in dB, then to nothing."""
    gain = gain_of_db(np.arange(frames, dtype=np.float32) * np.float32(-RELEASE_DB / frames))
    gain[-_END_FADE:] *= np.linspace(1, 0, _END_FADE, dtype=np.float32)
    return gain
