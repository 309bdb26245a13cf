"""A house of sessions without music: what the bridge to MQTT needs of a hub, and nothing that takes time."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from musicmed_live.core.emotion import NEUTRAL, Emotion
from musicmed_live.core.events import Event, Goal, Pause, Play, Report, Stop
from musicmed_live.core.messages import emotion_object
from musicmed_live.core.readings import Reading
from musicmed_live.errors import IllegalTransition

CALM = {"valence": 0.56, "arousal": -0.31}


class Sitting:
    """A session that keeps what it is told."""

    def __init__(self, patient: str) -> None:
        self.patient = patient
        self.over = asyncio.Event()
        self.on_change: set[Callable[[], None]] = set()
        self.playing = False
        self.events: list[Event] = []
        self.readings: list[Reading] = []
        self._state: dict[str, Any] = {
            "type": "state",
            "patient": patient,
            "position": 0,
            "phase": "ready",
            "why": "Waiting for you",
            "report": None,
            "estimate": None,
            "goal": CALM,
            "path": [{"position": 0, **CALM}],
            "clip": None,
            "vitals": {"heart_rate_bpm": None},
        }

    def handle(self, event: Event, by: str) -> None:
        """Note it."""
        if self._state["phase"] == "ended":
            raise IllegalTransition("the session has ended")
        self.events.append(event)
        match event:
            case Play():
                self.show(phase="matching")
            case Pause():
                self.show(phase="paused")
            case Stop():
                self.show(phase="ended")
            case Report(emotion):
                self.show(report=emotion_object(emotion), estimate=emotion_object(emotion))
            case Goal(emotion):
                self.show(goal=emotion_object(emotion))

    @property
    def felt(self) -> Emotion:
        """What it was told last."""
        estimate = self._state["estimate"]
        return NEUTRAL if estimate is None else Emotion(estimate["valence"], estimate["arousal"])

    def sense(self, reading: Reading) -> None:
        """Note it."""
        self.readings.append(reading)

    def state(self) -> dict[str, Any]:
        """What `handle` made of it."""
        return dict(self._state)

    def show(self, **changes: Any) -> None:
        """Change the state."""
        self._state.update(changes)
        for listener in list(self.on_change):
            listener()


class House:
    """Sessions that come and go at a word."""

    def __init__(self) -> None:
        self.on_open: set[Callable[[Sitting], None]] = set()
        self.metrics = SimpleNamespace(registry=CollectorRegistry())
        self.lives: list[Sitting] = []

    def open(self, patient: str) -> Sitting:
        """Begin one."""
        sitting = Sitting(patient)
        self.lives.append(sitting)
        for listener in list(self.on_open):
            listener(sitting)
        return sitting

    def close(self, sitting: Sitting) -> None:
        """End one."""
        sitting.over.set()
        self.lives.remove(sitting)
        sitting.show(phase="ended")

    def of_patient(self, patient: str) -> Sitting | None:
        """The newest."""
        return next((sitting for sitting in reversed(self.lives) if sitting.patient == patient), None)

    def count(self, name: str, **labels: str) -> float:
        """A metric."""
        return self.metrics.registry.get_sample_value(f"{name}_total", labels) or 0.0

    def dropped(self, reason: str) -> float:
        """Messages that were not used for that reason."""
        return self.count("musicmed_mqtt_dropped", reason=reason)
