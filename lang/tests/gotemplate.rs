//! Renders every case of `cases/gotemplate.jsonl` and compares with what Go gave for it.
//! It never stops at the first difference: all are reported together.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a broken case file must stop the test"
)]

use tiphys_lang::gotemplate::Template;
use tiphys_lang::{Value, json};

/// One line of the case file.
struct Case {
    line: usize,
    expr: String,
    input: Value,
    /// `None` where Go fails.
    want: Option<String>,
    /// Where we deliberately differ: our own result, `None` for an error.
    ours: Option<Option<String>>,
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn case(line: usize, text_of_line: &str) -> Case {
    let value =
        json::parse(text_of_line.as_bytes()).unwrap_or_else(|error| panic!("line {line}: {error}"));
    let differs = value.get("differs").is_some();
    Case {
        line,
        expr: text(&value, "expr").unwrap_or_else(|| panic!("line {line} has no expr")),
        input: value.get("input").cloned().unwrap_or_default(),
        want: text(&value, "want"),
        ours: differs.then(|| text(&value, "ours")),
    }
}

fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/gotemplate.jsonl");
    let file = std::fs::read_to_string(path).expect("the case file is there");
    file.lines()
        .enumerate()
        .map(|(index, line)| case(index + 1, line))
        .collect()
}

fn render(case: &Case) -> Result<String, String> {
    let template = Template::compile(&case.expr).map_err(|error| error.to_string())?;
    template
        .render(&case.input)
        .map_err(|error| error.to_string())
}

#[test]
fn every_case_renders_as_go_renders_it() {
    let cases = cases();
    let mut wrong = Vec::new();
    for case in &cases {
        let got = render(case);
        let want = case.ours.as_ref().unwrap_or(&case.want);
        if got.as_ref().ok() != want.as_ref() {
            wrong.push(format!(
                "line {}: {}\n  input {}\n  want {want:?}\n  got  {got:?}",
                case.line,
                case.expr,
                case.input.to_json()
            ));
        }
    }
    let (failed, all) = (wrong.len(), cases.len());
    assert!(
        wrong.is_empty(),
        "{failed} of {all} cases differ:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn few_cases_differ_from_go_and_each_says_why() {
    let cases = cases();
    let differing = cases.iter().filter(|case| case.ours.is_some()).count();
    assert!(cases.len() >= 1500, "only {} cases", cases.len());
    assert!(
        differing * 20 < cases.len(),
        "{differing} of {} cases differ from Go",
        cases.len()
    );
    let same: Vec<_> = cases
        .iter()
        .filter(|case| case.ours.as_ref() == Some(&case.want))
        .map(|case| case.line)
        .collect();
    assert!(
        same.is_empty(),
        "lines {same:?} claim a difference that there is not"
    );
}
