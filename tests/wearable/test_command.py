"""The command `musicmed-wearable`."""

import asyncio
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.wearable.__main__ import main
from musicmed_live.service.broker import Broker
from tests.wearable.conftest import SessionServer
from tests.wearable.test_mqtt_sink import a_listener

COMMAND = (sys.executable, "-m", "clients.wearable")
TO_SESSION = ("--session", "ws://127.0.0.1:1/api/sessions/a/live?token=secret")
TO_BROKER = ("--mqtt", "mqtt://127.0.0.1:1", "--patient", "anna")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "required: COMMAND"),
        (("smell",), "invalid choice: 'smell'"),
        (("simulate",), "one of the arguments --mqtt --session is required"),
        (("simulate", *TO_SESSION, *TO_BROKER), "not allowed with argument"),
        (("simulate", *TO_SESSION, "--patient", "anna"), "--patient NAME belongs to --mqtt"),
        (("simulate", "--mqtt", "mqtt://ward"), "--patient NAME belongs to --mqtt"),
        (("simulate", "--mqtt", "ward", "--patient", "anna"), "--mqtt: not the address of a broker"),
        (("simulate", "--rate", "900", *TO_BROKER), "'900' is not a number from 40 to 180"),
        (("replay", "missing.csv", *TO_BROKER), "missing.csv cannot be read"),
        (("replay", "missing.csv", "--speed", "fast", *TO_BROKER), "'fast' is not a number from 0.1 to 100"),
        (("pulsoid", *TO_BROKER), "PULSOID_TOKEN is not set"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULSOID_TOKEN", raising=False)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("musicmed-wearable: ")
    assert said in told
    assert told.count("\n") == 1
    assert "secret" not in told


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("bleak", ("ble", *TO_SESSION)),
        ("aiomqtt", ("simulate", *TO_BROKER)),
        ("websockets", ("simulate", *TO_SESSION)),
    ],
)
def test_a_missing_package_is_named_with_the_way_to_get_it(
    package: str, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = (f"{package}.", "clients.wearable.s", "clients.wearable.mqtt_sink")
    for name in [name for name in sys.modules if name.startswith(loaded)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(SystemExit):
        main(arguments)
    assert f"{package} is not installed" in capsys.readouterr().err


def test_a_relay_knows_nothing_of_the_package_and_loads_what_a_command_needs() -> None:
    code = "import sys, clients.wearable.__main__; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert "clients" in loaded
    assert not loaded & {"musicmed_live", "numpy", "bleak", "aiomqtt", "websockets"}


async def test_a_recording_reaches_the_session_by_one_command(session: SessionServer, tmp_path: Path) -> None:
    file = tmp_path / "rest.csv"
    file.write_text("at,bpm,rr_ms\n0,60,1000\n1,61,980 990\n")
    relay = await asyncio.create_subprocess_exec(
        *COMMAND, "replay", str(file), "--speed", "100", "--session", session.url, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await relay.communicate()
    assert relay.returncode == 0
    assert [(await session.taken.get())["bpm"] for _ in range(2)] == [60, 61]
    assert out.decode().splitlines()[-1].endswith("| rest.csv is at its end | server ok | 2 sent, 0 lost, 0 RR")
    assert b"secret" not in out


async def test_a_simulated_heart_beats_over_the_broker_until_ctrl_c(broker: Broker) -> None:
    async with a_listener(broker) as listener:
        relay = await asyncio.create_subprocess_exec(
            *COMMAND, "simulate", "--seed", "1", "--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--patient", "anna",
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        message = await anext(listener.messages)
        relay.send_signal(signal.SIGINT)
        out, faults = await relay.communicate()
    assert json.loads(message.payload)["contact"] is True
    assert relay.returncode == 0
    assert out.decode().splitlines()[-1].endswith("| simulated heart ok | server ok | 1 sent, 0 lost, 1 RR")
    assert not faults
