//! `tiphys eval`: one expression of one dialect, evaluated as a Sensor would. The result alone goes to stdout.

use std::io::Read as _;
use std::path::Path as FilePath;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tiphys_lang::condition::Condition;
use tiphys_lang::path::Path;
use tiphys_lang::{
    Value, expr, gjson, gotemplate, govaluate, handlebars, jq, json, jsonpath, lua, sjson,
};

use crate::args::{Dialect, Eval};
use crate::output;

/// Prints the result; an error is the caller's to print.
pub(crate) fn run(args: &Eval) -> anyhow::Result<ExitCode> {
    let input = match &args.input {
        Some(path) => read(path)?,
        None => b"{}".to_vec(),
    };
    let text = &args.expression;
    let result = match args.dialect {
        Dialect::Gotemplate => gotemplate::Template::compile(text)?.render(&parsed(&input)?)?,
        Dialect::Handlebars => handlebars::Template::compile(text)?.render(&parsed(&input)?)?,
        Dialect::Gjson => selected(&Path::Gjson(gjson::Path::compile(text)?), &input)?,
        Dialect::Jsonpath => selected(&Path::JsonPath(jsonpath::Path::compile(text)?), &input)?,
        Dialect::Sjson => set(args, &input)?,
        Dialect::Expr => expr::Program::compile(text)?
            .eval(&object(&input)?)?
            .to_json(),
        Dialect::Govaluate => {
            let object = object(&input)?;
            govaluate::Expression::compile(text)?
                .eval(|name| object.get(name))?
                .to_json()
        }
        Dialect::Lua => script(text, &parsed(&input)?)?,
        Dialect::Jq => {
            let first = jq::Filter::compile(text)?.first(&parsed(&input)?)?;
            first
                .context("the filter has no output for this input")?
                .to_json()
        }
        Dialect::Condition => {
            let object = object(&input)?;
            let names: Vec<&str> = object.keys().map(String::as_str).collect();
            let condition = Condition::compile(text, &names)?;
            condition
                .holds(|name| object.get(name) == Some(&Value::Bool(true)))
                .to_string()
        }
    };
    output::line(&result)?;
    Ok(ExitCode::SUCCESS)
}

/// The text of what a path selects, as a parameter takes it.
fn selected(path: &Path, input: &[u8]) -> anyhow::Result<String> {
    parsed(input)?;
    let found = path.get(input)?;
    let found =
        found.with_context(|| format!("path {:?} does not exist in the input", path.text()))?;
    Ok(if found.kind == gjson::Kind::Null {
        "null".to_owned()
    } else {
        found.text().into_owned()
    })
}

/// The table that a script returns, as a transformation; of any other value, whether it passes as a filter.
fn script(text: &str, input: &Value) -> anyhow::Result<String> {
    let script = lua::Script::compile(text)?;
    match script.transform(input) {
        Ok(table) => Ok(table.to_json()),
        Err(lua::ScriptError::NotTable(_)) => Ok(script.eval_filter(input)?.to_string()),
        Err(error) => Err(error.into()),
    }
}

fn set(args: &Eval, input: &[u8]) -> anyhow::Result<String> {
    let path = &args.expression;
    let set = match (&args.value, &args.raw) {
        (Some(text), _) => sjson::set_string(input, path, text)?,
        (None, Some(raw)) => {
            json::parse(raw.as_bytes()).context("--raw")?;
            sjson::set_raw(input, path, raw.as_bytes())?
        }
        (None, None) => bail!("sjson needs --value TEXT or --raw JSON"),
    };
    Ok(String::from_utf8_lossy(&set).into_owned())
}

fn read(path: &FilePath) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path == FilePath::new("-") {
        std::io::stdin()
            .lock()
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(bytes)
}

fn parsed(input: &[u8]) -> anyhow::Result<Value> {
    json::parse(input).context("the input")
}

fn object(input: &[u8]) -> anyhow::Result<tiphys_lang::Map> {
    match parsed(input)? {
        Value::Object(object) => Ok(object),
        other => bail!("the input must be a JSON object, not {}", other.kind()),
    }
}
