"""Sessions over MQTT (docs/mqtt.md): readings, reports, goals and commands in; states and discovery out."""

import asyncio
import json
import logging
import secrets
import time
from contextlib import suppress
from functools import partial
from typing import Any

from aiomqtt import Client, Message, MqttError, Will

from musicmed_live.core.emotion import WORDS as MOODS
from musicmed_live.service.discovery import BIRTH, device, discovery_topic
from musicmed_live.service.hub import Hub
from musicmed_live.service.intake import Intake, is_urgent
from musicmed_live.service.live import LiveSession
from musicmed_live.service.mqtt_address import Address
from musicmed_live.service.mqtt_client import (
    Inbox,
    OurFault,
    connected,
    heed_cancellation,
    pause_seconds,
    sentence,
    subscribe,
)
from musicmed_live.service.topics import (
    AVAILABILITIES,
    OFFLINE,
    ONLINE,
    ORDERS,
    READINGS,
    STATUS,
    WORDS,
    available_patient,
    topic,
)

log = logging.getLogger(__name__)

STATE_SECONDS = 1.0  # between two states of a patient
QUIET_SECONDS = 5.0  # the same, while nothing happens but that time passes
LEAVE_SECONDS = 2.0  # for saying goodbye
STEADY_SECONDS = 20.0  # a connection that has lasted so long was not made in vain
OUTBOX = 64  # answers that wait to be published; more of them are dropped
LEFTOVERS = 256  # patients of before who wait to be cleared; more of them are left for the next connection

_WORD_OF = {(point.valence, point.arousal): word for word, (point, _) in MOODS.items()}


