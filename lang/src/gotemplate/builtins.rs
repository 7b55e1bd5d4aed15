//! Go's built-in functions: comparison, `index`, `len`, escaping and printing.
//! It never compares what Go refuses to compare, JSON numbers aside: they compare by value.

use super::call::Param::{Any, Str, Value};
use super::cx::{Answer, Cx, Fault};
use super::exec::truth;
use super::funcs::{Function, bytes, function, variadic};
use super::printf;
use super::value::{Basic, UintType, Val};
use crate::go::quote;
use std::cmp::Ordering;

pub(super) const TABLE: &[Function] = &[
    variadic("and", &[Value], Value, |_, _| {
        Err(Fault::from("and is evaluated by its caller"))
    }),
    variadic("or", &[Value], Value, |_, _| {
        Err(Fault::from("or is evaluated by its caller"))
    }),
    function("not", &[Value], |cx, args| {
        Ok(Val::Bool(
            !args.first().is_some_and(|value| truth(cx, value)),
        ))
    }),
    variadic("eq", &[Value], Value, eq),
    function("ne", &[Value, Value], |cx, args| match eq(cx, args)? {
        Val::Bool(equal) => Ok(Val::Bool(!equal)),
        other => Ok(other),
    }),
    function("lt", &[Value, Value], |_, args| {
        compare(args, Ordering::is_lt)
    }),
    function("le", &[Value, Value], |_, args| {
        compare(args, Ordering::is_le)
    }),
    function("gt", &[Value, Value], |_, args| {
        compare(args, Ordering::is_gt)
    }),
    function("ge", &[Value, Value], |_, args| {
        compare(args, Ordering::is_ge)
    }),
    function("len", &[Value], |cx, args| {
        len(cx, args.first().unwrap_or(&Val::Missing))
    }),
    variadic("index", &[Value], Value, index),
    variadic("print", &[], Any, |cx, args| {
        cx.text(printf::sprint(cx, args)?)
    }),
    variadic("println", &[], Any, |cx, args| {
        cx.text(printf::sprintln(cx, args)?)
    }),
    variadic("printf", &[Str], Any, |cx, args| {
        cx.text(printf::sprintf(
            cx,
            bytes(args, 0),
            args.get(1..).unwrap_or_default(),
        )?)
    }),
    variadic("html", &[], Any, |cx, args| {
        cx.text(html(&joined(cx, args)?))
    }),
    variadic("js", &[], Any, |cx, args| cx.text(js(&joined(cx, args)?))),
    variadic("urlquery", &[], Any, |cx, args| {
        cx.text(query_escape(&joined(cx, args)?))
    }),
    variadic("call", &[Value], Value, |_, args| match args.first() {
        None | Some(Val::Missing | Val::Nil) => Err(Fault::from("call of nil")),
        Some(value) => Err(Fault(format!("non-function of type {}", value.type_name()))),
    }),
];

fn eq<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let Some((first, others)) = args.split_first() else {
        return Ok(Val::Bool(false));
    };
    if others.is_empty() {
        return Err(Fault::from("missing argument for comparison"));
    }
    for other in others {
        if equal(cx, first, other)? {
            return Ok(Val::Bool(true));
        }
    }
    Ok(Val::Bool(false))
}

fn equal<'a>(cx: &Cx<'a>, one: &Val<'a>, other: &Val<'a>) -> Result<bool, Fault> {
    let (kind, other_kind) = (one.basic(), other.basic());
    if let Some(ordering) = number_order(one, other) {
        return Ok(ordering.is_some_and(Ordering::is_eq));
    }
    if kind != other_kind {
        if one.is_nil() || other.is_nil() {
            return Ok(false);
        }
        return Err(incompatible(one, other));
    }
    match (one, other) {
        (Val::Bool(one), Val::Bool(other)) => Ok(one == other),
        (Val::Str(one), Val::Str(other)) => Ok(**one == **other),
        _ => {
            if one.is_nil() || other.is_nil() {
                return Ok(is_nil(one) == is_nil(other));
            }
            if one.kind_name() != other.kind_name() {
                let (one, other) = (one.type_name(), other.type_name());
                return Err(Fault(format!("non-comparable types {one}, {other}")));
            }
            if is_nil(one) || is_nil(other) {
                return Ok(is_nil(one) == is_nil(other));
            }
            match (one, other) {
                (Val::Time(one), Val::Time(other)) => {
                    Ok(one.at == other.at && one.zone == other.zone)
                }
                (Val::Version(one), Val::Version(other)) => Ok(std::rc::Rc::ptr_eq(one, other)),
                (Val::Cert(one), Val::Cert(other)) => Ok(one == other),
                _ => {
                    let shown = printf::display(cx, other);
                    Err(Fault(format!(
                        "non-comparable type {shown}: {}",
                        other.type_name()
                    )))
                }
            }
        }
    }
}

fn is_nil(value: &Val<'_>) -> bool {
    value.is_nil() || matches!(value, Val::List(list) if list.nil)
}

fn incompatible(one: &Val<'_>, other: &Val<'_>) -> Fault {
    let (one, other) = (one.type_name(), other.type_name());
    Fault(format!(
        "incompatible types for comparison: {one} and {other}"
    ))
}

