//! SIGTERM and SIGINT, awaited.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The runtime that both programs await signals on; must be entered before signals are subscribed to.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().build()
}

/// Being asked to stop. From the moment it is made, these signals no longer end the process by themselves.
pub struct Termination {
    terminate: Signal,
    interrupt: Signal,
}

impl Termination {
    /// Takes both signals over. Needs an entered runtime.
    pub fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for either.
    pub async fn requested(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
