"""The messages of wire protocol v1 (docs/protocol.md): text in, events out, and the other way round.

Everything that comes from outside is checked here, once.
"""

import json
import re
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from musicmed_live.core.bounds import CHANGEABLE, parse_bounds
from musicmed_live.core.checks import check_keys, is_number
from musicmed_live.core.emotion import Emotion
from musicmed_live.core.estimate import Estimate
from musicmed_live.core.events import (
    Bound,
    EndGently,
    Event,
    Goal,
    Hold,
    Lead,
    Obey,
    Pause,
    Play,
    Report,
    Steering,
    StepBack,
    Stop,
    TooMuch,
)
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, frames_of
from musicmed_live.core.judgement import Judgement
from musicmed_live.core.path import EmotionPath
from musicmed_live.core.plan import RULES, parse_rules
from musicmed_live.core.readings import Reading, parse_reading
from musicmed_live.core.sensing import Vitals
from musicmed_live.core.sources import SourceState
from musicmed_live.core.timeline import Clip, Description
from musicmed_live.errors import InvalidInput, shown

PROTOCOL = 1
SUBPROTOCOL = "musicmed.v1"
TEXT_LIMIT = 4096  # bytes of a client's text frame
ID_LIMIT = 64  # characters
BLOCK_FRAMES = 1920  # 40 ms
LEAD_MS = (100, 8000)
DEFAULT_LEAD_MS = 1500
PATIENT = re.compile("[A-Za-z0-9_-]{1,64}")

_HEADER = struct.Struct("<Q")


class Codec(StrEnum):
    """How audio travels."""

    PCM_S16LE = "pcm_s16le"
    OPUS = "opus"


class Role(StrEnum):
    """Who a client is, which decides what it may say."""

    PATIENT = "patient"
    LISTENER = "listener"
    THERAPIST = "therapist"
    SENSOR = "sensor"

    def may(self, message: "Listen | Reading | Event") -> bool:
        """Whether such a client may say that: a listener may listen, a sensor send readings, the rest the others.

        How the music is steered is the therapist's to say.
        """
        match self:
            case Role.LISTENER:
                return isinstance(message, Listen)
            case Role.SENSOR:
                return isinstance(message, Reading)
            case Role.PATIENT:
                return not isinstance(message, Steering)
            case Role.THERAPIST:
                return True


@dataclass(frozen=True, slots=True)
class Listen:
    """A client wants the audio."""

    codec: Codec
    lead_frames: int


def parse_message(text: str) -> Listen | Reading | Event:
    """What a client's text frame means, whatever its id. Raises `InvalidInput` with the protocol's code."""
    message = parse_text(text)
    pop_id(message)
    return meaning(message)


def parse_text(text: str) -> dict[str, Any]:
    """The object in a client's text frame. Raises `InvalidInput` `too_long` or `not_json`."""
    if len(text) > TEXT_LIMIT or len(text.encode()) > TEXT_LIMIT:
        raise InvalidInput(f"a message of {len(text)} characters; at most {TEXT_LIMIT} bytes", code="too_long")
    return parse_object(text)


def pop_id(message: dict[str, Any]) -> str | None:
    """Take out the id under which a client wants to be told that its message is done. Raises `InvalidInput`."""
    name = message.pop("id", None)
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= ID_LIMIT):
        raise InvalidInput(f"id: {shown(name)} is not a string of 1 to {ID_LIMIT} characters", "id")
    return name


def pop_again(message: dict[str, Any]) -> bool:
    """Take out whether the client has sent the message before, over another connection. Raises `InvalidInput`."""
    again = message.pop("again", False)
    if not isinstance(again, bool):
        raise InvalidInput(f"again: {shown(again)} is neither true nor false", "again")
    return again


def meaning(message: dict[str, Any]) -> Listen | Reading | Event:
    """What a client's message says, of which this takes the type. Raises `InvalidInput`."""
    kind = message.pop("type", None)
    parse = _PARSERS.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise InvalidInput(f"type: {shown(kind)} is none of {', '.join(sorted(_PARSERS))}", "type", "unknown_type")
    return parse(message)


def parse_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object. Raises `InvalidInput` `not_json` for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput(f"not JSON: {shown(text)}", code="not_json") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"not a JSON object: {shown(text)}", code="not_json")
    return value


def parse_patient(body: dict[str, Any]) -> str | None:
    """The pseudonym in the body of `POST /api/sessions`; None where it names none. Raises `InvalidInput`."""
    patient = body.get("patient")
    if patient is not None and not (isinstance(patient, str) and PATIENT.fullmatch(patient)):
        raise InvalidInput(
            f"patient: {shown(patient)} is not a pseudonym of 1 to 64 letters, digits, - and _ (A-Z a-z 0-9)", "patient"
        )
    return patient


def pack_block(position: int, payload: bytes) -> bytes:
    """A binary frame: position, then the block."""
    return _HEADER.pack(position) + payload


def unpack_block(frame: bytes) -> tuple[int, bytes]:
    """Position and block of a binary frame."""
    return _HEADER.unpack_from(frame)[0], frame[_HEADER.size :]


def hello(session: str, role: Role, codec: Codec, pre_skip: int) -> str:
    """The server's first word."""
    audio = {
        "codec": codec.value,
        "sample_rate": SAMPLE_RATE,
        "channels": CHANNELS,
        "block_frames": BLOCK_FRAMES,
        "pre_skip": pre_skip,
    }
    return json.dumps({"type": "hello", "protocol": PROTOCOL, "session": session, "role": role.value, "audio": audio})


