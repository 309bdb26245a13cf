"""The phases of a session, and the table of which event leads from which to which."""

from enum import StrEnum

from musicmed_live.core.events import (
    Bound,
    EndGently,
    Event,
    Finished,
    Goal,
    Hold,
    Lead,
    Obey,
    Pause,
    Play,
    Report,
    Rest,
    Sense,
    StepBack,
    Stop,
    TooMuch,
    Unsensed,
)


class Phase(StrEnum):
    """What the session as a whole is doing."""

    READY = "ready"
    PLAYING = "playing"
    PAUSED = "paused"
    LANDING = "landing"
    ENDED = "ended"


_R, _P, _Z, _L, _E = Phase.READY, Phase.PLAYING, Phase.PAUSED, Phase.LANDING, Phase.ENDED

TRANSITIONS: dict[tuple[Phase, type[Event]], Phase] = {
    (_R, Play): _P, (_P, Play): _P, (_Z, Play): _P, (_L, Play): _P,
    (_R, Pause): _R, (_P, Pause): _Z, (_Z, Pause): _Z, (_L, Pause): _Z,
    (_R, TooMuch): _R, (_P, TooMuch): _L, (_Z, TooMuch): _Z, (_L, TooMuch): _L,
    (_R, Stop): _E, (_P, Stop): _E, (_Z, Stop): _E, (_L, Stop): _E,
    (_R, Report): _R, (_P, Report): _P, (_Z, Report): _Z, (_L, Report): _L,
    (_R, Goal): _R, (_P, Goal): _P, (_Z, Goal): _Z, (_L, Goal): _L,
    (_R, Sense): _R, (_P, Sense): _P, (_Z, Sense): _Z, (_L, Sense): _L,
    (_R, Unsensed): _R, (_P, Unsensed): _P, (_Z, Unsensed): _Z, (_L, Unsensed): _L,
    (_R, Obey): _R, (_P, Obey): _P, (_Z, Obey): _Z, (_L, Obey): _L,
    (_R, Bound): _R, (_P, Bound): _P, (_Z, Bound): _Z, (_L, Bound): _L,
    (_R, Hold): _R, (_P, Hold): _P, (_Z, Hold): _Z, (_L, Hold): _L,
    (_R, Lead): _R, (_P, Lead): _P, (_Z, Lead): _Z, (_L, Lead): _L,
    (_R, StepBack): _R, (_P, StepBack): _P, (_Z, StepBack): _Z, (_L, StepBack): _L,
    (_R, EndGently): _E, (_P, EndGently): _P, (_Z, EndGently): _E, (_L, EndGently): _L,
    (_P, Rest): _Z, (_Z, Rest): _Z, (_L, Rest): _L,
    (_P, Finished): _E, (_Z, Finished): _E, (_L, Finished): _E,
}  # fmt: skip
