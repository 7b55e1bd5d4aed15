//! Every case of `cases/jq.jsonl` against what gojq answered.

use tiphys_lang::Value;
use tiphys_lang::jq::{Filter, JqError};

mod support;

#[test]
fn every_case_answers_as_the_reference_does() {
    support::check("jq", |case| {
        let filter = Filter::compile(&case.expr).map_err(|error| error.to_string())?;
        let input = case.input.clone().unwrap_or_default();
        match case.mode.as_str() {
            "all" => filter.all(&input, 10_000).map(Value::Array),
            _ => filter
                .first(&input)
                .and_then(|output| output.ok_or(JqError::NoOutput)),
        }
        .map_err(|error| error.to_string())
    });
}
