//! A service of ROS that a client calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ros_observer::{Error, SerializedClient, ServiceType};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

use crate::blocking::blocking;
use crate::bridge::Bridge;
use crate::faults::Refusal;
use crate::lock::lock;
use crate::metrics::{Direction, ServiceMetrics};

/// Who waits for which response, by the middleware's numbers.
type Waiting = Arc<Mutex<HashMap<i64, oneshot::Sender<Vec<u8>>>>>;

pub(crate) struct CalledService {
    full_name: String,
    service_type: String,
    client: Arc<SerializedClient>,
    waiting: Waiting,
    metrics: ServiceMetrics,
    /// Of the graph, with which a service comes.
    changes: watch::Receiver<u64>,
}

impl CalledService {
    /// # Errors
    /// When the type is not installed, or the middleware refuses.
    pub(crate) fn new(bridge: &Bridge, full_name: String, service_type: String) -> Result<Self, Error> {
        let waiting = Waiting::default();
        let answered = Arc::clone(&waiting);
        let found = ServiceType::find(&service_type)?;
        let client = SerializedClient::new(found, &bridge.node, &full_name, move |info, response| {
            // A call that timed out is not waited for any more.
            if let Some(waits) = lock(&answered).remove(&info.number) {
                drop(waits.send(response));
            }
        })?;
        bridge.spinner.add_client(&client)?;
        let metrics = bridge.metrics.service(&full_name, Direction::FromClient);
        Ok(Self { full_name, service_type, client: Arc::new(client), waiting, metrics, changes: bridge.changes() })
    }

    pub(crate) fn is(&self, full_name: &str, service_type: &str) -> bool {
        self.full_name == full_name && self.service_type == service_type
    }

    /// Asks the service, once it is offered, and waits for the response: no longer than that altogether.
    pub(crate) async fn call(&self, request: &[u8], within: Duration) -> Result<Vec<u8>, Refusal> {
        let begun = Instant::now();
        let not_offered = |_| Refusal::NotOffered(self.service_type.clone(), within);
        timeout(within, self.offer()).await.map_err(not_offered)??;
        self.metrics.requests.inc();
        let (number, response) = self.send(request)?;
        let response = timeout(within.saturating_sub(begun.elapsed()), response).await;
        let Ok(Ok(response)) = response else {
            lock(&self.waiting).remove(&number);
            self.metrics.timeouts.inc();
            return Err(Refusal::TimedOut(within));
        };
        self.metrics.duration.observe(begun.elapsed().as_secs_f64());
        Ok(response)
    }

    /// A response whose fields have their default values.
    pub(crate) fn default_response(&self) -> Result<Vec<u8>, Error> {
        self.client.service_type().default_response()
    }

    /// Waits until somebody offers the service.
    async fn offer(&self) -> Result<(), Error> {
        let mut changes = self.changes.clone();
        loop {
            changes.mark_unchanged();
            let client = Arc::clone(&self.client);
            if blocking(move || client.is_offered()).await? || changes.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    fn send(&self, request: &[u8]) -> Result<(i64, oneshot::Receiver<Vec<u8>>), Error> {
        let (respond, response) = oneshot::channel();
        // Held meanwhile: the response may come before its number is known here.
        let mut waiting = lock(&self.waiting);
        let number = self.client.send(request)?;
        waiting.insert(number, respond);
        Ok((number, response))
    }
}
