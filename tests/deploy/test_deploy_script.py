"""scripts/deploy.sh: looks before it changes anything, tells all faults at once, and leaves data alone.

Helm is a mock, since PyPI has it as a library only. kubectl is one too, but where there is a real one: that speaks to a mock of
the API server, so that what it is asked is known to be what it takes.
"""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from documented import table
from mock_kubernetes import MockKubernetes, node
from program import EXIT_USAGE, REPOSITORY
from waiting import TIMEOUT_S

SCRIPT = REPOSITORY / "scripts" / "deploy.sh"
MOCK = Path(__file__).with_name("mock_tool.sh")

needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")

CONFIG_MAP = """---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  namespace: digital-twin-system
"""
OF_OTHER_PLACES = """---
apiVersion: v1
kind: ConfigMap
metadata:
  name: prometheus-config
  namespace: "monitoring"
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata:
  name: digital-twin-robot
"""
GAZEBO = """---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: gazebo
  namespace: digital-twin-system
spec:
  template:
    spec:
      runtimeClassName: nvidia
      containers:
        - resources:
            limits:
              nvidia.com/gpu: 1
"""
CLAIM = """---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
  namespace: digital-twin-system
spec:
  resources: {}
"""
CLAIM_OF_A_CLASS = f'{CLAIM}  storageClassName: "fast"\n'

Answer = tuple[str, int, str]

# What the tools say where all is well and nothing is deployed yet.
WELL: Sequence[Answer] = (
    ("helm version", 0, "v3.14.2"),
    ("helm .* template ", 0, CONFIG_MAP),
    (r"kubectl .*\bversion", 0, "Client Version: v1.32.4\nKustomize Version: v5\nServer Version: v1.31.2\n"),
    ("kubectl .*api-resources", 0, "bindings v1 true Binding\ndeployments deploy apps/v1 true Deployment\n"),
    (
        "kubectl .*get services",
        0,
        "bridge|LoadBalancer|10.0.0.7|ros-tcp:10000/TCP metrics:8003/TCP \ncore|ClusterIP||m:8000/TCP \n",
    ),
)


@dataclass(frozen=True)
class Deployed:
    """What the script did."""

    exit_code: int
    stdout: str
    stderr: str
    asked: Sequence[tuple[str, str]]

    @property
    def changes(self) -> list[str]:
        """The commands that change something, without what says which cluster."""
        commands = [re.sub(r" --(request-timeout|namespace)[= ]\S+", "", command) for command, _ in self.asked]
        return [command for command in commands if re.search("upgrade|uninstall|create --filename|delete|apply", command)]

    @property
    def faults(self) -> list[str]:
        return [line for line in self.stderr.splitlines() if line.startswith("error: ")]


