//! Reads what is asked of joints as it was serialized, in a trajectory_msgs/msg/JointTrajectory or a
//! sensor_msgs/msg/JointState: who asks is not trusted.

use cdr::{ByteOrder, Doubles, Reader, Stamp};
use joint_limits::Command;
use joint_state::Fault;

/// The most joints, points of a trajectory and values of a point that are read.
const COUNT_MAX: usize = 1 << 16;

/// A type of message that asks something of joints.
pub(crate) struct CommandType {
    /// Its full name; the package need not be installed.
    pub(crate) name: &'static str,
    /// Reads a message of it.
    pub(crate) read: for<'a> fn(&'a [u8]) -> Result<JointCommands<'a>, Fault>,
}

static TYPES: [CommandType; 2] = [
    CommandType { name: "trajectory_msgs/msg/JointTrajectory", read: trajectory },
    CommandType { name: "sensor_msgs/msg/JointState", read: state },
];

/// The type of commands among the types that a topic has, if one is.
pub(crate) fn find_type<'a>(types: impl Iterator<Item = &'a str>) -> Option<&'static CommandType> {
    let names: Vec<_> = types.collect();
    TYPES.iter().find(|known| names.contains(&known.name))
}

/// What a message asks of the joints that it names.
#[derive(Debug)]
pub(crate) struct JointCommands<'a> {
    stamp: Stamp,
    names: Vec<&'a [u8]>,
    point: Point<'a>,
    order: ByteOrder,
}

/// What is asked of the joints at one time; values are by the index of the joint.
#[derive(Debug, Default)]
struct Point<'a> {
    positions: Doubles<'a>,
    velocities: Doubles<'a>,
    allowed_ns: u64,
}

impl<'a> JointCommands<'a> {
    /// Reads what all commands begin with; nothing is asked yet.
    fn open(message: &'a [u8]) -> Result<(Self, Reader<'a>), Fault> {
        let mut reader = Reader::open(message)?;
        let stamp = reader.stamp()?;
        let _frame_id = reader.string()?;
        let count = reader.count(COUNT_MAX)?;
        // Not reserved in advance: a count is a claim.
        let names = (0..count).map(|_| reader.string()).collect::<Result<_, _>>()?;
        Ok((Self { stamp, names, point: Point::default(), order: reader.order() }, reader))
    }

    /// The same, but asking for this.
    fn asking(self, point: Point<'a>) -> Result<Self, Fault> {
        if point.positions.len().max(point.velocities.len()) > self.names.len() {
            return Err(Fault::LengthMismatch);
        }
        Ok(Self { point, ..self })
    }

    /// How far ahead of this time the stamp is, from which on the joints are asked: nothing for one of zero, which stands for
    /// now, nor for one of a simulation's clock, which is not known here.
    pub(crate) fn ahead_ns(&self, system_time_ns: i64) -> u64 {
        let ahead_ns = self.stamp.clock_nanoseconds().saturating_sub(system_time_ns);
        u64::try_from(ahead_ns).unwrap_or_default()
    }

    /// Each joint with what is asked of it; a name that is not UTF-8 is no joint's.
    pub(crate) fn joints(&self) -> impl Iterator<Item = (&'a str, Command)> {
        let names = self.names.iter().enumerate();
        names.filter_map(|(index, name)| Some((str::from_utf8(name).ok()?, self.command(index))))
    }

    fn command(&self, index: usize) -> Command {
        let value = |values: Doubles<'_>| match (values.get(index), self.order) {
            (None, _) => f64::NAN,
            (Some(bytes), ByteOrder::Big) => f64::from_be_bytes(*bytes),
            (Some(bytes), ByteOrder::Little) => f64::from_le_bytes(*bytes),
        };
        let Point { positions, velocities, allowed_ns } = self.point;
        Command { position: value(positions), velocity: value(velocities), allowed_ns }
    }
}

/// Reads a trajectory, of which the last point counts; without one, it asks its joints for nothing.
fn trajectory(message: &[u8]) -> Result<JointCommands<'_>, Fault> {
    let (mut commands, mut reader) = JointCommands::open(message)?;
    for _ in 0..reader.count(COUNT_MAX)? {
        let [positions, velocities] = [reader.doubles(COUNT_MAX)?, reader.doubles(COUNT_MAX)?];
        let [_accelerations, _efforts] = [reader.doubles(COUNT_MAX)?, reader.doubles(COUNT_MAX)?];
        // A builtin_interfaces/msg/Duration lies in a message as a time does.
        let allowed_ns = u64::try_from(reader.stamp()?.clock_nanoseconds()).unwrap_or_default();
        commands = commands.asking(Point { positions, velocities, allowed_ns })?;
    }
    Ok(commands)
}

