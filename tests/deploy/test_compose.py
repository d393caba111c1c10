"""docker/ and deploy/monitoring, as far as nothing has to run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from compose import COMPOSE, DIRECTORY, MONITORING, services
from grafana import dashboards
from program import REPOSITORY

SERVICES = services()
NODES = {"ros-metrics-exporter": 8000, "synchronization-node": 8001, "monitoring-node": 8002, "unity-bridge-node": 8003}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_do_no_more_than_it_has_to(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), "a user by number, and not root"
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service.keys() & {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc", "userns_mode"}
    assert all(service.get(limit) for limit in ("mem_limit", "cpus", "pids_limit"))
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ()))
    for volume in service.get("volumes", ()):
        source, _, *mode = volume.split(":")
        assert mode == ["ro"] if source.startswith(".") else source in yaml.safe_load(COMPOSE.read_text())["volumes"]
        assert not source.startswith(".") or (DIRECTORY / source).exists(), f"{source} is missing"
    image = service["image"]
    assert re.search(r":v?\d+\.\d+\.\d+$", image), f"{image} is no certain version"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_that_its_image_can_run(name: str) -> None:
    """test_images.py runs those of our images."""
    check = SERVICES[name]["healthcheck"]
    kind, program, *arguments = check["test"]
    assert check["interval"] and check["timeout"] and check["start_period"], "slow at first is not unhealthy"
    if "/nodes:" in SERVICES[name]["image"]:
        assert kind == "CMD" and program in ("discovery_server_probe", "health_check"), "there is no shell in it"
    port = NODES.get(name)
    assert port is None or f"http://127.0.0.1:{port}" in arguments, "its own page"


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_waits_for_what_there_is(name: str) -> None:
    before = SERVICES[name].get("depends_on", {})
    assert set(before) <= SERVICES.keys()
    if "ROS_DISCOVERY_SERVER" in SERVICES[name].get("environment", {}):
        assert before == {server: {"condition": "service_healthy"} for server in ("discovery-0", "discovery-1")}


def test_nobody_has_a_default_password() -> None:
    text = COMPOSE.read_text()
    assert not re.search(r"(?i)password\S*:\s*[\"']?(admin|\$\{[^}]*:-)", text)
    environment = SERVICES["grafana"]["environment"]
    assert [name for name in environment if "PASSWORD" in name] == ["GF_SECURITY_ADMIN_PASSWORD__FILE"]
    [secret] = SERVICES["grafana"]["secrets"]
    assert environment["GF_SECURITY_ADMIN_PASSWORD__FILE"] == f"/run/secrets/{secret}"
    assert yaml.safe_load(text)["secrets"][secret]["file"].startswith("${GRAFANA_ADMIN_PASSWORD_FILE:?")


def test_prometheus_scrapes_every_node_and_tells_alertmanager() -> None:
    config = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert {name: jobs[name] for name in NODES} == {name: [f"{name}:{port}"] for name, port in NODES.items()}
    [alertmanagers] = config["alerting"]["alertmanagers"]
    targets = [target for job in jobs.values() for target in job] + alertmanagers["static_configs"][0]["targets"]
    assert {target.split(":")[0] for target in targets} <= {*SERVICES, "localhost"}
    for name, port in NODES.items():
        assert f"127.0.0.1:{port}:{port}" in SERVICES[name]["ports"]


def test_grafana_finds_prometheus_and_its_dashboards() -> None:
    provisioning = MONITORING / "grafana" / "provisioning"
    [source] = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "files.yaml").read_text())["providers"]
    assert any(volume.split(":")[1] == provider["options"]["path"] for volume in SERVICES["grafana"]["volumes"])


def test_grafana_has_the_pages_that_dashboards_lead_to(tmp_path: Path) -> None:
    public = mounted("grafana", "/usr/share/grafana/public", tmp_path)
    links = {link["url"] for one in dashboards() for panel in one.panels for link in panel.get("links", ())}
    assert links and [link for link in links if not (public / link.removeprefix("/public/")).is_file()] == []


def mounted(service: str, folder: str, root: Path) -> Path:
    """What a service sees in a folder, below another root."""
    for source, place, *_ in (volume.split(":") for volume in SERVICES[service]["volumes"]):
        if place.startswith(folder):
            (root / place[1:]).parent.mkdir(parents=True, exist_ok=True)
            (root / place[1:]).symlink_to((DIRECTORY / source).resolve())
    return root / folder[1:]


@pytest.mark.parametrize(
    ("service", "folder", "command"),
    [
        ("prometheus", "/etc/prometheus", ["promtool", "check", "config", "prometheus.yml"]),
        ("alertmanager", "/etc/alertmanager", ["amtool", "check-config", "alertmanager.yml"]),
    ],
)
def test_their_own_tools_accept_the_configurations(
    service: str, folder: str, command: list[str], tmp_path: Path
) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"no {command[0]} here: scripts/install-test-tools.sh")
    place = mounted(service, folder, tmp_path)
    checked = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=30.0)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_rules_and_dashboards_are_of_jobs_that_are_scraped() -> None:
    config = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
    scraped = {job["job_name"] for job in config["scrape_configs"]}
    files = [path for path in (REPOSITORY / "deploy" / "helm" / "digital-twin" / "files").rglob("*") if path.is_file()]
    told = {job for path in files for jobs in re.findall(r'\bjob=~?\\?"([\w|-]+)', path.read_text()) for job in jobs.split("|")}
    assert told and told <= scraped, told - scraped


def test_an_image_knows_what_rosdep_is_to_install() -> None:
    """What the base knows is in the home of another user than ROS_HOME tells."""
    instructions = re.findall(r"^RUN (?:.*\\\n)*.*", (DIRECTORY / "Dockerfile").read_text(), re.MULTILINE)
    asking = [instruction for instruction in instructions if "rosdep install" in instruction]
    assert asking
    for instruction in asking:
        assert "rosdep update" in instruction.partition("rosdep install")[0]
        assert re.search(r'rm -rf .*"\$\{ROS_HOME\}"', instruction), "it stays in the image"
