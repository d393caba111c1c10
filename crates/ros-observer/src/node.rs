//! A node: the owner of every endpoint.

use std::cell::UnsafeCell;
use std::ffi::CStr;
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use r2r_rcl::*;

use crate::context::{Context, c_string, take_string};
use crate::{Endpoint, Error, error::check, fast_dds};

/// A ROS node. Cheap to clone; the node leaves the graph when the last clone and the last endpoint are gone.
#[derive(Clone)]
pub struct Node {
    handle: Arc<NodeHandle>,
}

pub(crate) struct NodeHandle {
    rcl: Box<UnsafeCell<rcl_node_t>>,
    /// Held while endpoints are made or ended and while the graph is read: rcl does not promise that these may
    /// overlap on one node. Never taken where messages are received.
    changes: Mutex<()>,
    context: Arc<Context>,
}

// SAFETY: rcl nodes are not bound to a thread. Whatever is not documented as thread-safe is called under `changes`,
// and the box keeps the address stable.
unsafe impl Send for NodeHandle {}
// SAFETY: as above.
unsafe impl Sync for NodeHandle {}

impl Node {
    /// Makes a node; `name` and `namespace` give way to `__node` and `__ns` of the ROS arguments.
    ///
    /// # Errors
    /// When a name is not a legal ROS name, or the middleware refuses.
    pub fn new(context: &Arc<Context>, name: &str, namespace: &str) -> Result<Self, Error> {
        let operation = "make the node";
        let (name, namespace) = (c_string(name, operation)?, c_string(namespace, operation)?);
        let handle = NodeHandle {
            // SAFETY: a zero-initialised node is what rcl_node_init asks for.
            rcl: Box::new(UnsafeCell::new(unsafe { rcl_get_zero_initialized_node() })),
            changes: Mutex::new(()),
            context: Arc::clone(context),
        };
        // rmw_fastrtps makes the participant with the context's first node.
        fast_dds::offer_profile(context.domain_id());
        let changing = context.changing();
        // SAFETY: the strings outlive the call, the context is initialised and lives as long as the handle; the
        // options are default ones (nothing in them needs to be freed) with rosout off, since rcl's own logging,
        // which would feed it, is not used.
        let code = unsafe {
            let mut options = rcl_node_get_default_options();
            options.enable_rosout = false;
            rcl_node_init(handle.as_ptr(), name.as_ptr(), namespace.as_ptr(), context.as_ptr(), &options)
        };
        drop(changing);
        fast_dds::profile_is_read();
        check(code, operation)?;
        Ok(Self { handle: Arc::new(handle) })
    }

    /// The fully qualified name, after remapping: `/namespace/name`.
    pub fn fully_qualified_name(&self) -> String {
        self.name().to_string_lossy().into_owned()
    }

    /// Whether this is the node's fully qualified name.
    pub fn is_named(&self, full_name: &str) -> bool {
        self.name().to_bytes() == full_name.as_bytes()
    }

    /// Whether an endpoint that the graph has is this node's own.
    pub fn owns(&self, endpoint: &Endpoint) -> bool {
        endpoint.node.as_deref().is_some_and(|name| self.is_named(name))
    }

    fn name(&self) -> &CStr {
        // SAFETY: the node is initialised; the string belongs to it and stays as it is for as long as the node lives.
        unsafe { CStr::from_ptr(rcl_node_get_fully_qualified_name(self.handle.as_ptr())) }
    }

    /// The full name of a topic, with the node's namespace and its remappings.
    ///
    /// # Errors
    /// When the name is not a legal topic name.
    pub fn resolve_topic(&self, topic: &str) -> Result<String, Error> {
        self.resolve("resolve the topic's name", topic, false)
    }

    /// The full name of a service, with the node's namespace and its remappings.
    ///
    /// # Errors
    /// When the name is not a legal service name.
    pub fn resolve_service(&self, service: &str) -> Result<String, Error> {
        self.resolve("resolve the service's name", service, true)
    }

    fn resolve(&self, operation: &'static str, name: &str, is_service: bool) -> Result<String, Error> {
        let name = c_string(name, operation)?;
        let _guard = self.handle.changing();
        let mut resolved = ptr::null_mut();
        // SAFETY: the node is initialised, the name outlives the call; rcl writes an owned string or leaves null.
        let code = unsafe {
            let allocator = rcutils_get_default_allocator();
            rcl_node_resolve_name(self.handle.as_ptr(), name.as_ptr(), allocator, is_service, false, &mut resolved)
        };
        check(code, operation)?;
        // SAFETY: the call succeeded.
        Ok(unsafe { take_string(resolved) })
    }

    /// The context that the node was made in.
    pub fn context(&self) -> &Arc<Context> {
        &self.handle.context
    }

    pub(crate) fn handle(&self) -> &Arc<NodeHandle> {
        &self.handle
    }
}

impl NodeHandle {
    pub(crate) fn as_ptr(&self) -> *mut rcl_node_t {
        self.rcl.get()
    }

    /// To be held while an endpoint is made: as `changing`, and nobody else makes one in the process, since the type supports
    /// that all nodes share complete themselves on first use without a lock.
    pub(crate) fn adding(&self) -> (MutexGuard<'static, ()>, MutexGuard<'_, ()>) {
        static ADDING: Mutex<()> = Mutex::new(());
        (ADDING.lock().unwrap_or_else(PoisonError::into_inner), self.changing())
    }

    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for NodeHandle {
    fn drop(&mut self) {
        let context = Arc::clone(&self.context);
        let _changing = context.changing();
        // SAFETY: endpoints hold the node by `Arc`, so none is left; a node whose init failed is zero-initialised,
        // which fini accepts.
        let _ = check(unsafe { rcl_node_fini(self.rcl.get_mut()) }, "end the node");
    }
}
