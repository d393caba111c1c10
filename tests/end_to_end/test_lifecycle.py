"""Beginning, ending and beginning again."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from exporter import NODE_NAME, TOPIC, Exporter, StartExporter
from program import END_WITHIN_S, build_library, environment_of
from robot import Robot, Talker, repeatedly
from stopped_thread import stopped_thread
from waiting import TIMEOUT_S, wait_until

SLOW_FAREWELL = Path(__file__).with_name("slow_farewell.c")

BOTH_SIGNALS = pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)


@BOTH_SIGNALS
@pytest.mark.parametrize("attempt", range(10))
def test_a_signal_ends_it_while_messages_flow(
    exporter: Exporter, talker: Talker, signal_number: signal.Signals, attempt: int
) -> None:
    with repeatedly(lambda: talker.publish(["elbow"], [1.0]), interval_s=0.002):
        exporter.scrape_until(lambda scrape: scrape.messages(TOPIC) > 10, "messages that flow")

        assert exporter.end(signal_number) < END_WITHIN_S


@BOTH_SIGNALS
def test_a_signal_ends_it_when_a_wait_set_takes_the_messages(
    start_exporter: StartExporter, robot: Robot, signal_number: signal.Signals
) -> None:
    exporter = start_exporter(parameters={"take_in": "wait_set"})
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    with repeatedly(lambda: talker.publish(["elbow"], [1.0]), interval_s=0.002):
        exporter.scrape_until(lambda scrape: scrape.messages(TOPIC) > 10, "messages that flow")

        assert exporter.end(signal_number) < END_WITHIN_S


@BOTH_SIGNALS
def test_a_signal_ends_it_when_nobody_publishes(exporter: Exporter, signal_number: signal.Signals) -> None:
    assert exporter.end(signal_number) < END_WITHIN_S


@pytest.mark.parametrize(
    "request_text", [b"", b"GET /metrics HTTP/1.1\r\nHost: x\r\n", b"GET /metrics HTTP/1.1\r\n\r\n"]
)
def test_an_open_connection_does_not_hold_up_the_end(exporter: Exporter, request_text: bytes) -> None:
    with socket.create_connection((exporter.address.host, exporter.address.port)) as connection:
        connection.sendall(request_text)
        exporter.scrape()

        assert exporter.end() < END_WITHIN_S


def test_the_node_has_left_the_graph_when_the_process_has_ended(exporter: Exporter, robot: Robot) -> None:
    # What it tells last: news that come after its farewell would stay in the robot's graph for ever (rmw_dds_common).
    def is_known() -> bool:
        return any(found.node_name == NODE_NAME for found in robot.node.get_subscriptions_info_by_topic(TOPIC))

    robot.spin_until(is_known, "the node and its subscription in the graph")

    exporter.end()

    robot.spin_until(lambda: NODE_NAME not in robot.node.get_node_names(), "a graph without the node")


def test_it_is_not_ready_before_it_is(start_exporter: StartExporter) -> None:
    """Whatever moment a probe comes: 503 until the first 200, and 200 from then on."""
    exporter = start_exporter(wait=False)
    answers: list[int] = []

    while answers.count(200) < 3:
        answers.append(exporter.get("/readyz").status)

    assert answers == sorted(answers, reverse=True)
    assert set(answers) <= {503, 200}


def test_it_is_not_ready_while_the_ros_thread_stands_still(exporter: Exporter) -> None:
    with stopped_thread(exporter.process.pid, "ros"):
        answer = wait_until(
            lambda: (answer := exporter.get("/readyz")).status == 503 and answer, "an exporter that is not ready"
        )
        assert "stopped turning" in answer.text
        assert exporter.get("/livez").status == 200

    exporter.wait_until_ready()


def test_a_ros_thread_that_hangs_does_not_keep_the_process(exporter: Exporter) -> None:
    process = psutil.Process(exporter.process.pid)
    with stopped_thread(exporter.process.pid, "ros"):
        exporter.process.terminate()
        # It is gone but for the thread that is held, which is let go only now.
        wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE, "the end", details=lambda: exporter.stderr)
    assert exporter.process.wait(TIMEOUT_S) == 1
    assert "stuck" in exporter.stderr
    exporter.was_killed = True


@pytest.fixture
def slow_farewell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """For programs started from then on, endpoints of others that leave take so many milliseconds each; 0 is for ever."""
    library = tmp_path / "slow_farewell.so"
    build_library(SLOW_FAREWELL, library)

    def take(milliseconds: int) -> None:
        monkeypatch.setenv("LD_PRELOAD", str(library))
        monkeypatch.setenv("SLOW_FAREWELL_MS", str(milliseconds))

    return take


def wait_for_a_farewell(exporter: Exporter) -> None:
    wait_until(lambda: "a peer leaves" in exporter.stderr, "a farewell", details=lambda: exporter.stderr)


def test_it_ends_while_others_come_and_go(
    slow_farewell: Callable[[int], None], start_exporter: StartExporter, robot: Robot
) -> None:
    """Fast DDS of PyPI's wheels hangs there as it comes: https://github.com/eProsima/Fast-DDS/issues/6513."""
    slow_farewell(20)
    exporter = start_exporter()
    with repeatedly(lambda: robot.silence(robot.talker("/passing")), 0.001):
        wait_for_a_farewell(exporter)
        exporter.end()


