//! Case tables of trigger conditions.

use super::*;

#[track_caller]
fn compiled(text: &str, names: &[&str]) -> Condition {
    Condition::compile(text, names).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn names_of_any_kind_are_found() {
    for (names, text, canonical) in [
        (&["a", "b", "c"][..], "(a || b) && c", "(a||b)&&c"),
        (&["a", "b", "c"], "a || b && c", "a||b&&c"),
        (&["a", "b"], "\n a\t&&\r\n b ", "a&&b"),
        (&["a", "b"], "((a))&&((b))", "a&&b"),
        (
            &["dep-1", "dep_1a", "dep-2", "dep-3"],
            "dep-1 || dep-1a || dep-3",
            "dep-1||dep_1a||dep-3",
        ),
        (&["dep-1", "dep_1"], "dep-1 && dep_1", "dep-1&&dep_1"),
        (&["in", "b"], "in && b", "in&&b"),
        (&["1dep", "b"], "1dep && b", "1dep&&b"),
        (&["a.b", "b"], "a.b && b", "a.b&&b"),
        (&["len", "b"], "len && b", "len&&b"),
        (&["in-x", "b"], "in-x && b", "in-x&&b"),
        (
            &["not", "and", "true", "42"],
            "not || and || true || 42",
            "not||and||true||42",
        ),
        (&["my dep", "b"], "\"my dep\" && 'b'", "\"my dep\"&&b"),
        (&["a+b", "!c"], "a+b && !c", "a+b&&!c"),
        (&["é/ü:1"], "é/ü:1", "é/ü:1"),
    ] {
        let condition = compiled(text, names);
        assert_eq!(condition.to_string(), canonical, "{text}");
        assert_eq!(compiled(canonical, names), condition, "{text}");
    }
}

#[test]
fn what_is_not_a_condition_is_refused_with_its_place_and_what_is_allowed() {
    for (text, says, offset) in [
        ("", "the end where a dependency name", 0),
        ("!a && b", "`!` has no meaning", 0),
        ("not a", "`not` has no meaning", 0),
        ("a and b", "\"and\" where `&&` or `||`", 2),
        ("a & b", "a single `&`", 2),
        ("a | b", "a single `|`", 2),
        ("a == b", "\"==\" where", 2),
        ("a==b", "`=` has no meaning", 1),
        ("a ? b : a", "\"?\" where", 2),
        ("()", "nothing between", 1),
        ("a b", "\"b\" where", 2),
        ("(a", "a missing `)`", 2),
        ("a)", "a `)` that nothing opened", 1),
        ("a &&", "the end where", 4),
        ("&& a", "`&` where a dependency", 0),
        ("z && b", "\"z\" at byte 0 is not a dependency", 0),
        ("a && \"b", "a quote that is not closed", 5),
        ("a && dep-on", "did you mean \"dep-one\"?", 5),
        ("a, b", "`,` has no meaning", 1),
    ] {
        let error = Condition::compile(text, &["a", "b", "dep-one"]).unwrap_err();
        assert!(error.to_string().contains(says), "{text}: {error}");
        assert_eq!(error.offset(), offset, "{text}: {error}");
    }
    let deep = format!("{}a{}", "(".repeat(100_000), ")".repeat(100_000));
    assert!(matches!(
        Condition::compile(&deep, &["a"]),
        Err(ConditionError::TooDeep {
            limit: 100,
            offset: 100
        })
    ));
    let long = vec!["a"; 100_000].join(" && ");
    assert!(compiled(&long, &["a"]).holds(|_| true));
}

#[test]
fn truth_and_what_is_missing_follow_the_events_that_are_there() {
    let names = ["a", "b", "c"];
    for (text, present, holds, missing) in [
        ("a || b && c", "", false, "a|b,c"),
        ("a || b && c", "b", false, "a|c"),
        ("a || b && c", "a", true, ""),
        ("(a || b) && c", "a", false, "c"),
        ("(a || b) && c", "", false, "a,c|b,c"),
        ("(a || b) && c", "bc", true, ""),
        ("a && a", "", false, "a"),
        ("a || a && b", "", false, "a"),
    ] {
        let condition = compiled(text, &names);
        let there = |name: &str| present.contains(name);
        assert_eq!(condition.holds(there), holds, "{text} with {present}");
        let sets: Vec<String> = condition
            .missing(there)
            .iter()
            .map(|set| set.join(","))
            .collect();
        assert_eq!(sets.join("|"), missing, "{text} with {present}");
    }
}

#[test]
fn what_is_missing_is_bounded() {
    let names: Vec<String> = (0..40).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let pairs: Vec<String> = names
        .chunks(2)
        .map(|pair| format!("({})", pair.join(" || ")))
        .collect();
    let missing = compiled(&pairs.join(" && "), &names).missing(|_| false);
    assert_eq!(missing.len(), MAX_ALTERNATIVES);
    assert!(missing.iter().all(|set| set.len() == 20));
}

#[test]
fn dependencies_are_distinct_and_and_mode_is_known() {
    let condition = compiled("b || a || b", &["a", "b", "c"]);
    assert_eq!(condition.dependencies(), ["b", "a"]);
    assert!(!condition.needs_all());
    assert!(compiled("b || (a && b)", &["a", "b"]).needs_all());
    let all = Condition::all(&["x", "y", "x"]);
    assert_eq!(all.to_string(), "x&&y");
    assert!(all.needs_all());
    assert!(!Condition::all(&["x"]).needs_all());
}
