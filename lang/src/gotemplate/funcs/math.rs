//! Sprig's numbers: conversion, integer arithmetic, rounding, sequences.
//! It never overflows with a panic: integers wrap, as in Go.

use super::decimal::Decimal;
use super::{Function, any, bytes, float, function, int, rest, to_float64, to_int64, variadic};
use crate::gotemplate::call::Param::{Any, Float, Int, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::printf;
use crate::gotemplate::value::{ListType, Val};

pub(super) const TABLE: &[Function] = &[
    function("atoi", &[Str], |_, args| Ok(Val::int(atoi(bytes(args, 0))))),
    function("int64", &[Any], |_, args| {
        Ok(Val::int64(to_int64(any(args, 0))))
    }),
    function("int", &[Any], |_, args| {
        Ok(Val::int(to_int64(any(args, 0))))
    }),
    function("float64", &[Any], |_, args| {
        Ok(Val::Float(to_float64(any(args, 0))))
    }),
    function("toDecimal", &[Any], |cx, args| {
        let text = printf::sprint(cx, args)?;
        let parsed = str::from_utf8(&text)
            .ok()
            .and_then(|text| i64::from_str_radix(text, 8).ok());
        Ok(Val::int64(parsed.unwrap_or(0)))
    }),
    function("add1", &[Any], |_, args| {
        Ok(Val::int64(to_int64(any(args, 0)).wrapping_add(1)))
    }),
    variadic("add", &[], Any, |_, args| {
        Ok(Val::int64(
            args.iter().map(to_int64).fold(0, i64::wrapping_add),
        ))
    }),
    function("sub", &[Any, Any], |_, args| {
        Ok(Val::int64(
            to_int64(any(args, 0)).wrapping_sub(to_int64(any(args, 1))),
        ))
    }),
    function("div", &[Any, Any], |_, args| {
        divide(args, i64::wrapping_div)
    }),
    function("mod", &[Any, Any], |_, args| {
        divide(args, i64::wrapping_rem)
    }),
    variadic("mul", &[Any], Any, |_, args| {
        Ok(Val::int64(
            args.iter().map(to_int64).fold(1, i64::wrapping_mul),
        ))
    }),
    variadic("biggest", &[Any], Any, |_, args| largest(args)),
    variadic("max", &[Any], Any, |_, args| largest(args)),
    variadic("min", &[Any], Any, |_, args| {
        Ok(Val::int64(args.iter().map(to_int64).min().unwrap_or(0)))
    }),
    variadic("maxf", &[Any], Any, |_, args| fold(args, go_max)),
    variadic("minf", &[Any], Any, |_, args| {
        fold(args, |one, other| -go_max(-one, -other))
    }),
    function("ceil", &[Any], |_, args| {
        Ok(Val::Float(to_float64(any(args, 0)).ceil()))
    }),
    function("floor", &[Any], |_, args| {
        Ok(Val::Float(to_float64(any(args, 0)).floor()))
    }),
    variadic("round", &[Any, Int], Float, |_, args| {
        let half = args.get(2).map_or(0.5, |_| float(args, 2));
        Ok(Val::Float(round(
            to_float64(any(args, 0)),
            int(args, 1),
            half,
        )))
    }),
    function("add1f", &[Any], |_, args| {
        decimals(to_float64(any(args, 0)), &[Val::int(1)], |one, other| {
            Ok(one.add(other))
        })
    }),
    variadic("addf", &[], Any, |_, args| {
        decimals(0.0, args, |one, other| Ok(one.add(other)))
    }),
    variadic("subf", &[Any], Any, |_, args| {
        decimals(to_float64(any(args, 0)), rest(args, 1), |one, other| {
            Ok(one.sub(other))
        })
    }),
    variadic("mulf", &[Any], Any, |_, args| {
        decimals(to_float64(any(args, 0)), rest(args, 1), |one, other| {
            Ok(one.mul(other))
        })
    }),
    variadic("divf", &[Any], Any, |_, args| {
        decimals(to_float64(any(args, 0)), rest(args, 1), |one, other| {
            one.div(other)
        })
    }),
    function("until", &[Int], |cx, args| {
        let count = int(args, 0);
        let step = if count < 0 { -1 } else { 1 };
        list(cx, 0, count, step)
    }),
    function("untilStep", &[Int, Int, Int], |cx, args| {
        list(cx, int(args, 0), int(args, 1), int(args, 2))
    }),
    variadic("seq", &[], Int, |cx, args| {
        let (start, step, end) = match args.len() {
            1 => (1, if int(args, 0) < 1 { -1 } else { 1 }, int(args, 0)),
            2 => (
                int(args, 0),
                if int(args, 1) < int(args, 0) { -1 } else { 1 },
                int(args, 1),
            ),
            3 => (int(args, 0), int(args, 1), int(args, 2)),
            _ => return Ok(Val::constant("")),
        };
        if args.len() == 3 && end < start && step > 0 {
            return Ok(Val::constant(""));
        }
        let last = end.wrapping_add(if end < start { -1 } else { 1 });
        let numbers = until_step(cx, start, last, step)?;
        let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        cx.text(texts.join(" "))
    }),
];

/// Go's `strconv.Atoi` without its error: the nearest end on overflow, else 0.
fn atoi(text: &[u8]) -> i64 {
    let Ok(text) = str::from_utf8(text) else {
        return 0;
    };
    match text.parse::<i64>() {
        Ok(int) => int,
        Err(error) => match error.kind() {
            std::num::IntErrorKind::PosOverflow => i64::MAX,
            std::num::IntErrorKind::NegOverflow => i64::MIN,
            _ => 0,
        },
    }
}

fn divide<'a>(args: &[Val<'a>], by: fn(i64, i64) -> i64) -> Answer<'a> {
    let divisor = to_int64(any(args, 1));
    if divisor == 0 {
        return Err(Fault::from("runtime error: integer divide by zero"));
    }
    Ok(Val::int64(by(to_int64(any(args, 0)), divisor)))
}

