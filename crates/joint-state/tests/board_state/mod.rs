//! What a board shows, in a form that can be compared.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::BTreeMap;

use joint_state::{Board, Sample, Snapshot};

/// Position, velocity and effort; `None` is absent. And the age in nanoseconds.
pub type Joint = ([Option<f64>; 3], u64);

pub fn joints(board: &Board, now_ns: u64) -> BTreeMap<String, Joint> {
    let mut snapshot = Snapshot::default();
    board.snapshot(now_ns, &mut snapshot);
    assert!(!snapshot.torn, "nobody writes");
    assert_eq!(snapshot.joints().count(), snapshot.samples.len(), "every sample has a name");
    let joints: BTreeMap<_, _> = snapshot.joints().map(|(name, sample)| (name.to_owned(), joint(sample))).collect();
    assert_eq!(joints.len(), snapshot.samples.len(), "every name occurs once");
    joints
}

fn joint(sample: &Sample) -> Joint {
    let values = [sample.position, sample.velocity, sample.effort];
    (values.map(|value| Some(value).filter(|value| !value.is_nan())), sample.age_ns)
}
