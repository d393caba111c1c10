//! The graph as discovery sees it.

use std::ffi::{CStr, c_char};

use r2r_rcl::*;

use crate::context::c_string;
use crate::qos::{Qos, incompatibility};
use crate::{Error, Gid, Node, error::check};

/// One publisher of a topic, as discovery reports it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The publisher's identity, as in [`crate::MessageInfo`].
    pub gid: Gid,
    /// `/namespace/name` of the node; `None` where the peer is not a ROS node, or discovery has not come to it yet.
    pub node: Option<String>,
    /// The message type, for example `sensor_msgs/msg/JointState`.
    pub topic_type: String,
    qos: rmw_qos_profile_t,
}

impl Endpoint {
    /// Why this publisher cannot serve a subscription that asks for `requested`, naming the policy; `None` if it can.
    pub fn incompatibility(&self, requested: Qos) -> Option<String> {
        incompatibility(self.qos, requested.to_rmw())
    }
}

impl Node {
    /// Every publisher of a topic (its full name), also those that do not match a subscription of ours.
    pub fn publishers(&self, topic: &str) -> Result<Vec<Endpoint>, Error> {
        let operation = "list the publishers";
        let topic = c_string(topic, operation)?;
        let _guard = self.handle().changing();
        // SAFETY: the node is initialised, the topic NUL-terminated, the array zero-initialised; what rcl fills in is
        // read as documented (`size` initialised entries) and given back once with the same allocator.
        unsafe {
            let mut allocator = rcutils_get_default_allocator();
            let mut found = rmw_get_zero_initialized_topic_endpoint_info_array();
            let code = rcl_get_publishers_info_by_topic(
                self.handle().as_ptr(),
                &mut allocator,
                topic.as_ptr(),
                false,
                &mut found,
            );
            check(code, operation)?;
            let endpoints = (0..found.size).map(|i| endpoint(&*found.info_array.add(i))).collect();
            check(rmw_topic_endpoint_info_array_fini(&mut found, &mut allocator), operation)?;
            Ok(endpoints)
        }
    }
}

/// # Safety
/// `info` must be filled in by rcl.
unsafe fn endpoint(info: &rmw_topic_endpoint_info_t) -> Endpoint {
    // SAFETY: rcl fills these with NUL-terminated strings, or leaves them null.
    let text = |pointer: *const c_char| unsafe {
        if pointer.is_null() { String::new() } else { CStr::from_ptr(pointer).to_string_lossy().into_owned() }
    };
    Endpoint {
        gid: info.endpoint_gid,
        node: node_of(&text(info.node_namespace), &text(info.node_name)),
        topic_type: text(info.topic_type),
        qos: info.qos_profile,
    }
}

fn node_of(namespace: &str, name: &str) -> Option<String> {
    // What rmw_dds_common puts in the place of a name that it does not know.
    const UNKNOWN: &str = "_NODE_NAME_UNKNOWN_";
    (!name.is_empty() && name != UNKNOWN).then(|| format!("{}/{name}", namespace.trim_end_matches('/')))
}
