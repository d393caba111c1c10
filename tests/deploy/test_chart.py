"""What the chart renders: as Kubernetes wants it, as a careful cluster wants it, and in itself without a gap."""

import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import jsonschema
import pytest
import referencing
import yaml

from chart import (
    CHART, NAMESPACE, REPOSITORY, VALUE_SETS, Object, Pod, helm, loaded, matches, named, objects, of_kind, pod, pods, render,
    sleep_before_the_end_s, values_of,
)  # fmt: skip

kubernetes_validate = pytest.importorskip("kubernetes_validate")

KUBERNETES_VERSIONS = [f"1.{minor}" for minor in range(29, 38)]
# Custom resources of Prometheus Operator: Kubernetes itself has no schema of them.
OF_THE_OPERATOR = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}
LOG_COLLECTOR = "digital-twin-log-collector"
NAME_LENGTH_MAX = 63
CRON_JOB_NAME_LENGTH_MAX = 52

every_set = pytest.mark.parametrize("name", VALUE_SETS)


@every_set
def test_lint_finds_nothing(name: str) -> None:
    report = helm.lint(CHART, values_of(name), strict=True, namespace=NAMESPACE)
    # 1 is information: charts with an icon look better in a catalogue.
    assert [message for message in report["messages"] if message["severity"] > 1] == []
    assert report["errors"] == []


@pytest.mark.parametrize("version", KUBERNETES_VERSIONS)
def test_kubernetes_takes_every_object(version: str) -> None:
    """By the strict schemas: names that Kubernetes would pass over are errors too."""
    faults = []
    # Those since 1.30 are all one to the chart.
    rendered_for = version if version == "1.29" else ""
    for name in VALUE_SETS:
        for one in objects(name, rendered_for):
            if one["kind"] in OF_THE_OPERATOR:
                continue
            validator = validator_of(version, one["kind"], one["apiVersion"])
            faults += [f"{name}: {called(one)}: {error.json_path}: {error.message}" for error in validator.iter_errors(one)]
    assert faults == []


@cache
def definitions(folder: str, version: str) -> Any:
    schema = kubernetes_validate.utils.schema_contents(f"{folder}/_definitions.json", version)
    return referencing.Resource.from_contents(schema)


@cache
def validator_of(version: str, kind: str, api_version: str) -> jsonschema.Draft202012Validator:
    """As kubernetes_validate.validate makes it, once for all objects of a kind: it reads 2 MB for each."""
    utils = kubernetes_validate.utils
    full = next(one for one in utils.all_versions() if utils.major_minor(one) == version)
    folder = f"kubernetes-json-schema/v{full}-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    schema = utils.schema_contents(f"{folder}/{kind.lower()}-{group}.json", full)
    registry = definitions(folder, full) @ (referencing.Resource.from_contents(schema) @ referencing.Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


def called(one: Object) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


# --- Pods -----------------------------------------------------------------------------------------------------------


def is_not_root(one: Pod) -> bool:
    security = one.spec["securityContext"]
    overruled = [key for container in one.containers for key in container["securityContext"] if key.startswith("runAs")]
    return security["runAsNonRoot"] is True and security["runAsUser"] == 10001 and not overruled


def is_confined(one: Pod) -> bool:
    return one.spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"} and all(
        security.get("allowPrivilegeEscalation") is False
        and security.get("readOnlyRootFilesystem") is True
        and security.get("capabilities") == {"drop": ["ALL"]}
        and "privileged" not in security
        for security in (container["securityContext"] for container in one.containers)
    )


def has_limits(one: Pod) -> bool:
    amounts = [container["resources"][which] for container in one.containers for which in ("requests", "limits")]
    return all({"cpu", "memory"} <= amount.keys() for amount in amounts)


def has_probes(one: Pod) -> bool:
    probes = {"startupProbe", "readinessProbe", "livenessProbe"}
    return one.runs_to_an_end or all(probes <= container.keys() for container in one.spec["containers"])


def has_no_token(one: Pod) -> bool:
    return one.spec["automountServiceAccountToken"] is False and one.spec["serviceAccountName"] != "default"


