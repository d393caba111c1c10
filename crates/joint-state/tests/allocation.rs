//! What must not allocate does not.

mod encoder;

use allocation_counter::{AllocationInfo, measure};
use encoder::{Encoding, JointState};
use joint_state::{Fault, Recorder, Snapshot};

const ARRIVAL_NS: u64 = 1_000;

fn message(publisher: &str, joints: usize) -> JointState {
    let message = JointState::of((0..joints).map(|joint| (format!("{publisher}_{joint}"), joint as f64)));
    JointState { velocity: message.position.clone(), effort: message.position.clone(), ..message }
}

/// What is allocated while `messages` are recorded, after each has been recorded once.
fn allocated(messages: &[Vec<u8>]) -> AllocationInfo {
    let mut recorder = Recorder::new(10_000, u64::MAX);
    let mut record_all = || {
        for message in messages {
            recorder.record(message, ARRIVAL_NS).expect("a good message");
        }
    };
    record_all();
    measure(|| (0..10).for_each(|_| record_all()))
}

#[test]
fn the_first_message_allocates_and_is_seen_to() {
    let bytes = message("a", 7).encode();
    let mut recorder = Recorder::new(10, u64::MAX);
    let allocated = measure(|| {
        recorder.record(&bytes, ARRIVAL_NS).expect("a good message");
    });
    assert_ne!(allocated.count_total, 0);
}

#[test]
fn a_familiar_message_allocates_nothing() {
    for joints in [0, 1, 7, 50, 500] {
        let message = message("a", joints);
        let big_endian = Encoding { big_endian: true, ..Encoding::default() };
        assert_eq!(allocated(&[message.encode()]).count_total, 0);
        assert_eq!(allocated(&[message.encode_as(&big_endian)]).count_total, 0);
    }
}

#[test]
fn publishers_and_orders_that_alternate_allocate_nothing() {
    let mut reversed = message("a", 50);
    reversed.name.reverse();
    let publishers = (0..62).map(|publisher| message(&publisher.to_string(), 5).encode());
    let messages: Vec<_> = publishers.chain([message("a", 50).encode(), reversed.encode()]).collect();
    assert_eq!(allocated(&messages).count_total, 0);
}

#[test]
fn padding_that_changes_allocates_nothing() {
    let with_padding =
        |byte| message("a", 50).encode_as(&Encoding { padding: vec![byte, !byte], ..Encoding::default() });
    let messages: Vec<_> = (0..=255).map(with_padding).collect();
    assert_eq!(allocated(&messages).count_total, 0);
}

#[test]
fn joints_that_are_left_out_every_time_allocate_nothing() {
    let message = JointState::of([("a", 1.0), ("", 2.0), ("b", 3.0), ("b", 4.0), ("c", 5.0)]);
    assert_eq!(allocated(&[message.encode()]).count_total, 0);
}

#[test]
fn a_message_that_is_refused_allocates_nothing_whatever_it_announces() {
    let mut recorder = Recorder::new(10_000, u64::MAX);
    let good = message("a", 50).encode();
    for word in (4..good.len()).step_by(4) {
        for length in [u32::MAX, i32::MAX as u32, 0x0fff_ffff, 0x0100_0000] {
            let mut bytes = good.clone();
            bytes[word..word + 4].copy_from_slice(&length.to_le_bytes());
            let mut recorded = Err(Fault::Truncated);
            let allocated = measure(|| recorded = recorder.record(&bytes, ARRIVAL_NS).map(drop));
            assert!(recorded.is_ok() || allocated.count_total == 0, "{length} at {word}");
        }
    }
}

#[test]
fn a_snapshot_that_was_large_enough_before_allocates_nothing() {
    let mut recorder = Recorder::new(10_000, u64::MAX);
    recorder.record(&message("a", 500).encode(), ARRIVAL_NS).expect("a good message");
    let board = recorder.board();
    let mut snapshot = Snapshot::default();
    board.snapshot(ARRIVAL_NS, &mut snapshot);
    assert_eq!(measure(|| board.snapshot(ARRIVAL_NS, &mut snapshot)).count_total, 0);
    assert_eq!(snapshot.samples.len(), 500);
}
