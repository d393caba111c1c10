"""Rules, their tests and pages, and Alertmanager's routes: held against each other, and tried with Prometheus's own tools."""

import fnmatch
import json
import re
import shutil
import subprocess
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from alertmanager import CONFIGURATION, Alertmanager, needs_alertmanager
from chart import NAMESPACE, named, render, values_of
from documented import blocks, code, table
from monitor import STATUSES
from program import REPOSITORY
from rules import FOREIGN, OF_THE_CHART, RULES, alerts, documented_rows, families, matchers_of, metrics_of, recorded, rules
from synchronizer import STATES
from waiting import wait_until

needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
needs_amtool = pytest.mark.skipif(not shutil.which("amtool"), reason="amtool is not installed")

PROMETHEUS = REPOSITORY / "deploy" / "monitoring" / "prometheus"
RULE_TESTS = sorted((PROMETHEUS / "tests").glob("*.yml"))
PAGE = REPOSITORY / "docs" / "monitoring.md"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"

ALERTS = alerts()

# Of targets, whatever metric they have.
TARGET_LABELS = {"job", "instance", "robot", "region", "namespace", "pod"}
ALERT_VALUES = {"status": STATUSES, "state": set(STATES)}


def run(*command: str | Path) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


# --- Rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_tells_what_there_is_to_know(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
    assert re.search(r"\$labels\.\w+", rule["annotations"]["summary"]), "whom it is about"
    # A comparison with a threshold has a number to tell.
    if "threshold" in rule["expr"]:
        assert "$value" in rule["annotations"]["summary"] + rule["annotations"]["description"]


def test_rules_ask_for_what_there_is() -> None:
    rows = documented_rows()
    known = {*rows, *FOREIGN, *OF_THE_CHART, *recorded()}
    for rule in rules():
        asked = families(metrics_of(rule["expr"]))
        unknown = {name for name in asked if not any(fnmatch.fnmatch(name, one) for one in known)}
        assert not unknown, rule
        for metric, label, values in matchers_of(rule["expr"]):
            row = rows.get(*families([metric]))
            documented = re.findall(r"\w+", row[1].partition(";")[2]) if row else [label]
            assert label in [*TARGET_LABELS, *documented], (metric, label)
            assert values <= ALERT_VALUES.get(label, values), (metric, label, values)


def test_every_threshold_is_compared_with() -> None:
    compared = {name for rule in ALERTS.values() for name in metrics_of(rule["expr"]) if name.endswith(":threshold")}
    assert compared == {name for name in recorded() if name.endswith(":threshold")}


# --- Their tests ------------------------------------------------------------------------------------------------------


@needs_promtool
def test_promtool_is_content_with_rules_and_their_tests() -> None:
    run("promtool", "check", "rules", *sorted(RULES.glob("*.yml")))
    run("promtool", "test", "rules", *RULE_TESTS)


def test_every_alert_is_seen_to_begin_and_to_end() -> None:
    ended = set()
    for file in RULE_TESTS:
        for case in yaml.safe_load(file.read_text())["tests"]:
            fires: dict[str, list[bool]] = defaultdict(list)
            for one in case.get("alert_rule_test", ()):
                fires[one["alertname"]].append(bool(one["exp_alerts"]))
            ended |= {name for name, seen in fires.items() if (True, False) in pairwise(seen)}
    assert ended == ALERTS.keys()


@needs_promtool
@pytest.mark.parametrize("file", sorted(PROMETHEUS.glob("*.yml")), ids=lambda file: file.name)
def test_promtool_takes_every_configuration(file: Path) -> None:
    run("promtool", "check", "config", file)


@pytest.mark.parametrize("name", ["one_host", "prometheus"])
def test_every_job_that_rules_ask_for_is_scraped(name: str) -> None:
    config = yaml.safe_load((PROMETHEUS / f"{name}.yml").read_text())
    scraped = {job["job_name"] for job in config["scrape_configs"]}
    asked = {job for rule in rules() for _, label, jobs in matchers_of(rule["expr"]) if label == "job" for job in jobs}
    assert asked <= scraped


