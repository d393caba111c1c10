//! The rules of `sensor_msgs/msg/JointState` that real publishers break, one by one.

mod board_state;
mod encoder;

use std::sync::Arc;

use board_state::joints;
use encoder::{Encoding, JointState};
use joint_state::{Fault, FaultSet, NonFinite, Recorded, Recorder, Snapshot};

const SECOND_NS: u64 = 1_000_000_000;

fn record(recorder: &mut Recorder, message: &JointState, arrival_ns: u64) -> Recorded {
    recorder.record(&message.encode(), arrival_ns).expect("the message is taken")
}

/// The names of all joints shown, and the position of each.
fn positions(recorder: &Recorder, now_ns: u64) -> Vec<(String, f64)> {
    joints(&recorder.board(), now_ns)
        .into_iter()
        .map(|(name, ([position, ..], _))| (name, position.expect("a position")))
        .collect()
}

fn named(joints: &[(&str, f64)]) -> Vec<(String, f64)> {
    joints.iter().map(|&(name, position)| (name.to_owned(), position)).collect()
}

fn faults(faults: impl IntoIterator<Item = Fault>) -> FaultSet {
    faults.into_iter().collect()
}

#[test]
fn fields_may_be_shorter_than_the_names_and_what_is_missing_is_absent() {
    let mut recorder = Recorder::new(10, SECOND_NS);
    let mut message = JointState::of([("a", 1.0), ("b", 2.0)]);
    message.velocity = vec![3.0, 4.0];
    message.effort = vec![5.0];
    record(&mut recorder, &message, 1);
    let shown = joints(&recorder.board(), 1);
    assert_eq!(shown["a"].0, [Some(1.0), Some(3.0), Some(5.0)]);
    assert_eq!(shown["b"].0, [Some(2.0), Some(4.0), None]);
}

#[test]
fn a_value_is_not_frozen_when_a_later_message_lacks_it() {
    let mut recorder = Recorder::new(10, SECOND_NS);
    let full =
        JointState { velocity: vec![1.0, 2.0], effort: vec![1.0, 2.0], ..JointState::of([("a", 1.0), ("b", 2.0)]) };
    record(&mut recorder, &full, 1);
    record(&mut recorder, &JointState { velocity: vec![7.0], position: vec![], effort: vec![], ..full }, 2);
    let shown = joints(&recorder.board(), 2);
    assert_eq!(shown["a"].0, [None, Some(7.0), None]);
    assert_eq!(shown["b"].0, [None, None, None]);
}

#[test]
fn nan_is_not_provided_and_infinity_is_passed_on_and_both_are_counted() {
    let mut recorder = Recorder::new(10, SECOND_NS);
    let message = JointState {
        velocity: vec![f64::INFINITY, f64::NEG_INFINITY],
        effort: vec![f64::NAN, f64::MAX],
        ..JointState::of([("a", f64::NAN), ("b", -f64::NAN)])
    };
    for big_endian in [false, true] {
        let bytes = message.encode_as(&Encoding { big_endian, ..Encoding::default() });
        let recorded = recorder.record(&bytes, 1).expect("the message is taken");
        assert_eq!(recorded.non_finite, NonFinite { position: 2, velocity: 2, effort: 1 });
        let shown = joints(&recorder.board(), 1);
        assert_eq!(shown["a"].0, [None, Some(f64::INFINITY), None]);
        assert_eq!(shown["b"].0, [None, Some(f64::NEG_INFINITY), Some(f64::MAX)]);
    }
}

#[test]
fn more_values_than_names_are_a_length_mismatch_and_nothing_is_stored() {
    let mut recorder = Recorder::new(10, SECOND_NS);
    let good = JointState::of([("a", 1.0)]);
    let longer = |position: usize, velocity: usize, effort: usize| JointState {
        position: vec![9.0; position],
        velocity: vec![9.0; velocity],
        effort: vec![9.0; effort],
        ..good.clone()
    };
    for message in [longer(2, 0, 0), longer(1, 2, 1), longer(1, 1, 2)] {
        assert_eq!(recorder.record(&message.encode(), 1), Err(Fault::LengthMismatch));
        assert!(positions(&recorder, 1).is_empty());
    }
    record(&mut recorder, &good, 1);
    for message in [longer(2, 0, 0), longer(1, 2, 1), longer(1, 1, 2)] {
        assert_eq!(recorder.record(&message.encode(), 2), Err(Fault::LengthMismatch));
        assert_eq!(joints(&recorder.board(), 1)["a"], ([Some(1.0), None, None], 0));
    }
}

