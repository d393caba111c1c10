"""The GPUs of the machine, as NVIDIA's driver tells of them; here it is a mock, so that no test needs a real GPU."""

import ctypes
import re

import pytest

from monitor import NVML, Monitor, StartMonitor
from scrape import Scrape
from waiting import wait_until

FIRST = {"gpu": "0", "uuid": "GPU-mock-a", "name": "Mock RTX"}
SECOND = {"gpu": "1", "uuid": "GPU-mock-b", "name": "Mock Orin"}
GIB = 2.0**30

# What a program warns of is not what one wants to see of a machine without a GPU.
WARNING_LINE = re.compile(r"^\S+ +(?:WARN|ERROR) .*$", re.MULTILINE)


@pytest.fixture
def no_nvml() -> None:
    try:
        ctypes.CDLL(NVML)
    except OSError:
        return
    pytest.skip(f"this machine has {NVML}")


def gpu_values(scrape: Scrape, labels: dict[str, str]) -> dict[str, float]:
    """What the scrape has of a GPU, by metric."""
    families = [family for family in scrape.families() if family.startswith("gpu_")]
    values = {family: scrape.get(family, **labels) for family in families}
    return {family: value for family, value in values.items() if value is not None}


def assert_no_gpu_and_no_word_of_it(monitor: Monitor) -> None:
    def told() -> list[str]:
        return re.findall(r"^.*\bNVML\b.*$", monitor.stderr, re.MULTILINE)

    wait_until(told, "the library was looked for", details=lambda: monitor.stderr)
    scrape = monitor.scrape()
    assert scrape.value("host_memory_total_bytes") > 0
    assert "gpu_" not in scrape.text
    assert [line.split()[1] for line in told()] == ["DEBUG"]
    assert WARNING_LINE.findall(monitor.stderr) == []


@pytest.mark.usefixtures("mock_nvml")
def test_what_each_gpu_tells(start_monitor: StartMonitor) -> None:
    scrape = start_monitor().scrape_until(lambda scrape: "gpu_power_watts{" in scrape.text, "GPUs")
    assert gpu_values(scrape, FIRST) == {
        "gpu_utilization_ratio": 0.37,
        "gpu_memory_used_bytes": 6 * GIB,
        "gpu_memory_total_bytes": 24 * GIB,
        "gpu_temperature_celsius": 61.0,
        "gpu_power_watts": 123.456,
    }
    # It has neither a temperature nor a power, which is no reason to leave out the rest.
    assert gpu_values(scrape, SECOND) == {
        "gpu_utilization_ratio": 1.0,
        "gpu_memory_used_bytes": 8 * GIB,
        "gpu_memory_total_bytes": 8 * GIB,
    }


@pytest.mark.usefixtures("no_nvml")
def test_a_machine_without_the_library(start_monitor: StartMonitor) -> None:
    assert_no_gpu_and_no_word_of_it(start_monitor("--log.level=debug"))


@pytest.mark.usefixtures("mock_nvml")
def test_a_library_without_its_driver(start_monitor: StartMonitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOCK_NVML", "no_driver")
    assert_no_gpu_and_no_word_of_it(start_monitor("--log.level=debug"))


@pytest.mark.usefixtures("mock_nvml")
def test_a_driver_that_does_not_answer_stops_no_scrape(
    start_monitor: StartMonitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOCK_NVML", "hangs")
    monitor = start_monitor()
    for _ in range(5):
        scrape = monitor.scrape()
        assert scrape.value("host_memory_total_bytes") > 0
        assert "gpu_" not in scrape.text
