//! Threads without which a node is worth nothing.

use std::thread;

/// To be held by such a thread: if it panics, the process ends with exit code 1.
pub struct EndWithThread;

impl Drop for EndWithThread {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(thread = thread::current().name(), "a thread has panicked: the process ends");
            ros_observer::end_process(1);
        }
    }
}
