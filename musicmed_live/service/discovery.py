"""A session as a device of Home Assistant: its MQTT discovery, as devices (Home Assistant 2024.11 or newer).

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

from typing import Any

from musicmed_live import __version__
from musicmed_live.core.emotion import WORDS
from musicmed_live.service.topics import COMMANDS, STATUS, topic

BIRTH = "homeassistant/status"  # where Home Assistant says that it is there

Component = dict[str, Any]

_PLAYS = (
    "{% set clip = value_json.clip %}"
    "{% if clip %}{{ [clip.key, clip.instruments | join(', ')] | select | join(': ') }}{% else %}None{% endif %}"
)


def discovery_topic(patient: str) -> str:
    """Where the device of `patient` is announced (retained); an empty message there removes it."""
    return f"homeassistant/device/musicmed_{patient}/config"


def device(patient: str) -> dict[str, Any]:
    """What is announced there."""
    return {
        "device": {
            "identifiers": [f"musicmed_{patient}"],
            "name": f"Music for {patient}",
            "manufacturer": "musicmed_live",
            "model": "Session",
            "sw_version": __version__,
        },
        "origin": {"name": "musicmed_live", "sw_version": __version__},
        "availability": [{"topic": STATUS}, {"topic": topic(patient, "availability")}],
        "availability_mode": "all",
        "state_topic": topic(patient, "state"),
        "qos": 1,
        "components": {
            name: {"unique_id": f"musicmed.{patient}.{name}", **component}  # no pseudonym has a dot
            for name, component in _components(patient).items()
        },
    }


def _components(patient: str) -> dict[str, Component]:
    axes = ("valence", "arousal")
    return {
        **{axis: _report(patient, axis) for axis in axes},
        "goal": {
            "platform": "select",
            "name": "Goal",
            "icon": "mdi:flag-checkered",
            "command_topic": topic(patient, "goal"),
            "options": sorted(WORDS),
            "value_template": "{{ value_json.goal_word }}",
        },
        **{command: _button(patient, command) for command in COMMANDS},
        "phase": _sensor("Phase", "mdi:music", "{{ value_json.phase }}"),
        "why": _sensor("Why", "mdi:comment-text-outline", "{{ value_json.why[:255] }}"),
        "plays": _sensor("Plays", "mdi:music-clef-treble", _PLAYS),
        **{f"estimated_{axis}": _estimate(axis) for axis in axes},
        "heart_rate": {
            **_sensor("Heart rate", "mdi:heart-pulse", "{{ value_json.vitals.heart_rate_bpm }}"),
            "unit_of_measurement": "bpm",
            "state_class": "measurement",
            "suggested_display_precision": 0,
        },
    }


def _report(patient: str, axis: str) -> Component:
    """How the patient says to feel, on one axis; the other one stays as it is estimated."""
    return {
        "platform": "number",
        "name": axis.capitalize(),
        "icon": "mdi:emoticon-outline" if axis == "valence" else "mdi:lightning-bolt-outline",
        "command_topic": topic(patient, "report"),
        "command_template": f'{{"{axis}": {{{{ value }}}}}}',
        "value_template": f"{{{{ value_json.report.{axis} if value_json.report else None }}}}",
        "min": -1,
        "max": 1,
        "step": 0.05,
        "mode": "slider",
    }


def _button(patient: str, command: str) -> Component:
    icons = {"play": "mdi:play", "pause": "mdi:pause", "too_much": "mdi:hand-back-left", "stop": "mdi:stop"}
    return {
        "platform": "button",
        "name": command.replace("_", " ").capitalize(),
        "icon": icons[command],
        "command_topic": topic(patient, "command"),
        "payload_press": command,
    }


def _sensor(name: str, icon: str, template: str) -> Component:
    return {"platform": "sensor", "name": name, "icon": icon, "value_template": template}


def _estimate(axis: str) -> Component:
    template = f"{{{{ value_json.estimate.{axis} if value_json.estimate else None }}}}"
    return {
        **_sensor(f"Estimated {axis}", "mdi:head-heart-outline", template),
        "state_class": "measurement",
        "suggested_display_precision": 2,
    }
