//! The session against a naive model, with calls in both directions that run into each other.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use unity_protocol::{Call, Event, Fault, Frame, Session, SessionLimits};

use crate::model::Model;

const LIMITS: SessionLimits = SessionLimits { pending_max: 4, services_max: 3 };

#[derive(Clone, Debug)]
enum Step {
    Frame {
        destination: String,
        payload: String,
    },
    /// The next id is used.
    Send {
        service: String,
    },
    Forget(Call),
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof!["/[a-d]", Just("/chatter".to_owned())]
}

/// Few enough that they meet; the client's and the endpoint's overlap.
fn id() -> impl Strategy<Value = i64> {
    0..12_i64
}

fn step() -> impl Strategy<Value = Step> {
    let frame = |destination: &str, payload: String| Step::Frame { destination: destination.into(), payload };
    let announcement = prop_oneof![Just("__request"), Just("__response")];
    let call = prop_oneof![id().prop_map(Call::FromClient), id().prop_map(Call::ToClient)];
    prop_oneof![
        2 => name().prop_map(move |name| {
            frame("__ros_service", format!(r#"{{"topic":"{name}","message_name":"std_srvs/Trigger"}}"#))
        }),
        1 => name().prop_map(move |name| frame("__remove_ros_service", format!(r#"{{"topic":"{name}"}}"#))),
        6 => (announcement, id()).prop_map(move |(name, id)| frame(name, format!(r#"{{"srv_id":{id}}}"#))),
        6 => name().prop_map(move |name| frame(&name, "x".into())),
        1 => prop_oneof!["", "x"].prop_map(move |payload| frame("", payload)),
        4 => name().prop_map(|service| Step::Send { service }),
        2 => call.prop_map(Step::Forget),
    ]
}

proptest! {
    #[test]
    fn calls_that_run_into_each_other_are_those_of_a_naive_model(steps in vec(step(), 1..150)) {
        let (mut session, mut model, mut next_id) = (Session::new(LIMITS), Model::new(LIMITS), 0);
        for step in steps {
            match step {
                Step::Frame { destination, payload } => {
                    let frame = Frame::new((&*destination).into(), Bytes::from(payload));
                    let event = session.receive(frame);
                    let is_misread = matches!(&event, Event::Fault(Fault::BadJson { .. } | Fault::BadField { .. }));
                    prop_assert!(!is_misread, "{:?}", event);
                    model.check(&destination, &event);
                }
                Step::Send { service } => {
                    session.request_sent(next_id, &service);
                    model.request_sent(next_id, &service);
                    next_id += 1;
                }
                Step::Forget(call) => {
                    session.forget(call);
                    model.forget(call);
                }
            }
            prop_assert_eq!(session.pending(), model.pending());
        }
    }
}
