"""The session: what happens to it, what it does about it. Time comes in as the position that is being heard.

The transitions are the table below; what they do stands under it. The session only decides: the shell carries
its actions out.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.generator import ClipRequest, Cue, Preference, frames_of
from musicmed_live.core.path import CLIP_FRAMES, Rules, plan, stay
from musicmed_live.errors import IllegalTransition

LARGE_MOVE = 0.5  # a report at least so far from what is played is met at the next beat, a nearer one at the next bar
REACTION_FRAMES = frames_of(0.03)  # an answer that needs no new music is heard so much after it was decided
PAUSE_FRAMES = frames_of(0.4)
STOP_FRAMES = frames_of(1.5)
LANDING_FRAMES = frames_of(0.8)
RETURN_FRAMES = frames_of(3.0)

LANDING_EMOTION = Emotion(0.4, -0.8)  # calm, unhurried
LANDING_GAIN = 0.35  # -9 dB


class Phase(StrEnum):
    """What the session as a whole is doing."""

    READY = "ready"
    PLAYING = "playing"
    PAUSED = "paused"
    LANDING = "landing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Play:
    """Start, or go on."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Fade out and stand still."""


@dataclass(frozen=True, slots=True)
class TooMuch:
    """Quieter, calm, at once."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Fade out and end."""


@dataclass(frozen=True, slots=True)
class Report:
    """How the patient feels now."""

    emotion: Emotion


@dataclass(frozen=True, slots=True)
class Goal:
    """Where to lead from here."""

    emotion: Emotion


@dataclass(frozen=True, slots=True)
class Finished:
    """The last frame has been heard."""


Event = Play | Pause | TooMuch | Stop | Report | Goal | Finished


@dataclass(frozen=True, slots=True)
class Run:
    """Set the play-head going."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Let the play-head stand still at `position`."""

    position: int


@dataclass(frozen=True, slots=True)
class Fade:
    """Move the output to `gain` within `frames` from `position` on."""

    position: int
    frames: int
    gain: float
    reason: str


@dataclass(frozen=True, slots=True)
class Recompose:
    """Cut the music at the first `cue` that can be reached and go on along the path."""

    cue: Cue
    reason: str


@dataclass(frozen=True, slots=True)
class Land:
    """From `position` on play the landing music that is kept ready, then calm music until told otherwise."""

    position: int
    fade_frames: int


@dataclass(frozen=True, slots=True)
class End:
    """End when `position` has been heard."""

    position: int


Action = Run | Halt | Fade | Recompose | Land | End

_R, _P, _Z, _L, _E = Phase.READY, Phase.PLAYING, Phase.PAUSED, Phase.LANDING, Phase.ENDED

