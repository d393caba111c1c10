//! One thread's work: services, subscriptions that are not served by callback, and changes of the graph.

use std::sync::{Arc, Weak};
use std::time::Duration;

use r2r::WrappedServiceTypeSupport;
use r2r_rcl::*;

use crate::announced::Arrivals;
use crate::client::Client;
use crate::service::{Answering, Service};
use crate::spinner_handle::{Added, Additions, SpinnerHandle};
use crate::subscription::{Shared, Subscription, end_those_dropped_in_handlers};
use crate::{Context, Error, GuardCondition, Node, error::check};

/// Waits for what a node has to do and does it. Belongs to one thread.
pub struct Spinner {
    wait_set: WaitSet,
    services: Vec<Box<dyn Answering>>,
    arrivals: Vec<Weak<dyn Arrivals>>,
    subscriptions: Vec<Weak<Shared>>,
    /// What other threads have added since the last turn.
    additions: Arc<Additions>,
    wake: GuardCondition,
    node: Node,
}

/// What a turn of the spinner saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// A node or an endpoint came or went.
    pub graph_changed: bool,
    /// Services whose client could not be answered, for example because it had gone, and requests and responses that could
    /// not be taken.
    pub unanswered: usize,
}

impl Spinner {
    /// A spinner for one node.
    pub fn new(node: &Node) -> Result<Self, Error> {
        Ok(Self {
            wait_set: WaitSet::new(node.context())?,
            services: Vec::new(),
            arrivals: Vec::new(),
            subscriptions: Vec::new(),
            additions: Arc::default(),
            wake: GuardCondition::new(node.context())?,
            node: node.clone(),
        })
    }

    /// Ends a wait from another thread, for example to ask the spinning thread to stop.
    pub fn waker(&self) -> GuardCondition {
        self.wake.clone()
    }

    /// By which other threads add what is served in [`Spinner::turn`].
    pub fn handle(&self) -> SpinnerHandle {
        SpinnerHandle::new(self.waker(), Arc::clone(&self.additions))
    }

    /// From now on, requests of this service are answered in [`Spinner::turn`].
    ///
    /// # Errors
    /// When the middleware cannot tell of requests.
    pub fn add_service<S: WrappedServiceTypeSupport + 'static>(
        &mut self,
        mut service: Service<S>,
    ) -> Result<(), Error> {
        service.announce_to(self.waker())?;
        self.services.push(Box::new(service));
        Ok(())
    }

    /// From now on, responses to this client are taken in [`Spinner::turn`].
    ///
    /// # Errors
    /// When the middleware cannot tell of responses.
    pub fn add_client<S: WrappedServiceTypeSupport + 'static>(&mut self, client: &Client<S>) -> Result<(), Error> {
        let arrivals = client.for_spinner();
        arrivals.announce_to(self.waker())?;
        self.arrivals.push(Arc::downgrade(&arrivals));
        Ok(())
    }

    /// From now on, messages of this subscription are taken in [`Spinner::turn`], unless it is served by callback.
    pub fn add_subscription(&mut self, subscription: &Subscription) {
        self.wait_for(subscription.for_wait_set());
    }

    fn wait_for(&mut self, subscriptions: impl IntoIterator<Item = Weak<Shared>>) {
        self.subscriptions.extend(subscriptions);
        self.wait_set.resized = false;
    }

    fn take_additions(&mut self) {
        let Added { arrivals, subscriptions } = self.additions.take();
        self.arrivals.extend(arrivals);
        if !subscriptions.is_empty() {
            self.wait_for(subscriptions);
        }
    }

    /// Waits until there is something to do, somebody wakes it or `timeout` has passed, and does what there is.
    pub fn turn(&mut self, timeout: Duration) -> Result<Turn, Error> {
        end_those_dropped_in_handlers();
        self.take_additions();
        // SAFETY: the node is initialised and alive; the condition belongs to it.
        let graph = unsafe { rcl_node_get_graph_guard_condition(self.node.handle().as_ptr()) };
        self.subscriptions.retain(|subscription| subscription.strong_count() > 0);
        // Kept for this turn: the wait set points at them.
        let subscriptions: Vec<_> = self.subscriptions.iter().filter_map(Weak::upgrade).collect();
        self.wait_set.fill(&[graph, self.wake.as_ptr()], &subscriptions)?;
        self.wait_set.wait(timeout)?;
        let graph_changed = self.wait_set.guard_is_ready(0);
        for (index, subscription) in subscriptions.iter().enumerate() {
            if self.wait_set.subscription_is_ready(index) {
                subscription.take_batch();
            }
        }
        let mut unanswered = 0;
        for service in &mut self.services {
            // A client that goes before its answer comes is its own affair.
            unanswered += usize::from(service.answer().is_err());
        }
        self.arrivals.retain(|arrivals| arrivals.strong_count() > 0);
        for arrivals in self.arrivals.iter().filter_map(Weak::upgrade) {
            unanswered += usize::from(arrivals.take().is_err());
        }
        Ok(Turn { graph_changed, unanswered })
    }
}

