//! ROS time, to compare with the stamps in messages and for nothing else: it may stand still, jump or be absent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ros_observer::{Error, Node, Qos, Spinner, Subscription, TakeIn};

/// No message on `/clock` yet.
const UNKNOWN: i64 = i64::MIN;

/// The system's clock, or `/clock` with `use_sim_time`.
#[derive(Clone)]
pub struct RosClock {
    source: Source,
}

#[derive(Clone)]
enum Source {
    System,
    Simulated { latest_ns: Arc<AtomicI64>, _subscription: Arc<Subscription> },
}

impl RosClock {
    /// The system's clock.
    pub fn system() -> Self {
        Self { source: Source::System }
    }

    /// The time on `/clock`, taken where it arrives; best effort of depth 1, as every ROS client library asks for it.
    pub fn simulated(node: &Node, spinner: &mut Spinner, take_in: TakeIn) -> Result<Self, Error> {
        let latest_ns = Arc::new(AtomicI64::new(UNKNOWN));
        let writer = Arc::clone(&latest_ns);
        let subscription = Subscription::new::<r2r::rosgraph_msgs::msg::Clock>(
            node,
            "/clock",
            Qos::best_effort(1),
            take_in,
            move |message, _| {
                if let Some(time_ns) = time_from_cdr(message) {
                    writer.store(time_ns, Ordering::Relaxed);
                }
            },
        )?;
        spinner.add_subscription(&subscription);
        Ok(Self { source: Source::Simulated { latest_ns, _subscription: Arc::new(subscription) } })
    }

    /// Whether there is no ROS time because `/clock` has said nothing yet.
    pub fn is_waiting(&self) -> bool {
        self.at_reception_ns(0).is_none()
    }

    /// Nanoseconds since the epoch of ROS time at the moment at which a message was received: `received_ns` is the
    /// system's clock then, as the middleware read it, or 0 where it does not say. `None` before the first `/clock`.
    pub fn at_reception_ns(&self, received_ns: i64) -> Option<i64> {
        match &self.source {
            Source::System if received_ns > 0 => Some(received_ns),
            Source::System => Some(system_time_ns()),
            Source::Simulated { latest_ns, .. } => {
                Some(latest_ns.load(Ordering::Relaxed)).filter(|time_ns| *time_ns != UNKNOWN)
            }
        }
    }
}

fn system_time_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// `rosgraph_msgs/msg/Clock` in CDR: 4 bytes of encapsulation, of which the second says the byte order, then
/// `int32 sec` and `uint32 nanosec`.
fn time_from_cdr(message: &[u8]) -> Option<i64> {
    let (encapsulation, body) = message.split_first_chunk::<4>()?;
    let (sec, rest) = body.split_first_chunk::<4>()?;
    let (nanosec, _) = rest.split_first_chunk::<4>()?;
    let (sec, nanosec) = match encapsulation[1] {
        0 => (i32::from_be_bytes(*sec), u32::from_be_bytes(*nanosec)),
        1 => (i32::from_le_bytes(*sec), u32::from_le_bytes(*nanosec)),
        _ => return None,
    };
    Some(i64::from(sec) * 1_000_000_000 + i64::from(nanosec))
}

#[cfg(test)]
mod tests {
    use super::time_from_cdr;

    #[test]
    fn clock_messages_are_read_in_both_byte_orders_and_short_ones_are_not() {
        let little = [0, 1, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0];
        let big = [0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 5];
        assert_eq!(time_from_cdr(&little), Some(2_000_000_005));
        assert_eq!(time_from_cdr(&big), Some(2_000_000_005));
        for length in 0..little.len() {
            assert_eq!(time_from_cdr(&little[..length]), None);
        }
        assert_eq!(time_from_cdr(&[0, 7, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0]), None);
    }
}
