"""health_check: what it says of real nodes, a real Prometheus and a mock of Kubernetes, and that it says so in time."""

import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from http import HTTPStatus
from pathlib import Path

import psutil
import pytest

from authority import Authority
from bridge import PROGRAM as BRIDGE_PROGRAM
from bridge import Bridge, BridgeArguments
from documented import code, table
from exporter import TOPIC, Exporter, StartExporter
from health import EXIT_HEALTHY, EXIT_UNHEALTHY, PROGRAM, Health, check_health
from looked_at import Secured, moving_joint, url
from mock_kubernetes import NODES, PODS, MockKubernetes, container, node, pod
from monitor import PROGRAM as MONITOR_PROGRAM
from monitor import Monitor
from ports import free_ports
from program import EXIT_USAGE, REPOSITORY, Program, starter
from prometheus import Prometheus, needs_prometheus
from robot import Robot, repeatedly
from synchronizer import PROGRAM as SYNCHRONIZER_PROGRAM
from synchronizer import REFERENCE_TOPIC, TWIN_TOPIC, Motion, Synchronizer
from waiting import wait_until
from web import Address

PAGE = REPOSITORY / "docs" / "health_check.md"

# Time that a run may take beyond what it was told to wait: it is ten times what it takes.
BEYOND_TIMEOUT_S = 5.0

Check = Callable[..., Health]


