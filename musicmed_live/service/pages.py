"""The pages, as files."""

import hashlib
import importlib.resources
import json
from pathlib import Path

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from musicmed_live.service.guard import page_policy

SHELL = "shell.js"
SHELL_TYPES = {".html", ".css", ".js", ".json", ".svg", ".png", ".webmanifest"}
PATIENT_PAGE, WORKER = "index.html", "sw.js"


class Pages(StaticFiles):
    """All of them: never stale after an update, and confined to this server."""

    def __init__(self) -> None:
        self._folder = Path(str(importlib.resources.files("clients.web")))
        self._shell = shell_of(self._folder)
        super().__init__(directory=self._folder, html=True)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Add the headers that confine them."""
        if path == SHELL:
            response: Response = Response(self._shell, media_type="text/javascript")
        else:
            response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = page_policy(HTTPConnection(scope))
        return response


def shell_of(folder: Path) -> str:
    """A script for the service worker: the files that make the patient page, and a version that changes with them.

    What belongs to another page by its name is left out: beside `therapist.html` all that begins with `therapist`.
    """
    others = tuple(page.stem for page in folder.glob("*.html") if page.name != PATIENT_PAGE)
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix in SHELL_TYPES and path.name != WORKER and not path.stem.startswith(others)
    )
    version = hashlib.sha256()
    for path in files:
        version.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    shell = {"version": version.hexdigest()[:16], "files": [f"./{path.name}" for path in files]}
    return f"self.SHELL = {json.dumps(shell)};\n"
