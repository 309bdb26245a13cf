"""Files fetched over HTTP: gone on with where a connection broke, believed only when their checksum agrees."""

import hashlib
import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from musicmed_live.errors import CannotServe, InvalidInput

Advance = Callable[[int], None]  # is told how many bytes have come

_TIMEOUT_SECONDS = 60.0
_PATIENCE = 5  # attempts in a row that bring nothing
_READ_BYTES = 1 << 20
_FOR_GOOD = {400, 401, 403, 404, 405, 410, 451}  # answers that stay the same however often one asks


class _Elsewhere(Exception):
    """This server has not got it."""


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def git_blob_of(path: Path) -> str:
    """What git calls a file's content: the SHA-1 of its length and its bytes."""
    content = path.read_bytes()
    return hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()


def fetch(urls: Sequence[str], path: Path, digest: str, digest_of: Callable[[Path], str], advance: Advance) -> None:
    """Bring a file to `path` from the first of `urls` that has it: whole and with the right checksum, or not at all.

    What an earlier call left is gone on with. Raises `InvalidInput` where nobody has it or its checksum differs twice,
    and `CannotServe` where the network is gone or the disk is full.
    """
    partial = path.with_name(f"{path.name}.part")
    for _attempt in range(2):
        _download(urls, partial, advance)
        if digest_of(partial) == digest:
            partial.replace(path)
            return
        advance(-partial.stat().st_size)
        partial.unlink()
    raise InvalidInput(f"{urls[0]} came twice with another checksum than its publisher's, and was removed; try later")


def size_of(urls: Sequence[str]) -> int | None:
    """How many bytes a file has; None where nobody says."""
    for url in urls:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=_TIMEOUT_SECONDS) as answer:  # addresses of our own
                return int(answer.headers["Content-Length"])
        except (OSError, http.client.HTTPException, TypeError, ValueError):
            continue
    return None


def _download(urls: Sequence[str], partial: Path, advance: Advance) -> None:
    with _storing(partial):
        partial.parent.mkdir(parents=True, exist_ok=True)
    for url in urls:
        try:
            _patiently(url, partial, advance)
        except _Elsewhere:
            continue
        return
    raise InvalidInput(f"{urls[0]} is not there (any more), nor on its mirrors")


def _patiently(url: str, partial: Path, advance: Advance) -> None:
    """Get the file from one server, however often the connection breaks, as long as each time something comes."""
    fruitless = 0
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            if _get(url, partial, before, advance):
                return
            why = "the connection broke"
        except HTTPError as fault:
            if fault.code in _FOR_GOOD:
                raise _Elsewhere from fault
            why = f"it answers {fault.code}"
        except (OSError, http.client.HTTPException) as fault:
            why = str(getattr(fault, "reason", fault))
        fruitless = fruitless + 1 if not partial.exists() or partial.stat().st_size <= before else 0
        if fruitless >= _PATIENCE:
            raise CannotServe(f"{url} cannot be had ({why}); what has come is kept: run the same command again")
        time.sleep(2.0**fruitless)


def _get(url: str, partial: Path, begin: int, advance: Advance) -> bool:
    """One request for what lies after `begin`, appended; whether that was all of it."""
    request = Request(url, headers={"Range": f"bytes={begin}-"} if begin else {})
    try:
        answer = urlopen(request, timeout=_TIMEOUT_SECONDS)  # addresses of our own
    except HTTPError as fault:
        if fault.code == 416:  # nothing lies after `begin`: it is all there, or was another file
            return True
        raise
    with answer:
        if begin and answer.status != 206:  # it was sent from the beginning
            advance(-begin)
            begin = 0
        expected = begin + int(answer.headers["Content-Length"] or 0)
        while block := answer.read(_READ_BYTES):
            with _storing(partial), partial.open("ab" if begin else "wb") as file:
                file.write(block)
            begin += len(block)
            advance(len(block))
    return begin >= expected


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise CannotServe(
            f"{path} cannot be written ({fault.strerror or fault}); what has come is kept: make room and run the same "
            "command again"
        ) from fault
