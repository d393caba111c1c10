"""Metrics, rules, dashboards and logs: what the chart tells Prometheus, Grafana and Fluent Bit."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart import NAMESPACE, Object, Pod, named, objects, of_kind, pod, pods, render, values_of
from grafana import dashboards
from prometheus import Prometheus
from waiting import wait_until

needs_prometheus = pytest.mark.skipif(not shutil.which("prometheus"), reason="prometheus is not installed")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")

OPERATOR_KINDS = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
METRICS_PORTS = {"metrics", "metrics-sync", "metrics-monitor", "metrics-unity"}
REGIONS = ("region-us-west-2", "region-eu-central-1")


# --- With Prometheus Operator, and without ---------------------------------------------------------------------------


def test_the_operator_scrapes_each_port_of_metrics_once() -> None:
    found = objects("operator")
    scraped: list[str] = []
    for monitor in of_kind("ServiceMonitor", found):
        (service,) = [one for one in of_kind("Service", found) if wants(monitor, one["metadata"]["labels"])]
        ports = {port["name"] for port in service["spec"]["ports"]}
        scraped += [endpoint["port"] for endpoint in monitor["spec"]["endpoints"] if endpoint["port"] in ports]
    for monitor in of_kind("PodMonitor", found):
        (one,) = [one for one in pods(found) if wants(monitor, one.labels)]
        scraped += [endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"] if one.port(endpoint["port"])]
    assert sorted(scraped) == sorted(METRICS_PORTS)
    labels = {one["metadata"]["labels"]["release"] for one in found if one["kind"] in OPERATOR_KINDS}
    assert labels == {"kube-prometheus-stack"}


def wants(monitor: Any, labels: dict[str, str]) -> bool:
    return monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_annotations_are_for_clusters_without_operator() -> None:
    def annotations(name: str) -> dict[str, str]:
        found = objects(name)
        core = next(one for one in pods(found) if one.labels["app.kubernetes.io/component"] == "core")
        given = core.template["metadata"]["annotations"]
        return {key: value for key, value in given.items() if key.startswith("prometheus.io/")}

    # The core pod has several ports: without prometheus.io/port the usual rules scrape all of them, and it has no others.
    assert annotations("kubernetes") == {"prometheus.io/scrape": "true", "prometheus.io/path": "/metrics"}
    assert annotations("operator") == {}
    core = pod("digital-twin-core-robot1", objects("kubernetes"))
    assert {port["name"] for one in core.containers for port in one["ports"]} < METRICS_PORTS
    bridge = pod("unity-bridge-robot1", objects("kubernetes")).template["metadata"]["annotations"]
    assert bridge["prometheus.io/port"] == "8003"


def test_auto_asks_the_cluster_whether_the_operator_is_there() -> None:
    def kinds(values: dict[str, Any], *apis: str) -> set[str]:
        return {one["kind"] for one in render(values, apis)}

    assert OPERATOR_KINDS <= kinds({}, "monitoring.coreos.com/v1")
    assert not OPERATOR_KINDS & kinds({}, "example.com/v1")
    assert not OPERATOR_KINDS & kinds({"monitoring": {"operator": False}}, "monitoring.coreos.com/v1")


# --- Prometheus's own files -----------------------------------------------------------------------------------------


def prometheus_files(found: Sequence[Object]) -> dict[str, str]:
    return {
        file: text
        for config in ("prometheus-config", "prometheus-rules")
        for file, text in named("ConfigMap", config, found)["data"].items()
    }


@needs_promtool
@pytest.mark.parametrize("name", ["kubernetes", *REGIONS])
def test_promtool_takes_configuration_and_rules(name: str, tmp_path: Path) -> None:
    assert_promtool_takes(prometheus_files(objects(name)), tmp_path)


@needs_promtool
def test_promtool_takes_the_jobs_of_the_cluster_and_its_alertmanagers(tmp_path: Path) -> None:
    given = {
        "enabled": True,
        "kubeStateMetrics": "kube-state-metrics.kube-system.svc:8080",
        "kubelets": {"enabled": True},
        "alertmanagers": ["alertmanager:9093"],
    }
    files = prometheus_files(render({"monitoring": {"prometheusConfig": given}}))
    config = yaml.safe_load(files["prometheus.yml"])
    assert [job["job_name"] for job in config["scrape_configs"]] == ["digital-twin", "kube-state-metrics", "kubelet"]
    assert config["alerting"]["alertmanagers"][0]["static_configs"] == [{"targets": ["alertmanager:9093"]}]
    # A kubelet without a certificate of the cluster's is not spoken with, unless that is asked for.
    assert config["scrape_configs"][2]["tls_config"] == {"ca_file": "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"}
    assert_promtool_takes(files, tmp_path)


@needs_promtool
def test_kubelets_whose_certificates_nobody_has_signed_are_scraped_where_that_is_asked_for(tmp_path: Path) -> None:
    given = {"enabled": True, "kubelets": {"enabled": True, "insecureSkipVerify": True}}
    files = prometheus_files(render({"monitoring": {"prometheusConfig": given}}))
    jobs = {job["job_name"]: job for job in yaml.safe_load(files["prometheus.yml"])["scrape_configs"]}
    assert jobs.keys() == {"digital-twin", "kubelet"}
    assert jobs["kubelet"]["tls_config"] == {"insecure_skip_verify": True}
    assert_promtool_takes(files, tmp_path)


def assert_promtool_takes(files: Mapping[str, str], directory: Path) -> None:
    rules = directory / "digital_twin_rules.yml"
    rules.write_text(files["digital_twin_rules.yml"])
    config = yaml.safe_load(files["prometheus.yml"])
    assert config["rule_files"] == [f"/etc/prometheus/rules/{rules.name}"]
    config["rule_files"] = [str(rules)]
    # Debian's Prometheus is built without Kubernetes.
    discovery = [job.pop("kubernetes_sd_configs", None) for job in config["scrape_configs"]]
    assert discovery[0] == [{"role": "pod", "namespaces": {"names": [NAMESPACE]}}]
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    run = subprocess.run(["promtool", "check", "config", "--syntax-only", file], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stdout + run.stderr
    run = subprocess.run(["promtool", "check", "rules", rules], capture_output=True, text=True, timeout=30)
    assert run.returncode == 0, run.stdout + run.stderr


@needs_prometheus
def test_prometheus_scrapes_each_node_under_its_robot(tmp_path: Path) -> None:
    """What Kubernetes tells of each port of each pod, given by hand."""
    (config,) = yaml.safe_load(prometheus_files(objects("region-us-west-2"))["prometheus.yml"])["scrape_configs"]
    found = objects("region-us-west-2")
    targets: list[dict[str, Any]] = [
        {"targets": [f"127.0.0.1:{index}"], "labels": discovered(one, container, port)}
        for one in pods(found)
        for container in one.containers
        for index, port in enumerate(container.get("ports", []), start=2)
    ]
    stranger = {
        "__meta_kubernetes_pod_label_app_kubernetes_io_name": "other",
        "__meta_kubernetes_pod_container_port_name": "metrics",
    }
    targets.append({"targets": ["127.0.0.1:1"], "labels": stranger})
    # A pod that is to be left out, and one whose metrics are elsewhere.
    annotated = {**targets[0]["labels"], "__meta_kubernetes_pod_annotation_prometheus_io_scrape": "false"}
    targets.append({"targets": ["127.0.0.1:1"], "labels": annotated})
    targets[0]["labels"]["__meta_kubernetes_pod_annotation_prometheus_io_path"] = "/elsewhere"
    with Prometheus(tmp_path, {"static_configs": targets, "relabel_configs": config["relabel_configs"]}) as prometheus:
        expected = sorted(
            (robot["name"], job, "us-west-2")
            for robot in values_of("region-us-west-2")["robots"]
            for job in ("monitoring-node", "ros-metrics-exporter", "synchronization-node", "unity-bridge-node")
        )
        wait_until(lambda: len(prometheus.query("up")) >= len(expected), "all are scraped", details=prometheus.log)
        assert "http://127.0.0.1:2/elsewhere" in prometheus.targets()
        labels = [sample["metric"] for sample in prometheus.query("up")]
        assert sorted((one["robot"], one["job"], one["region"]) for one in labels) == expected


def discovered(one: Pod, container: Object, port: Object) -> dict[str, str]:
    """The labels of kubernetes_sd for a port of a pod."""
    named_so = {f"__meta_kubernetes_pod_label_{re.sub('[^a-zA-Z0-9_]', '_', key)}": value for key, value in one.labels.items()}
    return {
        **named_so,
        "__meta_kubernetes_namespace": one.namespace,
        "__meta_kubernetes_pod_name": one.owner["metadata"]["name"],
        "__meta_kubernetes_pod_container_name": container["name"],
        "__meta_kubernetes_pod_container_port_name": port["name"],
    }


@pytest.mark.parametrize("name", REGIONS)
def test_two_regions_send_to_one_store_and_can_be_told_apart(name: str) -> None:
    region = values_of(name)["region"]
    config = yaml.safe_load(prometheus_files(objects(name))["prometheus.yml"])
    assert config["global"]["external_labels"]["region"] == region
    assert {one.labels["digital-twin/region"] for one in pods(objects(name))} == {region}
    stores = [yaml.safe_load(prometheus_files(objects(one))["prometheus.yml"])["remote_write"][0]["url"] for one in REGIONS]
    assert len(set(stores)) == 1
    robots = [robot["name"] for one in REGIONS for robot in values_of(one)["robots"]]
    assert len(set(robots)) == len(robots)


def test_rules_of_the_operator_and_of_the_file_are_the_same() -> None:
    values = values_of("kubernetes")
    (rule,) = of_kind("PrometheusRule", render({**values, "monitoring": {**values["monitoring"], "operator": True}}))
    assert rule["spec"] == yaml.safe_load(prometheus_files(objects("kubernetes"))["digital_twin_rules.yml"])


# --- Dashboards -------------------------------------------------------------------------------------------------------


def test_each_dashboard_is_where_grafanas_sidecar_looks() -> None:
    found = [one for one in of_kind("ConfigMap", objects("kubernetes")) if one["metadata"]["name"].endswith("-dashboard")]
    given = {name: json.loads(text)["uid"] for one in found for name, text in one["data"].items()}
    assert given == {one.path.name: one.content["uid"] for one in dashboards()}
    for one in found:
        assert one["metadata"]["namespace"] == "monitoring" and one["metadata"]["labels"]["grafana_dashboard"] == "1"
        # What `kubectl apply` can note of an object in an annotation.
        assert len(json.dumps(one)) < 256 * 1024
    assert not [one for one in objects("default") if one["metadata"]["name"].endswith("-dashboard")]


def test_dashboards_link_to_the_pages_of_alerts_where_they_are() -> None:
    pages = "https://docs.example/runbooks"
    found = render({"monitoring": {"dashboards": {"enabled": True}, "alerts": {"runbooks": pages}}})
    text = named("ConfigMap", "digital-twin-fleet-dashboard", found)["data"]["digital-twin-fleet.json"]
    links = [link["url"] for panel in json.loads(text)["panels"] for link in panel.get("links", ())]
    assert links and all(re.fullmatch(rf"{pages}/\w+\.md", link) for link in links)


def test_nothing_links_to_pages_of_alerts_that_are_nowhere() -> None:
    """Those that Grafana draws with the pages, without them: all else is the same."""
    given: dict[str, Any] = {"enabled": True}
    plain = dashboards_of(render({"monitoring": {"dashboards": given}}))
    linked = dashboards_of(render({"monitoring": {"dashboards": given, "alerts": {"runbooks": "https://docs.example/runbooks"}}}))
    assert plain == {file: without_pages(content) for file, content in linked.items()} != linked
    alerts = [rule for text in prometheus_files(objects("kubernetes")).values() for rule in rules_of(text) if "alert" in rule]
    assert alerts and not [rule["alert"] for rule in alerts if "runbook_url" in rule["annotations"]]


def dashboards_of(found: Sequence[Object]) -> dict[str, Any]:
    return {
        file: json.loads(text)
        for one in of_kind("ConfigMap", found)
        for file, text in one["data"].items()
        if one["metadata"]["name"].endswith("-dashboard")
    }


def without_pages(content: Any) -> Any:
    """Without the links to pages of alerts."""
    if isinstance(content, dict):
        return {key: without_pages(value) for key, value in content.items()}
    if isinstance(content, list):
        return [without_pages(one) for one in content if not (isinstance(one, dict) and "/runbooks/" in str(one.get("url")))]
    return content


def rules_of(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text).get("groups", ()) for rule in group["rules"]]


# --- Logs -----------------------------------------------------------------------------------------------------------


def fluent_bit() -> Any:
    return yaml.safe_load(named("ConfigMap", "digital-twin-log-collector", objects("operator"))["data"]["fluent-bit.yaml"])


def test_logs_go_where_they_were_told() -> None:
    outputs = {output["name"]: output for output in fluent_bit()["pipeline"]["outputs"]}
    assert (outputs["es"]["host"], outputs["es"]["http_passwd"]) == ("elasticsearch.logging.svc", "${ELASTICSEARCH_PASSWORD}")
    assert (outputs["loki"]["host"], outputs["loki"]["tenant_id"]) == ("loki.logging.svc", "robots")
    assert "http_user" not in outputs["loki"]
    # What the configuration names is in the container's environment, from a Secret.
    (container,) = pod("digital-twin-log-collector", objects("operator")).containers
    secrets = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container["env"]}
    assert secrets["ELASTICSEARCH_PASSWORD"] == {"name": "elasticsearch-credentials", "key": "password"}
    only_loki = render({"logCollector": {"enabled": True, "loki": {"host": "loki"}}})
    text = named("ConfigMap", "digital-twin-log-collector", only_loki)["data"]["fluent-bit.yaml"]
    assert [output["name"] for output in yaml.safe_load(text)["pipeline"]["outputs"]] == ["loki"]


def test_a_line_is_told_by_the_path_of_its_file() -> None:
    parser = next(one for one in fluent_bit()["parsers"] if one["name"] == "container_path")
    # Ruby's way to name a group, which is Fluent Bit's.
    expression = parser["regex"].replace("(?<", "(?P<")
    path = "/var/log/pods/digital-twin-system_digital-twin-core-arm-6d4c-x7_1b2c-3d4e/synchronization-node/0.log"
    found = re.search(expression, path)
    assert found and found.groupdict() == {
        "namespace": "digital-twin-system", "pod": "digital-twin-core-arm-6d4c-x7", "container": "synchronization-node"
    }  # fmt: skip
    inputs = fluent_bit()["pipeline"]["inputs"]
    assert [one["path"] for one in inputs] == [f"/var/log/pods/{NAMESPACE}_*/*/*.log"]


def test_the_collector_has_a_namespace_of_its_own() -> None:
    """hostPath is not for the namespace of the robots, where Pod Security is "restricted"."""
    collector = [one for one in objects("operator") if "log-collector" in one["metadata"]["name"]]
    assert collector and {one["metadata"]["namespace"] for one in collector} == {"digital-twin-logs"}
    assert not [one for one in objects("kubernetes") if one["kind"] == "DaemonSet"]
    (namespace,) = of_kind("Namespace", objects("kubernetes"))
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
