//! The body of a request as the `body` member of the event data. It reads no header but `Content-Type`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, StatusCode};
use tiphys_lang::json::JsonError;

use crate::form;
use crate::json::compact;
use crate::source::Rejection;

/// Appends the body by method and content type.
pub(super) fn write(request: &Request<Bytes>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    if request.method() == Method::GET {
        form::write(&form::query(request.uri().query().unwrap_or_default()), out);
        return Ok(());
    }
    let media = media_type(request.headers());
    if media.is_some_and(is_form) {
        let fields = form::form(request.body())
            .map_err(|error| Rejection::bad_request(format!("the body is not a form: {error}")))?;
        form::write(&fields, out);
        return Ok(());
    }
    write_bytes(request.body(), media, out)
}

/// Refuses compressed text: nothing is decompressed here, and as text it would be taken for broken.
pub(super) fn check_encoding(request: &Request<Bytes>) -> Result<(), Rejection> {
    let Some(encoding) = request.headers().get(CONTENT_ENCODING) else {
        return Ok(());
    };
    let media = media_type(request.headers());
    if encoding == "identity"
        || request.method() == Method::GET
        || !media.is_none_or(|media| promises_json(media) || is_form(media))
    {
        return Ok(());
    }
    Err(Rejection {
        status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
        message: "the body is compressed: send it without Content-Encoding".to_owned(),
    })
}

/// Appends the data of a CloudEvent in binary mode: `null` where there is none.
pub(super) fn write_data(request: &Request<Bytes>, out: &mut Vec<u8>) -> Result<(), Rejection> {
    if request.body().is_empty() {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    write_bytes(request.body(), media_type(request.headers()), out)
}

/// Appends JSON as it is, and other bytes as base64 where the content type does not promise JSON.
pub(super) fn write_bytes(
    body: &[u8],
    media: Option<&str>,
    out: &mut Vec<u8>,
) -> Result<(), Rejection> {
    let start = out.len();
    // Argo takes a body that is JSON as JSON, whatever its content type says.
    let refused = match text(body).and_then(|text| write_json(text, out)) {
        Ok(()) => return Ok(()),
        Err(refused) => refused,
    };
    if media.is_none_or(promises_json) {
        return Err(refused);
    }
    out.truncate(start);
    out.push(b'"');
    let mut encoded = String::new();
    STANDARD.encode_string(body, &mut encoded);
    out.extend_from_slice(encoded.as_bytes());
    out.extend_from_slice(br#"","bodyEncoding":"base64""#);
    Ok(())
}

/// Appends JSON.
pub(super) fn write_json(text: &str, out: &mut Vec<u8>) -> Result<(), Rejection> {
    compact(text, out).map_err(|error| not_json(text, &error))
}

/// The body as text.
pub(super) fn text(body: &[u8]) -> Result<&str, Rejection> {
    str::from_utf8(body).map_err(|error| {
        Rejection::bad_request(format!(
            "the body is not UTF-8: invalid byte at offset {}",
            error.valid_up_to()
        ))
    })
}

fn not_json(text: &str, error: &JsonError) -> Rejection {
    if text.trim().is_empty() {
        return Rejection::bad_request("the body is empty: send JSON, as {}");
    }
    let before = text.get(..error.offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    Rejection::bad_request(format!(
        "the body is not JSON: {} at line {line}, column {column}; \
         send anything else with a Content-Type that says so",
        error.what
    ))
}

/// The media type without its parameters.
pub(super) fn media_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let media = value.split(';').next().unwrap_or_default().trim();
    (!media.is_empty()).then_some(media)
}

fn is_form(media: &str) -> bool {
    media.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn promises_json(media: &str) -> bool {
    let media = media.to_ascii_lowercase();
    media == "application/json" || media == "text/json" || media.ends_with("+json")
}