def is_apart_from_its_node(one: Pod) -> bool:
    shared = [key for key in ("hostNetwork", "hostPID", "hostIPC") if one.spec.get(key)]
    host_ports = [port for container in one.containers for port in container.get("ports", []) if "hostPort" in port]
    volumes = [volume for volume in one.spec["volumes"] if "hostPath" in volume]
    if one.owner["metadata"]["name"] == LOG_COLLECTOR:
        # Logs lie on the node. It reads them and no more.
        mounts = [mount for mount in one.containers[0]["volumeMounts"] if mount["name"] == "logs"]
        assert [mount["readOnly"] for mount in mounts] == [True]
        volumes = [volume for volume in volumes if volume["hostPath"]["path"] != "/var/log/pods"]
    return not (shared or host_ports or volumes)


def has_only_volumes_that_restricted_allows(one: Pod) -> bool:
    allowed = {"configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret", "csi", "ephemeral", "downwardAPI"}
    if one.owner["metadata"]["name"] == LOG_COLLECTOR:
        allowed |= {"hostPath"}
    return all(allowed & volume.keys() for volume in one.spec["volumes"])


def has_a_limited_place_to_write(one: Pod) -> bool:
    sizes = {volume["name"]: volume["emptyDir"].get("sizeLimit") for volume in one.spec["volumes"] if "emptyDir" in volume}
    mounts = [mount for container in one.containers for mount in container["volumeMounts"] if mount["mountPath"] == "/tmp"]
    return all(sizes.values()) and len(mounts) == len(one.containers)


def ends_in_time(one: Pod) -> bool:
    # The hook's time is part of it.
    least_s = 5 + max(map(sleep_before_the_end_s, one.containers))
    return one.runs_to_an_end or least_s <= one.spec["terminationGracePeriodSeconds"] <= 60


def names_its_image_exactly(one: Pod) -> bool:
    return all(re.search(r"(:[^:/]+|@sha256:\w+)$", container["image"]) for container in one.containers) and not any(
        container["image"].endswith(":latest") for container in one.containers
    )


POLICIES = [
    is_not_root, is_confined, has_limits, has_probes, has_no_token, is_apart_from_its_node,
    has_only_volumes_that_restricted_allows, has_a_limited_place_to_write, ends_in_time, names_its_image_exactly,
]  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.__name__)
def test_every_pod(policy: Callable[[Pod], bool]) -> None:
    bad = [f"{name}: {one.name}" for name in VALUE_SETS for one in pods(objects(name)) if not policy(one)]
    assert bad == []


@every_set
def test_what_is_unique_has_one_replica_and_no_second_one_while_it_is_replaced(name: str) -> None:
    deployments = of_kind("Deployment", objects(name))
    bridges = [one for one in deployments if one["metadata"]["name"].startswith("unity-bridge-")]
    for one in deployments:
        if one not in bridges:
            assert (one["spec"]["replicas"], one["spec"]["strategy"]) == (1, {"type": "Recreate"}), called(one)
    targets = [one["spec"]["scaleTargetRef"]["name"] for one in of_kind("HorizontalPodAutoscaler", objects(name))]
    assert set(targets) <= {one["metadata"]["name"] for one in bridges}
    # Else each upgrade would take back what the autoscaler has done.
    assert all("replicas" not in named("Deployment", target, objects(name))["spec"] for target in targets)


@every_set
def test_a_drain_is_never_held_up(name: str) -> None:
    for budget in of_kind("PodDisruptionBudget", objects(name)):
        chosen = [one for one in pods(objects(name)) if matches(budget["spec"]["selector"], one.labels)]
        assert chosen, called(budget)
        assert budget["spec"]["maxUnavailable"] == 1 and "minAvailable" not in budget["spec"], called(budget)


# --- What belongs together ------------------------------------------------------------------------------------------


@every_set
def test_names_are_unique_and_have_a_namespace(name: str) -> None:
    found = objects(name)
    twice = [key for key, count in Counter((one["kind"], one["metadata"]["name"]) for one in found).items() if count > 1]
    assert twice == []
    assert [called(one) for one in found if "namespace" not in one["metadata"]] == [
        called(one) for one in found if one["kind"] in ("Namespace", "PriorityClass")
    ]


