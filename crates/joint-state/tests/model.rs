//! Recorder and board against a model that looks every name up in a map.

mod board_state;
mod encoder;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use board_state::{Joint, joints};
use encoder::{Encoding, JointState};
use joint_state::{Decoder, Fault, FaultSet, Names, Recorder, Slots};
use proptest::collection::vec;
use proptest::prelude::*;

/// Messages are as far apart as it takes for a joint that found no room to be looked at again.
const SECOND_NS: u64 = 1_000_000_000;

/// Who keeps nothing but the names.
#[derive(Default)]
struct NamesOnly(Arc<Names>);

impl Slots for NamesOnly {
    fn forgotten(&self, _now_ns: u64) -> Vec<u32> {
        Vec::new()
    }

    fn rename(&mut self, names: &Arc<Names>, _freed: &[u32]) {
        self.0.clone_from(names);
    }
}

struct Model {
    max_joints: usize,
    forget_after_ns: u64,
    /// The values of every joint that has a slot, and when it was seen.
    known: BTreeMap<String, ([Option<f64>; 3], u64)>,
}

impl Model {
    fn record(&mut self, message: &JointState, arrival_ns: u64) -> Result<FaultSet, Fault> {
        let values = [&message.position, &message.velocity, &message.effort];
        if values.iter().any(|values| values.len() > message.name.len()) {
            return Err(Fault::LengthMismatch);
        }
        let names: Vec<_> = message.name.iter().map(|name| self.judge(name, &message.name)).collect();
        let new: HashSet<_> = names.iter().flatten().filter(|name| !self.known.contains_key(*name)).collect();
        if self.known.len() + new.len() > self.max_joints {
            self.known.retain(|_, (_, seen_ns)| arrival_ns - *seen_ns <= self.forget_after_ns);
        }
        let mut faults = FaultSet::default();
        for (index, name) in names.into_iter().enumerate() {
            let value = |values: &Vec<f64>| values.get(index).copied().filter(|value| !value.is_nan());
            match name {
                Err(fault) => faults.insert(fault),
                Ok(name) if !self.known.contains_key(&name) && self.known.len() == self.max_joints => {
                    faults.insert(Fault::TooManyJoints);
                }
                Ok(name) => drop(self.known.insert(name, (values.map(value), arrival_ns))),
            }
        }
        Ok(faults)
    }

    fn judge(&self, name: &[u8], all: &[Vec<u8>]) -> Result<String, Fault> {
        let name = String::from_utf8(name.to_vec()).map_err(|_| Fault::BadName)?;
        if name.is_empty() {
            return Err(Fault::BadName);
        }
        let repeated = all.iter().filter(|other| **other == name.as_bytes()).count() > 1;
        if repeated { Err(Fault::DuplicateJoint) } else { Ok(name) }
    }

    fn joints(&self, now_ns: u64) -> BTreeMap<String, Joint> {
        let aged = self.known.iter().map(|(name, (values, seen_ns))| (name.clone(), (*values, now_ns - seen_ns)));
        aged.filter(|(_, (_, age_ns))| *age_ns <= self.forget_after_ns).collect()
    }
}

/// The names that a publisher sends, with what may be wrong with them.
fn names() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let name = prop_oneof![
        20 => "[a-h]{1,2}".prop_map(String::into_bytes),
        1 => Just(Vec::new()),
        1 => Just(vec![0xff]),
    ];
    vec(name, 0..7)
}

#[derive(Clone, Debug)]
struct Step {
    publisher: prop::sample::Index,
    gap_s: u64,
    values: [Vec<f64>; 3],
    big_endian: bool,
    padding: Vec<u8>,
}

fn step() -> impl Strategy<Value = Step> {
    let values = || vec(prop_oneof![9 => any::<f64>(), 1 => Just(f64::NAN)], 0..8);
    (any::<prop::sample::Index>(), 1..6_u64, [values(), values(), values()], any::<bool>(), vec(any::<u8>(), 1..5))
        .prop_map(|(publisher, gap_s, values, big_endian, padding)| Step {
            publisher,
            gap_s,
            values,
            big_endian,
            padding,
        })
}

proptest! {
    #[test]
    fn agrees_with_a_naive_model(
        publishers in vec(names(), 1..6),
        max_joints in 0..12_u32,
        forget_after_s in 0..30_u64,
        steps in vec(step(), 1..25),
    ) {
        let forget_after_ns = forget_after_s * SECOND_NS;
        let mut recorder = Recorder::new(max_joints, forget_after_ns);
        let (mut decoder, mut names_only) = (Decoder::new(1_000), NamesOnly::default());
        let mut model = Model { max_joints: max_joints as usize, forget_after_ns, known: BTreeMap::new() };
        let mut now_ns = 0;
        for step in steps {
            now_ns += step.gap_s * SECOND_NS;
            let name = step.publisher.get(&publishers).clone();
            let [mut position, mut velocity, mut effort] = step.values;
            // Mostly no more values than names, so that mostly messages are taken.
            if step.gap_s > 1 {
                [&mut position, &mut velocity, &mut effort].into_iter().for_each(|values| values.truncate(name.len()));
            }
            let message = JointState { name, position, velocity, effort, ..JointState::default() };
            let encoding = Encoding { big_endian: step.big_endian, padding: step.padding, ..Encoding::default() };
            let recorded = recorder.record(&message.encode_as(&encoding), now_ns);
            prop_assert_eq!(recorded.map(|recorded| recorded.faults), model.record(&message, now_ns));
            prop_assert_eq!(joints(&recorder.board(), now_ns), model.joints(now_ns));
            prop_assert_eq!(joints(&recorder.board(), now_ns + 7 * SECOND_NS), model.joints(now_ns + 7 * SECOND_NS));
            let encoded = message.encode_as(&encoding);
            prop_assert_eq!(decoded(&mut decoder, &encoded, now_ns, &mut names_only), expected(&message));
        }
    }
}

/// What a decoder reads, by name; the bits of values, of which NaN may be one.
fn decoded(
    decoder: &mut Decoder,
    message: &[u8],
    now_ns: u64,
    names: &mut NamesOnly,
) -> Option<Vec<(String, [u64; 3])>> {
    let decoded = decoder.decode(message, now_ns, names).ok()?;
    let name = |slot| names.0.get(slot).map(ToString::to_string).unwrap_or_default();
    Some(decoded.joints().map(|(slot, values)| (name(slot), values.map(f64::to_bits))).collect())
}

/// Every joint of the message that is not at fault itself, in its order.
fn expected(message: &JointState) -> Option<Vec<(String, [u64; 3])>> {
    let model = Model { max_joints: usize::MAX, forget_after_ns: u64::MAX, known: BTreeMap::new() };
    let values = [&message.position, &message.velocity, &message.effort];
    if values.iter().any(|values| values.len() > message.name.len()) {
        return None;
    }
    let value = |values: &Vec<f64>, index: usize| values.get(index).copied().unwrap_or(f64::NAN).to_bits();
    let names = message.name.iter().map(|name| model.judge(name, &message.name)).enumerate();
    Some(names.filter_map(|(index, name)| Some((name.ok()?, values.map(|values| value(values, index))))).collect())
}
