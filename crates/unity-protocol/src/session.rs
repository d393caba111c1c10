//! The conversation with one client: which frames are commands, which are messages, and which belong to a service call.
//!
//! A call takes two frames in either direction: one with its id, and one that is addressed to the service. Unity puts them into its queue
//! one by one, so that other frames may come between. A waiting id is bound
//! - of a request, to the next frame for a service that the client has registered with `__ros_service`,
//! - of a response, to the next frame for the service that was asked,
//!
//! and the id that waits longest is bound first, since Unity keeps the order. A frame for a service for which no id waits is a message,
//! unless whoever knows the topics of the client says that it cannot be one ([`Session::take_request`]).
//!
//! So a topic may have the name of a service that its client calls; only a message that comes between the two frames of a call of its
//! namesake is taken for the call. The protocol has nothing to tell them apart.

use std::collections::{HashSet, VecDeque};
use std::fmt;

use bytes::Bytes;

use crate::command::{Command, Statement};
use crate::excerpt::excerpt;
use crate::fault::Fault;
use crate::frame::{Frame, Name};

/// A service call. Each side counts its own calls, so an id is one only with its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// The client asks; the id is the client's. It is announced by `__request`.
    FromClient(i64),
    /// The client is asked; the id is the endpoint's. Its response is announced by `__response`.
    ToClient(i64),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::FromClient(id) => write!(f, "__request with id {id}"),
            Call::ToClient(id) => write!(f, "__response with id {id}"),
        }
    }
}

/// How much a client may make its session remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLimits {
    /// How many ids may wait for their payloads, and how many requests that timed out are known.
    pub pending_max: usize,
    /// How many services may be registered with `__ros_service`.
    pub services_max: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        SessionLimits { pending_max: 256, services_max: 1024 }
    }
}

/// What a frame came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The client is there, and has nothing to say.
    Keepalive,
    /// The client wants something.
    Command(Command),
    /// The client publishes, as far as can be told: whether it has registered the topic is not known here.
    Message {
        /// The topic, as the client calls it.
        topic: Name,
        /// The serialized message.
        payload: Bytes,
    },
    /// The client asks a service. It has been registered with `__ros_service`, be it that the endpoint refused it.
    ServiceRequest {
        /// The client's id for the call.
        id: i64,
        /// The service, as the client calls it.
        service: Name,
        /// The serialized request.
        payload: Bytes,
    },
    /// The client has answered.
    ServiceResponse {
        /// The id of [`Session::request_sent`].
        id: i64,
        /// The service, as the client calls it.
        service: Name,
        /// The serialized response.
        payload: Bytes,
    },
    /// Half of a call: its payload has to follow. If it does not, in good time, [`Session::forget`] it.
    Incomplete(Call),
    /// The frame was not understood.
    Fault(Fault),
}

/// What has to be known of the frames before to understand the next.
#[derive(Debug)]
pub struct Session {
    limits: SessionLimits,
    /// What the client calls, by `__ros_service`.
    services: HashSet<String>,
    /// What waits for its payload, the oldest first.
    pending: VecDeque<Pending>,
    /// The requests to the client that have no `__response` yet, the oldest first.
    sent: VecDeque<Sent>,
}

#[derive(Debug)]
enum Pending {
    Request { id: i64 },
    Response(Sent),
}

/// A request to the client.
#[derive(Debug)]
struct Sent {
    id: i64,
    service: String,
    /// Nobody waits any more. Still known, since its response would be taken for that to the next request.
    is_late: bool,
}

impl Session {
    /// A session for one connection.
    #[must_use]
    pub fn new(limits: SessionLimits) -> Self {
        Session { limits, services: HashSet::new(), pending: VecDeque::new(), sent: VecDeque::new() }
    }

    /// Understands the next frame. A message that comes while no id waits is neither copied nor looked up.
    pub fn receive(&mut self, frame: Frame) -> Event {
        self.understand(frame).unwrap_or_else(Event::Fault)
    }

    /// Notes that the client was asked, so that its response is known. An `id` is not used twice at a time.
    ///
    /// Whoever asks has a limit on how many requests wait for their responses.
    pub fn request_sent(&mut self, id: i64, service: &str) {
        self.sent.push_back(Sent { id, service: service.to_owned(), is_late: false });
    }

    /// Notes that nobody waits for `call` any more: a request whose payload did not come, or a response that did not. What still comes of
    /// it is a [`Fault`], and binds to no other call.
    ///
    /// Of a request, and of a response that was announced, nothing is kept: that payload may never come, as Unity drops the oldest of more
    /// than ten, and would then shift the payloads of all calls after it by one.
    pub fn forget(&mut self, call: Call) {
        self.pending.retain(|pending| pending.call() != call);
        if let Call::ToClient(id) = call {
            self.mark_late(id);
        }
    }