@needs_promtool
def test_federation_asks_for_all_that_is_recorded(tmp_path: Path) -> None:
    (job,) = yaml.safe_load((PROMETHEUS / "federation.yml").read_text())["scrape_configs"]
    asked = [{"record": "asked:series", "expr": matcher, "labels": {"number": str(number)}}
             for number, matcher in enumerate(job["params"]["match[]"])]  # fmt: skip
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": asked}]}))
    run("promtool", "check", "rules", tmp_path / "asked.yml")
    names = re.findall(r'__name__=~"([^"]*)"', " ".join(job["params"]["match[]"]))
    assert all(any(re.fullmatch(one, name) for one in names) for name in recorded())
    assert job["honor_labels"]


# --- The chart's ------------------------------------------------------------------------------------------------------


def chart_groups(alerts_values: dict[str, Any], name: str = "region-us-west-2") -> list[dict[str, Any]]:
    """The groups that the chart gives a Prometheus without operator."""
    values = values_of(name)
    found = render({**values, "monitoring": {**values["monitoring"], "alerts": alerts_values}})
    text = named("ConfigMap", "prometheus-rules", found)["data"]["digital_twin_rules.yml"]
    groups: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return groups


@needs_promtool
def test_the_chart_sets_thresholds_for_its_namespace_and_expects_its_robots(tmp_path: Path) -> None:
    groups = chart_groups({"thresholds": {"twin_lag_seconds": 0.1}})
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}))
    lag = 'ros_twin_lag_seconds{{job="synchronization-node", robot="{}", namespace="{}"}}'
    lags = [("us-robot1", NAMESPACE, 0.15), ("us-robot2", NAMESPACE, 0.05), ("other", "others", 9)]
    series = {lag.format(robot, namespace): seconds for robot, namespace, seconds in lags}
    jobs = ("ros-metrics-exporter", "synchronization-node", "monitoring-node", "unity-bridge-node")
    for robot in ("us-robot1", "us-robot2"):
        series |= {f'up{{job="{job}", robot="{robot}", namespace="{NAMESPACE}"}}': 1 for job in jobs}
    del series[f'up{{job="monitoring-node", robot="us-robot2", namespace="{NAMESPACE}"}}']
    seen = {
        "interval": "15s",
        "input_series": [{"series": name, "values": f"{value}x40"} for name, value in series.items()],
        "promql_expr_test": [
            {"expr": 'count by (alertname, robot) (ALERTS{alertstate="firing"})', "eval_time": "6m", "exp_samples": [
                {"labels": '{alertname="DigitalTwinNodeAbsent", robot="us-robot2"}', "value": 1},
                {"labels": '{alertname="DigitalTwinNotMonitored", robot="us-robot2"}', "value": 1},
                {"labels": '{alertname="TwinLagHigh", robot="us-robot1"}', "value": 1},
            ]},
        ],
    }  # fmt: skip
    test = {"rule_files": ["rules.yml"], "evaluation_interval": "15s", "tests": [seen]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))
    run("promtool", "test", "rules", tmp_path / "test.yml")


def test_the_chart_leaves_out_alerts_and_links_to_pages_elsewhere() -> None:
    groups = chart_groups({"disabled": ["TwinMissing"], "runbooks": "https://pages.example/runbooks"})
    given = {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}
    assert given.keys() == ALERTS.keys() - {"TwinMissing"}
    assert given["TwinLost"]["annotations"]["runbook_url"] == "https://pages.example/runbooks/TwinLost.md"
    for name, rule in given.items():
        told = {**rule, "annotations": {**rule["annotations"], "runbook_url": ALERTS[name]["annotations"]["runbook_url"]}}
        assert told == ALERTS[name]


def test_the_schema_has_every_threshold() -> None:
    schema = json.loads((REPOSITORY / "deploy" / "helm" / "digital-twin" / "values.schema.json").read_text())
    thresholds = schema["properties"]["monitoring"]["properties"]["alerts"]["properties"]["thresholds"]
    assert [f"digital_twin:{name}:threshold" for name in thresholds["properties"]] == [
        name for name in recorded() if name.endswith(":threshold")
    ]


