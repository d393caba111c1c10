//! One connection, from its bytes, with everything checked that has to hold.
//!
//! The first byte of an input says into pieces of how many bytes the rest is cut, the second how the endpoint behaves: it asks the client
//! as often as the low three bits say, and gives up on the oldest open call after every so many frames as the others say. 0 is never.

use bytes::BytesMut;
use unity_protocol::{Call, Decoder, Event, Fault, Frame, FrameError, Limits, Session, SessionLimits};

use crate::model::Model;

/// Small, so that short inputs reach them. The longest command has to fit.
const FRAME_LIMITS: Limits = Limits { destination_bytes_max: 64, payload_bytes_max: 20 << 10 };
const SESSION_LIMITS: SessionLimits = SessionLimits { pending_max: 4, services_max: 3 };

/// The services of the client that the endpoint asks, in turn, and its first id.
const ASKED: [&str; 2] = ["/spawn", "/delete"];
const FIRST_ID: i64 = 1001;

/// The longest text of a fault or an error: nobody fills a log with one frame.
const TEXT_BYTES_MAX: usize = 1200;

/// Receives an input; tells what it came to, by kinds.
pub fn run(input: &[u8]) -> Vec<&'static str> {
    let Some((&[piece_bytes, behaviour], stream)) = input.split_first_chunk() else { return Vec::new() };
    let piece_bytes = if piece_bytes == 0 { stream.len().max(1) } else { piece_bytes.into() };
    let mut connection = Connection::new(behaviour);
    let (mut decoder, mut received, mut frames) = (Decoder::new(FRAME_LIMITS), BytesMut::new(), frames(stream));
    for piece in stream.chunks(piece_bytes) {
        received.extend_from_slice(piece);
        if let Err(error) = decode_all(&mut decoder, &mut received, &mut frames, &mut connection) {
            check_text(error.kind(), &FrameError::KINDS, &error.to_string());
            assert_eq!(decoder.decode(&mut received), Err(error.clone()), "the same again");
            assert!(frames.next().is_none_or(|frame| !is_acceptable(&frame)), "{error}");
            connection.kinds.push(error.kind());
            return connection.kinds;
        }
    }
    let rest = frames.next();
    assert!(rest.is_none_or(|frame| frame.missing_bytes > 0), "a frame that was not decoded");
    connection.kinds
}

fn decode_all<'a>(
    decoder: &mut Decoder,
    received: &mut BytesMut,
    frames: &mut (impl Iterator<Item = Reference<'a>> + Clone),
    connection: &mut Connection,
) -> Result<(), FrameError> {
    loop {
        let (buffered, capacity, start) = (received.len(), received.capacity(), received.as_ptr());
        let frame = decoder.decode(received)?;
        assert!(received.capacity() <= capacity, "memory for what is only announced");
        let Some(frame) = frame else {
            check_missing(decoder.missing_bytes(), buffered, frames.clone().next());
            return Ok(());
        };
        let expected = frames.next().expect("a frame from nowhere");
        assert!(is_acceptable(&expected) && expected.missing_bytes == 0);
        let trimmed = str::from_utf8(expected.destination).expect("UTF-8").trim_end_matches('\0');
        assert_eq!((frame.destination(), &frame.payload[..]), (trimmed, expected.payload));
        let payload_start = start.wrapping_add(expected.frame_bytes - expected.payload_bytes);
        assert!(frame.payload.is_empty() || frame.payload.as_ptr() == payload_start, "a copy");
        connection.receive(frame);
    }
}

/// Not more than is missing may be said to be missing: a reader that waits for it would wait for ever.
fn check_missing(missing_bytes: usize, buffered: usize, next: Option<Reference<'_>>) {
    assert!(missing_bytes > 0);
    if let Some(next) = next {
        assert!(buffered + missing_bytes <= next.frame_bytes, "{buffered} + {missing_bytes} of {}", next.frame_bytes);
    }
}

/// A frame, read without a thought of pieces.
struct Reference<'a> {
    destination: &'a [u8],
    payload: &'a [u8],
    payload_bytes: usize,
    frame_bytes: usize,
    missing_bytes: usize,
}

