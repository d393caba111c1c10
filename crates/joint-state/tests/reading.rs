//! The CDR reader against an encoder that knows nothing of it, and against messages that lie.

mod board_state;
mod encoder;

use std::collections::BTreeMap;

use board_state::joints;
use cdr::Stamp;
use encoder::{Encoding, JointState};
use joint_state::{Fault, Recorder};
use proptest::collection::vec;
use proptest::prelude::*;

const NOW_NS: u64 = 1_000;

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![8 => any::<f64>(), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(-0.0)]
}

/// A message that nothing is wrong with; every array as long as the names or shorter.
fn message() -> impl Strategy<Value = JointState> {
    let values = || vec(value(), 0..12);
    let names = proptest::collection::hash_set("[a-zé\"\n]{1,9}", 0..12);
    (any::<(i32, u32)>(), vec(any::<u8>(), 0..9), names, [values(), values(), values()]).prop_map(
        |((sec, nanosec), frame_id, names, mut values)| {
            let name: Vec<_> = names.into_iter().map(String::into_bytes).collect();
            values.iter_mut().for_each(|values| values.truncate(name.len()));
            let [position, velocity, effort] = values;
            JointState { sec, nanosec, frame_id, name, position, velocity, effort }
        },
    )
}

fn encoding() -> impl Strategy<Value = Encoding> {
    (any::<bool>(), any::<[u8; 2]>(), vec(any::<u8>(), 1..20), vec(any::<u8>(), 0..8), any::<bool>()).prop_map(
        |(big_endian, options, padding, trailing, bare_empty_strings)| Encoding {
            big_endian,
            options,
            padding,
            trailing,
            bare_empty_strings,
        },
    )
}

fn expected(message: &JointState, age_ns: u64) -> BTreeMap<String, board_state::Joint> {
    let value = |values: &[f64], joint: usize| values.get(joint).copied().filter(|value| !value.is_nan());
    let joint = |(index, name): (usize, &Vec<u8>)| {
        let fields = [&message.position, &message.velocity, &message.effort];
        (String::from_utf8(name.clone()).expect("a valid name"), (fields.map(|values| value(values, index)), age_ns))
    };
    message.name.iter().enumerate().map(joint).collect()
}

fn non_finite(values: &[f64]) -> u64 {
    values.iter().filter(|value| !value.is_finite()).count() as u64
}

proptest! {
    #[test]
    fn what_was_encoded_is_what_is_read(message in message(), encodings in [encoding(), encoding()]) {
        let mut recorder = Recorder::new(100, u64::MAX);
        for encoding in encodings {
            let recorded = recorder.record(&message.encode_as(&encoding), NOW_NS);
            let recorded = recorded.expect("a good message");
            prop_assert_eq!(recorded.stamp, Stamp { sec: message.sec, nanosec: message.nanosec });
            prop_assert_eq!(recorded.non_finite.position, non_finite(&message.position));
            prop_assert_eq!(recorded.non_finite.velocity, non_finite(&message.velocity));
            prop_assert_eq!(recorded.non_finite.effort, non_finite(&message.effort));
            prop_assert!(recorded.faults.is_empty());
            prop_assert_eq!(joints(&recorder.board(), NOW_NS + 7), expected(&message, 7));
        }
    }

    #[test]
    fn a_message_that_ends_early_is_refused_and_stores_nothing(
        known in message(), message in message(), mut encoding in encoding(),
    ) {
        encoding.trailing.clear();
        let bytes = message.encode_as(&encoding);
        let mut recorder = Recorder::new(100, u64::MAX);
        recorder.record(&known.encode(), 1).expect("a good message");
        // Once with names that are new, once with names that are known.
        for _ in 0..2 {
            let before = joints(&recorder.board(), NOW_NS);
            for end in 0..bytes.len() {
                prop_assert_eq!(recorder.record(&bytes[..end], 2), Err(Fault::Truncated), "{} of {}", end, bytes.len());
            }
            prop_assert_eq!(joints(&recorder.board(), NOW_NS), before);
            recorder.record(&bytes, 1).expect("a good message");
        }
    }

    #[test]
    fn damage_never_panics_and_a_refused_message_stores_nothing(
        message in message(),
        encoding in encoding(),
        is_known: bool,
        flips in vec(any::<(prop::sample::Index, u8)>(), 0..4),
        lies in vec((any::<prop::sample::Index>(), prop_oneof![0..20_u32, Just(u32::MAX), Just(i32::MAX as u32), any::<u32>()]), 0..2),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = message.encode_as(&encoding);
        let mut recorder = Recorder::new(100, u64::MAX);
        if is_known {
            recorder.record(&bytes, 1).expect("a good message");
        }
        for (index, bits) in flips {
            let index = index.index(bytes.len());
            bytes[index] ^= bits;
        }
        for (index, lie) in lies {
            let word = index.index(bytes.len() / 4) * 4;
            bytes[word..word + 4].copy_from_slice(&if encoding.big_endian { lie.to_be_bytes() } else { lie.to_le_bytes() });
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        let before = joints(&recorder.board(), NOW_NS);
        if recorder.record(&bytes, 2).is_err() {
            prop_assert_eq!(joints(&recorder.board(), NOW_NS), before);
        }
    }

    #[test]
    fn noise_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        let mut recorder = Recorder::new(100, u64::MAX);
        let _ = recorder.record(&bytes, 1);
        let _ = recorder.record(&[&[0, 1, 0, 0], &bytes[..]].concat(), 2);
    }
}

