"""A bad network between a browser and a server: a TCP proxy on loopback that delays, and can be gone altogether."""

import contextlib
import queue
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_PIECE = 64 * 1024  # bytes that travel together; a message on loopback is one piece


class Network:
    """Carries every connection to a server on a port of its own. What is sent arrives in order, as TCP has it."""

    def __init__(self, server_port: int, late_share: float = 0.0, late_s: float = 0.0, seed: int = 0) -> None:
        """`late_share` of all pieces come `late_s` late, and hold up what is behind them."""
        self._server_port = server_port
        self._late_share, self._late_s = late_share, late_s
        self._dice = random.Random(seed)
        self._there = threading.Event()
        self._there.set()
        self._door = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._open: set[socket.socket] = set()
        self.port: int = self._door.getsockname()[1]

    def leave(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        self._there.clear()

    def come_back(self) -> None:
        """What was held up goes on, and so does everything else."""
        self._there.set()

    def run(self) -> None:
        """Carry connections until `close`."""
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self.come_back()
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for side in list(self._open):
            _hang_up(side)

    def _connect(self, client: socket.socket) -> None:
        self._there.wait()
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            client.close()
            return
        sides = (client, server)
        self._open.update(sides)
        ways = [threading.Thread(target=self._carry, args=way, daemon=True) for way in (sides, sides[::-1])]
        for way in ways:
            way.start()
        for way in ways:
            way.join()
        self._open.difference_update(sides)
        for side in sides:
            side.close()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        due: queue.Queue[tuple[float, bytes]] = queue.Queue()
        threading.Thread(target=self._deliver, args=(due, sink), daemon=True).start()
        latest, piece = 0.0, b"-"
        while piece:
            try:
                piece = source.recv(_PIECE)
            except OSError:
                piece = b""
            late = self._late_s if self._dice.random() < self._late_share else 0.0
            latest = max(latest, time.monotonic() + late)
            due.put((latest, piece))

    def _deliver(self, due: "queue.Queue[tuple[float, bytes]]", sink: socket.socket) -> None:
        while True:
            at, piece = due.get()
            time.sleep(max(0.0, at - time.monotonic()))
            self._there.wait()
            if not piece:
                break
            try:
                sink.sendall(piece)
            except OSError:
                break
        _hang_up(sink)


@contextmanager
def network(server_port: int, late_share: float = 0.0, late_s: float = 0.0, seed: int = 0) -> Iterator[Network]:
    """A `Network` that runs beside."""
    proxy = Network(server_port, late_share, late_s, seed)
    door = threading.Thread(target=proxy.run, daemon=True)
    door.start()
    try:
        yield proxy
    finally:
        proxy.close()
        door.join(5)


def _hang_up(side: socket.socket) -> None:
    with contextlib.suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
