//! What a session makes of frames, and of what it is told.

use bytes::Bytes;
use unity_protocol::{Call, Command, Event, Fault, Frame, Session, SessionLimits};

const LIMITS: SessionLimits = SessionLimits { pending_max: 3, services_max: 2 };

fn receive(session: &mut Session, destination: &str, payload: &str) -> Event {
    session.receive(Frame::new(destination.into(), Bytes::copy_from_slice(payload.as_bytes())))
}

/// A session whose client calls `services`.
fn session(services: &[&str]) -> Session {
    let mut session = Session::new(LIMITS);
    for service in services {
        register(&mut session, service).expect("room");
    }
    session
}

fn register(session: &mut Session, service: &str) -> Result<(), Fault> {
    let json = format!(r#"{{"topic":"{service}","message_name":"std_srvs/Trigger"}}"#);
    match receive(session, "__ros_service", &json) {
        Event::Command(Command::RosService { service: registered, .. }) => assert_eq!(registered, service),
        Event::Fault(fault) => return Err(fault),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn announce(session: &mut Session, call: Call) -> Result<(), Fault> {
    let (destination, id) = match call {
        Call::FromClient(id) => ("__request", id),
        Call::ToClient(id) => ("__response", id),
    };
    match receive(session, destination, &format!(r#"{{"srv_id":{id}}}"#)) {
        Event::Incomplete(announced) => assert_eq!(announced, call),
        Event::Fault(fault) => return Err(fault),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn message(topic: &str) -> Event {
    Event::Message { topic: topic.into(), payload: Bytes::from("x") }
}

fn request(id: i64, service: &str) -> Event {
    Event::ServiceRequest { id, service: service.into(), payload: Bytes::from("x") }
}

fn response(id: i64, service: &str) -> Event {
    Event::ServiceResponse { id, service: service.into(), payload: Bytes::from("x") }
}

#[test]
fn a_frame_that_is_no_command_is_a_message() {
    let mut session = session(&[]);
    assert_eq!(receive(&mut session, "/chatter", "x"), message("/chatter"));
    assert_eq!(receive(&mut session, "_chatter", "x"), message("_chatter"));
    assert_eq!(receive(&mut session, "", ""), Event::Keepalive);
    assert_eq!(receive(&mut session, "", "x"), Event::Fault(Fault::NoDestination { bytes: 1 }));
}

#[test]
fn a_request_binds_to_the_service_although_others_speak_in_between() {
    let mut session = session(&["/set"]);
    announce(&mut session, Call::FromClient(101)).expect("good");
    assert_eq!(receive(&mut session, "/chatter", "x"), message("/chatter"));
    assert_eq!(receive(&mut session, "", ""), Event::Keepalive);
    assert!(matches!(receive(&mut session, "__topic_list", "{}"), Event::Command(Command::TopicList)));
    assert_eq!(receive(&mut session, "/set", "x"), request(101, "/set"));
    assert_eq!(session.pending(), 0);
}

#[test]
fn a_message_that_cannot_be_one_is_the_request_that_waits_longest() {
    let mut session = session(&["/set"]);
    session.request_sent(1001, "/unity");
    announce(&mut session, Call::ToClient(1001)).expect("good");
    announce(&mut session, Call::FromClient(101)).expect("good");
    announce(&mut session, Call::FromClient(102)).expect("good");
    assert_eq!(receive(&mut session, "/never_registered", "x"), message("/never_registered"));
    assert_eq!(session.take_request(), Some(101));
    assert_eq!(receive(&mut session, "/set", "x"), request(102, "/set"));
    assert_eq!((session.take_request(), session.pending()), (None, 1));
}

#[test]
fn requests_bind_in_the_order_of_their_ids() {
    let mut session = session(&["/set", "/get"]);
    announce(&mut session, Call::FromClient(101)).expect("good");
    announce(&mut session, Call::FromClient(102)).expect("good");
    assert_eq!(session.pending(), 2);
    assert_eq!(receive(&mut session, "/get", "x"), request(101, "/get"));
    assert_eq!(receive(&mut session, "/set", "x"), request(102, "/set"));
}

#[test]
fn a_topic_may_have_the_name_of_a_service() {
    let mut session = session(&["/set"]);
    assert_eq!(receive(&mut session, "/set", "x"), message("/set"));
    announce(&mut session, Call::FromClient(101)).expect("good");
    assert_eq!(receive(&mut session, "/set", "x"), request(101, "/set"));
    assert_eq!(receive(&mut session, "/set", "x"), message("/set"));
}

#[test]
fn a_response_binds_to_the_service_that_was_asked_and_to_no_other() {
    let mut session = session(&["/set"]);
    session.request_sent(1001, "/spawn");
    session.request_sent(1002, "/delete");
    assert_eq!(receive(&mut session, "/spawn", "x"), message("/spawn"), "not announced yet");
    announce(&mut session, Call::ToClient(1002)).expect("known");
    announce(&mut session, Call::ToClient(1001)).expect("known");
    assert_eq!(receive(&mut session, "/set", "x"), message("/set"));
    assert_eq!(receive(&mut session, "/spawn", "x"), response(1001, "/spawn"));
    assert_eq!(receive(&mut session, "/delete", "x"), response(1002, "/delete"));
}

#[test]
fn a_client_that_calls_a_service_of_its_own_gets_what_was_announced_first() {
    let mut session = session(&["/loop"]);
    session.request_sent(1001, "/loop");
    announce(&mut session, Call::ToClient(1001)).expect("known");
    announce(&mut session, Call::FromClient(101)).expect("good");
    assert_eq!(receive(&mut session, "/loop", "x"), response(1001, "/loop"));
    assert_eq!(receive(&mut session, "/loop", "x"), request(101, "/loop"));
}

#[test]
fn ids_of_both_directions_may_be_equal() {
    let mut session = session(&["/set"]);
    session.request_sent(7, "/spawn");
    announce(&mut session, Call::FromClient(7)).expect("good");
    announce(&mut session, Call::ToClient(7)).expect("known");
    session.forget(Call::ToClient(7));
    assert_eq!(receive(&mut session, "/set", "x"), request(7, "/set"));
}

#[test]
fn an_id_that_waits_is_not_taken_twice() {
    let mut session = session(&["/set"]);
    announce(&mut session, Call::FromClient(101)).expect("good");
    assert_eq!(announce(&mut session, Call::FromClient(101)), Err(Fault::DuplicateRequest { id: 101 }));
    assert_eq!(receive(&mut session, "/set", "x"), request(101, "/set"));
    announce(&mut session, Call::FromClient(101)).expect("it is bound, and free again");
}

#[test]
fn a_response_that_nobody_asked_for_is_a_fault_and_so_is_a_second_one() {
    let mut session = session(&[]);
    assert_eq!(announce(&mut session, Call::ToClient(1001)), Err(Fault::UnknownResponse { id: 1001 }));
    session.request_sent(1001, "/spawn");
    announce(&mut session, Call::ToClient(1001)).expect("known");
    assert_eq!(announce(&mut session, Call::ToClient(1001)), Err(Fault::UnknownResponse { id: 1001 }));
}

#[test]
fn ids_that_wait_are_limited() {
    let mut session = session(&["/set"]);
    session.request_sent(1001, "/spawn");
    for id in 1..=3 {
        announce(&mut session, Call::FromClient(id)).expect("room");
    }
    for call in [Call::FromClient(4), Call::ToClient(1001)] {
        assert_eq!(announce(&mut session, call), Err(Fault::TooManyPending { call, max: 3 }));
    }
    assert_eq!(receive(&mut session, "/set", "x"), request(1, "/set"));
    announce(&mut session, Call::ToClient(1001)).expect("known still, and room");
}

#[test]
fn a_forgotten_request_makes_room_and_takes_no_payload() {
    let mut session = session(&["/set"]);
    announce(&mut session, Call::FromClient(101)).expect("good");
    announce(&mut session, Call::FromClient(102)).expect("good");
    session.forget(Call::FromClient(101));
    assert_eq!(session.pending(), 1);
    assert_eq!(receive(&mut session, "/set", "x"), request(102, "/set"));
}

#[test]
fn a_late_response_is_not_taken_for_the_next() {
    let mut session = session(&[]);
    session.request_sent(1001, "/spawn");
    session.forget(Call::ToClient(1001));
    session.request_sent(1002, "/spawn");
    announce(&mut session, Call::ToClient(1001)).expect("known still");
    announce(&mut session, Call::ToClient(1002)).expect("known");
    let late = Fault::LateResponse { id: 1001, service: "/spawn".into() };
    assert_eq!(receive(&mut session, "/spawn", "x"), Event::Fault(late));
    assert_eq!(receive(&mut session, "/spawn", "x"), response(1002, "/spawn"));
}

#[test]
fn an_announced_response_that_is_forgotten_is_gone() {
    let mut session = session(&[]);
    session.request_sent(1001, "/spawn");
    announce(&mut session, Call::ToClient(1001)).expect("known");
    session.forget(Call::ToClient(1001));
    assert_eq!(session.pending(), 0);
    assert_eq!(receive(&mut session, "/spawn", "x"), message("/spawn"));
    assert_eq!(announce(&mut session, Call::ToClient(1001)), Err(Fault::UnknownResponse { id: 1001 }));
}

#[test]
fn of_requests_that_timed_out_the_newest_are_known_and_those_that_wait_are_all_known() {
    let mut session = session(&[]);
    session.request_sent(1000, "/spawn");
    for id in 1001..1010 {
        session.request_sent(id, "/spawn");
        session.forget(Call::ToClient(id));
    }
    assert_eq!(announce(&mut session, Call::ToClient(1006)), Err(Fault::UnknownResponse { id: 1006 }));
    announce(&mut session, Call::ToClient(1007)).expect("one of the three newest");
    announce(&mut session, Call::ToClient(1000)).expect("it is waited for");
}

#[test]
fn services_are_limited_and_may_be_registered_again() {
    let mut session = session(&["/set", "/get"]);
    let refused = Fault::TooManyServices { service: "/more".into(), max: 2 };
    assert_eq!(register(&mut session, "/more"), Err(refused));
    register(&mut session, "/set").expect("it is registered");
    receive(&mut session, "__remove_ros_service", r#"{"topic":"/get"}"#);
    register(&mut session, "/more").expect("room");
    announce(&mut session, Call::FromClient(101)).expect("good");
    assert_eq!(receive(&mut session, "/get", "x"), message("/get"), "it is removed");
    assert_eq!(receive(&mut session, "/more", "x"), request(101, "/more"));
}

#[test]
fn every_fault_has_a_kind_of_its_own_and_a_text() {
    let text = String::new;
    let faults = [
        Fault::UnknownCommand { command: text() },
        Fault::CommandTooLong { command: text(), bytes: 0, max: 0 },
        Fault::BadJson { command: text(), reason: text() },
        Fault::BadField { command: text(), reason: text() },
        Fault::BadName { command: text(), name: text() },
        Fault::BadType { command: text(), name: text(), part: "msg" },
        Fault::DuplicateRequest { id: 101 },
        Fault::UnknownResponse { id: 1001 },
        Fault::LateResponse { id: 1001, service: text() },
        Fault::TooManyPending { call: Call::ToClient(1001), max: 0 },
        Fault::TooManyServices { service: text(), max: 0 },
        Fault::NoDestination { bytes: 0 },
    ];
    assert_eq!(faults.each_ref().map(Fault::kind), Fault::KINDS);
    assert!(faults[9].to_string().starts_with("__response with id 1001 was refused"));
    assert!(faults[0].to_string().contains("__subscribe, __publish"));
}
