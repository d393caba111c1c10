//! The responses, as values.

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::events::EventBody;
use crate::live::LiveFile;
use crate::metrics::Rejection;

/// A response with its whole body, so that hyper sends a Content-Length.
pub(crate) type Reply = Response<Full<Bytes>>;

/// What is sent: a response with its whole body, or one that goes on.
pub(crate) type Answer = Response<Either<Full<Bytes>, EventBody>>;

/// The text format's media type, <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const EXPOSITION: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

pub(crate) fn exposition(body: Bytes, gzipped: bool) -> Reply {
    let mut reply = reply(StatusCode::OK, EXPOSITION, body);
    set(&mut reply, header::VARY, "accept-encoding");
    if gzipped {
        set(&mut reply, header::CONTENT_ENCODING, "gzip");
    }
    reply
}

pub(crate) fn health(result: Result<(), String>) -> Reply {
    match result {
        Ok(()) => text(StatusCode::OK, "ok"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
    }
}

pub(crate) fn page(html: String, content_security_policy: &HeaderValue) -> Reply {
    let mut reply = reply(StatusCode::OK, HTML, html.into());
    confine(&mut reply, content_security_policy);
    reply
}

/// A file that does not change while this process runs; a later one may bring another.
pub(crate) fn file(file: &LiveFile, entity_tag: &HeaderValue, content_security_policy: &HeaderValue) -> Reply {
    let content_type = HeaderValue::from_static(file.content_type);
    let mut reply = reply(StatusCode::OK, content_type, Bytes::from_static(file.body.as_bytes()));
    confine(&mut reply, content_security_policy);
    tag(&mut reply, entity_tag);
    reply
}

pub(crate) fn not_modified(entity_tag: &HeaderValue) -> Reply {
    let mut reply = Response::new(Full::default());
    *reply.status_mut() = StatusCode::NOT_MODIFIED;
    tag(&mut reply, entity_tag);
    reply
}

/// Whether the response does not end by itself.
pub(crate) fn goes_on(answer: &Answer) -> bool {
    matches!(answer.body(), Either::Right(_))
}

/// The head of a response of events. After it nothing can follow on the same connection.
pub(crate) fn events() -> Reply {
    let mut reply = reply(StatusCode::OK, HeaderValue::from_static("text/event-stream"), Bytes::new());
    set(&mut reply, header::CACHE_CONTROL, "no-store");
    set(&mut reply, header::CONNECTION, "close");
    // nginx would otherwise collect events before it passes them on.
    set(&mut reply, HeaderName::from_static("x-accel-buffering"), "no");
    reply
}

/// To be asked for each time whether it is still the same.
fn tag(reply: &mut Reply, entity_tag: &HeaderValue) {
    reply.headers_mut().insert(header::ETAG, entity_tag.clone());
    set(reply, header::CACHE_CONTROL, "no-cache");
}

/// What a page may do, and who may have it in a frame.
fn confine(reply: &mut Reply, content_security_policy: &HeaderValue) {
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, content_security_policy.clone());
    set(reply, header::X_FRAME_OPTIONS, "deny");
    set(reply, header::REFERRER_POLICY, "no-referrer");
}

pub(crate) fn not_found() -> Reply {
    text(StatusCode::NOT_FOUND, "nothing is here; / lists what there is")
}

pub(crate) fn method_not_allowed() -> Reply {
    let mut reply = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed");
    set(&mut reply, header::ALLOW, "GET, HEAD");
    reply
}

pub(crate) fn rejected(rejection: Rejection) -> Reply {
    let (code, line) = match rejection {
        Rejection::MaxRequests => (StatusCode::SERVICE_UNAVAILABLE, "too many requests are being answered"),
        Rejection::MaxPendingLogins => (StatusCode::SERVICE_UNAVAILABLE, "too many passwords are being checked"),
        Rejection::MaxLiveClients => (StatusCode::SERVICE_UNAVAILABLE, "too many follow the live page already"),
        Rejection::RateLimit => (StatusCode::TOO_MANY_REQUESTS, "too many requests came lately"),
        Rejection::Unauthorized => (StatusCode::UNAUTHORIZED, "a user and a password are needed"),
        Rejection::MaxBodyBytes => {
            (StatusCode::PAYLOAD_TOO_LARGE, "a request needs no body, and this one is too large")
        }
        Rejection::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "the request's body did not come in time"),
    };
    let mut reply = text(code, line);
    match rejection {
        Rejection::Unauthorized => {
            set(&mut reply, header::WWW_AUTHENTICATE, "Basic realm=\"metrics\", charset=\"UTF-8\"");
        }
        // The rest of the request stays unread, so nothing can follow on the same connection.
        Rejection::MaxBodyBytes | Rejection::BodyTimeout => set(&mut reply, header::CONNECTION, "close"),
        Rejection::MaxRequests | Rejection::MaxPendingLogins | Rejection::MaxLiveClients | Rejection::RateLimit => {}
    }
    reply
}

/// One line for a person; the line feed is added here.
fn text(code: StatusCode, line: impl Into<String>) -> Reply {
    let mut line = line.into();
    line.push('\n');
    reply(code, TEXT, line.into())
}

fn reply(code: StatusCode, content_type: HeaderValue, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = code;
    reply.headers_mut().insert(header::CONTENT_TYPE, content_type);
    set(&mut reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply
}

fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}
