"""Calibrated outputs: how loud the music is at the ear, known from what a sound level meter read once.

Pink noise of -23 LUFS is played through the output at its fixed volume, and the meter is read: the difference between
that and the noise's own level is the output's offset. The calls of `Outputs` block: not for an event loop.
"""

import asyncio
import functools
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import soundfile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from musicmed_live.core.checks import check_keys, is_number
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.messages import parse_object
from musicmed_live.core.pink import noise_dbfs_a, pink_noise
from musicmed_live.errors import InvalidInput, shown
from musicmed_live.service.access import StaffRole
from musicmed_live.service.entrance import CARERS, staff
from musicmed_live.service.guard import body_of
from musicmed_live.service.profiles import default_folder, put_aside, replace_file

log = logging.getLogger(__name__)

VERSION = 1
NAME = re.compile(r"[\w][\w .()+-]{0,63}", re.UNICODE)
METER_DBA = (30.0, 100.0)
MOST_OUTPUTS = 256
CALIBRATORS = (StaffRole.THERAPIST, StaffRole.NURSE)

# Levels that are advised, to be offered as `loudest_dba`.
PRESETS = (
    {
        "name": "amta",
        "dba": 65,
        "source": "American Music Therapy Association, Music Listening Guidelines: at 65 dB or lower",
    },
    {
        "name": "ward_night",
        "dba": 30,
        "source": "Guidelines for Community Noise, ed. B. Berglund, T. Lindvall, D. H. Schwela, WHO 1999, table 4.1: "
        "hospital ward rooms, 30 dB LAeq, night and day",
    },
)


@dataclass(frozen=True, slots=True)
class Output:
    """One that is calibrated."""

    name: str
    meter_dba: float  # what the meter read
    calibrated: str  # when, ISO 8601

    @property
    def offset_db(self) -> float:
        """From a level in dB(A) relative to full scale to that at the meter."""
        return self.meter_dba - noise_dbfs_a()


class Outputs:
    """The calibrated outputs of this machine, in one file for its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changing = threading.Lock()

    def all(self) -> dict[str, Output]:
        """By name. Where the file cannot be read, that is told in the log, and no output counts as calibrated."""
        try:
            return self._load()
        except OSError as fault:
            log.error("%s cannot be read, so no output is calibrated: %s", self._path.name, fault)
            return {}

    def find(self, name: str) -> Output:
        """The output of that name. Raises `InvalidInput` `unknown_output`, which says how to calibrate one."""
        known = self.all()
        if name not in known:
            there = ", ".join(sorted(known)) or "there is none"
            raise InvalidInput(
                f"output: {shown(name)} is none of the calibrated ones ({there}); "
                "calibrate it on the page /calibrate.html, or with `musicmed-live calibrate NAME`",
                "output",
                "unknown_output",
            )
        return known[name]

    def put(self, name: str, meter_dba: float) -> Output:
        """Calibrate an output, anew where it is known.

        Raises `InvalidInput`, `not_kept` where the disk does not take it.
        """
        check_name(name)
        check_reading(meter_dba)
        output = Output(name, meter_dba, datetime.now(UTC).isoformat(timespec="seconds"))
        with self._kept() as known:
            if name not in known and len(known) >= MOST_OUTPUTS:
                raise InvalidInput(f"name: {MOST_OUTPUTS} outputs are calibrated already; forget one first", "name")
            known[name] = output
        return output

    def remove(self, name: str) -> None:
        """Forget an output. Raises `InvalidInput` `unknown_output`, or `not_kept`."""
        self.find(name)
        with self._kept() as known:
            known.pop(name, None)

    @contextmanager
    def _kept(self) -> Iterator[dict[str, Output]]:
        """What is kept, to be changed. Raises `InvalidInput` `not_kept` where that can be neither read nor written."""
        with self._changing:
            try:
                known = self._load()
                yield known
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                body = {"version": VERSION, "outputs": [asdict(output) for output in known.values()]}
                replace_file(self._path, json.dumps(body, indent=1, ensure_ascii=False))
            except OSError as fault:
                raise InvalidInput(f"{self._path}: it cannot be kept: {fault.strerror}", code="not_kept") from None

    def _load(self) -> dict[str, Output]:
        """What is in the file; one that is damaged is put aside. Raises `OSError`."""
        try:
            return _read(self._path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (InvalidInput, UnicodeDecodeError) as fault:
            put_aside(self._path, fault)
            return {}


def default_outputs() -> Outputs:
    """Those of this machine: beside the patients' profiles."""
    return Outputs(default_folder().parent / "outputs.json")


