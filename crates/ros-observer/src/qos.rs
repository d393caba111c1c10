//! Quality of service, as far as an observer chooses or judges it.

use r2r_rcl::*;

/// Whether lost samples are sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Reliability {
    BestEffort,
    Reliable,
}

/// The QoS of an endpoint of ours: volatile, with a keep-last history of a fixed depth. The depth is never copied from
/// what a peer reports, since Fast DDS reports none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Qos {
    /// Reliability requested or offered.
    pub reliability: Reliability,
    /// Samples kept, at least 1.
    pub depth: usize,
}

impl Qos {
    /// Matches every publisher and never makes one wait.
    pub const fn best_effort(depth: usize) -> Self {
        Self { reliability: Reliability::BestEffort, depth }
    }

    /// Lost samples are sent again; only reliable publishers match.
    pub const fn reliable(depth: usize) -> Self {
        Self { reliability: Reliability::Reliable, depth }
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
            durability: rmw_qos_durability_policy_e::RMW_QOS_POLICY_DURABILITY_VOLATILE,
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
