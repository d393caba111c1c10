//! A service that a client offers to ROS.

use std::sync::{Arc, Mutex};

use ros_observer::{Error, RequestId, SerializedService, ServiceType};
use tokio::sync::mpsc;

use crate::bridge::Bridge;
use crate::faults::{Operation, Refusal};
use crate::lock::lock;
use crate::metrics::{Direction, ServiceMetrics};
use crate::teller::Teller;

pub(crate) struct OfferedService {
    /// As the client calls it.
    pub(crate) name: String,
    full_name: String,
    service_type: String,
    /// None once it is not offered any more.
    service: Mutex<Option<SerializedService>>,
    pub(crate) metrics: ServiceMetrics,
    teller: Arc<Teller>,
}

/// A request for a client.
pub(crate) struct Asked {
    /// As the client calls the service.
    pub(crate) service: String,
    pub(crate) id: RequestId,
    pub(crate) request: Vec<u8>,
}

impl OfferedService {
    /// Requests go into `asked`; one that finds no room is told of and gets no response, as ROS has none for it.
    ///
    /// # Errors
    /// When the type is not installed, or the middleware refuses.
    pub(crate) fn new(
        bridge: &Bridge,
        name: String,
        full_name: String,
        service_type: String,
        asked: mpsc::Sender<Asked>,
        teller: Arc<Teller>,
    ) -> Result<Self, Error> {
        let found = ServiceType::find(&service_type)?;
        let (for_client, tell, counts) = (name.clone(), Arc::clone(&teller), bridge.metrics.clone());
        let max = bridge.settings.max_pending_calls;
        let service = SerializedService::new(found, &bridge.node, &full_name, move |id, request| {
            let one = Asked { service: for_client.clone(), id, request };
            if asked.try_send(one).is_err() {
                let refusal = Refusal::TooManyCalls(max);
                counts.refused(Operation::Offer, &refusal);
                tell.error(format!("a request to {for_client} was dropped: {refusal}"));
            }
        })?;
        bridge.spinner.add_service(&service)?;
        let metrics = bridge.metrics.service(&full_name, Direction::ToClient);
        Ok(Self { name, full_name, service_type, service: Mutex::new(Some(service)), metrics, teller })
    }

    pub(crate) fn is(&self, full_name: &str, service_type: &str) -> bool {
        self.full_name == full_name && self.service_type == service_type
    }

    /// Answers a request. May wait for whoever asked.
    ///
    /// # Errors
    /// When it is offered no longer, it is no response of the type, or the middleware does not take it.
    pub(crate) fn respond(&self, id: RequestId, response: &[u8]) -> Result<(), Refusal> {
        let service = lock(&self.service);
        // Whoever has taken it over has not got the request.
        let service = service.as_ref().ok_or(Refusal::NotOfferedAnyMore)?;
        Ok(service.respond(id, response)?)
    }

    /// Offers it no longer.
    pub(crate) fn end(&self) {
        drop(lock(&self.service).take());
    }

    /// Offers it no longer, since another client does.
    pub(crate) fn withdraw(&self) {
        self.end();
        self.teller.warn(format!("{}: another client offers this service now", self.name));
    }

    pub(crate) fn is_withdrawn(&self) -> bool {
        lock(&self.service).is_none()
    }
}
