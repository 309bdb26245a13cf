"""The command `musicmed-wearable`: one source, one sink, and off they go."""

import argparse
import asyncio
import io
import math
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from clients.wearable.display import Display
from clients.wearable.errors import Over, Refused, WearableError
from clients.wearable.relay import Relay, Sink, Source, ungrouped
from clients.wearable.status import Status


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; exits with 2 and one line where it cannot work."""
    try:
        options = _parser().parse_args(arguments)
        source: Source = options.source(options, os.environ)
        sink = _sink(options, os.environ)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")  # a strap's name may be in any script
        # aiomqtt watches sockets, which only this loop does on every system.
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(_run(source, sink))
    except Over as end:
        sys.stdout.write(f"{end}\n")
    except WearableError as fault:
        sys.stderr.write(f"musicmed-wearable: {fault}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(0)  # how a relay is meant to end


async def _run(source: Source, sink: Sink) -> None:
    status = Status(source.name, sink.name)
    display = Display(status, sys.stdout)
    try:
        with ungrouped():
            async with asyncio.TaskGroup() as tasks:
                showing = tasks.create_task(display.show(), name="display")
                await Relay(source, sink, status).run()
                showing.cancel()
    finally:
        display.close(time.monotonic())


class _Parser(argparse.ArgumentParser):
    """One whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        raise Refused(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="musicmed-wearable", description="Relays heart beats to a musicmed_live session.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    ble = commands.add_parser("ble", help="a chest strap, an armband or a watch over Bluetooth")
    ble.set_defaults(source=_strap)
    ble.add_argument("--device", metavar="NAME", default="", help="part of its name or address; default: the only one")
    pulsoid = commands.add_parser("pulsoid", help="a phone or a watch by way of Pulsoid; its token in PULSOID_TOKEN")
    pulsoid.set_defaults(source=_pulsoid)
    pulsoid.add_argument("--url", metavar="URL", help="another service that speaks as Pulsoid does")
    replay = commands.add_parser("replay", help="a recording: CSV at,bpm,rr_ms, or RR intervals in ms, one a line")
    replay.set_defaults(source=_recording)
    replay.add_argument("file", type=Path)
    replay.add_argument("--speed", metavar="N", type=_between(0.1, 100), default=1.0, help="times as fast; default: 1")
    simulate = commands.add_parser("simulate", help="a heart that is made up")
    simulate.set_defaults(source=_simulation)
    simulate.add_argument("--rate", metavar="BPM", type=_between(40, 180), default=68.0, help="at rest; default: 68")
    simulate.add_argument(
        "--stress-at",
        metavar="SECONDS",
        type=_between(0, 86_400),
        help="when three minutes of stress begin; default: never",
    )
    simulate.add_argument("--seed", metavar="N", type=int, help="the same seed gives the same heart; default: drawn")
    for command in (ble, pulsoid, replay, simulate):
        _add_sink(command)
    return parser


def _add_sink(parser: argparse.ArgumentParser) -> None:
    ways = parser.add_mutually_exclusive_group(required=True)
    ways.add_argument(
        "--mqtt", metavar="ADDRESS", help="such as mqtt://user@host:1883; the password in MUSICMED_MQTT_PASSWORD"
    )
    ways.add_argument("--session", metavar="URL", help="such as ws://host:8765/api/sessions/ID/live?token=TOKEN")
    parser.add_argument("--patient", metavar="NAME", help="whose heart it is, with --mqtt")


def _between(low: float, high: float) -> Callable[[str], float]:
    """A number in these bounds."""

    def parse(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low:g} to {high:g}")
        return number

    return parse


def _strap(options: argparse.Namespace, _: Mapping[str, str]) -> Source:
    with _needs("bleak"):
        from clients.wearable.strap import Strap
    return Strap(options.device)


def _pulsoid(options: argparse.Namespace, environment: Mapping[str, str]) -> Source:
    with _needs("websockets"):
        from clients.wearable.pulsoid import TOKEN, URL, Pulsoid
    token = environment.get(TOKEN)
    if not token:
        raise Refused(f"{TOKEN} is not set: the token of the account, from pulsoid.net/ui/keys, belongs there")
    return Pulsoid(options.url or URL, token)


def _recording(options: argparse.Namespace, _: Mapping[str, str]) -> Source:
    from clients.wearable.recording import Recording

    return Recording(options.file, options.speed)


def _simulation(options: argparse.Namespace, _: Mapping[str, str]) -> Source:
    from clients.wearable.simulation import Simulation

    seed = random.getrandbits(32) if options.seed is None else options.seed
    return Simulation(options.rate, options.stress_at, seed)


def _sink(options: argparse.Namespace, environment: Mapping[str, str]) -> Sink:
    if (options.patient is None) != (options.mqtt is None):
        raise Refused("--patient NAME belongs to --mqtt, and --mqtt to it; a session's address has its patient in it")
    if options.session is not None:
        with _needs("websockets"):
            from clients.wearable.session_sink import SessionSink
        return SessionSink(options.session)
    with _needs("aiomqtt"):
        from clients.wearable.broker import parse_broker
        from clients.wearable.mqtt_sink import MqttSink
    return MqttSink(parse_broker(options.mqtt, environment), options.patient)


@contextmanager
def _needs(package: str) -> Iterator[None]:
    """Imports within are of `package`, which not every relay has to have."""
    try:
        yield
    except ModuleNotFoundError as fault:
        if (fault.name or "").split(".")[0] != package:
            raise
        install = "pip install --upgrade 'musicmed-live[wearable]'"
        raise Refused(f"{package} is not installed, or too old; this installs it: {install}") from None


if __name__ == "__main__":
    main()
