//! Every sjson case against what the Go library answered, all differences at once.
//!
//! `go run . sjson < CASES > FILLED` in `tests/oracle/paths` fills the cases in; `go run . sjson-random SEED COUNT`
//! makes others: put them beside as `sjson-random.jsonl` and they are compared too.
//! It never hides a difference: one is allowed only where the case says what we answer and why.

#![expect(clippy::unwrap_used, reason = "a broken case file must fail the test")]

use tiphys_lang::sjson;
use tiphys_lang::{Value, json};

#[test]
fn every_path_sets_what_sjson_sets() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (place, case) in cases("sjson") {
        count += 1;
        let text = |name: &str| {
            case.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (doc, path, value) = (text("json"), text("path"), text("value"));
        let got = match text("op").as_str() {
            "raw" => sjson::set_raw(doc.as_bytes(), &path, value.as_bytes()),
            "string" => sjson::set_string(doc.as_bytes(), &path, &value),
            "delete" => sjson::delete(doc.as_bytes(), &path),
            op => panic!("unknown op {op}"),
        };
        let got = got.map(|bytes| String::from_utf8(bytes).unwrap());
        let want = case.get("ours").or_else(|| case.get("want")).unwrap();
        let same = match (&got, want.get("json").and_then(Value::as_str)) {
            (Ok(got), Some(want)) => got == want,
            (Err(_), None) => want.get("error").is_some(),
            _ => false,
        };
        if !same {
            let (want, op) = (want.to_json(), text("op"));
            wrong.push(format!(
                "{place}\n  {op} {path} = {value}\n  in   {doc}\n  want {want}\n  got  {got:?}"
            ));
        }
    }
    assert!(count >= 400, "{count} cases");
    assert!(
        wrong.is_empty(),
        "{} of {count} differ\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// The lines of each case file whose name starts with `dialect`, with where they are.
fn cases(dialect: &str) -> Vec<(String, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name.starts_with(dialect) {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for (line, case) in text.lines().enumerate() {
                all.push((
                    format!("{name}:{}", line + 1),
                    json::parse(case.as_bytes()).unwrap(),
                ));
            }
        }
    }
    all
}
