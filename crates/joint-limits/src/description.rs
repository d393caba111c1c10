//! The limits of all joints, from a robot's description.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use thiserror::Error;
use urdf_rs::JointType;
use xml::EventReader;
use xml::reader::XmlEvent;

use crate::{Limits, Motion};

/// The longest description that is read.
const BYTES_MAX: usize = 4 << 20;

/// The most elements, and elements in one another, that are read: what reads a URDF calls itself for each level.
const ELEMENTS_MAX: usize = 100_000;
const DEPTH_MAX: usize = 32;

/// The most joints of a robot: for each that is seen, values and series are kept.
pub const JOINTS_MAX: u32 = 10_000;

/// Joints that follow one another are looked through up to this far: longer chains are circles.
const MIMIC_DEPTH_MAX: usize = 32;

/// What a robot's description says of its joints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Description {
    limits: BTreeMap<String, Limits>,
}

/// Why a text is no description.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no URDF: {0}")]
pub struct BadDescription(String);

impl Description {
    /// Reads a URDF (<https://wiki.ros.org/urdf/XML/joint>). Joints that have no single axis are left out.
    ///
    /// # Errors
    /// When the text is no URDF, longer than 4 MiB, of more than 100,000 elements or of more than 32 in one another, or has
    /// more than 10,000 joints.
    pub fn read(urdf: &str) -> Result<Self, BadDescription> {
        if urdf.len() > BYTES_MAX {
            return Err(BadDescription(format!("{} bytes, of which at most {BYTES_MAX} are read", urdf.len())));
        }
        check_extent(urdf)?;
        let robot = urdf_rs::read_from_string(urdf).map_err(|error| BadDescription(error.to_string()))?;
        if robot.joints.len() > JOINTS_MAX as usize {
            return Err(BadDescription(format!(
                "{} joints, of which at most {JOINTS_MAX} are read",
                robot.joints.len()
            )));
        }
        let joints: BTreeMap<&str, &urdf_rs::Joint> =
            robot.joints.iter().map(|joint| (joint.name.as_str(), joint)).collect();
        let limits = joints.iter().filter_map(|(name, joint)| Some(((*name).to_owned(), limits(joint, &joints)?)));
        Ok(Self { limits: limits.collect() })
    }

    /// The limits of a joint; `None` for one that is not in the description, or that does not move about or along an axis.
    #[must_use]
    pub fn limits(&self, joint: &str) -> Option<&Limits> {
        self.limits.get(joint)
    }

    /// How many joints there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.limits.len()
    }

    /// Whether there is no joint that moves.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.limits.is_empty()
    }
}

fn check_extent(xml: &str) -> Result<(), BadDescription> {
    let (mut depth, mut elements) = (0, 0);
    for event in EventReader::from_str(xml) {
        match event.map_err(|error| BadDescription(error.to_string()))? {
            XmlEvent::StartElement { .. } => (depth, elements) = (depth + 1, elements + 1),
            XmlEvent::EndElement { .. } => depth -= 1,
            _ => {}
        }
        if depth > DEPTH_MAX || elements > ELEMENTS_MAX {
            return Err(BadDescription(format!("more than {ELEMENTS_MAX} elements, or {DEPTH_MAX} in one another")));
        }
    }
    Ok(())
}

type Joints<'a> = BTreeMap<&'a str, &'a urdf_rs::Joint>;

fn limits(joint: &urdf_rs::Joint, joints: &Joints<'_>) -> Option<Limits> {
    let motion = match joint.joint_type {
        JointType::Revolute | JointType::Continuous => Motion::Rotation,
        JointType::Prismatic => Motion::Translation,
        JointType::Fixed | JointType::Floating | JointType::Planar | JointType::Spherical => return None,
    };
    let limit = &joint.limit;
    // Both have to be given; a zero stands for "not known", since nothing could move under it.
    let above_zero = |value: f64| (value.is_finite() && value > 0.0).then_some(value);
    let position = position(joint, joints, MIMIC_DEPTH_MAX);
    Some(Limits { motion, position, velocity: above_zero(limit.velocity), effort: above_zero(limit.effort) })
}