#[test]
fn a_bad_name_costs_that_joint_only_and_is_told_every_time() {
    let mut recorder = Recorder::new(100, SECOND_NS);
    let bad: [&[u8]; 5] = [b"", b"\xff", b"a\0b", &[b'x'; 257], &[b'x'; 65_536]];
    for bad in bad {
        let message = JointState::of([(&b"first"[..], 1.0), (bad, 2.0), (b"last", 3.0)]);
        for _ in 0..2 {
            assert_eq!(record(&mut recorder, &message, 1).faults, faults([Fault::BadName]));
            assert_eq!(positions(&recorder, 1), named(&[("first", 1.0), ("last", 3.0)]));
        }
    }
}

#[test]
fn an_empty_name_without_nul_is_a_bad_name_too() {
    let mut recorder = Recorder::new(100, SECOND_NS);
    let encoding = Encoding { bare_empty_strings: true, ..Encoding::default() };
    let bytes = JointState::of([("", 1.0), ("a", 2.0)]).encode_as(&encoding);
    assert_eq!(recorder.record(&bytes, 1).expect("the message is taken").faults, faults([Fault::BadName]));
    assert_eq!(positions(&recorder, 1), named(&[("a", 2.0)]));
}

#[test]
fn names_may_hold_quotes_and_newlines_and_be_256_bytes_long() {
    let mut recorder = Recorder::new(100, SECOND_NS);
    let longest = "é".repeat(128);
    let names = ["\"quoted\"\\", "two\nlines", " ", &longest];
    let recorded = record(&mut recorder, &JointState::of(names.map(|name| (name, 1.0))), 1);
    assert!(recorded.faults.is_empty());
    assert!(names.iter().all(|&name| joints(&recorder.board(), 1).contains_key(name)));
}

#[test]
fn of_joints_with_one_name_none_is_taken() {
    let mut recorder = Recorder::new(100, SECOND_NS);
    let message = JointState::of([("a", 1.0), ("b", 2.0), ("a", 3.0), ("c", 4.0), ("a", 5.0)]);
    for _ in 0..2 {
        assert_eq!(record(&mut recorder, &message, 1).faults, faults([Fault::DuplicateJoint]));
        assert_eq!(positions(&recorder, 1), named(&[("b", 2.0), ("c", 4.0)]));
    }
}

#[test]
fn a_known_joint_keeps_its_state_when_a_message_names_it_twice() {
    let mut recorder = Recorder::new(100, SECOND_NS);
    record(&mut recorder, &JointState::of([("a", 1.0)]), 1);
    record(&mut recorder, &JointState::of([("a", 2.0), ("a", 3.0)]), 5);
    assert_eq!(joints(&recorder.board(), 5)["a"], ([Some(1.0), None, None], 4));
}

#[test]
fn values_of_joints_left_out_are_not_counted_as_non_finite() {
    let mut recorder = Recorder::new(100, SECOND_NS);
    let message = JointState::of([("a", f64::NAN), ("", f64::NAN), ("b", 1.0)]);
    assert_eq!(record(&mut recorder, &message, 1).non_finite.position, 1);
}

#[test]
fn joints_beyond_the_limit_are_left_out_and_known_ones_go_on() {
    let mut recorder = Recorder::new(2, 10 * SECOND_NS);
    record(&mut recorder, &JointState::of([("b", 1.0)]), 1);
    let message = JointState::of([("a", 2.0), ("c", 3.0), ("b", 4.0)]);
    for arrival_ns in [2, 3, 3 * SECOND_NS] {
        assert_eq!(record(&mut recorder, &message, arrival_ns).faults, faults([Fault::TooManyJoints]));
        assert_eq!(positions(&recorder, arrival_ns), named(&[("a", 2.0), ("b", 4.0)]));
    }
}