@contextmanager
def serving(answer: Callable[[str], bytes]) -> Iterator[Address]:
    """A program that is none of ours: whatever is asked for on a path, these bytes come, as long as somebody reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    path = client.recv(4096).split(b" ")[1].decode()
                    client.sendall(b"HTTP/1.1 " + answer(path))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Address(*listener.getsockname())
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def ok(body: bytes) -> bytes:
    return b"200 OK\r\nConnection: close\r\n\r\n" + body


# On hosts


def test_the_four_nodes_that_are_well(start_exporter: StartExporter, domain_id: int, tmp_path: Path) -> None:
    with ExitStack() as stack:
        synchronizer = stack.enter_context(starter(Synchronizer, SYNCHRONIZER_PROGRAM, domain_id, tmp_path))()
        monitor = stack.enter_context(starter(Monitor, MONITOR_PROGRAM, domain_id, tmp_path))()
        bridge = stack.enter_context(starter(Bridge, BRIDGE_PROGRAM, domain_id, tmp_path, BridgeArguments))()
        exporter = start_exporter()
        robot = Robot(domain_id)
        stack.callback(robot.close)
        motion = Motion(robot.talker(REFERENCE_TOPIC), robot.talker(TWIN_TOPIC), ["hip", "knee"])
        stack.enter_context(motion.running())
        nodes: list[Program] = [exporter, synchronizer, monitor, bridge]

        def look() -> Health:
            return check_health("--endpoints", ",".join(map(url, nodes)))

        def look_for_health() -> Health | None:
            health = look()
            is_synced = health.detail("synchronization").startswith("SYNCED: 2 joints compared")
            return health if health.exit_code == EXIT_HEALTHY and is_synced else None

        # On a busy machine the motion stands still for a moment now and then, and so does the twin.
        health = wait_until(look_for_health, "all four nodes are well", details=lambda: look().stdout)

    endpoints = [row for row in health.rows if row[0] == "endpoint"]
    assert endpoints == [("endpoint", str(node.address), "ok") for node in nodes]
    names = [health.detail("endpoint", str(node.address)).split()[0] for node in nodes]
    assert names == ["ros_metrics_exporter", "synchronization_node", "monitoring_node", "unity_bridge_node"]
    assert ("synchronization", str(synchronizer.address), "ok") in health.rows


def test_a_robot_that_is_missing_is_told_of_by_topic(start_exporter: StartExporter) -> None:
    exporter = start_exporter()
    exporter.wait_for_status("no_publisher")
    health = check_health("--endpoints", url(exporter))
    assert health.exit_code == EXIT_UNHEALTHY
    assert ("topic", f"{exporter.address} {TOPIC}", "unhealthy") in health.rows
    assert health.detail("topic").startswith("no_publisher: ")


def test_the_table_is_aligned_and_plain_where_nobody_sees_it(start_exporter: StartExporter) -> None:
    health = check_health("--endpoints", url(start_exporter()), as_json=False)
    *lines, summary = health.stdout.splitlines()
    assert lines[0].split() == ["STATUS", "CHECK", "OBJECT", "DETAIL"]
    column = lines[0].index("DETAIL")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)
    assert "\x1b" not in health.stdout
    assert summary == "not healthy: 1 unhealthy, 1 ok"


def test_a_node_may_have_to_live_and_be_ready_alone(start_exporter: StartExporter) -> None:
    exporter = start_exporter()
    exporter.wait_for_status("no_publisher")
    health = check_health("--endpoints", url(exporter), "--skip=metrics")
    assert health.exit_code == EXIT_HEALTHY
    assert health.rows == [("endpoint", str(exporter.address), "ok")]


@pytest.mark.parametrize("more", [(), ("--skip=metrics",)])
def test_nobody_listens(more: Sequence[str]) -> None:
    (port,) = free_ports(1)
    health = check_health("--endpoints", f"http://127.0.0.1:{port}", *more)
    assert health.exit_code == EXIT_UNHEALTHY
    assert health.detail("endpoint") == "connection refused: is the program started?"


def test_a_node_that_stands_still_takes_no_longer_than_it_may(start_exporter: StartExporter) -> None:
    exporter = start_exporter()
    well = start_exporter()
    exporter.process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    health = check_health("--timeout=0.5", "--endpoints", f"{url(exporter)},{url(well)}")
    assert time.monotonic() - started < 0.5 + BEYOND_TIMEOUT_S
    assert health.exit_code == EXIT_UNHEALTHY
    assert health.detail("endpoint", str(exporter.address)).startswith("no answer within 0.5 s")
    assert ("endpoint", str(well.address), "ok") in health.rows


def test_it_waits_until_all_is_well(start_exporter: StartExporter, domain_id: int) -> None:
    (port,) = free_ports(1)
    with ExitStack() as stack:
        command = [PROGRAM, "--wait=25", f"--endpoints=http://127.0.0.1:{port}"]
        waiting = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(waiting.kill)
        exporter = start_exporter(f"--web.listen-address=127.0.0.1:{port}")
        robot = Robot(domain_id)
        stack.callback(robot.close)
        talker = robot.talker(TOPIC)
        exporter.wait_until_matched(talker)
        with repeatedly(lambda: talker.publish(["elbow"], [0.0]), 0.05):
            output, _ = waiting.communicate(timeout=30)
        assert waiting.returncode == EXIT_HEALTHY, output


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: ok(b"<html>"), "line 1 of the page is no metric"),
        (lambda _: ok(b"up 1\n"), "another program listens here"),
        (lambda _: b"404 Not Found\r\nConnection: close\r\n\r\nNo", "/livez is 404 Not Found: No (is it one of our nodes?)"),
        (
            lambda _: b"503 No\r\nConnection: close\r\n\r\nROS stands",
            "/livez is 503 Service Unavailable: ROS stands (only a restart helps)",
        ),
        (lambda _: b"\x00\x01", "not HTTP, or ended in the middle"),
        (lambda path: ok(b"#" * (65 << 20) if path == "/metrics" else b""), "more than 64 MiB"),
    ],
)
def test_who_is_none_of_our_nodes(answer: Callable[[str], bytes], told: str) -> None:
    with serving(answer) as address:
        health = check_health("--endpoints", f"http://{address}")
    assert health.exit_code == EXIT_UNHEALTHY
    assert told in health.detail("endpoint")


def test_tls_and_users(secured: Secured) -> None:
    exporter = secured.exporter
    endpoint = f"--endpoints=https://{exporter.address}"

    assert "--ca-file" in check_health(endpoint).detail("endpoint")
    assert "--ca-file" in check_health(endpoint, "--ca-file", secured.other_certificate).detail("endpoint")
    trusting = (endpoint, "--ca-file", secured.certificate)
    assert "--username" in check_health(*trusting).detail("endpoint")
    health = check_health(*trusting, "--username=me", "--password-file", secured.password)
    assert ("endpoint", str(exporter.address), "ok") in health.rows
    plain = check_health(f"--endpoints=http://{exporter.address}")
    assert plain.exit_code == EXIT_UNHEALTHY
    assert check_health(f"--endpoints=https://{exporter.address}", "--ca-file", secured.password).exit_code == EXIT_USAGE


# Prometheus


@needs_prometheus
def test_targets_and_alerts_of_a_real_prometheus(start_exporter: StartExporter, tmp_path: Path) -> None:
    exporter = start_exporter()
    (port,) = free_ports(1)
    rules = """
