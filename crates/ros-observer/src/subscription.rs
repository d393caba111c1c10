//! Serialized messages with their origin, taken where they arrive.
//!
//! Two ways lead to the same handler. In the middleware's own receive thread (`TakeIn::Callback`) no second thread is
//! woken per message and the history cannot overflow behind a slow waiter. Where a middleware holds locks while it
//! calls, taking there would deadlock (rmw_zenoh), so everything outside a tested list goes through the wait set.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use r2r::WrappedTypesupport;
use r2r_rcl::*;

use crate::context::c_string;
use crate::node::NodeHandle;
use crate::qos::Qos;
use crate::qos_events::{Events, QosEvents};
use crate::serialized::SerializedBuffer;
use crate::{Error, MessageType, Node, error::check};

/// The identity of a publisher; a restarted publisher has a new one.
pub type Gid = [u8; RMW_GID_STORAGE_SIZE as usize];

/// Middlewares in whose receive thread it is tested to take a message.
const CALLBACK_TESTED: &[&str] = &["rmw_fastrtps_cpp"];

/// Most messages that one turn of the spinner takes from one subscription before it looks after the others.
const BATCH_MAX: usize = 1024;

/// A buffer that one message has made larger than this is given back after it.
const BUFFER_BYTES_MAX: usize = 4 << 20;

thread_local! {
    /// Whether this thread is the middleware's and in a handler.
    static IN_HANDLER: Cell<bool> = const { Cell::new(false) };
}

fn callback_is_tested() -> bool {
    CALLBACK_TESTED.contains(&crate::middleware())
}

/// Where messages are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeIn {
    /// In the middleware's receive thread, the moment they arrive.
    Callback,
    /// In the spinner's thread.
    WaitSet,
}

impl TakeIn {
    /// The callback where the running middleware is known to allow it, else the wait set.
    pub fn auto() -> Self {
        if callback_is_tested() { Self::Callback } else { Self::WaitSet }
    }

    /// Whether the running middleware is known to allow it.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(self) -> Result<(), Error> {
        if self == Self::WaitSet || callback_is_tested() {
            return Ok(());
        }
        let message = format!("{} is not known to allow taking in the callback", crate::middleware());
        Err(Error::new("take messages", RCL_RET_UNSUPPORTED as rcl_ret_t, message))
    }

    /// The name in parameters and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Callback => "callback",
            Self::WaitSet => "wait_set",
        }
    }
}

/// Where a message came from and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageInfo {
    /// Who published it.
    pub publisher: Gid,
    /// Position in the publisher's own count of what it sent; `u64::MAX` where the middleware has none.
    pub publication_sequence: u64,
    /// When it was published: nanoseconds of the publisher's system clock; 0 where unknown.
    pub source_timestamp_ns: i64,
    /// When the middleware received it: nanoseconds of the system clock; 0 where unknown.
    pub received_timestamp_ns: i64,
}

type Handler = Box<dyn FnMut(&[u8], &MessageInfo) + Send>;

/// A subscription to serialized messages of one type. Dropped, it ends; through the wait set, after the spinner's turn.
pub struct Subscription {
    shared: Arc<Shared>,
    requested: Qos,
}

/// What can be told of a subscription from any thread, also after it is gone.
#[derive(Clone)]
pub struct SubscriptionProbe {
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    /// Messages announced and not yet dealt with. Whoever raises it from zero is the one who takes.
    pending: AtomicUsize,
    taken: AtomicU64,
    failed: AtomicU64,
}

pub(crate) struct Shared {
    rcl: UnsafeCell<rcl_subscription_t>,
    node: Arc<NodeHandle>,
    take_in: TakeIn,
    counts: Arc<Counts>,
    taking: UnsafeCell<Taking>,
    /// Made when first asked for, and dropped before the subscription itself.
    events: OnceLock<Events>,
}

/// What only the one who takes may touch.
struct Taking {
    buffer: SerializedBuffer,
    handler: Handler,
}

// SAFETY: rcl binds a subscription to no thread; the handler is `Send`.
unsafe impl Send for Shared {}
// SAFETY: `taking` is reached in `announce` alone, by the one thread that raised `pending` from zero, until that
// thread brings it back to zero; Acquire and Release on `pending` order one taker after the other. The rcl handle is
// written in `new` and `drop` only.
unsafe impl Sync for Shared {}

impl Subscription {
    /// Subscribes to `topic`, relative to the node's namespace unless it begins with `/`.
    ///
    /// `handler` gets each message as it was serialized (4 bytes of encapsulation, then CDR). With
    /// [`TakeIn::Callback`] it runs in the middleware's thread: it must not block. If it panics, it is not called
    /// again, and [`SubscriptionProbe::pending`] stays above zero. Any subscription that is dropped in such a handler
    /// ends with the next turn of a spinner: the middleware could be in it.
    ///
    /// # Errors
    /// When the name is not legal, the middleware refuses, or it is not known to allow [`TakeIn::Callback`].
    pub fn new<T: WrappedTypesupport>(
        node: &Node,
        topic: &str,
        qos: Qos,
        take_in: TakeIn,
        handler: impl FnMut(&[u8], &MessageInfo) + Send + 'static,
    ) -> Result<Self, Error> {
        Self::of_type(MessageType::of::<T>(), node, topic, qos, take_in, handler)
    }

