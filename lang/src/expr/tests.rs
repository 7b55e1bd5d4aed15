//! Case tables of expr-lang, beside the files in `tests`.

use super::*;
use crate::json;

fn map(input: &str) -> Map {
    match json::parse(input.as_bytes()).unwrap() {
        Value::Object(map) => map,
        _ => panic!("not an object"),
    }
}

fn eval(text: &str, input: &str) -> Result<Value, String> {
    let program = Program::compile(text).map_err(|error| error.to_string())?;
    program.eval(&map(input)).map_err(|error| error.to_string())
}

#[test]
fn the_environment_is_made_of_the_top_level_members() {
    let names = environment(&map(
        r#"{"a":1,"a.b":2,"x-y":3,"p.q.r":4,"p.s":5,"o":{"k-l":6},"a-b":7}"#,
    ));
    assert_eq!(
        Value::Object(names).to_json(),
        r#"{"a":{"b":2},"a_b":7,"o":{"k-l":6},"p":{"q":{"r":4},"s":5},"x_y":3}"#
    );
}

#[test]
fn numbers_of_the_event_keep_their_digits() {
    let input = r#"{"n":9007199254740993,"m":9007199254740992,"i":12345678,"f":4.0,"x":1.5}"#;
    for (text, want) in [
        ("n == 9007199254740993", "true"),
        ("n == m", "false"),
        ("n > m", "true"),
        ("n in [m]", "false"),
        ("n", "9007199254740993"),
        ("string(n)", "\"9007199254740993\""),
        ("'id' + string(i)", "\"id12345678\""),
        ("i % 10", "8"),
        ("f % 3", "1"),
        ("bitand(i, 15)", "14"),
        ("int(n)", "9007199254740993"),
        ("take([1, 2], f)", "[1,2]"),
        ("toJSON(n)", "\"9007199254740993\""),
        ("sort([n, m, 1])", "[1,9007199254740992,9007199254740993]"),
    ] {
        assert_eq!(
            eval(text, input).map(|value| value.to_json()),
            Ok(want.to_owned()),
            "{text}"
        );
    }
    assert!(eval("x % 2", input).is_err());
}

#[test]
fn argos_own_functions_are_there() {
    let input = r#"{"body":{"s":"5","j":"{\"a\":[1,{\"b\":2}]}"}}"#;
    for (text, want) in [
        ("asInt(body.s) == 5", "true"),
        ("asFloat('1.5')", "1.5"),
        (
            "toJson({a: [1, '<']})",
            "\"{\\\"a\\\":[1,\\\"\\\\u003c\\\"]}\"",
        ),
        ("jsonpath(body.j, '$.a[1].b') == 2", "true"),
        ("jsonpath(body.j, '$.a[*]')", "[1,{\"b\":2}]"),
        ("map(['1', '2'], asInt(#))", "[1,2]"),
        ("sprig.upper('a') + sprig.lower('B')", "\"Ab\""),
        ("sprig.add(1, 2) == 3", "true"),
        ("map(['a', 'b'], sprig.upper(#))", "[\"A\",\"B\"]"),
        ("sprig.date('2006', date('2024-03-05'))", "\"2024\""),
        ("sprig.now().Year() > 2020", "true"),
        ("sprig.nope == nil", "true"),
    ] {
        assert_eq!(
            eval(text, input).map(|value| value.to_json()),
            Ok(want.to_owned()),
            "{text}"
        );
    }
    for text in [
        "jsonpath(body.j, '$.nope')",
        "jsonpath('x', '$.a')",
        "jsonpath(1)",
        "sprig.env('HOME')",
        "sprig.nope('a')",
        "sprig.and(true, false)",
        "sprig.upper(1)",
        "sprig.upper()",
    ] {
        assert!(eval(text, input).is_err(), "{text}");
    }
}

#[test]
fn hostile_texts_end_with_an_error() {
    for text in [
        "(".repeat(30_000) + "1" + &")".repeat(30_000),
        "(".repeat(60_000),
        "[".repeat(60_000),
        "{a:".repeat(20_000),
        "-".repeat(60_000),
        "!".repeat(60_000),
        "not ".repeat(15_000),
        "1 ? ".repeat(10_000),
        "true ? 1 : ".repeat(5_000) + "1",
        "map(".repeat(10_000),
        "a[".repeat(10_000),
        "let a = ".repeat(5_000),
        "if true {".repeat(5_000),
        "2 ** ".repeat(10_000) + "1",
        "1 | max() ".to_owned() + &"| max() ".repeat(5_000),
        "a".to_owned() + &".b".repeat(20_000),
        "a".repeat(100_000),
        "1".repeat(1_000),
        "\"".to_owned(),
        "\\".to_owned(),
        "'\\".to_owned(),
        "b'\\".to_owned(),
        "#".to_owned(),
    ] {
        assert!(eval(&text, "{}").is_err(), "{text:.40}");
    }
    assert_eq!(
        eval(&vec!["1"; 4_000].join("+"), "{}"),
        Ok(Value::from(4_000))
    );
}

#[test]
fn hostile_programs_run_out_of_budget() {
    for (text, what) in [
        ("1..100000000", "elements"),
        ("map(1..1000, map(1..1000, map(1..1000, #)))", "elements"),
        ("let r = 1..2000; all(r, all(r, true))", "steps"),
        ("reduce(1..100, [#acc, #acc])", "levels or leaves"),
        ("reduce(1..5000, [#acc])", "levels or leaves"),
        ("reduce(1..60, #acc + #acc, 'xxxxxxxx')", "too many"),
        ("repeat('a', 999999) | repeat(999999)", "elements"),
        ("reduce(1..30, replace(#acc, 'a', 'aaaa'), 'aaaa')", "text"),
    ] {
        let error = eval(text, "{}").unwrap_err();
        assert!(error.contains(what), "{text}: {error}");
    }
}

#[test]
fn errors_name_the_place() {
    for (text, message) in [
        ("a ==\n  == b", "`==` cannot stand here at line 2, column 3"),
        ("'é' + @", "'@' has no meaning at line 1, column 7"),
        (
            "true and\n  body.x > 1",
            "nil has no member \"x\" at line 2, column 7",
        ),
        ("s matches '['", "is no regular expression"),
        (
            "list[5]",
            "index 5 is out of range, there are 1 at line 1, column 5",
        ),
    ] {
        let error = eval(text, r#"{"list":[1],"s":""}"#).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
}

#[test]
fn only_a_boolean_passes() {
    let holds = |text: &str| Program::compile(text).unwrap().holds(&map(r#"{"a":1}"#));
    assert_eq!(holds("a == 1"), Ok(true));
    assert_eq!(holds("a == 2"), Ok(false));
    assert_eq!(holds("a"), Err(EvalError::NotBool("float")));
    assert_eq!(holds("nope"), Err(EvalError::NotBool("nil")));
}
