"""What holds a session's music to its bounds: what must not be heard, and what was asked for under other bounds."""

from collections.abc import Iterable

from musicmed_live.core.generator import Block, ClipRequest, frames_of
from musicmed_live.core.session import Session
from musicmed_live.core.timeline import Timeline
from musicmed_live.service.sources import Source, Sources

FORBIDDEN_FRAMES = frames_of(2.5)  # so long may be heard what has become forbidden, whether there is other music or not


class Warden:
    """Looks at the music of one session; what is to be done about it is its conductor's affair."""

    def __init__(self, session: Session, sources: Sources, timeline: Timeline) -> None:
        self._session, self._sources, self._timeline = session, sources, timeline
        self._heeded = session.bounds.composed
        self._forbidden_since: int | None = None  # what is heard must not be, from this position on

    def sees_a_change(self) -> bool:
        """Whether the bounds of what is composed have changed since it was asked last."""
        before, self._heeded = self._heeded, self._session.bounds.composed
        return self._heeded != before

    def bars(self, source: Source) -> bool:
        """Whether this generator may not play."""
        return source is not self._sources.stand_in and self._sources.barred(self._session.bounds) is not None

    def covers(self, request: ClipRequest) -> bool:
        """Whether a clip that was asked for so keeps the bounds."""
        return self._session.bounds.covers(request)

    def forbids(self, start: int, end: int) -> bool:
        """Whether anything must not be heard of what sounds in [start, end)."""
        return self._breaks(self._timeline.blocks(start, end)) or self.forbids_fading(start, end)

    def forbids_fading(self, start: int, end: int) -> bool:
        """Whether anything must not be heard of what fades out in [start, end), under other music."""
        return self._breaks(self._timeline.fading(start, end))

    def calls_for_silence(self, heard: int) -> bool:
        """Whether what must not be heard goes on for too long, as nobody makes other music; to be asked often."""
        if not self._breaks(self._timeline.blocks(heard, heard + 1)):
            self._forbidden_since = None
        elif self._forbidden_since is None:
            self._forbidden_since = heard
        return self._forbidden_since is not None and heard - self._forbidden_since > FORBIDDEN_FRAMES

    def _breaks(self, blocks: Iterable[Block]) -> bool:
        return any(map(self._session.bounds.broken_by, blocks))
