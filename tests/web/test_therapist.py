"""The therapist page's own reckoning: what the form asks for, what is news, who comes first."""

import json
from typing import Any

import pytest

from musicmed_live.core.plan import parse_plan, plan_object
from tests.e2e.browser import Page
from tests.web.conftest import run_script

STATE: dict[str, Any] = {
    "position": 480_000,
    "phase": "leading",
    "asks": False,
    "because": {"key": "leading", "mood": None, "times": None},
    "report": None,
    "goal": {"valence": 0.5, "arousal": 0.0},
    "bounds": {"region": {"valence": [-1, 1], "arousal": [-1, 1]}, "forbid": []},
    "clip": None,
    "generator": {"name": "composer", "chosen": "composer", "reason": None},
    "sources": [],
    "rest": None,
    "dose": None,
}


def request(page: Page, script: str) -> Any:
    return run_script(page, f"const request = await import('/therapist-request.js'); return {script};")


def news(page: Page, before: dict[str, Any] | None, state: dict[str, Any]) -> list[str]:
    script = (
        "const {newsOf} = await import('/therapist-news.js');"
        f"return newsOf({json.dumps(before)}, {json.dumps(state)}, () => 'calm').map(({{key}}) => key);"
    )
    found: list[str] = run_script(page, script)
    return found


def test_an_untouched_form_asks_for_what_the_server_takes_for_granted(modules: Page) -> None:
    plan = parse_plan(request(modules, "request.bodyOf(request.DEFAULTS)"), lambda: 1)
    assert plan == parse_plan({"goal": {"valence": 0.56, "arousal": -0.31}}, lambda: 1)


def test_a_plan_that_is_put_into_the_form_is_asked_for_again_as_it_was(modules: Page) -> None:
    wish = {
        "goal": {"valence": 0.2, "arousal": -0.5},
        "minutes": None,
        "seed": 1,
        "region": {"valence": [-0.5, 0.8], "arousal": [-0.9, 0.3]},
        "tempo_bpm": [50, 95.5],
        "loudest_lufs": -30,
        "step": 0.1,
        "patience": 3,
        "tolerance": 0.3,
        "shape": "curved",
        "control": "faces",
        "pauses": [{"after_minutes": 5, "minutes": 1}, {"after_minutes": 8.5, "minutes": 0.5}],
        "ending_seconds": 20,
        "sensitive": True,
        "generator": "composer",
        "instruments": {"prefer": ["harp"], "forbid": ["timpani", "percussion"]},
        "style": {"prefer": ["ambient"], "forbid": []},
    }
    plan = parse_plan(wish, lambda: 1)
    body = request(modules, f"request.bodyOf(request.fieldsOf({json.dumps(plan_object(plan))}))")
    assert parse_plan(body, lambda: 1) == plan


@pytest.mark.parametrize(
    ("typed", "sent"),
    [
        *[("0,5", 0.5), (" -0.31 ", -0.31), ("−1", -1), ("1e3", 1000)],
        *[(text, text) for text in ("9" * 400, "<b>", "1.2.3", "")],
    ],
)
def test_what_is_no_number_goes_to_the_server_as_it_was_typed(modules: Page, typed: str, sent: Any) -> None:
    assert request(modules, f"request.numberOf({json.dumps(typed)})") == sent


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("minutes", "minutes"),
        ("tempo_bpm", "tempo_bpm.0"),
        ("region.arousal", "region.arousal.0"),
        ("pauses.1", "pauses.1.after_minutes"),
        ("instruments.forbid", "instruments.harp"),
        ("goal.valence", "goal.valence"),
        ("seed", None),
    ],
)
def test_an_error_stands_at_the_field_that_it_is_about(modules: Page, field: str, name: str | None) -> None:
    names = ["minutes", "goal.valence", "region.valence.0", "region.arousal.0", "tempo_bpm.0", "instruments.harp"]
    names += ["pauses.0.after_minutes", "pauses.1.after_minutes", "pauses.1.minutes"]
    assert request(modules, f"request.fieldAt({json.dumps(field)}, {json.dumps(names)})") == name


