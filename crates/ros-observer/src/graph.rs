//! The graph as discovery sees it.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use r2r_rcl::*;

use crate::context::c_string;
use crate::qos::{Qos, QosPolicy, finite, incompatibility, incompatible_policies};
use crate::{Error, Gid, Node, error::check};

/// One publisher or subscription of a topic, as discovery reports it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The endpoint's identity. Under Fast DDS a publisher's is that of [`crate::MessageInfo`]; under Cyclone DDS messages
    /// have another, which no endpoint has.
    pub gid: Gid,
    /// `/namespace/name` of the node; `None` where the peer is not a ROS node, or discovery has not come to it yet.
    pub node: Option<String>,
    /// The message type, for example `sensor_msgs/msg/JointState`.
    pub topic_type: String,
    qos: rmw_qos_profile_t,
}

/// Names of topics or services, each with its types: more than one where peers disagree.
pub type NamesAndTypes = BTreeMap<String, Vec<String>>;

impl Endpoint {
    /// Why this publisher cannot serve a subscription that asks for `requested`, naming the policy; `None` if it can.
    pub fn incompatibility(&self, requested: Qos) -> Option<String> {
        incompatibility(self.qos, requested.to_rmw())
    }

    /// The policies by which this publisher cannot serve `subscription`; none if it can.
    pub fn incompatible_policies(&self, subscription: &Endpoint) -> Vec<QosPolicy> {
        match incompatibility(self.qos, subscription.qos) {
            Some(_) => incompatible_policies(self.qos, subscription.qos),
            None => Vec::new(),
        }
    }

    /// Whether it keeps what was published for subscriptions that come later.
    pub fn is_latched(&self) -> bool {
        self.qos.durability == rmw_qos_durability_policy_e::RMW_QOS_POLICY_DURABILITY_TRANSIENT_LOCAL
    }

    /// Whether what is lost is sent again.
    pub fn is_reliable(&self) -> bool {
        self.qos.reliability == rmw_qos_reliability_policy_e::RMW_QOS_POLICY_RELIABILITY_RELIABLE
    }

    /// The longest time between messages that is offered or asked for, where there is one.
    pub fn deadline(&self) -> Option<Duration> {
        finite(self.qos.deadline)
    }
}

impl Node {
    /// Every topic that somebody publishes or subscribes to.
    pub fn topics(&self) -> Result<NamesAndTypes, Error> {
        // SAFETY: the node is initialised.
        self.names_and_types("list the topics", |allocator, found| unsafe {
            rcl_get_topic_names_and_types(self.handle().as_ptr(), allocator, false, found)
        })
    }

    /// Every service that somebody offers or asks.
    pub fn services(&self) -> Result<NamesAndTypes, Error> {
        // SAFETY: the node is initialised.
        self.names_and_types("list the services", |allocator, found| unsafe {
            rcl_get_service_names_and_types(self.handle().as_ptr(), allocator, found)
        })
    }

    /// The topics that the node of this full name publishes.
    pub fn topics_published_by(&self, node: &str) -> Result<NamesAndTypes, Error> {
        self.topics_of("list a node's publishers", node, rcl_get_publisher_names_and_types_by_node)
    }

    /// The topics that the node of this full name subscribes to.
    pub fn topics_subscribed_by(&self, node: &str) -> Result<NamesAndTypes, Error> {
        self.topics_of("list a node's subscriptions", node, rcl_get_subscriber_names_and_types_by_node)
    }

    fn topics_of(&self, operation: &'static str, node: &str, list: ListTopics) -> Result<NamesAndTypes, Error> {
        let (namespace, name) = split(node)?;
        // SAFETY: the node is initialised, the names are NUL-terminated.
        self.names_and_types(operation, |allocator, found| unsafe {
            list(self.handle().as_ptr(), allocator, false, name.as_ptr(), namespace.as_ptr(), found)
        })
    }

    /// The services that the node of this full name offers.
    pub fn services_of(&self, node: &str) -> Result<NamesAndTypes, Error> {
        let (namespace, name) = split(node)?;
        // SAFETY: the node is initialised, the names are NUL-terminated.
        self.names_and_types("list a node's services", |allocator, found| unsafe {
            let (name, namespace) = (name.as_ptr(), namespace.as_ptr());
            rcl_get_service_names_and_types_by_node(self.handle().as_ptr(), allocator, name, namespace, found)
        })
    }

