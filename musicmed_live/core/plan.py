"""What a session is asked to be, and the body of `POST /api/sessions` that asks for it (docs/protocol.md)."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from musicmed_live.core.bounds import WISHES, Bounds, bounds_object, parse_bounds
from musicmed_live.core.checks import check_keys, is_number, parse_names
from musicmed_live.core.emotion import Emotion, parse_emotion
from musicmed_live.core.generator import SAMPLE_RATE, Preference, frames_of
from musicmed_live.core.path import Rules, Shape
from musicmed_live.errors import InvalidInput, shown

MAX_MINUTES = 240.0
MIN_MINUTES = 0.5
MAX_SEED = 2**63 - 1
DRAWN_SEEDS = 2**32  # a seed that nobody named is short enough to be written down
STEP, PATIENCE, TOLERANCE = (0.02, 1.0), (1, 10), (0.05, 1.0)
RULES = ("shape", "step", "patience", "tolerance")
MOST_PAUSES = 8
PAUSE_MINUTES = (0.1, 60.0)
PAUSE_AFTER_MINUTES = (0.5, 240.0)
ENDING_SECONDS = (3.0, 180.0)
MAX_OUTPUT = 64  # characters of an output's name

_KEYS = (
    *("patient", "start", "goal", "minutes", "seed", "instruments", "style"),
    *("control", "pauses", "ending_seconds", "output", "sensitive", *WISHES, *RULES),
)


class Control(StrEnum):
    """The form in which a patient says how they feel."""

    PAD = "pad"  # the circumplex, with a face
    SLIDERS = "sliders"  # one for pleasure, one for arousal
    FACES = "faces"  # a few of them, to be tapped


@dataclass(frozen=True, slots=True)
class PlannedPause:
    """A rest that was agreed on: where the music comes to it, and for how long."""

    position: int  # in frames of music
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What a session was asked to be. What `instruments` forbids, `bounds` forbids too, and the other way round."""

    start: Emotion | None  # None: play neutrally, take the first report as the start
    goal: Emotion
    frames: int | None  # None: open-ended
    seed: int
    instruments: Preference = Preference()
    style: Preference = Preference()
    rules: Rules = Rules()
    bounds: Bounds = field(default_factory=Bounds)
    control: Control = Control.PAD
    pauses: tuple[PlannedPause, ...] = ()  # by rising position
    ending_frames: int = frames_of(10.0)  # the last ones, in which the music fades out
    output: str | None = None  # a calibrated one
    sensitive: bool = False  # a child, or somebody else to whom the lower week's dose applies

    def __post_init__(self) -> None:
        forbid = tuple(dict.fromkeys((*self.instruments.forbid, *self.bounds.forbid)))
        object.__setattr__(self, "instruments", replace(self.instruments, forbid=forbid))
        object.__setattr__(self, "bounds", replace(self.bounds, forbid=forbid))


def parse_plan(body: dict[str, Any], draw_seed: Callable[[], int]) -> Plan:
    """The body of `POST /api/sessions`. `draw_seed` is asked where it names none. Raises `InvalidInput`."""
    check_keys(body, _KEYS)
    if "goal" not in body:
        raise InvalidInput('goal: missing; a mood word or {"valence": -1..1, "arousal": -1..1}', "goal")
    start, frames = body.get("start"), parse_minutes(body.get("minutes", 15))
    return Plan(
        start=None if start is None else parse_emotion(start, "start"),
        goal=parse_emotion(body["goal"], "goal"),
        frames=frames,
        seed=_seed(body.get("seed"), draw_seed),
        instruments=_preference(body.get("instruments"), "instruments"),
        style=_preference(body.get("style"), "style"),
        rules=Rules(**parse_rules(body)),
        bounds=_bounds(body),
        control=_control(body.get("control", Control.PAD.value)),
        pauses=_pauses(body.get("pauses", []), frames),
        ending_frames=_ending_frames(body.get("ending_seconds", 10), frames),
        output=_output(body.get("output")),
        sensitive=_sensitive(body.get("sensitive", False)),
    )


def plan_object(plan: Plan) -> dict[str, Any]:
    """A body that `parse_plan` turns back into an equal plan, save for rules that no body names."""
    bounds = bounds_object(plan.bounds)
    return {
        "start": None if plan.start is None else _point(plan.start),
        "goal": _point(plan.goal),
        "minutes": None if plan.frames is None else _minutes(plan.frames),
        "seed": plan.seed,
        "instruments": _preferred(plan.instruments),
        "style": _preferred(plan.style),
        **{name: getattr(plan.rules, name) for name in RULES},
        **{name: bounds[name] for name in WISHES},
        "control": plan.control.value,
        "pauses": [{"after_minutes": _minutes(pause.position), "minutes": pause.seconds / 60} for pause in plan.pauses],
        "ending_seconds": plan.ending_frames / SAMPLE_RATE,
        "output": plan.output,
        "sensitive": plan.sensitive,
    }


