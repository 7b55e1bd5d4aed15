//! The conformance tables of the reference, sections 15.1 and 15.2. P passed, N not passed, E error.

use std::sync::Arc;

use tiphys_core::Event;

use super::{Detail, Filters, Report, Verdict};
use crate::document::Input;
use crate::spec::{DependencySpec, TemplateEngine};
use crate::testing::{event, yaml};

pub(super) fn verdict_of(dependency: &str, event: Event) -> (Verdict, Report) {
    let spec: DependencySpec = yaml(dependency);
    let mut report = Report::new(Detail::All);
    let verdict = match Filters::new(&spec, TemplateEngine::Go) {
        Some(filters) => filters.evaluate(&Input::new(Arc::new(event)), &mut report),
        None => Verdict::Passed,
    };
    (verdict, report)
}

pub(super) fn letter(verdict: &Verdict) -> char {
    match verdict {
        Verdict::Passed => 'P',
        Verdict::Filtered => 'N',
        Verdict::Failed(_) => 'E',
    }
}

/// Fields are written `name:path`, and a field without a path is at its name.
fn expr(payload: &str, exprs: &[(&str, &str)], operator: &str) -> Verdict {
    let list: Vec<serde_json::Value> = exprs
        .iter()
        .map(|(expr, fields)| {
            let fields: Vec<_> = fields
                .split_whitespace()
                .map(|field| {
                    let (name, path) = field.split_once(':').unwrap_or((field, field));
                    serde_json::json!({"name": name, "path": path})
                })
                .collect();
            serde_json::json!({"expr": expr, "fields": fields})
        })
        .collect();
    let filters = serde_json::json!({"filters": {"exprs": list, "exprLogicalOperator": operator}});
    verdict_of(&filters.to_string(), event("e", payload)).0
}