def test_names_fit_for_the_longest_name_of_a_robot() -> None:
    longest = "r" * loaded().schema["definitions"]["robotName"]["maxLength"]
    values = values_of("kubernetes")
    found = render({**values, "robots": [{**values["robots"][0], "name": longest}]})
    for one in found:
        most = CRON_JOB_NAME_LENGTH_MAX if one["kind"] == "CronJob" else NAME_LENGTH_MAX
        assert len(one["metadata"]["name"]) <= most, called(one)
    labels = [value for one in pods(found) for value in one.labels.values()]
    assert max(map(len, labels)) <= NAME_LENGTH_MAX
    ports = [port["name"] for one in pods(found) for container in one.containers for port in container.get("ports", [])]
    assert max(map(len, ports)) <= 15


@every_set
def test_controllers_select_their_own_pods_and_no_others(name: str) -> None:
    every = list(pods(objects(name)))
    for one in every:
        if not one.runs_to_an_end:
            chosen = [other.name for other in every if matches(one.owner["spec"]["selector"], other.labels)]
            assert chosen == [one.name]


@every_set
def test_services_lead_to_ports_that_there_are(name: str) -> None:
    for service in of_kind("Service", objects(name)):
        chosen = [one for one in pods(objects(name)) if matches({"matchLabels": service["spec"]["selector"]}, one.labels)]
        assert len(chosen) == 1, called(service)
        for port in service["spec"]["ports"]:
            ports = [port for container in chosen[0].containers for port in container["ports"]]
            target = next(one for one in ports if one["name"] == port["targetPort"])
            assert (target["containerPort"], target.get("protocol", "TCP")) == (port["port"], port.get("protocol", "TCP"))


@every_set
def test_probes_ask_ports_that_there_are(name: str) -> None:
    for one in pods(objects(name)):
        for container in one.containers:
            asked = [container[key] for key in container if key.endswith("Probe")]
            ports = {probe[how]["port"] for probe in asked for how in ("httpGet", "tcpSocket") if how in probe}
            assert ports <= {port["name"] for port in container.get("ports", [])}, one.name


@every_set
def test_addresses_of_services_are_of_services_that_there_are(name: str) -> None:
    """A variable that Kubernetes does not know stays as it is written, and is no address."""
    services = {one["metadata"]["name"]: one for one in of_kind("Service", objects(name))}
    # Kubernetes gives none for those without an address.
    with_address = [service for service, one in services.items() if one["spec"].get("clusterIP") != "None"]
    known = {f"{service.upper().replace('-', '_')}_SERVICE_HOST" for service in with_address}
    for one in pods(objects(name)):
        asked = set(re.findall(r"\$\((\w+)\)", yaml.safe_dump(one.spec)))
        assert asked <= known, one.name
        assert not asked or one.spec["enableServiceLinks"] is True, one.name


@every_set
def test_a_discovery_server_tells_the_address_that_outlives_it(name: str) -> None:
    servers = [one for one in pods(objects(name)) if one.labels["app.kubernetes.io/component"] == "discovery"]
    assert servers
    for one in servers:
        service = one.owner["metadata"]["name"].upper().replace("-", "_")
        assert one.containers[0]["args"] == [
            "-i", one.labels["digital-twin/server"], "-l", f"$({service}_SERVICE_HOST)", "-p", "11811"
        ]  # fmt: skip


@pytest.mark.parametrize(("version", "sleeps_s"), [("1.29.9", 0), ("1.30.2-gke.1", 20), ("1.37.0", 20)])
def test_the_second_discovery_server_stays_while_the_first_is_replaced(version: str, sleeps_s: int) -> None:
    """Kubernetes 1.29 has no such hook unless it is switched on."""
    servers = [pod(f"digital-twin-discovery-robot1-{server}", render({}, kubernetes=version)) for server in (0, 1)]
    assert [sleep_before_the_end_s(one.containers[0]) for one in servers] == [0, sleeps_s]
    assert [one.spec["terminationGracePeriodSeconds"] for one in servers] == [5, 5 + sleeps_s]


