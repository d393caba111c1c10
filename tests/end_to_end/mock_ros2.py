#!/usr/bin/env python3
"""A mock of `ros2 launch`, which PyPI has not, as start_simulation.sh sees it: nodes that say on their ports whether they are
ready, and an end when it is asked for. MOCK_ROS2 is a folder in which it leaves a file for each thing that it does.
"""

import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FOLDER = Path(os.environ["MOCK_ROS2"])
PORTS = [int(port) for port in (FOLDER / "ports").read_text().split()]

BUSY_ENDING_S = 0.5


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        is_ready = self.path == "/readyz" and (FOLDER / "ready").exists()
        self.send_response(200 if is_ready else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def main() -> int:
    (FOLDER / "launch").write_text(str(os.getpid()))
    (FOLDER / "arguments").write_text("\n".join(sys.argv[1:]))
    if (FOLDER / "exit_code").exists():
        return int((FOLDER / "exit_code").read_text())
    # One that does not listen to what it is asked.
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.signal(2, signal.SIG_IGN); signal.pause()"])
    (FOLDER / "child").write_text(str(child.pid))
    for port in PORTS:
        threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), Answers).serve_forever, daemon=True).start()
    signal.sigwait({signal.SIGINT})
    (FOLDER / "asked_to_end").touch()
    if signal.sigtimedwait({signal.SIGINT}, BUSY_ENDING_S):
        # The real one can hang then.
        (FOLDER / "asked_again").touch()
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.exit(main())
