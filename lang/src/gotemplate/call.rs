//! The rules by which Go hands values to parameters.
//! It converts only JSON numbers, which answer to integer and float parameters alike.

use super::ast::{Operand, Term};
use super::funcs::Function;
use super::value::{IntType, ListType, MapRef, Text, Val};

/// The type of a parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Param {
    /// `interface {}`
    Any,
    /// `reflect.Value`: what the built-ins take.
    Value,
    Str,
    Int,
    Duration,
    Uint32,
    Float,
    Bool,
    Dict,
    List,
    Time,
    Version,
    Cert,
}

impl Param {
    fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Value => "reflect.Value",
            Self::Str => "string",
            Self::Int => "int",
            Self::Duration => "time.Duration",
            Self::Uint32 => "uint32",
            Self::Float => "float64",
            Self::Bool => "bool",
            Self::Dict => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::Time => "time.Time",
            Self::Version => "*semver.Version",
            Self::Cert => "sprig.certificate",
        }
    }

    fn can_be_nil(self) -> bool {
        matches!(
            self,
            Self::Any | Self::Value | Self::Dict | Self::List | Self::Version
        )
    }
}

/// Whether a call has as many arguments as its function takes.
pub(super) fn check_count(
    function: &Function,
    skipped: usize,
    given: usize,
    written: usize,
) -> Result<(), String> {
    let fixed = function.params.len() - skipped.min(function.params.len());
    let name = function.name;
    if function.variadic.is_some() {
        if given < fixed {
            return Err(format!(
                "wrong number of args for {name}: want at least {fixed} got {written}"
            ));
        }
    } else if given != fixed {
        return Err(format!(
            "wrong number of args for {name}: want {fixed} got {given}"
        ));
    }
    Ok(())
}

/// A computed value as an argument.
pub(super) fn validate(value: Val<'_>, param: Param) -> Result<Val<'_>, String> {
    let fits = match (&value, param) {
        (_, Param::Value) => true,
        (Val::Missing, Param::Any | Param::Dict | Param::List | Param::Version) => {
            return Ok(Val::Nil);
        }
        (Val::Missing, _) => {
            return Err(format!("invalid value; expected {}", param.type_name()));
        }
        (_, Param::Any) => true,
        (Val::Str(_), Param::Str)
        | (Val::Int(_, IntType::Int), Param::Int)
        | (Val::Int(_, IntType::Duration), Param::Duration)
        | (Val::Float(_), Param::Float)
        | (Val::Bool(_), Param::Bool)
        | (Val::Time(_), Param::Time)
        | (Val::Version(_), Param::Version)
        | (Val::Cert(_), Param::Cert) => true,
        (Val::Map(MapRef::Dict(dict)), Param::Dict) => !dict.of_strings,
        (Val::Map(_), Param::Dict) => true,
        (Val::List(list), Param::List) => list.kind == ListType::Any,
        (Val::Num(number), Param::Float) => return Ok(Val::Float(number.as_f64())),
        (Val::Num(number), Param::Int | Param::Uint32) => {
            if let Some(int) = number.as_i64() {
                return Ok(integer(int, param));
            }
            false
        }
        _ => false,
    };
    if fits {
        return Ok(value);
    }
    let (expected, got) = (param.type_name(), value.dynamic_type());
    Err(format!(
        "wrong type for value; expected {expected}; got {got}"
    ))
}

fn integer<'a>(int: i64, param: Param) -> Val<'a> {
    match param {
        Param::Duration => Val::Int(int, IntType::Duration),
        _ => Val::int(int),
    }
}

/// The literal `nil` as an argument.
pub(super) fn nil_argument<'a>(param: Param) -> Result<Val<'a>, String> {
    match param {
        Param::Value => Ok(Val::Missing),
        param if param.can_be_nil() => Ok(Val::Nil),
        param => Err(format!("cannot assign nil to {}", param.type_name())),
    }
}

/// A literal as an argument of a type of its own.
pub(super) fn literal(operand: &Operand, param: Param) -> Result<Val<'_>, String> {
    let expected = |what: &str| {
        let mut shown = String::new();
        operand.write(&mut shown);
        format!("expected {what}; found {shown}")
    };
    match (param, &operand.term) {
        (Param::Bool, Term::Bool(truth)) => Ok(Val::Bool(*truth)),
        (Param::Bool, _) => Err(expected("bool")),
        (Param::Str, Term::Text { bytes, .. }) => Ok(Val::Str(Text::Borrowed(bytes))),
        (Param::Str, _) => Err(expected("string")),
        (Param::Int | Param::Duration, Term::Number(literal)) => literal
            .int
            .map(|int| integer(int, param))
            .ok_or_else(|| expected("integer")),
        (Param::Int | Param::Duration, _) => Err(expected("integer")),
        (Param::Uint32, Term::Number(literal)) => {
            let uint = literal.uint.map(|uint| i64::from(low_bits(uint)));
            uint.map(Val::int)
                .ok_or_else(|| expected("unsigned integer"))
        }
        (Param::Uint32, _) => Err(expected("unsigned integer")),
        (Param::Float, Term::Number(literal)) => literal
            .float
            .map(Val::Float)
            .ok_or_else(|| expected("float")),
        (Param::Float, _) => Err(expected("float")),
        _ => {
            let mut shown = String::new();
            operand.write(&mut shown);
            Err(format!(
                "can't handle {shown} for arg of type {}",
                param.type_name()
            ))
        }
    }
}

/// Go cuts a constant that is too large for the type.
#[expect(clippy::cast_possible_truncation, reason = "cut as Go does")]
fn low_bits(uint: u64) -> u32 {
    uint as u32
}
