//! Case tables of the jq dialect: what filters answer, and that no filter outlives its budget.

use super::*;
use crate::json;

fn value(text: &str) -> Value {
    json::parse(text.as_bytes()).unwrap()
}

fn transform(filter: &str, event: &str) -> Result<String, JqError> {
    Filter::compile(filter)?
        .transform(&value(event))
        .map(|value| value.to_json())
}

#[test]
fn transformations_take_and_return_objects() {
    for (filter, event, want) in [
        (".", r#"{"b":1,"a":2}"#, Ok(r#"{"a":2,"b":1}"#)),
        ("{x:.a},{y:.a}", r#"{"a":1}"#, Ok(r#"{"x":1}"#)),
        ("{x:.}", "null", Ok(r#"{"x":null}"#)),
        ("{x:env.HOME}", "{}", Ok(r#"{"x":null}"#)),
        (".a.b.c = 1", "{}", Ok(r#"{"a":{"b":{"c":1}}}"#)),
        (
            ".",
            r#"{"n":12345678901234567890,"f":1.50}"#,
            Ok(r#"{"f":1.50,"n":12345678901234567890}"#),
        ),
        (
            ".n += 1",
            r#"{"n":9007199254740993}"#,
            Ok(r#"{"n":9007199254740994}"#),
        ),
        (".a", r#"{"a":1}"#, Err(JqError::NotObject("number"))),
        ("[.a]", r#"{"a":1}"#, Err(JqError::NotObject("array"))),
        ("empty", "{}", Err(JqError::NoOutput)),
        ("{x:.}", "[1]", Err(JqError::Input("array"))),
        ("{x:.}", "\"s\"", Err(JqError::Input("string"))),
        (
            "{x: nan}",
            "{}",
            Err(JqError::NotJson("a number is not finite")),
        ),
    ] {
        assert_eq!(
            transform(filter, event),
            want.map(str::to_owned),
            "{filter} on {event}"
        );
    }
}

#[test]
fn what_reaches_out_is_not_there() {
    for filter in [
        "input",
        "inputs",
        "halt",
        "halt_error",
        "halt_error(1)",
        "input_filename",
        "$__prog_args",
        "import \"a\" as a; .",
        "include \"a\"; .",
        "getenv",
        "{x:$foo}",
    ] {
        assert!(
            matches!(Filter::compile(filter), Err(JqError::Compile { .. })),
            "{filter}"
        );
    }
    assert_eq!(
        transform("{e: env, v: $ENV} | debug | stderr", "{}").as_deref(),
        Ok(r#"{"e":{},"v":{}}"#)
    );
}

#[test]
fn errors_of_compiling_have_a_place() {
    for (filter, what, offset) in [
        (".a | foo", "\"foo\"", 5),
        (".a | $x", "\"$x\"", 5),
        (".a | ", "is missing", 5),
        (".[", "is missing", 2),
        ("1 2", "is missing", 2),
    ] {
        let Err(JqError::Compile {
            what: found,
            offset: place,
        }) = Filter::compile(filter)
        else {
            panic!("{filter} compiles");
        };
        assert!(found.contains(what), "{filter}: {found}");
        assert_eq!(place, offset, "{filter}: {found}");
    }
}

#[test]
fn hostile_filters_end() {
    let filters = [
        "def f: f; f",
        "def f: 1 + f; f",
        "def f: f | f; f",
        "def f: f, f; f",
        "def f: [f]; f",
        "def f: {a: f}; f",
        "def f(x): f(f(x)); f(.)",
        "def f: try f catch f; f",
        "def f: (try f catch .) , f; f",
        "[repeat(.)]",
        "last(repeat(1))",
        "[recurse(.)]",
        "last(recurse(. + 1))",
        "until(false; .)",
        "until(. > 1e300; . + 1)",
        "[while(true; .)]",
        "[range(1e12)]",
        "last(range(1e12))",
        "[range(infinite)] | length",
        "reduce range(1e9) as $i (0; .)",
        "last(foreach range(1e9) as $i (0; .))",
        "\"x\" * 1e9",
        "\"x\" * 1000000000",
        "reduce range(60) as $i (\"x\"; . + .)",
        "reduce range(60) as $i (\"x\"; \"\\(.)\\(.)\")",
        "reduce range(60) as $i ([1]; . + .)",
        "reduce range(60) as $i ([]; [., .])",
        "reduce range(60) as $i ({}; {a: ., b: .})",
        "reduce range(60) as $i ({}; .a = . | .b = .a)",
        "reduce range(100000) as $i (null; [.])",
        "reduce range(100000) as $i (null; {a: .})",
        "reduce range(100000) as $i ({}; .a = .)",
        "reduce range(100000) as $i (9; . * 9999999999)",
        "null | .[1000000000] = 1",
        "null | setpath([range(100000) | \"a\"]; 1)",
        "\"[\" * 100000 | fromjson",
        "[range(100000)] | join(\"x\" * 1000000)",
        "[range(3000)] as $x | [$x[] as $a | $x[] as $b | $a + $b] | length",
        "[range(3000)] as $x | [$x[] + $x[]] | length",
        "[limit(1e9; repeat(1))]",
        "[range(1000)] | combinations(100)",
        "last([range(100)] | [., ., ., ., ., .] | combinations)",
        "def f(n): if n > 0 then f(n - 1) else . end; f(1e9)",
        "[.] | until(length > 1e9; . + .)",
        "label $x | repeat(1) | select(. > 1)",
        "first(repeat(1) | select(. > 1))",
        "isempty(repeat(1) | select(. > 1))",
        "try repeat(error) catch repeat(.) | empty",
        "[splits(\"\")]",
        "(\"a\" * 10000) | [match(\"\"; \"g\")] | map(tostring) | add * 1000",
        "\"x\" * 10000000 | [range(1000) as $i | ascii_upcase]",
        "\"x\" * 10000000 | reduce range(1000) as $i ([]; . + [\"\\($i)\" * 1000000])",
    ];
    for some in filters.chunks(8) {
        std::thread::scope(|scope| {
            for filter in some {
                scope.spawn(move || {
                    let answer = Filter::compile(filter).and_then(|filter| {
                        let time = Duration::from_millis(20);
                        Filter { time, ..filter }.all(&Value::Null, 100_000)
                    });
                    assert!(
                        answer.is_err(),
                        "{filter}: {:?}",
                        answer.map(|outputs| outputs.len())
                    );
                });
            }
        });
    }
}

#[test]
fn hostile_texts_do_not_compile() {
    for text in [
        "(".repeat(50_000),
        format!("{}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        "[".repeat(50_000),
        "{a:".repeat(20_000),
        "-".repeat(50_000),
        "1 | ".repeat(10_000),
        "if ".repeat(20_000),
        "def f: ".repeat(5_000),
        "reduce ".repeat(5_000),
        "try ".repeat(10_000),
        ". as $x | ".repeat(6_000),
        "\"\\(".repeat(10_000),
        "label $x | ".repeat(5_000),
        "x".repeat(70_000),
        "\"".to_owned(),
        "\\".to_owned(),
        String::new() + "@",
    ] {
        assert!(Filter::compile(&text).is_err(), "{text:.30}");
    }
    for text in [
        "1 + ".repeat(10_000) + "1",
        ".a".repeat(20_000),
        "1 , ".repeat(10_000) + "1",
        ".a // ".repeat(5_000) + "1",
        ".".to_owned() + &"[0]".repeat(20_000),
        "1 | ".repeat(10_000) + "1",
        ". as $x | ".repeat(5_000) + "1",
        "label $x | ".repeat(5_000) + "1",
        "try ".repeat(10_000) + "1",
        "1 = ".repeat(10_000) + "1",
        ".?".to_owned() + &"?".repeat(20_000),
    ] {
        // Whatever the answer is, there is one.
        drop(Filter::compile(&text).and_then(|filter| {
            let time = Duration::from_millis(20);
            Filter { time, ..filter }.first(&value("{}"))
        }));
    }
}

#[test]
fn a_filter_runs_on_many_threads() {
    let filter = Filter::compile(".n * 2").unwrap();
    let outputs: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let filter = &filter;
                scope.spawn(move || filter.first(&value(&format!("{{\"n\":{number}}}"))))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap().unwrap().unwrap().to_json())
            .collect()
    });
    assert_eq!(outputs, ["0", "2", "4", "6"]);
}
