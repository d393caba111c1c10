"""A real Prometheus scrapes what docker/compose.yaml starts and is asked what dashboards and rules ask it: each has data."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from domain import reserved_domain_id
from grafana import LABEL_VALUES, Dashboard, Expression, dashboards, substituted
from monitor import install_mock_nvml
from program import REPOSITORY
from prometheus import Prometheus, needs_prometheus
from rules import groups, metrics_of, rules, selectors_of
from running_demo import running_demo
from waiting import wait_until

pytestmark = needs_prometheus

FEDERATION = REPOSITORY / "deploy" / "monitoring" / "prometheus" / "federation.yml"

SCRAPE_INTERVAL = "1s"
# What Grafana puts in the place of $__rate_interval: four times the time between scrapes.
RATE_INTERVAL = "4s"
# Statistics have windows of 5 s, and the machine may be busy.
TIMEOUT_S = 90.0

# The labels that what is scraped has in compose and on one host, where nothing is in a region, and in Kubernetes.
ROBOTS: Mapping[str, Mapping[str, str]] = {
    "compose": {"robot": "robot"},
    "kubernetes": {"robot": "robot1", "region": "eu-central-1", "namespace": "digital-twin-system", "pod": "core-robot1"},
}
# Where nobody answers.
NO_NODE = ("ros-metrics-exporter", "127.0.0.1:1")
# What is chosen on a dashboard: nothing, and one robot of each kind.
CHOICES = {
    "all": {"region": ".*", "robot": ".*"},
    "without regions": {"region": ".*", "robot": "robot"},
    "in a region": {"region": "eu-central-1", "robot": "robot1"},
}
NOTHING_ELSE = {"topic": ".*", "joint": ".*", "node": ".*", "__rate_interval": RATE_INTERVAL}

# Metrics that nobody tells of here, and why.
NOT_HERE = {
    "node_filesystem_avail_bytes": "node_exporter tells it, on a host without a cluster",
    "node_filesystem_size_bytes": "as above",
    "kube_cronjob_status_last_successful_time": "kube-state-metrics tells it, in a cluster",
    "kube_cronjob_created": "as above",
    "kubelet_volume_stats_available_bytes": "a kubelet tells it, in a cluster",
    "kubelet_volume_stats_capacity_bytes": "as above",
    "digital_twin:target:expected": "the chart records it, of the robots in its values",
    "ros_twin_forwarded_commands_refused_total": "there with forward_commands, and compose commands the twin itself",
}

each_dashboard = pytest.mark.parametrize("dashboard", dashboards(), ids=lambda dashboard: dashboard.path.stem)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It scrapes each node once for each of ROBOTS, and a node of each that does not answer: that is an alert."""
    directory = tmp_path_factory.mktemp("demo")
    with reserved_domain_id() as domain_id, pytest.MonkeyPatch.context() as monkeypatch:
        install_mock_nvml(directory, monkeypatch)
        with running_demo(domain_id, directory) as nodes:
            addresses = [(job, str(node.address)) for job, node in nodes.items()]
            targets = [
                {"targets": [address], "labels": {"job": job, **labels}}
                for labels in ROBOTS.values()
                for job, address in [*addresses, NO_NODE]
            ]
            rules_at_once = json.dumps({"groups": at_once()})
            with Prometheus(directory, {"static_configs": targets}, rules_at_once, interval=SCRAPE_INTERVAL) as server:
                yield server


