//! What one client says, and the calls in both directions that wait for their responses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ros_observer::RequestId;
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::Instant;
use unity_protocol::{Call, Event, Fault, Frame, Session, SessionLimits, encode};

use crate::bridge::Bridge;
use crate::budget::Budget;
use crate::deadlines::Deadlines;
use crate::faults::{Operation, Refusal};
use crate::metrics::INCOMPLETE_CALL;
use crate::offered_service::{Asked, OfferedService};
use crate::outbox::Outbox;
use crate::outgoing_call::{OutgoingCall, pair};
use crate::registrations::Registrations;
use crate::teller::Teller;

/// How long the second frame of a call may take to follow. Unity sends both at once, as far as its queue lets it.
const INCOMPLETE_WITHIN: Duration = Duration::from_secs(5);

/// The first id of a request to a client, as of the Python endpoint.
const FIRST_ID: i64 = 1001;

/// One client. What it has in ROS goes when it is dropped.
pub(crate) struct Client {
    bridge: Arc<Bridge>,
    outbox: Arc<Outbox>,
    teller: Arc<Teller>,
    session: Session,
    registrations: Registrations,
    /// The client's calls that wait for their responses, and what its requests may take meanwhile.
    calls: JoinSet<()>,
    requests_budget: Arc<Budget>,
    /// Halves of calls.
    incomplete: Deadlines<Call>,
    /// What the client was asked, by id.
    requests: HashMap<i64, (Arc<OfferedService>, RequestId, Instant)>,
    due: Deadlines<i64>,
    next_id: i64,
}

impl Client {
    /// Requests for it go into `asked`, of which the other end belongs to whoever calls [`Self::ask`].
    pub(crate) fn new(bridge: Arc<Bridge>, outbox: Arc<Outbox>, peer: SocketAddr, asked: mpsc::Sender<Asked>) -> Self {
        let settings = &bridge.settings;
        let limits =
            SessionLimits { pending_max: settings.max_pending_calls, services_max: settings.max_registrations };
        let teller = Arc::new(Teller::new(peer, Arc::clone(&outbox), bridge.metrics.clone()));
        let (shared, out, tells) = (Arc::clone(&bridge), Arc::clone(&outbox), Arc::clone(&teller));
        Self {
            registrations: Registrations::new(shared, out, tells, asked),
            session: Session::new(limits),
            calls: JoinSet::new(),
            requests_budget: Arc::new(Budget::new(settings.max_queued_bytes)),
            incomplete: Deadlines::new(INCOMPLETE_WITHIN),
            requests: HashMap::new(),
            due: Deadlines::new(settings.service_timeout),
            next_id: FIRST_ID,
            teller,
            bridge,
            outbox,
        }
    }

    /// Does what a frame says. Waits for what takes time in ROS, which holds up this client alone.
    pub(crate) async fn receive(&mut self, frame: Frame) {
        match self.session.receive(frame) {
            Event::Keepalive => {}
            Event::Message { topic, payload } => self.publish(&topic, &payload),
            Event::Command(command) => self.registrations.obey(command).await,
            Event::Incomplete(call) => self.incomplete.add(call, Instant::now()),
            Event::ServiceRequest { id, service, payload } => {
                self.incomplete.remove(&Call::FromClient(id));
                self.call(id, service.to_string(), &payload);
            }
            Event::ServiceResponse { id, payload, .. } => {
                self.incomplete.remove(&Call::ToClient(id));
                self.respond(id, &payload);
            }
            Event::Fault(fault) => {
                if let Fault::LateResponse { id, .. } = fault {
                    self.incomplete.remove(&Call::ToClient(id));
                }
                self.bridge.metrics.protocol_error(fault.kind());
                self.teller.error(fault);
            }
        }
    }