fn largest<'a>(args: &[Val<'a>]) -> Answer<'a> {
    Ok(Val::int64(args.iter().map(to_int64).max().unwrap_or(0)))
}

fn fold<'a>(args: &[Val<'a>], with: fn(f64, f64) -> f64) -> Answer<'a> {
    let first = to_float64(any(args, 0));
    Ok(Val::Float(
        rest(args, 1).iter().map(to_float64).fold(first, with),
    ))
}

/// Go's `math.Max`: NaN wins, and 0 is more than -0.
fn go_max(one: f64, other: f64) -> f64 {
    if one.is_infinite() && one > 0.0 || other.is_infinite() && other > 0.0 {
        return f64::INFINITY;
    }
    if one.is_nan() || other.is_nan() {
        return f64::NAN;
    }
    if one == 0.0 && other == 0.0 {
        return if one.is_sign_negative() { other } else { one };
    }
    if one > other { one } else { other }
}

#[expect(clippy::cast_precision_loss, reason = "as Go's float64 conversion")]
fn round(value: f64, places: i64, half: f64) -> f64 {
    let power = power_of_ten(places as f64);
    let digit = power * value;
    // Go's Modf keeps the sign, so that negative numbers round down.
    let rounded = if digit.fract() >= half {
        digit.ceil()
    } else {
        digit.floor()
    };
    rounded / power
}

/// Exact where a power of ten is exact.
#[expect(
    clippy::cast_possible_truncation,
    reason = "limited to the exponents of a float"
)]
fn power_of_ten(places: f64) -> f64 {
    let places = places.clamp(-400.0, 400.0) as i32;
    format!("1e{places}").parse().unwrap_or(f64::INFINITY)
}

fn decimals<'a>(
    first: f64,
    others: &[Val<'a>],
    with: fn(Decimal, &Decimal) -> Result<Decimal, Fault>,
) -> Answer<'a> {
    let mut value = Decimal::from_f64(first)?;
    for other in others {
        value = with(value, &Decimal::from_f64(to_float64(other))?)?;
        value.check_size()?;
    }
    Ok(Val::Float(value.to_f64()))
}

fn list<'a>(cx: &Cx<'a>, start: i64, stop: i64, step: i64) -> Answer<'a> {
    let numbers = until_step(cx, start, stop, step)?;
    cx.list(ListType::Int, numbers.into_iter().map(Val::int).collect())
}

/// The largest sequence: more would only serve to exhaust memory.
const MAX_LENGTH: i128 = 1_000_000;

fn until_step(cx: &Cx<'_>, start: i64, stop: i64, step: i64) -> Result<Vec<i64>, Fault> {
    let downward = stop < start;
    if step == 0 || downward != (step < 0) {
        return Ok(Vec::new());
    }
    let distance = (i128::from(stop) - i128::from(start)).abs();
    let size = i128::from(step).abs();
    let count = (distance + size - 1) / size;
    if count > MAX_LENGTH {
        return Err(Fault(format!("a sequence of {count} numbers is too long")));
    }
    let count = usize::try_from(count).unwrap_or(0);
    cx.charge(count * 8)?;
    cx.steps_taken(count as u64)?;
    let mut number = start;
    Ok((0..count)
        .map(|_| {
            let current = number;
            number = number.wrapping_add(step);
            current
        })
        .collect())
}