@pytest.fixture(scope="module")
def central(prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It takes from the other what federation.yml says, and nothing else."""
    (job,) = yaml.safe_load(FEDERATION.read_text())["scrape_configs"]
    for of_its_address in ("scheme", "basic_auth"):
        del job[of_its_address]
    job["static_configs"] = [{"targets": [str(prometheus.address)]}]
    directory = tmp_path_factory.mktemp("central")
    with Prometheus(directory, interval=SCRAPE_INTERVAL, jobs={job.pop("job_name"): job}) as server:
        yield server


def at_once() -> list[dict[str, Any]]:
    """The groups of rules, with alerts that fire as soon as they have a reason."""
    return [
        {"name": group["name"], "rules": [{key: rule[key] for key in rule if key != "for"} for rule in group["rules"]]}
        for group in groups()
    ]


def has_data(prometheus: Prometheus, expression: Expression, values: Mapping[str, str]) -> bool:
    """Whether a panel would show something, once variables have these values."""
    text = substituted(expression.text, {**NOTHING_ELSE, **values})
    if expression.is_instant:
        return any(is_number(sample["value"][1]) for sample in prometheus.query(text))
    return any(is_number(value) for series in prometheus.query_range(text, 10.0, "1s") for _, value in series["values"])


def is_number(value: str) -> bool:
    """NaN is what a quantile is of nothing."""
    return not math.isnan(float(value))


def is_not_here(expression: str) -> bool:
    return bool(metrics_of(expression) & NOT_HERE.keys())


@each_dashboard
@pytest.mark.parametrize("choice", CHOICES)
def test_every_panel_has_data(prometheus: Prometheus, dashboard: Dashboard, choice: str) -> None:
    wait_for_data(prometheus, dashboard, choice)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_prometheus_of_several_regions_has_what_the_fleet_asks_for(central: Prometheus, choice: str) -> None:
    (fleet,) = (dashboard for dashboard in dashboards() if dashboard.path.stem == "digital-twin-fleet")
    wait_for_data(central, fleet, choice)
    assert not central.query("ros_topic_status"), "it has only what it asks for"


def wait_for_data(prometheus: Prometheus, dashboard: Dashboard, choice: str) -> None:
    left = [expression for expression in dashboard.expressions() if not is_not_here(expression.text)]

    def all_have() -> bool:
        left[:] = [expression for expression in left if not has_data(prometheus, expression, CHOICES[choice])]
        return not left

    wait_until(
        all_have,
        "every expression of the dashboard has data",
        timeout_s=TIMEOUT_S,
        details=lambda: "\n".join(f"{expression.panel}: {expression.text}" for expression in left),
    )


@each_dashboard
def test_every_variable_has_values_to_choose_from(prometheus: Prometheus, dashboard: Dashboard) -> None:
    for variable in dashboard.variables:
        question = LABEL_VALUES.fullmatch(variable["definition"])
        assert question, variable
        for name, choice in CHOICES.items():
            series = substituted(question["series"], {**NOTHING_ELSE, **choice})
            values = prometheus.label_values(question["label"], series)
            of_no_region = name == "without regions" and variable["name"] == "region"
            assert values or of_no_region, (variable["name"], name)
    robots = prometheus.label_values("robot", "up")
    assert robots == sorted(labels["robot"] for labels in ROBOTS.values())


@pytest.mark.parametrize("rule", list(rules()), ids=lambda rule: rule.get("alert") or rule.get("record"))
def test_every_rule_asks_for_what_there_is(prometheus: Prometheus, rule: Mapping[str, Any]) -> None:
    """What is recorded has data. An alert need not have a reason here: each series that it asks for, taken alone, has data."""
    prometheus.query(rule["expr"])
    asked = [rule["record"]] if "record" in rule else list(selectors_of(rule["expr"]))
    assert asked
    left = [one for one in asked if not is_not_here(rule["expr"] if "record" in rule else one)]
    wait_until(
        lambda: all(prometheus.query(one) for one in left),
        f"data of {left}",
        timeout_s=TIMEOUT_S,
        details=lambda: "\n".join(one for one in left if not prometheus.query(one)),
    )


@pytest.mark.parametrize("metric", NOT_HERE)
def test_what_is_left_out_is_asked_for_and_is_not_here(prometheus: Prometheus, metric: str) -> None:
    asked = [expression.text for dashboard in dashboards() for expression in dashboard.expressions()]
    asked += [rule["expr"] for rule in rules()]
    assert any(metric in metrics_of(expression) for expression in asked), "nobody asks for it any more"
    assert not prometheus.query(metric), "it is here now"
