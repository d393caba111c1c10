//! The responses, as values.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};

use crate::metrics::Rejection;

/// A response with its whole body, so that hyper sends a Content-Length.
pub(crate) type Reply = Response<Full<Bytes>>;

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
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, content_security_policy.clone());
    set(&mut reply, header::X_FRAME_OPTIONS, "deny");
    set(&mut reply, header::REFERRER_POLICY, "no-referrer");
    reply
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
        Rejection::MaxRequests | Rejection::MaxPendingLogins | Rejection::RateLimit => {}
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
