//! Every committed case of every dialect against what the Go libraries answered, all differences at once.
//!
//! `make conformance` fills the cases in. `cases/differences.jsonl` lists where we answer otherwise on purpose, with
//! the reason: a case may differ only if it is there, in the way that is said there, and only while it does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken case file must fail the test"
)]

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use tiphys_lang::{Map, Value, gjson, json};

#[path = "support/answer.rs"]
mod answer;

use answer::text;

/// What makes a case the same case.
const KEYS: [&str; 7] = ["json", "path", "op", "value", "mode", "expr", "input"];

/// The dialects, and how many cases each must have at least.
const DIALECTS: [(&str, usize); 7] = [
    ("gotemplate", 1500),
    ("gjson", 600),
    ("sjson", 400),
    ("govaluate", 300),
    ("expr", 400),
    ("lua", 150),
    ("jq", 200),
];

fn lines(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{name}.jsonl"));
    let file = std::fs::read_to_string(path).unwrap();
    let lines = file.lines().enumerate().map(|(number, line)| {
        json::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{name}:{number}: {error}"))
    });
    lines.collect()
}

fn key(case: &Value) -> String {
    let of = |name| case.get(name).map(Value::to_json).unwrap_or_default();
    KEYS.map(of).join("\n")
}

/// The listed differences of a dialect, by case.
fn differences(dialect: &str) -> HashMap<String, Value> {
    let listed = lines("differences").into_iter();
    let listed = listed.filter(|one| text(one, "dialect") == dialect);
    listed.map(|one| (key(&one), one)).collect()
}

#[track_caller]
fn check(dialect: &str) {
    let (cases, mut listed) = (lines(dialect), differences(dialect));
    let (mut wrong, mut report) = (0, String::new());
    for (number, case) in cases.iter().enumerate() {
        let reference = case.get("want");
        let difference = listed.remove(&key(case));
        let wanted = match &difference {
            // Where the list has no answer of ours, we refuse.
            Some(difference) => difference.get("ours"),
            None => reference,
        };
        let got = answer::answer(dialect, case);
        let stale = difference.is_some() && agree(wanted, reference);
        if stale || !agree(got.as_ref().ok(), wanted) {
            wrong += 1;
            let show = |value: Option<&Value>| value.map_or("an error".to_owned(), Value::to_json);
            writeln!(
                report,
                "{dialect}.jsonl:{}: {}\n  want {} {}\n  got  {}",
                number + 1,
                key(case).trim().replace('\n', " "),
                show(wanted),
                if stale {
                    "(listed, but no difference)"
                } else {
                    text(case, "why")
                },
                got.map_or_else(|error| format!("error: {error}"), |value| value.to_json()),
            )
            .unwrap();
        }
    }
    let all = cases.len();
    assert!(wrong == 0, "{wrong} of {all} cases differ:\n{report}");
    let unknown: Vec<_> = listed.keys().collect();
    assert!(
        unknown.is_empty(),
        "listed differences of no case: {unknown:#?}"
    );
}

/// Equality with room for the last digit of a float. The texts of errors are each library's own.
fn agree(ours: Option<&Value>, wanted: Option<&Value>) -> bool {
    match (ours, wanted) {
        (None, None) => true,
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            let (x, y) = (a.as_f64(), b.as_f64());
            let near = a.as_i64().is_none() && (x - y).abs() <= y.abs() * 1e-15;
            a == b || near || x == y
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(Some(a), Some(b)))
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            same_error(a, b)
                || (a.len() == b.len()
                    && a.iter()
                        .all(|(key, a)| b.get(key).is_some_and(|b| agree(Some(a), Some(b)))))
        }
        (a, b) => a == b,
    }
}

/// sjson's answers are objects, an error among them.
fn same_error(a: &Map, b: &Map) -> bool {
    let only_error = |map: &Map| map.len() == 1 && map.contains_key("error");
    only_error(a) && only_error(b)
}

#[test]
fn templates_render_as_in_go() {
    check("gotemplate");
}

#[test]
fn gjson_paths_find_what_gjson_finds() {
    check("gjson");
}

#[test]
fn sjson_paths_set_what_sjson_sets() {
    check("sjson");
}

#[test]
fn govaluate_expressions_give_what_govaluate_gives() {
    check("govaluate");
}

#[test]
fn expr_programs_give_what_expr_gives() {
    check("expr");
}

#[test]
fn scripts_give_what_gopher_lua_gives() {
    check("lua");
}

#[test]
fn jq_filters_give_what_gojq_gives() {
    check("jq");
}

#[test]
fn compiled_gjson_paths_find_what_uncompiled_ones_find() {
    let mut refused = 0;
    for case in lines("gjson") {
        let (doc, path) = (text(&case, "json").as_bytes(), text(&case, "path"));
        let found = gjson::get(doc, path);
        match gjson::Path::compile(path) {
            Ok(compiled) => {
                let again = compiled.get(doc);
                assert_eq!(
                    again.map(|found| found.raw.into_owned()),
                    found.map(|found| found.raw.into_owned()),
                    "{path}"
                );
            }
            // A path that is empty, open or names no modifier is a slip of the hand in a spec: gjson finds something
            // for some of them all the same, so only `get` takes them.
            Err(_) => refused += 1,
        }
    }
    assert!(
        refused * 20 < lines("gjson").len(),
        "{refused} paths are refused"
    );
}

#[test]
fn there_are_enough_cases_and_few_differences_each_with_a_reason() {
    for (dialect, least) in DIALECTS {
        let (cases, listed) = (lines(dialect).len(), differences(dialect));
        assert!(cases >= least, "{dialect}: {cases} cases");
        let numbers = Some(&Value::Bool(true));
        let others = listed.values().filter(|one| one.get("numbers") != numbers);
        let others = others.count();
        assert!(
            others * 50 < cases,
            "{dialect}: {others} of {cases} cases differ"
        );
        for one in listed.values() {
            assert!(!text(one, "why").is_empty(), "no reason: {}", one.to_json());
        }
    }
}
