//! What the middleware itself says of a subscription: publishers that do not serve it, messages that it lost.
//!
//! The events are polled and have no callback: with one, rmw_fastrtps takes the lock of its listener and that of its
//! participant in both orders, and can stop for ever (ros2/rmw_fastrtps#890).

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr::{addr_of, addr_of_mut};
use std::sync::{Mutex, PoisonError};

use r2r_rcl::rcl_subscription_event_type_e::{
    RCL_SUBSCRIPTION_MESSAGE_LOST, RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS,
};
use r2r_rcl::*;

use crate::{Error, QosPolicy, error::check};

/// Counts since the subscription was made; zero where the middleware has no such event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QosEvents {
    /// Publishers that were found not to serve it.
    pub incompatible: u64,
    /// By which policy the last of them does not.
    pub last_policy: Option<QosPolicy>,
    /// Messages that the middleware knows to have lost.
    pub lost: u64,
}

/// The events of one subscription. To be dropped before it.
pub(crate) struct Events {
    incompatible: Option<Event>,
    lost: Option<Event>,
    /// The last counts: the middleware may tell them once.
    known: Mutex<QosEvents>,
}

struct Event(Box<UnsafeCell<rcl_event_t>>);

// SAFETY: rcl binds an event to no thread.
unsafe impl Send for Event {}
// SAFETY: after `Event::new` the structure is only read, by `take`, until it is dropped; takes are under `Events::known`.
unsafe impl Sync for Event {}

impl Events {
    /// # Safety
    /// `subscription` must be initialised and outlive what is returned.
    pub(crate) unsafe fn of(subscription: *const rcl_subscription_t) -> Self {
        // SAFETY: as of this function.
        let event = |kind| unsafe { Event::new(subscription, kind) };
        Self {
            incompatible: event(RCL_SUBSCRIPTION_REQUESTED_INCOMPATIBLE_QOS),
            lost: event(RCL_SUBSCRIPTION_MESSAGE_LOST),
            known: Mutex::default(),
        }
    }

    pub(crate) fn read(&self) -> Result<QosEvents, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = &self.incompatible {
            // SAFETY: the event is of the kind that fills in this structure.
            if let Some(status) = unsafe { event.take::<rmw_requested_qos_incompatible_event_status_t>() }? {
                let status = status.as_ptr();
                // SAFETY: the take has filled in the structure. The kind of policy is read as the number that it is:
                // a middleware may know more of them than this code does.
                let (count, kind) = unsafe {
                    ((*status).total_count, addr_of!((*status).last_policy_kind).cast::<u32>().read_unaligned())
                };
                known.incompatible = u64::try_from(count).unwrap_or(0);
                known.last_policy = policy(kind);
            }
        }
        if let Some(event) = &self.lost {
            // SAFETY: as above; every bit pattern of two numbers is one.
            if let Some(status) = unsafe { event.take::<rmw_message_lost_status_t>() }? {
                // SAFETY: the take has filled in the structure.
                known.lost = unsafe { status.assume_init() }.total_count as u64;
            }
        }
        Ok(*known)
    }
}

impl Event {
    /// An event of this kind; none where the middleware does not have it.
    ///
    /// # Safety
    /// `subscription` must be initialised and outlive the event.
    unsafe fn new(subscription: *const rcl_subscription_t, kind: rcl_subscription_event_type_e) -> Option<Self> {
        // SAFETY: no preconditions.
        let event = Self(Box::new(UnsafeCell::new(unsafe { rcl_get_zero_initialized_event() })));
        // SAFETY: the event is zero-initialised, the subscription initialised and alive for as long as the event.
        let code = unsafe { rcl_subscription_event_init(event.0.get(), subscription, kind) };
        check(code, "make an event of a subscription").ok().map(|()| event)
    }

    /// The status of the event, filled in; none where there is none to tell.
    ///
    /// # Safety
    /// `T` must be what rmw fills in for events of this kind.
    unsafe fn take<T>(&self) -> Result<Option<MaybeUninit<T>>, Error> {
        let mut status = MaybeUninit::<T>::zeroed();
        // SAFETY: the event is initialised, and `status` of the type that is filled in for it.
        let code = unsafe { rcl_take_event(self.0.get(), addr_of_mut!(status).cast()) };
        let taken = check(code, "take an event of a subscription");
        if code == RCL_RET_EVENT_TAKE_FAILED as rcl_ret_t { Ok(None) } else { taken.map(|()| Some(status)) }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: nothing else refers to the event, whose subscription is alive; a zero-initialised one is accepted.
        let _ = check(unsafe { rcl_event_fini(self.0.get_mut()) }, "end an event of a subscription");
    }
}

/// The policy of a `rmw_qos_policy_kind_t`, if it is one of those that are told apart here.
fn policy(kind: u32) -> Option<QosPolicy> {
    use rmw_qos_policy_kind_e::*;
    [
        (RMW_QOS_POLICY_RELIABILITY, QosPolicy::Reliability),
        (RMW_QOS_POLICY_DURABILITY, QosPolicy::Durability),
        (RMW_QOS_POLICY_DEADLINE, QosPolicy::Deadline),
        (RMW_QOS_POLICY_LIVELINESS, QosPolicy::Liveliness),
        (RMW_QOS_POLICY_LIVELINESS_LEASE_DURATION, QosPolicy::Liveliness),
    ]
    .into_iter()
    .find_map(|(known, policy)| (known as u32 == kind).then_some(policy))
}
