"""The command line: options in, objects out, and off they go."""

import argparse
import asyncio
import logging
import secrets
import signal
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlencode

from musicmed_live import __version__
from musicmed_live.core.emotion import WORDS, Emotion, parse_emotion_text
from musicmed_live.core.messages import parse_patient
from musicmed_live.core.plan import DRAWN_SEEDS, MAX_SEED, Plan, parse_minutes
from musicmed_live.errors import InvalidInput, MusicmedError
from musicmed_live.service import calibrating, granting, models, reports
from musicmed_live.service.generators import DEVICES, GENERATORS, Choice, check_generator
from musicmed_live.service.listening import add_options, parse_listening
from musicmed_live.simulation import command as simulation

if TYPE_CHECKING:
    from musicmed_live.service.server import Server

KEEP_DAYS, MOST_DAYS = 365, 36500  # of the journal


def main(arguments: list[str] | None = None) -> None:
    """Run the command; exits with 2 and one line where something outside is wrong."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
    except MusicmedError as fault:
        sys.stderr.write(f"musicmed-live: {fault}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


class _Parser(argparse.ArgumentParser):
    """One whose errors are one line, like all others."""

    def error(self, message: str) -> NoReturn:
        """Refuse."""
        moods = any(option in message for option in ("--start", "--goal"))
        hint = " (a mood that begins with a minus sign takes an equals sign: --start=-0.6,0.6)" if moods else ""
        raise InvalidInput(f"{message}; see {self.prog} --help{hint}")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="musicmed-live",
        description="Music composed while it plays: it meets a listener's mood and leads it to a better one.",
        epilog="It relaxes; it diagnoses and treats nothing.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    play = commands.add_parser("play", help="start a session: a page to steer it, sound there or on the speaker")
    play.set_defaults(run=_play)
    play.add_argument("--speaker", action="store_true", help="play on this machine's sound card, at once")
    play.add_argument("--patient", metavar="NAME", help="a pseudonym, under which a baseline is kept; default: drawn")
    _add_plan(play)
    _add_server(play)
    serve = commands.add_parser("serve", help="serve the page and the wire protocol")
    serve.set_defaults(run=_serve)
    _add_server(serve)
    kiosk = commands.add_parser("kiosk", help="a bedside kiosk: one screen, one button, sound on the sound card")
    kiosk.set_defaults(run=_kiosk)
    shown = kiosk.add_mutually_exclusive_group()
    shown.add_argument("--window", action="store_true", help="in a window, to try it out")
    shown.add_argument("--no-browser", action="store_true", help="without a screen: something else shows the page")
    _add_server(kiosk)
    render = commands.add_parser("render", help="write a session to a WAV or FLAC file")
    render.set_defaults(run=_render)
    render.add_argument("out", type=Path, help="file to write, .wav or .flac")
    render.add_argument("--report", type=Path, metavar="FILE.json", help="what the session consists of, clip by clip")
    _add_plan(render)
    _add_generator(render)
    reports.add_parsers(commands)
    granting.add_parsers(commands)
    calibrating.add_parsers(commands)
    models.add_parser(commands)
    simulation.add_parser(commands)
    doctor = commands.add_parser("doctor", help="what this machine can do, and how to get what is missing")
    doctor.set_defaults(run=_doctor)
    return parser


def _add_plan(parser: argparse.ArgumentParser) -> None:
    words = f"a mood word ({', '.join(sorted(WORDS))}) or V,A such as -0.6,0.6"
    parser.add_argument("--start", metavar="MOOD", help=f"how the listener feels: {words}; default: neutral")
    parser.add_argument("--goal", metavar="MOOD", default="calm", help="where to lead; default: calm")
    parser.add_argument("--minutes", metavar="N", default="15", help="length, fractions allowed; default: 15")
    parser.add_argument("--seed", metavar="N", help="the same seed gives the same music; default: drawn")


def _add_server(parser: argparse.ArgumentParser) -> None:
    add_options(parser)
    parser.add_argument(
        "--mqtt",
        metavar="mqtt://user@host:1883",
        nargs="?",
        const="",
        help="speak MQTT with the broker there; without an address, with a mosquitto of its own on loopback",
    )
    reports.add_journal(parser, "; none: keep nothing")
    parser.add_argument(
        "--keep-days",
        metavar="N",
        default=str(KEEP_DAYS),
        help=f"what is older is deleted from the journal; default: {KEEP_DAYS}",
    )
    _add_generator(parser)


def _add_generator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--generator", metavar="NAME", default=GENERATORS[0], help=f"one of: {', '.join(GENERATORS)}")
    parser.add_argument(
        "--model", metavar="DIR|NAME", default="", help="MusicGen's weights: a directory, or a hub name"
    )
    parser.add_argument(
        "--adapter",
        metavar="[MOOD=]DIR",
        action="append",
        default=[],
        help="a LoRA adapter for MusicGen, for one mood or for all; may be given several times",
    )
    parser.add_argument(
        "--device", metavar="NAME", default=DEVICES[0], help=f"where MusicGen runs; one of: {', '.join(DEVICES)}"
    )


def _patient(text: str | None) -> str | None:
    if text is None:
        return None
    return parse_patient({"patient": text})


def _choice(options: argparse.Namespace) -> Choice:
    choice = Choice(options.generator, options.model, tuple(options.adapter), options.device)
    check_generator(choice)
    return choice


def _plan(options: argparse.Namespace) -> Plan:
    start: Emotion | None = None if options.start is None else parse_emotion_text(options.start, "--start")
    goal = parse_emotion_text(options.goal, "--goal")
    try:
        frames = parse_minutes(float(options.minutes))
    except ValueError:
        raise InvalidInput(f"--minutes: {options.minutes!r} is not a number such as 15 or 0.5", "minutes") from None
    return Plan(start, goal, frames, _seed(options.seed))


def _seed(text: str | None) -> int:
    if text is None:
        return secrets.randbelow(DRAWN_SEEDS)
    if not text.isascii() or not text.isdigit() or len(text) > len(str(MAX_SEED)) or int(text) > MAX_SEED:
        raise InvalidInput(f"--seed: {text[:60]!r} is not a whole number from 0 to 2^63 - 1", "seed")
    return int(text)


def _play(options: argparse.Namespace) -> None:
    wish, patient = _plan(options), _patient(options.patient)
    if options.speaker:
        from musicmed_live.service.soundcard import play_on_speaker

        with _server(options) as server:
            asyncio.run(play_on_speaker(wish, patient, server, _say))
        return
    with _server(options) as server:
        if server.is_open:
            _play_on_page(options, server)
        else:
            from musicmed_live.service.inviting import serve_and_invite

            asyncio.run(serve_and_invite(wish, patient, server, _say))


def _play_on_page(options: argparse.Namespace, server: "Server") -> None:
    given = {name: getattr(options, name) for name in ("patient", "start", "goal", "minutes", "seed")}
    address = f"{server.url}?{urlencode({key: text for key, text in given.items() if text is not None})}"
    _say(f"Open {address} and press Start. Ctrl-C ends it.")
    if sys.stdout.isatty():
        webbrowser.open(address)
    asyncio.run(server.serve_here())


def _serve(options: argparse.Namespace) -> None:
    with _server(options) as server:
        _say(f"Serving {server.url} - Ctrl-C ends it.")
        asyncio.run(server.serve_here())


def _kiosk(options: argparse.Namespace) -> None:
    from musicmed_live.service.kiosk_command import run_kiosk

    screen = None if options.no_browser else ("--window",) if options.window else ()
    with _server(options) as server:
        asyncio.run(run_kiosk(server, screen, _say))


@contextmanager
def _server(options: argparse.Namespace) -> Iterator["Server"]:
    """The server that the options ask for, and the broker where that is to be its own."""
    choice, listening = _choice(options), parse_listening(options)
    keep_days = granting.parse_days("--keep-days", options.keep_days, MOST_DAYS)
    from musicmed_live.service.sources import open_sources

    on_interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which the processes inherit: Ctrl-C is not theirs
    sources = open_sources(choice)  # first of all: they load while this one does
    signal.signal(signal.SIGINT, on_interrupt)
    from musicmed_live.service.broker import own_broker
    from musicmed_live.service.journaling import keeping, owner_name
    from musicmed_live.service.mqtt_address import parse_address
    from musicmed_live.service.server import Server

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is put away
    if hasattr(signal, "SIGHUP"):  # as where the terminal is closed; Windows has none
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    logging.getLogger("musicmed_live").setLevel(logging.INFO)  # what is decided for a patient, and why
    with ExitStack() as stack:
        address = options.mqtt
        if address == "":
            address = stack.enter_context(own_broker())
            _say(f"MQTT at {address}")
        kept_at = reports.place_of(options.journal)
        journaling = stack.enter_context(
            keeping(choice, kept_at, keep_days, owner_name(listening.host, listening.port))
        )
        yield Server(listening, sources, None if address is None else parse_address(address), journaling)


def _render(options: argparse.Namespace) -> None:
    wish, choice = _plan(options), _choice(options)
    from rich.console import Console
    from rich.progress import Progress

    from musicmed_live.service.generators import load_generator
    from musicmed_live.service.render import render

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("composing", total=wish.frames)
        render(
            wish,
            load_generator(choice),
            options.out,
            options.report,
            lambda done, _length: bar.update(task, completed=done),
        )
    _say(f"{options.out}: {options.minutes} min, seed {wish.seed}")


def _doctor(_options: argparse.Namespace) -> None:
    from musicmed_live.service.doctor import examine

    for finding in examine():
        _say(f"{'ok     ' if finding.found else 'missing'}  {finding.what}: {finding.words}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
