"""A server of others as a process, with its files in a directory of the test."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import psutil

from waiting import wait_until
from web import Address, request


class Server:
    """Runs within a `with` block, on a port that the kernel has chosen, and is killed at its end."""

    def __init__(self, directory: Path, command: Sequence[str | Path]) -> None:
        self._command = command
        self._name = Path(command[0]).name
        self._log_path = directory / f"{self._name}.log"

    def start(self) -> None:
        with open(self._log_path, "wb") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        try:
            self.address = wait_until(self._find_address, f"{self._name} listens", details=self.log)
            wait_until(self._is_ready, f"{self._name} is ready", details=self.log)
        except BaseException:
            self.kill()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def log(self) -> str:
        return self._log_path.read_text(errors="backslashreplace")

    def _is_ready(self) -> bool:
        return request(self.address, "/-/ready").status == 200

    def _find_address(self) -> Address | None:
        assert self._process.poll() is None, f"{self._name} ended:\n{self.log()}"
        for connection in psutil.Process(self._process.pid).net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN:
                return Address(connection.laddr.ip, connection.laddr.port)
        return None
