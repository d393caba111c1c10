//! How far a connection is with its current request: what its stream and its request handler tell each other.

use std::sync::{Mutex, PoisonError};

use crate::metrics::Closed;

/// Which time-out a connection is under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// A request's header is being read; a new connection starts here.
    Header,
    /// The header is complete and the response is not.
    Request,
    /// The response is complete and not all of it is sent.
    Response,
    /// The response goes on for as long as both sides like.
    Events,
    /// All is sent, and nothing of the next request has come.
    Idle,
}

/// Shared by a connection's stream and its request handler.
#[derive(Debug)]
pub(crate) struct Progress(Mutex<State>);

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    expired: Option<Closed>,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State { phase: Phase::Header, expired: None }))
    }

    pub(crate) fn phase(&self) -> Phase {
        self.with(|state| state.phase)
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.with(|state| state.phase = phase);
    }

    /// The time-out that ended the connection, if one did.
    pub(crate) fn expired(&self) -> Option<Closed> {
        self.with(|state| state.expired)
    }

    pub(crate) fn expire(&self, timeout: Closed) {
        self.with(|state| state.expired = Some(timeout));
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
