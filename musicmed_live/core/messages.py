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

from musicmed_live.core.checks import check_keys, is_number, parse_names
from musicmed_live.core.emotion import Emotion, parse_emotion
from musicmed_live.core.estimate import Estimate
from musicmed_live.core.events import Event, Goal, Obey, Pause, Play, Report, Stop, TooMuch
from musicmed_live.core.generator import CHANNELS, SAMPLE_RATE, Preference, frames_of
from musicmed_live.core.judgement import Judgement
from musicmed_live.core.path import EmotionPath, Rules, Shape
from musicmed_live.core.readings import Reading, parse_reading
from musicmed_live.core.sensing import Vitals
from musicmed_live.core.session import Plan
from musicmed_live.core.sources import SourceState
from musicmed_live.core.timeline import Clip, Description
from musicmed_live.errors import InvalidInput, shown

PROTOCOL = 1
SUBPROTOCOL = "musicmed.v1"
TEXT_LIMIT = 4096  # bytes of a client's text frame
BLOCK_FRAMES = 1920  # 40 ms
MAX_MINUTES = 240.0
MIN_MINUTES = 0.5
MAX_SEED = 2**63 - 1
DRAWN_SEEDS = 2**32  # a seed that nobody named is short enough to be written down
LEAD_MS = (100, 8000)
DEFAULT_LEAD_MS = 1500
PATIENT = re.compile("[A-Za-z0-9_-]{1,64}")
STEP, PATIENCE, TOLERANCE = (0.02, 1.0), (1, 10), (0.05, 1.0)

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

        The rules of the plan are the therapist's.
        """
        match self:
            case Role.LISTENER:
                return isinstance(message, Listen)
            case Role.SENSOR:
                return isinstance(message, Reading)
            case Role.PATIENT:
                return not isinstance(message, Obey)
            case Role.THERAPIST:
                return True


@dataclass(frozen=True, slots=True)
class Listen:
    """A client wants the audio."""

    codec: Codec
    lead_frames: int


def parse_message(text: str) -> Listen | Reading | Event:
    """What a client's text frame means. Raises `InvalidInput` with the code that the protocol names."""
    if len(text) > TEXT_LIMIT or len(text.encode()) > TEXT_LIMIT:
        raise InvalidInput(f"a message of {len(text)} characters; at most {TEXT_LIMIT} bytes", code="too_long")
    message = parse_object(text)
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


def parse_plan(body: dict[str, Any], draw_seed: Callable[[], int]) -> Plan:
    """The body of `POST /api/sessions`. `draw_seed` is asked where it names none. Raises `InvalidInput`."""
    check_keys(body, ("patient", "start", "goal", "minutes", "seed", "instruments", "style", *RULES))
    if "goal" not in body:
        raise InvalidInput('goal: missing; a mood word or {"valence": -1..1, "arousal": -1..1}', "goal")
    start = body.get("start")
    seed = body.get("seed")
    if seed is not None and (not _is_int(seed) or not 0 <= seed <= MAX_SEED):
        raise InvalidInput(f"seed: {shown(seed)} is not a whole number from 0 to 2^63 - 1", "seed")
    return Plan(
        start=None if start is None else parse_emotion(start, "start"),
        goal=parse_emotion(body["goal"], "goal"),
        frames=parse_minutes(body.get("minutes", 15)),
        seed=draw_seed() if seed is None else seed,
        instruments=_preference(body.get("instruments"), "instruments"),
        style=_preference(body.get("style"), "style"),
        rules=Rules(**_rules(body)),
    )


def parse_minutes(minutes: Any) -> int | None:
    """A session's length in frames; None for an open end. Raises `InvalidInput`."""
    if minutes is None:
        return None
    if not is_number(minutes) or not MIN_MINUTES <= minutes <= MAX_MINUTES:
        raise InvalidInput(
            f"minutes: {shown(minutes)} is not a number from {MIN_MINUTES:g} to {MAX_MINUTES:g}, or null", "minutes"
        )
    return frames_of(float(minutes) * 60)


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
    return Obey(_rules(message))


_PARSERS: dict[str, Callable[[dict[str, Any]], Listen | Reading | Event]] = {
    "listen": _listen,
    "report": lambda message: Report(_point(message)),
    "goal": lambda message: Goal(_point(message)),
    "reading": _reading,
    "rules": _obey,
    "play": _bare(Play()),
    "pause": _bare(Pause()),
    "too_much": _bare(TooMuch()),
    "stop": _bare(Stop()),
}


def _preference(value: Any, field: str) -> Preference:
    if value is None:
        return Preference()
    if not isinstance(value, dict):
        raise InvalidInput(f'{field}: {shown(value)} is not {{"prefer": [names], "forbid": [names]}}', field)
    check_keys(value, ("prefer", "forbid"), field)
    return Preference(*(parse_names(value.get(key, []), f"{field}.{key}") for key in ("prefer", "forbid")))


RULES = ("shape", "step", "patience", "tolerance")


def _rules(wished: dict[str, Any]) -> dict[str, Any]:
    """What is named of the rules, as `Rules` has it."""
    rules: dict[str, Any] = {}
    if "shape" in wished:
        rules["shape"] = _shape(wished["shape"])
    if "step" in wished:
        rules["step"] = _bounded(wished["step"], "step", STEP)
    if "patience" in wished:
        rules["patience"] = _patience(wished["patience"])
    if "tolerance" in wished:
        rules["tolerance"] = _bounded(wished["tolerance"], "tolerance", TOLERANCE)
    return rules


def _patience(value: Any) -> int:
    if not _is_int(value) or not PATIENCE[0] <= value <= PATIENCE[1]:
        raise InvalidInput(
            f"patience: {shown(value)} is not a whole number from {PATIENCE[0]} to {PATIENCE[1]}", "patience"
        )
    return int(value)


def _bounded(value: Any, field: str, bounds: tuple[float, float]) -> float:
    if not is_number(value) or not bounds[0] <= value <= bounds[1]:
        raise InvalidInput(f"{field}: {shown(value)} is not a number from {bounds[0]:g} to {bounds[1]:g}", field)
    return float(value)


def _shape(value: Any) -> Shape:
    if not isinstance(value, str) or value not in list(Shape):
        raise InvalidInput(f"shape: {shown(value)} is none of {', '.join(Shape)}", "shape")
    return Shape(value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
