"""Services across the Unity bridge, in both directions: who calls, who answers, and who does not in time."""

from collections.abc import Callable
from typing import Any

import pytest
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters
from rclpy.client import Client
from rclpy.serialization import deserialize_message
from rclpy.task import Future
from std_msgs.msg import String
from std_srvs.srv import SetBool, Trigger

from bridge import NODE_NAME, Bridge, Connect, StartBridge, publish_until_heard
from robot import Listener, Robot, repeatedly
from unity import FIRST_REQUEST, Unity
from waiting import TIMEOUT_S, wait_until

SERVICE = "/switch"

# The endpoint's ids begin here.
FIRST_ASKED = 1001

# Shorter than the time-out of the second frame of a call, which is not to be waited for without need.
SHORT_TIMEOUT = {"service_timeout": 0.3}

FROM_CLIENT = {"service_name": SERVICE, "direction": "from_client"}
TO_CLIENT = {"service_name": SERVICE, "direction": "to_client"}

ON = SetBool.Request(data=True)
DONE = SetBool.Response(success=True, message="done")

Handler = Callable[[Any, Any], Any]


def serve(robot: Robot, service_type: Any, handler: Handler) -> None:
    """Offers a service, and waits until its node knows the bridge: it answers nobody whom it does not know."""
    robot.node.create_service(service_type, SERVICE, handler)
    wait_until(lambda: NODE_NAME in robot.node.get_node_names(), "the bridge in the graph")


def switch(request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
    response.success, response.message = request.data, "switched"
    return response


def repeat(request: GetParameters.Request, response: GetParameters.Response) -> GetParameters.Response:
    """Its responses tell what was asked."""
    response.values = [values_of(name)[0] for name in request.names]
    return response


def values_of(name: str) -> list[ParameterValue]:
    return [ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=name)]


def receive_response(robot: Robot, unity: Unity, service_type: Any) -> tuple[int, Any]:
    """The next response to the client, while the robot turns."""
    with repeatedly(robot.turn):
        srv_id, frame = unity.receive_call("__response")
    assert frame.destination == SERVICE
    return srv_id, deserialize_message(frame.payload, service_type.Response)


def receive_request(unity: Unity, service_type: Any) -> tuple[int, Any]:
    """The next request to the client."""
    srv_id, frame = unity.receive_call("__request")
    assert frame.destination == SERVICE
    return srv_id, deserialize_message(frame.payload, service_type.Request)


class Caller:
    """A node of ROS that calls a client's service."""

    def __init__(self, robot: Robot, service_type: Any) -> None:
        self._robot = robot
        self._client: Client = robot.node.create_client(service_type, SERVICE)

    def call(self, request: Any) -> Future:
        assert self._client.wait_for_service(TIMEOUT_S)
        return self._client.call_async(request)

    def result_of(self, future: Future) -> Any:
        result = self._robot.result_of(future)
        assert result is not None, "no response"
        return result


@pytest.fixture
def offering(unity: Unity) -> Unity:
    """A client that offers a service."""
    offer(unity)
    return unity


def offer(unity: Unity, service_type: Any = SetBool) -> None:
    unity.send(unity.say.unity_service(SERVICE, service_type))
    unity.synchronize()


@pytest.fixture
def caller(robot: Robot) -> Caller:
    return Caller(robot, SetBool)


