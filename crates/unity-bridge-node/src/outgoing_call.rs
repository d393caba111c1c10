//! One call of a client to a service of ROS, from its request to its response or to why there is none.

use std::fmt::Display;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use unity_protocol::encode;

use crate::bridge::Bridge;
use crate::budget::Share;
use crate::called_service::CalledService;
use crate::faults::{Operation, Refusal};
use crate::outbox::Outbox;
use crate::teller::Teller;

pub(crate) struct OutgoingCall {
    /// The client's own.
    pub(crate) id: i64,
    /// As the client calls it.
    pub(crate) service: String,
    /// None where the client has not registered it.
    pub(crate) called: Option<Arc<CalledService>>,
    pub(crate) bridge: Arc<Bridge>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) teller: Arc<Teller>,
}

impl OutgoingCall {
    /// Asks, and passes the response on. The share is of the bytes that the client's requests may take.
    pub(crate) async fn run(self, request: Vec<u8>, _share: Share) {
        let response = match &self.called {
            Some(called) => called.call(&request, self.bridge.settings.service_timeout).await,
            None => Err(Refusal::Unregistered("__ros_service")),
        };
        match response {
            Ok(response) => self.respond(&response),
            Err(refusal) => self.fail(&refusal),
        }
    }

    /// Tells why there is no response, and makes one up where that is asked for.
    pub(crate) fn fail(&self, refusal: &Refusal) {
        self.bridge.metrics.refused(Operation::Call, refusal);
        self.tell(refusal);
        if let Some(called) = self.called.as_ref().filter(|_| self.bridge.settings.answers_failures) {
            match called.default_response() {
                Ok(response) => self.respond(&response),
                Err(error) => self.tell(&error),
            }
        }
    }

    fn tell(&self, why: &impl Display) {
        // Escaped: a service that is not registered may have any name.
        self.teller.error(format!("request {} to {}: {why}", self.id, self.service.escape_debug()));
    }

    fn respond(&self, response: &[u8]) {
        self.outbox.push_control(pair(&encode::response_header(self.id), &self.service, response));
    }
}

/// The two frames of a call, to be written in a row.
pub(crate) fn pair(header: &[u8], service: &str, payload: &[u8]) -> Bytes {
    let mut frames = BytesMut::from(header);
    frames.extend_from_slice(&encode::frame(service, payload));
    frames.freeze()
}
