"""HTTP and WebSocket: the service's face to clients, and their pages."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from musicmed_live import __version__
from musicmed_live.composer.preferences import check_preferences
from musicmed_live.core import messages
from musicmed_live.core.emotion import WORDS
from musicmed_live.core.messages import Role
from musicmed_live.core.plan import parse_plan
from musicmed_live.errors import InvalidInput, MusicmedError
from musicmed_live.service import tokens
from musicmed_live.service.access import StaffRole, follow_secret, secret_path
from musicmed_live.service.connection import Connection
from musicmed_live.service.entrance import Entrance, client, client_or_staff, count, is_staff, staff
from musicmed_live.service.guard import Guard, body_of, error_response
from musicmed_live.service.hub import Hub
from musicmed_live.service.journaling import Journaling
from musicmed_live.service.kiosk import ROUTES as KIOSK_ROUTES
from musicmed_live.service.limits import Call
from musicmed_live.service.mqtt_address import Address
from musicmed_live.service.outputs import ROUTES as OUTPUT_ROUTES
from musicmed_live.service.outputs import default_outputs
from musicmed_live.service.pages import Pages
from musicmed_live.service.profiles import Profiles, default_folder
from musicmed_live.service.sources import Sources
from musicmed_live.service.staff import ROUTES as STAFF_ROUTES

if TYPE_CHECKING:
    from musicmed_live.service.mqtt import Bridge

MOST_SOCKETS = 32  # of one session
RESUME_SECONDS = 1.0  # the start does not wait longer for a journal,
SETTLE_SECONDS = 10.0  # nor what else is to be loaded for sessions that are taken up
COMPRESSION = 6  # of gzip: the higher ones take twice as long for a hundredth less

OnFault = Callable[[BaseException], None]


async def _on_invalid(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, InvalidInput)
    _hub(request).metrics.refused.inc()
    return error_response(fault)


async def _on_http(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    code = "not_found" if fault.status_code == 404 else "invalid"
    message = f"{request.method} {request.url.path}: {fault.detail.lower()}"
    return JSONResponse(messages.error(InvalidInput(message, code=code)), fault.status_code, fault.headers)


def _hub(connection: HTTPConnection) -> Hub:
    hub: Hub = connection.app.state.hub
    return hub


async def _open(request: Request) -> Response:
    caller = staff(request)
    count(request, Call.OPEN)
    hub = _hub(request)
    body = messages.parse_object(await body_of(request))
    wish, patient = parse_plan(body, hub.draw_seed), messages.parse_patient(body)
    check_preferences(wish.instruments, wish.style)
    entry = await hub.open(wish, patient)
    steers = caller.role in (StaffRole.THERAPIST, StaffRole.ADMIN)
    granted = {role.value: token for role, token in entry.tokens.items() if steers or role is not Role.THERAPIST}
    created = {"id": entry.live.name, "patient": entry.live.patient, "seed": wish.seed, "tokens": granted}
    return JSONResponse(created, 201)


async def _show(request: Request) -> Response:
    name = request.path_params["id"]
    client_or_staff(request, name, *Role)
    return JSONResponse({"id": name, **_hub(request).state(name)})


async def _end(request: Request) -> Response:
    name = request.path_params["id"]
    grant = client_or_staff(request, name, Role.PATIENT, Role.THERAPIST)
    _hub(request).end(name, "api", grant.name)
    return Response(status_code=204)


async def _words(_request: Request) -> Response:
    words = [
        {"word": word, **messages.emotion_object(emotion), "source": source}
        for word, (emotion, source) in WORDS.items()
    ]
    return JSONResponse(words)


async def _health(request: Request) -> Response:
    sources = _hub(request).sources
    if not is_staff(request):
        return JSONResponse({"status": "ok", "warm": sources.stand_in.loaded})
    generators = {source.name: {"ready": source.loaded, "reason": source.absence} for source in sources.all}
    bridge, journaling = request.app.state.bridge, request.app.state.journaling
    health = {
        "status": "ok",
        "version": __version__,
        "warm": sources.stand_in.loaded,
        "generators": generators,
        "mqtt": None if bridge is None else bridge.health(),
        "journal": None if journaling is None else journaling.health(),
    }
    return JSONResponse(health)


async def _metrics(request: Request) -> Response:
    staff(request)
    registry = _hub(request).measure().registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


async def _live(socket: WebSocket) -> None:
    hub, name, sockets = _hub(socket), socket.path_params["id"], socket.app.state.sockets
    try:
        role, person = _entering(socket, name)
        entry = hub.find(name)
        if sockets[name] >= MOST_SOCKETS:
            raise InvalidInput(f"session: {MOST_SOCKETS} sockets are open already", "id", "too_many_sockets")
    except InvalidInput as fault:
        hub.metrics.refused.inc()
        await socket.send_denial_response(error_response(fault))
        return
    # A strap that is left on must not keep a session that everybody has left.
    attending = nullcontext() if role is Role.SENSOR else entry.live.attendance.attended()
    with (
        _counted(sockets, name),
        hub.metrics.listeners.track_inprogress(),
        entry.live.attendance.introduced(role, person) as known_as,
    ):
        connection = Connection(socket, entry.live, role, known_as, hub.when_kept)
        await socket.accept(subprotocol=messages.SUBPROTOCOL if socket.scope["subprotocols"] else None)
        with attending:
            await connection.serve()
    hub.metrics.refused.inc(connection.refused)


def _entering(socket: WebSocket, session: str) -> tuple[Role, str]:
    """The role and the name of who knocks. Raises `InvalidInput`."""
    count(socket, Call.ENTER)
    who = client(socket, session)
    spoken = socket.scope["subprotocols"]
    if spoken and messages.SUBPROTOCOL not in spoken:
        raise InvalidInput(f"subprotocol: only {messages.SUBPROTOCOL} is spoken", "subprotocol")
    return who


@contextmanager
def _counted(sockets: Counter[str], session: str) -> Iterator[None]:
    sockets[session] += 1
    try:
        yield
    finally:
        sockets[session] -= 1
        if not sockets[session]:
            del sockets[session]


def build_app(
    sources: Sources,
    entrance: Entrance,
    names: tuple[str, ...],
    mqtt: Address | None,
    journaling: Journaling | None,
    on_start: Callable[[Hub], None],
    on_fault: OnFault,
) -> Starlette:
    """The ASGI application, which speaks MQTT, too, where there is an address for it, and keeps a journal.

    It answers under loopback's names, and under `names`.

    When it starts, `on_start` is called with its hub; `on_fault` if a generator cannot work.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        """Sources and hub, for as long as the server runs."""
        async with asyncio.TaskGroup() as group:
            working = sources.start(group)
            hub = app.state.hub = Hub(
                sources, group, Profiles(default_folder()), entrance.access, default_outputs(), journaling
            )
            bridge = app.state.bridge = None if mqtt is None else _bridge(mqtt, hub)
            app.state.journaling, app.state.entrance, app.state.sockets = journaling, entrance, Counter()
            await hub.take_up(RESUME_SECONDS)
            warming = group.create_task(_get_ready(sources, hub, on_fault), name="get ready")
            for task in (warming, *working):
                task.add_done_callback(lambda task: _report_fault(task, on_fault))
            bridging = None if bridge is None else group.create_task(bridge.run(), name="mqtt")
            following = group.create_task(follow_secret(entrance.access, secret_path()), name="secret")
            on_start(hub)
            yield
            following.cancel()
            warming.cancel()
            hub.close()
            if bridging is not None:
                bridging.cancel()
            sources.stop()

    routes: list[BaseRoute] = [
        Route("/api/sessions", _open, methods=["POST"]),
        Route("/api/sessions/{id}", _show, methods=["GET"]),
        Route("/api/sessions/{id}", _end, methods=["DELETE"]),
        WebSocketRoute("/api/sessions/{id}/live", _live),
        *tokens.ROUTES,
        *STAFF_ROUTES,
        *KIOSK_ROUTES,
        *OUTPUT_ROUTES,
        Route("/api/words", _words),
        Route("/healthz", _health),
        Route("/metrics", _metrics),
        Mount("/", Pages()),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(Guard, names=names), Middleware(GZipMiddleware, compresslevel=COMPRESSION)],
        exception_handlers={InvalidInput: _on_invalid, HTTPException: _on_http},
        lifespan=lifespan,
    )


def _bridge(address: Address, hub: Hub) -> "Bridge":
    from musicmed_live.service.mqtt import Bridge  # most houses have no broker, and start sooner without this

    return Bridge(address, hub)


def _report_fault(task: asyncio.Task[None], on_fault: OnFault) -> None:
    fault = None if task.cancelled() else task.exception()
    if fault is not None:
        on_fault(fault)


async def _get_ready(sources: Sources, hub: Hub, on_fault: OnFault) -> None:
    """Let the sessions go on that were taken up; then load and measure, which takes a worker a few seconds."""
    try:
        await hub.settle(SETTLE_SECONDS)
        await sources.warm_up()
    except MusicmedError as fault:
        on_fault(fault)
    else:
        await sources.stay_ready()
