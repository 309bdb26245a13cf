"""Who plays a session: the generator that was chosen, or the composer in its place."""

import asyncio
import math
from collections.abc import Callable

from musicmed_live.core.generator import ClipRequest
from musicmed_live.core.session import Session
from musicmed_live.service.comeback import Comeback
from musicmed_live.service.sources import Part, Source, Sources
from musicmed_live.service.warden import Warden

IDLE_SECONDS = 30.0  # who has not played for so long makes room for who does


class Cast:
    """Has the part that is composed, and gets one of the chosen generator ready while the composer stands in for it."""

    def __init__(
        self,
        name: str,
        session: Session,
        sources: Sources,
        warden: Warden,
        next_entry: Callable[[int], ClipRequest | None],
        chosen_is_ready: Callable[[], None],
    ) -> None:
        """`name` is the session's. `next_entry` and `chosen_is_ready` are what `Comeback` asks for and calls."""
        self.workers = {source.name: source.workers.assign() for source in sources.all}
        self._name, self._session, self._sources, self._warden = name, session, sources, warden
        plays = sources.chosen.absence is None and not warden.bars(sources.chosen)
        self.part = self._open_part(sources.chosen if plays else sources.stand_in)
        self.comeback = Comeback(sources.chosen, lambda: self._open_part(sources.chosen), next_entry, chosen_is_ready)
        self._played = -math.inf  # when the play-head moved last, by the loop's clock

    @property
    def stands_in(self) -> bool:
        """Whether the composer plays in the chosen generator's place."""
        return self._sources.differ and self.part.source is self._sources.stand_in

    @property
    def is_barred(self) -> bool:
        """Whether the generator that plays may not."""
        return self._warden.bars(self.part.source)

    @property
    def is_to_make_room(self) -> bool:
        """Whether somebody who plays would have the chosen generator's voice, of which nothing is heard here."""
        if self.stands_in or not self._sources.chosen.full:
            return False
        return self._sources.chosen.claimed and _now() - self._played > IDLE_SECONDS

    @property
    def absence(self) -> str:
        """Why the chosen generator is not heard."""
        chosen = self._sources.chosen
        barred = self._sources.barred(self._session.bounds)
        if barred is not None:
            return barred
        soon = f"{chosen.title} is about to take over"
        if not self.stands_in:
            return soon
        absence = None if self.comeback.busy else chosen.absence  # it takes up room itself
        return absence or self.comeback.fault or soon

    def wants_chosen(self, playing: bool) -> bool:
        """Whether the chosen generator should get ready: its room goes to sessions that play."""
        chosen = self._sources.chosen
        if not self.stands_in or self._warden.bars(chosen):
            return False
        return playing or not (chosen.full or chosen.claimed)

    def let_stand_in(self) -> None:
        """From now on the composer is asked, with a new voice."""
        self.hand_over(self._open_part(self._sources.stand_in))

    def hand_over(self, part: Part) -> None:
        """Go on with another part."""
        self.part.close()
        self.part = part

    def watch(self, heard: int, playing: bool) -> None:
        """To be called again and again, with what is heard."""
        self.comeback.watch(heard)
        if playing:
            self._played = _now()

    async def run(self) -> None:
        """Get the chosen generator ready whenever the composer stands in for it."""
        if self._sources.differ:
            await self.comeback.run()

    def close(self) -> None:
        """Let go of the voices."""
        self.part.close()
        self.comeback.close()

    def _open_part(self, source: Source) -> Part:
        session = self._session
        return Part(self._name, session.wish.seed, source, self.workers[source.name], lambda: session.bounds)


def _now() -> float:
    return asyncio.get_running_loop().time()