# --- Pages ------------------------------------------------------------------------------------------------------------


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    assert {page.stem for page in RUNBOOKS.iterdir()} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_what_to_do(name: str) -> None:
    page = RUNBOOKS / f"{name}.md"
    text = page.read_text()
    assert text.startswith(f"# {name}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Find the cause", "What to do", "It ends"]
    known = {*documented_rows(), *FOREIGN, *recorded()}
    for block in blocks(page, "Find the cause", "promql"):
        for line in block.splitlines():
            asked = families(metrics_of(line.partition("#")[0]))
            assert asked and asked <= known, line
    for link in re.findall(r"\]\(([^)#]+)", text):
        assert (page.parent / link).is_file(), link


def test_the_tables_are_of_the_rules() -> None:
    rows = table(PAGE, "alert", "severity", "for", "means")
    told = {re.sub(r"\[(\w+)\].*", r"\1", row[0]): (row[1], row[2]) for row in rows}
    assert told == {name: (rule["labels"]["severity"], rule.get("for", "at once")) for name, rule in ALERTS.items()}
    series = recorded()
    assert {code(row[0])[0] for row in table(PAGE, "series", "meaning")} == {
        name for name in series if not name.endswith(":threshold")
    }
    rows = table(PAGE, "threshold", "default", "alert", "")
    thresholds = {f"digital_twin:{code(row[0])[0]}:threshold": row for row in rows}
    assert thresholds.keys() == {name for name in series if name.endswith(":threshold")}
    for name, row in thresholds.items():
        assert series[name]["expr"] == f"vector({row[1]})"
        assert set(row[2].split(", ")) == {alert for alert, rule in ALERTS.items() if name in metrics_of(rule["expr"])}


# --- Alertmanager -----------------------------------------------------------------------------------------------------

ROUTES = [
    ({"robot": "arm", "severity": "critical"}, "critical"),
    ({"robot": "arm", "severity": "warning"}, "warning"),
    ({"robot": "arm", "severity": "info"}, "info"),
    ({"robot": "arm"}, "warning"),
    ({"robot": "lab-arm", "severity": "critical"}, "laboratory"),
    ({"robot": "lab-arm", "severity": "info"}, "laboratory"),
    ({"robot": "collab-arm", "severity": "critical"}, "critical"),
]


@needs_amtool
@pytest.mark.parametrize(("labels", "receiver"), ROUTES)
def test_alerts_reach_their_receiver(labels: dict[str, str], receiver: str) -> None:
    pairs = [f"{name}={value}" for name, value in labels.items()]
    run("amtool", "config", "routes", "test", f"--config.file={CONFIGURATION}", f"--verify.receivers={receiver}", *pairs)


@needs_amtool
def test_amtool_takes_the_receivers_of_the_page(tmp_path: Path) -> None:
    (given,) = blocks(PAGE, "Routes", "yaml")
    config = yaml.safe_load(CONFIGURATION.read_text())
    receivers = yaml.safe_load(given)["receivers"]
    assert [one["name"] for one in receivers] == [one["name"] for one in config["receivers"]]
    assert not [one for one in config["receivers"] if one.keys() != {"name"}]
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump({**config, "receivers": receivers}))
    run("amtool", "check-config", tmp_path / "alertmanager.yml")


def inhibit_rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(CONFIGURATION.read_text())["inhibit_rules"]
    return found


def alert_names(matchers: list[str]) -> set[str]:
    return {name for one in matchers for names in re.findall(r'^alertname=~?"([^"]*)"', one) for name in names.split("|")}


def test_what_silences_and_what_is_silenced_are_alerts_of_ours() -> None:
    for rule in inhibit_rules():
        for matchers in (rule["source_matchers"], rule["target_matchers"]):
            names = alert_names(matchers)
            assert names and names <= ALERTS.keys()
        assert {"region", "namespace", "robot"} <= set(rule["equal"])


OURS = {"robot": "arm", "region": "eu"}
JOINT = {"topic_name": "/joint_states", "joint_name": "elbow", "quantity": "position"}
SERVICE = {"service_name": "/arm/health"}
SYNCHRONIZER_DOWN = {"alertname": "DigitalTwinNodeDown", "job": "synchronization-node"}
BRIDGE_DOWN = {"alertname": "DigitalTwinNodeDown", "job": "unity-bridge-node"}
LOST = {"alertname": "TwinLost"}

