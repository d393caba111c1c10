//! The end of what the middleware does not let go.

use std::mem;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

/// Many times what it takes to end a thread or a node, and less than `ros2 launch` gives (5 s to a SIGINT, 5 to a SIGTERM).
const END_WITHIN: Duration = Duration::from_secs(5);

/// To be held while something ends that can hang in the middleware. Held for more than 5 s, it ends the process, with exit
/// code 1.
pub(crate) struct Deadline {
    /// Its end ends the waiting.
    held: mpsc::SyncSender<()>,
}

impl Deadline {
    pub(crate) fn start() -> Self {
        let (held, release) = mpsc::sync_channel(0);
        let wait = move || {
            if release.recv_timeout(END_WITHIN) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::error!("stuck in the middleware: the process ends without it");
                ros_observer::end_process(1);
            }
        };
        if let Err(error) = Builder::new().name("deadline".into()).spawn(wait) {
            tracing::warn!(%error, "nothing ends the process should it hang now");
        }
        Self { held }
    }

    /// Holds it until the process has ended.
    pub(crate) fn keep(self) {
        mem::forget(self.held);
    }
}
