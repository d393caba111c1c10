//! Which quality of service a topic is subscribed to with: the best that all its publishers offer.

use std::ops::RangeInclusive;

use ros_observer::{Durability, Endpoint, Qos, Reliability};
use unity_protocol::{Durability as WantedDurability, QosRequest, Reliability as WantedReliability};

/// Topics that are published once, by convention with transient local durability: the robot's description, in any namespace,
/// and the transforms that do not change (tf2_ros::StaticTransformBroadcaster).
const LATCHED: [&str; 2] = ["/tf_static", "/robot_description"];

/// Samples that the middleware keeps for us: it hands them out as they come, but that may take a while. What waits for the client
/// waits in its queue.
const DEPTHS: RangeInclusive<usize> = 10..=100;

/// Whether a topic of this full name is published once, by convention.
pub(crate) fn is_latched(topic: &str) -> bool {
    LATCHED.iter().any(|latched| topic.ends_with(latched))
}

/// What one publisher offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) is_reliable: bool,
    pub(crate) is_latched: bool,
}

impl From<&Endpoint> for Offer {
    fn from(publisher: &Endpoint) -> Self {
        Self { is_reliable: publisher.is_reliable(), is_latched: publisher.is_latched() }
    }
}

/// For a topic of this full name whose publishers offer this; what the client asks for goes first.
pub(crate) fn subscription_qos(topic: &str, offers: &[Offer], wanted: QosRequest, depth: usize) -> Qos {
    let durability = match wanted.durability {
        Some(WantedDurability::TransientLocal) => Durability::TransientLocal,
        Some(WantedDurability::Volatile) => Durability::Volatile,
        // Whoever publishes them otherwise is at fault, and not to keep the others' from who comes late.
        None if is_latched(topic) => Durability::TransientLocal,
        None if !offers.is_empty() && offers.iter().all(|offer| offer.is_latched) => Durability::TransientLocal,
        None => Durability::Volatile,
    };
    let all_reliable = match offers {
        // What was published before comes to reliable subscriptions only.
        [] => durability == Durability::TransientLocal,
        offers => offers.iter().all(|offer| offer.is_reliable),
    };
    let reliability = match wanted.reliability {
        Some(WantedReliability::Reliable) => Reliability::Reliable,
        Some(WantedReliability::BestEffort) => Reliability::BestEffort,
        None if all_reliable => Reliability::Reliable,
        None => Reliability::BestEffort,
    };
    Qos { reliability, durability, depth: depth.clamp(*DEPTHS.start(), *DEPTHS.end()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELIABLE: Offer = Offer { is_reliable: true, is_latched: false };
    const BEST_EFFORT: Offer = Offer { is_reliable: false, is_latched: false };
    const LATCHING: Offer = Offer { is_reliable: true, is_latched: true };

    fn chosen(topic: &str, offers: &[Offer], wanted: QosRequest) -> (Reliability, Durability) {
        let qos = subscription_qos(topic, offers, wanted, 1);
        (qos.reliability, qos.durability)
    }

    #[test]
    fn the_best_that_all_publishers_offer_is_asked_for() {
        let any = QosRequest::default();
        let volatile = Durability::Volatile;
        for (offers, expected) in [
            (&[][..], (Reliability::BestEffort, volatile)),
            (&[RELIABLE], (Reliability::Reliable, volatile)),
            (&[RELIABLE, BEST_EFFORT], (Reliability::BestEffort, volatile)),
            (&[LATCHING], (Reliability::Reliable, Durability::TransientLocal)),
            (&[LATCHING, RELIABLE], (Reliability::Reliable, volatile)),
        ] {
            assert_eq!(chosen("/scan", offers, any), expected, "{offers:?}");
        }
    }

    #[test]
    fn what_is_latched_by_convention_is_asked_for_so_whoever_publishes() {
        let any = QosRequest::default();
        for topic in ["/tf_static", "/robot_description", "/robot1/robot_description"] {
            for offers in [&[][..], &[RELIABLE], &[LATCHING]] {
                assert_eq!(chosen(topic, offers, any), (Reliability::Reliable, Durability::TransientLocal), "{topic}");
            }
        }
        assert_eq!(chosen("/my_tf_static", &[], any), (Reliability::BestEffort, Durability::Volatile));
    }

    #[test]
    fn what_the_client_asks_for_goes_first() {
        let wanted = |reliability, durability| QosRequest { reliability, durability };
        let best_effort = wanted(Some(WantedReliability::BestEffort), None);
        assert_eq!(chosen("/scan", &[LATCHING], best_effort), (Reliability::BestEffort, Durability::TransientLocal));
        let latched = wanted(None, Some(WantedDurability::TransientLocal));
        assert_eq!(chosen("/scan", &[], latched), (Reliability::Reliable, Durability::TransientLocal));
        let reliable = wanted(Some(WantedReliability::Reliable), Some(WantedDurability::Volatile));
        assert_eq!(chosen("/tf_static", &[BEST_EFFORT], reliable), (Reliability::Reliable, Durability::Volatile));
    }
}
