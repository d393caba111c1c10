"""Robot, twin and synchronization node together: a delay is told apart from a fault. `make experiment` keeps the run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from parameters import Parameters
from recording import Reading, Recording
from robot import Robot
from synchronizer import Services, StartSynchronizer, Synchronizer
from twin import NODE_NAME, TOPIC, StartTwin
from waiting import wait_until

DELAY_S = 0.08
LAG_WITHIN_S = 0.005
# Soft servos, which friction moves: of this twin the worst joint is off by 0.007 rad as it should be, and by 0.013 rad where
# friction has doubled.
TWIN = ("--namespace", "twin", "--follow", TOPIC, "--command-delay", str(DELAY_S), "--stiffness", "0.6")
PARAMETERS = {
    # Above the delay: a lag that is expected is no fault.
    "max_latency": 0.2,
    "divergence_threshold": 0.01,
    "divergence_hold": 0.3,
}
# Means over the joints.
RAW_RAD_MIN, COMPENSATED_RAD_MAX = 0.015, 0.006
INCREASE_MIN = 1.5

# A phase lasts for twice the window of 5 s that statistics are taken over, or longer.
PHASE_S = 10.0
# Until both programs of physics have kept up with real time for a while, on a machine with other work to do.
TIMEOUT_S = 120.0


class Experiment:
    """Robot and twin under the eyes of the node, phase by phase."""

    def __init__(self, synchronizer: Synchronizer, robot: Robot) -> None:
        self.recording = Recording(synchronizer)
        self._services = Services(robot)
        self._twin = Parameters(robot, f"twin/{NODE_NAME}")

    def begin(self, phase: str, *, friction_scale: float) -> None:
        self.recording.enter(phase)
        assert self._twin.set(friction_scale=friction_scale)[0].successful

    def wait_until(self, state: str, is_plain: Callable[[Reading], bool], what: str) -> Reading:
        """Until the phase has lasted, and this is so."""
        return self.recording.wait_until(
            lambda reading: reading.state == state and is_plain(reading),
            f"{state}, {what}",
            lasting_s=PHASE_S,
            timeout_s=TIMEOUT_S,
        )

    def resync(self) -> None:
        resync(self._services)


def is_only_late(reading: Reading) -> bool:
    raw, compensated, lag_s = reading.raw_rms_mean, reading.compensated_rms_mean, reading.lag_s
    if raw is None or compensated is None or lag_s is None:
        return False
    return abs(lag_s - DELAY_S) <= LAG_WITHIN_S and raw > RAW_RAD_MIN and compensated < COMPENSATED_RAD_MAX


@pytest.fixture
def experiment(start_synchronizer: StartSynchronizer, start_twin: StartTwin, robot: Robot) -> Experiment:
    start_twin("--motion", "wave", "--publish-description")
    start_twin(*TWIN)
    return Experiment(start_synchronizer(parameters=PARAMETERS), robot)


@pytest.mark.timeout(6 * TIMEOUT_S)
def test_a_delay_is_no_divergence_and_friction_that_doubles_is(
    experiment: Experiment, request: pytest.FixtureRequest
) -> None:
    with experiment.recording.running():
        experiment.begin("delay of 80 ms", friction_scale=1.0)
        usual = experiment.wait_until("SYNCED", is_only_late, "an error that is all lag").compensated_rms_mean

        experiment.begin("friction doubled", friction_scale=2.0)
        increased = INCREASE_MIN * usual
        experiment.wait_until(
            "DIVERGED", lambda reading: (reading.compensated_rms_mean or 0.0) > increased, "an error beside the lag"
        )

        experiment.begin("friction as before", friction_scale=1.0)
        experiment.resync()
        experiment.wait_until("SYNCED", is_only_late, "an error that is all lag again")
    if path := request.config.getoption("--record-experiment"):
        experiment.recording.write(Path(path))


# The twin is told where the robot is at each tick: a little late, and no farther off than its servos are soft.
COMMANDING = {"output_mode": "trajectory", "max_latency": 0.2, "state_threshold": 0.03}


def test_a_twin_that_is_commanded_is_synced_and_one_that_is_left_alone_diverges_until_it_is_resynchronized(
    start_synchronizer: StartSynchronizer, start_twin: StartTwin, robot: Robot
) -> None:
    start_twin("--motion", "wave", "--publish-description")
    start_twin("--namespace", "twin")
    synchronizer = start_synchronizer(parameters=COMMANDING)
    services = Services(robot)
    wait_until_it_follows(synchronizer)

    assert services.enable(False).success
    synchronizer.wait_for_state("DIVERGED")
    refused = services.trigger("resync")
    assert not refused.success, "nobody brings the twin to the robot"

    assert services.enable(True).success
    resync(services)
    wait_until_it_follows(synchronizer)


def wait_until_it_follows(synchronizer: Synchronizer) -> None:
    """Until the twin is with the robot, and moves as it does: else there is no lag."""
    synchronizer.scrape_until(
        lambda scrape: synchronizer.state(scrape) == "SYNCED" and scrape.get("ros_twin_lag_seconds") is not None,
        "SYNCED, with a lag",
    )


def resync(services: Services) -> None:
    """Until it succeeds: in the 5 s that it has, the machine may be busy with something else."""
    wait_until(lambda: services.trigger("resync").success, "~/resync succeeds", timeout_s=TIMEOUT_S)
