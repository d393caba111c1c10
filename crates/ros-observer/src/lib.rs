//! A node that watches: rcl behind a small, safe interface.
//!
//! r2r generates the message types and binds rcl; its own `Node` hides what an observer exists to see (who sent a
//! message, when, with which sequence number) and drops messages without a trace. So this crate talks to rcl itself:
//! serialized messages with their origin, the graph with the QoS of every endpoint, services and publishers, and
//! one wait set.
//!
//! Invariant: every `unsafe` of the project is in here, each block with its proof, and no use of the public interface
//! can reach undefined behaviour. Not for: deciding anything about the data, HTTP, configuration.

use std::sync::OnceLock;

mod announced;
mod client;
mod context;
mod end;
mod error;
mod fast_dds;
mod graph;
mod guard;
mod message_form;
mod message_type;
mod node;
mod publisher;
mod qos;
mod qos_events;
mod serialized;
mod service;
mod service_endpoint;
mod service_type;
mod spin;
mod spinner_handle;
mod subscription;

pub use client::{Client, ResponseInfo, SerializedClient};
pub use context::{Context, LogLevel, ParameterOverrides};
pub use end::end_process;
pub use error::Error;
pub use graph::{Endpoint, NamesAndTypes};
pub use guard::GuardCondition;
pub use message_type::MessageType;
pub use node::Node;
pub use publisher::{Publisher, SerializedPublisher};
pub use qos::{Durability, Qos, QosPolicy, Reliability};
pub use qos_events::QosEvents;
pub use service::{Reply, SerializedService, Service};
pub use service_endpoint::RequestId;
pub use service_type::ServiceType;
pub use spin::{Spinner, Turn};
pub use spinner_handle::SpinnerHandle;
pub use subscription::{Gid, MessageInfo, Subscription, SubscriptionProbe, TakeIn};

/// The middleware that this process runs on, for example `rmw_fastrtps_cpp`.
pub fn middleware() -> &'static str {
    static IDENTIFIER: OnceLock<&str> = OnceLock::new();
    IDENTIFIER.get_or_init(|| {
        let _starting = context::starting();
        // SAFETY: the function has no preconditions but that no other thread loads the library at the same time; it
        // returns a string that lives as long as that, which is never unloaded.
        let identifier = unsafe { std::ffi::CStr::from_ptr(r2r_rcl::rmw_get_implementation_identifier()) };
        identifier.to_str().unwrap_or("unknown")
    })
}
