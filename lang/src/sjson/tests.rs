//! What holds for every destination: no panic, bounds kept, valid documents stay valid.

use std::hint::black_box;

use proptest::prelude::*;

use super::*;

#[test]
fn values_are_written_with_their_digits() {
    let value = json::parse(br#"{"b":[1.50,12345678901234567890],"a":"<"}"#).unwrap();
    let out = set(b"{}", "x.0", &value).unwrap();
    let want = r#"{"x":[{"a":"\u003c","b":[1.50,12345678901234567890]}]}"#;
    assert_eq!(String::from_utf8(out).unwrap(), want);
    assert_eq!(set(b"{}", "x", &Value::from("<")).unwrap(), br#"{"x":"<"}"#);
}

#[test]
fn what_cannot_be_set_is_an_error() {
    use SetError::{
        DeleteNeedsPlainPath, EmptyPath, IndexTooLarge, NotAnIndex, RawNotJson, TooDeep,
    };
    let index = |text: &str| IndexTooLarge {
        index: text.to_owned(),
    };
    let raw = |path: &str| set_raw(br#"{"a":[1]}"#, path, b"1").unwrap_err();
    assert_eq!(raw(""), EmptyPath);
    assert_eq!(
        raw("a.b"),
        NotAnIndex {
            key: "b".to_owned()
        }
    );
    assert_eq!(raw("a.100002"), index("100002"));
    assert_eq!(
        raw("a.99999999999999999999999"),
        index("99999999999999999999999")
    );
    assert_eq!(raw("b.60000.60000"), index("60000"));
    assert_eq!(raw(&"a.".repeat(50_000)), TooDeep);
    assert_eq!(set_raw(b"{}", "a", b"{"), Err(RawNotJson));
    assert_eq!(delete(b"{}", "a.*"), Err(DeleteNeedsPlainPath));
    assert_eq!(delete(b"{}", ""), Err(EmptyPath));
}

#[test]
fn deep_documents_are_written_to() {
    let deep = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let out = set_raw(deep.as_bytes(), &["a"; 400].join("."), b"2").unwrap();
    assert_eq!(out.len(), 400 * 6 + 1);
    assert!(set_raw(&[b'['; 1_000_000], "0.0.0", b"2").is_ok());
}

#[test]
fn values_collected_through_two_levels_are_replaced() {
    let json = br#"{"a":[{"b":[{"c":1},{"c":2}]},{"b":[{"c":3}]}]}"#;
    let out = set_raw(json, "a.#.b.#.c", b"0").unwrap();
    assert_eq!(out, br#"{"a":[{"b":[{"c":0},{"c":0}]},{"b":[{"c":0}]}]}"#);
}

proptest! {
    #[test]
    fn no_bytes_and_no_path_panic(json in prop::collection::vec(any::<u8>(), 0..100), path in "[a-c0-2:.\\\\#*|@\\-é]{0,12}") {
        black_box(set_string(&json, &path, "x")).ok();
        black_box(delete(&json, &path)).ok();
    }

    #[test]
    fn what_is_set_is_found_and_the_document_stays_json(
        json in "(\\{\\}|\\[\\]|\\{\"a\": ?\\{\"b\":\\[1, 2\\]\\} ?\\}|\\[\\{\"a\":1\\}, 5\\]|7|)",
        path in "[abc0-3](\\.[abc0-3]){0,3}",
    ) {
        if let Ok(out) = set_string(json.as_bytes(), &path, "new") {
            prop_assert!(gjson::valid(&out), "{}", String::from_utf8_lossy(&out));
            if !json.is_empty() {
                prop_assert_eq!(gjson::get(&out, &path).map(|found| found.text().into_owned()), Some("new".to_owned()));
            }
            let gone = delete(&out, &path).unwrap();
            prop_assert!(gjson::valid(&gone), "{}", String::from_utf8_lossy(&gone));
        }
    }
}
