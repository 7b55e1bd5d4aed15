//! The functions by name, and what their bodies share: arguments and Sprig's conversions.
//! It never runs a function with arguments that its parameters do not allow.

use super::call::Param;
use super::cx::{Answer, Cx, Fault};
use super::literal;
use super::printf;
use super::value::{Dict, List, MapRef, Val};
use std::rc::Rc;

mod cert;
mod crypto;
mod dates;
mod decimal;
mod defaults;
mod dicts;
mod encoding;
mod json;
mod lists;
mod math;
mod paths;
mod random;
mod regexes;
pub(super) mod semver;
mod strings;
mod url;
mod words;

/// A function's body.
pub(super) type Body = for<'a, 'b, 'c> fn(&'b Cx<'a>, &'c [Val<'a>]) -> Answer<'a>;

/// A function that templates call.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) params: &'static [Param],
    pub(super) variadic: Option<Param>,
    pub(super) call: Body,
}

impl Function {
    /// The type of an argument by its place.
    pub(super) fn param(&self, index: usize) -> Param {
        self.params
            .get(index)
            .copied()
            .or(self.variadic)
            .unwrap_or(Param::Any)
    }
}

/// With a fixed number of parameters.
pub(super) const fn function(name: &'static str, params: &'static [Param], call: Body) -> Function {
    Function {
        name,
        params,
        variadic: None,
        call,
    }
}

/// With any number of further parameters.
pub(super) const fn variadic(
    name: &'static str,
    params: &'static [Param],
    more: Param,
    call: Body,
) -> Function {
    Function {
        name,
        params,
        variadic: Some(more),
        call,
    }
}

/// Sprig comes first: its `slice` hides the built-in one, as in Argo.
const TABLES: [&[Function]; 17] = [
    strings::TABLE,
    words::TABLE,
    lists::TABLE,
    dicts::TABLE,
    math::TABLE,
    defaults::TABLE,
    dates::TABLE,
    regexes::TABLE,
    encoding::TABLE,
    json::TABLE,
    semver::TABLE,
    paths::TABLE,
    crypto::TABLE,
    cert::TABLE,
    random::TABLE,
    url::TABLE,
    super::builtins::TABLE,
];

/// The function of a name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .find(|function| function.name == name)
}

/// The function of a name, if it is one of Sprig's.
pub(super) fn sprig(name: &str) -> Option<&'static Function> {
    let [sprig @ .., _builtins] = &TABLES;
    sprig
        .iter()
        .flat_map(|table| table.iter())
        .find(|function| function.name == name)
}

/// The names of all functions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    TABLES
        .iter()
        .flat_map(|table| table.iter())
        .map(|function| function.name)
}

/// A text argument.
pub(super) fn bytes<'v>(args: &'v [Val<'_>], index: usize) -> &'v [u8] {
    match args.get(index) {
        Some(Val::Str(text)) => text,
        _ => b"",
    }
}

/// A text argument as UTF-8.
pub(super) fn utf8<'v>(args: &'v [Val<'_>], index: usize) -> std::borrow::Cow<'v, str> {
    String::from_utf8_lossy(bytes(args, index))
}

/// An integer argument.
pub(super) fn int(args: &[Val<'_>], index: usize) -> i64 {
    match args.get(index) {
        Some(Val::Int(int, _)) => *int,
        _ => 0,
    }
}

/// A float argument.
pub(super) fn float(args: &[Val<'_>], index: usize) -> f64 {
    match args.get(index) {
        Some(Val::Float(float)) => *float,
        _ => 0.0,
    }
}

/// Any argument.
pub(super) fn any<'v, 'a>(args: &'v [Val<'a>], index: usize) -> &'v Val<'a> {
    args.get(index).unwrap_or(&Val::Nil)
}

/// All arguments from a place on.
pub(super) fn rest<'v, 'a>(args: &'v [Val<'a>], index: usize) -> &'v [Val<'a>] {
    args.get(index..).unwrap_or_default()
}

/// A map argument; `None` is Go's nil map.
pub(super) fn map<'v, 'a>(args: &'v [Val<'a>], index: usize) -> Option<&'v MapRef<'a>> {
    match args.get(index) {
        Some(Val::Map(map)) => Some(map),
        _ => None,
    }
}