def test_a_middleware_that_hangs_does_not_keep_the_process(
    slow_farewell: Callable[[int], None], start_exporter: StartExporter, robot: Robot
) -> None:
    slow_farewell(0)
    exporter = start_exporter()
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    robot.silence(talker)
    wait_for_a_farewell(exporter)
    exporter.process.terminate()
    assert exporter.process.wait(TIMEOUT_S) == 1
    assert "stuck" in exporter.stderr
    exporter.was_killed = True


def test_it_is_not_ready_while_it_ends(exporter: Exporter) -> None:
    address = exporter.address
    with socket.create_connection((address.host, address.port), TIMEOUT_S) as connection:
        # A request that has begun is answered; that the end has begun shows in its answer.
        connection.sendall(b"GET /readyz HTTP/1.1\r\n")
        # By the time that this is answered, what came before has been read.
        exporter.get("/livez")
        exporter.process.terminate()
        wait_until(lambda: "SIGTERM" in exporter.stderr, "the end has begun")
        connection.sendall(b"Host: x\r\n\r\n")
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 503 "), answer
    assert "stopping" in answer


class Stage:
    """A publisher and an exporter that come and go."""

    def __init__(self, start_exporter: StartExporter, start_robot: Callable[[], Robot]) -> None:
        self._start_exporter = start_exporter
        self._start_robot = start_robot
        self.start("exporter")
        self.start("publisher")

    def start(self, player: str) -> None:
        if player == "exporter":
            self.exporter = self._start_exporter()
        else:
            self._robot = self._start_robot()
            self._talker = self._robot.talker(TOPIC)

    def stop(self, player: str) -> None:
        if player == "exporter":
            self.exporter.end()
        else:
            self._robot.close()

    def see_position(self, position: float) -> None:
        with repeatedly(lambda: self._talker.publish(["elbow"], [position])):
            scrape = self.exporter.scrape_until(
                lambda scrape: scrape.positions(TOPIC) == {"elbow": position}, f"the position {position}"
            )
        assert scrape.lost(TOPIC) == 0


@pytest.mark.parametrize(
    ("stopped", "started"),
    [
        (["publisher"], ["publisher"]),
        (["exporter"], ["exporter"]),
        (["publisher", "exporter"], ["publisher", "exporter"]),
        (["publisher", "exporter"], ["exporter", "publisher"]),
        (["exporter", "publisher"], ["publisher", "exporter"]),
        (["exporter", "publisher"], ["exporter", "publisher"]),
    ],
    ids=lambda players: "+".join(players),
)
def test_metrics_flow_again_after_a_restart(
    start_exporter: StartExporter, start_robot: Callable[[], Robot], stopped: list[str], started: list[str]
) -> None:
    stage = Stage(start_exporter, start_robot)
    stage.see_position(1.0)

    for player in stopped:
        stage.stop(player)
    for player in started:
        stage.start(player)

    stage.see_position(2.0)


# A robot in a process of its own, so that it can die without a farewell to its peers.
MORTAL_ROBOT = """
import sys, time
from robot import Robot
talker = Robot(int(sys.argv[1])).talker("/joint_states")
while True:
    talker.publish(["elbow"], [float(sys.argv[2])])
    time.sleep(0.01)
"""


def see_a_robot_and_kill_it(exporter: Exporter, domain_id: int, position: float) -> None:
    robot = subprocess.Popen(
        [sys.executable, "-c", MORTAL_ROBOT, str(domain_id), str(position)],
        env=environment_of(domain_id),
        cwd=Path(__file__).parent,
    )
    try:
        scrape = exporter.scrape_until(
            lambda scrape: scrape.positions(TOPIC) == {"elbow": position}, f"the position {position}"
        )
    finally:
        robot.kill()
        robot.wait()
    assert scrape.lost(TOPIC) == 0


def test_metrics_flow_again_after_the_publisher_was_killed(exporter: Exporter, domain_id: int) -> None:
    see_a_robot_and_kill_it(exporter, domain_id, 1.0)
    see_a_robot_and_kill_it(exporter, domain_id, 2.0)


def test_metrics_flow_again_after_the_exporter_was_killed(
    start_exporter: StartExporter, start_robot: Callable[[], Robot]
) -> None:
    stage = Stage(start_exporter, start_robot)
    stage.see_position(1.0)

    stage.exporter.kill()
    stage.start("exporter")

    stage.see_position(2.0)