def test_unity_speaks_tls_with_a_certificate_of_the_users() -> None:
    found = render({"robots": [{"name": "a", "unityBridge": {"tlsSecretName": "unity-tls"}}]})
    bridge = pod("unity-bridge-a", found)
    assert {"secret": {"secretName": "unity-tls", "defaultMode": 0o440}, "name": "tls"} in bridge.spec["volumes"]
    (mount,) = [mount for mount in bridge.containers[0]["volumeMounts"] if mount["name"] == "tls"]
    text = named("ConfigMap", "digital-twin-config-a", found)["data"]["unity_bridge_node.yaml"]
    parameters = yaml.safe_load(text)["/**/unity_bridge_node"]["ros__parameters"]
    assert parameters["tls_certificate"] == f"{mount['mountPath']}/tls.crt"
    assert parameters["tls_key"] == f"{mount['mountPath']}/tls.key"


# Secrets are the user's, never the chart's.
KINDS_REFERRED_TO = {"configMap": "ConfigMap", "persistentVolumeClaim": "PersistentVolumeClaim"}


@every_set
def test_what_pods_refer_to_is_there(name: str) -> None:
    found = objects(name)
    there = {(one["kind"], one["metadata"]["name"], one["metadata"].get("namespace")) for one in found}
    for one in pods(found):
        wanted = {("ServiceAccount", one.spec["serviceAccountName"], one.namespace)}
        for volume in one.spec["volumes"]:
            for key in KINDS_REFERRED_TO.keys() & volume.keys():
                source = volume[key]
                wanted.add((KINDS_REFERRED_TO[key], source.get("name") or source["claimName"], one.namespace))
        for container in one.containers:
            sources = [source["configMapRef"]["name"] for source in container.get("envFrom", [])]
            wanted |= {("ConfigMap", source, one.namespace) for source in sources}
        assert wanted <= there, one.name
        mounted = {mount["name"] for container in one.containers for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in one.spec["volumes"]}, one.name
    if classes := of_kind("PriorityClass", found):
        assert {one.spec.get("priorityClassName") for one in pods(found)} == {one["metadata"]["name"] for one in classes}


@every_set
def test_no_secret_is_made(name: str) -> None:
    assert of_kind("Secret", objects(name)) == []


def test_the_role_is_for_looking_and_no_more() -> None:
    (role,) = of_kind("Role", objects("kubernetes"))
    assert {(*rule["resources"], *rule["verbs"]) for rule in role["rules"]} == {
        ("pods", "get", "list"), ("pods/portforward", "get", "create")
    }  # fmt: skip
    (binding,) = of_kind("RoleBinding", objects("kubernetes"))
    accounts = [subject["name"] for subject in binding["subjects"]]
    # Of no pod.
    assert not set(accounts) & {one.spec["serviceAccountName"] for one in pods(objects("kubernetes"))}
    assert of_kind("Role", objects("default")) == []


# --- One thing at a time ---------------------------------------------------------------------------------------------


def test_the_simulator_has_the_gpu_and_nobody_else() -> None:
    for one in pods(objects("kubernetes")):
        limits = [container["resources"]["limits"] for container in one.containers]
        has_gpu = any("nvidia.com/gpu" in limit for limit in limits)
        assert has_gpu == (one.owner["metadata"]["name"] == "digital-twin-simulation-robot1"), one.name
    simulator = pod("digital-twin-simulation-robot1", objects("kubernetes"))
    assert simulator.spec["runtimeClassName"] == "nvidia"
    assert simulator.spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_without_a_gpu_gazebo_draws_with_the_processor() -> None:
    found = render({"robots": [{"name": "a", "simulator": {"gpu": {"enabled": False}}}]})
    simulator = pod("digital-twin-simulation-a", found)
    assert "gpu:=false" in simulator.containers[0]["args"]
    assert not {"runtimeClassName", "tolerations", "nodeSelector"} & simulator.spec.keys()
    assert set(simulator.containers[0]["resources"]["limits"]) == {"cpu", "memory"}


def test_falsehood_and_zero_go_before_the_defaults() -> None:
    values = {
        "robotDefaults": {"useSimTime": True, "domainId": 5},
        "robots": [{"name": "a", "useSimTime": False, "domainId": 0, "unityBridge": {"enabled": False}}],
    }
    found = render(values)
    assert named("ConfigMap", "ros-config-a", found)["data"]["ROS_DOMAIN_ID"] == "0"
    assert "use_sim_time: false" in named("ConfigMap", "digital-twin-config-a", found)["data"]["monitoring_node.yaml"]
    assert "unity_bridge_node.yaml" not in named("ConfigMap", "digital-twin-config-a", found)["data"]
    assert not any(one["metadata"]["name"] == "unity-bridge-a" for one in found)


