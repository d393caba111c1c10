//! Which topics and services clients may have.

use node_runtime::{Parameters, Patterns};

use crate::faults::{Operation, Refusal};

/// The allow-lists. Names are full, as they are after remapping.
pub(crate) struct Access {
    subscribe: Patterns,
    publish: Patterns,
    call: Patterns,
    offer: Patterns,
}

impl Access {
    pub(crate) fn of(parameters: &Parameters) -> Self {
        let list = |operation: Operation| {
            Patterns::parse(&parameters.get::<Vec<String>>(operation.allow_list())).expect("checked when it was given")
        };
        Self {
            subscribe: list(Operation::Subscribe),
            publish: list(Operation::Publish),
            call: list(Operation::Call),
            offer: list(Operation::Offer),
        }
    }

    pub(crate) fn check(&self, operation: Operation, full_name: &str) -> Result<(), Refusal> {
        let patterns = match operation {
            Operation::Subscribe => &self.subscribe,
            Operation::Publish => &self.publish,
            Operation::Call => &self.call,
            Operation::Offer => &self.offer,
        };
        if patterns.matches(full_name) { Ok(()) } else { Err(Refusal::NotAllowed(operation.allow_list())) }
    }
}