/// The order of two numbers, where Go compares their types or one is a JSON number.
/// The inner `None` is the order of NaN.
pub(super) fn number_order(one: &Val<'_>, other: &Val<'_>) -> Option<Option<Ordering>> {
    let wide = |value: &Val<'_>| match value {
        Val::Int(int, _) => Some(i128::from(*int)),
        Val::Uint(uint, _) => Some(i128::from(*uint)),
        Val::Num(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from)),
        _ => None,
    };
    let float = |value: &Val<'_>| match value {
        Val::Float(float) => Some(*float),
        Val::Num(number) => Some(number.as_f64()),
        _ => None,
    };
    if let (Some(one), Some(other)) = (wide(one), wide(other)) {
        return Some(Some(one.cmp(&other)));
    }
    if let (Some(one), Some(other)) = (float(one), float(other)) {
        return Some(one.partial_cmp(&other));
    }
    // A fractional JSON number against an integer.
    #[expect(
        clippy::cast_precision_loss,
        reason = "only the order with a fraction counts"
    )]
    match (one, other) {
        (Val::Num(number), _) => {
            wide(other).map(|other| number.as_f64().partial_cmp(&(other as f64)))
        }
        (_, Val::Num(number)) => wide(one).map(|one| (one as f64).partial_cmp(&number.as_f64())),
        _ => None,
    }
}

fn compare<'a>(args: &[Val<'a>], wanted: fn(Ordering) -> bool) -> Answer<'a> {
    const BAD: &str = "invalid type for comparison";
    let (Some(one), Some(other)) = (args.first(), args.get(1)) else {
        return Err(Fault::from(BAD));
    };
    if one.basic() == Basic::None || other.basic() == Basic::None {
        return Err(Fault::from(BAD));
    }
    if let Some(ordering) = number_order(one, other) {
        return Ok(Val::Bool(ordering.is_some_and(wanted)));
    }
    match (one, other) {
        (Val::Str(one), Val::Str(other)) => Ok(Val::Bool(wanted((**one).cmp(&**other)))),
        (Val::Bool(_), Val::Bool(_)) => Err(Fault::from(BAD)),
        _ => Err(incompatible(one, other)),
    }
}

fn len<'a>(cx: &Cx<'a>, value: &Val<'a>) -> Answer<'a> {
    match value {
        Val::Str(text) => Ok(Val::length(text.len())),
        Val::List(list) => Ok(Val::length(list.len())),
        Val::Map(map) => Ok(Val::length(cx.map_len(map))),
        Val::Nil => Err(Fault::from("len of nil pointer")),
        Val::Missing => Err(Fault::from(
            "reflect: call of reflect.Value.Type on zero Value",
        )),
        other => Err(Fault(format!("len of type {}", other.type_name()))),
    }
}

fn index<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let Some((first, indexes)) = args.split_first() else {
        return Ok(Val::Missing);
    };
    if first.is_nil() {
        return Err(Fault::from("index of untyped nil"));
    }
    let mut item = first.clone();
    for index in indexes {
        item = match &item {
            Val::Missing | Val::Nil => return Err(Fault::from("index of nil pointer")),
            Val::List(list) => {
                let at = position(index, list.len())?;
                list.get(at).ok_or_else(|| out_of_range(at))?
            }
            Val::Str(text) => {
                let at = position(index, text.len())?;
                let byte = text.get(at).ok_or_else(|| out_of_range(at))?;
                Val::Uint(u64::from(*byte), UintType::Uint8)
            }
            Val::Map(map) => match index {
                Val::Str(key) => {
                    let strings = item.type_name() == "map[string]string";
                    let none = if strings { Val::constant("") } else { Val::Nil };
                    cx.get(map, key).unwrap_or(none)
                }
                Val::Missing | Val::Nil => {
                    return Err(Fault::from("value is nil; should be of type string"));
                }
                other => {
                    let kind = other.type_name();
                    return Err(Fault(format!("value has type {kind}; should be string")));
                }
            },
            other => {
                return Err(Fault(format!(
                    "can't index item of type {}",
                    other.type_name()
                )));
            }
        };
    }
    Ok(item)
}

fn out_of_range(at: usize) -> Fault {
    Fault(format!("reflect: slice index out of range: {at}"))
}

fn position(index: &Val<'_>, length: usize) -> Result<usize, Fault> {
    let number = match index {
        Val::Int(int, _) => *int,
        Val::Uint(uint, _) => i64::try_from(*uint).unwrap_or(-1),
        Val::Num(number) if number.as_i64().is_some() => number.as_i64().unwrap_or(-1),
        Val::Missing | Val::Nil => return Err(Fault::from("cannot index slice/array with nil")),
        other => {
            let kind = other.type_name();
            return Err(Fault(format!("cannot index slice/array with type {kind}")));
        }
    };
    let at = usize::try_from(number).ok().filter(|at| *at <= length);
    at.ok_or_else(|| Fault(format!("index out of range: {number}")))
}

/// The one text that the escaping functions work on.
fn joined<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Result<Vec<u8>, Fault> {
    if let [Val::Str(text)] = args {
        return Ok(text.to_vec());
    }
    let shown: Vec<_> = args
        .iter()
        .map(|value| {
            if value.is_nil() {
                Val::constant("<no value>")
            } else {
                value.clone()
            }
        })
        .collect();
    printf::sprint(cx, &shown)
}

fn html(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            0 => out.extend_from_slice("\u{fffd}".as_bytes()),
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            byte => out.push(*byte),
        }
    }
    out
}

fn js(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (char, raw) in quote::chars(text) {
        match char {
            Some('\\') => out.extend_from_slice(br"\\"),
            Some('\'') => out.extend_from_slice(br"\'"),
            Some('"') => out.extend_from_slice(br#"\""#),
            Some(special @ ('<' | '>' | '&' | '=')) => {
                out.extend_from_slice(format!("\\u{:04X}", u32::from(special)).as_bytes());
            }
            Some(char) if quote::is_print(char) => out.extend_from_slice(raw),
            Some(char) => {
                out.extend_from_slice(format!("\\u{:04X}", u32::from(char)).as_bytes());
            }
            None => out.extend_from_slice(raw),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
pub(super) fn query_escape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            byte => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}
