//! Writes `docs/dialects.md` from the pages in the code, running each example, and fails when it was out of date.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a broken example must fail the test"
)]

use std::fmt::Write;
use std::path::Path;

use tiphys_lang::condition::Condition;
use tiphys_lang::pages::{self, Page};
use tiphys_lang::{
    Value, expr, gjson, gotemplate, govaluate, handlebars, jq, json, jsonpath, lua, sjson,
};

/// The answer to an example, as `tiphys eval` prints it.
fn run(dialect: &str, text: &str, input: &[u8]) -> String {
    let value = || json::parse(input).unwrap();
    match dialect {
        "gotemplate" => gotemplate::Template::compile(text)
            .unwrap()
            .render(&value())
            .unwrap(),
        "handlebars" => handlebars::Template::compile(text)
            .unwrap()
            .render(&value())
            .unwrap(),
        "gjson" => {
            let path = gjson::Path::compile(text).unwrap();
            path.get(input).unwrap().text().into_owned()
        }
        "jsonpath" => {
            let found = jsonpath::Path::compile(text).unwrap().get_one(&value());
            match found.unwrap().unwrap() {
                Value::String(text) => text.to_string(),
                other => other.to_json(),
            }
        }
        "sjson" => String::from_utf8(sjson::set_string(input, text, "v").unwrap()).unwrap(),
        "govaluate" => {
            let expression = govaluate::Expression::compile(text).unwrap();
            let fields = value();
            expression.eval(|name| fields.get(name)).unwrap().to_json()
        }
        "expr" => {
            let Value::Object(event) = value() else {
                panic!("the event is an object")
            };
            let program = expr::Program::compile(text).unwrap();
            program.eval(&expr::environment(&event)).unwrap().to_json()
        }
        "condition" => {
            let Value::Object(present) = value() else {
                panic!("an object says who has an event")
            };
            let names: Vec<_> = present.keys().map(String::as_str).collect();
            let condition = Condition::compile(text, &names).unwrap();
            let holds = condition.holds(|name| present.get(name) == Some(&Value::Bool(true)));
            holds.to_string()
        }
        "lua" => {
            let script = lua::Script::compile(text).unwrap();
            match script.transform(&value()) {
                Ok(table) => table.to_json(),
                Err(lua::ScriptError::NotTable(_)) => {
                    script.eval_filter(&value()).unwrap().to_string()
                }
                Err(error) => panic!("{text}: {error}"),
            }
        }
        "jq" => {
            let filter = jq::Filter::compile(text).unwrap();
            filter.first(&value()).unwrap().unwrap().to_json()
        }
        other => panic!("no dialect is called {other}"),
    }
}

/// Text as code in a cell of a table.
fn cell(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', " ⏎ ");
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let fence = if text.contains('`') { "``" } else { "`" };
    format!("{fence}{text}{fence}")
}

fn section(page: &Page, out: &mut String) {
    let Page {
        name,
        title,
        place,
        reference,
        offers,
        examples,
        differs,
    } = page;
    let sentences = offers.replace(". ", ".\n");
    write!(
        out,
        "\n## {title}\n\nWritten in {place}.\nCompared with {reference}; `tiphys eval {name}` evaluates it.\n\n{sentences}\n"
    )
    .unwrap();
    let others = examples.iter().any(|example| example.input.is_some());
    let (head, rule) = if others {
        ("| | text | input | result |", "|---|---|---|---|")
    } else {
        ("| | text | result |", "|---|---|---|")
    };
    write!(out, "\n{head}\n{rule}\n").unwrap();
    for example in *examples {
        let input = example.input.unwrap_or(pages::INPUT);
        let result = run(name, example.text, input.as_bytes());
        write!(out, "| {} | {} |", example.shows, cell(example.text)).unwrap();
        if others {
            let shown = example.input.map_or("as above".to_owned(), cell);
            write!(out, " {shown} |").unwrap();
        }
        writeln!(out, " {} |", cell(&result)).unwrap();
    }
    write!(out, "\n| what differs | why |\n|---|---|\n").unwrap();
    for (what, why) in *differs {
        let row = |text: &str| text.replace('|', "\\|");
        writeln!(out, "| {} | {} |", row(what), row(why)).unwrap();
    }
    if *name == "gotemplate" {
        let names = gotemplate::function_names().join("`, `");
        write!(out, "\nAll functions: `{names}`.\n").unwrap();
    }
}

fn document() -> String {
    let mut out = String::from(
        "<!-- Written by `cargo test -p tiphys-lang --test docs` from lang/src/pages. Do not edit. -->\n\n\
# The dialects\n\n\
The small languages of Argo's YAML, what each offers, and where it differs on purpose from what Argo runs.\n\
Each result below was computed by running the example.\n\
Every difference that a conformance case shows is in `lang/tests/cases/differences.jsonl`; `make conformance` compares with the Go libraries.\n\n\
Where an example has no input of its own, it sees this (a template sees it as `.Input`):\n\n```json\n",
    );
    out.push_str(pages::INPUT);
    out.push_str("\n```\n");
    for page in pages::pages() {
        section(page, &mut out);
    }
    out
}

#[test]
fn the_dialects_are_documented_as_they_work() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/dialects.md");
    let (was, is) = (std::fs::read_to_string(&path), document());
    if was.is_ok_and(|was| was == is) {
        return;
    }
    std::fs::write(&path, is).unwrap();
    panic!("docs/dialects.md was out of date and has been written anew: commit it");
}
