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

/// What every serialized message begins with.
const ENCAPSULATION_BYTES: usize = 4;

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

    /// Publishes one message of the type that is serialized already: 4 bytes of encapsulation, then CDR. Nothing is checked
    /// but its length: whoever subscribes cannot read what is no message of the type.
    ///
    /// # Errors
    /// When there is no encapsulation, or the middleware does not take it.
    pub fn publish_serialized(&self, message: &[u8]) -> Result<(), Error> {
        let operation = "publish";
        if message.len() < ENCAPSULATION_BYTES {
            let reason = "it has no encapsulation header".to_owned();
            return Err(Error::new(operation, RCL_RET_INVALID_ARGUMENT as rcl_ret_t, reason));
        }
        // SAFETY: the allocator of a serialized message that is only read is never used; any valid one will do.
        let allocator = unsafe { rcutils_get_default_allocator() };
        let serialized = rcl_serialized_message_t {
            buffer: message.as_ptr().cast_mut(),
            buffer_length: message.len(),
            buffer_capacity: message.len(),
            allocator,
        };
        // SAFETY: the publisher is initialised; rcl takes the message as const, copies its bytes, which outlive the call,
        // and keeps nothing.
        let code = unsafe { rcl_publish_serialized_message(self.rcl.get(), &serialized, ptr::null_mut()) };
        check(code, operation)
    }

    /// How many subscriptions match.
    ///
    /// # Errors
    /// When the middleware does not say.
    pub fn subscription_count(&self) -> Result<usize, Error> {
        let mut count = 0;
        let _guard = self.node.changing();
        // SAFETY: the publisher is initialised; matching is counted under the middleware's own lock.
        let code = unsafe { rcl_publisher_get_subscription_count(self.rcl.get(), &mut count) };
        check(code, "count the subscriptions")?;
        Ok(count)
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
