"""Whether headphones are plugged in, as the sound server of this machine (PulseAudio or PipeWire) knows it."""

import asyncio
import json
import logging
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any

from musicmed_live.errors import CannotServe

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0  # where the sound server does not say by itself that something has changed
ANSWER_SECONDS = 5.0
WORN = ("headphones", "headset", "earpiece", "handset", "handsfree")  # types of ports, as pactl calls them


class Plug(StrEnum):
    """What is in the socket."""

    IN = "in"
    OUT = "out"
    UNKNOWN = "unknown"  # no sound server, or a card that cannot tell


def plug_of(sinks: Any, name: str) -> Plug:
    """What the sink `name` plays to. `sinks` is what `pactl --format=json list sinks` prints, parsed."""
    found = [sink for sink in sinks if sink.get("name") == name]
    ports = {port["name"]: _is_worn(port) for sink in found for port in sink.get("ports", [])}
    if ports.get(found[0].get("active_port") if found else None):
        return Plug.IN
    return Plug.OUT if any(ports.values()) else Plug.UNKNOWN


async def look() -> Plug:
    """What is plugged in now."""
    try:
        info = json.loads(await _pactl("--format=json", "info"))
        return plug_of(json.loads(await _pactl("--format=json", "list", "sinks")), info["default_sink_name"])
    except (CannotServe, ValueError, LookupError, TypeError, AttributeError):  # none there, or none that we understand
        return Plug.UNKNOWN


async def watch(changed: Callable[[Plug], Awaitable[None]]) -> None:
    """Tell what is plugged in, at first and whenever that changes, until cancelled."""
    before: Plug | None = None
    events: Process | None = None
    try:
        while True:
            plug = await look()
            if plug is not before:
                log.info("headphones: %s", plug.value)
                await changed(plug)
            before = plug
            if events is None or events.returncode is not None:
                events = await _subscribe()
            await _wait_for_change(events)
    finally:
        if events is not None and events.returncode is None:
            events.kill()
            await events.wait()


async def set_volume(percent: int) -> None:
    """Set the system's volume, and end its being muted. Raises `CannotServe` where that cannot be done."""
    await _pactl("set-sink-volume", "@DEFAULT_SINK@", f"{percent}%")
    await _pactl("set-sink-mute", "@DEFAULT_SINK@", "0")


def _is_worn(port: dict[str, Any]) -> bool:
    return str(port.get("type", "")).lower() in WORN or "headphone" in port["name"].lower()


async def _subscribe() -> Process | None:
    with suppress(OSError):
        return await asyncio.create_subprocess_exec(
            "pactl", "subscribe", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=_environment()
        )
    return None


async def _wait_for_change(events: Process | None) -> None:
    """Return when a card or a sink has changed, or after a while in any case."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            if events is not None and events.stdout is not None:
                while line := await events.stdout.readline():
                    if b" on sink #" in line or b" on card #" in line or b" on server" in line:
                        return
            await asyncio.sleep(LOOK_SECONDS)


async def _pactl(*arguments: str) -> str:
    try:
        process = await asyncio.create_subprocess_exec(
            "pactl", *arguments, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=_environment()
        )
    except OSError as fault:
        raise CannotServe(f"pactl: {fault.strerror}; install it (Debian: pulseaudio-utils)") from None
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            out, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CannotServe(f"pactl {arguments[0]}: the sound server does not answer; restart it") from None
    if process.returncode:
        raise CannotServe(f"pactl {' '.join(arguments)}: it failed; see that PulseAudio or PipeWire runs")
    return out.decode()


def _environment() -> dict[str, str]:
    return {**os.environ, "LC_ALL": "C"}  # it translates the types of ports, too
