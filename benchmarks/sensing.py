"""What wearables cost and how soon they count: MQTT readings to estimates, to the plan, and faults until they are told.

Cost is that of the process that serves: its CPU seconds, from the broker's socket to the estimate and the states that
are published. Music is left out of it (`load` measures that). Delays are those of the real command with real sessions.
"""

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import numpy as np
from aiomqtt import Client
from paho.mqtt.client import Client as Publisher
from paho.mqtt.enums import CallbackAPIVersion
from prometheus_client import CollectorRegistry

from benchmarks.listener import Listener, join, open_session, serving
from benchmarks.report import print_figures, print_table
from musicmed_live.core.emotion import WORDS
from musicmed_live.core.events import Play
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.path import Rules
from musicmed_live.core.plan import Plan
from musicmed_live.core.profile import Baseline, Feature, Profile
from musicmed_live.service.broker import OPEN, Broker
from musicmed_live.service.generators import Choice
from musicmed_live.service.hub import Hub
from musicmed_live.service.live import LiveSession
from musicmed_live.service.mqtt import Bridge
from musicmed_live.service.mqtt_address import parse_address
from musicmed_live.service.profiles import Profiles, default_folder
from musicmed_live.service.sources import Sources, open_sources

Body = dict[str, Any]

REST_BPM, EXCITED_BPM = 62.0, 104.0
SETTLING_SECONDS = 5.0  # in which every session is announced
FULL_HZ = {"heart_rate": 1, "skin_conductance": 4, "respiration": 1, "motion": 4}  # as such devices send
FULL_PATIENTS = 800
STRAPS_HZ = {"heart_rate": 1}
STRAPS = 500
LATE_SECONDS = 300.0
WELL_SECONDS = 15.0  # of a source before its fault
LONGEST_SECONDS = 60.0  # that anything is waited for
READING_SECONDS = 2.4  # between two readings whose effect is awaited: nearer ones are no further evidence (Sensing)
MISSED_SECONDS = 2.0  # a reading that has not changed by then what it should have is missed, and counts as this late


class Seat(LiveSession):
    """A session that takes itself to be playing, while nobody makes its music."""

    def __init__(self, patient: str, sources: Sources) -> None:
        wish = Plan(WORDS["tense"][0], WORDS["calm"][0], None, 1)
        profile = Profile({Feature.HEART_RATE: Baseline(REST_BPM, 4.0, 300.0)})
        super().__init__(patient, patient, wish, sources, profile)
        self._begun = time.monotonic()
        self.session.handle(Play(), 0)

    @property
    def heard(self) -> int:
        """By the clock alone."""
        return round((time.monotonic() - self._begun) * SAMPLE_RATE)

    @property
    def playing(self) -> bool:
        """Yes."""
        return True


