//! Sprig's functions one at a time, for the expressions that call them as `sprig.upper(x)`.
//! It never offers Go's built-in functions of templates: those belong to templates alone.

use jiff::Zoned;

use super::call::{Param, check_count, validate};
use super::cx::{Cx, Limits, Regexes};
use super::funcs::{self, Function};
use super::value::{Certificate, IntType, ListType, MapRef, Val};
use crate::go::time::Moment;
use crate::value::{Map, Number, Value};

/// What goes into a function and comes out of it.
#[derive(Debug, Clone)]
pub(crate) enum Datum {
    Json(Value),
    Int(i64),
    Float(f64),
    Time(Zoned),
    /// Nanoseconds.
    Duration(i64),
}

/// A function of Sprig.
#[derive(Clone, Copy)]
pub(crate) struct Sprig(&'static Function);

impl std::fmt::Debug for Sprig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sprig").field(&self.0.name).finish()
    }
}

impl PartialEq for Sprig {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Sprig {}

/// What a call has used of its limits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) steps: u64,
    pub(crate) memory: usize,
}

impl Sprig {
    /// The function of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        funcs::sprig(name).map(Self)
    }

    /// Calls it; `steps` and `memory` bound what it may use.
    ///
    /// # Errors
    /// In words, where the arguments do not fit, the function fails, or a bound is reached.
    pub(crate) fn call(
        self,
        arguments: &[Datum],
        steps: u64,
        memory: usize,
    ) -> Result<(Datum, Used), String> {
        let limits = Limits {
            steps,
            memory,
            ..Limits::default()
        };
        let regexes = Regexes::default();
        let cx = Cx::new(&limits, &regexes);
        let given = arguments.len();
        check_count(self.0, 0, given, given)?;
        let mut values = Vec::with_capacity(given);
        for (index, argument) in arguments.iter().enumerate() {
            values.push(taken(argument, self.0.param(index))?);
        }
        let failed = |fault: super::cx::Fault| fault.0;
        cx.weigh(&values).map_err(failed)?;
        let result = (self.0.call)(&cx, &values).map_err(failed)?;
        let result = given_back(&cx, &result, 0)?;
        Ok((result, cx.used()))
    }
}

fn taken(argument: &Datum, param: Param) -> Result<Val<'_>, String> {
    let value = match argument {
        Datum::Json(Value::Null) => return Ok(zero(param)),
        Datum::Json(value) => Val::from_json(value),
        Datum::Int(int) => match param {
            // An integer of an expression is as good as one of the event.
            Param::Float => Val::Num(Number::from(*int)),
            _ => Val::int(*int),
        },
        Datum::Float(float) => Val::Float(*float),
        Datum::Time(time) => Val::Time(Moment::from(time).into()),
        Datum::Duration(nanos) => Val::Int(*nanos, IntType::Duration),
    };
    validate(value, param)
}

/// What Go hands to a parameter in the place of nil: the zero of its type.
fn zero<'a>(param: Param) -> Val<'a> {
    match param {
        Param::Str => Val::constant(""),
        Param::Int | Param::Uint32 => Val::int(0),
        Param::Duration => Val::Int(0, IntType::Duration),
        Param::Float => Val::Float(0.0),
        Param::Bool => Val::Bool(false),
        Param::List => Cx::nil_list(ListType::Any),
        Param::Time => Val::Time(Moment::zero().into()),
        Param::Cert => Val::Cert(Certificate::default().into()),
        Param::Any | Param::Value | Param::Dict | Param::Version => Val::Nil,
    }
}

/// A result may nest this deeply.
const MAX_NESTING: usize = 100;

fn given_back<'a>(cx: &Cx<'a>, value: &Val<'a>, depth: usize) -> Result<Datum, String> {
    Ok(match value {
        Val::Int(nanos, IntType::Duration) => Datum::Duration(*nanos),
        Val::Int(int, _) => Datum::Int(*int),
        Val::Float(float) => Datum::Float(*float),
        Val::Time(moment) => Datum::Time(moment.to_zoned()),
        other => Datum::Json(json(cx, other, depth)?),
    })
}

fn json<'a>(cx: &Cx<'a>, value: &Val<'a>, depth: usize) -> Result<Value, String> {
    if depth > MAX_NESTING {
        return Err("gives a value that is nested too deeply".to_owned());
    }
    cx.step().map_err(|fault| fault.0)?;
    Ok(match value {
        Val::Missing | Val::Nil => Value::Null,
        Val::Bool(truth) => Value::Bool(*truth),
        Val::Int(int, _) => Value::from(*int),
        Val::Uint(uint, _) => Value::Number(Number::from(*uint)),
        Val::Float(float) => match Number::from_f64(*float) {
            Some(number) => Value::Number(number),
            None => return Err("gives a number that JSON does not have".to_owned()),
        },
        Val::Num(number) => Value::Number(number.clone()),
        Val::Str(text) => Value::String(text.lossy().into_owned()),
        Val::List(list) => Value::Array(
            list.iter()
                .map(|item| json(cx, &item, depth + 1))
                .collect::<Result<_, _>>()?,
        ),
        Val::Map(map) => Value::Object(members(cx, map, depth)?),
        Val::Time(moment) => {
            let text = moment.format(b"2006-01-02T15:04:05.999999999Z07:00");
            Value::String(String::from_utf8_lossy(&text).into_owned())
        }
        Val::Version(version) => Value::String(version.to_string()),
        Val::Cert(cert) => Value::Object(Map::from_iter([
            ("Cert".to_owned(), Value::String(cert.cert.clone())),
            ("Key".to_owned(), Value::String(cert.key.clone())),
        ])),
    })
}

fn members<'a>(cx: &Cx<'a>, map: &MapRef<'a>, depth: usize) -> Result<Map, String> {
    let entries = cx.entries(map).map_err(|fault| fault.0)?;
    entries
        .iter()
        .map(|(key, value)| Ok((key.lossy().into_owned(), json(cx, value, depth + 1)?)))
        .collect()
}
