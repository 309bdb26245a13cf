"""A small MTG-Jamendo on loopback: metadata and archives of the true format, byte ranges, and faults on demand."""

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from models.jamendo import Site

ARCHIVES = "autotagging_moodtheme/audio-low"
TARS = "data/download/autotagging_moodtheme_audio-low_sha256_tars.txt"
SOUNDS = "data/download/autotagging_moodtheme_audio-low_sha256_tracks.txt"
HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS"


@dataclass(frozen=True)
class Published:
    """A track as its publishers have it."""

    number: int
    split: str
    tags: tuple[str, ...]
    sound: bytes  # of an MP3, or of whatever it is
    seconds: float = 40.0
    licence: str = "by-nc-sa/3.0"

    @property
    def place(self) -> str:
        """Its folder and number, such as `07/1007`."""
        return f"{self.number % 100:02}/{self.number}"


@dataclass
class Server:
    """What lies on the server, and what goes wrong with it."""

    files: dict[str, bytes] = field(default_factory=dict)
    site: Site = field(default_factory=lambda: Site("", (), {}))
    cut_after: int | None = None  # bytes of the next archive after which its connection breaks, once
    falsify: int = 0  # of so many archives, the next ones, a byte is changed
    answers: list[int] = field(default_factory=list)  # status codes for the next requests of archives
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path, and the range asked for

    def of_archives(self) -> list[tuple[str, str | None]]:
        """The requests for archives: the name, and the range asked for."""
        return [(path.rpartition("/")[2], asked) for path, asked in self.requests if path.endswith(".tar")]


@contextmanager
def serve(tracks: Sequence[Published]) -> Iterator[Server]:
    """A server that publishes these tracks, for as long as the context lasts."""
    served = Server(publish(tracks))

    class Answer(_Answer):
        server_ = served

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    url = f"http://127.0.0.1:{server.server_port}"
    blobs = {name: git_blob(content) for name, content in served.files.items()}
    served.site = Site(url, (f"{url}/nowhere", url), blobs)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def publish(tracks: Sequence[Published]) -> dict[str, bytes]:
    """The files of the repository and of the sound server, by their path."""
    files = {}
    for split in ("train", "validation", "test"):
        rows = [_row(track) for track in tracks if track.split == split]
        files[f"data/splits/split-0/autotagging-{split}.tsv"] = "\n".join([HEADER, *rows, ""]).encode()
    numbers = sorted({track.place[:2] for track in tracks})
    archives = {
        f"autotagging_moodtheme_audio-low-{number}.tar": tar([t for t in tracks if t.place[:2] == number])
        for number in numbers
    }
    files |= {f"{ARCHIVES}/{name}": content for name, content in archives.items()}
    files[TARS] = _checksums(archives)
    files[SOUNDS] = _checksums({f"{track.place}.low.mp3": track.sound for track in tracks})
    files["audio_licenses.txt"] = "\n".join(map(_licence, tracks)).encode()
    return files


def tar(tracks: Sequence[Published]) -> bytes:
    """An archive, with what a stranger might put beside the tracks."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as members:
        for name in ("../outside.mp3", "/absolute.mp3"):
            _add(members, name, b"not wanted")
        link = tarfile.TarInfo("link.mp3")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        members.addfile(link)
        for track in tracks:
            _add(members, f"{track.place}.low.mp3", track.sound)
    return packed.getvalue()


def git_blob(content: bytes) -> str:
    """What git calls a content."""
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def _add(members: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    members.addfile(entry, io.BytesIO(content))


def _row(track: Published) -> str:
    cells = (f"track_{track.number:07}", "artist_000001", "album_000001", f"{track.place}.mp3", str(track.seconds))
    return "\t".join((*cells, *track.tags))


def _licence(track: Published) -> str:
    lines = (
        f"{track.place}.mp3",
        f"Tune {track.number} by Somebody from Jamendo: http://www.jamendo.com/track/{track.number}",
        f"Available under a Creative Commons license: http://creativecommons.org/licenses/{track.licence}/",
        "",
    )
    return "\n".join(lines)


def _checksums(contents: dict[str, bytes]) -> bytes:
    lines = (f"{hashlib.sha256(content).hexdigest()} {name}\n" for name, content in contents.items())
    return "".join(lines).encode()


class _Answer(BaseHTTPRequestHandler):
    server_: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        """Say how large a file is."""
        content = self.server_.files.get(self.path.removeprefix("/"))
        self._begin(200 if content is not None else 404, len(content or b""))

    def do_GET(self) -> None:
        """Send a file, or the rest of it."""
        served, asked = self.server_, self.headers.get("Range")
        served.requests.append((self.path, asked))
        content = served.files.get(self.path.removeprefix("/"))
        archive = self.path.endswith(".tar")
        if content is not None and archive and served.answers:
            self._begin(served.answers.pop(0), 0)
        elif content is None:
            self._begin(404, 0)
        else:
            self._send(content, int((asked or "bytes=0-").removeprefix("bytes=").partition("-")[0]), archive)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _send(self, content: bytes, first: int, archive: bool) -> None:
        served = self.server_
        if first >= len(content):
            self._begin(416, 0)
            return
        if archive and served.falsify:
            served.falsify -= 1
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._begin(206 if first else 200, len(content) - first)
        if archive and served.cut_after is not None:
            self.wfile.write(content[first : first + served.cut_after])
            served.cut_after, self.close_connection = None, True
        else:
            self.wfile.write(content[first:])

    def _begin(self, status: int, length: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.end_headers()
