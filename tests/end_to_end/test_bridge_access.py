"""Who may reach the Unity bridge, where, and what clients may have; and what its parameters may not be."""

import ssl
from pathlib import Path
from typing import Any

import pytest
from std_msgs.msg import String
from std_srvs.srv import SetBool

from authority import Authority
from bridge import PROGRAM, Bridge, BridgeArguments, Connect, StartBridge
from ports import free_ports
from program import Ended, ParameterValue, run_program
from robot import Robot
from unity import KEEPALIVE, Speech, Unity
from waiting import wait_until
from web import Address

EXIT_FAILURE = 1
EXIT_USAGE = 64

# What a client asks for, and the parameter that has to allow it.
OPERATIONS = {
    "subscribe": lambda say, name: say.subscribe(name, String),
    "publish": lambda say, name: say.publish(name, String),
    "call": lambda say, name: say.ros_service(name, SetBool),
    "offer": lambda say, name: say.unity_service(name, SetBool),
}


def ask(say: Speech, operation: str, name: str) -> bytes:
    return OPERATIONS[operation](say, name)


def run_bridge(domain_id: int, **parameters: ParameterValue) -> Ended:
    return run_program(BridgeArguments(PROGRAM, parameters=parameters), domain_id)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_client_has_what_is_allowed_and_nothing_else(
    start_bridge: StartBridge, connect: Connect, operation: str
) -> None:
    bridge = start_bridge(parameters={f"{operation}_allow": ["/robot1/**", "/shared"]})
    unity = connect(bridge)

    unity.send(ask(unity.say, operation, "/robot1/arm/thing"), ask(unity.say, operation, "/shared"))
    unity.synchronize()
    assert unity.has_come("__error") == []

    unity.send(ask(unity.say, operation, "/robot2/thing"))
    told = unity.error()
    assert f"{operation} /robot2/thing" in told
    assert f"{operation}_allow" in told
    labels = {"operation": operation, "reason": "not_allowed"}
    assert bridge.scrape().value("unity_bridge_refusals_total", **labels) == 1
    # The other lists still allow everything.
    for other in OPERATIONS.keys() - {operation}:
        unity.send(ask(unity.say, other, f"/robot2/{other}"))
    unity.synchronize()
    assert unity.has_come("__error") == []


def test_names_are_allowed_as_they_are_after_remapping(start_bridge: StartBridge, connect: Connect) -> None:
    unity = connect(start_bridge(parameters={"publish_allow": ["/robot1/*"]}, ros=["-r", "__ns:=/robot1"]))

    unity.send(unity.say.publish("cmd", String))
    unity.synchronize()
    assert unity.has_come("__error") == []

    unity.send(unity.say.publish("/cmd", String))
    assert "/cmd" in unity.error()


def test_topics_that_may_not_be_heard_are_not_listed(start_bridge: StartBridge, connect: Connect, robot: Robot) -> None:
    unity = connect(start_bridge(parameters={"subscribe_allow": ["/open/*"]}))
    for topic in ("/open/one", "/secret"):
        robot.talker(topic, message_type=String)

    listed = wait_until(unity.synchronize, "a topic in the list")

    assert listed == {"/open/one": "std_msgs/String"}


def test_clients_beyond_the_limit_are_told_and_closed(start_bridge: StartBridge, connect: Connect) -> None:
    bridge = start_bridge(parameters={"max_clients": 2})
    first, _second, third = connect(bridge), connect(bridge), connect(bridge)

    third.wait_until_closed()

    assert third.next().destination == "__handshake"
    assert "max_clients" in third.error()
    bridge.wait_for_count(1, "unity_bridge_refused_connections_total")
    first.close()
    bridge.wait_for_clients(1)
    connect(bridge).synchronize()


def test_registrations_beyond_the_limit_are_told(start_bridge: StartBridge, connect: Connect) -> None:
    bridge = start_bridge(parameters={"max_registrations": 4})
    unity = connect(bridge)
    for operation in OPERATIONS:
        unity.send(ask(unity.say, operation, f"/{operation}"))

    unity.send(unity.say.subscribe("/one_more", String))
    told = unity.error()

    assert "/one_more" in told
    assert "max_registrations" in told
    labels = {"operation": "subscribe", "reason": "too_many_registrations"}
    assert bridge.scrape().value("unity_bridge_refusals_total", **labels) == 1
    # One that is known takes no more room, and one that goes makes some.
    unity.send(unity.say.subscribe("/subscribe", String))
    unity.send(unity.say.command("__remove_subscriber", topic="/subscribe"), unity.say.subscribe("/one_more", String))
    unity.synchronize()
    assert unity.has_come("__error") == []


