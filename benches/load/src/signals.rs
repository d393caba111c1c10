//! SIGTERM, SIGINT and SIGUSR1, awaited.

use std::io;

use anyhow::{Context, Result};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The runtime that all programs await signals on, and sockets; must be entered before signals are subscribed to.
pub fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
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

/// Reports now and on each SIGUSR1; returns on SIGTERM or SIGINT.
///
/// # Errors
/// When the signals cannot be taken over.
pub fn report_until_terminated(report: impl Fn()) -> Result<()> {
    runtime()?.block_on(reports(report))
}

/// The same, beside what else is awaited.
///
/// # Errors
/// When the signals cannot be taken over.
pub async fn reports(report: impl Fn()) -> Result<()> {
    let mut termination = Termination::new()?;
    let mut asked = signal(SignalKind::user_defined1()).context("cannot take SIGUSR1")?;
    report();
    loop {
        tokio::select! {
            () = termination.requested() => return Ok(()),
            _ = asked.recv() => report(),
        }
    }
}