/// What there is of every frame whose lengths have come, the last perhaps not whole.
fn frames(stream: &[u8]) -> impl Iterator<Item = Reference<'_>> + Clone {
    let length = |bytes: &[u8]| Some(u32::from_le_bytes(*bytes.first_chunk()?) as usize);
    let mut rest = stream;
    std::iter::from_fn(move || {
        let destination_bytes = length(rest)?;
        let destination = rest.get(4..4 + destination_bytes).unwrap_or_default();
        let Some(payload_bytes) = rest.get(4 + destination_bytes..).and_then(length) else {
            let frame_bytes = 8 + destination_bytes;
            let missing_bytes = frame_bytes - rest.len();
            rest = &[];
            return Some(Reference { destination, payload: &[], payload_bytes: 0, frame_bytes, missing_bytes });
        };
        let frame_bytes = 8 + destination_bytes + payload_bytes;
        let missing_bytes = frame_bytes.saturating_sub(rest.len());
        let (frame, after) = rest.split_at(frame_bytes.min(rest.len()));
        rest = after;
        let payload = &frame[8 + destination_bytes..];
        Some(Reference { destination, payload, payload_bytes, frame_bytes, missing_bytes })
    })
}

fn is_acceptable(frame: &Reference<'_>) -> bool {
    // What is too long, or has not come, is counted by what is announced.
    frame.destination.len() <= FRAME_LIMITS.destination_bytes_max
        && frame.frame_bytes - frame.payload_bytes - 8 <= FRAME_LIMITS.destination_bytes_max
        && frame.payload_bytes <= FRAME_LIMITS.payload_bytes_max
        && str::from_utf8(frame.destination).is_ok()
}

/// A session beside its model, and an endpoint that asks and gives up.
struct Connection {
    session: Session,
    model: Model,
    /// What the endpoint could give up on.
    open: Vec<Call>,
    give_up_after: usize,
    received: usize,
    kinds: Vec<&'static str>,
}

impl Connection {
    fn new(behaviour: u8) -> Self {
        let mut connection = Connection {
            session: Session::new(SESSION_LIMITS),
            model: Model::new(SESSION_LIMITS),
            open: Vec::new(),
            give_up_after: usize::from(behaviour >> 3),
            received: 0,
            kinds: Vec::new(),
        };
        for (id, service) in (FIRST_ID..).zip(ASKED.iter().cycle()).take(usize::from(behaviour & 7)) {
            connection.session.request_sent(id, service);
            connection.model.request_sent(id, service);
            connection.open.push(Call::ToClient(id));
        }
        connection
    }

    fn receive(&mut self, frame: Frame) {
        let (destination, payload) = (frame.destination().to_owned(), frame.payload.clone());
        let event = self.session.receive(frame);
        self.model.check(&destination, &event);
        self.kinds.push(kind(&event));
        match event {
            Event::Fault(fault) => check_text(fault.kind(), &Fault::KINDS, &fault.to_string()),
            Event::Incomplete(call @ Call::FromClient(_)) => self.open.push(call),
            Event::Message { payload: given, .. }
            | Event::ServiceRequest { payload: given, .. }
            | Event::ServiceResponse { payload: given, .. } => assert_eq!(given.as_ptr(), payload.as_ptr(), "a copy"),
            Event::Keepalive | Event::Command(_) | Event::Incomplete(_) => {}
        }
        self.received += 1;
        if self.give_up_after > 0 && self.received.is_multiple_of(self.give_up_after) && !self.open.is_empty() {
            let call = self.open.remove(0);
            self.session.forget(call);
            self.model.forget(call);
        }
        assert_eq!(self.session.pending(), self.model.pending());
        assert!(self.session.pending() <= SESSION_LIMITS.pending_max);
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Keepalive => "keepalive",
        Event::Command(_) => "command",
        Event::Message { .. } => "message",
        Event::ServiceRequest { .. } => "service_request",
        Event::ServiceResponse { .. } => "service_response",
        Event::Incomplete(_) => "incomplete",
        Event::Fault(fault) => fault.kind(),
    }
}

fn check_text(kind: &str, kinds: &[&str], text: &str) {
    assert!(kinds.contains(&kind), "{kind}");
    assert!(text.len() <= TEXT_BYTES_MAX && !text.contains(|char: char| char.is_control()), "{text:?}");
}
