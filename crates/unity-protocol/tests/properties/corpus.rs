//! Sessions that the fuzzer starts from, made from what was captured of Unity and of the Python endpoint's clients.
//!
//! After a change here: `UPDATE_CORPUS=1 cargo test -p unity-protocol corpus` writes the files anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use proptest::collection::vec;
use proptest::prelude::*;
use unity_protocol::{Fault, FrameError, encode};

use crate::harness::run;

/// Pieces as they come: in one, of a byte each, or such that they end within every part of a frame.
const WHOLE: u8 = 0;
const BYTES: u8 = 1;
const SEVENS: u8 = 7;

/// Asks the client three times and never gives up, or gives up on the oldest call after every frame; or asks oftener than it may know
/// requests that timed out.
const PATIENT: u8 = 3;
const IMPATIENT: u8 = 1 << 3 | 3;
const CURIOUS: u8 = 1 << 3 | 7;

const KEEPALIVE: [u8; 8] = [0; 8];

/// As Unity says it: destination and JSON end with a NUL.
fn unity(command: &str, json: &str) -> Vec<u8> {
    encode::frame(&format!("{command}\0"), format!("{json}\0").as_bytes()).to_vec()
}

/// As other clients say it.
fn plain(command: &str, json: &str) -> Vec<u8> {
    encode::frame(command, json.as_bytes()).to_vec()
}

