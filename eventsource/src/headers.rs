//! Request headers as Go prints them into event data. It lets no token through.

use http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING};

use crate::json::{push_code, write_string};

/// Stands for the value of every `Authorization` header in an event, so that no token reaches the bus.
const MASK: &str = "*** Masked Auth Secret ***";

/// Appends request headers as Go sees them: canonical names, sorted, each with a list of values.
///
/// `Host` and `Transfer-Encoding` are not among Go's headers; the value of `Authorization` is masked.
pub(crate) fn write(headers: &HeaderMap, out: &mut Vec<u8>) {
    let mut names: Vec<&HeaderName> = headers
        .keys()
        .filter(|name| **name != HOST && **name != TRANSFER_ENCODING)
        .collect();
    names.sort_unstable_by(|a, b| canonical(a).cmp(canonical(b)));
    out.push(b'{');
    for (index, name) in names.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.push(b'"');
        // `&` is a legal character of a header's name; the other special ones are not.
        for byte in canonical(name) {
            match byte {
                b'&' => push_code(u32::from(byte), out),
                byte => out.push(byte),
            }
        }
        out.extend_from_slice(b"\":[");
        if *name == AUTHORIZATION {
            write_string(MASK.as_bytes(), out);
        } else {
            for (index, value) in headers.get_all(name).iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(value.as_bytes(), out);
            }
        }
        out.push(b']');
    }
    out.push(b'}');
}

/// `x-github-event` as `X-Github-Event`.
fn canonical(name: &HeaderName) -> impl Iterator<Item = u8> + '_ {
    let mut start = true;
    name.as_str().bytes().map(move |byte| {
        let upper = start;
        start = byte == b'-';
        if upper {
            byte.to_ascii_uppercase()
        } else {
            byte
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_look_as_go_prints_them() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("x-github-event", &b"push"[..]),
            ("accept", b"*/*"),
            ("host", b"example"),
            ("transfer-encoding", b"chunked"),
            ("authorization", b"Bearer token"),
            ("x-two", b"<1>"),
            ("x-two", b"\xff\"2"),
            ("x_under-score", b""),
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, http::HeaderValue::from_bytes(value).unwrap());
        }
        let mut out = Vec::new();
        write(&headers, &mut out);
        let expected = concat!(
            r#"{"Accept":["*/*"],"Authorization":["*** Masked Auth Secret ***"],"X-Github-Event":["push"],"#,
            r#""X-Two":["\u003c1\u003e","\ufffd\"2"],"X_under-Score":[""]}"#
        );
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