def parse_minutes(minutes: Any) -> int | None:
    """A session's length in frames; None for an open end. Raises `InvalidInput`."""
    if minutes is None:
        return None
    if not is_number(minutes) or not MIN_MINUTES <= minutes <= MAX_MINUTES:
        raise InvalidInput(
            f"minutes: {shown(minutes)} is not a number from {MIN_MINUTES:g} to {MAX_MINUTES:g}, or null", "minutes"
        )
    return frames_of(float(minutes) * 60)


def parse_rules(wished: dict[str, Any]) -> dict[str, Any]:
    """What is named of the rules, as `Rules` has it; other keys are left alone. Raises `InvalidInput`."""
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


def _bounds(body: dict[str, Any]) -> Bounds:
    bounds = Bounds(**parse_bounds({name: body[name] for name in WISHES if name in body}))
    if bounds.loudest_dba is not None and body.get("output") is None:
        raise InvalidInput(
            f"loudest_dba: {bounds.loudest_dba:g} dB(A) can only be kept on a calibrated output; calibrate it on the "
            "page /calibrate.html and name it as output, or limit loudest_lufs",
            "loudest_dba",
        )
    return bounds


def _seed(seed: Any, draw_seed: Callable[[], int]) -> int:
    if seed is None:
        return draw_seed()
    if not _is_int(seed) or not 0 <= seed <= MAX_SEED:
        raise InvalidInput(f"seed: {shown(seed)} is not a whole number from 0 to 2^63 - 1", "seed")
    return int(seed)


def _preference(value: Any, field: str) -> Preference:
    if value is None:
        return Preference()
    if not isinstance(value, dict):
        raise InvalidInput(f'{field}: {shown(value)} is not {{"prefer": [names], "forbid": [names]}}', field)
    check_keys(value, ("prefer", "forbid"), field)
    return Preference(*(parse_names(value.get(key, []), f"{field}.{key}") for key in ("prefer", "forbid")))


def _control(value: Any) -> Control:
    if not isinstance(value, str) or value not in list(Control):
        raise InvalidInput(f"control: {shown(value)} is none of {', '.join(Control)}", "control")
    return Control(value)


def _pauses(value: Any, frames: int | None) -> tuple[PlannedPause, ...]:
    if not isinstance(value, list) or len(value) > MOST_PAUSES:
        accepted = f'a list of at most {MOST_PAUSES} such as {{"after_minutes": 10, "minutes": 2}}'
        raise InvalidInput(f"pauses: {shown(value)} is not {accepted}", "pauses")
    pauses: list[PlannedPause] = []
    for i, item in enumerate(value):
        pause = _pause(item, f"pauses.{i}")
        if frames is not None and pause.position >= frames:
            raise InvalidInput(f"pauses.{i}: {shown(item)} lies beyond the end; leave it out", f"pauses.{i}")
        if pauses and pause.position - pauses[-1].position < frames_of(60 * PAUSE_AFTER_MINUTES[0]):
            apart = f"less than {PAUSE_AFTER_MINUTES[0]:g} minutes of music after the pause before it"
            raise InvalidInput(f"pauses.{i}: {shown(item)} is {apart}; move it", f"pauses.{i}")
        pauses.append(pause)
    return tuple(pauses)


def _pause(item: Any, field: str) -> PlannedPause:
    if not isinstance(item, dict) or set(item) != {"after_minutes", "minutes"}:
        raise InvalidInput(f'{field}: {shown(item)} is not such as {{"after_minutes": 10, "minutes": 2}}', field)
    after = _bounded(item["after_minutes"], f"{field}.after_minutes", PAUSE_AFTER_MINUTES)
    minutes = _bounded(item["minutes"], f"{field}.minutes", PAUSE_MINUTES)
    return PlannedPause(frames_of(after * 60), round(60 * minutes, 3))  # so that it comes back from a body as it was


def _ending_frames(value: Any, frames: int | None) -> int:
    ending_frames = frames_of(_bounded(value, "ending_seconds", ENDING_SECONDS))
    if frames is not None and ending_frames > frames // 2:
        raise InvalidInput(
            f"ending_seconds: {shown(value)} is more than half of the session; ask for fewer", "ending_seconds"
        )
    return ending_frames


def _output(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= MAX_OUTPUT:
        raise InvalidInput(f"output: {shown(value)} is not a name of 1 to {MAX_OUTPUT} characters, or null", "output")
    return value


def _sensitive(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(f"sensitive: {shown(value)} is neither true nor false", "sensitive")
    return value


def _shape(value: Any) -> Shape:
    if not isinstance(value, str) or value not in list(Shape):
        raise InvalidInput(f"shape: {shown(value)} is none of {', '.join(Shape)}", "shape")
    return Shape(value)


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


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _minutes(frames: int) -> float:
    return frames / SAMPLE_RATE / 60


def _point(emotion: Emotion) -> dict[str, float]:
    """In full, so that it comes back as it was."""
    return {"valence": emotion.valence, "arousal": emotion.arousal}


def _preferred(preference: Preference) -> dict[str, list[str]]:
    return {"prefer": list(preference.prefer), "forbid": list(preference.forbid)}
