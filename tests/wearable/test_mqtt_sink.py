"""Readings to a real broker."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from aiomqtt import Client, ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from clients.wearable import mqtt_sink
from clients.wearable.broker import PASSWORD, parse_broker
from clients.wearable.errors import Lost, Refused
from clients.wearable.mqtt_sink import MqttLink, MqttSink
from musicmed_live.service.broker import Broker
from tests.mosquitto import mosquitto
from tests.wearable.conftest import BODY

TOPIC = "musicmed/anna/reading/heart_rate"


def url(broker: Broker) -> str:
    return f"mqtt://127.0.0.1:{broker.port}"


@asynccontextmanager
async def a_listener(broker: Broker) -> AsyncIterator[Client]:
    """Hears all that goes over the broker, as it was published."""
    async with Client("127.0.0.1", broker.port, protocol=ProtocolVersion.V5) as client:
        await client.subscribe("#", options=SubscribeOptions(qos=1, retainAsPublished=True))
        yield client


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_a_reading_arrives_once_and_is_not_retained(broker: Broker, version: str) -> None:
    sink = MqttSink(parse_broker(f"{url(broker)}?version={version}", {}), "anna")
    async with a_listener(broker) as listener, sink.open() as link:
        await link.send(BODY)
        message = await anext(listener.messages)
        assert (str(message.topic), message.qos, message.retain) == (TOPIC, 0, False)
        assert json.loads(message.payload) == BODY


async def test_refusals_of_readings_are_told_and_those_of_others_are_not(broker: Broker) -> None:
    sink = MqttSink(parse_broker(url(broker), {}), "anna")
    async with a_listener(broker) as server, sink.open() as link:
        for payload in (
            "not json",
            "[]",
            json.dumps({"code": "invalid", "message": "of a report", "topic": "musicmed/anna/report"}),
            json.dumps({"code": "unknown_patient", "message": "nobody called anna \x1b[2J", "topic": TOPIC}),
        ):
            await server.publish("musicmed/anna/error", payload)
        assert await anext(link.news()) == "refused, nobody called anna ?[2J (unknown_patient)"


async def test_what_becomes_of_the_session_and_of_the_server_is_told(broker: Broker) -> None:
    sink = MqttSink(parse_broker(url(broker), {}), "anna")
    async with a_listener(broker) as server:
        await server.publish("musicmed/status", "online", retain=True)
        await server.publish("musicmed/anna/availability", "online", retain=True)
        async with sink.open() as link, aclosing(link.news()) as news:
            assert await anext(news) == "anna has a session"
            await server.publish("musicmed/anna/availability", "offline")
            assert await anext(news) == "anna has no session any more; readings go nowhere"
            await server.publish("musicmed/anna/availability", b"", retain=True)
            await server.publish("musicmed/status", "offline", retain=True)
            assert await anext(news) == "musicmed_live has left the broker; readings go nowhere"


async def test_a_patient_whom_nobody_knows_is_told_of_once(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mqtt_sink, "GRACE_SECONDS", 0.01)
    sink = MqttSink(parse_broker(url(broker), {}), "ana")
    async with a_listener(broker) as server, sink.open() as link, aclosing(link.news()) as news:
        assert await anext(news) == "ana has no session yet; readings go nowhere until one is opened"
        await server.publish("musicmed/ana/availability", "online")
        assert await anext(news) == "ana has a session"


@pytest.mark.parametrize("refusal", [128, ReasonCode(PacketTypes.SUBACK, "Not authorized")])
async def test_a_broker_that_keeps_the_servers_words_is_told_of_and_readings_go_out(refusal: Any) -> None:
    client = Mock(
        subscribe=AsyncMock(return_value=[refusal, 1, 1]), publish=AsyncMock()
    )  # mosquitto alone never refuses
    link = MqttLink(client, "anna")
    await link.listen()
    async with aclosing(link.news()) as news:
        assert "does not let this user read musicmed/anna/error" in await anext(news)
    await link.send(BODY)
    client.publish.assert_awaited_once()


async def test_a_broker_that_goes_away_is_lost(broker: Broker) -> None:
    async with MqttSink(parse_broker(url(broker), {}), "anna").open() as link:
        broker.stop()
        with pytest.raises(Lost, match="the connection broke"):
            async with aclosing(link.news()) as news:
                await anext(news)
        with pytest.raises(Lost, match="not currently connected"):
            await link.send(BODY)


async def test_a_broker_that_is_not_there_is_lost(broker: Broker) -> None:
    broker.stop()
    with pytest.raises(Lost, match=r"^Connection refused$"):
        async with MqttSink(parse_broker(url(broker), {}), "anna").open():
            pass


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_who_has_the_password_is_let_in_and_for_others_it_is_final(tmp_path: Path, version: str) -> None:
    with mosquitto(tmp_path, users={"anna": "secret"}) as broker:
        address = f"mqtt://anna@127.0.0.1:{broker.port}?version={version}"
        async with MqttSink(parse_broker(address, {PASSWORD: "secret"}), "anna").open() as link:
            await link.send(BODY)
        with pytest.raises(Refused, match="refuses user and password") as refusal:
            async with MqttSink(parse_broker(address, {PASSWORD: "wrong secret"}), "anna").open():
                pass
    assert "secret" not in str(refusal.value)


# paho leaves the socket of a failed handshake to the garbage collection, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_encrypted_broker_is_believed_only_with_its_certificate(tmp_path: Path) -> None:
    with mosquitto(tmp_path, tls=True) as broker:
        address = f"mqtts://127.0.0.1:{broker.port}"
        certificate = tmp_path / "certificate.pem"
        async with MqttSink(parse_broker(f"{address}?ca={certificate}", {}), "anna").open() as link:
            await link.send(BODY)
        with pytest.raises(Lost, match="certificate verify failed"):
            async with MqttSink(parse_broker(address, {}), "anna").open():
                pass


@pytest.mark.parametrize("patient", ["", "anna b", "+", "a/b", "ä", "a" * 65, "anna\n"])
def test_a_patient_that_is_no_pseudonym_is_refused(patient: str) -> None:
    with pytest.raises(Refused, match="--patient"):
        MqttSink(parse_broker("mqtt://ward", {}), patient)
