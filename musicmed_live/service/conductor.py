"""What keeps one session's music going: what is composed next, by whom, and where it enters.

What needs new music is noted and taken up by `compose`, the one task that changes the timeline's music. Where the
chosen generator cannot play, or falls behind, the composer stands in for it (`cast.py`): it opens a voice of its own,
which fades in over what is there, while `comeback` gets the chosen one ready to take over again.

The session's bounds go before all that. Nothing enters a track that breaks them (`Part.check`); what was composed
before they changed, and may break them, is given up at the first cue that can be reached.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from musicmed_live.core.events import Land, Recompose
from musicmed_live.core.generator import SAMPLE_RATE, Block, ClipRequest, Cue, frames_of
from musicmed_live.core.mixer import Mixer
from musicmed_live.core.session import Session
from musicmed_live.core.snapshot import Passage, Past
from musicmed_live.core.timeline import Clip, Timeline
from musicmed_live.errors import GeneratorFailed, MusicmedError, WorkerDied
from musicmed_live.recognition.audition import Trial
from musicmed_live.service import landing
from musicmed_live.service.cast import Cast
from musicmed_live.service.hearing import Hearing
from musicmed_live.service.landing import Landing
from musicmed_live.service.past import passage_of, take_up
from musicmed_live.service.playhead import Playhead
from musicmed_live.service.runway import Runway
from musicmed_live.service.sources import BrokenBounds, Part, Sources
from musicmed_live.service.warden import Warden
from musicmed_live.service.workers import MAX_DEATHS

log = logging.getLogger(__name__)

HORIZON_FRAMES = frames_of(9.0)  # so much is composed ahead of what is heard
PREROLL_FRAMES = frames_of(2.0)  # so much the composer composes before the play-head may go,
RESUMED_PREROLL_FRAMES = frames_of(1.0)  # less where somebody waits for music that had been playing,
CHOSEN_PREROLL_FRAMES = frames_of(1.0)  # and at least so much a generator that takes longer, and can be stood in for
SPLICE_FRAMES = frames_of(1.0)  # fade between two threads of music
RESUME_FRAMES = frames_of(0.5)  # in which a session fades in that goes on in another process
LANDING_OUT_FRAMES = frames_of(2.5)
LATE_FRAMES = frames_of(1.5)  # with less than that ahead the chosen generator is too late,
GATHERING = 0.1  # but from what a cut leaves it may gather that at this rate
START_SECONDS = 3.0  # nobody waits longer than that for the chosen generator's first music,
PATIENCE_SECONDS = 0.5  # nor much longer than twice what it takes to make enough of something new
HUNG_SECONDS = 0.5  # a call to the composer seldom takes so long
LEAST_REST_FRAMES = frames_of(15.0)  # nobody takes over so near to the end
BREAK_FRAMES = frames_of(0.25)  # in which music fades out that must not be heard any more
BROKEN_SECONDS = 1.0  # after the composer broke the bounds it is asked again
TRIAL_FRAMES = frames_of(4.0)  # a clip is tried as long as there is so much music ahead

Announce = Callable[[int, str], None]
T = TypeVar("T")


class Overdue(GeneratorFailed):
    """A voice was waited for as long as the music allowed."""


class Conductor:
    """The music of one session. `compose`, `prepare_landing` and `come_back` run as tasks."""

    def __init__(
        self,
        name: str,
        patient: str,
        session: Session,
        sources: Sources,
        playhead: Playhead,
        announce: Announce,
        progress: Callable[[], None],
    ) -> None:
        """`announce` is told where and why the music changes; `progress` is called when some more is there."""
        self.timeline = Timeline()
        self.mixer = Mixer(self.timeline, session.ends, session.wish.ending_frames)
        self.wanted: Recompose | Land | None = None  # what is to be composed next, before more of the same
        self.settled = asyncio.Event()  # so much is composed that there is nothing to do
        self.complete = False  # everything up to the end is composed
        self.bridges = 0  # times that the composer took over from the chosen generator
        self.broken = 0  # times that a generator made what is forbidden
        sources.check_wish(session.bounds.generator)
        self._patient = patient
        self._session, self._sources, self._playhead = session, sources, playhead
        self._runway = Runway(self.timeline, playhead, sources)
        self._warden = Warden(session, sources, self.timeline)
        self._request: ClipRequest | None = None  # for the clip that the part is in
        self._announce, self._progress = announce, progress
        self._cast = Cast(name, session, sources, self._warden, self._next_entry, self._chosen_is_ready)
        self.hearing = Hearing(patient, sources.judge, self.timeline)
        self._changed = 0  # what was heard when the music was last changed
        self._wake = asyncio.Event()
        self._landing = Landing(session, self._cast.workers[sources.stand_in.name])
        self._past: Past | None = None  # of another process, from which the music is to go on
        self._resumed = False
        self._limit: asyncio.Timeout | None = None  # while a voice is waited for,
        self._asked = 0.0  # since then, by the loop's clock

    @property
    def ready(self) -> bool:
        """Whether the play-head may go: there is music, and what was asked for before is composed."""
        source = self._part.source
        chosen = self._sources.differ and source is self._sources.chosen
        least = RESUMED_PREROLL_FRAMES if self._resumed else PREROLL_FRAMES
        enough = max(CHOSEN_PREROLL_FRAMES, self._sources.enough_frames(source)) if chosen else least
        unasked = self.wanted is None and self._past is None
        return unasked and (self._runway.left >= enough or self.complete)

    def generator_at(self, position: int) -> dict[str, str | None]:
        """The `generator` of the `state` message: who plays at `position`, and why it is not the chosen one."""
        clip = self.timeline.clip_at(position)
        track = self._part.track if clip is None else clip.track
        chosen = self._sources.chosen.name
        if track.generator == chosen:
            reason = None
        else:
            reason = landing.REASON if self._landing.is_on(track) else self._cast.absence
        return {"name": track.generator, "chosen": chosen, "reason": reason}

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The clips from the one that is heard on, as far as they can be made again."""
        if self._past is not None:
            return self._past.snapshot.passages  # none of them is made again yet
        clips = [clip for clip in self.timeline.clips if clip.end > self._playhead.heard]
        made = [(clip, clip.track.recipe_at(clip.position)) for clip in clips]
        return tuple(passage_of(clip, recipe) for clip, recipe in made if recipe is not None)

    def go_on(self, past: Past) -> None:
        """Let the music of another process go on, before anything is composed."""
        self._past, self.wanted, self._resumed = past, past.wanted, True
        self.mixer.begin_at(past.position, past.snapshot.level, RESUME_FRAMES)

    def wake(self) -> None:
        """Something may be to do."""
        self._wake.set()

    def _chosen_is_ready(self) -> None:
        """The chosen generator can take over."""
        self.hearing.stop_trying()
        self.wake()

    def want(self, action: Recompose | Land) -> None:
        """Note what is to be composed. A later wish replaces an earlier one, but none is made to wait for a bar."""
        if isinstance(action, Recompose) and isinstance(self.wanted, Recompose) and self.wanted.cue is Cue.BEAT:
            action = replace(action, cue=Cue.BEAT)
        self.wanted = action
        self._cast.comeback.drop()
        self.hearing.stop_trying()

    def land(self, action: Land) -> None:
        """Put the landing music that is kept ready over everything, now, and want more of the kind."""
        if not self._playhead.playing and self._runway.until < action.position:
            # The play-head waits for music: it would never get over the hole before this.
            action = replace(action, position=self._playhead.heard)
        clip = self._landing.clip(action)
        if clip is None:
            self.want(Recompose(Cue.BEAT, "too_much"))
        else:
            self._put(clip)
            self.want(action)

    def watch(self) -> None:
        """Stop waiting for a voice where another one must go on, or can. To be called again and again."""
        self._cast.watch(self._playhead.heard, self._playhead.playing)
        if self._warden.calls_for_silence(self._playhead.heard):
            self._fall_silent()
        if self._runway.left < TRIAL_FRAMES:
            self.hearing.stop_trying()
        if self._runway.breaks_off(self._part) or self._is_to_make_room():
            self.wake()  # nothing else does while the play-head stands
        if self._limit is not None and self._is_overdue():
            limit, self._limit = self._limit, None
            limit.reschedule(_now())

    def close(self) -> None:
        """Let go of the voices."""
        self._cast.close()

    async def compose(self) -> None:
        """Compose ahead of what is heard, whatever happens, until cancelled.

        Raises what keeps the last generator from it, again and again.
        """
        failures = 0
        while True:
            try:
                await self._compose_next()
                failures = 0
            except MusicmedError as fault:
                if isinstance(fault, BrokenBounds):
                    self.broken += 1
                if self._part.source is not self._sources.stand_in:
                    self._bridge(fault)
                elif isinstance(fault, BrokenBounds):
                    await self._begin_anew(fault)
                elif not isinstance(fault, Overdue):
                    failures += 1
                    if failures == MAX_DEATHS:
                        raise
                    log.warning("%s: %s", self._patient, fault)
            self._progress()

    async def prepare_landing(self) -> None:
        """Compose the calm music that is kept ready, as soon as there is time for it."""
        await self._landing.prepare()

    async def come_back(self) -> None:
        """Get the chosen generator ready whenever the composer stands in for it."""
        await self._cast.run()

    @property
    def _part(self) -> Part:
        """What is composed, and by whom."""
        return self._cast.part

    def _is_to_make_room(self) -> bool:
        """Whether the chosen generator's voice is for others; not before the music of another process goes on."""
        return self._past is None and self._cast.is_to_make_room

    async def _compose_next(self) -> None:
        if self._playhead.started and self._sources.differ:
            self._landing.settled.set()  # the composer has nothing else to do
        self._heed_bounds()
        if self._is_to_make_room():
            self._cast.let_stand_in()
        wish = self.wanted
        match wish:
            case _ if self._past is not None:
                await self._take_up_past(self._past)
            case _ if self._may_take_back():
                self._take_back()
            case Land():
                await self._take_up(wish, Cue.BEAT, "too_much", self.timeline.end - LANDING_OUT_FRAMES)
            case Recompose(cue, reason) if self._has_runway() or self._is_stale():
                await self._take_up(wish, cue, reason)
            case _ if self._thread_is_lost():
                await self._take_up(None, Cue.BEAT, "late", self._runway.until - SPLICE_FRAMES)
            case _ if self._part.voice.end - self._playhead.heard < HORIZON_FRAMES and not self.complete:
                await self._extend()
            case _:
                if self._playhead.started:
                    self._landing.settled.set()
                self.settled.set()
                self._wake.clear()
                await self._wake.wait()

    async def _ask(self, call: Coroutine[Any, Any, T]) -> T:
        """Wait for a voice, but no longer than `watch` allows. Raises `Overdue`."""
        try:
            async with asyncio.timeout(None) as self._limit:
                self._asked = _now()
                return await call
        except TimeoutError:
            raise Overdue(f"{self._part.source.title} fell behind") from None
        finally:
            self._limit = None

    def _is_overdue(self) -> bool:
        waited = _now() - self._asked
        if not self._sources.differ:
            return False
        if self._cast.stands_in:
            return waited > HUNG_SECONDS and self._may_take_back()
        making = self._sources.margin_frames(self._part.source) / SAMPLE_RATE
        if self.wanted is not None and waited > 2 * making + PATIENCE_SECONDS:
            return True
        if not self._playhead.playing:
            return self._playhead.waited_seconds > START_SECONDS
        return not self.complete and self._runway.left < self._least_left()

    def _least_left(self) -> int:
        """With less than that ahead the chosen generator is too late. After a cut it may take its time to gather it."""
        since = 0 if self.wanted else self._playhead.heard - self._changed
        return min(LATE_FRAMES, self._sources.floor_frames(self._part.source) + round(GATHERING * since))

    def _bridge(self, fault: MusicmedError) -> None:
        """Let the composer go on."""
        log.warning("%s: the composer takes over: %s", self._patient, fault)
        words = str(fault) if isinstance(fault, Overdue) else f"{self._sources.chosen.title} failed: {fault}"
        self._cast.comeback.fell_behind(words)
        self._cast.let_stand_in()
        self.bridges += 1

    async def _begin_anew(self, fault: BrokenBounds) -> None:
        """Drop what the composer has made, and let it begin anew a little later: the last bars will do until then."""
        log.error("%s: %s", self._patient, fault)
        self._cast.let_stand_in()
        await asyncio.sleep(BROKEN_SECONDS)

    def _heed_bounds(self) -> None:
        """Where the bounds have changed, give up what was made before and may break them."""
        if not self._warden.sees_a_change():
            return
        self._cast.comeback.drop()
        self._landing.renew()
        if self._cast.is_barred:
            self._cast.let_stand_in()
        broken = self._warden.forbids(self._playhead.heard, self.timeline.end)
        if broken or (self._is_stale() and self.wanted is None):
            self.want(Recompose(Cue.BEAT, "bounds"))

    def _fall_silent(self) -> None:
        """End what is heard: nobody makes other music in time, and silence is better."""
        position = min(self._runway.soonest, self.timeline.end)
        for clip in self.timeline.clips:
            clip.track.cut(position)
        self.timeline.cut(position)
        self.timeline.repeats_from = position
        self.mixer.rewind(position)
        self._announce(position, "bounds")

    def _is_stale(self) -> bool:
        """Whether the clip that the part is in was asked for under other bounds, and may break those that hold now."""
        return self._cast.is_barred or (self._request is not None and not self._warden.covers(self._request))

    def _next_entry(self, ahead_frames: int) -> ClipRequest | None:
        """The clip with which the chosen generator takes over from the composer, at a bar line if one is near."""
        heard, length = self._playhead.heard, self._session.ends
        if self.wanted is not None or not self._cast.wants_chosen(self._playhead.playing):
            return None
        if length is not None and length - heard < ahead_frames + LEAST_REST_FRAMES:
            return None
        if not self._playhead.started:
            return self._session.next_clip(heard)
        earliest = heard + ahead_frames
        return self._session.next_clip(self.timeline.bar_near(earliest))

    def _may_take_back(self) -> bool:
        """Whether the chosen generator's music is there, and the composer's up to it."""
        stock = self._cast.comeback.stock
        return stock is not None and self.wanted is None and self._runway.until >= stock.request.position

    def _take_back(self) -> None:
        """Let the chosen generator go on, if there is still enough of its music to come."""
        stock = self._cast.comeback.take(self._runway.soonest)
        if stock is not None:
            self._cast.hand_over(stock.part)
            self.complete = False
            self._splice(stock.request.position, stock.request, SPLICE_FRAMES, "return")

    async def _take_up_past(self, past: Past) -> None:
        """Make again what another process had made of the clip that is heard, or begin a new thread there."""
        try:
            clip = await self._ask(take_up(past, self._part))
        except WorkerDied:
            raise  # another process can try again
        except GeneratorFailed as fault:
            log.warning("%s: the music begins anew: %s", self._patient, fault)
            self.wanted = None
            if past.passage is not None and past.passage.generator == self._sources.chosen.name:
                self._cast.comeback.memory = past.passage.recipe.memory  # it goes on later
            await self._take_up(None, Cue.BEAT, "late", self._playhead.heard)
        else:
            if not self.timeline.clips:  # a landing may have begun meanwhile, and goes before
                self.timeline.append(clip)
        self._past = None

    def _thread_is_lost(self) -> bool:
        """Whether what was planned last is not what the voice composes, or will never be reached."""
        if self.complete or not self.timeline.clips:
            return False
        part, last = self._part, self.timeline.clips[-1]
        return part.voice.begins is None or last.track is not part.track or self._runway.breaks_off(part)

    async def _extend(self) -> None:
        """Compose one more block, or note that the music ends."""
        part = self._part
        block = await self._ask(part.voice.next_block(self._deadline()))
        if block is None:
            await self._extend_by_clip()
        elif not self._is_stale():  # else the bounds have changed meanwhile
            part.add(block)
            self.hearing.add(block)

    async def _extend_by_clip(self) -> None:
        part = self._part
        self.hearing.end()
        request = self._session.next_clip(self.timeline.end)
        if request is None:
            self.complete = True
            return
        enough = self._runway.left >= TRIAL_FRAMES
        trial = await self.hearing.try_out(part, request) if enough else self.hearing.untried(request)
        if isinstance(self.wanted, Land) or (self.wanted is not None and self._has_runway()):
            return  # came meanwhile, and goes before
        self._request = trial.request
        block = await self._ask(self._begin(trial))
        if self._is_stale():
            return  # the bounds have changed meanwhile
        part.check(block)
        if self.timeline.end == request.position:  # else a landing took its place meanwhile
            clip = Clip(request.position, request.frames, request.start, request.end, part.track)
            self.timeline.append(replace(clip, heard=trial.judgement, heard_as=trial.judged_as))
            if trial.judgement is None:
                self.hearing.begin(clip)
        part.add(block)
        self.hearing.add(block)

    def _begin(self, trial: Trial) -> Coroutine[Any, Any, Block]:
        voice = self._part.voice
        if trial.takes > 1:
            return voice.begin_take(trial.take, self._deadline())
        return voice.begin(trial.request, self._deadline())

    def _deadline(self) -> float:
        """When the voice's music will have been heard, by the loop's clock."""
        return _now() + (self._part.voice.end - self._playhead.heard) / SAMPLE_RATE

    async def _take_up(self, wish: Recompose | Land | None, kind: Cue, reason: str, enters: int = 0) -> None:
        """Go on along the path from the first cue that can be reached, heard from `enters` on.

        Where the thread that is heard breaks, the new one fades in over it.
        """
        part = self._part
        if self._runway.breaks_off(part) or not (self._playhead.playing or self._runway.left):
            part.voice.close()  # what it remembers does not lead up to here; only a new one begins right here
        at = self._runway.reachable(part, kind)
        if part.voice.begins is None:
            at = max(at, enters)
        goes_on = not enters and part.voice.remembers(at)
        entered = await self._enter(part, at)
        if entered is None:
            self.complete = True
        else:
            request, blocks = entered
            if self._cast.is_barred or (isinstance(self.wanted, Land) and self.wanted is not wish):
                return  # came meanwhile, and goes before
            for block in blocks:
                part.check(block)
            position = blocks[0].position
            goes_on = goes_on and self._runway.is_continued(part, position)
            if self._warden.forbids_fading(position, position + 1):
                goes_on = False  # that is to end now, which takes a fade of another kind
            if goes_on:
                part.track.cut(position)
            else:
                part.renew()
            for block in blocks:
                part.track.add(block)
            self.complete = False
            fade_frames = 0 if goes_on else LANDING_OUT_FRAMES if isinstance(wish, Land) else SPLICE_FRAMES
            self._splice(max(position, enters), request, fade_frames, reason)
        if self.wanted is wish:
            self.wanted = None

    async def _enter(self, part: Part, at: int) -> tuple[ClipRequest, list[Block]] | None:
        """The clip at `at` within the bounds that hold then, and its first blocks; None where the session has ended."""
        request = self._session.next_clip(at)
        while request is not None:
            blocks = await self._ask(self._first_blocks(part, request))
            if self._warden.covers(request) or self._cast.is_barred:
                return request, blocks
            request = self._session.next_clip(blocks[0].position)
        return None

    async def _first_blocks(self, part: Part, request: ClipRequest) -> list[Block]:
        """A clip's first blocks: of the chosen generator so many that what is there may be given up for them."""
        blocks = [await part.voice.begin(request, _now())]
        if part.source is self._sources.stand_in:
            return blocks
        enough = self._sources.enough_frames(part.source)
        while blocks[-1].end < self._runway.soonest + enough:
            block = await part.voice.next_block(_now())
            if block is None:
                break
            blocks.append(block)
        return blocks

    def _has_runway(self) -> bool:
        """Whether there is music to cut: enough of it, or its end."""
        return self._runway.can_be_cut(self._part) or (self.complete and self._runway.left > 0)

    def _splice(self, position: int, request: ClipRequest, fade_frames: int, reason: str) -> None:
        """Let the timeline go on with the part's clip at `position`, or as soon as it can."""
        position = max(position, self._runway.soonest)
        self._request = request
        track = self._part.track
        end = max(track.end, request.position + request.frames, position + 1)
        clip = Clip(position, end - position, request.start, request.end, track, fade_frames)
        self._put(clip)
        self.hearing.forget()
        self.hearing.begin(clip)
        self._announce(position, reason)

    def _put(self, clip: Clip) -> None:
        """Cut the timeline where `clip` begins, and append it."""
        self._changed = self._playhead.heard
        self.timeline.extend(clip.position)
        fade_frames = min(clip.fade_frames, self.timeline.ready_until(clip.position) - clip.position)
        if self._warden.forbids(clip.position - 1, clip.position):
            fade_frames = min(fade_frames, BREAK_FRAMES)
            self.timeline.repeats_from = clip.position + fade_frames
        if self.timeline.clips:
            self.timeline.cut(clip.position)
        self.timeline.append(replace(clip, fade_frames=fade_frames))
        self.mixer.rewind(clip.position)


def _now() -> float:
    return asyncio.get_running_loop().time()
