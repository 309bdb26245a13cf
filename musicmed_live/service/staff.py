"""What the staff see over HTTP: the open sessions, the patient's way into one, what was kept of all of them."""

import asyncio
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from musicmed_live.composer.instruments import INSTRUMENTS
from musicmed_live.composer.preferences import STYLES
from musicmed_live.core.generator import SAMPLE_RATE
from musicmed_live.core.messages import Role, parse_patient
from musicmed_live.errors import CannotServe, InvalidInput
from musicmed_live.service.access import Grant, StaffRole
from musicmed_live.service.entrance import CARERS, client_or_staff, entrance_of, staff
from musicmed_live.service.hub import Entry, Hub

if TYPE_CHECKING:
    from musicmed_live.journal.account import Account
    from musicmed_live.journal.entries import Sitting
    from musicmed_live.journal.store import Journal

T = TypeVar("T")

TOKEN_SECONDS = 86_400.0  # of a therapist for one session: a day, as the patient's
PAST_TOKEN_SECONDS = 3600.0  # of what has ended, there are only reports to be opened
MOST_PAST = 500  # sessions that are listed, the newest first
# The report is a page of its own: its style and its pictures are in it.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'"
)


async def _sessions(request: Request) -> Response:
    """All that have not ended, the newest first, each with what opens its socket and what the patient joins it with."""
    grant = staff(request, StaffRole.THERAPIST)
    return JSONResponse([_told(request, entry, grant) for entry in reversed(_hub(request).entries)])


def _told(request: Request, entry: Entry, grant: Grant) -> dict[str, Any]:
    live = entry.live
    frames = live.session.wish.frames
    return {
        "id": live.name,
        "patient": live.patient,
        "phase": live.session.wire_phase(live.heard),
        "opened": round(entry.opened_at, 3),
        "minutes": None if frames is None else frames / SAMPLE_RATE / 60,
        "waits": not live.started,
        "tokens": {
            "therapist": _therapist_token(request, live.name, grant, TOKEN_SECONDS),
            "patient": entry.tokens[Role.PATIENT],
        },
    }


async def _past(request: Request) -> Response:
    """The sessions that the journal has, the newest first; `?patient=` for those of one."""
    grant = staff(request, StaffRole.THERAPIST)
    patient = parse_patient(dict(request.query_params))
    sittings = await _reading(request, lambda journal: journal.sessions(patient))
    return JSONResponse([_past_told(request, sitting, grant) for sitting in sittings[:MOST_PAST]])


def _past_told(request: Request, sitting: "Sitting", grant: Grant) -> dict[str, Any]:
    token = _therapist_token(request, sitting.id, grant, PAST_TOKEN_SECONDS)
    return {
        "id": sitting.id,
        "patient": sitting.patient,
        "opened": sitting.opened_at,
        "ended": sitting.ended_at,
        "tokens": {"therapist": token},
    }


async def _plan(request: Request) -> Response:
    """The body that the newest session of a patient was opened with, but for its seed; null where there was none."""
    staff(request, *CARERS)
    patient = parse_patient(request.path_params)
    return JSONResponse(await _reading(request, lambda journal: _last_plan(journal, patient)))


def _last_plan(journal: "Journal", patient: str | None) -> dict[str, Any] | None:
    for sitting in journal.sessions(patient):
        plan = journal.opening(sitting.id).get("plan")
        if plan is not None:  # journals of earlier versions have none
            return {key: value for key, value in plan.items() if key != "seed"}
    return None


async def _report(request: Request) -> Response:
    return await _written(request, _page, "text/html", {"Content-Security-Policy": REPORT_POLICY})


async def _table(request: Request) -> Response:
    return await _written(request, _csv, "text/csv", _as_file(request, "csv"))


async def _bundle(request: Request) -> Response:
    return await _written(request, _fhir, "application/fhir+json", _as_file(request, "fhir.json"))


