"""The protocol client over a bad connection. Socket, timers and HTTP are the test's own; a real network is in e2e."""

from typing import Any

import pytest

from tests.e2e.browser import Page
from tests.web.conftest import run_script

_SETUP = """
const {Session} = await import("/session.js");
const sockets = [], due = new Map(), told = [];
let answer = {status: 200}, timers = 0;
globalThis.WebSocket = class {
  static OPEN = 1;
  sent = [];
  constructor(url) { this.url = String(url); this.readyState = 0; sockets.push(this); }
  send(text) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
  open() { this.readyState = 1; this.onopen(); }
  tell(message) { this.onmessage({data: JSON.stringify(message)}); }
  break(code = 1006) { this.readyState = 3; this.onclose({code}); }
};
globalThis.setTimeout = (then) => { due.set(++timers, then); return timers; };
globalThis.clearTimeout = (timer) => due.delete(timer);
globalThis.fetch = async (path, options) => {
  told.push(`${options?.method ?? "GET"} ${path}`);
  if (answer === null) throw new TypeError("unreachable");
  const { status, body = {phase: "leading"} } = answer;
  return {status, ok: status === 200, headers: new Headers(), json: async () => body};
};
let now = 0;
performance.now = () => now;
const rest = () => new Promise((done) => queueMicrotask(() => queueMicrotask(() => queueMicrotask(done))));
const settled = async () => { for (let n = 0; n < 5; n++) await rest(); };
const timePasses = async () => {
  await settled();
  const waiting = [...due.values()];
  due.clear();
  for (const then of waiting) then();
  await settled();
};
const listeners = {
  state: () => told.push("state"),
  connected: (yes) => told.push(yes ? "connected" : "lost"),
  refused: ({code}) => told.push(`refused: ${code}`),
  ended: (code) => told.push(`ended: ${code}`),
};
const join = (more) => new Session({id: "abc", token: "secret"}, {...listeners, ...more});
const session = join();
const state = (phase) => ({type: "state", phase, report: null, goal: {valence: 0.6, arousal: -0.4}});
const types = (socket) => socket.sent.map(({type}) => type);
"""


def run(page: Page, script: str) -> Any:
    return run_script(page, f"{_SETUP}{script}")


def test_what_is_said_before_the_connection_is_there_is_sent_after_listen(modules: Page) -> None:
    assert run(modules, "session.send({type: 'play'}); sockets[0].open(); return types(sockets[0])") == [
        "listen",
        "play",
    ]


def test_a_lost_connection_is_made_again_with_the_same_token(modules: Page) -> None:
    urls, told = run(
        modules,
        "sockets[0].open(); sockets[0].break(); await timePasses(); sockets[1].open();"
        "return [sockets.map((socket) => socket.url), told]",
    )

    assert len(urls) == 2
    assert urls[0] == urls[1]
    assert urls[0].endswith("/api/sessions/abc/live?token=secret")
    assert [what for what in told if what != "GET /api/sessions/abc"] == ["connected", "lost", "connected"]


def test_too_much_on_a_dead_connection_is_said_again_on_the_next(modules: Page) -> None:
    assert run(
        modules,
        "sockets[0].open(); session.send({type: 'too_much'}); sockets[0].break();"
        "await timePasses(); sockets[1].open();"
        "return sockets.map(({sent}) => sent.slice(1).map(({type, again = false}) => [type, again]))",
    ) == [[["too_much", False]], [["too_much", True]]]


@pytest.mark.parametrize(
    ("answer", "said_again"),
    [
        ("state('landing')", ["listen", "too_much"]),
        ("{type: 'done', id: sockets[0].sent[1].id}", ["listen"]),
        ("{type: 'done', id: 'another'}", ["listen", "too_much"]),
        ("{type: 'error', code: 'forbidden', id: sockets[0].sent[1].id}", ["listen"]),
    ],
)
def test_what_the_server_has_answered_is_not_said_again(modules: Page, answer: str, said_again: list[str]) -> None:
    assert (
        run(
            modules,
            f"sockets[0].open(); session.send({{type: 'too_much'}}); sockets[0].tell({answer}); sockets[0].break();"
            "await timePasses(); sockets[1].open(); return types(sockets[1])",
        )
        == said_again
    )


def test_of_several_reports_that_wait_only_the_latest_is_sent(modules: Page) -> None:
    assert run(
        modules,
        "for (const valence of [0.1, 0.2, 0.3]) session.send({type: 'report', valence});"
        "sockets[0].open(); return sockets[0].sent.slice(1).map(({type, valence}) => [type, valence])",
    ) == [["report", 0.3]]


def test_who_has_no_use_for_the_sound_does_not_ask_for_it(modules: Page) -> None:
    assert run(modules, "join({block: null}).send({type: 'pause'}); sockets[1].open(); return types(sockets[1])") == [
        "pause"
    ]


@pytest.mark.parametrize("end", ["session.stop()", "sockets[0].tell(state('ended'))"])
def test_once_it_ends_nothing_more_is_said(modules: Page, end: str) -> None:
    assert (
        run(
            modules,
            f"sockets[0].open(); {end}; const before = sockets[0].sent.length;"
            "for (const type of ['play', 'pause', 'too_much', 'report', 'goal']) session.send({type});"
            "session.stop(); return types(sockets[0]).slice(before)",
        )
        == []
    )


