//! What fuzzing has found, each once and for all: an answer or an error, never a panic.
//! It never says which answer is right; the conformance cases do.

use tiphys_lang::gotemplate::Template;
use tiphys_lang::jsonpath::{JsonPathError, Path};
use tiphys_lang::sjson;

#[test]
fn templates_that_made_a_panic_end_in_an_error_or_a_text() {
    let nothing = "0001-01-01 00:00:00 +0000 UTC";
    let cases = [
        // A sign in the fraction of a second made a time before the second.
        (r#"{{ toDate "15:04:05.000" "01:02:03.-56" }}"#, nothing),
        (
            r#"{{ toDate "15:04:05.000" "01:02:03.-00" }}"#,
            "0000-01-01 01:02:03 +0000 UTC",
        ),
    ];
    for (text, expected) in cases {
        let input = tiphys_lang::json::parse(b"{}").unwrap();
        let rendered = Template::compile(text).unwrap().render(&input);
        assert_eq!(rendered.unwrap(), expected, "{text}");
    }
}

#[test]
fn paths_that_took_minutes_to_read_are_refused() {
    let calls = "(((((((nin(".repeat(4);
    for text in [
        // Each nested call made the parser three times slower.
        format!("$[?{calls}((((in(((((((any_of($"),
        format!("$[?{}@.a{}]", "length(".repeat(12), ")".repeat(12)),
    ] {
        assert_eq!(Path::compile(&text).unwrap_err(), JsonPathError::TooDeep);
    }
    assert!(Path::compile("$[?length(value(@['(((((((((((((((((((((((((('])) > 1]").is_ok());
}

#[test]
fn setting_in_a_text_that_looks_like_an_array_leaves_json() {
    for document in [r#""[1a\b,""#, r#""[1,2]""#, r#"" [1""#] {
        let set = sjson::set_string(document.as_bytes(), "1", "x").unwrap();
        assert_eq!(String::from_utf8(set).unwrap(), r#"[null,"x"]"#);
    }
}