/// The range of a joint: its own, or where it has none and follows another, what follows from that one's.
fn position(joint: &urdf_rs::Joint, joints: &Joints<'_>, depth: usize) -> Option<RangeInclusive<f64>> {
    if joint.joint_type == JointType::Continuous {
        return None;
    }
    let (lower, upper) = (joint.limit.lower, joint.limit.upper);
    if lower < upper {
        return (lower.is_finite() && upper.is_finite()).then_some(lower..=upper);
    }
    let mimic = joint.mimic.as_ref()?;
    let leader = position(joints.get(mimic.joint.as_str())?, joints, depth.checked_sub(1)?)?;
    let (multiplier, offset) = (mimic.multiplier.unwrap_or(1.0), mimic.offset.unwrap_or(0.0));
    let ends = [leader.start() * multiplier + offset, leader.end() * multiplier + offset];
    let (lower, upper) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
    (lower < upper).then_some(lower..=upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joint(name: &str, kind: &str, inside: &str) -> String {
        format!(r#"<joint name="{name}" type="{kind}"><parent link="a"/><child link="b"/>{inside}</joint>"#)
    }

    fn robot(joints: &[String]) -> String {
        format!(r#"<robot name="arm"><link name="a"/><link name="b"/>{}</robot>"#, joints.concat())
    }

    fn read(joints: &[String]) -> Description {
        Description::read(&robot(joints)).expect("a URDF")
    }

    const LIMIT: &str = r#"<limit lower="-1" upper="2" velocity="3" effort="4"/>"#;

    #[test]
    fn each_type_of_joint_has_the_limits_that_it_can_have() {
        let found = read(&[
            joint("hinge", "revolute", LIMIT),
            joint("wheel", "continuous", r#"<limit velocity="3" effort="4"/>"#),
            joint("slide", "prismatic", LIMIT),
            joint("weld", "fixed", ""),
            joint("unknown", "revolute", r#"<limit velocity="0" effort="0"/>"#),
        ]);
        let limits = |motion, position| Limits { motion, position, velocity: Some(3.0), effort: Some(4.0) };
        assert_eq!(found.limits("hinge"), Some(&limits(Motion::Rotation, Some(-1.0..=2.0))));
        assert_eq!(found.limits("wheel"), Some(&limits(Motion::Rotation, None)));
        assert_eq!(found.limits("slide"), Some(&limits(Motion::Translation, Some(-1.0..=2.0))));
        assert_eq!(found.limits("weld"), None);
        let nothing = Limits { motion: Motion::Rotation, position: None, velocity: None, effort: None };
        assert_eq!(found.limits("unknown"), Some(&nothing));
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn a_joint_that_follows_another_has_the_range_that_follows() {
        let mimic = |leader: &str, rest: &str| format!(r#"<mimic joint="{leader}" {rest}/>"#);
        let found = read(&[
            joint("hinge", "revolute", LIMIT),
            joint("mirror", "revolute", &mimic("hinge", r#"multiplier="-2" offset="0.5""#)),
            joint("second", "revolute", &mimic("mirror", "")),
            joint("own", "revolute", &(LIMIT.to_owned() + &mimic("mirror", ""))),
            joint("circle", "revolute", &mimic("circle", "")),
            joint("orphan", "revolute", &mimic("nobody", "")),
        ]);
        let range = |name| found.limits(name).expect("limits").position.clone();
        assert_eq!(range("mirror"), Some(-3.5..=2.5));
        assert_eq!(range("second"), Some(-3.5..=2.5));
        assert_eq!(range("own"), Some(-1.0..=2.0));
        assert_eq!([range("circle"), range("orphan")], [None, None]);
    }

    #[test]
    fn what_is_no_description_is_refused() {
        for text in ["", "garbage", "<robot", "<robot name=\"a\"><joint/></robot>", "\u{0}", "<a><b></a></b>"] {
            assert!(Description::read(text).is_err(), "{text:?}");
        }
        let whole = robot(&[joint("hinge", "revolute", LIMIT)]);
        for length in 0..whole.len() {
            assert!(Description::read(&whole[..length]).is_err(), "{length}");
        }
        assert!(Description::read(&" ".repeat(BYTES_MAX + 1)).is_err());
        let nested = format!("<robot name=\"a\">{}{}</robot>", "<a>".repeat(50_000), "</a>".repeat(50_000));
        assert!(Description::read(&nested).is_err());
        assert!(Description::read(&format!("<robot name=\"a\">{}</robot>", "<a/>".repeat(ELEMENTS_MAX))).is_err());
    }

    #[test]
    fn a_description_of_too_many_joints_is_refused_with_their_number() {
        let joints: Vec<_> = (0..=JOINTS_MAX).map(|number| joint(&number.to_string(), "continuous", "")).collect();
        assert_eq!(read(&joints[1..]).len(), JOINTS_MAX as usize);
        let told = Description::read(&robot(&joints)).unwrap_err().to_string();
        assert_eq!(told, "no URDF: 10001 joints, of which at most 10000 are read");
    }
}