    /// As [`Subscription::new`], of a type that is known at run time only.
    ///
    /// # Errors
    /// As of [`Subscription::new`].
    pub fn of_type(
        message_type: MessageType,
        node: &Node,
        topic: &str,
        qos: Qos,
        take_in: TakeIn,
        handler: impl FnMut(&[u8], &MessageInfo) + Send + 'static,
    ) -> Result<Self, Error> {
        take_in.check()?;
        let shared = Arc::new(Shared::new(message_type, node, topic, qos, take_in, Box::new(handler))?);
        if take_in == TakeIn::Callback {
            shared.set_callback(Some(on_new_message), Arc::as_ptr(&shared).cast())?;
        }
        Ok(Self { shared, requested: qos })
    }

    /// The QoS that was asked for.
    pub fn requested_qos(&self) -> Qos {
        self.requested
    }

    /// How many publishers match: right topic, right type, compatible QoS.
    pub fn publisher_count(&self) -> Result<usize, Error> {
        let mut count = 0;
        let _guard = self.shared.node.changing();
        // SAFETY: the subscription is initialised; matching is counted under the middleware's own lock.
        let code = unsafe { rcl_subscription_get_publisher_count(self.shared.rcl.get(), &mut count) };
        check(code, "count the publishers")?;
        Ok(count)
    }

    /// What the middleware itself says went wrong.
    ///
    /// # Errors
    /// When it refuses to say.
    pub fn qos_events(&self) -> Result<QosEvents, Error> {
        let _guard = self.shared.node.changing();
        // SAFETY: the subscription is initialised, and `Shared::drop` drops the events before it.
        self.shared.events.get_or_init(|| unsafe { Events::of(self.shared.rcl.get()) }).read()
    }

    /// A view of the counts that may go to another thread.
    pub fn probe(&self) -> SubscriptionProbe {
        SubscriptionProbe { counts: Arc::clone(&self.shared.counts) }
    }

    /// What the spinner has to take from, for as long as it is there; nothing for a subscription that is served by
    /// callback.
    pub(crate) fn for_wait_set(&self) -> Option<Weak<Shared>> {
        (self.shared.take_in == TakeIn::WaitSet).then(|| Arc::downgrade(&self.shared))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if self.shared.take_in == TakeIn::Callback {
            let shared = Arc::clone(&self.shared);
            // The middleware calls under a lock that ending the calls takes too.
            if IN_HANDLER.get() { dropped_in_handlers().push(shared) } else { shared.end_calls() }
        }
    }
}

/// Ends the subscriptions that were dropped where that could not be done.
pub(crate) fn end_those_dropped_in_handlers() {
    let dropped = std::mem::take(&mut *dropped_in_handlers());
    dropped.into_iter().for_each(Shared::end_calls);
}

fn dropped_in_handlers() -> MutexGuard<'static, Vec<Arc<Shared>>> {
    static DROPPED: Mutex<Vec<Arc<Shared>>> = Mutex::new(Vec::new());
    DROPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SubscriptionProbe {
    /// Messages announced and not yet dealt with: above zero for long only if the handler hangs or has panicked.
    pub fn pending(&self) -> usize {
        self.counts.pending.load(Ordering::Relaxed)
    }

    /// Messages handed to the handler since the start.
    pub fn taken(&self) -> u64 {
        self.counts.taken.load(Ordering::Relaxed)
    }

    /// Messages that the middleware announced and then refused to hand out.
    pub fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }
}

impl Shared {
    fn new(
        message_type: MessageType,
        node: &Node,
        topic: &str,
        qos: Qos,
        take_in: TakeIn,
        handler: Handler,
    ) -> Result<Self, Error> {
        let operation = "subscribe";
        let topic = c_string(topic, operation)?;
        // SAFETY: the subscription is zero-initialised first; the node is initialised and kept alive by
        // `Shared`; the type support is static; topic and options outlive the call that copies them.
        unsafe {
            let shared = Self {
                rcl: UnsafeCell::new(rcl_get_zero_initialized_subscription()),
                node: Arc::clone(node.handle()),
                take_in,
                counts: Arc::default(),
                taking: UnsafeCell::new(Taking { buffer: SerializedBuffer::new()?, handler }),
                events: OnceLock::new(),
            };
            let mut options = rcl_subscription_get_default_options();
            options.qos = qos.to_rmw();
            let guard = node.handle().adding();
            let (node, support) = (node.handle().as_ptr(), message_type.as_ptr());
            let code = rcl_subscription_init(shared.rcl.get(), node, support, topic.as_ptr(), &options);
            // Before a subscription that was refused is dropped, which takes the lock again.
            drop(guard);
            let initialised = check(code, operation);
            check(rcl_subscription_options_fini(&mut options), operation)?;
            initialised.map(|()| shared)
        }
    }

