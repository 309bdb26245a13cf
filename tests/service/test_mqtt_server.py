"""The server as a whole over MQTT: the real command, a real broker, real sessions."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from benchmarks.listener import join, open_session, serving
from musicmed_live.service.broker import Broker
from tests.mosquitto import Watcher, mosquitto, watching


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def server(broker: Broker) -> Iterator[tuple[str, int]]:
    with serving("--mqtt", f"mqtt://127.0.0.1:{broker.port}") as found:
        yield found


def state(watcher: Watcher) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(watcher.latest.get("musicmed/anna/state") or b"{}")
    return found


async def test_a_session_is_played_by_mqtt_alone(server: tuple[str, int], broker: Broker) -> None:
    url, _ = server
    async with watching(broker.port, "#") as watcher:
        session = await open_session(url, patient="anna", start="tense", goal="calm", seed=1)
        await watcher.until(lambda: state(watcher).get("phase") == "ready")
        await watcher.say("musicmed/anna/command", "play")
        await watcher.until(lambda: state(watcher).get("playing"), 30)
        for i in range(5):
            beat = {"at": time.time() - 5 + i, "bpm": 75, "rr_ms": [800], "contact": True}
            await watcher.say("musicmed/anna/reading/heart_rate", json.dumps(beat))
        await watcher.until(lambda: state(watcher)["vitals"]["heart_rate_bpm"])
        assert state(watcher)["vitals"]["heart_rate_bpm"] == pytest.approx(75, abs=1)
        assert [source["kind"] for source in state(watcher)["sources"]] == ["heart_rate"]
        await watcher.say("musicmed/anna/goal", "happy")
        await watcher.until(lambda: state(watcher)["goal_word"] == "happy")
        await watcher.say("musicmed/anna/command", "too_much")
        await watcher.until(lambda: state(watcher)["phase"] == "landing")
        await watcher.say("musicmed/anna/command", "stop")
        await watcher.until(lambda: watcher.latest.get("musicmed/anna/availability") == b"", 20)
        secrets = [session["id"], *session["tokens"].values()]
        assert not any(secret.encode() in payload for _, payload in watcher.seen for secret in secrets)


async def test_a_page_and_mqtt_steer_the_same_session(server: tuple[str, int], broker: Broker) -> None:
    url, _ = server
    session = await open_session(url, patient="anna", goal="calm", seed=1)
    async with watching(broker.port, "#") as watcher, join(url, session) as page:
        await watcher.until(lambda: state(watcher))
        await watcher.say("musicmed/anna/report", '{"valence": -0.6, "arousal": 0.6}')
        await page.until(lambda: page.state.get("report"))
        await page.send("report", valence=0.5, arousal=0.1)
        await watcher.until(lambda: (state(watcher)["report"] or {}).get("valence") == 0.5)
        await page.send("stop")
        await watcher.until(lambda: watcher.latest.get("musicmed/anna/availability") == b"", 20)


def test_whoever_looks_after_the_server_sees_the_broker(server: tuple[str, int]) -> None:
    url, _ = server
    assert httpx.get(f"{url}healthz").json()["mqtt"] == {"connected": True, "reason": None}
    assert "musicmed_mqtt_taken_total" in httpx.get(f"{url}metrics").text


async def test_the_last_will_says_that_the_server_was_killed(broker: Broker) -> None:
    with serving("--mqtt", f"mqtt://127.0.0.1:{broker.port}") as (_, pid):
        async with watching(broker.port, "musicmed/status") as watcher:
            await watcher.until(lambda: watcher.latest.get("musicmed/status") == b"online")
            os.kill(pid, signal.SIGKILL)
            await watcher.until(lambda: watcher.latest["musicmed/status"] == b"offline")


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_ended_ends_its_own_broker_after_itself(ending: signal.Signals) -> None:
    command = [sys.executable, "-m", "musicmed_live", "serve", "--port", "0", "--mqtt"]
    server = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    try:
        assert server.stdout is not None
        port = int(server.stdout.readline().rpartition(":")[2])
        wait_until_connected(server.stdout.readline().split()[1])
        # As a terminal does, and as whoever looks after servers does.
        os.killpg(server.pid, ending) if ending is signal.SIGINT else os.kill(server.pid, ending)
        _, words = server.communicate(timeout=20)
    finally:
        server.kill()
    assert "lost" not in words
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def wait_until_connected(url: str) -> None:
    for _ in range(600):
        with suppress(httpx.TransportError):
            health = httpx.get(f"{url}healthz", timeout=5).json()
            if health["warm"] and health["mqtt"]["connected"]:
                return
        time.sleep(0.05)
    pytest.fail("the server does not find its broker")