def cut(position: int, reason: str) -> str:
    """What was sent from `position` on is no longer true."""
    return json.dumps({"type": "cut", "position": position, "reason": reason})


def done(name: str, kept: bool) -> str:
    """The client's message of that id is done, and, where `kept`, written into the journal."""
    return json.dumps({"type": "done", "id": name, "kept": kept})


def steered(name: str, what: str) -> str:
    """A therapist of that name has said `what`: to all therapists of the session."""
    return json.dumps({"type": "steered", "by": name, "what": what})


def error(fault: InvalidInput) -> dict[str, str]:
    """The body of an error, the same over HTTP and in an `error` message."""
    return {"code": fault.code, "message": fault.message, "field": fault.field}


def estimate_object(estimate: Estimate | None) -> dict[str, float] | None:
    """An estimate: the point, and the standard deviation on either axis."""
    if estimate is None:
        return None
    return {
        **emotion_object(estimate.emotion),
        "valence_sd": round(estimate.valence_sd, 4),
        "arousal_sd": round(estimate.arousal_sd, 4),
    }


def report_object(report: tuple[Emotion, float] | None, now: float) -> dict[str, float] | None:
    """What the patient said last, and how many seconds ago."""
    return None if report is None else {**emotion_object(report[0]), "seconds": round(now - report[1], 1)}


def vitals_object(vitals: Vitals) -> dict[str, float | None]:
    """What the body's readings come to, each to a tenth, conductance to a thousandth."""
    places = {"skin_conductance_us": 3}
    return {key: None if value is None else round(value, places.get(key, 1)) for key, value in asdict(vitals).items()}


def source_object(source: SourceState) -> dict[str, Any]:
    """What a source is worth, and why."""
    return {
        "kind": source.kind.value,
        "trust": round(source.trust, 2),
        "reason": source.reason,
        "seconds": round(source.age_seconds, 1),
        "fault": source.fault,
    }


def emotion_object(emotion: Emotion) -> dict[str, float]:
    """An emotion as JSON has it, to six places."""
    return {"valence": round(emotion.valence, 6), "arousal": round(emotion.arousal, 6)}


def path_objects(path: EmotionPath) -> list[dict[str, float]]:
    """The corners of a path."""
    return [{"position": corner.position, **emotion_object(corner.emotion)} for corner in path.corners]


def judgement_object(judgement: Judgement | None) -> dict[str, Any] | None:
    """What is heard in a clip, and the features that spoke for it; null as long as nobody has judged it."""
    if judgement is None:
        return None
    reasons = [{"feature": r.feature, "axis": r.axis, "adds": round(r.adds, 3)} for r in judgement.reasons]
    return {
        **emotion_object(judgement.emotion),
        "valence_sd": round(judgement.valence_sd, 3),
        "arousal_sd": round(judgement.arousal_sd, 3),
        "reasons": reasons,
    }


def clip_object(clip: Clip, description: Description) -> dict[str, Any]:
    """A clip, for `state` and for the report of a rendering."""
    return {
        "position": clip.position,
        "frames": clip.frames,
        "emotion": emotion_object(clip.emotion),
        "bars": description.bars,
        "tempo_bpm": description.tempo_bpm,
        "key": description.key,
        "instruments": list(description.instruments),
        "heard": judgement_object(clip.heard),
    }


def _listen(message: dict[str, Any]) -> Listen:
    check_keys(message, ("codec", "lead_ms"))
    codec = message.get("codec", Codec.PCM_S16LE.value)
    if not isinstance(codec, str) or codec not in list(Codec):
        known = ", ".join(Codec)
        raise InvalidInput(f"codec: {shown(codec)} is none of {known}", "codec", "unknown_codec")
    lead_ms = message.get("lead_ms", DEFAULT_LEAD_MS)
    if not is_number(lead_ms) or not LEAD_MS[0] <= lead_ms <= LEAD_MS[1]:
        raise InvalidInput(f"lead_ms: {shown(lead_ms)} is not from {LEAD_MS[0]} to {LEAD_MS[1]}", "lead_ms")
    return Listen(Codec(codec), frames_of(lead_ms / 1000))


def _point(message: dict[str, Any]) -> Emotion:
    check_keys(message, ("valence", "arousal"))
    for axis in ("valence", "arousal"):
        if axis not in message:
            raise InvalidInput(f"{axis}: missing; a number from -1 to 1", axis)
    return Emotion(message["valence"], message["arousal"])


def _bare(event: Event) -> Callable[[dict[str, Any]], Event]:
    def parse(message: dict[str, Any]) -> Event:
        check_keys(message, ())
        return event

    return parse


def _reading(message: dict[str, Any]) -> Reading:
    return parse_reading(message.pop("kind", None), message)


def _obey(message: dict[str, Any]) -> Event:
    check_keys(message, RULES)
    return Obey(parse_rules(message))


def _bound(message: dict[str, Any]) -> Event:
    check_keys(message, CHANGEABLE)
    return Bound(parse_bounds(message))


_PARSERS: dict[str, Callable[[dict[str, Any]], Listen | Reading | Event]] = {
    "listen": _listen,
    "report": lambda message: Report(_point(message)),
    "goal": lambda message: Goal(_point(message)),
    "reading": _reading,
    "rules": _obey,
    "bounds": _bound,
    "hold": _bare(Hold()),
    "lead": _bare(Lead()),
    "step_back": _bare(StepBack()),
    "end_gently": _bare(EndGently()),
    "play": _bare(Play()),
    "pause": _bare(Pause()),
    "too_much": _bare(TooMuch()),
    "stop": _bare(Stop()),
}
