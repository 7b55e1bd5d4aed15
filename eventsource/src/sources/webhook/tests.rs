//! Requests as values: what becomes event data, and what is refused with which words.

use expect_test::{Expect, expect};
use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::source::Attributes;

fn hook(metadata: &[(&str, &str)]) -> GenericHook {
    let pairs = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    GenericHook::new(&pairs.collect())
}

fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Request<Bytes> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::copy_from_slice(body)).unwrap()
}

fn post(headers: &[(&str, &str)], body: &[u8]) -> Result<Accepted, Rejection> {
    hook(&[]).accept(&request("POST", "/x", headers, body))
}

#[track_caller]
fn one(accepted: Result<Accepted, Rejection>) -> Draft {
    match accepted {
        Ok(Accepted::One(draft)) => draft,
        other => panic!("{other:?}"),
    }
}

fn data(draft: &Draft) -> &str {
    str::from_utf8(&draft.data).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn the_event_data_is_argos() {
    let request = request(
        "POST",
        "/x",
        &[JSON, ("host", "h")],
        b"{\"b\": 1.0,\n \"a\": \"<\"}",
    );
    let draft = one(hook(&[("k", "v"), ("a", "\"")]).accept(&request));
    let expected = r#"{"header":{"Content-Type":["application/json"]},"body":{"b":1.0,"a":"\u003c"},"metadata":{"a":"\"","k":"v"}}"#;
    assert_eq!(data(&draft), expected);
    assert_eq!(draft.sender, None);
}

#[test]
fn a_get_request_is_its_query() {
    for (target, body) in [
        ("/x?ccc=d%20d&aaa=b%20b", r#"{"aaa":["b b"],"ccc":["d d"]}"#),
        ("/x", "{}"),
    ] {
        let draft = one(hook(&[]).accept(&request("GET", target, &[], b"ignored")));
        assert_eq!(data(&draft), format!(r#"{{"header":{{}},"body":{body}}}"#));
    }
}

#[test]
fn forms_become_objects_of_lists_for_every_method_and_charset() {
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        let form = (
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        let request = request(method, "/x", &[form], b"aaa=b%20b&ccc=d+d");
        let draft = one(hook(&[]).accept(&request));
        assert!(data(&draft).ends_with(r#""body":{"aaa":["b b"],"ccc":["d d"]}}"#));
    }
}

#[test]
fn json_is_taken_as_json_whatever_its_type_says() {
    for media in [
        "application/json",
        "text/plain",
        "application/vnd.x+json",
        "application/octet-stream",
    ] {
        for body in ["{}", "null", "123", "\"x\"", "[1]"] {
            let draft = one(post(&[("content-type", media)], body.as_bytes()));
            assert!(
                data(&draft).ends_with(&format!(r#","body":{body}}}"#)),
                "{media} {body}"
            );
        }
    }
    let draft = one(post(&[], b" [1] "));
    assert_eq!(data(&draft), r#"{"header":{},"body":[1]}"#);
}

#[test]
fn other_bytes_become_base64() {
    for (media, body, encoded) in [
        ("text/plain", &b"hello"[..], "aGVsbG8="),
        ("application/xml", b"<a/>", "PGEvPg=="),
        ("application/octet-stream", b"\xff\x00", "/wA="),
        ("application/octet-stream", b"{\"a\":", "eyJhIjo="),
        ("text/plain", b"", ""),
    ] {
        let draft = one(post(&[("content-type", media)], body));
        let expected = format!(
            r#"{{"header":{{"Content-Type":["{media}"]}},"body":"{encoded}","bodyEncoding":"base64"}}"#
        );
        assert_eq!(data(&draft), expected);
    }
}

#[test]
fn what_promises_json_and_is_not_is_refused_with_its_place() {
    let deep = "[".repeat(10_000);
    for (headers, body, message) in [
        (
            &[JSON][..],
            &b"Invalid JSON"[..],
            "the body is not JSON: unexpected character at line 1, column 1; send anything else with a Content-Type that says so",
        ),
        (
            &[],
            b"{\"a\":1,\n\n  x}",
            "the body is not JSON: expected a key in quotes at line 3, column 3; send anything else with a Content-Type that says so",
        ),
        (&[JSON], b"", "the body is empty: send JSON, as {}"),
        (&[JSON], b" \n", "the body is empty: send JSON, as {}"),
        (
            &[("content-type", "application/problem+json")],
            b"x",
            "the body is not JSON: unexpected character at line 1, column 1; send anything else with a Content-Type that says so",
        ),
        (
            &[JSON],
            b"{\"a\":\"\xff\"}",
            "the body is not UTF-8: invalid byte at offset 6",
        ),
        (
            &[JSON],
            deep.as_bytes(),
            "the body is not JSON: nested too deeply at line 1, column 500; send anything else with a Content-Type that says so",
        ),
        (
            &[("content-type", "application/x-www-form-urlencoded")],
            b"a=%zz",
            "the body is not a form: \"%zz\" is not a percent escape",
        ),
    ] {
        let rejection = post(headers, body).unwrap_err();
        assert_eq!(rejection, Rejection::bad_request(message));
        assert_eq!(rejection.status, StatusCode::BAD_REQUEST);
    }
}

#[test]
fn compressed_text_is_refused_and_compressed_bytes_are_bytes() {
    let gzip = ("content-encoding", "gzip");
    for headers in [&[gzip][..], &[gzip, JSON]] {
        let rejection = post(headers, b"\x1f\x8b").unwrap_err();
        assert_eq!(rejection.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let bytes = ("content-type", "application/octet-stream");
    assert!(data(&one(post(&[gzip, bytes], b"\x1f\x8b"))).contains(r#""body":"H4s=""#));
    let identity = ("content-encoding", "identity");
    assert!(data(&one(post(&[identity, JSON], b"{}"))).ends_with(r#""body":{}}"#));
}

const CE: [(&str, &str); 4] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "a b%20c"),
    ("ce-source", "/me"),
    ("ce-type", "com.example"),
];

#[test]
fn a_binary_cloudevent_keeps_its_attributes() {
    let mut headers = CE.to_vec();
    headers.extend([
        ("ce-time", "2026-01-31T10:00:00.5Z"),
        ("ce-subject", "s"),
        ("ce-trace", "t"),
    ]);
    headers.extend([("ce-dataschema", "urn:x"), JSON]);
    let draft = one(post(&headers, b"{\"a\": 1}"));
    assert!(data(&draft).ends_with(r#""body":{"a":1}}"#));
    let attributes = draft.sender.unwrap();
    let extensions = [("cedataschema", "urn:x"), ("trace", "t")];
    let expected = Attributes {
        id: "a b c".into(),
        source: "/me".into(),
        subject: Some("s".into()),
        kind: "com.example".into(),
        time: "2026-01-31T10:00:00.5Z".parse().ok(),
        extensions: extensions
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    };
    assert_eq!(*attributes, expected);
    assert!(data(&one(post(&CE, b""))).ends_with(r#""body":null}"#));
}

fn structured(event: &str) -> Result<Accepted, Rejection> {
    let media = (
        "content-type",
        "application/cloudevents+json; charset=utf-8",
    );
    post(&[media], event.as_bytes())
}

fn event_with(members: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"/me","type":"t"{members}}}"#)
}

#[test]
fn a_structured_cloudevent_gives_its_data_as_body() {
    for (members, body) in [
        (r#","data":{"a":1.0,"b":[]}"#, r#""body":{"a":1.0,"b":[]}}"#),
        (
            r#","data":"hello","datacontenttype":"text/plain""#,
            r#""body":"hello"}"#,
        ),
        (r#","data":null"#, r#""body":null}"#),
        ("", r#""body":null}"#),
        (
            r#","data_base64":"aGVsbG8=""#,
            r#""body":"aGVsbG8=","bodyEncoding":"base64"}"#,
        ),
        (
            r#","data_base64":"e30=","datacontenttype":"application/json""#,
            r#""body":{}}"#,
        ),
        (
            r#","count":1,"flag":true,"none":null,"subject":"s""#,
            r#""body":null}"#,
        ),
    ] {
        let draft = one(structured(&event_with(members)));
        assert!(data(&draft).ends_with(body), "{}", data(&draft));
    }
    let draft = one(structured(&event_with(
        r#","count":1,"flag":true,"none":null"#,
    )));
    let extensions = draft.sender.unwrap().extensions;
    assert_eq!(extensions.get("count").map(String::as_str), Some("1"));
    assert_eq!(extensions.get("flag").map(String::as_str), Some("true"));
    assert_eq!(extensions.len(), 2);
}

#[test]
fn a_batch_is_several_events() {
    let media = ("content-type", "application/cloudevents-batch+json");
    let body = format!(
        "[{},{}]",
        event_with(r#","data":1"#),
        event_with(r#","data":2"#)
    );
    let Ok(Accepted::Many(drafts)) = post(&[media], body.as_bytes()) else {
        panic!("not a batch")
    };
    assert!(
        data(&drafts[0]).ends_with(r#""body":1}"#) && data(&drafts[1]).ends_with(r#""body":2}"#)
    );
    let huge = format!("[{}]", vec!["{}"; 1001].join(","));
    let rejection = post(&[media], huge.as_bytes()).unwrap_err();
    assert_eq!(
        rejection.message,
        "the batch has 1001 CloudEvents: send at most 1000 at once"
    );
}

#[test]
fn broken_cloudevents_are_refused() {
    let check = |event: &str, expected: Expect| {
        expected.assert_eq(&structured(event).unwrap_err().message);
    };
    check(
        "[]",
        expect!["the body is not a CloudEvent: not a JSON object"],
    );
    check(
        "{",
        expect![
            "the body is not JSON: unexpected end at line 1, column 2; send anything else with a Content-Type that says so"
        ],
    );
    check("{}", expect!["the CloudEvent's specversion must be 1.0"]);
    check(
        r#"{"specversion":"2.0"}"#,
        expect!["the CloudEvent's specversion must be 1.0"],
    );
    check(
        r#"{"specversion":"1.0","id":"1","type":"t"}"#,
        expect!["the CloudEvent has no source"],
    );
    check(
        &event_with(r#","data":1,"data_base64":"""#),
        expect!["the CloudEvent has both data and data_base64"],
    );
    check(
        &event_with(r#","data_base64":"!""#),
        expect!["the CloudEvent has data_base64 that is not base64"],
    );
    check(
        &event_with(r#","data_base64":1"#),
        expect!["the CloudEvent's data_base64 must be text"],
    );
    check(
        &event_with(r#","time":"now""#),
        expect![[r#"the CloudEvent's time "now" is not RFC 3339, as 2026-01-31T10:00:00Z"#]],
    );
    check(
        &event_with(r#","subject":"a\nb""#),
        expect!["the CloudEvent's subject has a control character"],
    );
    check(
        &event_with(r#","Bad-Name":"x""#),
        expect![[r#"the CloudEvent's attribute "Bad-Name" must be lower-case letters and digits"#]],
    );
    let header = [("ce-specversion", "1.0"), ("ce-id", "%0a")];
    assert!(
        post(&header, b"{}")
            .unwrap_err()
            .message
            .contains("control character")
    );
    let data = [("ce-specversion", "1.0"), ("ce-data", "x")];
    assert!(
        post(&data, b"{}")
            .unwrap_err()
            .message
            .contains("belongs in the body")
    );
}

#[test]
fn methods_are_read_and_odd_ones_reported() {
    for (method, expected) in [
        ("", ""),
        ("PUT", ""),
        (
            "post",
            "warning: method: must be in capitals for Argo Events; write POST",
        ),
        (
            "HEAD",
            "method: must be one of GET, POST, PUT, PATCH, DELETE",
        ),
    ] {
        let webhook = Webhook {
            method: method.to_owned(),
            endpoint: "/a".to_owned(),
            port: "1".to_owned(),
            ..Webhook::default()
        };
        let mut problems = Problems::default();
        SourceSpec::validate(&webhook, &mut problems);
        assert_eq!(problems.to_string(), expected);
        assert_eq!(SourceSpec::build(&webhook).is_ok(), !problems.has_errors());
    }
}

proptest! {
    #[test]
    fn no_request_can_break_the_hook(
        method in prop::sample::select(vec!["GET", "POST", "DELETE"]),
        media in prop::sample::select(vec![
            "", "application/json", "text/plain", "application/x-www-form-urlencoded",
            "application/cloudevents+json", "application/cloudevents-batch+json", ";", "x/y; z",
        ]),
        query in "[a-z%=&;+0-9]{0,20}",
        id in "[ -~]{0,8}",
        body: Vec<u8>,
    ) {
        let headers = [("content-type", media), ("ce-specversion", "1.0"), ("ce-id", &*id), ("ce-source", "s"), ("ce-type", "t")];
        let headers = if id.is_empty() { &headers[..1] } else { &headers[..] };
        let accepted = hook(&[("a", "b")]).accept(&request(method, &format!("/x?{query}"), headers, &body));
        if let Ok(Accepted::One(draft)) = accepted {
            prop_assert!(tiphys_lang::json::parse(&draft.data).is_ok());
        }
    }
}
