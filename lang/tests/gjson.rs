//! Every gjson case against what the Go library answered, all differences at once.
//!
//! `go run . gjson < CASES > FILLED` in `tests/oracle/paths` fills the cases in; `go run . gjson-random SEED COUNT`
//! makes others: put them beside as `gjson-random.jsonl` and they are compared too.
//! It never hides a difference: one is allowed only where the case says what we answer and why.

#![expect(clippy::unwrap_used, reason = "a broken case file must fail the test")]

use tiphys_lang::gjson::{self, Kind, Path};
use tiphys_lang::{Value, json};

#[test]
fn every_path_gives_what_gjson_gives() {
    let mut count = 0;
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for (place, case) in cases("gjson") {
        count += 1;
        let text = |name: &str| {
            case.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let (doc, path) = (text("json"), text("path"));
        let want = case
            .get("ours")
            .or_else(|| case.get("want"))
            .unwrap()
            .clone();
        let field = |name: &str| {
            want.get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let want = (want.get("exists") == Some(&Value::Bool(true)))
            .then(|| (field("type"), field("raw"), field("str")));
        let read = |found: gjson::Found<'_>| {
            let kind = match found.kind {
                Kind::Null => "Null",
                Kind::False => "False",
                Kind::True => "True",
                Kind::Number => "Number",
                Kind::String => "String",
                Kind::Json => "JSON",
            };
            (
                kind.to_owned(),
                String::from_utf8_lossy(&found.raw).into_owned(),
                found.text().into_owned(),
            )
        };
        let got = gjson::get(doc.as_bytes(), &path).map(read);
        if got != want {
            wrong.push(format!(
                "{place}\n  {path}\n  in   {doc}\n  want {want:?}\n  got  {got:?}"
            ));
        }
        if let Ok(compiled) = Path::compile(&path) {
            assert_eq!(
                compiled.get(doc.as_bytes()).map(read),
                got,
                "compiled: {path} in {doc}"
            );
        } else if got.is_some() && case.get("refused").is_none() {
            refused.push(format!("{place}: {path}"));
        }
    }
    assert!(count >= 600, "{count} cases");
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
