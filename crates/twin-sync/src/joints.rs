//! The joints that are followed, what is known of them, and their samples from both sources.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::RangeInclusive;

use thiserror::Error;

use crate::analysis::Analysis;
use crate::angle::Turning;
use crate::history::History;
use crate::settings::{JOINTS_MAX, Settings, Sign};

/// Where joint states come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The robot that is mirrored.
    Reference,
    /// The simulation that should do the same.
    Twin,
}

impl Source {
    /// Both sources, in the order of declaration.
    pub const ALL: [Self; 2] = [Self::Reference, Self::Twin];

    /// The name as the value of a metric's label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Twin => "twin",
        }
    }
}

/// A joint of both sources, numbered in the order of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JointId(pub(crate) u16);

impl JointId {
    /// From 0, as joints stand in [`Tick::joints`](crate::Tick::joints).
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// There are [`JOINTS_MAX`] joints already.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("more than {JOINTS_MAX} joints: name those to follow in the parameter joints")]
pub struct TooManyJoints;

/// What a URDF tells of a joint.
#[derive(Clone, Debug, PartialEq)]
pub struct JointLimits {
    /// Whether positions a whole turn apart are the same.
    pub is_continuous: bool,
    /// Where it may be, in rad or m; of a continuous joint it is not looked at.
    pub position: Option<RangeInclusive<f64>>,
    /// How fast it may be either way, in rad/s or m/s.
    pub velocity: Option<f64>,
}

/// The lag of a joint, when it was last measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MeasuredLag {
    pub(crate) seconds: f64,
    /// How much it counts among those of other joints.
    pub(crate) weight: f64,
    pub(crate) at_ns: i64,
}

/// One joint.
#[derive(Clone, Debug)]
pub(crate) struct Joint {
    pub(crate) name: String,
    /// By which the twin calls it, once it has.
    pub(crate) twin_name: Option<String>,
    pub(crate) sign: Sign,
    pub(crate) limits: Option<JointLimits>,
    /// By source.
    pub(crate) histories: [History; 2],
    pub(crate) efforts: [f64; 2],
    /// When each source last brought something new since the last resynchronization, whatever was flushed since.
    pub(crate) heard_ns: [Option<i64>; 2],
    /// Whether what a source last told of it was stamped by another clock than the source's other joints.
    pub(crate) is_off_clock: [bool; 2],
    /// Whether both sources have to tell of it: it is selected by name, or both once did.
    pub(crate) is_expected: bool,
    pub(crate) lag: Option<MeasuredLag>,
    pub(crate) analysis: Option<Analysis>,
    pub(crate) analysed_ns: Option<i64>,
    /// When an analysis first told something since the last flush.
    pub(crate) comparable_since_ns: Option<i64>,
    /// Whether there was enough of both sources since the last flush to say that they have diverged.
    pub(crate) is_judged: bool,
}

impl Joint {
    pub(crate) fn turning(&self) -> Turning {
        match &self.limits {
            Some(limits) if limits.is_continuous => Turning::Endless,
            _ => Turning::Bounded,
        }
    }

    /// How fast it may be either way, in rad/s or m/s; `None` where nothing is said of it.
    pub(crate) fn velocity_limit(&self) -> Option<f64> {
        self.limits.as_ref()?.velocity.filter(|limit| *limit >= 0.0)
    }

    pub(crate) fn history(&self, source: Source) -> &History {
        &self.histories[source as usize]
    }

    pub(crate) fn clear(&mut self, source: Source) {
        self.histories[source as usize].clear();
        self.efforts[source as usize] = f64::NAN;
        self.is_off_clock[source as usize] = false;
        self.analysis = None;
        self.comparable_since_ns = None;
        self.is_judged = false;
    }

    /// Takes note that this source has brought something new.
    pub(crate) fn hear(&mut self, source: Source, arrival_ns: i64) {
        self.heard_ns[source as usize] = Some(arrival_ns);
        self.is_expected |= self.heard_ns.iter().all(Option::is_some);
    }