/// Where each length lies in the message of one joint "a", with an empty frame_id, one position and no more.
const FRAME_ID: usize = 12;
const NAMES: usize = 20;
const NAME: usize = 24;
const POSITIONS: usize = 32;
const VELOCITIES: usize = 44;

fn with_length(at: usize, length: u32) -> Result<(), Fault> {
    let mut bytes = JointState::of([("a", 0.0)]).encode();
    assert_eq!(bytes.len(), VELOCITIES + 8);
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    let mut recorder = Recorder::new(100, u64::MAX);
    let recorded = recorder.record(&bytes, 1).map(drop);
    assert_eq!(joints(&recorder.board(), 1).is_empty(), recorded.is_err());
    recorded
}

#[test]
fn the_unchanged_lengths_are_good() {
    for (at, length) in [(FRAME_ID, 1), (NAMES, 1), (NAME, 2), (POSITIONS, 1), (VELOCITIES, 0)] {
        assert_eq!(with_length(at, length), Ok(()));
    }
}

#[test]
fn a_length_that_no_message_can_hold_is_a_bad_length() {
    for at in [FRAME_ID, NAMES, NAME, POSITIONS, VELOCITIES] {
        assert_eq!(with_length(at, u32::MAX), Err(Fault::BadLength), "at {at}");
        assert_eq!(with_length(at, 0x8000_0000), Err(Fault::BadLength), "at {at}");
    }
}

#[test]
fn a_length_past_the_end_is_truncated() {
    for at in [FRAME_ID, NAMES, NAME, POSITIONS, VELOCITIES] {
        assert_eq!(with_length(at, 100), Err(Fault::Truncated), "at {at}");
        assert_eq!(with_length(at, 0x000f_ffff), Err(Fault::Truncated), "at {at}");
    }
}

#[test]
fn a_message_longer_than_64_mib_is_a_bad_length() {
    let mut message = JointState { frame_id: vec![b'x'; (64 << 20) - 1], ..JointState::default() }.encode();
    let mut record = |bytes| {
        message.resize(bytes, 0);
        Recorder::new(1, 0).record(&message, 1).map(drop)
    };
    assert_eq!(record(64 << 20), Err(Fault::Truncated));
    assert_eq!(record((64 << 20) + 1), Err(Fault::BadLength));
}

#[test]
fn more_than_a_million_names_are_a_bad_length() {
    let record = |names: usize| {
        let message = JointState { name: vec![Vec::new(); names], ..JointState::default() };
        Recorder::new(1, 0).record(&message.encode(), 1).map(|recorded| recorded.faults.iter().collect::<Vec<_>>())
    };
    assert_eq!(record(1 << 20), Ok(vec![Fault::BadName]));
    assert_eq!(record((1 << 20) + 1), Err(Fault::BadLength));
}

#[test]
fn a_string_that_does_not_end_in_nul_is_a_bad_length() {
    assert_eq!(with_length(NAME, 1), Err(Fault::BadLength));
    assert_eq!(with_length(FRAME_ID, 9), Err(Fault::BadLength));
}

#[test]
fn up_to_fifteen_bytes_may_trail() {
    let record = |trailing| {
        let encoding = Encoding { trailing: vec![0xee; trailing], ..Encoding::default() };
        Recorder::new(1, 0).record(&JointState::of([("a", 1.0)]).encode_as(&encoding), 1).map(drop)
    };
    assert!((0..=15).all(|trailing| record(trailing) == Ok(())));
    assert!((16..=28).all(|trailing| record(trailing) == Err(Fault::BadLength)));
}

#[test]
fn known_names_in_the_other_byte_order_are_not_known() {
    let encoding = Encoding { bare_empty_strings: true, ..Encoding::default() };
    let mut bytes = JointState { name: vec![b"a".to_vec()], ..JointState::default() }.encode_as(&encoding);
    let mut recorder = Recorder::new(1, 0);
    recorder.record(&bytes, 1).expect("a good message");
    bytes[1] = 0;
    assert_eq!(recorder.record(&bytes, 1), Err(Fault::BadLength));
}

#[test]
fn only_plain_cdr_is_read() {
    let mut bytes = JointState::of([("a", 1.0)]).encode();
    // Parameter lists and the encodings of XCDR2, for example (OMG DDS-XTypes 1.3, table 59).
    for encapsulation in [[0, 2], [0, 3], [0, 6], [0, 7], [0, 9], [1, 0], [1, 1], [0xff, 0xff]] {
        bytes[..2].copy_from_slice(&encapsulation);
        assert_eq!(Recorder::new(1, 0).record(&bytes, 1), Err(Fault::WrongEncoding));
    }
}
