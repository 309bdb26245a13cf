"""A session for one patient on a server that asks for tokens: it is opened here, and its address is the invitation."""

import asyncio
from collections.abc import Callable

from musicmed_live.core.messages import Role
from musicmed_live.core.plan import Plan
from musicmed_live.service.server import Server


async def serve_and_invite(wish: Plan, patient: str | None, server: Server, say: Callable[[str], None]) -> None:
    """Open a session as soon as the server is up, say how to join it, and serve until interrupted.

    Raises what keeps the server from serving, or `InvalidInput` where the session cannot be opened.
    """
    serving = asyncio.create_task(server.serve_here(), name="server")
    inviting = asyncio.create_task(_invite(wish, patient, server, say), name="invitation")
    try:
        await asyncio.wait({serving, inviting}, return_when=asyncio.FIRST_COMPLETED)
        if inviting.done():
            inviting.result()
        await serving
    finally:
        server.leave()
        inviting.cancel()
        await asyncio.wait({serving, inviting})


async def _invite(wish: Plan, patient: str | None, server: Server, say: Callable[[str], None]) -> None:
    await server.started_up.wait()
    assert server.hub is not None
    entry = await server.hub.open(wish, patient)
    address = f"{server.url}#session={entry.live.name}&token={entry.tokens[Role.PATIENT]}"
    say(f"Open {address} - Ctrl-C ends it.")