    /// Publishes a message, unless it can only be the request to a service that the client has not registered.
    fn publish(&mut self, topic: &str, payload: &[u8]) {
        let is_registered = self.registrations.publishes(topic);
        match if is_registered { None } else { self.session.take_request() } {
            None => self.registrations.publish(topic, payload),
            Some(id) => {
                self.incomplete.remove(&Call::FromClient(id));
                self.call(id, topic.to_owned(), payload);
            }
        }
    }

    /// Asks a service of ROS for the client, beside whatever else it does.
    fn call(&mut self, id: i64, service: String, request: &[u8]) {
        while self.calls.try_join_next().is_some() {}
        let max = self.bridge.settings.max_pending_calls;
        let call = OutgoingCall {
            id,
            called: self.registrations.called(&service).cloned(),
            service,
            bridge: Arc::clone(&self.bridge),
            outbox: Arc::clone(&self.outbox),
            teller: Arc::clone(&self.teller),
        };
        match self.requests_budget.take(request.len()) {
            // Copied: it may be a small part of what was received at once.
            Some(share) if self.calls.len() < max => drop(self.calls.spawn(call.run(request.to_vec(), share))),
            Some(_) => call.fail(&Refusal::TooManyCalls(max)),
            None => call.fail(&Refusal::TooManyBytes(self.requests_budget.bytes_max())),
        }
    }

    /// Asks the client for ROS.
    pub(crate) fn ask(&mut self, asked: Asked) {
        let max = self.bridge.settings.max_pending_calls;
        let offered = match self.registrations.offered(&asked.service) {
            Some(offered) if self.requests.len() < max => offered,
            Some(_) => return self.drop_request(&asked.service, &Refusal::TooManyCalls(max)),
            None => return self.drop_request(&asked.service, &Refusal::Unregistered("__unity_service")),
        };
        let (id, now) = (self.next_id, Instant::now());
        self.next_id += 1;
        self.session.request_sent(id, &asked.service);
        self.requests.insert(id, (Arc::clone(offered), asked.id, now));
        self.due.add(id, now);
        offered.metrics.requests.inc();
        self.outbox.push_control(pair(&encode::request_header(id), &asked.service, &asked.request));
    }

    fn drop_request(&self, service: &str, refusal: &Refusal) {
        self.bridge.metrics.refused(Operation::Offer, refusal);
        self.teller.error(format!("a request to {service} was dropped: {refusal}"));
    }

    /// Passes the response of the client on, beside whatever else it does: the middleware may wait for whoever asked.
    fn respond(&mut self, id: i64, response: &[u8]) {
        self.due.remove(&id);
        let Some((offered, request, since)) = self.requests.remove(&id) else { return };
        offered.metrics.duration.observe(since.elapsed().as_secs_f64());
        let (bridge, teller, response) = (Arc::clone(&self.bridge), Arc::clone(&self.teller), response.to_vec());
        drop(spawn_blocking(move || {
            if let Err(refusal) = offered.respond(request, &response) {
                bridge.metrics.refused(Operation::Offer, &refusal);
                teller.error(format!("response {id} of {}: {refusal}", offered.name));
            }
        }));
    }

    /// When [`Self::expire`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.incomplete.next().into_iter().chain(self.due.next()).min()
    }

    /// Ends the wait for what has not come in time.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some(call) = self.incomplete.expired(now) {
            self.session.forget(call);
            self.bridge.metrics.protocol_error(INCOMPLETE_CALL);
            self.teller.error(format!("{call}: no frame for the service has followed within {INCOMPLETE_WITHIN:?}"));
        }
        while let Some(id) = self.due.expired(now) {
            self.session.forget(Call::ToClient(id));
            let Some((offered, ..)) = self.requests.remove(&id) else { continue };
            offered.metrics.timeouts.inc();
            let refusal = Refusal::TimedOut(self.bridge.settings.service_timeout);
            self.bridge.metrics.refused(Operation::Offer, &refusal);
            self.teller.error(format!("request {id} to {} of Unity: {refusal}", offered.name));
        }
    }
}
