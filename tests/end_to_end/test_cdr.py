"""The encoder of the tests writes what ROS reads, so that the other tests may trust it."""

import math

import pytest
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import JointState

from cdr import ByteOrder, Encoding, joint_state


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("padding_byte", [b"\0", b"\xff"], ids=["zero padding", "padding of ones"])
@pytest.mark.parametrize("frame_id", ["", "base", "base_link"])
@pytest.mark.parametrize("names", [[], ["a"], ["elbow", "wrist_3_joint", "é"]])
def test_ros_reads_what_the_encoder_writes(
    names: list[str], frame_id: str, padding_byte: bytes, order: ByteOrder
) -> None:
    message = JointState(name=names, position=[0.5] * len(names), effort=[math.inf, -1.5])
    message.header.stamp.sec = 12
    message.header.stamp.nanosec = 34
    message.header.frame_id = frame_id

    encoded = joint_state(
        names,
        message.position,
        [],
        message.effort,
        stamp=(12, 34),
        frame_id=frame_id.encode(),
        encoding=Encoding(order=order, padding_byte=padding_byte),
    )

    assert deserialize_message(encoded, JointState) == message


def test_padding_is_where_the_tests_think_it_is() -> None:
    padded = joint_state(["elbow"], [1.5], encoding=Encoding(padding_byte=b"\xff"))

    assert b"\xff" in padded
    assert padded.replace(b"\xff", b"\0") == joint_state(["elbow"], [1.5])
