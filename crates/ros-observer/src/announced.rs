//! How the middleware tells the spinner that something has come: a flag, and the end of its wait.

use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use r2r_rcl::{rcl_event_callback_t, rcl_ret_t};

use crate::{Error, GuardCondition, error::check};

/// What a callback of the middleware gets. In a wait set every service and every client would cost something at every
/// turn, also at those that a message ends.
pub(crate) struct Announced {
    has_come: AtomicBool,
    wake: GuardCondition,
}

impl Announced {
    /// Sets a callback by `set`, which passes it on to the middleware. What is returned has to be kept until the callback
    /// is cleared.
    pub(crate) fn listen(
        wake: GuardCondition,
        set: impl FnOnce(rcl_event_callback_t, *const c_void) -> rcl_ret_t,
    ) -> Result<Arc<Self>, Error> {
        let announced = Arc::new(Self { has_come: AtomicBool::new(false), wake });
        check(set(Some(on_arrival), Arc::as_ptr(&announced).cast()), "listen for what comes")?;
        Ok(announced)
    }

    /// Whether something has come since the last time.
    pub(crate) fn take(&self) -> bool {
        self.has_come.swap(false, Ordering::AcqRel)
    }

    /// There may be more, which is not announced twice.
    pub(crate) fn again(&self) {
        self.has_come.store(true, Ordering::Release);
        // If this fails, it is dealt with at the next turn.
        let _ = self.wake.trigger();
    }
}

/// Called by the middleware, in its receive thread.
unsafe extern "C" fn on_arrival(user_data: *const c_void, _arrived: usize) {
    // SAFETY: `user_data` is the `Announced` of `listen`, which is kept until the callback is cleared.
    unsafe { &*user_data.cast::<Announced>() }.again();
}
