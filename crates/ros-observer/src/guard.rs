//! Waking a waiting thread from another one.

use std::cell::UnsafeCell;
use std::sync::Arc;

use r2r_rcl::*;

use crate::{Context, Error, error::check};

/// A flag that ends a wait. Cheap to clone.
#[derive(Clone)]
pub struct GuardCondition {
    handle: Arc<Handle>,
}

struct Handle {
    rcl: Box<UnsafeCell<rcl_guard_condition_t>>,
    _context: Arc<Context>,
}

// SAFETY: rcl documents triggering as thread-safe, and triggering while another thread waits is what it is for.
unsafe impl Send for Handle {}
// SAFETY: as above; init and fini happen when no other reference exists.
unsafe impl Sync for Handle {}

impl GuardCondition {
    /// Makes a guard condition.
    pub fn new(context: &Arc<Context>) -> Result<Self, Error> {
        // SAFETY: the condition is zero-initialised, the context initialised and kept alive by the handle.
        unsafe {
            let handle = Handle {
                rcl: Box::new(UnsafeCell::new(rcl_get_zero_initialized_guard_condition())),
                _context: Arc::clone(context),
            };
            let options = rcl_guard_condition_get_default_options();
            let _changing = context.changing();
            check(rcl_guard_condition_init(handle.rcl.get(), context.as_ptr(), options), "make a guard condition")?;
            Ok(Self { handle: Arc::new(handle) })
        }
    }

    /// Ends the wait of the spinner that has this condition, now or the next time it waits.
    pub fn trigger(&self) -> Result<(), Error> {
        // SAFETY: initialised and alive; triggering is thread-safe.
        check(unsafe { rcl_trigger_guard_condition(self.handle.rcl.get()) }, "wake the ROS thread")
    }

    pub(crate) fn as_ptr(&self) -> *const rcl_guard_condition_t {
        self.handle.rcl.get()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the last reference; a condition whose init failed is zero-initialised, which fini accepts.
        let _ = check(unsafe { rcl_guard_condition_fini(self.rcl.get_mut()) }, "end a guard condition");
    }
}
