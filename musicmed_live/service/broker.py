"""A mosquitto of our own: an MQTT broker on a free port of loopback, for as long as it is needed."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from musicmed_live.errors import CannotServe

PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")  # often not on the path of users
START_SECONDS = 10.0
STOP_SECONDS = 5.0
OPEN = ("allow_anonymous true",)  # loopback only: whoever is on this machine


class Broker:
    """One mosquitto, with `settings` as its configuration file has them. `start` and `stop` may take turns."""

    def __init__(self, folder: Path, settings: Sequence[str] = OPEN) -> None:
        """`folder` takes its configuration and its log. Raises `CannotServe` where there is no mosquitto."""
        self.port = _free_port()
        self._program = find_mosquitto()
        self._configuration = folder / "mosquitto.conf"
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        lines = (f"listener {self.port} 127.0.0.1", *settings)
        self._configuration.write_text("\n".join((*lines, "")))

    @property
    def pid(self) -> int:
        """The process. Only while it runs."""
        assert self._process is not None, "it does not run"
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it listens. Raises `CannotServe`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "-c", self._configuration],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # so that Ctrl-C does not end it before those who say goodbye to it
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                words = self._log.read_text(errors="replace").strip().rpartition("\n")[2]
                raise CannotServe(f"mosquitto does not start on port {self.port}: {words or 'it says nothing'}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End it. Does nothing where it does not run."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def own_broker() -> Iterator[str]:
    """A broker open to everybody on this machine; gives its address. Raises `CannotServe`."""
    with tempfile.TemporaryDirectory(prefix="musicmed-mosquitto-") as folder:
        broker = Broker(Path(folder))
        broker.start()
        try:
            yield f"mqtt://127.0.0.1:{broker.port}"
        finally:
            broker.stop()


def find_mosquitto() -> str:
    """The program. Raises `CannotServe` that says how to get it."""
    found = shutil.which("mosquitto", path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES)))
    if found is None:
        raise CannotServe(
            "mosquitto is not installed; get it (Debian: apt install mosquitto; macOS: brew install mosquitto), "
            "or name a broker: --mqtt mqtt://user@host:1883"
        )
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