groups:
  - name: test
    rules:
      - alert: NoRobot
        expr: ros_topic_status{status="no_publisher"} == 1
        labels: {severity: critical}
        annotations: {summary: no robot}
      - {alert: Watchdog, expr: vector(1), labels: {severity: none}}
"""
    targets = [str(exporter.address), f"127.0.0.1:{port}"]
    with Prometheus(tmp_path, {"static_configs": [{"targets": targets}]}, rules) as prometheus:
        expected = {targets[0]: 1.0, targets[1]: 0.0}
        wait_until(lambda: prometheus.values("up", "instance") == expected, "both were scraped")
        wait_until(lambda: prometheus.query('ALERTS{alertname="NoRobot",alertstate="firing"}'), "the alert fires")
        health = check_health("--endpoints", url(exporter), "--prometheus", f"http://{prometheus.address}")
        assert health.exit_code == EXIT_UNHEALTHY
        assert [row for row in health.rows if row[0] == "target"] == [("target", f"robot {targets[1]}", "unhealthy")]
        assert "connection refused" in health.detail("target")
        assert [row for row in health.rows if row[0] == "alert"] == [("alert", "NoRobot", "unhealthy")]
        assert health.detail("alert") == "no robot"


def test_who_is_no_prometheus(start_exporter: StartExporter) -> None:
    exporter = start_exporter()
    health = check_health("--endpoints", url(exporter), "--prometheus", f"{url(exporter)}/prefix")
    assert health.detail("prometheus").startswith("/prefix/api/v1/targets?state=active is 404 Not Found")


# In a cluster, by a mock of its API server


@pytest.fixture
def check(kubernetes: MockKubernetes, tmp_path: Path) -> Check:
    file = kubernetes.kubeconfig(tmp_path)
    return lambda *arguments: check_health("--kubeconfig", file, *arguments)


@pytest.fixture
def twin(kubernetes: MockKubernetes, start_exporter: StartExporter, domain_id: int) -> Iterator[Exporter]:
    """An exporter in a pod, and its robot."""
    exporter = start_exporter()
    kubernetes.add(PODS, pod("core", {"metrics": 8000, "ros": 7400}))
    kubernetes.forwards["core", 8000] = exporter.address
    with moving_joint(exporter, domain_id):
        exporter.wait_for_status("ok")
        yield exporter


def test_a_cluster_that_is_well(kubernetes: MockKubernetes, check: Check, twin: Exporter) -> None:
    health = check("--robot=robot1")
    assert health.exit_code == EXIT_HEALTHY, health.stdout
    assert health.rows == [
        ("cluster", "API server", "ok"),
        ("cluster_node", "all", "ok"),
        ("pod", "all", "ok"),
        ("endpoint", "core:8000", "ok"),
        ("topic", "core:8000", "ok"),
    ]
    assert health.detail("cluster") == "Kubernetes v1.33.4"
    (listed,) = [asked for asked in kubernetes.asked if asked.path == PODS]
    assert listed.query["labelSelector"] == ["app.kubernetes.io/instance=digital-twin,digital-twin/robot=robot1"]


def test_pods_and_nodes_that_are_not_well_are_named(kubernetes: MockKubernetes, check: Check) -> None:
    full = node("full", ("Ready", "True"), ("DiskPressure", "True"))
    kubernetes.add(NODES, node("worker"), full, node("gone", ("Ready", "Unknown")))
    crashing = container({"waiting": {"reason": "CrashLoopBackOff"}})
    unplaced = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
    kubernetes.add(
        PODS,
        pod("crashing", status={"phase": "Running", "containerStatuses": [crashing]}),
        pod("unplaced", status={"phase": "Pending", "conditions": [unplaced]}),
    )
    health = check()
    assert health.exit_code == EXIT_UNHEALTHY
    for row in [
        ("cluster_node", "full", "warning"),
        ("cluster_node", "gone", "unhealthy"),
        ("cluster_node", "all", "ok"),
        ("pod", "crashing", "unhealthy"),
        ("pod", "unplaced", "unhealthy"),
    ]:
        assert row in health.rows
    assert "CrashLoopBackOff" in health.detail("pod", "crashing")
    assert health.detail("pod", "unplaced") == "Pending: Unschedulable: no GPU"


def test_an_attempt_of_a_job_that_has_failed_is_a_warning(
    kubernetes: MockKubernetes, check: Check, twin: Exporter
) -> None:
    attempt = pod("backup-1-x", status={"phase": "Failed"})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "backup-1", "uid": "1"}
    attempt["metadata"]["ownerReferences"] = [owner]
    kubernetes.add(PODS, pod("core", {"metrics": 8000}), attempt)
    health = check()
    assert health.exit_code == EXIT_HEALTHY, health.stdout
    assert ("pod", "backup-1-x", "warning") in health.rows
    assert "the Job backup-1:" in health.detail("pod", "backup-1-x")


def test_a_release_without_pods_is_not_well(check: Check) -> None:
    health = check("--release=other")
    assert health.exit_code == EXIT_UNHEALTHY
    assert "app.kubernetes.io/instance=other" in health.detail("pod")


def test_all_pages_of_a_long_list_are_read(kubernetes: MockKubernetes, check: Check) -> None:
    bad = pod("last", status={"phase": "Failed"})
    kubernetes.add(PODS, *(pod(f"pod{number}") for number in range(600)), bad)
    health = check()
    assert ("pod", "last", "unhealthy") in health.rows
    assert health.detail("pod", "all") == "600 of 601 are as they should be"


def test_what_is_not_allowed_is_not_known(kubernetes: MockKubernetes, check: Check, twin: Exporter) -> None:
    kubernetes.refused[NODES] = HTTPStatus.FORBIDDEN
    health = check()
    assert health.exit_code == EXIT_UNHEALTHY
    assert ("cluster_node", "all", "unknown") in health.rows
    assert health.detail("cluster_node").startswith("not allowed: ")
    assert check("--skip=nodes").exit_code == EXIT_HEALTHY


def test_forwarding_that_is_not_allowed_is_told_once(kubernetes: MockKubernetes, check: Check) -> None:
    kubernetes.add(PODS, pod("core", {"metrics": 8000, "metrics-sync": 8001}))
    kubernetes.refused[f"{PODS}/core/portforward"] = HTTPStatus.FORBIDDEN
    health = check()
    assert health.exit_code == EXIT_UNHEALTHY
    assert ("endpoint", "pods", "unknown") in health.rows
    assert "pods/portforward" in health.detail("endpoint")
    assert check("--skip=endpoints").exit_code == EXIT_HEALTHY


def test_a_port_of_a_pod_that_nobody_listens_on(kubernetes: MockKubernetes, check: Check) -> None:
    kubernetes.add(PODS, pod("core", {"metrics": 8000}))
    health = check()
    assert ("endpoint", "core:8000", "unhealthy") in health.rows
    assert health.detail("endpoint").endswith("inside namespace: connection refused")


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("/version", ("cluster", "unknown")),
        (NODES, ("cluster_node", "unknown")),
        (PODS, ("pod", "unknown")),
        (f"{PODS}/core/portforward", ("endpoint", "unhealthy")),
    ],
)
def test_what_hangs_is_given_up(kubernetes: MockKubernetes, check: Check, path: str, row: tuple[str, str]) -> None:
    kubernetes.add(PODS, pod("core", {"metrics": 8000}))
    kubernetes.hanging.add(path)
    started = time.monotonic()
    health = check("--timeout=0.5")
    assert time.monotonic() - started < 0.5 + BEYOND_TIMEOUT_S
    assert health.exit_code == EXIT_UNHEALTHY
    found = [(check, status) for check, _, status in health.rows if status != "ok"]
    assert row in found
    assert health.detail(row[0]).startswith("no answer within 0.5 s")


def test_a_cluster_that_does_not_answer_has_one_line(tmp_path: Path) -> None:
    with MockKubernetes() as kubernetes:
        file = kubernetes.kubeconfig(tmp_path)
    health = check_health("--kubeconfig", file)
    assert health.exit_code == EXIT_UNHEALTHY
    assert health.rows == [("cluster", f"http://127.0.0.1:{kubernetes.port}/", "unknown")]
    assert "Connection refused" in health.detail("cluster")


def test_an_account_that_the_cluster_does_not_know(kubernetes: MockKubernetes, check: Check) -> None:
    kubernetes.refused["/version"] = HTTPStatus.UNAUTHORIZED
    assert check().detail("cluster") == "the cluster does not know us: log in again"


def test_a_cluster_is_believed_by_its_certificate(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    identity = authority.issue("server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity.certificate, identity.key)
    with MockKubernetes(tls=context) as kubernetes:
        kubernetes.add(NODES, node("worker"))
        kubernetes.add(PODS, pod("core"))
        good = check_health("--kubeconfig", kubernetes.kubeconfig(tmp_path, authority.certificate))
        assert good.exit_code == EXIT_HEALTHY, good.stdout
        bad = check_health("--kubeconfig", kubernetes.kubeconfig(tmp_path, other.certificate))
        assert bad.exit_code == EXIT_UNHEALTHY
        assert len(bad.rows) == 1
        assert "certificate" in bad.detail("cluster")


def test_no_cluster_is_known(tmp_path: Path) -> None:
    health = check_health(environment={"HOME": str(tmp_path), "KUBECONFIG": ""})
    assert health.exit_code == EXIT_UNHEALTHY
    assert "--local" in health.detail("cluster", "kubeconfig")
    broken = tmp_path / "kubeconfig"
    broken.write_text("clusters: [")
    assert "YAML" in check_health("--kubeconfig", broken).detail("cluster", "kubeconfig")
    assert str(tmp_path / "none") in check_health("--kubeconfig", tmp_path / "none").detail("cluster", "kubeconfig")


def test_a_program_that_hands_out_credentials_and_hangs(kubernetes: MockKubernetes, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "sh",
        "args": ["-c", f"echo $$ > {pid_file}; exec sleep 60"],
        "interactiveMode": "Never",
    }
    try:
        health = check_health("--timeout=0.5", "--kubeconfig", kubernetes.kubeconfig(tmp_path, user={"exec": plugin}))
    finally:
        psutil.Process(int(pid_file.read_text())).kill()
    assert health.detail("cluster").startswith("no answer within 0.5 s")


@needs_prometheus
def test_a_prometheus_behind_a_service(
    kubernetes: MockKubernetes, check: Check, twin: Exporter, tmp_path: Path
) -> None:
    monitoring = "/api/v1/namespaces/monitoring"
    service = {
        "metadata": {"name": "prometheus"},
        "spec": {"selector": {"app": "prometheus"}, "ports": [{"port": 80, "targetPort": "web"}]},
    }
    kubernetes.add(f"{monitoring}/services", service)
    kubernetes.add(f"{monitoring}/pods", pod("prometheus-0", {"web": 9090}))
    labels = {"namespace": "digital-twin-system"}
    scraped = {"static_configs": [{"targets": [str(twin.address)], "labels": labels}]}
    folder = tmp_path / "prometheus"
    folder.mkdir()
    with Prometheus(folder, scraped) as prometheus:
        wait_until(lambda: prometheus.query("up"), "it was scraped")
        kubernetes.forwards["prometheus-0", 9090] = prometheus.address
        health = check("--prometheus-service=monitoring/prometheus:80")
        assert health.exit_code == EXIT_HEALTHY, health.stdout
        assert ("target", "prometheus-0:9090", "ok") in health.rows
        assert ("alert", "prometheus-0:9090", "ok") in health.rows
    other_port = check("--prometheus-service=monitoring/prometheus:81")
    assert other_port.detail("prometheus").startswith("the Service has no such port")
    assert "not found" in check("--prometheus-service=monitoring/none:80").detail("prometheus")


# The command line


def test_a_report_that_cannot_be_written_is_told() -> None:
    (port,) = free_ports(1)
    with open("/dev/full", "w") as full:
        command = [PROGRAM, f"--endpoints=http://127.0.0.1:{port}"]
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert ended.returncode == EXIT_UNHEALTHY
    assert ended.stderr.startswith("error: the report cannot be written")


def test_bad_usage_is_told_all_at_once(tmp_path: Path) -> None:
    health = check_health("--endpoints=ftp://a", "--timeout=soon", "--ca-file", tmp_path / "none")
    assert health.exit_code == EXIT_USAGE
    assert [line.split()[0] for line in health.stderr.splitlines()] == ["error:"] * 3
    assert check_health("--endpoint").exit_code == EXIT_USAGE


def test_the_page_has_every_flag_and_every_check() -> None:
    help_text = check_health("--help", as_json=False).stdout
    flags = set(re.findall(r"^ +(?:-\w, )?(--[\w-]+)", help_text, re.MULTILINE))
    documented = {flag for row in table(PAGE, "flag", "default", "meaning") for flag in re.findall(r"--[\w-]+", row[0])}
    assert documented == flags
    sources = "".join(path.read_text() for path in (REPOSITORY / "crates/health-check/src").glob("*.rs"))
    checks = set(re.findall(r'(?:CHECK: &str =|^ +check:) "(\w+)"', sources, re.MULTILINE))
    assert {code(row[0])[0] for row in table(PAGE, "check", "object", "well when")} == checks
