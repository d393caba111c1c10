//! The end of a process whose threads do not all end.

use std::ffi::c_int;

unsafe extern "C" {
    safe fn _exit(code: c_int) -> !;
}

/// Ends the process at once, without the destructors that the middleware's libraries have registered: these would wait
/// for, or crash under, a thread that is stuck in the middleware.
pub fn end_process(code: c_int) -> ! {
    _exit(code)
}