#[test]
fn a_board_for_no_joints_has_none() {
    let mut recorder = Recorder::new(0, SECOND_NS);
    assert_eq!(record(&mut recorder, &JointState::of([("a", 1.0)]), 1).faults, faults([Fault::TooManyJoints]));
    assert!(positions(&recorder, 1).is_empty());
}

#[test]
fn a_joint_that_found_no_room_gets_in_once_another_is_forgotten() {
    let mut recorder = Recorder::new(1, 5 * SECOND_NS);
    record(&mut recorder, &JointState::of([("old", 1.0)]), SECOND_NS);
    let new = JointState::of([("new", 2.0)]);
    let mut refused = 0;
    for arrival_ns in (2 * SECOND_NS..8 * SECOND_NS).step_by(SECOND_NS as usize / 10) {
        refused += u64::from(!record(&mut recorder, &new, arrival_ns).faults.is_empty());
    }
    // Forgotten when 6 s are over, and looked for at most a second later.
    assert!((41..=51).contains(&refused), "{refused}");
    assert_eq!(positions(&recorder, 8 * SECOND_NS), named(&[("new", 2.0)]));
}

#[test]
fn several_faults_are_told_together() {
    let mut recorder = Recorder::new(1, SECOND_NS);
    let message = JointState::of([("", 0.0), ("a", 1.0), ("b", 2.0), ("c", 3.0), ("c", 4.0)]);
    let expected = faults([Fault::BadName, Fault::DuplicateJoint, Fault::TooManyJoints]);
    assert_eq!(record(&mut recorder, &message, 1).faults, expected);
}

#[test]
fn no_joints_are_fine() {
    let mut recorder = Recorder::new(10, SECOND_NS);
    for _ in 0..2 {
        assert!(record(&mut recorder, &JointState::default(), 1).faults.is_empty());
    }
    assert!(positions(&recorder, 1).is_empty());
}

#[test]
fn ten_thousand_joints_are_fine() {
    let mut recorder = Recorder::new(10_000, SECOND_NS);
    let message = JointState::of((0..10_000).map(|joint| (format!("joint_{joint:05}"), f64::from(joint))));
    for _ in 0..2 {
        assert!(record(&mut recorder, &message, 1).faults.is_empty());
        let positions = positions(&recorder, 1);
        assert!(positions.iter().map(|&(_, position)| position).eq((0..10_000).map(f64::from)));
    }
}

#[test]
fn a_block_of_names_too_large_to_keep_is_taken_all_the_same() {
    let mut recorder = Recorder::new(10_000, SECOND_NS);
    let message = JointState::of((0..5_000).map(|joint| (format!("{joint:0256}"), f64::from(joint))));
    for arrival_ns in [1, 2] {
        assert!(record(&mut recorder, &message, arrival_ns).faults.is_empty());
        assert_eq!(
            joints(&recorder.board(), 2).values().filter(|(_, age_ns)| *age_ns == 2 - arrival_ns).count(),
            5_000
        );
    }
}

#[test]
fn names_in_another_order_are_the_same_joints() {
    let mut recorder = Recorder::new(10, SECOND_NS);
    let orders = [[("a", 1.0), ("b", 2.0), ("c", 3.0)], [("c", 6.0), ("a", 4.0), ("b", 5.0)]];
    for _ in 0..2 {
        for order in &orders {
            record(&mut recorder, &JointState::of(*order), 1);
            let mut sorted = order.to_vec();
            sorted.sort_by_key(|&(name, _)| name);
            assert_eq!(positions(&recorder, 1), named(&sorted));
        }
    }
}

#[test]
fn partial_messages_of_several_publishers_add_up() {
    let mut recorder = Recorder::new(100, SECOND_NS);
    for round in 0..3 {
        for publisher in 0..20 {
            record(&mut recorder, &JointState::of([(format!("{publisher:02}"), f64::from(round))]), 1);
        }
        assert_eq!(positions(&recorder, 1).len(), 20);
        assert!(positions(&recorder, 1).iter().all(|(_, position)| *position == f64::from(round)));
    }
}

