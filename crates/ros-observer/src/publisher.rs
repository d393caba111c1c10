//! Publishers: of one compiled-in type, or of serialized messages of any installed one.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::Arc;

use r2r::WrappedTypesupport;
use r2r_rcl::*;

use crate::context::c_string;
use crate::message_form::{CompiledForm, NativeMessage};
use crate::node::NodeHandle;
use crate::serialized::as_serialized;
use crate::{Error, Gid, MessageType, Node, Qos, error::check};

/// Publishes messages of one type on one topic.
pub struct Publisher<T> {
    serialized: SerializedPublisher,
    _type: PhantomData<fn(&T)>,
}

impl<T: WrappedTypesupport> Publisher<T> {
    /// Advertises `topic`, relative to the node's namespace unless it begins with `/`.
    pub fn new(node: &Node, topic: &str, qos: Qos) -> Result<Self, Error> {
        let serialized = SerializedPublisher::new(MessageType::of::<T>(), node, topic, qos)?;
        Ok(Self { serialized, _type: PhantomData })
    }

    /// Publishes one message.
    pub fn publish(&self, message: &T) -> Result<(), Error> {
        let form = CompiledForm::<T>::default();
        let native = NativeMessage::filled(&form, message)?;
        // SAFETY: the publisher is initialised, for messages of T's C type, of which rcl copies one.
        let code = unsafe { rcl_publish(self.serialized.rcl.get(), native.as_ptr(), ptr::null_mut()) };
        check(code, "publish")
    }

    /// As [`SerializedPublisher::publish`].
    ///
    /// # Errors
    /// As of that.
    pub fn publish_serialized(&self, message: &[u8]) -> Result<(), Error> {
        self.serialized.publish(message)
    }

    /// As [`SerializedPublisher::subscription_count`].
    ///
    /// # Errors
    /// As of that.
    pub fn subscription_count(&self) -> Result<usize, Error> {
        self.serialized.subscription_count()
    }
}

/// Publishes on one topic messages that are serialized already, of any installed type.
pub struct SerializedPublisher {
    rcl: Box<UnsafeCell<rcl_publisher_t>>,
    node: Arc<NodeHandle>,
}

// SAFETY: rcl documents publishing as thread-safe; init and fini happen under the node's lock.
unsafe impl Send for SerializedPublisher {}
// SAFETY: as above.
unsafe impl Sync for SerializedPublisher {}

impl SerializedPublisher {
    /// Advertises `topic`, relative to the node's namespace unless it begins with `/`.
    ///
    /// # Errors
    /// When the name is not legal, or the middleware refuses.
    pub fn new(message_type: MessageType, node: &Node, topic: &str, qos: Qos) -> Result<Self, Error> {
        let operation = "make a publisher";
        let topic = c_string(topic, operation)?;
        // SAFETY: the publisher is zero-initialised, the node is initialised and kept alive by the publisher, the type
        // support is static, the topic outlives the call.
        unsafe {
            let publisher = Self {
                rcl: Box::new(UnsafeCell::new(rcl_get_zero_initialized_publisher())),
                node: Arc::clone(node.handle()),
            };
            let mut options = rcl_publisher_get_default_options();
            options.qos = qos.to_rmw();
            let guard = node.handle().adding();
            let (node, support) = (node.handle().as_ptr(), message_type.as_ptr());
            let code = rcl_publisher_init(publisher.rcl.get(), node, support, topic.as_ptr(), &options);
            // Before a publisher that was refused is dropped, which takes the lock again.
            drop(guard);
            check(code, operation)?;
            Ok(publisher)
        }
    }

    /// Publishes one message of the type: 4 bytes of encapsulation, then CDR. Nothing is checked but its length: whoever
    /// subscribes cannot read what is no message of the type.
    ///
    /// # Errors
    /// When there is no encapsulation, or the middleware does not take it.
    pub fn publish(&self, message: &[u8]) -> Result<(), Error> {
        let operation = "publish";
        let serialized = as_serialized(message, operation)?;
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

    /// The publisher's identity, as it comes with its messages.
    ///
    /// # Errors
    /// When the middleware does not say.
    pub fn gid(&self) -> Result<Gid, Error> {
        let mut gid = rmw_gid_t { implementation_identifier: ptr::null(), data: Gid::default() };
        // SAFETY: the publisher is initialised, so it has a handle of the middleware's, which lives as long.
        let code = unsafe { rmw_get_gid_for_publisher(rcl_publisher_get_rmw_handle(self.rcl.get()), &mut gid) };
        check(code, "identify a publisher")?;
        Ok(gid.data)
    }
}

impl Drop for SerializedPublisher {
    fn drop(&mut self) {
        let node = Arc::clone(&self.node);
        let _guard = node.changing();
        // SAFETY: the node is alive, nothing else refers to this publisher; a zero-initialised one is accepted.
        let _ = check(unsafe { rcl_publisher_fini(self.rcl.get_mut(), node.as_ptr()) }, "end a publisher");
    }
}
