//! The limits of all joints, from a robot's description.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use thiserror::Error;
use urdf_rs::JointType;

use crate::{Limits, Motion, plain_xml};

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
pub struct BadDescription(pub(crate) String);

impl Description {
    /// Reads a URDF (<https://wiki.ros.org/urdf/XML/joint>). Joints that have no single axis are left out.
    ///
    /// # Errors
    /// When the text is no URDF, has a document type, is longer than 4 MiB, of more than 100,000 elements or of more than 32
    /// in one another, or has more than 10,000 joints.
    pub fn read(urdf: &str) -> Result<Self, BadDescription> {
        // What reads the URDF has a reader of XML of its own, without limits: it gets what was read within them.
        let plain = plain_xml::rewrite(urdf)?;
        let robot = urdf_rs::read_from_string(&plain).map_err(|error| BadDescription(error.to_string()))?;
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

    /// Every joint that moves about or along an axis, with its limits, by name.
    pub fn joints(&self) -> impl Iterator<Item = (&str, &Limits)> {
        self.limits.iter().map(|(name, limits)| (name.as_str(), limits))
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

type Joints<'a> = BTreeMap<&'a str, &'a urdf_rs::Joint>;

fn limits(joint: &urdf_rs::Joint, joints: &Joints<'_>) -> Option<Limits> {
    let motion = match joint.joint_type {
        JointType::Revolute => Motion::Rotation,
        JointType::Continuous => Motion::EndlessRotation,
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
    (lower < upper && lower.is_finite() && upper.is_finite()).then_some(lower..=upper)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plain_xml::{BYTES_MAX, ELEMENTS_MAX};

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
        assert_eq!(found.limits("wheel"), Some(&limits(Motion::EndlessRotation, None)));
        assert_eq!(found.limits("slide"), Some(&limits(Motion::Translation, Some(-1.0..=2.0))));
        assert_eq!(found.limits("weld"), None);
        let nothing = Limits { motion: Motion::Rotation, position: None, velocity: None, effort: None };
        assert_eq!(found.limits("unknown"), Some(&nothing));
        assert_eq!(found.len(), 4);
        assert_eq!(found.joints().map(|(name, _)| name).collect::<Vec<_>>(), ["hinge", "slide", "unknown", "wheel"]);
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
            joint("far", "revolute", &mimic("hinge", r#"multiplier="1e308""#)),
            joint("farther", "revolute", &mimic("hinge", r#"offset="-inf""#)),
        ]);
        let range = |name| found.limits(name).expect("limits").position.clone();
        assert_eq!(range("mirror"), Some(-3.5..=2.5));
        assert_eq!(range("second"), Some(-3.5..=2.5));
        assert_eq!(range("own"), Some(-1.0..=2.0));
        assert_eq!([range("circle"), range("orphan")], [None, None]);
        assert_eq!([range("far"), range("farther")], [None, None], "no end is infinite");
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
    fn what_two_readers_would_take_for_different_things_is_refused_or_read_as_the_first_takes_it() {
        let nested = "<a>".repeat(100_000) + &"</a>".repeat(100_000);
        assert!(Description::read(&format!("<!DOCTYPE r \">{nested}\"><robot name=\"a\"/>")).is_err());
        for before in [format!("<?pi ? >{nested}?>"), format!("<!--{nested}-->")] {
            assert!(Description::read(&format!("{before}<robot name=\"a\"/>")).expect("a robot").is_empty());
        }
        for inside in [format!("<?pi ? >{nested}?>"), format!("<![CDATA[{nested}]]>"), nested.replace('<', "&lt;")] {
            assert!(Description::read(&format!("<robot name=\"a\">{inside}</robot>")).expect("a robot").is_empty());
        }
    }

    #[test]
    fn names_with_a_prefix_are_not_those_of_a_urdf() {
        let hinge = joint("hinge", "revolute", LIMIT);
        let of_xacro = hinge.replace("<joint", "<x:joint").replace("</joint", "</x:joint").replace("hinge", "other");
        let read = |start: &str| Description::read(&format!("<robot name=\"a\" {start}>{hinge}{of_xacro}</robot>"));
        let found = read("xmlns='http://www.ros.org' xmlns:x='q' x:name='b'").expect("a URDF");
        assert_eq!((found.len(), found.limits("hinge").is_some()), (1, true));
        assert!(read("").unwrap_err().to_string().contains("prefix is unbound"));
        for bound in ["xmlns='q'", "xmlns:xmlns='q'", "xmlns:xml='q'", "xmlns:x=''"] {
            assert!(read(bound).is_err(), "{bound}");
        }
        assert!(Description::read("<x:robot xmlns:x='q' name='a'/>").is_err());
    }

    #[test]
    fn a_description_as_robots_have_it_is_read() {
        let urdf = r#"<?xml version="1.0" encoding="utf-8"?>
            <!-- This document was autogenerated by xacro from arm.urdf.xacro -->
            <robot name="arm" xmlns:xacro="http://www.ros.org/wiki/xacro">
              <material name="blue"><color rgba="0 0 0.8 1"/></material>
              <link name="base"><visual><origin rpy="0 0 0" xyz="0 0 1"/>
                <geometry><mesh filename="package://arm/base.dae" scale="1 1 1"/></geometry><material name="blue"/>
              </visual></link>
              <link name="tip"/>
              <joint name="elbow" type="revolute">
                <parent link="base"/><child link="tip"/><axis xyz="0 0 1"/>
                <limit effort="150.0" lower="-2.5" upper="2.5" velocity="3.15"/><dynamics damping="0" friction="0"/>
              </joint>
              <transmission name="elbow_transmission">
                <type>transmission_interface/SimpleTransmission</type>
                <joint name="elbow"><hardwareInterface>hardware_interface/PositionJointInterface</hardwareInterface></joint>
                <actuator name="motor"><mechanicalReduction>1</mechanicalReduction></actuator>
              </transmission>
              <ros2_control name="arm" type="system"><hardware><plugin>arm/System</plugin></hardware>
                <joint name="elbow"><command_interface name="position"/></joint></ros2_control>
              <gazebo><plugin name="control" filename="libcontrol.so"><a>1 &lt; 2</a><![CDATA[ x ]]></plugin></gazebo>
              <gazebo reference="base"><material>Gazebo/Blue</material></gazebo>
            </robot>"#;
        let found = Description::read(urdf).expect("a URDF");
        let limits =
            Limits { motion: Motion::Rotation, position: Some(-2.5..=2.5), velocity: Some(3.15), effort: Some(150.0) };
        assert_eq!((found.len(), found.limits("elbow")), (1, Some(&limits)));
    }

    #[test]
    fn whatever_the_text_is_it_is_read_or_refused() {
        const PIECES: [&str; 24] = [
            "<robot name='a'>",
            "</robot>",
            "<joint name='j' type='revolute'>",
            "</joint>",
            "<a>",
            "</a>",
            "<a/>",
            "<x:a>",
            " xmlns='q'",
            " xmlns:x='q'",
            "<!DOCTYPE ",
            "<!--",
            "-->",
            "<![CDATA[",
            "]]>",
            "<?",
            "?>",
            ">",
            "<",
            "\"",
            "'",
            "&",
            "&#0;",
            "ä",
        ];
        // Which piece is next, by a generator of Lehmer's.
        let mut state = 1_u64;
        let mut next = || {
            state = state * 48_271 % 0x7fff_ffff;
            PIECES[state as usize % PIECES.len()]
        };
        for _ in 0..20_000 {
            let text: String = (0..12).map(|_| next()).collect();
            let _ = Description::read(&text);
            let _ = Description::read(&format!("<robot name='a'{text}</robot>"));
        }
    }

    #[test]
    fn a_description_of_too_many_joints_is_refused_with_their_number() {
        let joints: Vec<_> = (0..=JOINTS_MAX).map(|number| joint(&number.to_string(), "continuous", "")).collect();
        assert_eq!(read(&joints[1..]).len(), JOINTS_MAX as usize);
        let told = Description::read(&robot(&joints)).unwrap_err().to_string();
        assert_eq!(told, "no URDF: 10001 joints, of which at most 10000 are read");
    }
}
