"""What a session tells of itself, in the `state` message (docs/protocol.md)."""

from dataclasses import asdict
from typing import Any

from musicmed_live.core import messages
from musicmed_live.core.bounds import bounds_object
from musicmed_live.core.session import Session


def state_of(session: Session, heard: int, now: float) -> dict[str, Any]:
    """All that is decided and thought while frame `heard` is being heard; `now` in seconds of the session's clock."""
    decision = session.decision_at(heard)
    return {
        "phase": session.wire_phase(heard),
        "why": str(decision.why),
        "because": asdict(decision.why),
        "asks": decision.asks,
        "frames": session.wish.frames,
        "rest": _rest_object(session.rest_seconds(now)),
        "held": session.held,
        "bounds": bounds_object(session.bounds),
        "control": session.wish.control.value,
        "report": messages.report_object(session.reported, now),
        "estimate": messages.estimate_object(session.estimate(now)),
        "vitals": messages.vitals_object(session.sensing.vitals(now)),
        "sources": [messages.source_object(source) for source in session.sensing.sources(now)],
        "target": messages.emotion_object(session.target(heard)),
        "goal": messages.emotion_object(session.goal),
        "path": messages.path_objects(session.path),
    }


def _rest_object(seconds_left: float | None) -> dict[str, float] | None:
    return None if seconds_left is None else {"seconds_left": round(seconds_left, 1)}
