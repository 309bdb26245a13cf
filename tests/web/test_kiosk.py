"""The kiosk page's own reckoning: the night, the settings and the number pad."""

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script

NIGHT = '{ since: "21:00", until: "06:30" }'
SETTINGS = '{ session: { goal: "calm", minutes: 15, loudest_dba: 45 }, output: "bed 3", night: null, brightness: 0.3 }'
LEVELS = '{ outputs: ["bed 3", "bed 3-headphones", "bed 4"], presets: [65, 30] }'


@pytest.mark.parametrize(
    ("time", "night"),
    [("20:59", False), ("21:00", True), ("23:59", True), ("00:00", True), ("06:29", True), ("06:30", False)],
)
def test_the_night_may_begin_on_one_day_and_end_on_the_next(modules: Page, time: str, night: bool) -> None:
    hours, minutes = map(int, time.split(":"))
    script = f'const {{ isNight }} = await import("/kiosk-night.js"); return isNight({hours * 60 + minutes}, {NIGHT});'
    assert run_script(modules, script) is night


def test_without_a_night_it_is_always_day(modules: Page) -> None:
    assert not run_script(modules, 'return (await import("/kiosk-night.js")).isNight(0, null);')


def test_the_screen_is_dim_at_night_but_for_who_touches_it(modules: Page) -> None:
    script = f"""
    const {{ darkness }} = await import("/kiosk-night.js");
    const kiosk = {{ night: {NIGHT}, brightness: 0.25 }};
    return [darkness(0, kiosk, false), darkness(0, kiosk, true), darkness(720, kiosk, false)];
    """
    assert run_script(modules, script) == [0.75, 0, 0]


def test_nothing_stays_where_it_is_for_long(modules: Page) -> None:
    script = """
    const { driftAt } = await import("/kiosk-night.js");
    return Array.from({ length: 8 }, (_, minute) => Object.values(driftAt(minute * 60000)).join());
    """
    places = run_script(modules, script)
    assert len(set(places)) == 8


def test_what_holds_is_among_what_is_offered(modules: Page) -> None:
    script = f"""
    const {{ chosen, offered, isSame }} = await import("/kiosk-settings.js");
    const settings = {SETTINGS};
    settings.session.minutes = 17;
    const names = ["session.goal", "session.minutes", "loudness", "output", "night", "brightness"];
    const holds = (name) => (value) => isSame(value, chosen(name, settings));
    return names.map((name) => offered(name, settings, {LEVELS}).some(holds(name)));
    """
    assert run_script(modules, script) == [True] * 6


def test_levels_in_dba_are_offered_where_the_output_is_calibrated(modules: Page) -> None:
    script = f"""
    const {{ offered }} = await import("/kiosk-settings.js");
    const known = offered("loudness", {SETTINGS}, {LEVELS}).map(({{ dba }}) => dba);
    const unknown = offered("loudness", {{ session: {{}}, output: null }}, {LEVELS}).map(({{ dba }}) => dba);
    return [known, unknown, offered("output", {SETTINGS}, {LEVELS})];
    """
    known, unknown, outputs = run_script(modules, script)
    assert known == [30, 40, 50, 65, 45]
    assert unknown == [None] * 3
    assert outputs == [None, "bed 3", "bed 4"]


def test_a_choice_changes_that_and_leaves_the_rest(modules: Page) -> None:
    script = f"""
    const {{ change }} = await import("/kiosk-settings.js");
    return [change("session.goal", "sleepy", {SETTINGS}), change("brightness", 0.1, {SETTINGS}),
            change("output", null, {SETTINGS}).session.loudest_dba];
    """
    goal, brightness, level = run_script(modules, script)
    assert goal == {"session": {"goal": "sleepy", "minutes": 15, "loudest_dba": 45}}
    assert brightness == {"brightness": 0.1}
    assert level is None


def test_the_pad_shows_dots_takes_eight_digits_and_forgets_them(modules: Page) -> None:
    script = """
    const { NumberPad } = await import("/kiosk-pad.js");
    const root = document.createElement("div");
    root.append(document.createElement("output"));
    const pad = new NumberPad(root);
    const given = [];
    pad.ask({ hides: true, onEnter: (digits) => given.push(digits) });
    for (const key of [..."1234567890", "back", "x", "Tab"]) pad.press(key);
    given.push(root.textContent);
    pad.press("enter");
    given.push(root.textContent);
    return given;
    """
    assert run_script(modules, script) == ["•" * 7, "1234567", ""]