fn id(command: &str, id: i64) -> Vec<u8> {
    unity(command, &format!(r#"{{"srv_id":{id}}}"#))
}

fn topic(command: &str, topic: &str) -> Vec<u8> {
    unity(command, &format!(r#"{{"topic":"{topic}"}}"#))
}

fn registered(command: &str, topic: &str, message_name: &str) -> Vec<u8> {
    unity(command, &format!(r#"{{"topic":"{topic}","message_name":"{message_name}"}}"#))
}

/// A `std_msgs/String`, or whatever has one string.
fn text(destination: &str) -> Vec<u8> {
    encode::frame(&format!("{destination}\0"), b"\0\x01\0\0\x06\0\0\0hello\0").to_vec()
}

/// A name, the two bytes that the harness begins with, and the frames.
type Recorded = (&'static str, [u8; 2], Vec<Vec<u8>>);

fn connections() -> Vec<Recorded> {
    [registrations(), calls(), faults(), ends()].concat()
}

fn registrations() -> Vec<Recorded> {
    let publisher = r#"{"topic":"/chatter","message_name":"std_msgs/String","queue_size":10,"latch":false}"#;
    vec![
        (
            "connect_of_unity",
            [WHOLE, 0],
            vec![
                KEEPALIVE.to_vec(),
                registered("__subscribe", "/joint_states", "sensor_msgs/JointState"),
                unity("__publish", publisher),
                registered("__ros_service", "/set", "std_srvs/SetBool"),
                registered("__unity_service", "/spawn", "std_srvs/Trigger"),
                unity("__topic_list", "{}"),
                unity("__publish", publisher),
                text("/chatter"),
                KEEPALIVE.to_vec(),
            ],
        ),
        (
            "connect_without_nul",
            [SEVENS, 0],
            vec![
                plain("__subscribe", r#"{"topic": "chatter", "message_name": "std_msgs/msg/String", "queue_size": 1}"#),
                plain("__publish", r#"{"topic": "/cmd", "message_name": "geometry_msgs/msg/Twist"}"#),
                plain("__topic_list", ""),
                plain("/cmd", "\0\x01\0\0________________________________________________"),
            ],
        ),
        (
            "quality_of_service",
            [BYTES, 0],
            vec![
                plain("__subscribe", r#"{"topic":"/scan","message_name":"a/B","qos":"best_effort","queue_size":5}"#),
                plain(
                    "__subscribe",
                    r#"{"topic":"/tf","message_name":"a/B","qos":{"reliability":"reliable","durability":"transient_local"}}"#,
                ),
                plain("__subscribe", r#"{"topic":"/map","message_name":"a/B","qos":{"durability":"volatile"}}"#),
                plain("__subscribe", r#"{"topic":"/map","message_name":"a/B","qos":"fast"}"#),
                plain("__publish", r#"{"topic":"/map","message_name":"a/B","queue_size":1,"latch":true}"#),
            ],
        ),
        (
            "everything_is_removed",
            [SEVENS, 0],
            vec![
                registered("__ros_service", "/a", "std_srvs/Trigger"),
                registered("__ros_service", "/b", "std_srvs/Trigger"),
                registered("__ros_service", "/c", "std_srvs/Trigger"),
                registered("__ros_service", "/d", "std_srvs/Trigger"),
                topic("__remove_ros_service", "/a"),
                topic("__remove_unity_service", "/spawn"),
                topic("__remove_subscriber", "/joint_states"),
                topic("__remove_publisher", "/chatter"),
            ],
        ),
    ]
}

fn calls() -> Vec<Recorded> {
    vec![
        (
            "calls_that_run_into_each_other",
            [SEVENS, PATIENT],
            vec![
                registered("__ros_service", "/set", "std_srvs/SetBool"),
                registered("__ros_service", "/get", "std_srvs/Trigger"),
                id("__request", 101),
                text("/chatter"),
                id("__response", 1002),
                id("__request", 102),
                KEEPALIVE.to_vec(),
                text("/set"),
                text("/get"),
                text("/delete"),
                id("__response", 1001),
                text("/spawn"),
            ],
        ),
        (
            "calls_that_are_given_up",
            [WHOLE, IMPATIENT],
            vec![
                registered("__ros_service", "/set", "std_srvs/SetBool"),
                KEEPALIVE.to_vec(),
                id("__response", 1001),
                text("/spawn"),
                id("__request", 101),
                KEEPALIVE.to_vec(),
                text("/set"),
            ],
        ),
        (
            "requests_that_time_out",
            [WHOLE, CURIOUS],
            vec![
                [KEEPALIVE; 5].concat(),
                id("__response", 1001),
                id("__response", 1004),
                text("/delete"),
                id("__response", 1003),
                text("/spawn"),
            ],
        ),
        (
            "ids_that_are_wrong",
            [WHOLE, PATIENT],
            vec![
                registered("__ros_service", "/set", "std_srvs/SetBool"),
                id("__response", 7),
                id("__request", 101),
                id("__request", 101),
                id("__request", -1),
                id("__request", 103),
                id("__request", 104),
                id("__request", 105),
                id("__response", 1001),
                text("/set"),
                unity("__request", r#"{"srv_id":"101"}"#),
            ],
        ),
    ]
}

/// After which the connection goes on.
fn faults() -> Vec<Recorded> {
    vec![
        (
            "commands_that_are_wrong",
            [BYTES, 0],
            vec![
                unity("__tf", "{}"),
                unity("__publish", "{\"topic\""),
                unity("__publish", r#"{"topic":"/a"}"#),
                unity("__subscribe", r#"{"topic":"/a b\n","message_name":"std_msgs/String"}"#),
                unity("__subscribe", r#"{"topic":"/a","message_name":"../../etc/passwd"}"#),
                encode::frame("\0", b"lost").to_vec(),
            ],
        ),
        ("command_that_is_too_long", [WHOLE, 0], vec![plain("__publish", &" ".repeat((16 << 10) + 1))]),
    ]
}

/// After which it does not.
fn ends() -> Vec<Recorded> {
    vec![
        ("garbage_of_http", [SEVENS, 0], vec![b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec()]),
        ("garbage_within", [WHOLE, 0], vec![KEEPALIVE.to_vec(), b"\x02\0\0\0\xc3\x28\0\0\0\0".to_vec()]),
        ("payload_that_is_too_long", [SEVENS, 0], vec![text("/a"), b"\x02\0\0\0/a\xff\xff\xff\x7f".to_vec()]),
        ("payload_that_does_not_end", [BYTES, 0], vec![b"\x02\0\0\0/a\xff\0\0\0\0\x01\0\0".to_vec()]),
    ]
}

fn input((_, head, frames): &Recorded) -> Vec<u8> {
    head.iter().chain(frames.iter().flatten()).copied().collect()
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/session")
}

#[test]
fn the_corpus_is_what_is_recorded_here() {
    let recorded = connections();
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        fs::create_dir_all(directory()).expect("a directory");
        recorded.iter().for_each(|one| fs::write(directory().join(one.0), input(one)).expect("written"));
    }
    for one in &recorded {
        assert_eq!(fs::read(directory().join(one.0)).expect(one.0), input(one), "{}", one.0);
    }
}

#[test]
fn every_file_of_the_corpus_holds() {
    for file in fs::read_dir(directory()).expect("a directory") {
        run(&fs::read(file.expect("a file").path()).expect("readable"));
    }
}

#[test]
fn the_corpus_reaches_every_kind_of_event_fault_and_error() {
    let reached: BTreeSet<_> = connections().iter().flat_map(|one| run(&input(one))).collect();
    let events = ["keepalive", "command", "message", "service_request", "service_response", "incomplete"];
    let all: BTreeSet<_> = events.into_iter().chain(Fault::KINDS).chain(FrameError::KINDS).collect();
    assert_eq!(reached, all);
}

proptest! {
    #[test]
    fn what_is_recorded_holds_also_when_it_is_damaged(
        which in 0..connections().len(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
    ) {
        let mut input = input(&connections()[which]);
        for (index, byte) in damage {
            *index.get_mut(&mut input) = byte;
        }
        run(&input);
    }
}
