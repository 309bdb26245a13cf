"""The pages, as files."""

import importlib.resources

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws: wss:; "
    "worker-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class Pages(StaticFiles):
    """All of them: never stale after an update, and confined to this server."""

    def __init__(self) -> None:
        super().__init__(directory=str(importlib.resources.files("clients.web")), html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Add the headers that confine them."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response
