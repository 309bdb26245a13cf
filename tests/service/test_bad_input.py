"""Everything that may come from outside and cannot be used: each is answered clearly, and nobody else notices."""

import time
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.listener import Listener, join, open_session
from musicmed_live.core.messages import SUBPROTOCOL


@pytest.mark.parametrize(
    ("body", "code", "field", "named"),
    [
        ({"goal": "calmish"}, "unknown_word", "goal", "calmish"),
        ({"start": "sad"}, "invalid", "goal", "missing"),
        ({"goal": {"valence": 1.5, "arousal": 0}}, "invalid", "goal.valence", "1.5"),
        ({"goal": {"valence": 0}}, "invalid", "goal", "arousal"),
        ({"goal": "calm", "start": [0, 0]}, "invalid", "start", "[0, 0]"),
        ({"goal": "calm", "minutes": 0}, "invalid", "minutes", "0"),
        ({"goal": "calm", "minutes": "15"}, "invalid", "minutes", "15"),
        ({"goal": "calm", "minutes": 1e9}, "invalid", "minutes", "1000000000"),
        ({"goal": "calm", "seed": -1}, "invalid", "seed", "-1"),
        ({"goal": "calm", "seed": True}, "invalid", "seed", "true"),
        ({"goal": "calm", "instruments": {"forbid": ["kazoo"]}}, "invalid", "instruments", "kazoo"),
        ({"goal": "calm", "style": {"prefer": ["polka"]}}, "invalid", "style", "polka"),
        ({"goal": "calm", "minuts": 3}, "invalid", "minuts", "minuts"),
    ],
)
async def test_a_session_that_cannot_be_opened_says_why(
    url: str, body: dict[str, Any], code: str, field: str, named: str
) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}api/sessions", json=body)
    fault = answer.json()
    assert answer.status_code == 400
    assert fault["code"] == code
    assert fault["field"].startswith(field)
    assert named in fault["message"]


JSON = {"Content-Type": "application/json"}


async def test_nan_and_other_junk_in_a_body(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for content, status in (
            (b'{"goal": {"valence": NaN, "arousal": 0}}', 400),
            (b"not json", 400),
            (b"[1]", 400),
            (b"\xff\xfe", 400),
            (b"[" * 10_000, 400),
            (b" " * 20_000, 413),
        ):
            answer = await client.post(f"{url}api/sessions", content=content, headers=JSON)
            assert answer.status_code == status, content[:40]
            assert set(answer.json()) == {"code", "message", "field"}


async def test_unknown_sessions_paths_and_methods(url: str) -> None:
    async with httpx.AsyncClient() as client:
        for method, path, status in (
            ("GET", "api/sessions/none", 404),
            ("DELETE", "api/sessions/none", 404),
            ("GET", "api/nothing", 404),
            ("GET", "..%2f..%2fpyproject.toml", 404),
            ("PUT", "api/sessions", 405),
        ):
            answer = await client.request(method, f"{url}{path}")
            assert answer.status_code == status, path
            assert answer.json()["message"]


async def test_a_deleted_session_is_gone(url: str) -> None:
    session = await open_session(url, goal="calm")
    async with join(url, session) as listener, httpx.AsyncClient() as client:
        await listener.until(lambda: listener.state)
        assert (await client.get(f"{url}api/sessions/{session['id']}")).json()["phase"] == "ready"
        assert (await client.delete(f"{url}api/sessions/{session['id']}")).status_code == 204
        assert (await client.get(f"{url}api/sessions/{session['id']}")).status_code == 404
        await listener.until(lambda: listener.close_code is not None)


@pytest.mark.parametrize("token", ["", "wrong", "ü" * 40])
async def test_a_wrong_token_is_refused(url: str, token: str) -> None:
    session = await open_session(url, goal="calm")
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"{url.replace('http', 'ws')}api/sessions/{session['id']}/live?token={token}",
            subprotocols=[SUBPROTOCOL],  # type: ignore[list-item]
        ):
            pass
    assert refused.value.response.status_code == 401
    assert b"bad_token" in (refused.value.response.body or b"")


async def test_another_sessions_token_is_refused(url: str) -> None:
    mine, other = await open_session(url, goal="calm"), await open_session(url, goal="calm")
    with pytest.raises(InvalidStatus):
        async with join(url, {**mine, "tokens": other["tokens"]}):
            pass