def test_a_report_is_news_once(modules: Page) -> None:
    said = {**STATE, "report": {"valence": 0.1, "arousal": 0.2, "seconds": 0.4}}
    later = {**STATE, "report": {"valence": 0.1, "arousal": 0.2, "seconds": 1.4}}
    assert news(modules, STATE, said) == ["report"]
    assert news(modules, said, later) == []


def test_the_same_word_said_again_is_news(modules: Page) -> None:
    said = {**STATE, "report": {"valence": 0.1, "arousal": 0.2, "seconds": 30.0}}
    again = {**STATE, "report": {"valence": 0.1, "arousal": 0.2, "seconds": 0.2}}
    assert news(modules, said, again) == ["report"]


def test_phases_goals_limits_and_sensors_are_news(modules: Page) -> None:
    source = {"kind": "heart_rate", "fault": "no_contact"}
    other = {**STATE, "phase": "holding", "goal": {"valence": 0.0, "arousal": 0.0}, "sources": [source]}
    other["bounds"] = {"region": {"valence": [-1, 0], "arousal": [-1, 1]}, "forbid": []}
    assert news(modules, STATE, other) == ["phase.holding", "goal", "bounds", "source_fault"]


def test_who_needs_somebody_comes_first(modules: Page) -> None:
    def sitting(name: str, **changes: Any) -> dict[str, Any]:
        return {"id": name, "connected": True, "ended": False, "state": {**STATE, **changes}}

    sittings = [
        {**sitting("over"), "ended": True},
        sitting("well"),
        sitting("asked", asks=True),
        sitting("overwhelmed", phase="landing"),
        {**sitting("lost"), "connected": False},
        {**sitting("alone"), "unheard": True},
    ]
    script = (
        "const {orderOf} = await import('/therapist-cards.js');"
        f"return orderOf({json.dumps(sittings)}).map(({{id}}) => id);"
    )
    assert run_script(modules, script) == ["lost", "overwhelmed", "alone", "asked", "well", "over"]


def test_a_session_that_plays_to_nobody_says_so_after_a_while(modules: Page) -> None:
    told = [(True, 1), (True, 0), (True, 0), (False, 0), (True, 0), (True, 1)]
    states = [{"playing": playing, "listening": listening} for playing, listening in told]
    script = (
        "const {aloneSince} = await import('/therapist-sitting.js');"
        f"let since = null; return {json.dumps(states)}.map((state, at) => (since = aloneSince(since, state, at)));"
    )
    assert run_script(modules, script) == [None, 1, 1, None, 4, None]


def test_that_nobody_listens_is_told_before_all_but_a_lost_connection(modules: Page) -> None:
    def warnings(**changes: Any) -> list[str]:
        sitting = {
            "connected": True,
            "ended": False,
            "unheard": True,
            "state": {**STATE, "phase": "landing"},
            **changes,
        }
        script = f"const {{warningsOf}} = await import('/therapist-text.js');return warningsOf({json.dumps(sitting)});"
        found: list[str] = run_script(modules, script)
        return found

    assert warnings() == ["unheard", "landing"]
    assert warnings(connected=False) == ["lost", "landing"]
    assert warnings(ended=True) == []


@pytest.mark.parametrize(
    ("corner", "where", "valence", "arousal"),
    [
        ([0, 0], (-0.5, -0.5), [-0.5, 0.5], [-0.5, 0.5]),
        ([1, 1], (0.9, 1.0), [-0.2, 0.9], [-0.2, 1.0]),
        ([1, 0], (-0.9, 0.9), [-0.2, -0.1], [0.4, 0.5]),
    ],
)
def test_what_is_allowed_is_dragged_by_its_corners_and_never_too_narrow(
    modules: Page, corner: list[int], where: tuple[float, float], valence: list[float], arousal: list[float]
) -> None:
    script = (
        "const {resized} = await import('/therapist-plane.js');"
        "return resized({valence: [-0.2, 0.5], arousal: [-0.2, 0.5]},"
        f" {corner}, {{valence: {where[0]}, arousal: {where[1]}}});"
    )
    assert run_script(modules, script) == {"valence": valence, "arousal": arousal}