# Of the first, whether it is silent while the second fires.
INHIBITIONS: list[tuple[dict[str, str], dict[str, str], bool]] = [
    ({"alertname": "RosNodeMissing", "node_name": "/synchronization_node"}, SYNCHRONIZER_DOWN, True),
    ({"alertname": "RosNodeMissing", "node_name": "/arm/unity_bridge_node"}, BRIDGE_DOWN, True),
    ({"alertname": "RosNodeMissing", "node_name": "/synchronization_node"}, BRIDGE_DOWN, False),
    ({"alertname": "RosNodeMissing", "node_name": "/lidar"}, SYNCHRONIZER_DOWN, False),
    ({"alertname": "ServiceUnavailable", "service_name": "/synchronization_node/resync"}, SYNCHRONIZER_DOWN, True),
    ({"alertname": "ServiceUnavailable", "service_name": "/synchronization_node/resync"}, BRIDGE_DOWN, False),
    ({"alertname": "ServiceUnavailable", "service_name": "/arm/health"}, SYNCHRONIZER_DOWN, False),
    ({"alertname": "TopicWithoutData", "topic_name": "/sync_joint_states"}, SYNCHRONIZER_DOWN, True),
    ({"alertname": "TopicWithoutData", "topic_name": "/joint_states"}, SYNCHRONIZER_DOWN, False),
    ({"alertname": "DigitalTwinNotMonitored"}, {**SYNCHRONIZER_DOWN, "job": "monitoring-node"}, True),
    ({"alertname": "DigitalTwinNotMonitored"}, SYNCHRONIZER_DOWN, False),
    ({"alertname": "TwinDiverged"}, LOST, True),
    ({"alertname": "TwinLagHigh"}, LOST, True),
    ({"alertname": "TopicWithoutData", "topic_name": "/arm/state", "job": "ros-metrics-exporter"}, LOST, True),
    ({"alertname": "TopicWithoutData", "topic_name": "/twin/state", "job": "synchronization-node"}, LOST, True),
    ({"alertname": "TopicStopped", "topic_name": "/arm/joint_states", "job": "monitoring-node"}, LOST, True),
    ({"alertname": "TopicWithoutData", "topic_name": "/scan", "job": "monitoring-node"}, LOST, False),
    ({"alertname": "TopicStopped", "topic_name": "/scan", "job": "monitoring-node"}, LOST, False),
    ({"alertname": "TwinDiverged", "robot": "leg"}, LOST, False),
    ({"alertname": "TwinDiverged", "region": "us"}, LOST, False),
    ({"alertname": "TwinDegraded"}, {"alertname": "TwinLagHigh"}, True),
    ({**JOINT, "alertname": "JointLimitReached"}, {**JOINT, "alertname": "JointLimitExceeded"}, True),
    ({**JOINT, "alertname": "JointLimitReached", "joint_name": "wrist"}, {**JOINT, "alertname": "JointLimitExceeded"}, False),
    ({**SERVICE, "alertname": "ServiceSlow"}, {**SERVICE, "alertname": "ServiceUnavailable"}, True),
    ({"alertname": "TopicWithoutData", "topic_name": "/odom"}, {"alertname": "TopicMismatched", "topic_name": "/odom"}, True),
]


@needs_alertmanager
def test_what_follows_from_something_else_is_silent(tmp_path: Path) -> None:
    """Each pair in a namespace of its own, so that all can be asked of one Alertmanager."""
    pairs = [
        [{**OURS, **labels, "namespace": f"case-{number}"} for labels in (target, source)]
        for number, (target, source, _) in enumerate(INHIBITIONS)
    ]
    with Alertmanager(tmp_path, CONFIGURATION.read_text()) as alertmanager:
        until = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
        alertmanager.post([{"labels": labels, "endsAt": until} for pair in pairs for labels in pair])
        # It hears of one alert after another.
        expected = [silent for _, _, silent in INHIBITIONS]
        wait_until(lambda: silences(alertmanager, pairs) == expected, "all are judged", details=lambda: told(alertmanager))


def silences(alertmanager: Alertmanager, pairs: list[list[dict[str, str]]]) -> list[bool]:
    """Of each pair, whether the first is silent."""
    silent = [one["labels"] for one in alertmanager.alerts() if one["status"]["inhibitedBy"]]
    return [target in silent for target, _ in pairs]


def told(alertmanager: Alertmanager) -> str:
    return "\n".join(f"{one['labels']} {one['status']}" for one in alertmanager.alerts())