class Bridge:
    """Between one broker and all sessions of a hub. `run` it as a task of their event loop."""

    def __init__(self, address: Address, hub: Hub) -> None:
        self._address = address
        self._hub = hub
        self._intake = Intake(hub, self._answer)
        self._name = secrets.token_hex(4)  # stays the same: to the broker, a new connection succeeds the last one
        self._connected = False
        self._reason: str | None = "not connected yet"
        self._tries = 0  # that failed since it was connected for a while
        self._outbox: asyncio.Queue[tuple[str, str]] = asyncio.Queue(OUTBOX)
        self._wanted: set[str] = set()  # patients of whom the broker is to be told
        self._news = asyncio.Event()  # there are some
        self._told: dict[str, asyncio.Event] = {}  # patients of whom it is being told, and that there is more to tell
        self._births = 0  # of Home Assistant
        self._denied = asyncio.Event()  # somebody says that we are not there
        hub.on_open.add(self._note_opened)

    def health(self) -> dict[str, Any]:
        """`connected`, and where it is not, the `reason` in one sentence."""
        return {"connected": self._connected, "reason": self._reason}

    async def run(self) -> None:
        """Be connected, again and again, until cancelled."""
        while True:
            fault = await self._connect_once()
            self._tries += 1
            self._reason = sentence(self._address, fault)
            if self._tries == 1:
                log.warning("MQTT: %s; sessions play on, and it is tried again", self._reason)
            await asyncio.sleep(pause_seconds(fault, self._tries))

    async def _connect_once(self) -> MqttError:
        """What ended the connection. A fault of ours is logged, and no affair of the sessions."""
        # In a task of its own: one in which a TaskGroup has failed counts as cancelled ever after (Python 3.11).
        connection = asyncio.create_task(self._until_lost(), name="mqtt connection")
        try:
            await asyncio.wait({connection})
        finally:
            connection.cancel()
            await asyncio.wait({connection})
        heed_cancellation()
        ours = connection.exception()
        if ours is None:
            return connection.result()
        log.error("MQTT failed", exc_info=ours)
        self._connected = False
        return OurFault("it failed here, as the log says")

    async def _until_lost(self) -> MqttError:
        """Connect and serve; what ended that."""
        will = Will(STATUS, OFFLINE, qos=1, retain=True)
        ordered, spoken, measured = Inbox(is_urgent), Inbox(), Inbox()
        lost = MqttError("no reason is known")
        try:
            # Commands have a connection of their own, so that no flood of words or readings is ahead of them.
            async with (
                connected(self._address, f"commands-{self._name}", ordered, will) as commands,
                connected(self._address, f"words-{self._name}", spoken) as words,
                connected(self._address, f"readings-{self._name}", measured) as readings,
            ):
                await subscribe(commands, ORDERS, qos=1)
                await subscribe(words, *WORDS, STATUS, AVAILABILITIES, qos=1)
                await words.subscribe(BIRTH, 1)  # where that is refused, discovery is just not repeated
                await subscribe(readings, READINGS, qos=0)
                heed_cancellation()
                await self._serve(commands, {commands: ordered, words: spoken, readings: measured})
        except* MqttError as faults:
            lost = _first(faults)
        return lost

    async def _serve(self, broker: Client, inboxes: dict[Client, Inbox]) -> None:
        """Take in, and tell the `broker`, until a connection is lost, which raises, or until cancelled."""
        self._connected, self._reason, begun = True, None, time.monotonic()
        log.info("MQTT: connected to the broker %s", self._address)
        self._told.clear()
        for live in self._hub.lives:
            self._want(live.patient)
        try:
            async with asyncio.TaskGroup() as group:
                for connection, inbox in inboxes.items():
                    group.create_task(self._read(connection, inbox), name="mqtt in")
                group.create_task(self._say_online(broker), name="mqtt status")
                group.create_task(self._publish_answers(broker), name="mqtt answers")
                group.create_task(self._tell_all(broker, group), name="mqtt tell")
        except asyncio.CancelledError:
            await self._leave(broker)
            raise
        finally:
            self._connected, self._reason = False, "the connection is lost"
            if time.monotonic() - begun > STEADY_SECONDS:
                self._tries = 0

    async def _read(self, connection: Client, inbox: Inbox) -> None:
        """Take in what comes, all that is there at a time."""
        async for message in connection.messages:
            self._take(message)
            while not inbox.empty():
                self._take(inbox.get_nowait())
            while inbox.lost:
                inbox.lost -= 1
                self._intake.drop("backlog")

    def _take(self, message: Message) -> None:
        name = message.topic.value
        if name == STATUS:
            if message.payload != ONLINE.encode() and not message.retain:
                self._denied.set()
        elif name == BIRTH:
            if message.payload == ONLINE.encode() and not message.retain:
                self._births += 1
                self._note_changes()
        elif (patient := available_patient(name)) is None:
            self._intake.take(message)
        elif message.retain and message.payload and len(self._wanted) < LEFTOVERS:
            self._want(patient)  # it may be left over from sessions of before

    async def _say_online(self, broker: Client) -> None:
        """Say that we are there: at first, and when somebody, as the last will of a connection of before, denies it."""
        while True:
            self._denied.clear()
            await broker.publish(STATUS, ONLINE, qos=1, retain=True)
            heed_cancellation()
            await self._denied.wait()

    async def _tell_all(self, broker: Client, group: asyncio.TaskGroup) -> None:
        """See to it that a task tells of each patient who has, or had, an open session."""
        while True:
            self._news.clear()
            for patient in self._wanted - self._told.keys():
                self._told[patient] = asyncio.Event()
                group.create_task(self._tell(broker, patient), name=f"mqtt {patient}")
            self._wanted.clear()
            await self._news.wait()

    async def _tell(self, broker: Client, patient: str) -> None:
        """Publish the device and the states of a patient's newest session, and clear them after the last one."""
        changed, announced = self._told[patient], -1
        while (live := self._hub.of_patient(patient)) is not None:
            changed.clear()
            if announced != self._births:
                announced = self._births
                await broker.publish(discovery_topic(patient), json.dumps(device(patient)), qos=1, retain=True)
                await broker.publish(topic(patient, "availability"), ONLINE, qos=1, retain=True)
            await broker.publish(topic(patient, "state"), _state(live), retain=True)
            heed_cancellation()
            await asyncio.sleep(STATE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(QUIET_SECONDS - STATE_SECONDS):
                    await changed.wait()
        await self._clear(broker, patient)
        self._intake.forget(patient)
        del self._told[patient]
        if self._hub.of_patient(patient) is not None:
            self._want(patient)  # it was opened just now

    async def _clear(self, broker: Client, patient: str) -> None:
        """Tell that the patient has no session, and leave nothing of it at the broker."""
        await broker.publish(topic(patient, "availability"), OFFLINE, qos=1)
        for name in (discovery_topic(patient), topic(patient, "state"), topic(patient, "availability")):
            await broker.publish(name, None, qos=1, retain=True)

    async def _leave(self, broker: Client) -> None:
        """The server goes away, and its sessions with it."""
        with suppress(MqttError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await broker.publish(STATUS, OFFLINE, qos=1, retain=True)
                for patient in list(self._told):
                    await self._clear(broker, patient)

    async def _publish_answers(self, broker: Client) -> None:
        while True:
            await broker.publish(*await self._outbox.get())
            heed_cancellation()

    def _answer(self, name: str, payload: str) -> None:
        with suppress(asyncio.QueueFull):  # then there are more urgent things than to tell what was wrong
            self._outbox.put_nowait((name, payload))

    def _note_opened(self, live: LiveSession) -> None:
        live.on_change.add(partial(self._note_change, live.patient))
        self._want(live.patient)
        self._note_change(live.patient)

    def _note_change(self, patient: str) -> None:
        changed = self._told.get(patient)
        if changed is not None:
            changed.set()

    def _note_changes(self) -> None:
        for changed in self._told.values():
            changed.set()

    def _want(self, patient: str) -> None:
        self._wanted.add(patient)
        self._news.set()


def _state(live: LiveSession) -> str:
    """The `state` message without the path, which is long, and with the goal as a word where it is one."""
    state = live.state()
    del state["path"]
    goal = state["goal"]
    state["goal_word"] = _WORD_OF.get((goal["valence"], goal["arousal"]))
    return json.dumps(state, separators=(",", ":"))


def _first(faults: BaseExceptionGroup[MqttError]) -> MqttError:
    fault = faults.exceptions[0]
    return fault if isinstance(fault, MqttError) else _first(fault)
