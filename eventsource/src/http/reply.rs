//! Every response that a listener gives. Errors are JSON with one member, `error`, that says what is wrong.

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::json;

/// The response of a listener.
pub(crate) type Reply = Response<Full<Bytes>>;

const EVENT_ID: HeaderName = HeaderName::from_static("x-event-id");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Characters of an event's id that a header cannot carry, and the escape itself.
const NOT_IN_HEADERS: &AsciiSet = &CONTROLS.add(b'%');

/// 200 with Argo's body, and the id of the event if exactly one was stored.
pub(crate) fn success(event_id: Option<&str>) -> Reply {
    let mut reply = text("success");
    if let Some(id) = event_id {
        let id = if id.is_ascii() {
            HeaderValue::from_str(id)
        } else {
            HeaderValue::from_str(&utf8_percent_encode(id, NOT_IN_HEADERS).to_string())
        };
        if let Ok(id) = id {
            reply.headers_mut().insert(EVENT_ID, id);
        }
    }
    reply
}

/// 200 for the health check.
pub(crate) fn health() -> Reply {
    text("OK")
}

fn text(body: &'static str) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    reply.headers_mut().insert(CONTENT_TYPE, TEXT);
    reply
}

/// An error with its status.
pub(crate) fn error(status: StatusCode, message: &str) -> Reply {
    let mut body = b"{\"error\":".to_vec();
    json::write_string(message.as_bytes(), &mut body);
    body.push(b'}');
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

/// 503: the same request may succeed in a second.
pub(crate) fn again(message: &str) -> Reply {
    let mut reply = error(StatusCode::SERVICE_UNAVAILABLE, message);
    reply
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    reply
}

/// 401.
pub(crate) fn unauthorized(message: &str) -> Reply {
    let mut reply = error(StatusCode::UNAUTHORIZED, message);
    reply
        .headers_mut()
        .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    reply
}

/// 405 with the methods that are served.
pub(crate) fn other_method(allow: &str) -> Reply {
    let message = format!("this path takes {allow} only");
    let mut reply = error(StatusCode::METHOD_NOT_ALLOWED, &message);
    if let Ok(allow) = HeaderValue::from_str(allow) {
        reply.headers_mut().insert(ALLOW, allow);
    }
    reply
}

/// An error after which the connection closes, because the rest of the request is not read.
pub(crate) fn closing(status: StatusCode, message: &str) -> Reply {
    let mut reply = error(status, message);
    reply
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    reply
}