async def test_a_page_of_another_origin_is_refused(url: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(
            f"{url}api/sessions", json={"goal": "calm"}, headers={"Origin": "http://evil.example"}
        )
    assert answer.status_code == 403
    assert answer.json()["code"] == "bad_origin"


@pytest.mark.parametrize(
    ("frame", "code", "field"),
    [
        ("nonsense", "not_json", ""),
        ("[]", "not_json", ""),
        (b"\x00\x01", "not_json", ""),
        ('{"type": "dance"}', "unknown_type", "type"),
        ('{"type": 3}', "unknown_type", "type"),
        ("{}", "unknown_type", "type"),
        ('{"type": "report", "valence": 2, "arousal": 0}', "invalid", "valence"),
        ('{"type": "report", "valence": NaN, "arousal": 0}', "invalid", "valence"),
        ('{"type": "report", "valence": 0}', "invalid", "arousal"),
        ('{"type": "goal", "valence": "calm", "arousal": 0}', "invalid", "valence"),
        ('{"type": "listen", "codec": "mp3"}', "unknown_codec", "codec"),
        ('{"type": "listen", "lead_ms": 5}', "invalid", "lead_ms"),
        ('{"type": "reading", "at": 1}', "unknown_kind", "kind"),
        ('{"type": "reading", "kind": "heart_rate", "at": 1, "bpm": 999}', "invalid", "bpm"),
        ('{"type": "reading", "kind": "heart_rate", "at": 1, "bpm": 60, "patient": "eve"}', "invalid", "patient"),
        ('{"type": "play", "now": true}', "invalid", "now"),
        ('{"type": "report", "valence": 0, "arousal": ' + "0" * 5000 + "}", "too_long", ""),
    ],
)
async def test_each_refused_message_is_answered_by_one_error(
    url: str, frame: str | bytes, code: str, field: str
) -> None:
    async with join(url, await open_session(url, goal="calm")) as listener:
        await listener.send_raw(frame)
        await listener.until(lambda: listener.of_type("error"), 1)
        count = len(listener.of_type("state"))
        await listener.until(lambda: len(listener.of_type("state")) > count, 2)
        errors = listener.of_type("error")
        assert len(errors) == 1
        assert (errors[0]["code"], errors[0]["field"]) == (code, field)
        assert errors[0]["message"]


async def test_a_listener_may_only_listen(url: str) -> None:
    async with join(url, await open_session(url, goal="calm"), "listener") as listener:
        for kind in ("play", "stop", "too_much"):
            await listener.send(kind)
        await listener.until(lambda: len(listener.of_type("error")) == 3)
        assert {error["code"] for error in listener.of_type("error")} == {"forbidden"}
        assert listener.state["phase"] == "ready"


async def test_a_sensor_may_only_send_readings(url: str) -> None:
    async with join(url, await open_session(url, goal="calm"), "sensor") as listener:
        for kind in ("play", "stop", "listen"):
            await listener.send(kind)
        await listener.send("reading", kind="motion", at=time.time(), g=0.1)
        await listener.until(lambda: listener.state.get("sources"))
        assert {error["code"] for error in listener.of_type("error")} == {"forbidden"}
        assert len(listener.of_type("error")) == 3


async def test_the_rules_of_the_plan_are_the_therapists(url: str) -> None:
    session = await open_session(url, goal="calm")
    async with join(url, session) as patient, join(url, session, "therapist") as therapist:
        assert await answers(patient) == ["forbidden", "not_json"]
        assert await answers(therapist) == ["not_json"]


async def answers(client: Listener) -> list[str]:
    """To new rules, and to a message after them that is refused in any case."""
    await client.send("rules", patience=3)
    await client.send_raw("nonsense")
    await client.until(lambda: any(error["code"] == "not_json" for error in client.of_type("error")))
    return [error["code"] for error in client.of_type("error")]


async def test_after_the_end_nothing_is_accepted(url: str) -> None:
    async with join(url, await open_session(url, start="sad", goal="calm")) as listener:
        await listener.send("play")
        await listener.until(lambda: listener.state.get("playing"))
        await listener.send("stop")
        await listener.send("play")
        await listener.until(lambda: listener.of_type("error"))
        assert listener.of_type("error")[0]["code"] == "session_ended"
