//! Every case of `cases/lua.jsonl` against what gopher-lua answered in Argo's way.

use tiphys_lang::Value;
use tiphys_lang::lua::Script;

mod support;

#[test]
fn every_case_answers_as_the_reference_does() {
    support::check("lua", |case| {
        let script = Script::compile(&case.expr).map_err(|error| error.to_string())?;
        let event = case.input.clone().unwrap_or_default();
        match case.mode.as_str() {
            "filter" => script.eval_filter(&event).map(Value::Bool),
            _ => script.transform(&event),
        }
        .map_err(|error| error.to_string())
    });
}