/// Reads a joint state that is meant as a command: the whole of it at once.
fn state(message: &[u8]) -> Result<JointCommands<'_>, Fault> {
    let (commands, mut reader) = JointCommands::open(message)?;
    let [positions, velocities, _efforts] =
        [reader.doubles(COUNT_MAX)?, reader.doubles(COUNT_MAX)?, reader.doubles(COUNT_MAX)?];
    commands.asking(Point { positions, velocities, allowed_ns: 0 })
}

#[cfg(test)]
mod tests {
    use r2r::WrappedTypesupport;
    use r2r::sensor_msgs::msg::JointState;

    use super::*;

    fn joint_state() -> Vec<u8> {
        let name = vec!["elbow".into(), "wrist".into()];
        let message = JointState { name, position: vec![1.5], velocity: vec![0.0, -2.0], ..Default::default() };
        message.to_serialized_bytes().expect("a serialized message")
    }

    /// A trajectory of two points, as rclpy serializes it: its package is not compiled in.
    fn joint_trajectory() -> Vec<u8> {
        let header = [&[0, 1, 0, 0][..], &[7, 0, 0, 0], &[0; 4], &[1, 0, 0, 0, 0, 0, 0, 0]].concat();
        let names = [&[1, 0, 0, 0, 6, 0, 0, 0][..], b"elbow\0", &[0; 2]].concat();
        let point = |second: u8, position: f64| {
            [&[1, 0, 0, 0][..], &position.to_le_bytes(), &[0; 12], &[second, 0, 0, 0, 5, 0, 0, 0]].concat()
        };
        [header, names, vec![2, 0, 0, 0], point(1, 0.5), point(2, 1.5)].concat()
    }

    fn told(commands: &JointCommands<'_>) -> Vec<(String, f64, f64, u64)> {
        let told = |(name, command): (&str, Command)| {
            (name.to_owned(), command.position, command.velocity, command.allowed_ns)
        };
        commands.joints().map(told).collect()
    }

    #[test]
    fn what_ros_has_serialized_is_read() {
        let message = joint_state();
        let told = told(&state(&message).expect("a command"));
        assert_eq!(told[0], ("elbow".to_owned(), 1.5, 0.0, 0));
        assert!(told[1].1.is_nan() && told[1].2 == -2.0, "{told:?}");
    }

    #[test]
    fn of_a_trajectory_the_last_point_counts() {
        let message = joint_trajectory();
        let commands = trajectory(&message).expect("a command");
        let (name, position, velocity, allowed_ns) = told(&commands).remove(0);
        assert_eq!((&*name, position, allowed_ns), ("elbow", 1.5, 2_000_000_005));
        let ahead = [5, 7, 9].map(|second| commands.ahead_ns(second * 1_000_000_000));
        assert_eq!(ahead, [2_000_000_000, 0, 0], "of its stamp");
        assert!(velocity.is_nan());
    }

    #[test]
    fn a_trajectory_without_points_asks_for_nothing() {
        let mut message = joint_trajectory();
        message[4 + 32] = 0;
        let (_, position, velocity, _) = told(&trajectory(&message).expect("a command")).remove(0);
        assert!(position.is_nan() && velocity.is_nan());
    }

    #[test]
    fn more_values_than_joints_are_refused() {
        let message = JointState { name: vec!["a".into()], velocity: vec![0.0; 2], ..Default::default() };
        let message = message.to_serialized_bytes().expect("a serialized message");
        assert_eq!(state(&message).err(), Some(Fault::LengthMismatch));
    }

    #[test]
    fn whatever_the_bytes_are_they_are_read_or_refused() {
        for (message, command_type) in [joint_trajectory(), joint_state()].iter().zip(&TYPES) {
            let is_read = |message: &[u8]| (command_type.read)(message).map(|commands| commands.joints().count());
            let whole = is_read(message);
            for length in 0..message.len() {
                let cut = is_read(&message[..length]);
                assert!(cut.is_err() || cut == whole, "{length}: {cut:?}");
            }
            for at in 0..message.len() {
                let mut garbled = message.clone();
                garbled[at] = 0xff;
                let _ = is_read(&garbled);
            }
        }
    }
}
