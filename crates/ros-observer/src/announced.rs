//! How the middleware tells the spinner that something has come: a count, and the end of its wait.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use r2r_rcl::{rcl_event_callback_t, rcl_ret_t};

use crate::{Error, GuardCondition, error::check};

/// What the spinner takes from as long as it is there, whatever its type: responses to a client, requests to a service.
pub(crate) trait Arrivals: Send + Sync {
    /// From now on `wake` is triggered when something has come.
    fn announce_to(&self, wake: GuardCondition) -> Result<(), Error>;
    /// Takes what has come, up to a batch.
    fn take(&self) -> Result<(), Error>;
}

/// What a callback of the middleware gets. In a wait set every service and every client would cost something at every
/// turn, also at those that a message ends.
pub(crate) struct Announced {
    /// Samples that have come and were not yet asked for. Not all of them need be for us, or be readable.
    pending: AtomicUsize,
    wake: GuardCondition,
}

impl Announced {
    /// Sets a callback by `set`, which passes it on to the middleware. What is returned has to be kept until the callback
    /// is cleared.
    pub(crate) fn listen(
        wake: GuardCondition,
        set: impl FnOnce(rcl_event_callback_t, *const c_void) -> rcl_ret_t,
    ) -> Result<Arc<Self>, Error> {
        let announced = Arc::new(Self { pending: AtomicUsize::new(0), wake });
        check(set(Some(on_arrival), Arc::as_ptr(&announced).cast()), "listen for what comes").map(|()| announced)
    }

    /// Has the spinner look, when it can find this: what came before woke it too early. Some middlewares count what is there
    /// before they set the callback, so one may have come in between.
    pub(crate) fn begin(&self) {
        self.add(1);
    }

    /// How many samples have come and are to be taken now; what goes beyond `most` is for the next turn.
    pub(crate) fn take(&self, most: usize) -> usize {
        let pending = self.pending.swap(0, Ordering::AcqRel);
        if pending > most {
            self.add(pending - most);
        }
        pending.min(most)
    }

    fn add(&self, arrived: usize) {
        self.pending.fetch_add(arrived, Ordering::Release);
        // If this fails, they are dealt with at the next turn.
        let _ = self.wake.trigger();
    }
}

/// Called by the middleware, in its receive thread.
unsafe extern "C" fn on_arrival(user_data: *const c_void, arrived: usize) {
    // SAFETY: `user_data` is the `Announced` of `listen`, which is kept until the callback is cleared.
    unsafe { &*user_data.cast::<Announced>() }.add(arrived);
}
