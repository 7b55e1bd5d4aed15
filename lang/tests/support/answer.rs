//! What each dialect answers to a case, in the form in which the reference programs write theirs.
//! It never judges: comparing is the caller's.

use tiphys_lang::gjson::{self, Kind};
use tiphys_lang::{Map, Value, expr, gotemplate, govaluate, jq, lua, sjson};

/// Our answer to one line of a case file, or why there is none.
pub(crate) fn answer(dialect: &str, case: &Value) -> Result<Value, String> {
    match dialect {
        "gotemplate" => gotemplate(case),
        "gjson" => Ok(gjson(case)),
        "sjson" => Ok(sjson(case)),
        "govaluate" => govaluate(case),
        "expr" => expr(case),
        "lua" => lua(case),
        "jq" => jq(case),
        other => Err(format!("no dialect is called {other:?}")),
    }
}

/// A member of a case that is text.
pub(crate) fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn input(case: &Value) -> Value {
    case.get("input").cloned().unwrap_or_default()
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn gotemplate(case: &Value) -> Result<Value, String> {
    let template = gotemplate::Template::compile(text(case, "expr")).map_err(words)?;
    template
        .render(&input(case))
        .map(Value::from)
        .map_err(words)
}

fn object(members: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let members = members.into_iter();
    Value::Object(members.map(|(name, value)| (name.into(), value)).collect())
}

fn gjson(case: &Value) -> Value {
    let found = gjson::get(text(case, "json").as_bytes(), text(case, "path"));
    let Some(found) = found else {
        return object([("exists", Value::from(false))]);
    };
    let kind = match found.kind {
        Kind::Null => "Null",
        Kind::False => "False",
        Kind::True => "True",
        Kind::Number => "Number",
        Kind::String => "String",
        Kind::Json => "JSON",
    };
    let raw = String::from_utf8_lossy(&found.raw).into_owned();
    let shown = found.text().into_owned();
    // Go leaves empty texts out.
    let texts = [("raw", raw), ("str", shown)];
    let texts = texts
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| (name, Value::from(text)));
    let fixed = [("exists", Value::from(true)), ("type", Value::from(kind))];
    object(fixed.into_iter().chain(texts))
}

fn sjson(case: &Value) -> Value {
    let (json, path) = (text(case, "json").as_bytes(), text(case, "path"));
    let value = text(case, "value");
    let set = match text(case, "op") {
        "raw" => sjson::set_raw(json, path, value.as_bytes()),
        "delete" => sjson::delete(json, path),
        _ => sjson::set_string(json, path, value),
    };
    match set {
        Ok(json) => object([(
            "json",
            Value::from(String::from_utf8_lossy(&json).into_owned()),
        )]),
        Err(error) => object([("error", Value::from(words(error)))]),
    }
}

fn govaluate(case: &Value) -> Result<Value, String> {
    let expression = govaluate::Expression::compile(text(case, "expr")).map_err(words)?;
    let input = input(case);
    expression.eval(|name| input.get(name)).map_err(words)
}

fn expr(case: &Value) -> Result<Value, String> {
    let program = expr::Program::compile(text(case, "expr")).map_err(words)?;
    let environment = match input(case) {
        Value::Object(event) => expr::environment(&event),
        _ => Map::new(),
    };
    program.eval(&environment).map_err(words)
}

fn lua(case: &Value) -> Result<Value, String> {
    let script = lua::Script::compile(text(case, "expr")).map_err(words)?;
    match text(case, "mode") {
        "filter" => script.eval_filter(&input(case)).map(Value::Bool),
        _ => script.transform(&input(case)),
    }
    .map_err(words)
}

fn jq(case: &Value) -> Result<Value, String> {
    let filter = jq::Filter::compile(text(case, "expr")).map_err(words)?;
    match text(case, "mode") {
        "all" => filter.all(&input(case), 10_000).map(Value::Array),
        _ => filter
            .first(&input(case))
            .and_then(|output| output.ok_or(jq::JqError::NoOutput)),
    }
    .map_err(words)
}