def test_only_limits_that_were_changed_are_sent(modules: Page) -> None:
    script = (
        "const {changesOf} = await import('/therapist-steer.js');"
        "return changesOf({tempo_bpm: null, forbid: ['horn']}, {tempo_bpm: [60, 90], forbid: ['horn']});"
    )
    assert run_script(modules, script) == {"tempo_bpm": [60, 90]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "steps back"),
        ({"phase": "holding", "held": True}, "held by a therapist"),
        ({"because": {"key": "ending", "mood": None, "times": None}}, "comes to a gentle end"),
        ({"phase": "landing", "because": {"key": "ending", "mood": None, "times": None}}, "comes to a gentle end"),
    ],
)
def test_the_heading_says_what_the_session_does(modules: Page, changes: dict[str, Any], said: str) -> None:
    state = {**STATE, "phase": "stepping_back", "held": False, **changes}
    script = (
        "const {phaseName} = await import('/therapist-text.js');"
        f"return phaseName({{state: {json.dumps(state)}, ended: false, connected: true}});"
    )
    assert run_script(modules, script) == said


@pytest.mark.parametrize(("language", "shown"), [("en", ["-0.31", "15", ""]), ("de", ["-0,31", "15", ""])])
def test_a_field_has_the_decimal_mark_of_its_reader_and_is_read_as_it_was_filled(
    modules: Page, language: str, shown: list[str]
) -> None:
    script = (
        f"(await import('/words.js')).chooseLanguage({json.dumps(language)}); localStorage.clear();"
        "const {Fields} = await import('/therapist-fields.js');"
        "const {numberOf} = await import('/therapist-request.js');"
        "const form = document.createElement('form');"
        "for (const name of ['a', 'b', 'c']) Object.assign(form.appendChild(document.createElement('input')),"
        " {name, inputMode: 'decimal'});"
        "const fields = new Fields(form, document.createElement('p'));"
        "fields.values = {a: '-0.31', b: '15', c: ''};"
        "const {a, b, c} = fields.values; return [[a, b, c], [a, b, c].map(numberOf)];"
    )
    assert run_script(modules, script) == [shown, [-0.31, 15, ""]]


def test_a_box_that_is_ticked_says_so_and_is_ticked_again(modules: Page) -> None:
    script = (
        "const {Fields} = await import('/therapist-fields.js');"
        "const form = document.createElement('form');"
        "const box = Object.assign(document.createElement('input'), {type: 'checkbox', name: 'sensitive'});"
        "form.append(box);"
        "const fields = new Fields(form, document.createElement('p'));"
        "return ['on', ''].map((value) => { fields.values = {sensitive: value};"
        " return [box.checked, fields.values.sensitive]; });"
    )
    assert run_script(modules, script) == [[True, "on"], [False, ""]]


def test_past_sessions_that_come_late_do_not_stand_under_another_patients_name(modules: Page) -> None:
    setup = """
    const { PastView } = await import("/therapist-past.js");
    const root = document.createElement("section");
    root.innerHTML = `<form><input id="past-patient"></form><p id="past-problem"></p>
      <table><tbody id="past-rows"></tbody></table>`;
    const answers = [];
    const view = new PastView(root, { get: () => new Promise((...ends) => answers.push(ends)) });
    const sitting = (id) => ({ id, patient: id, opened: 0, ended: 60, tokens: { therapist: "t" } });
    const [late, failed, wanted] = [view.show(), view.show(), view.show()];
    answers[2][0]([sitting("bert")]);
    await wanted;
    answers[0][0]([sitting("anna")]);
    answers[1][1]({ code: "unreachable" });
    await Promise.all([late, failed]);
    """
    cells = "[...root.querySelectorAll('tr')].map((row) => row.cells[1].textContent)"
    assert run_script(modules, f"{setup} return [{cells}, root.querySelector('p').textContent];") == [["bert"], ""]
