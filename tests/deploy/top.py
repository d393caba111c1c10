"""twin_top: run to its end, or on a terminal of its own."""

import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import pyte

from program import RELEASE
from waiting import TIMEOUT_S, wait_until

PROGRAM = RELEASE / "twin_top"

EXIT_NOTHING_ANSWERS = 1

COLUMNS, LINES = 100, 24

LEAVES_ALTERNATE_SCREEN = b"\x1b[?1049l"
SHOWS_CURSOR, HIDES_CURSOR = b"\x1b[?25h", b"\x1b[?25l"


@dataclass(frozen=True)
class Top:
    """What it printed."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.stdout)
        return report

    def topic(self, name: str, endpoint: object) -> dict[str, Any]:
        """As that endpoint tells of it; nothing where it does not."""
        found = [one for one in self.report["topics"] if (one["topic"], one["endpoint"]) == (name, str(endpoint))]
        assert len(found) <= 1, self.stdout
        return found[0] if found else {}


def look(*arguments: object) -> Top:
    ended = subprocess.run(
        [str(PROGRAM), *map(str, arguments)],
        env={**os.environ, "HOME": "/nonexistent"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    return Top(ended.returncode, ended.stdout, ended.stderr)


class Terminal:
    """A terminal with the program in it; the program ends with the block."""

    def __init__(self, *arguments: object, environment: Mapping[str, str] | None = None) -> None:
        self._screen = pyte.Screen(COLUMNS, LINES)
        self._stream = pyte.ByteStream(self._screen)
        self.output = b""
        self._ours, self._theirs = pty.openpty()
        self._ends = [self._ours, self._theirs]
        self.resize(COLUMNS, LINES)
        self._before = termios.tcgetattr(self._theirs)
        # It is the terminal's own session, or nobody would tell it of another size.
        command = ["setsid", "--ctty", str(PROGRAM), *map(str, arguments)]
        theirs = self._theirs
        surroundings = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=surroundings)

    def __enter__(self) -> "Terminal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Nobody has the terminal any more, but the program."""
        for end in self._ends:
            os.close(end)
        self._ends = []

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    @property
    def lines(self) -> list[str]:
        """What is shown now, whatever the widths of columns."""
        while select.select([self._ours], [], [], 0)[0]:
            part = os.read(self._ours, 1 << 16)
            self.output += part
            self._stream.feed(part)
        return [" ".join(line.split()) for line in self._screen.display]

    def shows(self, part: str) -> bool:
        return any(part in line for line in self.lines)

    def wait_for(self, part: str) -> None:
        wait_until(lambda: self.shows(part), f"the screen shows {part!r}", details=lambda: "\n".join(self.lines))

    def wait_without(self, part: str) -> None:
        wait_until(lambda: not self.shows(part), f"{part!r} has gone", details=lambda: "\n".join(self.lines))

    def wait_for_the_end(self) -> int:
        """The exit code; the terminal has to be as it was."""
        # The program waits until what it wrote is read.
        wait_until(lambda: self.lines and self.process.poll() is not None, "the program has ended")
        assert self.lines
        assert termios.tcgetattr(self._theirs) == self._before
        assert LEAVES_ALTERNATE_SCREEN in self.output
        assert self.output.rindex(SHOWS_CURSOR) > self.output.rindex(HIDES_CURSOR)
        exit_code: int = self.process.returncode
        return exit_code