def test_a_client_calls_a_service_of_ros(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    serve(robot, SetBool, switch)
    unity.send(unity.say.ros_service(SERVICE, SetBool))

    for number, data in enumerate([True, False], FIRST_REQUEST):
        unity.send(*unity.say.request(number, SERVICE, SetBool.Request(data=data)))
        response = receive_response(robot, unity, SetBool)
        assert response == (number, SetBool.Response(success=data, message="switched"))

    scrape = bridge.scrape()
    assert scrape.value("unity_bridge_service_requests_total", **FROM_CLIENT) == 2
    assert scrape.value("unity_bridge_service_duration_seconds_count", **FROM_CLIENT) == 2


def test_ros_calls_a_service_of_a_client(bridge: Bridge, offering: Unity, caller: Caller) -> None:
    for number, data in enumerate([True, False], FIRST_ASKED):
        answer = caller.call(SetBool.Request(data=data))
        assert receive_request(offering, SetBool) == (number, SetBool.Request(data=data))
        offering.send(*offering.say.response(number, SERVICE, SetBool.Response(success=data, message="grün")))
        assert caller.result_of(answer) == SetBool.Response(success=data, message="grün")

    scrape = bridge.scrape()
    assert scrape.value("unity_bridge_service_requests_total", **TO_CLIENT) == 2
    assert scrape.value("unity_bridge_service_duration_seconds_count", **TO_CLIENT) == 2


def test_a_message_may_come_between_the_frames_of_a_request(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    """Unity puts the two into its queue one by one."""
    serve(robot, SetBool, switch)
    heard = Listener(robot, String, "/chatter")
    unity.send(unity.say.ros_service(SERVICE, SetBool), unity.say.publish("/chatter", String))
    publish_until_heard(robot, heard, unity, "/chatter", String(data="before"))

    announcement, payload = unity.say.request(FIRST_REQUEST, SERVICE, ON)
    unity.send(announcement, unity.say.message("/chatter", String(data="between")), payload)

    assert receive_response(robot, unity, SetBool)[0] == FIRST_REQUEST
    heard.wait_for(lambda message: message.data == "between", "the message")


def test_a_message_may_come_between_the_frames_of_a_response(offering: Unity, robot: Robot, caller: Caller) -> None:
    heard = Listener(robot, String, "/chatter")
    offering.send(offering.say.publish("/chatter", String))
    publish_until_heard(robot, heard, offering, "/chatter", String(data="before"))
    answer = caller.call(ON)
    srv_id, _ = receive_request(offering, SetBool)

    announcement, payload = offering.say.response(srv_id, SERVICE, DONE)
    offering.send(announcement, offering.say.message("/chatter", String(data="between")), payload)

    assert caller.result_of(answer) == DONE
    heard.wait_for(lambda message: message.data == "between", "the message")


def test_requests_whose_payloads_come_later_get_their_own_responses(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    serve(robot, GetParameters, repeat)
    unity.send(unity.say.ros_service(SERVICE, GetParameters))
    numbers = range(FIRST_REQUEST, FIRST_REQUEST + 10)
    requests = [unity.say.request(number, SERVICE, GetParameters.Request(names=[str(number)])) for number in numbers]

    unity.send(*(announcement for announcement, _ in requests), *(payload for _, payload in requests))

    responses = dict(receive_response(robot, unity, GetParameters) for _ in numbers)
    assert {number: response.values for number, response in responses.items()} == {
        number: values_of(str(number)) for number in numbers
    }


def test_a_client_may_answer_in_any_order(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    offer(unity, GetParameters)
    caller = Caller(robot, GetParameters)
    answers = {name: caller.call(GetParameters.Request(names=[name])) for name in ("one", "two", "three")}
    asked = [receive_request(unity, GetParameters) for _ in answers]

    for srv_id, request in reversed(asked):
        values = values_of(request.names[0])
        unity.send(*unity.say.response(srv_id, SERVICE, GetParameters.Response(values=values)))

    for name, answer in answers.items():
        assert caller.result_of(answer).values == values_of(name)


def test_a_service_that_does_not_answer_in_time_is_told(
    start_bridge: StartBridge, connect: Connect, robot: Robot
) -> None:
    bridge = start_bridge(parameters=SHORT_TIMEOUT)
    unity = connect(bridge)
    # It is there, but its node does not turn.
    serve(robot, SetBool, switch)

    unity.send(unity.say.ros_service(SERVICE, SetBool), *unity.say.request(FIRST_REQUEST, SERVICE, ON))

    told = unity.error()
    assert f"request {FIRST_REQUEST} to {SERVICE}: it was not answered within 300ms" in told
    scrape = bridge.scrape()
    assert scrape.value("unity_bridge_service_timeouts_total", **FROM_CLIENT) == 1
    assert scrape.value("unity_bridge_refusals_total", operation="call", reason="timed_out") == 1

    # What is answered too late is no answer to the next request.
    unity.send(*unity.say.request(FIRST_REQUEST + 1, SERVICE, SetBool.Request(data=False)))
    assert receive_response(robot, unity, SetBool) == (
        FIRST_REQUEST + 1,
        SetBool.Response(success=False, message="switched"),
    )
    assert unity.has_come("__response") == []


def test_a_service_that_nobody_offers_is_told(start_bridge: StartBridge, connect: Connect) -> None:
    bridge = start_bridge(parameters=SHORT_TIMEOUT)
    unity = connect(bridge)

    unity.send(unity.say.ros_service(SERVICE, SetBool), *unity.say.request(FIRST_REQUEST, SERVICE, ON))

    told = unity.error()
    assert f"request {FIRST_REQUEST} to {SERVICE}: nobody has offered the service as std_srvs/srv/SetBool within 300ms" in told
    assert bridge.scrape().value("unity_bridge_refusals_total", operation="call", reason="not_offered") == 1


def test_a_service_is_waited_for_until_it_is_offered(bridge: Bridge, unity: Unity, robot: Robot) -> None:
    unity.send(unity.say.ros_service(SERVICE, SetBool), *unity.say.request(FIRST_REQUEST, SERVICE, ON))
    unity.synchronize()

    serve(robot, SetBool, switch)

    response = receive_response(robot, unity, SetBool)
    assert response == (FIRST_REQUEST, SetBool.Response(success=True, message="switched"))


def test_a_call_that_failed_may_be_answered_with_default_values(start_bridge: StartBridge, connect: Connect) -> None:
    """Unity waits for a response for ever."""
    unity = connect(start_bridge(parameters={**SHORT_TIMEOUT, "service_failure_mode": "default_response"}))
    unity.send(unity.say.ros_service(SERVICE, Trigger), *unity.say.request(FIRST_REQUEST, SERVICE, Trigger.Request()))

    srv_id, frame = unity.receive_call("__response")

    assert (srv_id, frame.destination) == (FIRST_REQUEST, SERVICE)
    assert deserialize_message(frame.payload, Trigger.Response) == Trigger.Response()
    assert f"request {FIRST_REQUEST}" in unity.error()


def test_a_call_that_failed_is_not_answered_unless_asked_for(start_bridge: StartBridge, connect: Connect) -> None:
    unity = connect(start_bridge(parameters=SHORT_TIMEOUT))
    unity.send(unity.say.ros_service(SERVICE, SetBool), *unity.say.request(FIRST_REQUEST, SERVICE, ON))
    unity.error()
    unity.synchronize()
    assert unity.has_come("__response") == []


def test_a_client_that_does_not_answer_in_time_is_told_and_its_late_response_is_nobodys(
    start_bridge: StartBridge, connect: Connect, caller: Caller
) -> None:
    bridge = start_bridge(parameters=SHORT_TIMEOUT)
    unity = connect(bridge)
    offer(unity)
    late = caller.call(ON)
    late_id, _ = receive_request(unity, SetBool)

    assert f"request {late_id} to {SERVICE} of Unity: it was not answered within 300ms" in unity.error()
    in_time = caller.call(ON)
    srv_id, _ = receive_request(unity, SetBool)
    unity.send(*unity.say.response(late_id, SERVICE, SetBool.Response(message="late")))
    unity.send(*unity.say.response(srv_id, SERVICE, DONE))

    assert f"request {late_id}" in unity.error()
    assert caller.result_of(in_time) == DONE
    assert not late.done()
    scrape = bridge.scrape()
    assert scrape.value("unity_bridge_service_timeouts_total", **TO_CLIENT) == 1
    assert scrape.value("unity_bridge_refusals_total", operation="offer", reason="timed_out") == 1
    assert scrape.value("unity_bridge_protocol_errors_total", kind="late_response") == 1


def test_half_of_a_call_is_told_and_no_whole_one_is(
    start_bridge: StartBridge, connect: Connect, caller: Caller
) -> None:
    bridge = start_bridge(parameters=SHORT_TIMEOUT)
    unity = connect(bridge)
    offer(unity)
    caller.call(ON)
    late_id, _ = receive_request(unity, SetBool)
    unity.error()
    # Too late, but whole.
    unity.send(*unity.say.response(late_id, SERVICE, DONE))
    unity.error()

    announcement, _ = unity.say.request(FIRST_REQUEST, SERVICE, ON)
    unity.send(announcement)

    assert f"__request with id {FIRST_REQUEST}: no frame for the service has followed" in unity.error()
    assert bridge.scrape().value("unity_bridge_protocol_errors_total", kind="incomplete_call") == 1


def test_the_newest_client_answers_for_a_service(
    bridge: Bridge, connect: Connect, robot: Robot, caller: Caller
) -> None:
    older, newer = connect(bridge), connect(bridge)
    offer(older)
    offer(newer)

    assert "another client" in older.warning()
    answer = caller.call(ON)
    srv_id, _ = receive_request(newer, SetBool)
    newer.send(*newer.say.response(srv_id, SERVICE, DONE))
    assert caller.result_of(answer) == DONE

    # It has nothing to take away any more.
    older.close()
    bridge.wait_for_clients(1)
    answer = caller.call(ON)
    srv_id, _ = receive_request(newer, SetBool)
    newer.send(*newer.say.response(srv_id, SERVICE, DONE))
    assert caller.result_of(answer) == DONE


def test_a_client_may_offer_again_what_another_has_taken_over(bridge: Bridge, connect: Connect, caller: Caller) -> None:
    first, second = connect(bridge), connect(bridge)
    offer(first)
    offer(second)
    offer(first)

    assert "another client" in second.warning()
    answer = caller.call(ON)
    srv_id, _ = receive_request(first, SetBool)
    first.send(*first.say.response(srv_id, SERVICE, DONE))
    assert caller.result_of(answer) == DONE


def test_calls_beyond_the_limit_are_told(start_bridge: StartBridge, connect: Connect) -> None:
    bridge = start_bridge(parameters={"max_pending_calls": 2})
    unity = connect(bridge)
    unity.send(unity.say.ros_service(SERVICE, SetBool))
    numbers = range(FIRST_REQUEST, FIRST_REQUEST + 3)

    unity.send(*(part for number in numbers for part in unity.say.request(number, SERVICE, ON)))

    told = unity.error()
    assert f"request {numbers[-1]} to {SERVICE}: 2 calls wait" in told
    assert bridge.scrape().value("unity_bridge_refusals_total", operation="call", reason="too_many_calls") == 1


def test_a_request_to_a_client_beyond_the_limit_is_told(
    start_bridge: StartBridge, connect: Connect, caller: Caller
) -> None:
    bridge = start_bridge(parameters={"max_pending_calls": 1})
    unity = connect(bridge)
    offer(unity)
    answer = caller.call(ON)
    srv_id, _ = receive_request(unity, SetBool)

    caller.call(ON)

    assert "max_pending_calls" in unity.error()
    assert bridge.scrape().value("unity_bridge_refusals_total", operation="offer", reason="too_many_calls") == 1
    unity.send(*unity.say.response(srv_id, SERVICE, DONE))
    assert caller.result_of(answer) == DONE


def test_a_service_that_was_not_registered_is_told(bridge: Bridge, unity: Unity) -> None:
    unity.send(*unity.say.request(FIRST_REQUEST, SERVICE, ON))

    told = unity.error()
    assert SERVICE in told and "__ros_service" in told and str(FIRST_REQUEST) in told
    unity.synchronize()


def test_a_request_to_a_service_that_was_not_registered_takes_no_other_ones_response(
    bridge: Bridge, unity: Unity, robot: Robot
) -> None:
    serve(robot, SetBool, switch)
    unity.send(unity.say.ros_service(SERVICE, SetBool))
    unity.send(*unity.say.request(FIRST_REQUEST, "/never_registered", ON))
    assert "/never_registered" in unity.error()

    unity.send(*unity.say.request(FIRST_REQUEST + 1, SERVICE, ON))

    srv_id, response = receive_response(robot, unity, SetBool)
    assert (srv_id, response.success) == (FIRST_REQUEST + 1, True)


def test_a_client_may_go_while_its_calls_wait(bridge: Bridge, connect: Connect, robot: Robot, caller: Caller) -> None:
    leaver, stayer = connect(bridge), connect(bridge)
    offer(leaver)
    answer = caller.call(ON)
    receive_request(leaver, SetBool)
    leaver.send(leaver.say.ros_service("/nobody", SetBool), *leaver.say.request(FIRST_REQUEST, "/nobody", ON))
    leaver.synchronize()

    leaver.close()

    bridge.wait_for_clients(1)
    stayer.synchronize()
    assert not answer.done()