def test_a_stop_that_the_connection_lost_is_said_again(modules: Page) -> None:
    assert run(
        modules,
        "sockets[0].open(); session.stop(); sockets[0].tell(state('leading')); sockets[0].break();"
        "await timePasses(); sockets[1].open(); return types(sockets[1])",
    ) == ["listen", "stop"]


def test_a_server_that_says_nothing_any_more_counts_as_lost(modules: Page) -> None:
    assert run(modules, "sockets[0].open(); await timePasses(); return told") == ["connected", "lost"]


def test_a_server_that_is_away_is_tried_again_and_again(modules: Page) -> None:
    assert run(
        modules,
        "sockets[0].open(); answer = null;"
        "for (let n = 0; n < 5; n++) { sockets[n].break(); await timePasses(); }"
        "sockets[5].open(); return told.filter((what) => !what.startsWith('GET'))",
    ) == ["connected", *["lost"] * 5, "connected"]


def test_the_networks_return_is_not_waited_for_but_taken_up_at_once(modules: Page) -> None:
    assert (
        run(
            modules,
            "sockets[0].open(); sockets[0].break(); const before = sockets.length;"
            "dispatchEvent(new Event('online')); return sockets.length - before",
        )
        == 1
    )


def test_the_networks_return_leaves_a_connection_alone_that_is_there(modules: Page) -> None:
    assert run(modules, "sockets[0].open(); dispatchEvent(new Event('online')); return sockets.length") == 1


def test_a_connection_that_opened_quickly_is_soon_given_up_when_it_does_not_open(modules: Page) -> None:
    waits = run(
        modules,
        "const waits = []; const later = setTimeout;"
        "globalThis.setTimeout = (then, ms) => { waits.push(ms); return later(then, ms); };"
        "now = 20; sockets[0].open(); sockets[0].break(); await timePasses(); return waits",
    )

    assert waits[-1] == 1500


@pytest.mark.parametrize(("status", "code"), [(404, "unknown_session"), (401, "token_expired")])
def test_a_server_that_does_not_know_the_session_yet_is_asked_for_a_minute(
    modules: Page, status: int, code: str
) -> None:
    script = (
        f"answer = {{status: {status}, body: {{code: '{code}', message: ''}}}};"
        "const refuse = async () => { sockets.at(-1).break(); await timePasses(); };"
        "sockets[0].open(); await refuse();"
        "now = 59_000; await refuse(); const before = told.at(-1); now = 61_000; await refuse();"
        "return [before, told.at(-1)]"
    )

    assert run(modules, script) == ["GET /api/sessions/abc", f"ended: {code}"]


def test_who_comes_with_a_link_that_is_no_good_is_told_so_within_seconds(modules: Page) -> None:
    script = (
        "answer = {status: 401, body: {code: 'bad_token', message: ''}};"
        "const refuse = async () => { sockets.at(-1).break(); await timePasses(); };"
        "await refuse(); now = 9_000; await refuse(); const before = told.at(-1); now = 11_000; await refuse();"
        "return [before, told.at(-1)]"
    )

    assert run(modules, script) == ["GET /api/sessions/abc", "ended: bad_token"]


def test_a_link_that_opens_no_socket_is_no_good_though_anybody_may_read_the_state(modules: Page) -> None:
    script = (
        "answer = {status: 200, body: {phase: 'leading'}};"
        "const refuse = async () => { sockets.at(-1).break(); await timePasses(); };"
        "await refuse(); now = 9_000; await refuse(); const before = told.at(-1); now = 11_000; await refuse();"
        "return [before, told.at(-1)]"
    )

    assert run(modules, script) == ["GET /api/sessions/abc", "ended: bad_token"]


def test_a_server_that_took_the_session_up_again_is_joined_under_the_same_id(modules: Page) -> None:
    script = (
        "answer = {status: 404, body: {code: 'unknown_session'}}; sockets[0].break(); await timePasses();"
        "answer = {status: 200}; sockets[1].open(); sockets[1].break(); now = 70_000; await timePasses();"
        "return told.some((what) => what.startsWith('ended'))"
    )

    assert run(modules, script) is False


def test_a_session_that_ended_while_nobody_was_there_has_ended(modules: Page) -> None:
    script = (
        "answer = {status: 200, body: {phase: 'ended'}}; sockets[0].break(); await timePasses(); return told.at(-1)"
    )

    assert run(modules, script) == "ended: "


def test_a_session_that_was_closed_has_ended(modules: Page) -> None:
    assert run(modules, "sockets[0].open(); sockets[0].break(1000); return told") == ["connected", "ended: "]


def test_stop_without_a_connection_ends_here_at_once(modules: Page) -> None:
    told = run(modules, "sockets[0].open(); sockets[0].break(); session.stop(); return told")

    assert [what for what in told if not what.startswith("GET")] == [
        "connected",
        "lost",
        "DELETE /api/sessions/abc",
        "ended: ",
    ]