async def _written(
    request: Request, write: "Callable[[Account], str]", media_type: str, headers: dict[str, str]
) -> Response:
    """What `write` makes, in a thread, of the session of that id. Raises `InvalidInput` where nothing is kept of it."""
    name = request.path_params["id"]
    client_or_staff(request, name, Role.THERAPIST, among=(StaffRole.ADMIN, StaffRole.THERAPIST))

    def read(journal: "Journal") -> str:
        from musicmed_live.journal.account import account_of

        sitting = _kept(journal, name)
        return write(account_of(sitting, journal.entries(sitting.id)))

    return Response(await _reading(request, read), media_type=media_type, headers=headers)


def _kept(journal: "Journal", name: str) -> "Sitting":
    """The session of that id. Who asks is at a page: the journal's own words are for a command line."""
    try:
        return journal.find(name)
    except InvalidInput as fault:
        if fault.code != "unknown_session":
            raise
        raise InvalidInput(
            "session: nothing is kept of this one, or not yet; try again in a minute, or look under Past sessions",
            "id",
            fault.code,
        ) from None


def _page(account: "Account") -> str:
    from musicmed_live.journal.page import page

    return page(account)


def _csv(account: "Account") -> str:
    from musicmed_live.journal.table import table

    return table(account)


def _fhir(account: "Account") -> str:
    from musicmed_live.journal.fhir import bundle

    return json.dumps(bundle(account), indent=1) + "\n"


async def _reading(request: Request, read: "Callable[[Journal], T]") -> T:
    """What `read` makes of the journal. Raises `InvalidInput` where there is none, or not for now."""
    journaling = request.app.state.journaling
    if journaling is None:
        raise InvalidInput(
            "journal: this server keeps none, so there are no reports; whoever runs it can have it keep one",
            code="no_journal",
        )
    try:
        found: T = await journaling.read(read)
        return found
    except CannotServe as fault:
        raise InvalidInput(str(fault), code="journal_away") from None


async def _way_in(request: Request) -> Response:
    """A picture of the address by which the patient joins."""
    staff(request, StaffRole.THERAPIST)
    entry = _hub(request).find(request.path_params["id"])
    address = f"{request.base_url}#session={entry.live.name}&token={entry.tokens[Role.PATIENT]}"
    return Response(await asyncio.to_thread(_drawn, address), media_type="image/svg+xml")


def _drawn(address: str) -> bytes:
    import segno

    picture = io.BytesIO()
    segno.make(address, error="m", micro=False).save(picture, kind="svg", xmldecl=False, omitsize=True, light="#fff")
    return picture.getvalue()


async def _choices(request: Request) -> Response:
    """What can be wanted and forbidden by name, and the generators that this house has."""
    generators = [source.name for source in _hub(request).sources.all]
    return JSONResponse({"instruments": list(INSTRUMENTS), "styles": list(STYLES), "generators": generators})


ROUTES: list[BaseRoute] = [
    Route("/api/sessions", _sessions, methods=["GET"]),
    Route("/api/sessions/{id}/report", _report),
    Route("/api/sessions/{id}/report.csv", _table),
    Route("/api/sessions/{id}/report.fhir.json", _bundle),
    Route("/api/sessions/{id}/qr.svg", _way_in),
    Route("/api/journal/sessions", _past),
    Route("/api/patients/{patient}/plan", _plan),
    Route("/api/instruments", _choices),
]


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def _therapist_token(request: Request, session: str, grant: Grant, seconds: float) -> str:
    """Opens one session for the therapist who asks, under the name by which others are told of them."""
    return entrance_of(request).access.grant(Role.THERAPIST, session, grant.name, seconds=seconds)


def _as_file(request: Request, ending: str) -> dict[str, str]:
    name = "".join(letter for letter in request.path_params["id"] if letter.isascii() and letter.isalnum())
    return {"Content-Disposition": f'attachment; filename="session-{name[:8]}.{ending}"'}