    /// Whether the joint is expected of both sources, and one has brought nothing new of it for so long, or not yet. What
    /// only one ever had is a matter of selection.
    pub(crate) fn is_missing(&self, now_ns: i64, lost_ns: i64) -> bool {
        let is_silent =
            |heard_ns: &Option<i64>| heard_ns.is_none_or(|heard_ns| now_ns.saturating_sub(heard_ns) > lost_ns);
        self.is_expected && self.heard_ns.iter().any(is_silent)
    }

    /// Since this source last brought something new of the joint.
    pub(crate) fn silence_ns(&self, source: Source, now_ns: i64) -> Option<i64> {
        Some(now_ns.saturating_sub(self.history(source).arrival_ns()?).max(0))
    }
}

/// All joints, and who may become one.
#[derive(Clone, Debug)]
pub(crate) struct Joints {
    all: Vec<Joint>,
    by_name: HashMap<String, JointId>,
    buffer_size: usize,
    selected: HashSet<String>,
    reference_names: BTreeMap<String, String>,
    signs: BTreeMap<String, Sign>,
    /// Told before the joint came.
    limits: HashMap<String, JointLimits>,
}

impl Joints {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self {
            all: Vec::with_capacity(JOINTS_MAX),
            by_name: HashMap::new(),
            buffer_size: settings.buffer_size,
            selected: settings.joints.iter().cloned().collect(),
            reference_names: settings.name_map.clone(),
            signs: settings.sign_map.clone(),
            limits: HashMap::new(),
        }
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, Joint> {
        self.all.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> std::slice::IterMut<'_, Joint> {
        self.all.iter_mut()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// How many of those that are selected by name no source has told of.
    pub(crate) fn unheard_of(&self) -> usize {
        self.selected.len().saturating_sub(self.all.len())
    }

    /// How many are missing, of those that are selected and of those that both sources once had.
    pub(crate) fn missing(&self, now_ns: i64, lost_ns: i64) -> u32 {
        let missing = self.all.iter().filter(|joint| joint.is_missing(now_ns, lost_ns)).count();
        (missing + self.unheard_of()) as u32
    }

    pub(crate) fn get(&self, id: JointId) -> Option<&Joint> {
        self.all.get(id.index())
    }

    pub(crate) fn get_mut(&mut self, id: JointId) -> Option<&mut Joint> {
        self.all.get_mut(id.index())
    }

    /// The joint of this name, admitted if it is new and to be followed.
    pub(crate) fn admit(&mut self, source: Source, name: &str) -> Result<Option<JointId>, TooManyJoints> {
        let Some(reference_name) = self.reference_name(source, name).map(str::to_owned) else { return Ok(None) };
        if !self.selected.is_empty() && !self.selected.contains(&reference_name) {
            return Ok(None);
        }
        let id = match self.by_name.get(&reference_name) {
            Some(id) => *id,
            None => self.add(&reference_name)?,
        };
        Ok(self.is_named_so(source, name, id).then_some(id))
    }

    /// A twin's own name that another of its joints is mapped to is of no joint of the reference.
    fn reference_name<'a>(&'a self, source: Source, name: &'a str) -> Option<&'a str> {
        if source == Source::Reference {
            return Some(name);
        }
        let mapped = self.reference_names.get(name).map(String::as_str);
        mapped.or_else(|| self.reference_names.values().all(|mapped| mapped != name).then_some(name))
    }

    fn add(&mut self, name: &str) -> Result<JointId, TooManyJoints> {
        if self.all.len() == JOINTS_MAX {
            return Err(TooManyJoints);
        }
        let id = JointId(u16::try_from(self.all.len()).map_err(|_| TooManyJoints)?);
        self.all.push(Joint {
            name: name.to_owned(),
            twin_name: None,
            sign: self.signs.get(name).copied().unwrap_or_default(),
            limits: self.limits.get(name).cloned(),
            histories: [History::new(self.buffer_size), History::new(self.buffer_size)],
            efforts: [f64::NAN; 2],
            heard_ns: [None; 2],
            is_off_clock: [false; 2],
            is_expected: self.selected.contains(name),
            lag: None,
            analysis: None,
            analysed_ns: None,
            comparable_since_ns: None,
            is_judged: false,
        });
        self.by_name.insert(name.to_owned(), id);
        Ok(id)
    }

    /// Of two joints of the twin that are mapped to one of the reference, the first is it.
    fn is_named_so(&mut self, source: Source, name: &str, id: JointId) -> bool {
        let joint = &mut self.all[id.index()];
        source == Source::Reference || joint.twin_name.get_or_insert_with(|| name.to_owned()) == name
    }

    /// Replaces what is known of all joints, those to come too.
    pub(crate) fn set_limits(&mut self, limits: HashMap<String, JointLimits>) {
        for joint in &mut self.all {
            joint.limits = limits.get(&joint.name).cloned();
        }
        self.limits = limits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joints(settings: Settings) -> Joints {
        Joints::new(&Settings { buffer_size: 2, ..settings })
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(twin, reference)| ((*twin).to_owned(), (*reference).to_owned())).collect()
    }

    #[test]
    fn one_joint_has_one_number_whoever_names_it() {
        let mut joints = joints(Settings { name_map: map(&[("sim_elbow", "elbow")]), ..Settings::default() });
        let elbow = joints.admit(Source::Twin, "sim_elbow");
        assert_eq!(elbow, Ok(Some(JointId(0))));
        assert_eq!(joints.admit(Source::Reference, "wrist"), Ok(Some(JointId(1))));
        assert_eq!(joints.admit(Source::Reference, "elbow"), elbow);
        assert_eq!(joints.admit(Source::Twin, "elbow"), Ok(None), "its own elbow is another");
        assert_eq!(joints.get(JointId(0)).and_then(|joint| joint.twin_name.as_deref()), Some("sim_elbow"));
    }

    #[test]
    fn two_joints_of_the_twin_are_not_one() {
        let mut joints = joints(Settings { name_map: map(&[("a", "elbow"), ("b", "elbow")]), ..Settings::default() });
        assert_eq!(joints.admit(Source::Twin, "b"), Ok(Some(JointId(0))));
        assert_eq!(joints.admit(Source::Twin, "a"), Ok(None));
    }

    #[test]
    fn what_is_not_selected_takes_no_place() {
        let mut joints = joints(Settings { joints: vec!["elbow".to_owned()], ..Settings::default() });
        assert_eq!(joints.admit(Source::Reference, "wrist"), Ok(None));
        assert_eq!(joints.admit(Source::Reference, "elbow"), Ok(Some(JointId(0))));
        assert_eq!(joints.len(), 1);
    }

    #[test]
    fn there_is_an_end_to_joints() {
        let mut joints = joints(Settings::default());
        for number in 0..JOINTS_MAX {
            assert!(joints.admit(Source::Reference, &number.to_string()).is_ok());
        }
        assert_eq!(joints.admit(Source::Reference, "one more"), Err(TooManyJoints));
        assert_eq!(joints.admit(Source::Twin, "7"), Ok(Some(JointId(7))));
    }

    #[test]
    fn limits_may_come_before_or_after_the_joint() {
        let limits = JointLimits { is_continuous: true, position: None, velocity: None };
        let mut joints = joints(Settings::default());
        assert!(joints.admit(Source::Reference, "before").is_ok());
        joints.set_limits(["before", "after"].map(|name| (name.to_owned(), limits.clone())).into());
        assert!(joints.admit(Source::Reference, "after").is_ok());
        assert!(joints.iter().all(|joint| joint.turning() == Turning::Endless));
        joints.set_limits(HashMap::new());
        assert!(joints.iter().all(|joint| joint.limits.is_none()));
    }
}
