//! What a synchronization_node says of a twin on `/diagnostics`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::diagnostic_array::Status;

/// What the names of such statuses end in.
const NAME: &str = ": synchronization";

/// Followed at a time: more than robots of one ROS domain.
const COUNT_MAX: usize = 64;

/// Texts that are longer are no states and no topics.
const TEXT_BYTES_MAX: usize = 512;

/// Forgotten when it says nothing for so long; it speaks each second.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// What is kept of it.
const TEXTS: [&str; 3] = ["state", "reference_topic", "twin_topic"];
const NUMBERS: [&str; 6] = ["quality", "mean_error", "worst_error", "lag_seconds", "joints", "missing_joints"];

/// What one said last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Synchronizer {
    /// The node that says it.
    pub(crate) node: String,
    pub(crate) level: u8,
    /// The state and its cause, in words.
    pub(crate) message: String,
    pub(crate) texts: BTreeMap<&'static str, String>,
    /// Those that are known.
    pub(crate) numbers: BTreeMap<&'static str, f64>,
    pub(crate) at: Instant,
}

/// Those of one domain, by the nodes' names.
#[derive(Debug, Default)]
pub(crate) struct Synchronizers(BTreeMap<String, Synchronizer>);

impl Synchronizers {
    /// Takes those of the statuses that are a synchronizer's.
    pub(crate) fn take(&mut self, statuses: &[Status<'_>], now: Instant) {
        for status in statuses.iter().filter(|status| status.name.ends_with(NAME)) {
            let is_known = self.0.contains_key(&*status.hardware_id);
            if is_known || (self.0.len() < COUNT_MAX && status.hardware_id.len() <= TEXT_BYTES_MAX) {
                let synchronizer = Synchronizer::read(status, now);
                self.0.insert(synchronizer.node.clone(), synchronizer);
            }
        }
    }

    /// What they said last, but for those that say nothing any more.
    pub(crate) fn look(&mut self, now: Instant) -> Vec<Synchronizer> {
        self.0.retain(|_, told| now.saturating_duration_since(told.at) < FORGET_AFTER);
        self.0.values().cloned().collect()
    }
}

impl Synchronizer {
    fn read(status: &Status<'_>, now: Instant) -> Self {
        let value = |key: &str| {
            let found = status.values.iter().find(|(known, _)| known == key).map(|(_, value)| &**value);
            found.filter(|value| value.len() <= TEXT_BYTES_MAX)
        };
        let text = |key: &'static str| Some((key, value(key)?.to_owned()));
        let number = |key: &'static str| Some((key, value(key)?.parse().ok()?));
        Self {
            node: status.hardware_id.clone().into_owned(),
            level: status.level,
            message: status.message.chars().take(TEXT_BYTES_MAX).collect(),
            texts: TEXTS.into_iter().filter_map(text).collect(),
            numbers: NUMBERS.into_iter().filter_map(number).collect(),
            at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(node: &'static str, values: &[(&'static str, &'static str)]) -> Status<'static> {
        Status {
            level: 2,
            name: "synchronization_node: synchronization".into(),
            message: "DIVERGED: a joint is too far off".into(),
            hardware_id: node.into(),
            values: values.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
        }
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut synchronizers = Synchronizers::default();
        let now = Instant::now();
        let values = [("state", "DIVERGED"), ("quality", "N/A"), ("lag_seconds", "0.084"), ("other", "1")];
        let other = Status { name: "motor: 1".into(), ..status("/motor", &[]) };
        synchronizers.take(&[status("/sync", &values), other], now);
        let [told] = &synchronizers.look(now)[..] else { panic!("one") };
        assert_eq!((&*told.node, told.level, &*told.texts["state"]), ("/sync", 2, "DIVERGED"));
        assert_eq!(told.numbers, [("lag_seconds", 0.084)].into());
        assert!(synchronizers.look(now + FORGET_AFTER).is_empty());
    }

    #[test]
    fn whoever_invents_names_does_not_fill_the_memory() {
        let mut synchronizers = Synchronizers::default();
        let now = Instant::now();
        for number in 0..2 * COUNT_MAX {
            let hardware_id = number.to_string().into();
            synchronizers.take(&[Status { hardware_id, ..status("", &[]) }], now);
        }
        assert_eq!(synchronizers.look(now).len(), COUNT_MAX);
    }
}
