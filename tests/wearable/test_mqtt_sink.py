"""Readings to a real broker."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiomqtt import Client

from clients.wearable.broker import parse_broker
from clients.wearable.errors import Lost, Refused
from clients.wearable.mqtt_sink import MqttSink
from tests.wearable.conftest import BODY, Broker, a_broker

TOPIC = "musicmed/anna/reading/heart_rate"


@asynccontextmanager
async def a_listener(broker: Broker) -> AsyncIterator[Client]:
    """Hears all that goes over the broker."""
    async with Client("127.0.0.1", broker.port) as client:
        await client.subscribe("#")
        yield client


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_reading_arrives_once_and_is_not_retained(broker: Broker, version: str) -> None:
    sink = MqttSink(parse_broker(f"{broker.url}?version={version}", {}), "anna")
    async with a_listener(broker) as listener, sink.open() as link:
        await link.send(BODY)
        message = await anext(listener.messages)
        assert (str(message.topic), message.qos, message.retain) == (TOPIC, 0, False)
        assert isinstance(message.payload, bytes)
        assert json.loads(message.payload) == BODY


async def test_refusals_of_readings_are_told_and_those_of_others_are_not(broker: Broker) -> None:
    sink = MqttSink(parse_broker(broker.url, {}), "anna")
    async with a_listener(broker) as server, sink.open() as link:
        for payload in (
            "not json",
            "[]",
            json.dumps({"code": "invalid", "message": "of a report", "topic": "musicmed/anna/report"}),
            json.dumps({"code": "unknown_patient", "message": "nobody called anna \x1b[2J", "topic": TOPIC}),
        ):
            await server.publish("musicmed/anna/error", payload)
        assert await anext(link.refusals()) == "nobody called anna ?[2J (unknown_patient)"


async def test_a_broker_that_goes_away_is_lost(broker: Broker) -> None:
    async with MqttSink(parse_broker(broker.url, {}), "anna").open() as link:
        await broker.stop()
        with pytest.raises(Lost):
            await anext(link.refusals())
        with pytest.raises(Lost):
            await link.send(BODY)


async def test_a_broker_that_is_not_there_is_lost(broker: Broker) -> None:
    await broker.stop()
    with pytest.raises(Lost, match=r"^Connection refused$"):
        async with MqttSink(parse_broker(broker.url, {}), "anna").open():
            pass


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_broker_that_does_not_let_us_in_is_final(tmp_path: Path, version: str) -> None:
    async with a_broker(tmp_path, anonymous=False) as broker:
        sink = MqttSink(parse_broker(f"mqtt://anna:secret@127.0.0.1:{broker.port}?version={version}", {}), "anna")
        with pytest.raises(Refused, match="refuses user and password") as refusal:
            async with sink.open():
                pass
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("patient", ["", "anna b", "+", "a/b", "ä", "a" * 65, "anna\n"])
def test_a_patient_that_is_no_pseudonym_is_refused(patient: str) -> None:
    with pytest.raises(Refused, match="--patient"):
        MqttSink(parse_broker("mqtt://ward", {}), patient)