TRANSITIONS: dict[tuple[Phase, type[Event]], Phase] = {
    (_R, Play): _P, (_P, Play): _P, (_Z, Play): _P, (_L, Play): _P,
    (_R, Pause): _R, (_P, Pause): _Z, (_Z, Pause): _Z, (_L, Pause): _Z,
    (_R, TooMuch): _R, (_P, TooMuch): _L, (_Z, TooMuch): _Z, (_L, TooMuch): _L,
    (_R, Stop): _E, (_P, Stop): _E, (_Z, Stop): _E, (_L, Stop): _E,
    (_R, Report): _R, (_P, Report): _P, (_Z, Report): _Z, (_L, Report): _L,
    (_R, Goal): _R, (_P, Goal): _P, (_Z, Goal): _Z, (_L, Goal): _L,
    (_P, Finished): _E, (_Z, Finished): _E, (_L, Finished): _E,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session was asked to be."""

    start: Emotion | None  # None: play neutrally, take the first report as the start
    goal: Emotion
    frames: int | None  # None: open-ended
    seed: int
    instruments: Preference = Preference()
    style: Preference = Preference()
    rules: Rules = Rules()


class Session:
    """One session's state. `handle` is its only way to change."""

    def __init__(self, wish: Plan) -> None:
        self.wish = wish
        self.phase = Phase.READY
        self.goal = wish.goal
        self.estimate = wish.start
        self.path = stay(NEUTRAL, 0)
        self._landed = False  # paused or not, the music that plays is the landing's
        self._return_to = LANDING_EMOTION  # where the music goes on after a landing
        if wish.start is not None:
            self._lead_from(wish.start, 0)

    def handle(self, event: Event, heard: int, sounding: Emotion | None = None) -> list[Action]:
        """What to do about `event` while frame `heard` is being heard.

        `sounding` is what the music expresses there; None: what the path asked for.

        Raises `IllegalTransition` where the phase does not allow the event; then nothing has changed.
        """
        before = self.phase
        after = TRANSITIONS.get((before, type(event)))
        if after is None:
            raise IllegalTransition(f"{_word(event)}: the session has ended")
        self.phase = after
        soon = heard + REACTION_FRAMES
        match event:
            case Report(emotion):
                return self._report(emotion, heard, sounding or self.target(heard))
            case Goal(emotion):
                self.goal = emotion
                return self._lead_elsewhere(heard)
            case TooMuch() if before is Phase.PAUSED:
                self._land()  # for when it plays again
                return []
            case _ if before is after:
                return []
            case Play():
                return self._play(before, heard)
            case Pause():
                return [Fade(soon, PAUSE_FRAMES, 0.0, "pause"), Halt(soon + PAUSE_FRAMES)]
            case TooMuch():
                self._land()
                return [Land(soon, LANDING_FRAMES), Fade(soon, LANDING_FRAMES, LANDING_GAIN, "too_much")]
            case Stop() if before is Phase.PAUSED:
                return [End(soon + PAUSE_FRAMES)]  # the pause may be fading out yet
            case Stop() if before is Phase.READY:
                return [End(heard)]
            case Stop():
                return [Fade(soon, STOP_FRAMES, 0.0, "stop"), End(soon + STOP_FRAMES)]
            case _:
                return [End(heard)]

    def target(self, position: int) -> Emotion:
        """The emotion that the music is to have at `position`."""
        return LANDING_EMOTION if self._landed else self.path.at(position)

    def wire_phase(self, position: int) -> str:
        """The phase as a client is told it: while playing, how far along the path it is."""
        if self.phase is not Phase.PLAYING:
            return self.phase.value
        if self.path.arrives is not None and position >= self.path.arrives:
            return "arrived"
        leading = self.path.leads_from is not None and position >= self.path.leads_from
        return "leading" if leading else "matching"

    def next_clip(self, position: int) -> ClipRequest | None:
        """The clip to make at `position`; None where the session ends there.

        Where the rest after a whole clip would be short, the two share what is left.
        """
        frames, final = CLIP_FRAMES, False
        if self.wish.frames is not None:
            left = self.wish.frames - position
            if left <= 0:
                return None
            if CLIP_FRAMES < left < CLIP_FRAMES * 3 // 2:
                frames = left // 2
            frames, final = min(frames, left), left <= CLIP_FRAMES
        start, end = self.target(position), self.target(position + frames)
        return ClipRequest(position, frames, start, end, self.wish.instruments, self.wish.style, final)

    def _land(self) -> None:
        self._landed, self._return_to = True, LANDING_EMOTION

    def _report(self, emotion: Emotion, heard: int, sounding: Emotion) -> list[Action]:
        self.estimate = emotion
        if self._landed:
            self._return_to = emotion  # nothing moves until the patient says so; then the music meets this
            return []
        large = emotion.distance(sounding) >= LARGE_MOVE
        self._lead_from(emotion, heard)
        return [Recompose(Cue.BEAT if large else Cue.BAR, "report")]

    def _lead_elsewhere(self, heard: int) -> list[Action]:
        if self._landed or self.path.leads_from is None:
            return []
        self._lead_from(self.path.at(heard), heard, max(0, self.path.leads_from - heard))
        return [Recompose(Cue.BAR, "goal")]

    def _play(self, before: Phase, heard: int) -> list[Action]:
        if before is Phase.READY:
            return [Run()]
        soon = heard + REACTION_FRAMES
        if not self._landed:
            return [Fade(soon, PAUSE_FRAMES, 1.0, "play"), Run()]
        self._landed = False
        self._lead_from(self._return_to, heard)
        return [Fade(soon, RETURN_FRAMES, 1.0, "play"), Recompose(Cue.BEAT, "play"), Run()]

    def _lead_from(self, here: Emotion, position: int, hold_frames: int | None = None) -> None:
        rules = self.wish.rules
        if hold_frames is not None:
            rules = replace(rules, hold_frames=hold_frames)
        self.path = plan(here, self.goal, position, self.wish.frames, rules)


def _word(event: Event) -> str:
    """What the wire calls it: TooMuch is `too_much`."""
    return re.sub("(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