    fn set_callback(&self, callback: rcl_event_callback_t, user_data: *const c_void) -> Result<(), Error> {
        // SAFETY: the subscription is initialised. `user_data` is null or this `Shared`, whose address is stable
        // inside its `Arc` and which outlives the callback: `Subscription::drop` clears it before letting go.
        let code = unsafe { rcl_subscription_set_on_new_message_callback(self.rcl.get(), callback, user_data) };
        check(code, "set the message callback")
    }

    /// The middlewares on the tested list clear the callback under the lock that they call under: after this returns,
    /// no call is under way and none will come, so the handle may go.
    fn end_calls(self: Arc<Self>) {
        if self.set_callback(None, ptr::null()).is_err() {
            // It may still be called, so what it is called with has to stay.
            std::mem::forget(self);
        }
    }

    pub(crate) fn as_ptr(&self) -> *const rcl_subscription_t {
        self.rcl.get()
    }

    /// Takes what is there, up to a batch. For the spinner.
    pub(crate) fn take_batch(&self) {
        self.announce(BATCH_MAX);
    }

    /// Adds `arrived` (above zero) messages to what is due and takes them, unless another thread is at it: then that
    /// one takes these too. Nobody waits for anybody.
    fn announce(&self, arrived: usize) {
        if self.counts.pending.fetch_add(arrived, Ordering::AcqRel) != 0 {
            return;
        }
        let mut due = arrived;
        while due > 0 {
            // SAFETY: `pending` was zero and is ours until it is zero again (see `Sync` above).
            self.take_up_to(due, unsafe { &mut *self.taking.get() });
            due = self.counts.pending.fetch_sub(due, Ordering::AcqRel) - due;
        }
    }

    fn take_up_to(&self, most: usize, taking: &mut Taking) {
        for _ in 0..most {
            match self.take_one(&mut taking.buffer) {
                Ok(Some(info)) => {
                    increment(&self.counts.taken);
                    (taking.handler)(taking.buffer.bytes(), &info);
                    // A new buffer that cannot be made is made up for by the old one.
                    let _ = taking.buffer.shrink(BUFFER_BYTES_MAX);
                }
                Ok(None) => return,
                Err(_) => {
                    increment(&self.counts.failed);
                    // The callback announces no message twice; the wait set does, and what fails may fail again.
                    if self.take_in == TakeIn::WaitSet {
                        return;
                    }
                }
            }
        }
    }

    fn take_one(&self, buffer: &mut SerializedBuffer) -> Result<Option<MessageInfo>, Error> {
        // SAFETY: no preconditions.
        let mut info = unsafe { rmw_get_zero_initialized_message_info() };
        // SAFETY: subscription and buffer are initialised, and only one thread takes at a time.
        let code = unsafe { rcl_take_serialized_message(self.rcl.get(), buffer.as_mut(), &mut info, ptr::null_mut()) };
        if code == RCL_RET_SUBSCRIPTION_TAKE_FAILED as rcl_ret_t {
            return Ok(None);
        }
        check(code, "take a message")?;
        Ok(Some(MessageInfo {
            publisher: info.publisher_gid.data,
            publication_sequence: info.publication_sequence_number,
            source_timestamp_ns: info.source_timestamp,
            received_timestamp_ns: info.received_timestamp,
        }))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let node = Arc::clone(&self.node);
        let _guard = node.changing();
        self.events.take();
        // SAFETY: the last reference, so no callback and no spinner is at it; the node is alive; the subscription is
        // initialised or zero-initialised, which fini accepts.
        let _ = check(unsafe { rcl_subscription_fini(self.rcl.get_mut(), node.as_ptr()) }, "end a subscription");
    }
}

/// Called by the middleware, in its receive thread.
unsafe extern "C" fn on_new_message(user_data: *const c_void, arrived: usize) {
    // SAFETY: `user_data` is the `Shared` given to `set_callback`, alive until the callback is cleared.
    let shared = unsafe { &*user_data.cast::<Shared>() };
    if arrived > 0 {
        let outer = IN_HANDLER.replace(true);
        // A panic must not unwind into C. It leaves `pending` above zero, so that nothing is taken any more and the
        // probe shows it.
        let _ = catch_unwind(AssertUnwindSafe(|| shared.announce(arrived)));
        IN_HANDLER.set(outer);
    }
}

/// One writer at a time (the one who takes), so no read-modify-write is needed.
fn increment(count: &AtomicU64) {
    count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}
