//! Every case of `cases/expr.jsonl` against what the Go library answered.

use tiphys_lang::Value;
use tiphys_lang::expr::{Program, environment};

mod support;

#[test]
fn every_case_answers_as_the_reference_does() {
    support::check("expr", |case| {
        let program = Program::compile(&case.expr).map_err(|error| error.to_string())?;
        let environment = match &case.input {
            Some(Value::Object(event)) => environment(event),
            _ => tiphys_lang::Map::new(),
        };
        program
            .eval(&environment)
            .map_err(|error| error.to_string())
    });
}