/// A map argument that is about to be changed.
pub(super) fn writable<'a>(
    cx: &Cx<'a>,
    args: &[Val<'a>],
    index: usize,
) -> Result<Rc<Dict<'a>>, Fault> {
    match map(args, index) {
        Some(map) => cx.writable(map),
        None => Err(Fault::from("assignment to entry in nil map")),
    }
}

/// Sprig's `strval`.
pub(super) fn strval<'a>(cx: &Cx<'a>, value: &Val<'a>) -> Result<Vec<u8>, Fault> {
    match value {
        Val::Str(text) => Ok(text.to_vec()),
        other => printf::to_bytes(cx, other),
    }
}

/// Sprig's `strslice`.
pub(super) fn strslice<'a>(cx: &Cx<'a>, value: &Val<'a>) -> Result<Vec<Vec<u8>>, Fault> {
    match value {
        Val::Missing | Val::Nil => Ok(Vec::new()),
        Val::List(list) => {
            let mut out = Vec::with_capacity(list.len());
            for item in list.iter().filter(|item| !item.is_nil()) {
                cx.step()?;
                let text = strval(cx, &item)?;
                cx.charge(text.len() + 48)?;
                out.push(text);
            }
            Ok(out)
        }
        other => Ok(vec![strval(cx, other)?]),
    }
}

/// A list argument, or Sprig's complaint.
pub(super) fn list<'v, 'a>(
    args: &'v [Val<'a>],
    index: usize,
    complaint: &str,
) -> Result<&'v List<'a>, Fault> {
    match any(args, index) {
        Val::List(list) => Ok(list),
        Val::Missing | Val::Nil => Err(Fault::from(
            "runtime error: invalid memory address or nil pointer dereference",
        )),
        other => Err(Fault(format!("{complaint} {}", other.kind_name()))),
    }
}

/// Go's conversion of a float to an integer: out of range gives the smallest.
#[expect(clippy::cast_possible_truncation, reason = "checked to be in range")]
pub(super) fn truncate(float: f64) -> i64 {
    if float > -9.3e18 && float < 9_223_372_036_854_775_807.0 {
        float as i64
    } else {
        i64::MIN
    }
}

/// `cast.ToInt64`.
pub(super) fn to_int64(value: &Val<'_>) -> i64 {
    use super::value::IntType;
    match value {
        Val::Int(_, IntType::Duration) => 0,
        Val::Int(int, _) => *int,
        Val::Uint(uint, _) => i64::from_ne_bytes(uint.to_ne_bytes()),
        Val::Float(float) => truncate(*float),
        Val::Num(number) => number.as_i64().unwrap_or_else(|| truncate(number.as_f64())),
        Val::Str(text) => str::from_utf8(text)
            .ok()
            .and_then(|text| literal::parse_int(without_zero_decimal(text), 64))
            .unwrap_or(0),
        Val::Bool(true) => 1,
        _ => 0,
    }
}

/// `1.00` is an integer to `cast`, `1.5` is not.
fn without_zero_decimal(text: &str) -> &str {
    let stripped = text.trim_end_matches('0');
    match stripped.strip_suffix('.') {
        Some(whole) if stripped.len() < text.len() => whole,
        _ => text,
    }
}

/// `cast.ToFloat64`.
#[expect(
    clippy::cast_precision_loss,
    reason = "the nearest float is what is asked for"
)]
pub(super) fn to_float64(value: &Val<'_>) -> f64 {
    use super::value::IntType;
    match value {
        Val::Int(_, IntType::Duration) => 0.0,
        Val::Int(int, _) => *int as f64,
        Val::Uint(uint, _) => *uint as f64,
        Val::Float(float) => *float,
        Val::Num(number) => number.as_f64(),
        Val::Str(text) => str::from_utf8(text)
            .ok()
            .and_then(literal::parse_float)
            .unwrap_or(0.0),
        Val::Bool(true) => 1.0,
        _ => 0.0,
    }
}
