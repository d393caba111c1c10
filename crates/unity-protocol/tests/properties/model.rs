//! A session by its rules, spelled out without a thought of speed: everything that was said is kept, and looked through again.

use std::collections::HashSet;

use unity_protocol::{Call, Command, Event, Fault, SessionLimits};

/// What has become of a call of either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sent,
    /// Timed out before it was answered.
    Late,
    Waiting,
    WaitingLate,
    Over,
}

#[derive(Debug)]
struct Entry {
    call: Call,
    /// The service of a call to the client.
    service: Option<String>,
    state: State,
}

/// What there should be.
#[derive(Debug)]
pub struct Model {
    limits: SessionLimits,
    services: HashSet<String>,
    /// In the order in which they were sent, or announced.
    calls: Vec<Entry>,
    /// In the order of their announcement, by their place in `calls`.
    announced: Vec<usize>,
}

impl Model {
    /// The model of a new session.
    pub fn new(limits: SessionLimits) -> Self {
        Model { limits, services: HashSet::new(), calls: Vec::new(), announced: Vec::new() }
    }

    /// As [`unity_protocol::Session::request_sent`].
    pub fn request_sent(&mut self, id: i64, service: &str) {
        self.enter(Call::ToClient(id), Some(service.to_owned()));
    }

    /// As [`unity_protocol::Session::forget`].
    pub fn forget(&mut self, call: Call) {
        for entry in self.calls.iter_mut().filter(|entry| entry.call == call) {
            entry.state = match entry.state {
                State::Sent => State::Late,
                State::Waiting | State::WaitingLate => State::Over,
                state => state,
            };
        }
        let mut late = self.calls.iter_mut().filter(|entry| entry.state == State::Late).rev();
        late.nth(self.limits.pending_max).into_iter().for_each(|oldest| oldest.state = State::Over);
    }

    /// As [`unity_protocol::Session::pending`].
    pub fn pending(&self) -> usize {
        self.waiting().count()
    }

    /// Panics when `event` is not what has to come of a frame for `destination`.
    pub fn check(&mut self, destination: &str, event: &Event) {
        match event {
            Event::Incomplete(call) => {
                let announced_by = if matches!(call, Call::FromClient(_)) { "__request" } else { "__response" };
                assert_eq!(destination, announced_by);
                assert_eq!(self.announce(*call), Ok(()));
            }
            Event::Fault(fault) => self.check_fault(destination, fault),
            Event::Command(command) => self.obey(command),
            Event::Keepalive => assert_eq!(destination, ""),
            Event::Message { topic, .. } => self.check_payload(destination, topic, None),
            Event::ServiceRequest { id, service, .. } => {
                self.check_payload(destination, service, Some((Call::FromClient(*id), State::Waiting)));
            }
            Event::ServiceResponse { id, service, .. } => {
                self.check_payload(destination, service, Some((Call::ToClient(*id), State::Waiting)));
            }
        }
    }

    fn check_fault(&mut self, destination: &str, fault: &Fault) {
        match *fault {
            Fault::LateResponse { id, ref service } => {
                self.check_payload(destination, service, Some((Call::ToClient(id), State::WaitingLate)));
            }
            Fault::DuplicateRequest { id } => assert_eq!(self.announce(Call::FromClient(id)), Err("duplicate")),
            Fault::UnknownResponse { id } => assert_eq!(self.announce(Call::ToClient(id)), Err("unknown")),
            Fault::TooManyPending { call, .. } => assert_eq!(self.announce(call), Err("too many")),
            Fault::TooManyServices { ref service, .. } => {
                assert!(self.services.len() >= self.limits.services_max && !self.services.contains(service));
            }
            Fault::NoDestination { .. } => assert_eq!(destination, ""),
            Fault::UnknownCommand { .. } => {
                assert!(destination.starts_with("__") && !Command::DESTINATIONS.contains(&destination));
            }
            Fault::CommandTooLong { .. }
            | Fault::BadJson { .. }
            | Fault::BadField { .. }
            | Fault::BadName { .. }
            | Fault::BadType { .. } => assert!(Command::DESTINATIONS.contains(&destination), "{destination:?}"),
        }
    }

    fn check_payload(&mut self, destination: &str, name: &str, bound: Option<(Call, State)>) {
        assert_eq!(destination, name);
        assert!(!destination.is_empty() && !destination.starts_with("__"), "{destination:?}");
        let waits = self.waiting().find(|&index| match &self.calls[index].service {
            None => self.services.contains(destination),
            Some(service) => service == destination,
        });
        assert_eq!(waits.map(|index| (self.calls[index].call, self.calls[index].state)), bound);
        waits.into_iter().for_each(|index| self.calls[index].state = State::Over);
    }

    fn announce(&mut self, call: Call) -> Result<(), &'static str> {
        let is_of_call = |index: &usize| self.calls[*index].call == call;
        let open = |states: [State; 2]| {
            (0..self.calls.len()).filter(is_of_call).find(|&index| states.contains(&self.calls[index].state))
        };
        let sent = open([State::Sent, State::Late]);
        match call {
            Call::FromClient(_) if open([State::Waiting, State::WaitingLate]).is_some() => return Err("duplicate"),
            Call::ToClient(_) if sent.is_none() => return Err("unknown"),
            _ if self.pending() >= self.limits.pending_max => return Err("too many"),
            _ => {}
        }
        let index = sent.unwrap_or_else(|| self.enter(call, None));
        let is_late = self.calls[index].state == State::Late;
        self.calls[index].state = if is_late { State::WaitingLate } else { State::Waiting };
        self.announced.push(index);
        Ok(())
    }

    fn obey(&mut self, command: &Command) {
        match command {
            Command::RosService { service, .. } => {
                self.services.insert(service.clone());
                assert!(self.services.len() <= self.limits.services_max);
            }
            Command::RemoveRosService { service } => drop(self.services.remove(service)),
            _ => {}
        }
    }

    fn waiting(&self) -> impl Iterator<Item = usize> {
        let waits = |index: &usize| matches!(self.calls[*index].state, State::Waiting | State::WaitingLate);
        self.announced.iter().copied().filter(waits)
    }

    fn enter(&mut self, call: Call, service: Option<String>) -> usize {
        self.calls.push(Entry { call, service, state: State::Sent });
        self.calls.len() - 1
    }
}
