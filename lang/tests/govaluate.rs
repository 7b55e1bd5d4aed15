//! Every case of `cases/govaluate.jsonl` against what the Go library answered.

use tiphys_lang::Value;
use tiphys_lang::govaluate::Expression;

mod support;

#[test]
fn every_case_answers_as_the_reference_does() {
    support::check("govaluate", |case| {
        let expression = Expression::compile(&case.expr).map_err(|error| error.to_string())?;
        let empty = Value::Null;
        let input = case.input.as_ref().unwrap_or(&empty);
        expression
            .eval(|name| input.get(name))
            .map_err(|error| error.to_string())
    });
}
