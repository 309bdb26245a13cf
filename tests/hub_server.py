"""A small Hugging Face hub on loopback: the little of its API that a download uses, and faults on demand."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = ".safetensors"  # what a hub keeps outside git, under its SHA-256


@dataclass
class Hub:
    """Serves one repository from a folder."""

    name: str
    folder: Path
    url: str = ""
    cut_after: int | None = None  # bytes of the next large file after which its connection breaks, once
    falsify: bool = False  # send large files with one byte changed
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # method and path; the range asked for

    def digest(self, path: Path) -> str:
        """What the hub calls a file's content."""
        content = path.read_bytes()
        if path.name.endswith(LARGE):
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()

    def tree(self) -> list[dict[str, object]]:
        """The repository's files as the API lists them."""
        return [self._entry(path) for path in sorted(self.folder.rglob("*")) if path.is_file()]

    def _entry(self, path: Path) -> dict[str, object]:
        size, digest = path.stat().st_size, self.digest(path)
        name = path.relative_to(self.folder).as_posix()
        entry: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": digest[:40]}
        return entry | ({"lfs": {"oid": digest, "size": size, "pointerSize": 130}} if path.name.endswith(LARGE) else {})


@contextmanager
def serve(name: str, folder: Path) -> Iterator[Hub]:
    """A hub that holds one repository, for as long as the context lasts."""
    hub = Hub(name, folder)

    class Answer(_Answer):
        served = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Answer(BaseHTTPRequestHandler):
    served: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer."""
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self._answer(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _answer(self, with_body: bool) -> None:
        hub, path = self.served, urlsplit(self.path).path
        hub.requests.append((f"{self.command} {path}", self.headers.get("Range")))
        api, files = f"/api/models/{hub.name}", f"/{hub.name}/resolve/{COMMIT}/"
        if path in (api, f"{api}/revision/main"):
            self._send(json.dumps({"id": hub.name, "sha": COMMIT, "siblings": []}).encode(), with_body)
        elif path == f"{api}/tree/{COMMIT}":
            self._send(json.dumps(hub.tree()).encode(), with_body)
        elif path.startswith(files) and (hub.folder / path.removeprefix(files)).is_file():
            self._send_file(hub.folder / path.removeprefix(files), with_body)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def _send(self, content: bytes, with_body: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if with_body:
            self.wfile.write(content)

    def _send_file(self, path: Path, with_body: bool) -> None:
        hub, content = self.served, bytearray(path.read_bytes())
        large = path.name.endswith(LARGE)
        if large and hub.falsify:
            content[-1] ^= 1
        first = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(content) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        self.send_header("ETag", f'"{hub.digest(path)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not with_body:
            return
        if large and hub.cut_after is not None:
            self.wfile.write(content[first : first + hub.cut_after])
            hub.cut_after, self.close_connection = None, True
        else:
            self.wfile.write(content[first:])