#[test]
fn a_joint_is_shown_until_it_is_forgotten_and_lives_again_when_seen() {
    let mut recorder = Recorder::new(10, 5);
    let message = JointState::of([("a", 1.0)]);
    record(&mut recorder, &message, 10);
    let age = |recorder: &Recorder, now_ns| joints(&recorder.board(), now_ns).get("a").map(|(_, age_ns)| *age_ns);
    assert_eq!([9, 10, 15, 16].map(|now_ns| age(&recorder, now_ns)), [Some(0), Some(0), Some(5), None]);
    record(&mut recorder, &message, 20);
    assert_eq!(age(&recorder, 21), Some(1));
}

#[test]
fn the_time_to_forget_can_be_changed() {
    let mut recorder = Recorder::new(1, 5);
    let board = recorder.board();
    record(&mut recorder, &JointState::of([("a", 1.0)]), 1);
    board.set_forget_after_ns(100);
    assert_eq!((board.forget_after_ns(), joints(&board, 101).len(), joints(&board, 102).len()), (100, 1, 0));
    assert!(!record(&mut recorder, &JointState::of([("b", 1.0)]), 101).faults.is_empty());
    board.set_forget_after_ns(10);
    assert_eq!(joints(&board, 101).len(), 0);
    assert!(record(&mut recorder, &JointState::of([("c", 1.0)]), 101).faults.is_empty());
}

#[test]
fn a_message_that_arrives_at_time_zero_is_seen() {
    let mut recorder = Recorder::new(1, 5);
    record(&mut recorder, &JointState::of([("a", 1.0)]), 0);
    assert_eq!(positions(&recorder, 0), named(&[("a", 1.0)]));
}

#[test]
fn a_slot_that_changed_hands_is_not_written_by_its_former_owner() {
    let mut recorder = Recorder::new(2, 10);
    let old = JointState::of([("stays", 1.0), ("goes", 2.0)]);
    record(&mut recorder, &old, 100);
    record(&mut recorder, &JointState::of([("stays", 3.0)]), 111);
    record(&mut recorder, &JointState::of([("comes", 4.0)]), 111);
    assert_eq!(positions(&recorder, 111), named(&[("comes", 4.0), ("stays", 3.0)]));
    assert_eq!(record(&mut recorder, &old, 112).faults, faults([Fault::TooManyJoints]));
    assert_eq!(positions(&recorder, 112), named(&[("comes", 4.0), ("stays", 1.0)]));
}

#[test]
fn a_slot_that_changed_hands_shows_nothing_before_its_new_owner_has_values() {
    let mut recorder = Recorder::new(1, 10);
    record(&mut recorder, &JointState { effort: vec![2.0], ..JointState::of([("goes", 1.0)]) }, 100);
    record(&mut recorder, &JointState { position: vec![], ..JointState::of([("comes", 0.0)]) }, 111);
    assert_eq!(joints(&recorder.board(), 111)["comes"].0, [None, None, None]);
}

#[test]
fn names_change_only_with_the_joints() {
    let mut recorder = Recorder::new(10, 10);
    let board = recorder.board();
    let mut names = |joints: &[(&str, f64)], arrival_ns| {
        record(&mut recorder, &JointState::of(joints.iter().copied()), arrival_ns);
        let mut snapshot = Snapshot::default();
        board.snapshot(arrival_ns, &mut snapshot);
        snapshot.names
    };
    let first = names(&[("a", 1.0), ("b", 1.0)], 1);
    let reordered = names(&[("b", 1.0), ("a", 1.0)], 2);
    assert!(Arc::ptr_eq(&first, &reordered));
    let more = names(&[("c", 1.0)], 3);
    assert!(more.generation > first.generation);
    for slot in 0..2 {
        assert!(Arc::ptr_eq(first.get(slot).expect("a name"), more.get(slot).expect("a name")));
    }
    assert_eq!(more.get(2).map(|name| &**name), Some("c"));
    assert!(more.get(3).is_none());
}
