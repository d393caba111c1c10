"""A real S3 server, rclone's, and a connection to it that breaks."""

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil

from waiting import TIMEOUT_S, wait_until

ACCESS_KEY = "the-access-key"
SECRET_KEY = "the-secret-key"


class ObjectStore:
    """The server as a process; a bucket is a directory."""

    def __init__(self, directory: Path) -> None:
        self.buckets = directory / "buckets"
        self.buckets.mkdir(parents=True)
        self._log_path = directory / "rclone.log"
        flags = ["--config=", f"--auth-key={ACCESS_KEY},{SECRET_KEY}", "--addr=127.0.0.1:0"]
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(
                [shutil.which("rclone") or "rclone", "serve", "s3", *flags, str(self.buckets)],
                stdout=log,
                stderr=log,
                env={**os.environ, "XDG_CACHE_HOME": str(directory)},
            )
        try:
            self.port = wait_until(self._find_port, "rclone listens", details=self.log)
        except BaseException:
            self.close()
            raise

    def log(self) -> str:
        return self._log_path.read_text(errors="backslashreplace")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _find_port(self) -> int | None:
        assert self._process.poll() is None, f"rclone ended:\n{self.log()}"
        for connection in psutil.Process(self._process.pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return int(connection.laddr.port)
        return None


class Line:
    """A way to a server that carries so many bytes, there and back; then it is cut, and nobody answers any more."""

    def __init__(self, port: int, carries_bytes: int) -> None:
        self._to = port
        self._left_bytes = carries_bytes
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.is_cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._start(self._accept)

    def close(self) -> None:
        self.cut()
        for thread in self._threads:
            thread.join(TIMEOUT_S)
        for one in self._sockets:
            one.close()

    def cut(self) -> None:
        with self._lock:
            self.is_cut.set()
            for one in (self._listener, *self._sockets):
                shut_down(one)

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        self._threads.append(threading.Thread(target=target, args=arguments, name="line"))
        self._threads[-1].start()

    def _accept(self) -> None:
        with self._listener:
            while not self.is_cut.is_set():
                try:
                    near, _ = self._listener.accept()
                except OSError:
                    return
                far = socket.create_connection(("127.0.0.1", self._to), TIMEOUT_S)
                far.settimeout(None)
                with self._lock:
                    self._sockets += [near, far]
                if self.is_cut.is_set():
                    self.cut()
                self._start(self._carry, near, far)
                self._start(self._carry, far, near)

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while (data := source.recv(1 << 16)) and self._may_pass(len(data)):
                target.sendall(data)
        except OSError:
            pass  # The other direction has ended, or all was cut.
        shut_down(source)
        shut_down(target)

    def _may_pass(self, count: int) -> bool:
        with self._lock:
            self._left_bytes -= count
            is_enough = self._left_bytes >= 0
        if not is_enough:
            self.cut()
        return is_enough


def shut_down(one: socket.socket) -> None:
    """Wakes whoever waits at it."""
    try:
        one.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # It was closed by the other side.


@contextmanager
def line_to(store: ObjectStore, carries_bytes: int) -> Iterator[Line]:
    with closing(Line(store.port, carries_bytes)) as line:
        yield line