    /// Takes out the request that waits for its payload the longest: for whoever knows that the [`Event::Message`] that just came is no
    /// message, since the client has registered no such topic. It is that payload then, for a service that was not registered either.
    pub fn take_request(&mut self) -> Option<i64> {
        let index = self.pending.iter().position(|pending| matches!(pending, Pending::Request { .. }))?;
        match self.pending.remove(index)? {
            Pending::Request { id } => Some(id),
            Pending::Response(_) => None,
        }
    }

    /// How many ids wait for their payloads.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    fn understand(&mut self, frame: Frame) -> Result<Event, Fault> {
        if frame.is_keepalive() {
            return Ok(Event::Keepalive);
        }
        let Frame { destination, payload } = frame;
        if destination.is_empty() {
            return Err(Fault::NoDestination { bytes: payload.len() });
        }
        if !destination.starts_with("__") {
            return self.receive_payload(destination, payload);
        }
        match Statement::read(&destination, &payload)? {
            Statement::Announcement(call) => self.announce(call),
            Statement::Command(command) => self.obey(command),
        }
    }

    fn receive_payload(&mut self, destination: Name, payload: Bytes) -> Result<Event, Fault> {
        let pending = self.waits_for(&destination).and_then(|index| self.pending.remove(index));
        Ok(match pending {
            None => Event::Message { topic: destination, payload },
            Some(Pending::Request { id }) => Event::ServiceRequest { id, service: destination, payload },
            Some(Pending::Response(Sent { id, service, is_late: true })) => {
                return Err(Fault::LateResponse { id, service: excerpt(&service) });
            }
            Some(Pending::Response(Sent { id, .. })) => Event::ServiceResponse { id, service: destination, payload },
        })
    }

    /// Where in `pending` is what a frame for `destination` belongs to.
    fn waits_for(&self, destination: &str) -> Option<usize> {
        if self.pending.is_empty() {
            return None;
        }
        let is_called = self.services.contains(destination);
        self.pending.iter().position(|pending| match pending {
            Pending::Request { .. } => is_called,
            Pending::Response(sent) => sent.service == destination,
        })
    }

    fn announce(&mut self, call: Call) -> Result<Event, Fault> {
        let pending = match call {
            Call::FromClient(id) => {
                if self.pending.iter().any(|pending| pending.call() == call) {
                    return Err(Fault::DuplicateRequest { id });
                }
                self.check_room(call)?;
                Pending::Request { id }
            }
            Call::ToClient(id) => {
                let unknown = Fault::UnknownResponse { id };
                let index = self.sent.iter().position(|sent| sent.id == id).ok_or(unknown.clone())?;
                self.check_room(call)?;
                Pending::Response(self.sent.remove(index).ok_or(unknown)?)
            }
        };
        self.pending.push_back(pending);
        Ok(Event::Incomplete(call))
    }

    fn check_room(&self, call: Call) -> Result<(), Fault> {
        let max = self.limits.pending_max;
        if self.pending.len() < max { Ok(()) } else { Err(Fault::TooManyPending { call, max }) }
    }

    fn obey(&mut self, command: Command) -> Result<Event, Fault> {
        match &command {
            Command::RosService { service, .. } => self.register(service)?,
            Command::RemoveRosService { service } => drop(self.services.remove(service)),
            _ => {}
        }
        Ok(Event::Command(command))
    }

    fn register(&mut self, service: &str) -> Result<(), Fault> {
        let max = self.limits.services_max;
        if self.services.len() >= max && !self.services.contains(service) {
            return Err(Fault::TooManyServices { service: excerpt(service), max });
        }
        self.services.insert(service.to_owned());
        Ok(())
    }

    /// Keeps the newest requests that are late, and as many as the client may have pending.
    fn mark_late(&mut self, id: i64) {
        self.sent.iter_mut().filter(|sent| sent.id == id).for_each(|sent| sent.is_late = true);
        let late = self.sent.iter().filter(|sent| sent.is_late).count();
        if late > self.limits.pending_max
            && let Some(oldest) = self.sent.iter().position(|sent| sent.is_late)
        {
            self.sent.remove(oldest);
        }
    }
}

impl Pending {
    fn call(&self) -> Call {
        match self {
            Pending::Request { id } => Call::FromClient(*id),
            Pending::Response(sent) => Call::ToClient(sent.id),
        }
    }
}