def test_it_is_reached_from_this_machine_alone_unless_told_otherwise(bridge: Bridge, start_bridge: StartBridge) -> None:
    assert bridge.ros_tcp.host == "127.0.0.1"
    assert start_bridge(parameters={"tcp_address": "0.0.0.0"}).ros_tcp.host == "0.0.0.0"


def test_the_address_may_have_the_names_of_the_python_endpoint(start_bridge: StartBridge, connect: Connect) -> None:
    (port,) = free_ports(1)

    bridge = start_bridge(parameters={"ROS_IP": "127.0.0.2", "ROS_TCP_PORT": port})

    assert bridge.ros_tcp == Address("127.0.0.2", port)
    connect(bridge).synchronize()


def test_a_port_that_is_in_use_is_told(bridge: Bridge, domain_id: int) -> None:
    ended = run_bridge(domain_id, tcp_port=bridge.ros_tcp.port)

    assert ended.exit_code == EXIT_FAILURE
    line = ended.stderr.strip().splitlines()[-1]
    assert f"127.0.0.1:{bridge.ros_tcp.port}" in line
    assert "in use" in line
    assert "tcp_port" in line


def test_all_bad_parameters_are_told_at_once(domain_id: int) -> None:
    bad: dict[str, ParameterValue] = {
        "subscribe_allow": ["/a b"],
        "max_clients": 0,
        "service_timeout": -1.0,
        "service_failure_mode": "maybe",
        "tcp_port": 65_536,
        "max_payload_bytes": "many",
        "nonsense": 1,
    }
    ended = run_bridge(domain_id, **bad)

    assert ended.exit_code == EXIT_USAGE
    assert [name for name in bad if name not in ended.stderr] == []


def test_a_bad_address_and_bad_files_of_tls_are_told_at_once(domain_id: int, tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"
    ended = run_bridge(domain_id, tcp_address="no host", tls_certificate=str(missing), tls_key=str(missing))

    assert ended.exit_code == EXIT_USAGE
    assert "tcp_address" in ended.stderr
    assert f"tls_certificate: {missing}" in ended.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tls_key": "key.pem"}, "tls_certificate: is needed"),
        ({"tls_client_ca": "ca.pem"}, "tls_certificate: is needed"),
        ({"tls_certificate": "certificate.pem"}, "tls_key: is needed"),
        ({"ROS_TCP_PORT": 10_001, "tcp_port": 10_002}, "tcp_port and ROS_TCP_PORT mean the same"),
    ],
    ids=["a key alone", "an authority alone", "a certificate alone", "two ports"],
)
def test_parameters_that_do_not_fit_together_are_told(
    domain_id: int, given: dict[str, ParameterValue], words: str
) -> None:
    ended = run_bridge(domain_id, **given)

    assert ended.exit_code == EXIT_USAGE
    assert words in ended.stderr


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def tls_parameters(authority: Authority, **more: Any) -> dict[str, ParameterValue]:
    server = authority.issue("server")
    return {"tls_certificate": str(server.certificate), "tls_key": str(server.key), **more}


def assert_it_serves(unity: Unity) -> None:
    """Messages go both ways, large ones too."""
    text = "a" * 1_000_000
    unity.send(unity.say.publish("/chatter", String), unity.say.subscribe("/chatter", String))
    unity.send(unity.say.message("/chatter", String(data=text)))
    assert unity.receive_message("/chatter", String).data == text


def test_tls(start_bridge: StartBridge, connect: Connect, authority: Authority) -> None:
    bridge = start_bridge(parameters=tls_parameters(authority))

    assert_it_serves(connect(bridge, tls=authority.trusted()))

    with pytest.raises(ssl.SSLCertVerificationError):
        connect(bridge, tls=ssl.create_default_context())


def test_a_client_that_does_not_speak_tls_gets_nothing(
    start_bridge: StartBridge, connect: Connect, authority: Authority
) -> None:
    bridge = start_bridge(parameters=tls_parameters(authority))
    plain = connect(bridge)

    plain.send(KEEPALIVE)
    plain.wait_until_closed()

    assert plain.has_come("__handshake") == []
    bridge.wait_for_count(1, "unity_bridge_disconnections_total", reason="tls")
    connect(bridge, tls=authority.trusted()).synchronize()


def test_clients_may_need_certificates(
    start_bridge: StartBridge, connect: Connect, authority: Authority, tmp_path: Path
) -> None:
    bridge = start_bridge(parameters=tls_parameters(authority, tls_client_ca=str(authority.certificate)))
    stranger = Authority(tmp_path, "stranger").issue("stranger_client")

    assert_it_serves(connect(bridge, tls=authority.trusted(authority.issue("client"))))

    for refused in (authority.trusted(), authority.trusted(stranger)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            # TLS 1.3 tells the client only when it reads.
            connect(bridge, tls=refused).synchronize()
    bridge.wait_for_count(2, "unity_bridge_disconnections_total", reason="tls")
