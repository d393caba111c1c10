//! A typed publisher.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use r2r::WrappedTypesupport;
use r2r_rcl::*;

use crate::context::c_string;
use crate::node::NodeHandle;
use crate::{Error, Node, Qos, error::check};

/// Publishes messages of one type on one topic.
pub struct Publisher<T> {
    rcl: Box<UnsafeCell<rcl_publisher_t>>,
    node: Arc<NodeHandle>,
    _type: PhantomData<fn(&T)>,
}

// SAFETY: rcl documents publishing as thread-safe; init and fini happen under the node's lock.
unsafe impl<T> Send for Publisher<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Publisher<T> {}

impl<T: WrappedTypesupport> Publisher<T> {
    /// Advertises `topic`, relative to the node's namespace unless it begins with `/`.
    pub fn new(node: &Node, topic: &str, qos: Qos) -> Result<Self, Error> {
        let operation = "make a publisher";
        let topic = c_string(topic, operation)?;
        // SAFETY: the publisher is zero-initialised, the node is initialised and kept alive by the publisher, the type
        // support is static, the topic outlives the call.
        unsafe {
            let publisher = Self {
                rcl: Box::new(UnsafeCell::new(rcl_get_zero_initialized_publisher())),
                node: Arc::clone(node.handle()),
                _type: PhantomData,
            };
            let mut options = rcl_publisher_get_default_options();
            options.qos = qos.to_rmw();
            let guard = node.handle().adding();
            let code =
                rcl_publisher_init(publisher.rcl.get(), node.handle().as_ptr(), T::get_ts(), topic.as_ptr(), &options);
            // Before a publisher that was refused is dropped, which takes the lock again.
            drop(guard);
            check(code, operation)?;
            Ok(publisher)
        }
    }

    /// Publishes one message.
    pub fn publish(&self, message: &T) -> Result<(), Error> {
        let native = T::create_msg();
        // SAFETY: `create_msg` gives an initialised message of T's C type, which is filled, published (rcl copies it)
        // and destroyed once.
        let code = unsafe {
            message.copy_to_native(&mut *native);
            rcl_publish(self.rcl.get(), native.cast(), ptr::null_mut())
        };
        T::destroy_msg(native);
        check(code, "publish")
    }
}

impl<T> Drop for Publisher<T> {
    fn drop(&mut self) {
        let node = Arc::clone(&self.node);
        let _guard = node.changing();
        // SAFETY: the node is alive, nothing else refers to this publisher; a zero-initialised one is accepted.
        let _ = check(unsafe { rcl_publisher_fini(self.rcl.get_mut(), node.as_ptr()) }, "end a publisher");
    }
}
