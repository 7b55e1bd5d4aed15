//! The reference's rows about trigger conditions (K1 to K10), those that were dead there included.

use tiphys_lang::condition::Condition;

#[test]
fn conditions_mean_what_the_reference_says_or_better() {
    for (row, names, text, effective) in [
        (
            "K3",
            &["dep-1", "dep_1a", "dep-2", "dep-3"][..],
            "dep-1 || dep-1a || dep-3",
            Some("dep-1||dep_1a||dep-3"),
        ),
        ("K4", &["a", "b", "c"], "(a || b) && c", Some("(a||b)&&c")),
        // Argo takes both for `dep_1`; a name that is written exactly means itself here.
        (
            "K5",
            &["dep-1", "dep_1"],
            "dep-1 && dep_1",
            Some("dep-1&&dep_1"),
        ),
        ("K6", &["a", "b"], "!a && b", None),
        ("K6", &["a", "b"], "a and b", None),
        ("K6", &["a", "b"], "a & b", None),
        ("K6", &["a", "b"], "not a", None),
        ("K6", &["a", "b"], "a ? b : a", None),
        ("K6", &["a", "b"], "()", None),
        ("K6", &["a", "b"], "a b", None),
        ("K7", &["b"], "z && b", None),
        ("K8", &["in", "b"], "in && b", Some("in&&b")),
        ("K8", &["1dep", "b"], "1dep && b", Some("1dep&&b")),
        ("K8", &["a.b", "b"], "a.b && b", Some("a.b&&b")),
        ("K8", &["len", "b"], "len && b", Some("len&&b")),
        ("K9", &["in-x", "b"], "in-x && b", Some("in-x&&b")),
        ("K10", &["a", "b", "c"], "a || b && c", Some("a||b&&c")),
    ] {
        let condition = Condition::compile(text, names)
            .ok()
            .map(|condition| condition.to_string());
        assert_eq!(condition.as_deref(), effective, "{row}: {text}");
    }
    assert_eq!(Condition::all(&["dep1"]).to_string(), "dep1");
    assert_eq!(Condition::all(&["dep1", "dep2"]).to_string(), "dep1&&dep2");
}