class Deploy:
    """The script and its tools."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: list[Answer] = []
        self.path = folder / "bin"
        self.path.mkdir()
        for tool in ("awk", "bash", "cat", "dirname", "env", "paste", "sed", "sort"):
            (self.path / tool).symlink_to(shutil.which(tool) or tool)
        for tool in ("kubectl", "helm", "health_check"):
            (self.path / tool).symlink_to(MOCK)
        # In a repository of its own, with nothing built.
        self.script = folder / "scripts" / SCRIPT.name
        self.script.parent.mkdir()
        shutil.copy(SCRIPT, self.script)
        self.chart = folder / "deploy" / "helm" / "digital-twin"
        self.chart.mkdir(parents=True)

    def __call__(self, *arguments: str) -> Deployed:
        log = self.folder / "log"
        log.write_text("")
        self._write_answers()
        ended = subprocess.run(
            [self.script, *arguments],
            env={"PATH": str(self.path), "HOME": str(self.folder), "MOCK_TOOL": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
        logged = log.read_text().split("\0")
        asked = list(zip(logged[0:-1:2], logged[1::2], strict=True))
        return Deployed(ended.returncode, ended.stdout, ended.stderr, asked)

    def _write_answers(self) -> None:
        lines = []
        for number, (pattern, exit_code, output) in enumerate([*self.answers, *WELL]):
            (self.folder / f"answer{number}").write_text(output)
            lines.append(f"{pattern}\t{exit_code}\tanswer{number}\n")
        (self.folder / "answers").write_text("".join(lines))


@pytest.fixture
def deploy(tmp_path: Path) -> Deploy:
    return Deploy(tmp_path)


def test_a_first_deployment(deploy: Deploy) -> None:
    values = deploy.folder / "my values.yaml"
    values.touch()
    done = deploy("--values", str(values), "--set=images.tag=1", "--context=there", "--timeout=90s")
    assert done.exit_code == 0, done.stderr
    create, upgrade = done.changes
    assert create == "kubectl --context=there create --filename=-"
    (namespace,) = [given for _, given in done.asked if given]
    assert "name: digital-twin-system" in namespace
    assert "pod-security.kubernetes.io/enforce: restricted" in namespace
    assert upgrade == (
        f"helm --kube-context=there upgrade --install digital-twin {deploy.chart} --values={values} --set=images.tag=1"
        " --atomic --wait --timeout 90s"
    )
    last, _ = done.asked[-1]
    assert last == "health_check --context=there --namespace digital-twin-system --release digital-twin --wait 60"
    assert [line.split() for line in done.stdout.partition("endpoints:\n")[2].splitlines()] == [
        ["bridge", "LoadBalancer", "ros-tcp:10000/TCP", "10.0.0.7"],
        ["bridge", "LoadBalancer", "metrics:8003/TCP", "10.0.0.7"],
        ["core", "ClusterIP", "m:8000/TCP", "core.digital-twin-system.svc"],
    ]


def test_the_chart_is_rendered_for_what_the_cluster_has(deploy: Deploy) -> None:
    (rendered,) = [command for command, _ in deploy("--dry-run").asked if " template " in command]
    assert rendered.endswith("--kube-version 1.31.0 --api-versions apps/v1,apps/v1/Deployment,v1,v1/Binding")


def test_helm_4_rolls_back_by_another_name(deploy: Deploy) -> None:
    deploy.answers = [("helm version", 0, "v4.2.3")]
    upgrade = deploy().changes[-1]
    assert "--rollback-on-failure" in upgrade
    assert "--atomic" not in upgrade


def test_a_namespace_that_is_there_stays_as_it_is(deploy: Deploy) -> None:
    deploy.answers = [(r"kubectl .*get namespace \S+ --output=name", 0, "namespace/digital-twin-system")]
    done = deploy()
    assert done.exit_code == 0
    assert len(done.changes) == 1
    assert "note: the namespace digital-twin-system does not enforce Pod Security 'restricted'" in done.stderr
    deploy.answers.append((r"kubectl .*get namespace \S+ --output=jsonpath", 0, "restricted"))
    assert "note:" not in deploy().stderr


def test_tools_that_are_missing_or_old_are_told_together(deploy: Deploy) -> None:
    (deploy.path / "kubectl").unlink()
    deploy.answers = [("helm version", 0, "v3.13.9")]
    done = deploy()
    assert done.exit_code == 1
    assert [fault.split()[1] for fault in done.faults] == ["kubectl", "helm"]
    assert "3.14 or newer" in done.faults[1]
    (deploy.path / "helm").unlink()
    assert [fault.split()[1] for fault in deploy("--force").faults] == ["kubectl", "helm"]


def test_a_cluster_that_does_not_answer_has_one_line(deploy: Deploy) -> None:
    deploy.answers = [(r"kubectl .*\bversion", 1, "Client Version: v1\nThe connection to the server x was refused\n")]
    done = deploy()
    assert done.exit_code == 1
    assert done.stderr == "error: the cluster does not answer: The connection to the server x was refused\n"


UNFIT: Sequence[Answer] = (
    (r"kubectl .*\bversion", 0, "Server Version: v1.28.9\n"),
    ("helm .* template ", 0, CONFIG_MAP + GAZEBO + CLAIM + CLAIM_OF_A_CLASS),
    ("kubectl .*auth can-i create deployment.apps ", 1, ""),
    ("kubectl .*auth can-i patch secret ", 1, ""),
    ("kubectl .*auth can-i create namespace ", 1, ""),
    ("kubectl .*get runtimeclass nvidia", 1, "not found"),
    ("kubectl .*get storageclass fast", 1, "not found"),
)
WHAT_IS_UNFIT = [
    "Kubernetes is 1.28",
    "there is no namespace digital-twin-system, and making it is not allowed",
    "not allowed: patch secret",
    "not allowed: create deployment.apps",
    "Gazebo asks for a GPU and no node offers nvidia.com/gpu",
    "there is no RuntimeClass nvidia",
    "there is no StorageClass fast",
    "a claim names no StorageClass",
]


def test_all_faults_of_a_cluster_are_told_and_nothing_is_changed(deploy: Deploy) -> None:
    deploy.answers = [*UNFIT]
    done = deploy()
    assert done.exit_code == 1
    assert done.changes == []
    told = [fault.removeprefix("error: ") for fault in done.faults]
    assert len(told) == len(WHAT_IS_UNFIT), told
    assert all(line.startswith(expected) for line, expected in zip(told, WHAT_IS_UNFIT, strict=True)), told


def test_force_goes_on_in_spite_of_them(deploy: Deploy) -> None:
    deploy.answers = [*UNFIT]
    done = deploy("--force")
    assert done.exit_code == 0
    assert done.stderr.count("warning: ") == len(WHAT_IS_UNFIT)
    assert "upgrade" in done.changes[-1]


def test_what_is_there_is_no_fault(deploy: Deploy) -> None:
    deploy.answers = [
        ("helm .* template ", 0, GAZEBO + CLAIM + CLAIM_OF_A_CLASS),
        ("kubectl .*get nodes --output=jsonpath", 0, "1 "),
        ("kubectl .*get storageclass --output=jsonpath", 0, "false true"),
        ("kubectl .*get (runtimeclass|storageclass) ", 0, "its name"),
    ]
    done = deploy()
    assert (done.exit_code, done.stderr) == (0, "")


def test_rights_are_asked_where_each_object_will_be(deploy: Deploy) -> None:
    deploy.answers = [
        ("helm .* template ", 0, CONFIG_MAP + OF_OTHER_PLACES),
        ("kubectl .*get namespace monitoring ", 0, "namespace/monitoring"),
        ("kubectl .*auth can-i create configmap --namespace=monitoring ", 1, ""),
        # Who may all within a namespace may not make what is in none.
        ("kubectl .*auth can-i patch priorityclass.scheduling.k8s.io --all-namespaces ", 1, ""),
    ]
    assert [fault.partition(" (")[0] for fault in deploy().faults] == [
        "error: not allowed: create configmap in monitoring",
        "error: not allowed: patch priorityclass.scheduling.k8s.io in the cluster",
    ]


def test_who_may_not_list_nodes_is_told_of_the_others(deploy: Deploy) -> None:
    deploy.answers = [("kubectl .*auth can-i list nodes --all-namespaces ", 1, "")]
    done = deploy()
    assert done.exit_code == 0, done.stderr
    last, _ = done.asked[-1]
    assert last == "health_check --namespace digital-twin-system --release digital-twin --skip nodes --wait 60"
    assert "note: not allowed to list nodes: health_check leaves them out" in done.stderr


def test_what_health_check_needs_is_asked_before_anything_is_changed(deploy: Deploy) -> None:
    where = "--namespace=digital-twin-system"
    deploy.answers = [
        (f"kubectl .*auth can-i list pods {where} --quiet", 1, ""),
        (f"kubectl .*auth can-i (get|create) pods {where} --subresource=portforward ", 1, ""),
    ]
    done = deploy()
    assert (done.exit_code, done.changes) == (1, [])
    assert [fault.partition(" (")[0] for fault in done.faults] == [
        "error: not allowed: list pods in digital-twin-system",
        "error: not allowed: get pods/portforward in digital-twin-system",
        "error: not allowed: create pods/portforward in digital-twin-system",
    ]
    assert all("--no-health-check" in fault for fault in done.faults)
    assert deploy("--no-health-check").exit_code == 0
    (deploy.path / "health_check").unlink()
    assert deploy().exit_code == 0


def test_a_namespace_of_others_has_to_be_there(deploy: Deploy) -> None:
    deploy.answers = [("helm .* template ", 0, CONFIG_MAP + OF_OTHER_PLACES)]
    done = deploy()
    assert (done.exit_code, done.changes) == (1, [])
    assert [fault.partition(",")[0] for fault in done.faults] == ["error: there is no namespace monitoring"]


def test_a_claim_that_names_its_class_needs_no_default_one(deploy: Deploy) -> None:
    deploy.answers = [
        ("helm .* template ", 0, CLAIM_OF_A_CLASS),
        ("kubectl .*get storageclass fast", 0, "its name"),
    ]
    done = deploy()
    assert (done.exit_code, done.stderr) == (0, "")


def test_what_may_not_be_looked_at_is_no_fault(deploy: Deploy) -> None:
    deploy.answers = [
        ("helm .* template ", 0, GAZEBO + CLAIM + CLAIM_OF_A_CLASS),
        ("kubectl .*get (nodes|runtimeclass|storageclass)", 1, "Error from server (Forbidden): nodes is forbidden"),
    ]
    done = deploy()
    assert done.exit_code == 0, done.stderr
    assert done.stderr.count("warning: not allowed to look at any ") == 4


def test_values_that_the_chart_refuses_are_told_before_anything_is_changed(deploy: Deploy) -> None:
    deploy.answers = [("helm .* template ", 1, "Error: values don't meet the specifications of the schema\n")]
    done = deploy()
    assert done.exit_code == 1
    assert done.changes == []
    assert "schema" in done.stderr


def test_a_deployment_that_fails_is_told(deploy: Deploy) -> None:
    deploy.answers = [("helm .*upgrade", 1, "Error: context deadline exceeded\n")]
    done = deploy()
    assert done.exit_code == 1
    assert done.faults[0].startswith("error: not deployed, and rolled back: kubectl get events")
    assert not any(command.startswith("health_check") for command, _ in done.asked)


def test_one_that_is_not_healthy_is_told(deploy: Deploy) -> None:
    deploy.answers = [("health_check", 1, "")]
    done = deploy()
    assert done.exit_code == 1
    assert done.faults == ["error: deployed, and not healthy: the lines above say why"]


def test_nobody_asks_after_the_health_where_that_is_not_wanted(deploy: Deploy) -> None:
    deploy.answers = [("health_check", 1, "")]
    assert deploy("--no-health-check").exit_code == 0


def test_health_check_is_taken_from_where_it_is_built(deploy: Deploy) -> None:
    built = deploy.folder / "target" / "release"
    built.mkdir(parents=True)
    (deploy.path / "health_check").rename(built / "health_check")
    assert deploy().asked[-1][0].startswith("health_check ")
    (built / "health_check").unlink()
    done = deploy()
    assert (done.exit_code, done.stderr) == (0, "note: health_check is not here: 'make build' makes it\n")


def test_a_dry_run_changes_nothing(deploy: Deploy) -> None:
    done = deploy("--dry-run")
    assert done.exit_code == 0
    assert done.changes == ["kubectl apply --dry-run=client --validate=strict --filename=-"]
    assert "is not there yet" in done.stderr
    assert [given for _, given in done.asked if given] == [CONFIG_MAP]
    deploy.answers = [(r"kubectl .*get namespace \S+ --output=name", 0, "namespace/digital-twin-system")]
    assert deploy("--dry-run").changes == ["kubectl apply --dry-run=server --validate=strict --filename=-"]
    deploy.answers.append(("kubectl .*apply", 1, "denied the request\n"))
    done = deploy("--dry-run")
    assert (done.exit_code, done.faults) == (1, ["error: the cluster would not take it"])


def test_data_outlives_the_release(deploy: Deploy) -> None:
    deploy.answers = [("kubectl .*get persistentvolumeclaims", 0, "persistentvolumeclaim/data\n")]
    done = deploy("--uninstall", "--release=other")
    assert done.exit_code == 0
    assert done.changes == ["helm uninstall other --ignore-not-found --wait --timeout 10m"]
    assert "kept: the data" in done.stdout


def test_data_is_deleted_when_it_is_asked_for(deploy: Deploy) -> None:
    done = deploy("--uninstall", "--delete-data", "--release=other")
    assert done.exit_code == 0
    assert done.changes[1] == (
        "kubectl delete persistentvolumeclaims --selector app.kubernetes.io/instance=other --ignore-not-found"
    )
    deploy.answers = [("helm .*uninstall", 1, "Error: timed out\n")]
    failed = deploy("--uninstall", "--delete-data")
    assert (failed.exit_code, len(failed.changes)) == (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--bad"],
        ["--bad=1"],
        ["release"],
        ["--release"],
        ["--release="],
        ["--release=Big"],
        [f"--release={'a' * 54}"],
        ["--namespace=a_b"],
        ["--timeout=5"],
        ["--values=/none"],
        ["--chart=/none"],
        ["--delete-data"],
        ["--dry-run", "--uninstall"],
    ],
)
def test_bad_usage(deploy: Deploy, arguments: list[str]) -> None:
    done = deploy(*arguments)
    assert done.exit_code == EXIT_USAGE
    assert done.asked == []
    assert done.stderr.startswith("error: ")


def test_every_option_is_documented(deploy: Deploy) -> None:
    helped = set(re.findall(r"^  (--[\w-]+)", deploy("--help").stdout, re.MULTILINE))
    rows = table(REPOSITORY / "docs" / "deploying.md", "option", "default", "meaning")
    assert {option for row in rows for option in re.findall(r"--[\w-]+", row[0])} == helped


# With a real kubectl


@pytest.fixture
def real(deploy: Deploy) -> Deploy:
    """The same with the kubectl of this machine."""
    (deploy.path / "kubectl").unlink()
    (deploy.path / "kubectl").symlink_to(shutil.which("kubectl") or "kubectl")
    return deploy


def service(name: str, kind: str, address: str | None, *ports: tuple[str, int]) -> dict[str, object]:
    listed = [{"name": port, "port": number, "protocol": "TCP"} for port, number in ports]
    ingress = {"loadBalancer": {"ingress": [{"hostname": address}]} if address else {}}
    metadata = {"name": name, "namespace": "digital-twin-system"}
    return {"metadata": metadata, "spec": {"type": kind, "ports": listed}, "status": ingress}


@needs_kubectl
def test_a_real_kubectl_takes_what_it_is_asked(real: Deploy, tmp_path: Path) -> None:
    real.answers = [("helm .* template ", 0, GAZEBO + CLAIM + CLAIM_OF_A_CLASS + OF_OTHER_PLACES)]
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"metadata": {"name": "digital-twin-system", "labels": enforced}}
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    default_class = {"metadata": {"name": "standard", "annotations": default}}
    gpu_node = node("gpu")
    gpu_node["status"]["allocatable"] = {"nvidia.com/gpu": "2"}
    with MockKubernetes() as kubernetes:
        arguments = (f"--kubeconfig={kubernetes.kubeconfig(tmp_path)}", "--context=mock")
        kubernetes.discover()
        kubernetes.denied = {
            ("create", "namespaces"),
            ("create", "secrets", "digital-twin-system"),
            ("patch", "deployments"),
            ("create", "configmaps", "monitoring"),
            ("get", "pods", "portforward"),
        }
        faults = real(*arguments).faults
        assert [fault.split(":")[1].strip().split(" (")[0] for fault in faults] == [
            "there is no namespace digital-twin-system, and making it is not allowed",
            "there is no namespace monitoring, which the values put objects into",
            "not allowed",
            "not allowed",
            "not allowed",
            "not allowed",
            "Gazebo asks for a GPU and no node offers nvidia.com/gpu",
            "there is no RuntimeClass nvidia",
            "there is no StorageClass fast",
            "a claim names no StorageClass and the cluster has no default one",
        ], faults

        kubernetes.denied = {("list", "nodes")}
        kubernetes.add("/api/v1/namespaces", namespace, {"metadata": {"name": "monitoring"}})
        kubernetes.add("/api/v1/nodes", node("plain"), gpu_node)
        kubernetes.add("/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": "nvidia"}})
        kubernetes.add("/apis/storage.k8s.io/v1/storageclasses", default_class, {"metadata": {"name": "fast"}})
        kubernetes.add(
            "/api/v1/namespaces/digital-twin-system/services",
            service("bridge", "LoadBalancer", "lb.example", ("ros-tcp", 10000), ("metrics", 8003)),
            service("core", "ClusterIP", None, ("metrics", 8000)),
        )
        done = real(*arguments)
        assert (done.exit_code, done.stderr) == (0, "note: not allowed to list nodes: health_check leaves them out\n")
        assert " --skip nodes " in done.asked[-1][0]
    assert [line.split() for line in done.stdout.partition("endpoints:\n")[2].splitlines()] == [
        ["bridge", "LoadBalancer", "ros-tcp:10000/TCP", "lb.example"],
        ["bridge", "LoadBalancer", "metrics:8003/TCP", "lb.example"],
        ["core", "ClusterIP", "metrics:8000/TCP", "core.digital-twin-system.svc"],
    ]


@needs_kubectl
def test_a_real_kubectl_without_a_cluster_has_one_line(real: Deploy, tmp_path: Path) -> None:
    with MockKubernetes() as kubernetes:
        kubeconfig = kubernetes.kubeconfig(tmp_path)
    done = real(f"--kubeconfig={kubeconfig}")
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: the cluster does not answer: ")
