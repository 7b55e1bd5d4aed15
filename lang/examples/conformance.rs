//! Answers cases for `tests/conformance`: JSON lines in (the case and its `dialect`), JSON lines out.
//! It never compares: the Go program there does.

#![expect(clippy::unwrap_used, reason = "a program for tests")]

use std::io::{BufRead, Write};

use tiphys_lang::{Map, Value, json};

#[path = "../tests/support/answer.rs"]
mod answer;

fn main() {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let case = json::parse(line.unwrap().as_bytes()).unwrap();
        let dialect = answer::text(&case, "dialect").to_owned();
        let (key, value) = match answer::answer(&dialect, &case) {
            Ok(value) => ("want", value),
            Err(error) => ("error", Value::from(error)),
        };
        let reply = Value::Object(Map::from_iter([(key.into(), value)]));
        writeln!(out, "{}", reply.to_json()).unwrap();
        out.flush().unwrap();
    }
}