/// rcl's wait set, made once; its lists are filled again before each wait, because waiting empties what is not ready.
struct WaitSet {
    rcl: rcl_wait_set_t,
    resized: bool,
    _context: Arc<Context>,
}

// SAFETY: a wait set is bound to no thread; it is used through `&mut self` only.
unsafe impl Send for WaitSet {}

const GUARDS: usize = 2;

impl WaitSet {
    fn new(context: &Arc<Context>) -> Result<Self, Error> {
        // SAFETY: the set is zero-initialised, the context initialised and kept alive by the set.
        unsafe {
            let mut set =
                Self { rcl: rcl_get_zero_initialized_wait_set(), resized: true, _context: Arc::clone(context) };
            let allocator = rcutils_get_default_allocator();
            let _changing = context.changing();
            let code = rcl_wait_set_init(&mut set.rcl, 0, GUARDS, 0, 0, 0, 0, context.as_ptr(), allocator);
            check(code, "make a wait set").map(|()| set)
        }
    }

    fn fill(
        &mut self,
        guards: &[*const rcl_guard_condition_t; GUARDS],
        subscriptions: &[Arc<Shared>],
    ) -> Result<(), Error> {
        let operation = "fill the wait set";
        // SAFETY: the set is initialised and has room for what is added: it is resized whenever the lists have grown.
        // Everything added is alive and stays so for the turn; what the set then still
        // points at is cleared before it is used again.
        unsafe {
            if !self.resized {
                let code = rcl_wait_set_resize(&mut self.rcl, subscriptions.len(), GUARDS, 0, 0, 0, 0);
                check(code, operation)?;
                self.resized = true;
            }
            check(rcl_wait_set_clear(&mut self.rcl), operation)?;
            for guard in guards {
                check(rcl_wait_set_add_guard_condition(&mut self.rcl, *guard, std::ptr::null_mut()), operation)?;
            }
            for subscription in subscriptions {
                let code = rcl_wait_set_add_subscription(&mut self.rcl, subscription.as_ptr(), std::ptr::null_mut());
                check(code, operation)?;
            }
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), Error> {
        let nanoseconds = i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX);
        // SAFETY: the set is initialised and filled with living entities.
        match unsafe { rcl_wait(&mut self.rcl, nanoseconds) } {
            code if code == RCL_RET_TIMEOUT as rcl_ret_t => Ok(()),
            code => check(code, "wait"),
        }
    }

    fn guard_is_ready(&self, index: usize) -> bool {
        // SAFETY: the list has as many entries as were added.
        index < self.rcl.size_of_guard_conditions && unsafe { !(*self.rcl.guard_conditions.add(index)).is_null() }
    }

    fn subscription_is_ready(&self, index: usize) -> bool {
        // SAFETY: the list has as many entries as were added.
        index < self.rcl.size_of_subscriptions && unsafe { !(*self.rcl.subscriptions.add(index)).is_null() }
    }
}

impl Drop for WaitSet {
    fn drop(&mut self) {
        // SAFETY: initialised or zero-initialised, given back once.
        let _ = check(unsafe { rcl_wait_set_fini(&mut self.rcl) }, "end a wait set");
    }
}
