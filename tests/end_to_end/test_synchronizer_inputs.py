"""What does not come to the synchronization node, and how it tells of that."""

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from std_msgs.msg import String

from robot import Listener, Robot, qos, repeatedly
from synchronizer import (
    NODE_NAME,
    REFERENCE_TOPIC,
    TWIN_TOPIC,
    Services,
    StartSynchronizer,
)

DESCRIPTION = "/robot_description"


@pytest.fixture
def diagnostics(robot: Robot) -> Listener:
    return Listener(robot, DiagnosticArray, "/diagnostics")


def wait_for_value(diagnostics: Listener, key: str, value: str) -> None:
    def has_it(message: DiagnosticArray) -> bool:
        return any(
            (pair.key, pair.value) == (key, value)
            for status in message.status
            if status.name.startswith(NODE_NAME)
            for pair in status.values
        )

    diagnostics.wait_for(has_it, f"{key} is {value}")


def test_a_joint_that_is_named_and_not_told_of_is_missing(
    start_synchronizer: StartSynchronizer, robot: Robot, diagnostics: Listener
) -> None:
    synchronizer = start_synchronizer(parameters={"joints": ["elbow", "knee"]})
    reference, twin = (robot.talker(topic) for topic in (REFERENCE_TOPIC, TWIN_TOPIC))
    services = Services(robot)
    joints = ["elbow"]

    def publish() -> None:
        for talker in (reference, twin):
            talker.publish(joints, [0.5] * len(joints))

    with repeatedly(publish):
        synchronizer.wait_for_state("DEGRADED")
        # At first the other joint can be missing too, until the twin has told of it.
        scrape = synchronizer.scrape_until(
            lambda scrape: scrape.value("ros_twin_missing_joints") == 1, "a joint that is missing"
        )
        assert 'cause="joints_missing"' in scrape.text
        wait_for_value(diagnostics, "missing_joints", "1")
        answer = services.trigger("resync")
        assert (answer.success, "within 5 s" in answer.message) == (False, True)
        joints = ["elbow", "knee"]
        scrape = synchronizer.wait_for_state("SYNCED")
        assert scrape.value("ros_twin_missing_joints") == 0
        assert services.trigger("resync").success


def test_a_description_that_is_not_latched_is_told_of(
    start_synchronizer: StartSynchronizer, robot: Robot, diagnostics: Listener
) -> None:
    synchronizer = start_synchronizer()

    def publish_one_more(count: int) -> None:
        robot.talker(DESCRIPTION, qos("reliable", "volatile"), String)
        rejected = "ros_robot_descriptions_rejected_total"
        synchronizer.scrape_until(lambda scrape: scrape.value(rejected) == count, f"publisher {count} of it")
        wait_for_value(diagnostics, "robot_descriptions_rejected", str(count))

    publish_one_more(1)
    publish_one_more(2)
    warnings = [line for line in synchronizer.stderr.splitlines() if "description does not come" in line]
    assert len(warnings) == 1 and DESCRIPTION in warnings[0] and "durability" in warnings[0], synchronizer.stderr
