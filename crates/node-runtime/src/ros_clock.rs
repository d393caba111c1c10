//! ROS time, to compare with the stamps in messages and for nothing else: it may stand still, jump or be absent.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use cdr::{Reader, Stamp};
use r2r::builtin_interfaces::msg::Time;
use ros_observer::{Error, Node, Qos, Spinner, Subscription, TakeIn};

use crate::Startup;

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

    /// As the node's parameter `use_sim_time` has it.
    ///
    /// # Panics
    /// When the node declares no such parameter: a fault of its own code.
    pub fn as_configured(startup: &Startup, spinner: &mut Spinner, take_in: TakeIn) -> Result<Self, Error> {
        match startup.parameters.get("use_sim_time") {
            true => Self::simulated(&startup.node, spinner, take_in),
            false => Ok(Self::system()),
        }
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

/// Nanoseconds since the epoch by the system's clock.
pub fn system_time_ns() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64)
}

/// The system's clock as ROS messages have it.
pub fn system_time() -> Time {
    let now_ns = system_time_ns();
    Time { sec: (now_ns / 1_000_000_000) as i32, nanosec: (now_ns % 1_000_000_000) as u32 }
}

/// The time in a serialized `rosgraph_msgs/msg/Clock`, which has no other field.
fn time_from_cdr(message: &[u8]) -> Option<i64> {
    Reader::open(message).and_then(|mut reader| reader.stamp()).ok().map(Stamp::clock_nanoseconds)
}