def test_a_robot_keeps_what_it_does_not_say_itself() -> None:
    values = {
        "robotDefaults": {"exporter": {"parameters": {"stale_after": 2}}},
        "robots": [{"name": "a", "exporter": {"parameters": {"max_joints": 7}}}],
    }
    text = named("ConfigMap", "digital-twin-config-a", render(values))["data"]["ros_metrics_exporter.yaml"]
    assert "stale_after: 2" in text and "max_joints: 7" in text


def test_other_parameters_roll_the_pods_that_read_them_and_no_others() -> None:
    def templates(**robot: object) -> dict[str, Object]:
        found = render({"robots": [{"name": "a", "simulator": {"type": "physics"}, **robot}]})
        return {one.owner["metadata"]["name"]: one.template for one in pods(found)}

    def rolled(**robot: object) -> set[str]:
        before, after = templates(), templates(**robot)
        return {name for name in before if before[name] != after[name]}

    assert rolled() == set()
    assert rolled(exporter={"parameters": {"stale_after": 1}}) == {"digital-twin-core-a"}
    assert rolled(unityBridge={"parameters": {"max_clients": 1}}) == {"unity-bridge-a"}
    assert rolled(domainId=9) == {"digital-twin-core-a", "unity-bridge-a", "digital-twin-simulation-a"}


def test_a_load_balancer_is_there_only_where_it_is_asked_for() -> None:
    def open_to_outside(name: str) -> set[str]:
        services = of_kind("Service", objects(name))
        return {one["metadata"]["name"] for one in services if one["spec"].get("type", "ClusterIP") != "ClusterIP"}

    assert open_to_outside("kubernetes") == set()
    assert open_to_outside("gke") == {"unity-bridge-robot1"}
    service = named("Service", "unity-bridge-robot1", objects("gke"))["spec"]
    assert (service["loadBalancerSourceRanges"], service["externalTrafficPolicy"]) == (["10.0.0.0/16"], "Local")
    assert [port["port"] for port in service["ports"]] == [10000]


def test_the_autoscaler_behaves_as_it_was_designed() -> None:
    (autoscaler,) = of_kind("HorizontalPodAutoscaler", objects("kubernetes"))
    spec = autoscaler["spec"]
    assert (autoscaler["metadata"]["name"], spec["minReplicas"], spec["maxReplicas"]) == ("digital-twin-hpa-robot1", 1, 5)
    wanted = {one["resource"]["name"]: one["resource"]["target"]["averageUtilization"] for one in spec["metrics"]}
    assert wanted == {"cpu": 70, "memory": 80}
    steps = {way: (rule["stabilizationWindowSeconds"], rule["policies"]) for way, rule in spec["behavior"].items()}
    assert steps == {
        "scaleDown": (300, [{"type": "Percent", "value": 10, "periodSeconds": 60}]),
        "scaleUp": (60, [{"type": "Percent", "value": 50, "periodSeconds": 60}]),
    }


def test_all_that_uses_a_volume_of_one_node_is_on_one_node() -> None:
    recorder = pod("digital-twin-recorder-robot1", objects("kubernetes"))
    (term,) = recorder.spec["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert matches(term["labelSelector"], recorder.labels)
    assert "affinity" not in pod("digital-twin-recorder-robot1", objects("eks")).spec


def test_a_region_is_where_pods_run() -> None:
    for one in pods(objects("eks-in-a-region")):
        assert one.spec["nodeSelector"]["topology.kubernetes.io/region"] == "eu-central-1", one.name
    simulator = pod("digital-twin-simulation-eu-robot1", objects("eks-in-a-region"))
    assert "karpenter.k8s.aws/instance-gpu-manufacturer" in simulator.spec["nodeSelector"]


def test_the_files_of_parameters_are_those_of_the_package() -> None:
    """The parameters that the nodes come with lie in the image where the package is installed."""
    for one in pods(objects("kubernetes")):
        for container in one.containers:
            files = [word for word in container.get("args", []) if word.startswith("/opt/digital_twin_simulation/share/")]
            for file in files:
                inside = file.removeprefix("/opt/digital_twin_simulation/share/digital_twin_simulation/")
                assert (REPOSITORY / inside).is_file(), file
