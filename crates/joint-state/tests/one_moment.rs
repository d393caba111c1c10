//! One snapshot is one moment, whatever the writer does meanwhile.

mod encoder;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use encoder::JointState;
use joint_state::{Recorder, Sample, Snapshot};

const MESSAGES: u64 = 5_000;

/// The message of that number: each of its values is the number.
fn message(names: impl Iterator<Item = String>, number: u32) -> Vec<u8> {
    let message = JointState::of(names.map(|name| (name, f64::from(number))));
    JointState { velocity: message.position.clone(), effort: message.position.clone(), ..message }.encode()
}

/// Records `messages` round and round, 1 ns apart, and meanwhile has one snapshot after the other checked.
fn race(mut recorder: Recorder, messages: &[Vec<u8>], check: impl Fn(&Snapshot)) {
    let board = recorder.board();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for (arrival_ns, message) in (1..=MESSAGES).zip(messages.iter().cycle()) {
                let recorded = recorder.record(message, arrival_ns).expect("a good message");
                assert!(recorded.faults.is_empty());
            }
            done.store(true, Ordering::Release);
        });
        let mut snapshot = Snapshot::default();
        while !done.load(Ordering::Acquire) {
            board.snapshot(0, &mut snapshot);
            check(&snapshot);
        }
    });
}

fn values(sample: &Sample) -> [u32; 3] {
    [sample.position, sample.velocity, sample.effort].map(|value| value as u32)
}

#[test]
fn values_are_from_one_message() {
    let names = || (0..100).map(|joint| format!("joint_{joint}"));
    let messages: Vec<_> = (0..16).map(|number| message(names(), number)).collect();
    race(Recorder::new(100, u64::MAX), &messages, |snapshot| {
        let numbers: HashSet<_> = snapshot.samples.iter().flat_map(values).collect();
        assert!(snapshot.torn || numbers.len() <= 1, "values of several messages");
        assert!(snapshot.torn || [0, 100].contains(&snapshot.samples.len()), "joints of half a message");
    });
}

/// Every message forgets the joints of the one before, so that every slot changes hands every time.
#[test]
fn values_are_shown_under_their_own_names_even_when_torn() {
    let messages: Vec<_> =
        (0..16).map(|number| message((0..8).map(|joint| format!("{number}/{joint}")), number)).collect();
    race(Recorder::new(8, 0), &messages, |snapshot| {
        for (name, sample) in snapshot.joints() {
            let number = name.split('/').next().and_then(|number| number.parse().ok()).expect("a number");
            assert!(values(sample) == [number; 3], "values of another joint");
        }
        assert_eq!(snapshot.joints().count(), snapshot.samples.len(), "every sample has a name");
        assert!(snapshot.torn || [0, 8].contains(&snapshot.samples.len()), "joints of half a message");
    });
}