class House:
    """More sessions than a hub takes in, for as much as the bridge wants to know of one."""

    def __init__(self) -> None:
        self.on_open: set[Callable[[LiveSession], None]] = set()
        self.metrics = SimpleNamespace(registry=CollectorRegistry())
        self._seats: dict[str, Seat] = {}
        self._sources = open_sources(Choice())

    @property
    def lives(self) -> list[Seat]:
        """All of them."""
        return list(self._seats.values())

    def of_patient(self, patient: str) -> Seat | None:
        """The one there is."""
        return self._seats.get(patient)

    def seat(self, patients: int) -> None:
        """Open a session for each."""
        for name in map(_patient, range(patients)):
            self._seats[name] = Seat(name, self._sources)
            for listener in self.on_open:
                listener(self._seats[name])

    def close(self) -> None:
        """End what was started for them."""
        self._sources.stop()

    def count(self, name: str, **labels: str) -> float:
        """A metric."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


def _patient(number: int) -> str:
    return f"patient-{number}"


def body(kind: str, at: float, phase: float) -> Body:
    """A plausible reading, measured at `at`."""
    wave = math.sin(at / 5 + phase) + 0.2 * math.sin(7.3 * at)
    bpm = 75 + 10 * wave
    values: dict[str, Body] = {
        "heart_rate": {"bpm": round(bpm), "rr_ms": [round(60_000 / bpm)], "contact": True},
        "skin_conductance": {"us": round(4 + 0.1 * wave, 3), "contact": True},
        "respiration": {"breaths_per_minute": round(14 + wave, 1)},
        "motion": {"g": round(0.02 + 0.01 * abs(wave), 3)},
    }
    return {"at": round(at, 3), **values[kind]}


def publish(port: int, patients: int, hertz: dict[str, int], seconds: float) -> None:
    """Wearables, in a process of their own: each sends in its own rhythm for `seconds`."""
    publisher = Publisher(CallbackAPIVersion.VERSION2)
    publisher.connect("127.0.0.1", port)
    publisher.loop_start()
    dice, begun = random.Random(1), time.monotonic()
    due = [
        (step / rate + dice.random() / rate, kind, number)
        for kind, rate in hertz.items()
        for number in range(patients)
        for step in range(int(seconds * rate))
    ]
    for after, kind, number in sorted(due):
        if (early := begun + after - time.monotonic()) > 0.001:
            time.sleep(early)
        publisher.publish(f"musicmed/{_patient(number)}/reading/{kind}", json.dumps(body(kind, time.time(), number)))
    publisher.disconnect()
    publisher.loop_stop()


async def cost(port: int, patients: int, hertz: dict[str, int], seconds: float) -> dict[str, float]:
    """Readings a second that arrived, and the share of a core that they and the states took."""
    house = House()
    running = asyncio.create_task(Bridge(parse_address(f"mqtt://127.0.0.1:{port}"), cast(Hub, house)).run())
    house.seat(patients)
    wearables = multiprocessing.get_context("spawn").Process(
        target=publish, args=(port, patients, hertz, seconds + SETTLING_SECONDS)
    )
    wearables.start()
    while not house.count("musicmed_mqtt_taken_total"):  # noqa: ASYNC110  # no event tells what is counted
        await asyncio.sleep(0.05)
    await asyncio.sleep(SETTLING_SECONDS)
    taken, cpu, begun = house.count("musicmed_mqtt_taken_total"), time.process_time(), time.monotonic()
    await asyncio.sleep(seconds - 1)
    share = (time.process_time() - cpu) / (time.monotonic() - begun)
    rate = (house.count("musicmed_mqtt_taken_total") - taken) / (time.monotonic() - begun)
    await asyncio.to_thread(wearables.join)
    running.cancel()
    await asyncio.wait({running})
    house.close()
    estimated = sum(seat.session.estimate(time.monotonic()) is not None for seat in house.lives)
    assert estimated == patients, f"{patients - estimated} patients have no estimate"
    return {"patients": patients, "rate": rate, "share": share, "rate_per_core": rate / share}


async def delays(url: str, port: int, sessions: int, seconds: float) -> tuple[list[float], int]:
    """Seconds from publishing a reading until a client of its session sees the plan that it changed.

    A reading that should have changed the plan and has not is `MISSED_SECONDS` late. The number is that of the
    readings that had nothing to change, as they moved the estimate by too little.
    """
    for number in range(sessions):
        _remember(_patient(number))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_delays_of(url, port, number, seconds)) for number in range(sessions)]
    found = [delay for task in tasks for delay in task.result()]
    return [delay for delay in found if delay is not None], found.count(None)


async def _delays_of(url: str, port: int, number: int, seconds: float) -> list[float | None]:
    """Nobody says how this patient feels, so that the plan goes along with the heart. None: nothing to change."""
    found: list[float | None] = []
    async with playing(url, _patient(number)) as listener, Client("127.0.0.1", port) as strap:
        begun = time.monotonic() + random.Random(number).uniform(0, READING_SECONDS)
        while (due := begun + len(found) * READING_SECONDS) < begun + seconds:
            await asyncio.sleep(due - time.monotonic())
            before, now = listener.state, time.monotonic()
            bpm = REST_BPM + 25 * (1 + math.sin(now / 15 + number))  # so slowly that no beat is taken for a false one
            await strap.publish(f"musicmed/{_patient(number)}/reading/heart_rate", json.dumps(_beat(bpm, time.time())))
            try:
                await listener.until(lambda before=before: listener.state["path"] != before["path"], MISSED_SECONDS)  # type: ignore[misc]
                found.append(time.monotonic() - now)
            except TimeoutError:
                found.append(MISSED_SECONDS if _is_owed(listener.state, before) else None)
    return found


def _is_owed(state: Body, before: Body) -> bool:
    """Whether the plan, which has not changed, should have: no estimate was made, or one too far from the plan."""
    estimate, past = state["estimate"], before["estimate"]
    if estimate is None or (past is not None and estimate["arousal"] == past["arousal"]):
        return True
    return bool(abs(estimate["arousal"] - state["path"][-1]["arousal"]) > Rules().tolerance / 2)


@asynccontextmanager
async def playing(url: str, patient: str) -> AsyncIterator[Listener]:
    """A session of `patient` that is heard."""
    async with join(url, await open_session(url, patient=patient, goal="calm", minutes=20, seed=1)) as listener:
        await listener.send("listen")
        await listener.send("play")
        await listener.until(lambda: listener.state.get("playing"))
        yield listener
        await listener.send("stop")
        await listener.until(lambda: listener.state["phase"] == "ended")


def _remember(patient: str) -> None:
    """From another day the server knows this heart at rest."""
    Profiles(default_folder()).save(patient, Profile({Feature.HEART_RATE: Baseline(REST_BPM, 4.0, 300.0)}))


def _beat(bpm: float, at: float) -> Body:
    return {"at": round(at, 3), "bpm": round(bpm), "rr_ms": [round(60_000 / bpm, 1)], "contact": True}


class Strap:
    """Worn by one patient, and at fault as one wishes: `dead`, `stuck` or `late`."""

    def __init__(self, client: Client, patient: str) -> None:
        self._client = client
        self._topic = f"musicmed/{patient}/reading/heart_rate"
        self.fault = ""

    async def run(self) -> None:
        """A beat a second."""
        bpm = 0.0
        while True:
            now = time.time()
            if self.fault != "stuck":
                bpm = 72 + 5 * math.sin(now / 3) + random.random()
            if self.fault != "dead":
                late = LATE_SECONDS if self.fault == "late" else 0.0
                await self._client.publish(self._topic, json.dumps(_beat(bpm, now - late)))
            await asyncio.sleep(1)


async def notices(url: str, broker: Broker) -> dict[str, float]:
    """Seconds until each fault is told, of a session that plays on all the while."""
    _remember("faults")
    async with playing(url, "faults") as listener:
        async with Client("127.0.0.1", broker.port) as client:
            strap = Strap(client, "faults")
            running = asyncio.create_task(strap.run())
            found = {
                "wearable dead": await _until_shown(listener, strap, "dead", "quiet"),
                "value stuck": await _until_shown(listener, strap, "stuck", "stuck"),
                "clock 5 min off": await _until_shown(listener, strap, "late", "clock"),
            }
            running.cancel()
        found["broker restarts"] = await _until_told(url, broker.stop, broker.start)
        found["broker falls silent"] = await _until_told(
            url, lambda: os.kill(broker.pid, signal.SIGSTOP), lambda: os.kill(broker.pid, signal.SIGCONT)
        )
        assert listener.state["playing"], "the session does not play on"
        await _assert_heard(listener, broker.port)
    return found


async def _until_shown(listener: Listener, strap: Strap, fault: str, shown: str) -> float:
    """Seconds until the state calls a fault of the strap what it is. Before it, the strap is well for a while."""

    def told() -> str | None:
        sources = listener.state["sources"]
        return sources[0]["fault"] if sources else "none yet"

    await listener.until(lambda: told() is None, LONGEST_SECONDS)
    await asyncio.sleep(WELL_SECONDS)
    strap.fault, begun = fault, time.monotonic()
    await listener.until(lambda: told() == shown, LONGEST_SECONDS)
    strap.fault = ""
    return time.monotonic() - begun


async def _until_told(url: str, harm: Callable[[], None], heal: Callable[[], None]) -> float:
    """Seconds until the server says that the broker does not answer; then it is brought back, and waited for."""
    begun = time.monotonic()
    harm()
    await _until_health(url, connected=False)
    seconds = time.monotonic() - begun
    heal()
    await _until_health(url, connected=True)
    return seconds


async def _until_health(url: str, connected: bool) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(LONGEST_SECONDS):
        while (await client.get(f"{url}healthz")).json()["mqtt"]["connected"] is not connected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _assert_heard(listener: Listener, port: int) -> None:
    """Whatever has happened to the broker, a report by it arrives."""
    async with Client("127.0.0.1", port) as client:
        await client.publish("musicmed/faults/report", json.dumps({"valence": 0.2, "arousal": 0.1}), qos=1)
        await listener.until(lambda: listener.state["report"], LONGEST_SECONDS)


@contextmanager
def apart() -> Iterator[Path]:
    """A folder for the broker, and for the profiles that the server keeps: nobody's own are touched."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        yield Path(folder)


