//! Case tables of govaluate, beside the files in `tests`.

use super::*;
use crate::json;

#[track_caller]
fn eval(text: &str, input: &str) -> Result<Value, String> {
    let input = json::parse(input.as_bytes()).unwrap();
    let expression = Expression::compile(text).map_err(|error| error.to_string())?;
    expression
        .eval(|name| input.get(name))
        .map_err(|error| error.to_string())
}

#[test]
fn whole_numbers_beyond_floats_compare_exactly() {
    let input = r#"{"n":9007199254740993,"m":9007199254740992,"f":9007199254740993.0}"#;
    for (text, truth) in [
        ("n == 9007199254740993", true),
        ("n == m", false),
        ("n > m", true),
        ("n in (m, 1)", false),
        ("-n == -9007199254740993", true),
        ("n == f", true),
        ("n + 0 == m", true),
    ] {
        assert_eq!(eval(text, input), Ok(Value::Bool(truth)), "{text}");
    }
    assert_eq!(eval("'n' + n", input), Ok(Value::from("n9007199254740993")));
}

#[test]
fn hostile_texts_are_errors() {
    for text in [
        "(".repeat(30_000) + "1" + &")".repeat(30_000),
        "(".repeat(100_000),
        "-".repeat(60_000),
        "!(".repeat(20_000) + "true" + &")".repeat(20_000),
        "a.B(".repeat(10_000) + "1" + &")".repeat(10_000),
        "a".repeat(100_000),
        "a\\".to_owned(),
        "0x".to_owned(),
        "[".repeat(1000),
        "'".to_owned(),
        String::new(),
    ] {
        assert!(eval(&text, "{}").is_err(), "{text:.40}");
    }
    let sum = vec!["1"; 30_000].join("+");
    assert_eq!(eval(&sum, "{}"), Ok(Value::from(30_000)));
    let doubling = "a+".repeat(10_000) + "a";
    let input = format!("{{\"a\":\"{}\"}}", "x".repeat(10_000));
    assert!(eval(&doubling, &input).unwrap_err().contains("longer"));
}

#[test]
fn errors_name_the_place() {
    for (text, what, offset) in [
        ("k !== 'x'", "\"!==\" is no operator", 2),
        ("o.x == 1", "\"x\" in \"o.x\"", 0),
        ("a == \"It's\"", "the name \"s\" cannot stand here", 9),
        ("a == \"x", "a quote is not closed", 5),
        ("len(a) == 1", "there are no functions", 3),
        ("a and true", "the name \"and\" cannot stand here", 2),
        ("a =~ '['", "is no regular expression", 5),
        ("(a", "parentheses do not match", 2),
    ] {
        let error = Expression::compile(text).unwrap_err();
        assert!(error.what.contains(what), "{text}: {error}");
        assert_eq!(error.offset, offset, "{text}: {error}");
    }
}

#[test]
fn variables_are_listed_once() {
    let expression = Expression::compile("a + [b c] > a ? x\\-y : true").unwrap();
    assert_eq!(expression.variables(), ["a", "b c", "x-y"]);
}
