"""The Unity bridge and its clients come and go, and leave nothing behind."""

import signal

import psutil
import pytest
from std_msgs.msg import String, UInt8MultiArray
from std_srvs.srv import SetBool

from bridge import NODE_NAME, Bridge, Connect, publishers, subscriptions, wait_until_followed
from program import END_WITHIN_S
from robot import Robot, repeatedly
from unity import KEEPALIVE, Unity
from waiting import wait_until

# Of which the first show what a bridge needs that has been used.
RECONNECTS = 1000
WARM_UP = 200

# What an allocator may keep; a connection has buffers of 64 KiB.
RSS_GROWTH_MAX_BYTES = 4 << 20


def register_all(unity: Unity) -> None:
    """One of each, as on connecting, and the proof that it was done."""
    say = unity.say
    unity.send(
        KEEPALIVE,
        say.publish("/said", String),
        say.subscribe("/heard", String),
        say.ros_service("/ask", SetBool),
        say.unity_service("/answer", SetBool),
    )
    unity.synchronize()


def services_of_bridge(robot: Robot) -> set[str]:
    return {name for name, _ in robot.node.get_service_names_and_types_by_node(NODE_NAME, "/")}


def calls_of_bridge(robot: Robot) -> set[str]:
    return {name for name, _ in robot.node.get_client_names_and_types_by_node(NODE_NAME, "/")}


def in_graph(robot: Robot) -> tuple[bool, bool, bool, bool]:
    """Whether others see the publisher, the subscription, the client and the service of `register_all`."""
    return (
        bool(publishers(robot, "/said")),
        bool(subscriptions(robot, "/heard")),
        "/ask" in calls_of_bridge(robot),
        "/answer" in services_of_bridge(robot),
    )


def wait_until_in_graph(robot: Robot, *expected: bool) -> None:
    wait_until(lambda: NODE_NAME in robot.node.get_node_names(), "the bridge in the graph")
    wait_until(lambda: in_graph(robot) == expected, f"{expected} in the graph")


@pytest.mark.parametrize("leave", [Unity.close, Unity.reset], ids=["closed", "reset"])
def test_a_client_that_goes_takes_along_all_that_it_had(
    bridge: Bridge, unity: Unity, robot: Robot, leave: signal.Handlers
) -> None:
    register_all(unity)
    wait_until_in_graph(robot, True, True, True, True)

    leave(unity)

    wait_until_in_graph(robot, False, False, False, False)
    assert bridge.scrape().value("unity_bridge_clients") == 0


def test_everything_can_be_taken_back_and_the_connection_lives(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    register_all(unity)
    wait_until_in_graph(robot, True, True, True, True)
    removals = {"publisher": "/said", "subscriber": "/heard", "ros_service": "/ask", "unity_service": "/answer"}
    expected = [True] * 4

    for index, (what, name) in enumerate(removals.items()):
        # What is not there is no fault.
        unity.send(*[unity.say.command(f"__remove_{what}", topic=name)] * 2)
        expected[index] = False
        wait_until_in_graph(robot, *expected)

    assert unity.has_come("__error") == []
    register_all(unity)
    wait_until_in_graph(robot, True, True, True, True)


def test_a_thousand_reconnects_leave_nothing_behind(bridge: Bridge, connect: Connect, robot: Robot) -> None:
    process = psutil.Process(bridge.process.pid)

    def come_and_go(times: int) -> None:
        for number in range(times):
            unity = Unity(bridge.ros_tcp)
            register_all(unity)
            # Both ways to go.
            (unity.reset if number % 2 else unity.close)()
        bridge.wait_for_clients(0)

    come_and_go(WARM_UP)
    threads, descriptors, rss = process.num_threads(), process.num_fds(), process.memory_info().rss
    come_and_go(RECONNECTS - WARM_UP)

    assert process.num_threads() <= threads
    wait_until(lambda: process.num_fds() <= descriptors, "no more descriptors than before")
    assert process.memory_info().rss - rss < RSS_GROWTH_MAX_BYTES
    wait_until_in_graph(robot, False, False, False, False)
    scrape = bridge.scrape()
    assert scrape.value("unity_bridge_connections_total") == RECONNECTS
    assert scrape.value("unity_bridge_refused_connections_total") == 0
    register_all(connect(bridge))
    wait_until_in_graph(robot, True, True, True, True)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_it_while_messages_flow(
    bridge: Bridge, connect: Connect, robot: Robot, signal_number: signal.Signals
) -> None:
    unity, stalled = connect(bridge), connect(bridge, receive_buffer_bytes=4096)
    talker = robot.talker("/blocks", message_type=UInt8MultiArray)
    for client in (unity, stalled):
        client.send(client.say.subscribe("/blocks", UInt8MultiArray))
        register_all(client)
    wait_until_followed(robot, talker, clients=2)
    message = UInt8MultiArray(data=bytes(64 << 10))

    with repeatedly(lambda: talker.publisher.publish(message), 0.005):
        bridge.scrape_until(
            lambda scrape: (scrape.get("unity_bridge_messages_dropped_total", topic_name="/blocks", reason="queue_size") or 0) > 0,
            "a client that does not read",
        )
        unity.receive("/blocks")
        took_s = bridge.end(signal_number)

    unity.wait_until_closed()
    # A farewell waits a second for who does not read.
    assert took_s < 2 * END_WITHIN_S
