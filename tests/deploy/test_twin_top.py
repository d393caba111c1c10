"""twin_top: what it shows of real nodes and of a mock of Kubernetes, on a terminal and to scripts, and how it ends."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from bridge import StartBridge
from documented import code, table
from exporter import TOPIC, Exporter, StartExporter
from looked_at import Secured, moving_joint, url
from mock_kubernetes import PODS, MockKubernetes, pod
from monitor import StartMonitor
from ports import free_ports
from program import EXIT_USAGE, REPOSITORY, Program
from robot import Robot, repeatedly
from synchronizer import REFERENCE_TOPIC, TWIN_TOPIC, Motion, StartSynchronizer
from top import EXIT_NOTHING_ANSWERS, PROGRAM, Terminal, look
from waiting import TIMEOUT_S

PAGE = REPOSITORY / "docs" / "twin_top.md"

# Short, since rates take a second look.
OFTEN = "--interval=0.3"

STALE = {"stale_after": 0.5}

# Time that a look may take beyond what it was told to wait: it is ten times what it takes.
BEYOND_TIMEOUT_S = 5.0


@pytest.fixture
def robot(domain_id: int) -> Iterator[Robot]:
    robot = Robot(domain_id)
    yield robot
    robot.close()


@pytest.fixture
def moving(start_exporter: StartExporter, domain_id: int) -> Iterator[Exporter]:
    """An exporter whose robot moves."""
    exporter = start_exporter()
    with moving_joint(exporter, domain_id):
        exporter.wait_for_status("ok")
        yield exporter


def nobody() -> str:
    """Where nobody listens."""
    return f"127.0.0.1:{free_ports(1)[0]}"


# To scripts


def test_the_four_nodes_of_a_robot_and_its_twin(
    start_exporter: StartExporter,
    start_synchronizer: StartSynchronizer,
    start_monitor: StartMonitor,
    start_bridge: StartBridge,
    domain_id: int,
    robot: Robot,
) -> None:
    synchronizer, monitor, bridge = start_synchronizer(), start_monitor(), start_bridge()
    exporter = start_exporter(parameters={"topics": [REFERENCE_TOPIC, TWIN_TOPIC]})
    motion = Motion(robot.talker(REFERENCE_TOPIC), robot.talker(TWIN_TOPIC), ["hip", "knee"])
    with motion.running():
        synchronizer.wait_for_state("SYNCED")
        monitor.wait_for_status("ok", REFERENCE_TOPIC)
        exporter.wait_for_status("ok", TWIN_TOPIC)
        nodes: list[Program] = [exporter, synchronizer, monitor, bridge]
        top = look("--json", OFTEN, *map(url, nodes))
        joints = look("--once", "--view=joints", *map(url, nodes)).stdout.splitlines()

    assert (top.exit_code, top.stderr) == (0, "")
    assert [(one["endpoint"], one["node"], one["up"]) for one in top.report["endpoints"]] == [
        (str(exporter.address), "ros_metrics_exporter", True),
        (str(synchronizer.address), "synchronization_node", True),
        (str(monitor.address), "monitoring_node", True),
        (str(bridge.address), "unity_bridge_node", True),
    ]
    for node in (exporter, synchronizer, monitor):
        topic = top.topic(REFERENCE_TOPIC, node.address)
        assert (topic["status"], topic["severity"], topic["publishers"]) == ("ok", "ok", 1), topic
        assert topic["rate_hertz"] > 0
        assert topic["messages"]["total"] > 0
        assert topic["lost"]["total"] == 0
    assert top.topic(REFERENCE_TOPIC, monitor.address)["domain"] == str(domain_id)
    assert top.topic(REFERENCE_TOPIC, exporter.address)["age_seconds"] < 10
    assert {(joint["topic"], joint["joint"]) for joint in top.report["joints"]} == {
        (topic, joint) for topic in (REFERENCE_TOPIC, TWIN_TOPIC) for joint in ("hip", "knee")
    }
    assert all(abs(joint["position"]) <= 0.5 and joint["velocity"] is None for joint in top.report["joints"])
    (twin,) = top.report["twins"]
    assert (twin["state"], twin["compared_joints"]) == ("SYNCED", 2)
    assert [joint["joint"] for joint in twin["joints"]] == ["hip", "knee"]
    assert all(joint["error"] is not None for joint in twin["joints"])
    (of_bridge,) = top.report["bridges"]
    assert (of_bridge["endpoint"], of_bridge["clients"]) == (str(bridge.address), 0)

    header, *rows = [re.split(" {2,}", line) for line in joints]
    assert [row[:2] for row in rows] == [[joint, topic] for joint in ("hip", "knee") for topic in (REFERENCE_TOPIC, TWIN_TOPIC)]
    assert all(row[header.index("ERROR")] != "-" and row[header.index("VELOCITY")] == "-" for row in rows)


def test_a_topic_that_stops_is_stale_and_why(start_exporter: StartExporter, domain_id: int, robot: Robot) -> None:
    exporter = start_exporter(parameters=STALE)
    talker = robot.talker(TOPIC)
    exporter.wait_until_matched(talker)
    with repeatedly(lambda: talker.publish(["elbow"], [0.5]), 0.01):
        exporter.wait_for_status("ok")
        assert look("--json", OFTEN, url(exporter)).topic(TOPIC, exporter.address)["rate_hertz"] > 0
    exporter.wait_for_status("stale")
    top = look("--json", OFTEN, url(exporter))
    topic = top.topic(TOPIC, exporter.address)
    assert (topic["status"], topic["severity"], topic["rate_hertz"]) == ("stale", "unhealthy", 0)
    assert topic["reason"].startswith("its messages have stopped")
    assert top.report["joints"] == [] or top.report["joints"][0]["position"] is None
    once = look("--once", OFTEN, url(exporter)).stdout
    assert re.search(rf"^x stale +{TOPIC} +0\.00 .* its messages have stopped", once, re.MULTILINE), once


def test_who_does_not_answer_is_told_and_holds_up_nobody(start_exporter: StartExporter) -> None:
    well, still, absent = start_exporter(), start_exporter(), nobody()
    still.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    top = look("--json", OFTEN, "--timeout=0.5", url(well), url(still), f"http://{absent}")
    assert time.monotonic() - started < 2 * 0.5 + BEYOND_TIMEOUT_S
    assert top.exit_code == 0
    assert [one["up"] for one in top.report["endpoints"]] == [True, False, False]
    assert top.topic(TOPIC, well.address)["status"] == "no_publisher"
    told = top.stderr.splitlines()
    assert told[0].startswith(f"warning: {still.address}: no answer within 0.5 s")
    assert told[1] == f"warning: {absent}: connection refused: is the program started?"


@pytest.mark.parametrize("form", ["--json", "--once"])
def test_nothing_answers(form: str) -> None:
    top = look(form, f"http://{nobody()}")
    assert top.exit_code == EXIT_NOTHING_ANSWERS
    assert [line for line in top.stderr.splitlines() if "connection refused" not in line] == []


def test_a_table_without_rows_tells_whose_they_would_be(start_exporter: StartExporter) -> None:
    top = look("--once", OFTEN, "--view=twins", f"http://{start_exporter().address}")
    assert top.exit_code == 0
    assert top.stderr == "warning: no twins: each synchronization_node has a row here\n"


def test_tls_and_users(secured: Secured) -> None:
    page = f"https://{secured.exporter.address}"
    trusting = ("--json", OFTEN, page, "--ca-file", secured.certificate)
    for refused, told in [
        (("--json", page), "--ca-file"),
        (("--json", page, "--ca-file", secured.other_certificate), "--ca-file"),
        (trusting, "--username"),
    ]:
        top = look(*refused)
        assert top.exit_code == EXIT_NOTHING_ANSWERS
        assert told in top.stderr
    top = look(*trusting, "--username=me", "--password-file", secured.password)
    assert top.topic(TOPIC, secured.exporter.address)["status"] == "no_publisher"


def test_pods_of_a_release(kubernetes: MockKubernetes, moving: Exporter, tmp_path: Path) -> None:
    file = kubernetes.kubeconfig(tmp_path)
    kubernetes.add(PODS, pod("core", {"metrics": 8000, "ros": 7400}), pod("unity", {"metrics-unity": 8003}))
    kubernetes.forwards["core", 8000] = moving.address
    top = look("--json", OFTEN, "--robot=robot1", "--kubeconfig", file)
    assert top.exit_code == 0, top.stderr
    assert top.topic(TOPIC, "core:8000")["rate_hertz"] > 0
    assert "unity:8003: the pod cannot be reached" in top.stderr
    listed = [asked for asked in kubernetes.asked if asked.path == PODS]
    assert listed[0].query["labelSelector"] == ["app.kubernetes.io/instance=digital-twin,digital-twin/robot=robot1"]

    named = look("--json", OFTEN, "--pod=core", "--kubeconfig", file)
    assert [one["endpoint"] for one in named.report["endpoints"]] == ["core:8000"]
    unknown = look("--json", "--pod=other", "--kubeconfig", file)
    assert unknown.exit_code == EXIT_NOTHING_ANSWERS
    assert "of core, unity" in unknown.stderr
    kubernetes.refused[f"{PODS}/core/portforward"] = HTTPStatus.FORBIDDEN
    refused = look("--json", "--pod=core", "--kubeconfig", file)
    assert refused.exit_code == EXIT_NOTHING_ANSWERS
    assert "not allowed" in refused.stderr
    assert "pods/portforward" in refused.stderr


def test_a_cluster_that_does_not_answer(tmp_path: Path) -> None:
    with MockKubernetes() as kubernetes:
        file = kubernetes.kubeconfig(tmp_path)
    top = look("--once", "--cluster", "--kubeconfig", file)
    assert top.exit_code == EXIT_NOTHING_ANSWERS
    assert "Connection refused" in top.stderr


# On a terminal


def test_the_screen_follows_keys_and_values(moving: Exporter) -> None:
    with Terminal("--interval=0.1", url(moving), f"http://{nobody()}") as terminal:
        terminal.wait_for("1 of 2 endpoints answer")
        terminal.wait_for(f"+ ok {TOPIC}")
        terminal.press("/nothing")
        terminal.wait_for("filter: nothing_")
        terminal.wait_without("+ ok")
        terminal.press("\x1b")
        terminal.wait_for("+ ok")
        terminal.press("/JOINT\r")
        terminal.wait_for("filter: joint (Esc clears it)")
        assert terminal.shows("+ ok")
        terminal.press("\t")
        terminal.wait_for("+0.250")
        assert terminal.shows("elbow")
        terminal.press("?")
        terminal.wait_for("Any key closes this.")
        terminal.press("x")
        terminal.wait_without("Any key closes this.")
        terminal.resize(40, 12)
        terminal.wait_for("POSITION")
        terminal.wait_without("EFFORT")
        terminal.press("p")
        terminal.wait_for("[paused]")
        terminal.press("q")
        assert terminal.wait_for_the_end() == 0


def test_a_node_that_goes_and_comes_again_is_told(start_exporter: StartExporter) -> None:
    exporter = start_exporter()
    address = exporter.address
    with Terminal("--interval=0.1", "--view=endpoints", url(exporter)) as terminal:
        terminal.wait_for(f"+ up {address}")
        exporter.end()
        terminal.wait_for(f"x down {address}")
        terminal.wait_for("connection refused")
        start_exporter(f"--web.listen-address={address}")
        terminal.wait_for(f"+ up {address}")
        terminal.press("\x03")
        assert terminal.wait_for_the_end() == 0


def test_a_pod_that_is_replaced_is_followed(
    kubernetes: MockKubernetes, start_exporter: StartExporter, tmp_path: Path
) -> None:
    address = start_exporter().address
    kubernetes.forwards |= {("old", 8000): address, ("new", 8000): address}
    kubernetes.add(PODS, pod("old", {"metrics": 8000}))
    file = kubernetes.kubeconfig(tmp_path)
    with Terminal("--interval=0.1", "--view=endpoints", "--cluster", "--kubeconfig", file) as terminal:
        terminal.wait_for("+ up old:8000")
        kubernetes.add(PODS, pod("new", {"metrics": 8000}))
        terminal.wait_for("+ up new:8000")
        assert not terminal.shows("old:8000")
        terminal.press("q")
        assert terminal.wait_for_the_end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_gives_the_terminal_back(number: signal.Signals) -> None:
    with Terminal(f"http://{nobody()}") as terminal:
        terminal.wait_for("connection refused")
        terminal.process.send_signal(number)
        assert terminal.wait_for_the_end() == 0


def test_nobody_is_left_where_the_terminal_has_gone() -> None:
    with Terminal(f"http://{nobody()}") as terminal:
        terminal.wait_for("connection refused")
        terminal.hang_up()
        terminal.process.wait(TIMEOUT_S)


def test_without_colour_no_colour_is_sent(start_exporter: StartExporter) -> None:
    exporter = start_exporter()
    colour = re.compile(rb"\x1b\[(?:\d+;)*(?:3[0-7]|38|4[0-7]|48|9[0-7])[;m]")
    for value, is_coloured in [("1", False), ("", True)]:
        with Terminal(url(exporter), environment={"NO_COLOR": value}) as terminal:
            terminal.wait_for("x no_publisher")
            terminal.press("q")
            assert terminal.wait_for_the_end() == 0
            assert bool(colour.search(terminal.output)) == is_coloured


# The command line


def test_bad_usage_is_told_all_at_once(tmp_path: Path) -> None:
    top = look("--once", "ftp://a", "--timeout=soon", "--interval=0", "--ca-file", tmp_path / "none")
    assert top.exit_code == EXIT_USAGE
    assert [line.split()[0] for line in top.stderr.splitlines()] == ["error:"] * 4
    for bad in (["--view=all", "--once"], ["http://a", "--robot=r"], ["--onec"]):
        assert look(*bad).exit_code == EXIT_USAGE


def test_without_a_terminal_there_is_no_screen() -> None:
    top = look()
    assert top.exit_code == EXIT_USAGE
    assert "--once" in top.stderr


def test_what_cannot_be_written_is_told() -> None:
    with open("/dev/full", "w") as full:
        command = [PROGRAM, "--once", f"http://{nobody()}"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == EXIT_NOTHING_ANSWERS
    assert ended.stderr.startswith("error: the report cannot be written")


def test_the_page_has_every_flag_every_view_and_every_column() -> None:
    help_text = look("--help").stdout
    flags = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help_text, re.MULTILINE))
    documented = {flag for row in table(PAGE, "flag", "default", "meaning") for flag in re.findall(r"--[\w-]+", row[0])}
    assert documented == flags
    views = {code(row[0])[0]: code(row[1]) for row in table(PAGE, "view", "columns")}
    assert list(views) == re.findall(r"^ +- (\w+):", help_text, re.MULTILINE)
    for view, columns in views.items():
        header = look("--once", f"--view={view}", f"http://{nobody()}").stdout.splitlines()[0]
        assert re.split(" {2,}", header) == [column for column in columns if column.isupper() or "/" in column], view
