//! The end of what the middleware does not let go.

use std::mem;
use std::sync::mpsc;
use std::thread::Builder;
use std::time::Duration;

/// To be held while something ends that can hang, mostly in the middleware. Held for too long, it ends the process, with exit
/// code 1.
pub(crate) struct Deadline {
    /// Its end ends the waiting.
    held: mpsc::SyncSender<()>,
}

impl Deadline {
    pub(crate) fn start(what: &'static str, limit: Duration) -> Self {
        let (held, release) = mpsc::sync_channel(0);
        let wait = move || {
            if release.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
                tracing::error!("{what} is stuck: the process ends without it");
                ros_observer::end_process(1);
            }
        };
        if let Err(error) = Builder::new().name("deadline".into()).spawn(wait) {
            tracing::warn!(%error, "nothing ends the process should it hang now");
        }
        Self { held }
    }

    /// Holds it until the process has ended.
    fn keep(self) {
        mem::forget(self.held);
    }
}

/// To be held as long as a node is needed: from then on it may take 5 s to end. That is what `ros2 launch` gives to a SIGINT.
pub(crate) struct NodeNeeded;

impl Drop for NodeNeeded {
    fn drop(&mut self) {
        Deadline::start("the node", Duration::from_secs(5)).keep();
    }
}
