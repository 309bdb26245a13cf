"""The runway of a session: how much music there is ahead of what is heard, and from where on it may be changed."""

from musicmed_live.core.generator import Cue, frames_of
from musicmed_live.core.timeline import Timeline
from musicmed_live.service.playhead import Playhead
from musicmed_live.service.sources import Part, Sources

RUNWAY_FRAMES = frames_of(0.6)  # less than that is not given up for something new
GUARD_FRAMES = frames_of(0.02)  # a splice is never nearer to what is heard


class Runway:
    """Reckons with what the timeline holds beyond the play-head."""

    def __init__(self, timeline: Timeline, playhead: Playhead, sources: Sources) -> None:
        self._timeline, self._playhead, self._sources = timeline, playhead, sources

    @property
    def until(self) -> int:
        """Position up to which there is music."""
        return self._timeline.ready_until(self._playhead.heard)

    @property
    def left(self) -> int:
        """Frames of music ahead of what is heard."""
        return self.until - self._playhead.heard

    @property
    def soonest(self) -> int:
        """The first position from which on the music may still be changed."""
        return self._playhead.heard + (GUARD_FRAMES if self._playhead.playing else 0)

    def breaks_off(self, part: Part) -> bool:
        """Whether the play-head stands, and the music ahead of it has a hole before what the part made last.

        It goes no further before there is music: it would wait for ever.
        """
        return not self._playhead.playing and self.until < min(part.track.end, self._timeline.end)

    def can_be_cut(self, part: Part) -> bool:
        """Whether there is music to cut for `part`, and enough of it that a burst of wishes does not eat it up."""
        left, source = self.left, part.source
        needed = max(RUNWAY_FRAMES, self._sources.margin_frames(source) + self._sources.floor_frames(source))
        return self.breaks_off(part) or (left > 0 and (not self._playhead.playing or left >= needed))

    def reachable(self, part: Part, kind: Cue) -> int:
        """The first cue of that kind, or else the first of a lesser one, for which a block can be made in time."""
        voice = part.voice
        margin = self._sources.margin_frames(part.source) if self._playhead.playing else 0
        earliest = self._playhead.heard + margin
        if not voice.remembers(min(earliest, voice.end)):
            return earliest
        for cue in (part.track.next_cue(earliest, kind) for kind in (kind, Cue.BEAT, Cue.FREE)):
            if cue is not None and cue <= voice.end:
                return cue
        return min(earliest, voice.end)

    def is_continued(self, part: Part, position: int) -> bool:
        """Whether the part's voice goes on at `position` from the very music that is heard up to there."""
        below = self._timeline.clip_at(position - 1)
        track = part.track
        return position >= self.soonest and below is not None and below.track is track and track.end >= position
