//! What the node tells at every tick: the mirrored states, the errors, the quality; and the state when it changes.

use std::sync::Arc;

use cdr::Stamp;
use joint_state::{Field, JointStateMessage};
use r2r::sensor_msgs::msg::JointState;
use r2r::std_msgs::msg::{Float64, String as Text};
use ros_observer::{Error, Node, Publisher, Qos};
use twin_sync::{JointTick, State, Tick};

use crate::command_output::FloatImage;

/// What is told as joint states: where the reference is, the errors, and those with the lag taken out.
pub(crate) const JOINT_STATE_TOPICS: [&str; 3] = ["/sync_joint_states", "~/error", "~/compensated_error"];

const DEPTH: usize = 10;

/// The publishers.
pub(crate) struct Outputs {
    states: JointOutput,
    errors: JointOutput,
    compensated_errors: JointOutput,
    quality: Publisher<Float64>,
    quality_image: FloatImage,
    state: Publisher<Text>,
}

impl Outputs {
    pub(crate) fn new(node: &Node) -> Result<Self, Error> {
        let qos = Qos::reliable(DEPTH);
        let [states, errors, compensated_errors] = JOINT_STATE_TOPICS;
        Ok(Self {
            states: JointOutput::new(node, states)?,
            errors: JointOutput::new(node, errors)?,
            compensated_errors: JointOutput::new(node, compensated_errors)?,
            quality: Publisher::new(node, "~/quality", qos)?,
            quality_image: FloatImage::new(),
            state: Publisher::new(node, "~/state", Qos::latched(1))?,
        })
    }

    /// Tells of a tick, whose joints have these names. Allocates only when other joints have values than the last time.
    pub(crate) fn tell(&mut self, tick: &Tick, names: &[Arc<str>], stamp: Stamp) -> Result<(), Error> {
        let state = |joint: &JointTick| {
            let reading = joint.reference?;
            Some([reading.position, reading.velocity, joint.effort])
        };
        let of_error = |error: Option<f64>| error.map(|error| [error, f64::NAN, f64::NAN]);
        self.states.publish(&tick.joints, names, stamp, state)?;
        self.errors.publish(&tick.joints, names, stamp, |joint| of_error(joint.error.map(|error| error.raw)))?;
        self.compensated_errors
            .publish(&tick.joints, names, stamp, |joint| of_error(joint.error.and_then(|error| error.compensated)))?;
        if let Some(quality) = tick.quality {
            self.quality.publish_serialized(self.quality_image.of(quality))?;
        }
        Ok(())
    }

    pub(crate) fn tell_state(&self, state: State) -> Result<(), Error> {
        self.state.publish(&Text { data: state.name().to_owned() })
    }
}

/// A topic of joint states that has those joints for which there are values.
struct JointOutput {
    publisher: Publisher<JointState>,
    message: JointStateMessage,
    joints: Vec<usize>,
    fields: [bool; Field::ALL.len()],
}

impl JointOutput {
    fn new(node: &Node, topic: &str) -> Result<Self, Error> {
        Ok(Self {
            publisher: Publisher::new(node, topic, Qos::reliable(DEPTH))?,
            message: JointStateMessage::new([].into_iter(), &[]),
            joints: Vec::new(),
            fields: [false; Field::ALL.len()],
        })
    }

    /// Publishes the values of the joints that have some, if any has: by field, NaN where there is none. A field that no joint
    /// has is left out.
    fn publish(
        &mut self,
        joints: &[JointTick],
        names: &[Arc<str>],
        stamp: Stamp,
        values: impl Fn(&JointTick) -> Option<[f64; 3]>,
    ) -> Result<(), Error> {
        let all = || joints.iter().enumerate().filter_map(|(index, joint)| Some((index, values(joint)?)));
        let fields = all()
            .fold([false; 3], |has, (_, values)| std::array::from_fn(|field| has[field] || !values[field].is_nan()));
        if fields != self.fields || !all().map(|(index, _)| index).eq(self.joints.iter().copied()) {
            (self.fields, self.joints) = (fields, all().map(|(index, _)| index).collect());
            self.encode(names);
        }
        if self.joints.is_empty() {
            return Ok(());
        }
        self.message.set_stamp(stamp);
        for (index, field) in Field::ALL.into_iter().enumerate() {
            self.message.set_values(field, all().map(|(_, values)| values[index]));
        }
        self.publisher.publish_serialized(self.message.as_bytes())
    }

    fn encode(&mut self, names: &[Arc<str>]) {
        let sent = Field::ALL.into_iter().zip(self.fields).filter(|(_, is_sent)| *is_sent);
        let fields: Vec<_> = sent.map(|(field, _)| field).collect();
        let names: Vec<&str> = self.joints.iter().filter_map(|joint| names.get(*joint).map(|name| &**name)).collect();
        self.message = JointStateMessage::new(names.into_iter(), &fields);
    }
}
