"""The discovery profile that the exporter brings along, which gives way to the user's own."""

import os
import platform
from pathlib import Path

import psutil
import pytest
from rclpy.utilities import get_rmw_implementation_identifier

from domain import PORT_BASE, PORTS_PER_DOMAIN
from exporter import Exporter, RunExporter, StartExporter

pytestmark = pytest.mark.skipif(
    get_rmw_implementation_identifier() != "rmw_fastrtps_cpp"
    or os.environ["ROS_DISTRO"] not in ("humble", "jazzy")
    or platform.machine() != "x86_64",
    reason="the profile is for Fast DDS 2 on x86-64",
)

PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE"

# Distinct from every port that DDS would choose.
USERS_UDP_PORT = 47_821

USERS_PROFILE = f"""<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles">
  <profiles>
    <participant profile_name="users" is_default_profile="true">
      <rtps>
        <builtin>
          <metatrafficUnicastLocatorList>
            <locator><udpv4><port>{USERS_UDP_PORT}</port><address>127.0.0.1</address></udpv4></locator>
          </metatrafficUnicastLocatorList>
        </builtin>
      </rtps>
    </participant>
  </profiles>
</dds>
"""


class TemporaryDirectory:
    """Where the exporter would write its profile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir()
        # So long ago that any change is a later one.
        os.utime(path, (0, 0))

    def was_written_to(self) -> bool:
        return self._path.stat().st_mtime_ns > 0

    def is_empty(self) -> bool:
        return not list(self._path.iterdir())


@pytest.fixture
def temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TemporaryDirectory:
    path = tmp_path / "tmp"
    monkeypatch.setenv("TMPDIR", str(path))
    return TemporaryDirectory(path)


def udp_ports(exporter: Exporter) -> set[int]:
    bound = psutil.Process(exporter.process.pid).net_connections("udp")
    return {connection.laddr.port for connection in bound}


def test_the_profile_is_removed_once_it_is_read(
    start_exporter: StartExporter, temporary_directory: TemporaryDirectory
) -> None:
    start_exporter()

    assert temporary_directory.was_written_to()
    assert temporary_directory.is_empty()


@pytest.mark.parametrize("variable", [PROFILE_VARIABLE, "FASTDDS_DEFAULT_PROFILES_FILE"])
def test_the_users_profile_wins(
    start_exporter: StartExporter,
    temporary_directory: TemporaryDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    profile = tmp_path / "users.xml"
    profile.write_text(USERS_PROFILE)
    monkeypatch.setenv(variable, str(profile))

    exporter = start_exporter()

    assert not temporary_directory.was_written_to()
    if variable == PROFILE_VARIABLE:
        # The other name is that of later Fast DDS, to which this one pays no regard.
        assert USERS_UDP_PORT in udp_ports(exporter)


def test_a_profile_in_the_working_directory_wins(
    start_exporter: StartExporter,
    temporary_directory: TemporaryDirectory,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "DEFAULT_FASTRTPS_PROFILES.xml").write_text(USERS_PROFILE)
    monkeypatch.chdir(tmp_path)

    exporter = start_exporter()

    assert not temporary_directory.was_written_to()
    assert USERS_UDP_PORT in udp_ports(exporter)


def test_a_discovery_server_wins(
    start_exporter: StartExporter, temporary_directory: TemporaryDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISCOVERY_SERVER", "127.0.0.1:47822")

    start_exporter()

    assert not temporary_directory.was_written_to()


def test_a_discovery_server_that_nobody_knows_is_named(
    run_to_the_end: RunExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROS_DISCOVERY_SERVER", "127.0.0.1:47822;$(NOT_EXPANDED):11811")

    ended = run_to_the_end()

    assert ended.exit_code == 1
    assert 'no host "$(NOT_EXPANDED)"' in ended.stderr


def test_it_starts_where_no_file_can_be_written(start_exporter: StartExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", "/nowhere")

    start_exporter()


def ports_for_messages(exporter: Exporter, domain_id: int) -> set[int]:
    """Those of the domain that are odd (DDSI-RTPS 2.5, 9.6.2.3)."""
    of_domain = range(PORT_BASE + PORTS_PER_DOMAIN * domain_id, PORT_BASE + PORTS_PER_DOMAIN * (domain_id + 1))
    return {port for port in udp_ports(exporter) if port in of_domain and port % 2}


def test_a_killed_exporters_port_for_messages_is_not_its_successors(
    start_exporter: StartExporter, domain_id: int
) -> None:
    exporter = start_exporter()
    ports = ports_for_messages(exporter, domain_id)
    exporter.kill()

    successors = ports_for_messages(start_exporter(), domain_id)

    assert ports and successors
    assert ports.isdisjoint(successors)
