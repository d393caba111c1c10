//! What the log says of changes of the state.

use rtrb::Consumer;
use twin_sync::{State, Transition};

/// Tells of the transitions that the ticking thread has left.
pub(crate) struct TransitionLog {
    transitions: Consumer<Transition>,
}

impl TransitionLog {
    pub(crate) fn new(transitions: Consumer<Transition>) -> Self {
        Self { transitions }
    }

    pub(crate) fn tell(&mut self) {
        while let Ok(Transition { from, to, cause }) = self.transitions.pop() {
            let (from, text) = (from.name(), cause.text());
            match to {
                State::Degraded | State::Diverged | State::Lost | State::Stopped => {
                    tracing::warn!(from, to = to.name(), cause = cause.name(), "{text}");
                }
                State::Waiting | State::Mirroring | State::Synced => {
                    tracing::info!(from, to = to.name(), cause = cause.name(), "{text}");
                }
            }
        }
    }
}