    /// `list` gets a zero-initialised structure, which it fills in.
    fn names_and_types(
        &self,
        operation: &'static str,
        list: impl FnOnce(*mut rcl_allocator_t, *mut rcl_names_and_types_t) -> rcl_ret_t,
    ) -> Result<NamesAndTypes, Error> {
        let _guard = self.handle().changing();
        // SAFETY: the structure is zero-initialised; rcl fills in as many lists of types as names, which are given back
        // once.
        unsafe {
            let mut allocator = rcutils_get_default_allocator();
            let mut found = rmw_get_zero_initialized_names_and_types();
            check(list(&mut allocator, &mut found), operation)?;
            let types = |index| texts(&*found.types.add(index));
            let all = texts(&found.names).into_iter().enumerate().map(|(index, name)| (name, types(index))).collect();
            check(rcl_names_and_types_fini(&mut found), operation)?;
            Ok(all)
        }
    }

    /// The full name of every node, in order; twice where two nodes share it, which ROS does not forbid.
    pub fn nodes(&self) -> Result<Vec<String>, Error> {
        let operation = "list the nodes";
        let _guard = self.handle().changing();
        // SAFETY: the node is initialised and both arrays zero-initialised; rcl fills in as many names as namespaces,
        // which are given back once.
        unsafe {
            let (mut names, mut namespaces) =
                (rcutils_get_zero_initialized_string_array(), rcutils_get_zero_initialized_string_array());
            let allocator = rcutils_get_default_allocator();
            check(rcl_get_node_names(self.handle().as_ptr(), allocator, &mut names, &mut namespaces), operation)?;
            let pairs = texts(&namespaces).into_iter().zip(texts(&names));
            let mut nodes: Vec<String> = pairs.filter_map(|(namespace, name)| node_of(&namespace, &name)).collect();
            check(rcutils_string_array_fini(&mut names), operation)?;
            check(rcutils_string_array_fini(&mut namespaces), operation)?;
            nodes.sort();
            Ok(nodes)
        }
    }

    /// Every publisher of a topic (its full name), also those that do not match a subscription of ours.
    pub fn publishers(&self, topic: &str) -> Result<Vec<Endpoint>, Error> {
        self.endpoints("list the publishers", topic, rcl_get_publishers_info_by_topic)
    }

    /// Every subscription of a topic (its full name), ours too.
    pub fn subscriptions(&self, topic: &str) -> Result<Vec<Endpoint>, Error> {
        self.endpoints("list the subscriptions", topic, rcl_get_subscriptions_info_by_topic)
    }

    fn endpoints(&self, operation: &'static str, topic: &str, list: ListEndpoints) -> Result<Vec<Endpoint>, Error> {
        let topic = c_string(topic, operation)?;
        let _guard = self.handle().changing();
        // SAFETY: the node is initialised, the topic NUL-terminated, the array zero-initialised; what rcl fills in is
        // read as documented (`size` initialised entries) and given back once with the same allocator.
        unsafe {
            let mut allocator = rcutils_get_default_allocator();
            let mut found = rmw_get_zero_initialized_topic_endpoint_info_array();
            check(list(self.handle().as_ptr(), &mut allocator, topic.as_ptr(), false, &mut found), operation)?;
            let endpoints = (0..found.size).map(|i| endpoint(&*found.info_array.add(i))).collect();
            check(rmw_topic_endpoint_info_array_fini(&mut found, &mut allocator), operation)?;
            Ok(endpoints)
        }
    }
}

/// rcl's functions that list the topics of a node.
type ListTopics = unsafe extern "C" fn(
    *const rcl_node_t,
    *mut rcl_allocator_t,
    bool,
    *const c_char,
    *const c_char,
    *mut rcl_names_and_types_t,
) -> rcl_ret_t;

/// rcl's functions that list the endpoints of a topic.
type ListEndpoints = unsafe extern "C" fn(
    *const rcl_node_t,
    *mut rcutils_allocator_t,
    *const c_char,
    bool,
    *mut rcl_topic_endpoint_info_array_t,
) -> rcl_ret_t;

/// # Safety
/// `array` must be filled in by rcl.
unsafe fn texts(array: &rcutils_string_array_t) -> Vec<String> {
    // SAFETY: `size` NUL-terminated strings.
    let text = |index| unsafe { CStr::from_ptr(*array.data.add(index)) }.to_string_lossy().into_owned();
    (0..array.size).map(text).collect()
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

/// Namespace and name of a node's full name.
fn split(node: &str) -> Result<(CString, CString), Error> {
    let operation = "look at a node";
    let (namespace, name) = node.rsplit_once('/').unwrap_or_default();
    let namespace = if namespace.is_empty() { "/" } else { namespace };
    Ok((c_string(namespace, operation)?, c_string(name, operation)?))
}

fn node_of(namespace: &str, name: &str) -> Option<String> {
    // What rmw_dds_common puts in the place of a name that it does not know.
    const UNKNOWN: &str = "_NODE_NAME_UNKNOWN_";
    (!name.is_empty() && name != UNKNOWN).then(|| format!("{}/{name}", namespace.trim_end_matches('/')))
}
