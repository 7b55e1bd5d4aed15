//! Runs a dialect over its case file and reports all differences at once.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot read its cases fails"
)]

use std::path::Path;

use tiphys_lang::{Value, json};

/// One line of a case file.
pub(crate) struct Case {
    pub(crate) expr: String,
    pub(crate) input: Option<Value>,
    pub(crate) mode: String,
}

/// Compares `run` with what the reference said, or with `ours` where a difference is on purpose.
#[track_caller]
pub(crate) fn check(dialect: &str, run: impl Fn(&Case) -> Result<Value, String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cases/{dialect}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (mut count, mut differing, mut report) = (0, 0, String::new());
    for (number, line) in text.lines().enumerate() {
        let line = json::parse(line.as_bytes()).unwrap_or_else(|error| panic!("{number}: {error}"));
        let text = |key: &str| {
            line.get(key)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let case = Case {
            expr: text("expr"),
            input: line.get("input").cloned(),
            mode: text("mode"),
        };
        let reference = if line.get("error").is_some() {
            None
        } else {
            line.get("want")
        };
        let wanted = match line.get("differs") {
            // `ours` is what we answer; where it is missing, we refuse.
            Some(_) => line.get("ours"),
            None => reference,
        };
        count += 1;
        let answer = run(&case);
        if !agree(answer.as_ref().ok(), wanted) {
            let show = |value: Option<&Value>| value.map_or("an error".to_owned(), Value::to_json);
            report.push_str(&format!(
                "line {}: {} {:?} on {}\n   want {} {}\n   got  {}\n",
                number + 1,
                case.mode,
                case.expr,
                case.input.as_ref().map(Value::to_json).unwrap_or_default(),
                show(wanted),
                text("why"),
                answer.map_or_else(|error| format!("error: {error}"), |value| value.to_json()),
            ));
        }
        differing += usize::from(line.get("differs").is_some());
    }
    assert!(
        report.is_empty(),
        "{} of {count} cases differ:\n{report}",
        report.matches("line ").count()
    );
    assert!(
        differing * 50 <= count,
        "{differing} of {count} cases are deliberate differences"
    );
}

/// Equality with room for the last digit of a float.
fn agree(ours: Option<&Value>, wanted: Option<&Value>) -> bool {
    match (ours, wanted) {
        (None, None) => true,
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            let (x, y) = (a.as_f64(), b.as_f64());
            a == b || (a.as_i64().is_none() && (x - y).abs() <= y.abs() * 1e-15) || x == y
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(Some(a), Some(b)))
        }
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            a.len() == b.len()
                && a.iter()
                    .zip(b)
                    .all(|((k, a), (l, b))| k == l && agree(Some(a), Some(b)))
        }
        (a, b) => a == b,
    }
}