def check_name(name: str) -> None:
    """Raises `InvalidInput` where that cannot be an output's name."""
    if NAME.fullmatch(name) is None:
        accepted = "1 to 64 letters, digits, spaces and _ . ( ) + -, the first one a letter or digit"
        raise InvalidInput(f"name: {shown(name)} is not {accepted}", "name")


def check_reading(meter_dba: Any) -> None:
    """Raises `InvalidInput` where no meter would read that."""
    if not is_number(meter_dba) or not METER_DBA[0] <= meter_dba <= METER_DBA[1]:
        raise InvalidInput(
            f"meter_dba: {shown(meter_dba)} is not a number from {METER_DBA[0]:g} to {METER_DBA[1]:g}", "meter_dba"
        )


def output_object(output: Output) -> dict[str, Any]:
    """As JSON has it."""
    return {**asdict(output), "offset_db": round(output.offset_db, 2)}


@functools.cache
def noise_file() -> bytes:
    """The noise, as a WAV file."""
    file = io.BytesIO()
    soundfile.write(file, pink_noise(), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _read(text: str) -> dict[str, Output]:
    body = parse_object(text)
    check_keys(body, ("version", "outputs"))
    if body.get("version") != VERSION or not isinstance(body.get("outputs"), list):
        raise InvalidInput(f"version: {shown(body.get('version'))} is not {VERSION}", "version")
    return {output.name: output for output in map(_output, body["outputs"])}


def _output(value: Any) -> Output:
    if not isinstance(value, dict) or set(value) != {"name", "meter_dba", "calibrated"}:
        raise InvalidInput(f"outputs: {shown(value)} is not an output", "outputs")
    name, meter_dba, calibrated = value["name"], value["meter_dba"], value["calibrated"]
    if not isinstance(name, str) or not isinstance(calibrated, str):
        raise InvalidInput(f"outputs: {shown(value)} is not an output", "outputs")
    check_name(name)
    check_reading(meter_dba)
    return Output(name, float(meter_dba), calibrated)


async def _list(request: Request) -> Response:
    staff(request)
    outputs = await asyncio.to_thread(_outputs(request).all)
    return JSONResponse([output_object(output) for _, output in sorted(outputs.items())])


async def _put(request: Request) -> Response:
    staff(request, *CALIBRATORS)
    body = parse_object(await body_of(request))
    check_keys(body, ("meter_dba",))
    check_reading(body.get("meter_dba"))
    output = await asyncio.to_thread(_outputs(request).put, request.path_params["name"], float(body["meter_dba"]))
    return JSONResponse(output_object(output))


async def _remove(request: Request) -> Response:
    staff(request, *CALIBRATORS)
    await asyncio.to_thread(_outputs(request).remove, request.path_params["name"])
    return Response(status_code=204)


async def _dose(request: Request) -> Response:
    staff(request, *CARERS)
    return JSONResponse(await request.app.state.hub.dose(request.path_params["patient"]))


async def _presets(_request: Request) -> Response:
    return JSONResponse(PRESETS)


async def _noise(_request: Request) -> Response:
    return Response(await asyncio.to_thread(noise_file), media_type="audio/wav")


def _outputs(request: Request) -> Outputs:
    outputs: Outputs = request.app.state.hub.outputs
    return outputs


ROUTES: list[BaseRoute] = [
    Route("/api/outputs", _list, methods=["GET"]),
    Route("/api/outputs/{name:path}", _put, methods=["PUT"]),
    Route("/api/outputs/{name:path}", _remove, methods=["DELETE"]),
    Route("/api/patients/{patient}/dose", _dose, methods=["GET"]),
    Route("/api/presets", _presets, methods=["GET"]),
    Route("/api/noise.wav", _noise, methods=["GET"]),
]