def main() -> None:
    """Run it against a broker and a server of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement of cost; default: 20")
    parser.add_argument("--sessions", type=int, default=10, help="that play while delays are measured; default: 10")
    options = parser.parse_args()
    with apart() as folder:
        broker = Broker(folder, (*OPEN, "user root", "max_queued_messages 0"))
        broker.start()
        try:
            full = asyncio.run(cost(broker.port, FULL_PATIENTS, FULL_HZ, options.seconds))
            straps = asyncio.run(cost(broker.port, STRAPS, STRAPS_HZ, options.seconds))
            with serving("--mqtt", f"mqtt://127.0.0.1:{broker.port}") as (url, _):
                delayed = asyncio.run(delays(url, broker.port, options.sessions, 3 * options.seconds))
                told = asyncio.run(notices(url, broker))
        finally:
            broker.stop()
    tell(full, straps, delayed, told)


def tell(
    full: dict[str, float], straps: dict[str, float], delayed: tuple[list[float], int], told: dict[str, float]
) -> None:
    """The tables and the figures."""
    rows = [
        [name, round(cost["patients"]), cost["rate"], cost["share"], cost["rate_per_core"]]
        for name, cost in (("all four kinds, 10 readings a second", full), ("a heart-rate strap each, 1 Hz", straps))
    ]
    print_table(["wearables", "patients", "readings/s", "share of a core", "readings/s and core"], rows)
    found, idle = delayed
    delay = np.percentile(found, [50, 95, 100])
    missed = found.count(MISSED_SECONDS)
    print_table(
        ["reading to plan", "changes", "missed", "nothing to change", "median, s", "p95, s", "worst, s"],
        [["", len(found) - missed, missed, idle, *map(float, delay)]],
    )
    print_table(["fault", "told after, s"], [[name, seconds] for name, seconds in told.items()])
    figures = {
        "readings_per_s": full["rate_per_core"],
        "wearables_500_core_share": straps["share"],
        "reading_to_plan_p95_s": float(delay[1]),
        "fault_notice_s": max(told.values()),
    }
    print_figures("sensing", figures)


if __name__ == "__main__":
    main()
