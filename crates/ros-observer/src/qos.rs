//! Quality of service, as far as an observer chooses or judges it.

use std::time::Duration;

use r2r_rcl::*;

/// Whether lost samples are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reliability {
    BestEffort,
    Reliable,
}

/// Whether a subscription gets what was published before it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Durability {
    Volatile,
    TransientLocal,
}

/// A policy by which a publisher can fail to serve a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum QosPolicy {
    Reliability,
    Durability,
    Deadline,
    Liveliness,
}

impl QosPolicy {
    /// Every policy, in the order in which ROS documents them.
    pub const ALL: [Self; 4] = [Self::Reliability, Self::Durability, Self::Deadline, Self::Liveliness];

    /// The name in ROS's own documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reliability => "reliability",
            Self::Durability => "durability",
            Self::Deadline => "deadline",
            Self::Liveliness => "liveliness",
        }
    }
}

/// The QoS of an endpoint of ours: a keep-last history of a fixed depth. The depth is never copied from what a peer
/// reports, since Fast DDS reports none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qos {
    /// Reliability requested or offered.
    pub reliability: Reliability,
    /// Durability requested or offered.
    pub durability: Durability,
    /// Samples kept, at least 1.
    pub depth: usize,
}

impl Qos {
    /// Matches every publisher and never makes one wait. Volatile.
    pub const fn best_effort(depth: usize) -> Self {
        Self { reliability: Reliability::BestEffort, durability: Durability::Volatile, depth }
    }

    /// Lost samples are sent again; only reliable publishers match. Volatile.
    pub const fn reliable(depth: usize) -> Self {
        Self { reliability: Reliability::Reliable, ..Self::best_effort(depth) }
    }

    /// As a topic that is published once is asked for: reliable, and what was published before comes too.
    pub const fn latched(depth: usize) -> Self {
        Self { durability: Durability::TransientLocal, ..Self::reliable(depth) }
    }

    pub(crate) fn to_rmw(self) -> rmw_qos_profile_t {
        const UNSPECIFIED: rmw_time_s = rmw_time_s { sec: 0, nsec: 0 };
        rmw_qos_profile_t {
            history: rmw_qos_history_policy_e::RMW_QOS_POLICY_HISTORY_KEEP_LAST,
            depth: self.depth,
            reliability: match self.reliability {
                Reliability::BestEffort => rmw_qos_reliability_policy_e::RMW_QOS_POLICY_RELIABILITY_BEST_EFFORT,
                Reliability::Reliable => rmw_qos_reliability_policy_e::RMW_QOS_POLICY_RELIABILITY_RELIABLE,
            },
            durability: match self.durability {
                Durability::Volatile => rmw_qos_durability_policy_e::RMW_QOS_POLICY_DURABILITY_VOLATILE,
                Durability::TransientLocal => rmw_qos_durability_policy_e::RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL,
            },
            deadline: UNSPECIFIED,
            lifespan: UNSPECIFIED,
            liveliness: rmw_qos_liveliness_policy_e::RMW_QOS_POLICY_LIVELINESS_SYSTEM_DEFAULT,
            liveliness_lease_duration: UNSPECIFIED,
            avoid_ros_namespace_conventions: false,
        }
    }
}

/// Why a publisher's offer does not serve a subscription, in the middleware's words; `None` where it does.
pub(crate) fn incompatibility(offered: rmw_qos_profile_t, requested: rmw_qos_profile_t) -> Option<String> {
    let mut compatibility = rmw_qos_compatibility_type_e::RMW_QOS_COMPATIBILITY_OK;
    let mut reason = [0 as std::ffi::c_char; 512];
    // SAFETY: both profiles are plain values; `reason` has the size that is named, and the function ends what it
    // writes with NUL.
    let code = unsafe {
        rmw_qos_profile_check_compatible(offered, requested, &mut compatibility, reason.as_mut_ptr(), reason.len())
    };
    if code != RMW_RET_OK as i32 || compatibility != rmw_qos_compatibility_type_e::RMW_QOS_COMPATIBILITY_ERROR {
        return None;
    }
    let text: Vec<u8> = reason.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    Some(String::from_utf8_lossy(&text).trim_end_matches(';').replace("ERROR: ", ""))
}

/// The policies by which a publisher's offer does not serve a subscription. The middleware is asked about each alone: a
/// request that differs from the offer in that policy only.
pub(crate) fn incompatible_policies(offered: rmw_qos_profile_t, requested: rmw_qos_profile_t) -> Vec<QosPolicy> {
    let differs_in = |policy| {
        let mut alone = offered;
        match policy {
            QosPolicy::Reliability => alone.reliability = requested.reliability,
            QosPolicy::Durability => alone.durability = requested.durability,
            QosPolicy::Deadline => alone.deadline = requested.deadline,
            QosPolicy::Liveliness => {
                alone.liveliness = requested.liveliness;
                alone.liveliness_lease_duration = requested.liveliness_lease_duration;
            }
        }
        incompatibility(offered, alone).is_some()
    };
    QosPolicy::ALL.into_iter().filter(|policy| differs_in(*policy)).collect()
}

/// A duration of a profile; `None` where it is not specified or infinite, which mean the same to a watcher.
pub(crate) fn finite(duration: rmw_time_s) -> Option<Duration> {
    // RMW_DURATION_INFINITE and whatever is beyond it, as some middlewares report it.
    const INFINITE_SECONDS: u64 = 9_223_372_036;
    let is_given = (duration.sec, duration.nsec) != (0, 0);
    (is_given && duration.sec < INFINITE_SECONDS)
        .then(|| Duration::from_secs(duration.sec) + Duration::from_nanos(duration.nsec))
}
