"""The status line says in plain words what the session does."""

import json
from typing import Any

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script

BECAUSE = {"key": "staying_reported", "mood": "sad", "times": 4}


def said(page: Page, function: str, state: dict[str, Any]) -> Any:
    script = f"const status = await import('/status.js'); return status.{function}({json.dumps(state)}, 'calm');"
    return run_script(page, script)


@pytest.mark.parametrize(
    "phase",
    ["ready", "matching", "leading", "holding", "stepping_back", "arrived", "paused", "landing", "ended"],
)
def test_every_phase_has_its_words(modules: Page, phase: str) -> None:
    assert said(modules, "phaseText", {"phase": phase, "estimate": {"valence": 0, "arousal": 0}})


def test_before_anything_is_known_of_the_patient_it_has_not_met_them(modules: Page) -> None:
    unknown = said(modules, "phaseText", {"phase": "matching", "estimate": None})
    known = said(modules, "phaseText", {"phase": "matching", "estimate": {"valence": 0, "arousal": 0}})

    assert (unknown, known) == ("Ready to meet you", "Meeting you")


@pytest.mark.parametrize("phase", ["matching", "leading", "holding", "stepping_back", "arrived"])
def test_what_the_plan_chose_has_a_reason(modules: Page, phase: str) -> None:
    assert said(modules, "whyText", {"phase": phase, "because": BECAUSE}) == "Staying here: you reported sad 4 times."
    assert said(modules, "isAsked", {"phase": phase, "asks": True}) is True
    assert said(modules, "isAsked", {"phase": phase, "asks": False}) is False


@pytest.mark.parametrize("phase", ["ready", "paused", "landing", "ended"])
def test_what_the_patient_chose_needs_none(modules: Page, phase: str) -> None:
    assert said(modules, "whyText", {"phase": phase, "because": BECAUSE}) == ""
    assert said(modules, "isAsked", {"phase": phase, "asks": True}) is False


def test_what_is_not_known_about_the_music_is_left_out(modules: Page) -> None:
    clip = {"key": "D dorian", "tempo_bpm": 103.6, "instruments": ["cello", "piano"]}
    silent_about: dict[str, Any] = {"key": None, "tempo_bpm": None, "instruments": []}

    assert said(modules, "playingText", {"clip": clip}) == "D Dorian · 104 beats a minute · cello, piano"
    assert said(modules, "playingText", {"clip": silent_about}) == ""
    assert said(modules, "playingText", {"clip": None}) == ""


def clip_heard(meant: float, valence: float | None) -> dict[str, Any]:
    heard = None if valence is None else {"valence": valence, "arousal": 0, "valence_sd": 0.5, "arousal_sd": 0.4}
    return {"emotion": {"valence": meant, "arousal": 0}, "heard": heard}


@pytest.mark.parametrize(
    ("clip", "text"),
    [
        (None, ""),
        (clip_heard(0.6, None), ""),
        (clip_heard(0.6, 0.5), "Meant as pleasant, and it sounds so."),
        (clip_heard(-0.2, 0.1), "Meant as gloomy, and it sounds so."),  # as far as anybody can tell
        (clip_heard(-0.6, 0.5), "Meant as gloomy, most likely heard as pleasant."),
    ],
)
def test_how_the_music_is_heard_is_told_beside_what_it_was_meant_to_be(
    modules: Page, clip: dict[str, Any] | None, text: str
) -> None:
    script = f"""const status = await import('/status.js');
    const word = (emotion) => emotion.valence > 0 ? "pleasant" : "gloomy";
    return status.heardText({json.dumps({"clip": clip})}, word);"""
    assert run_script(modules, script) == text


def test_who_plays_is_told_only_where_it_is_not_the_chosen_one(modules: Page) -> None:
    plain = {"name": "musicgen", "chosen": "musicgen", "reason": None}
    bridged = {"name": "composer", "chosen": "musicgen", "reason": "MusicGen is still loading"}

    assert said(modules, "generatorText", {"generator": plain}) == ""
    assert said(modules, "generatorText", {"generator": bridged}) == (
        "Another source plays for now: MusicGen is still loading."
    )


def test_the_time_counts_towards_the_end_if_there_is_one(modules: Page) -> None:
    assert said(modules, "timeText", {"position": 65 * 48000 - 1, "ends": 900 * 48000}) == "1:04 of 15:00"
    assert said(modules, "timeText", {"position": 3605 * 48000, "ends": None}) == "60:05"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("unknown_session", "This session is over. You can start a new one."),
        ("invalid", "This cannot be played: minutes: 0.1 is not 0.5 to 240"),
        ("of_tomorrow", "This cannot be played: minutes: 0.1 is not 0.5 to 240"),
    ],
)
def test_an_error_is_told_by_its_code_and_else_in_the_servers_words(modules: Page, code: str, text: str) -> None:
    assert said(modules, "errorText", {"code": code, "message": "minutes: 0.1 is not 0.5 to 240"}) == text


@pytest.mark.parametrize("phase", ["leading", "landing"])
def test_a_gentle_end_is_announced(modules: Page, phase: str) -> None:
    state = {"phase": phase, "estimate": None, "because": {"key": "ending", "mood": None, "times": None}}

    assert said(modules, "phaseText", state) == "Coming to a gentle end"