#[test]
fn expressions_answer_as_the_reference_says() {
    let nested = r#"{"a":{"b":"x","d":"y"}}"#;
    let deep = r#"{"a":{"b":"x","d":{"e":true}}}"#;
    for (case, payload, exprs, operator, expected) in [
        ("X2", "a", vec![("a == 'b'", "a")], "", 'E'),
        ("X5", r#"{"a":"b"}"#, vec![(r#"a == "b""#, "a")], "", 'P'),
        ("X6", r#"{"a":"c"}"#, vec![(r#"a != "b""#, "a")], "", 'P'),
        (
            "X7",
            r#"{"a":{"b":"c"}}"#,
            vec![(r#"b == "b""#, "b:a.b")],
            "",
            'N',
        ),
        ("X8", r#"{"a":{"b":2}}"#, vec![("b == 2", "b:a.b")], "", 'P'),
        ("X8", r#"{"a":{"b":2}}"#, vec![("b < 1", "b:a.b")], "", 'N'),
        (
            "X9",
            r#"{"a":{"b":"start long"}}"#,
            vec![(r#"b =~ "start""#, "b:a.b")],
            "",
            'P',
        ),
        (
            "X11",
            nested,
            vec![(r#"b == "x""#, "b:a.b"), (r#"d == "y""#, "d:a.d")],
            "",
            'P',
        ),
        (
            "X12",
            nested,
            vec![(r#"b == "x""#, "b:a.b"), (r#"d == "d""#, "d:a.d")],
            "and",
            'N',
        ),
        (
            "X12",
            nested,
            vec![(r#"b == "x""#, "b:a.b"), (r#"d == "d""#, "d:a.d")],
            "or",
            'P',
        ),
        (
            "X13",
            nested,
            vec![(r#"b == "b""#, "b:a.b"), (r#"c == "c""#, "c:a.c")],
            "or",
            'E',
        ),
        (
            "X14",
            deep,
            vec![
                (r#"b == "x""#, "b:a.b"),
                ("c == 1", "c:a.c"),
                ("e == true", "e:a.d.e"),
            ],
            "or",
            'P',
        ),
        (
            "X15",
            nested,
            vec![(r#"b == "b""#, "b:a.b"), ("c == 1", "c:a.c")],
            "",
            'N',
        ),
        (
            "X16",
            nested,
            vec![(r#"b == "x""#, "b:a.b"), ("c == 1", "c:a.c")],
            "and",
            'E',
        ),
        ("X20", r#"{"k":"v"}"#, vec![(r#"k !== "x""#, "k")], "", 'E'),
        ("X21", r#"{"n":2}"#, vec![(r#"n == "2""#, "n")], "", 'N'),
        ("X22", r#"{"n":2}"#, vec![(r#"n =~ "2""#, "n")], "", 'E'),
        ("X23", r#"{"n":2}"#, vec![("n + 1", "n")], "", 'N'),
        ("X24", r#"{"t":true}"#, vec![("!t", "t")], "", 'N'),
        (
            "X26",
            r#"{"a":"b"}"#,
            vec![(r#"a in ("a","b")"#, "a")],
            "",
            'P',
        ),
        (
            "X27",
            r#"{"a":"b","arr":["a","b"]}"#,
            vec![("a in arr", "a arr")],
            "",
            'P',
        ),
        (
            "X28",
            r#"{"n":2}"#,
            vec![("n == 2 || x == 3", "n")],
            "",
            'P',
        ),
        (
            "X29",
            r#"{"n":2}"#,
            vec![("x == 3 || n == 2", "n")],
            "",
            'E',
        ),
        (
            "X30",
            r#"{"d":"2014-01-02"}"#,
            vec![(r#"d == "2014-01-02""#, "d")],
            "",
            'N',
        ),
        (
            "X35",
            r#"{"f":2}"#,
            vec![("[my-field] == 2", "my-field:f")],
            "",
            'P',
        ),
        (
            "X36",
            r#"{"a":"b"}"#,
            vec![(r#"a == "It's""#, "a")],
            "",
            'E',
        ),
        ("X41", r#"{"a":"b"}"#, vec![("len(a) == 1", "a")], "", 'E'),
        (
            "digits",
            r#"{"n":9007199254740993}"#,
            vec![("n == 9007199254740993", "n")],
            "",
            'P',
        ),
        (
            "digits",
            r#"{"n":9007199254740993}"#,
            vec![("n == 9007199254740992", "n")],
            "",
            'N',
        ),
    ] {
        let verdict = expr(payload, &exprs, operator);
        assert_eq!(letter(&verdict), expected, "{case} {exprs:?} {verdict:?}");
    }
    let error = expr(
        nested,
        &[(r#"b == "b""#, "b:a.b"), ("c == 1", "c:a.c")],
        "or",
    );
    let text = "expr filter errors [path 'a.c' does not exist]";
    assert_eq!(error, Verdict::Failed(text.to_owned()));
}

#[test]
fn data_filters_answer_as_the_reference_says() {
    let mixed = r#"{"k":true,"k1":{"k":3.14,"k2":"hello, world"}}"#;
    let list = r#"{"k":"v","k1":{"a":[{"k2":"v2"}]}}"#;
    for (case, payload, data, expected) in [
        ("D1", "a", "{path: k, type: string, value: [v]}", 'E'),
        (
            "D5",
            r#"{"k":"v"}"#,
            "{path: k, type: string, value: []}",
            'E',
        ),
        (
            "D6",
            r#"{"k":"v"}"#,
            "{path: k, type: string, value: [v]}",
            'P',
        ),
        (
            "D6",
            r#"{"k":"v"}"#,
            "{path: k, type: string, comparator: '!=', value: [b]}",
            'P',
        ),
        (
            "D7",
            r#"{"k":"1.0"}"#,
            "{path: k, type: number, value: ['1.0']}",
            'P',
        ),
        (
            "D8",
            r#"{"k":2.0}"#,
            "{path: k, type: number, comparator: '>', value: ['1.0']}",
            'P',
        ),
        (
            "D8",
            r#"{"k":"2.0"}"#,
            "{path: k, type: number, comparator: '<=', value: ['1.0']}",
            'N',
        ),
        (
            "D9",
            r#"{"k":1.0}"#,
            "{path: k, type: number, comparator: '!=', value: ['1.0']}",
            'N',
        ),
        ("D11", mixed, "{path: k, type: string, value: [v]}", 'N'),
        (
            "D12",
            mixed,
            "{path: k, type: bool, value: ['true']}, {path: k1.k, type: number, value: ['3.14']}, {path: k1.k2, type: string, value: ['hello, world', x]}",
            'P',
        ),
        (
            "D14",
            list,
            r#"{path: '[k,k1.a.#(k2=="v2").k2]', type: string, value: ['\bv\b.*\bv2\b']}"#,
            'P',
        ),
        (
            "D16",
            r#"{"k":"aGVsbG8gd29ybGQ="}"#,
            "{path: k, type: string, value: [HELLO WORLD], template: '{{ b64dec .Input | upper }}'}",
            'P',
        ),
        (
            "D17",
            r#"{"k":"My4xNA=="}"#,
            "{path: k, type: number, comparator: '>', value: ['3.13'], template: '{{ b64dec .Input }}'}",
            'P',
        ),
        (
            "D20",
            r#"{"k":"value"}"#,
            "{path: k, type: string, value: [v]}",
            'P',
        ),
        (
            "D20",
            r#"{"k":"value"}"#,
            "{path: k, type: string, value: [^v$]}",
            'N',
        ),
        (
            "D22",
            r#"{"k":"a"}"#,
            "{path: k, type: string, comparator: '!=', value: [a, b]}",
            'P',
        ),
        (
            "D23",
            r#"{"k":5}"#,
            "{path: k, type: string, comparator: '>', value: ['3']}",
            'N',
        ),
        (
            "D24",
            r#"{"k":true}"#,
            "{path: k, type: bool, comparator: '!=', value: ['false']}",
            'N',
        ),
        (
            "D24",
            r#"{"k":true}"#,
            "{path: k, type: bool, comparator: '!=', value: ['true']}",
            'P',
        ),
        (
            "D25",
            r#"{"k":"yes"}"#,
            "{path: k, type: bool, value: ['true']}",
            'N',
        ),
        (
            "D25",
            r#"{"k":"yes"}"#,
            "{path: k, type: bool, value: ['yes']}",
            'E',
        ),
        (
            "D26",
            r#"{"k":1}"#,
            "{path: k, type: bool, value: ['true']}",
            'P',
        ),
        (
            "D26",
            r#"{"k":"T"}"#,
            "{path: k, type: bool, value: ['true']}",
            'P',
        ),
        (
            "D27",
            r#"{"k":null}"#,
            "{path: k, type: number, value: ['0']}",
            'P',
        ),
        (
            "D27",
            r#"{"k":null}"#,
            "{path: k, type: string, value: [^$]}",
            'P',
        ),
        (
            "D28",
            r#"{"k":"abc"}"#,
            "{path: k, type: number, value: ['0']}",
            'P',
        ),
        (
            "D29",
            r#"{"k":{"a":1}}"#,
            "{path: k, type: string, value: ['\"a\":1']}",
            'P',
        ),
        (
            "D30",
            r#"{"k":1.50}"#,
            r"{path: k, type: string, value: ['^1\.5$']}",
            'P',
        ),
        (
            "D30",
            r#"{"k":1e3}"#,
            "{path: k, type: string, value: [^1000$]}",
            'P',
        ),
        (
            "D31",
            r#"{"k":1}"#,
            "{path: z, type: string, value: [x]}",
            'E',
        ),
        (
            "D32",
            r#"{"a":1}"#,
            "{path: a, type: number, value: ['9']}, {path: z, type: string, value: [x]}",
            'N',
        ),
        (
            "D33",
            r#"{"k":"x"}"#,
            "{path: k, type: string, value: ['(?=x)']}",
            'E',
        ),
        (
            "D34",
            r#"{"k":"x"}"#,
            "{path: k, type: string, value: [x], template: '{{ .Input.y }}'}",
            'E',
        ),
        (
            "D34",
            r#"{"k":"x"}"#,
            "{path: k, type: string, value: [x], template: '{{ \"\" }}'}",
            'E',
        ),
        (
            "D35",
            r#"{"k":1}"#,
            "{path: k, type: integer, value: ['1']}",
            'E',
        ),
        (
            "D36",
            r#"{"k":[1,2]}"#,
            "{path: 'k.#', type: number, value: ['2']}",
            'P',
        ),
        (
            "D36",
            r#"{"k":[1,2]}"#,
            r"{path: 'k.#(>5)#', type: string, value: ['^\[\]$']}",
            'P',
        ),
        (
            "jsonpath",
            r#"{"k":[{"a":1},{"a":2}]}"#,
            "{path: '$.k[1].a', type: number, value: ['2']}",
            'P',
        ),
        (
            "ascii",
            r#"{"k":"٣"}"#,
            r"{path: k, type: string, value: ['^\d$']}",
            'N',
        ),
    ] {
        let (verdict, _) = verdict_of(&format!("filters: {{data: [{data}]}}"), event("e", payload));
        assert_eq!(letter(&verdict), expected, "{case} {data} {verdict:?}");
    }
}

#[test]
fn nothing_is_let_through_and_a_report_says_what_was_there() {
    let nothing = Event {
        data: None,
        ..event("e", "")
    };
    let filter = "filters: {data: [{path: k, type: string, value: [v]}]}";
    assert_eq!(verdict_of(filter, nothing).0, Verdict::Passed, "D2");
    let (_, report) = verdict_of(filter, event("e", r#"{"k":"w"}"#));
    let leaf = &report.leaves[0];
    assert_eq!(
        (leaf.path.as_str(), leaf.actual.as_str()),
        ("filters.data[0]", "w")
    );
    assert_eq!(leaf.expected, "k = v");
}
