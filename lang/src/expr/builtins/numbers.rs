//! Functions on numbers.
//! It never overflows: integers wrap as in Go.

use super::super::ast::{Builtin, Comparison};
use super::super::ops;
use super::super::value::{V, cut};
use super::{Answer, misfit};

/// The deepest lists that are looked into.
const MAX_DEPTH: usize = 600;

pub(super) fn call<'a>(builtin: Builtin, arguments: &[V<'a>]) -> Answer<'a> {
    match builtin {
        Builtin::Max | Builtin::Min => extreme(builtin, arguments),
        Builtin::Mean | Builtin::Median => {
            let mut floats = Vec::new();
            for argument in arguments {
                if !collect(argument, &mut floats, 0) {
                    return misfit(arguments);
                }
            }
            Ok(V::Float(if builtin == Builtin::Mean {
                mean(&floats)
            } else {
                median(floats)
            }))
        }
        Builtin::BitNot => match arguments {
            [value] => value
                .as_whole()
                .map(|int| V::Int(!int))
                .map_or_else(|| misfit(arguments), Ok),
            _ => misfit(arguments),
        },
        Builtin::BitAnd
        | Builtin::BitOr
        | Builtin::BitXor
        | Builtin::BitNand
        | Builtin::BitShl
        | Builtin::BitShr
        | Builtin::BitUshr => match arguments {
            [a, b] => match (a.as_whole(), b.as_whole()) {
                (Some(a), Some(b)) => bits(builtin, a, b),
                _ => misfit(arguments),
            },
            _ => misfit(arguments),
        },
        // Go's library looks at the last argument only.
        _ => match arguments.last() {
            Some(value) => single(builtin, value).map_or_else(|| misfit(arguments), Ok),
            None => misfit(arguments),
        },
    }
}

fn single<'a>(builtin: Builtin, value: &V<'a>) -> Option<V<'a>> {
    match builtin {
        Builtin::Abs => match value {
            V::Int(int) => Some(V::Int(int.wrapping_abs())),
            _ => value.as_float().map(|float| V::Float(float.abs())),
        },
        Builtin::Ceil => value.as_float().map(|float| V::Float(float.ceil())),
        Builtin::Floor => value.as_float().map(|float| V::Float(float.floor())),
        Builtin::Round => value.as_float().map(|float| V::Float(float.round())),
        Builtin::Int => match value {
            V::Text(text) => text.as_str().parse().ok().map(V::Int),
            V::Duration(nanos) => Some(V::Int(*nanos)),
            V::Month(number) | V::Weekday(number) => Some(V::Int((*number).into())),
            V::Number(number) if number.as_i64().is_some() => number.as_i64().map(V::Int),
            V::Int(int) => Some(V::Int(*int)),
            _ => value.as_float().map(|float| V::Int(cut(float))),
        },
        _ => match value {
            V::Text(text) => float(text.as_str()),
            _ => value.as_float().map(V::Float),
        },
    }
}

fn float<'a>(text: &str) -> Option<V<'a>> {
    let float: f64 = text.parse().ok()?;
    // Digits that make an infinity are out of range; the word is fine.
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    (float.is_finite() || !digits).then_some(V::Float(float))
}

fn bits<'a>(builtin: Builtin, a: i64, b: i64) -> Answer<'a> {
    let places = || u32::try_from(b).map_err(|_| "does not shift by a negative number".to_owned());
    let wide = |b: u32| b.min(64);
    Ok(V::Int(match builtin {
        Builtin::BitAnd => a & b,
        Builtin::BitOr => a | b,
        Builtin::BitXor => a ^ b,
        Builtin::BitNand => a & !b,
        _ if b > i64::from(u32::MAX) => {
            if builtin == Builtin::BitShr && a < 0 {
                -1
            } else {
                0
            }
        }
        Builtin::BitShl => a.checked_shl(wide(places()?)).unwrap_or_default(),
        Builtin::BitShr => a >> places()?.min(63),
        _ => a
            .cast_unsigned()
            .checked_shr(wide(places()?))
            .unwrap_or_default()
            .cast_signed(),
    }))
}

/// The largest or smallest number of all arguments, lists looked into.
fn extreme<'a>(builtin: Builtin, arguments: &[V<'a>]) -> Answer<'a> {
    let mut best: Option<V<'a>> = None;
    for argument in arguments {
        let number = argument.as_float().is_some();
        if !number && !matches!(argument, V::Array(_) | V::Bytes(_)) {
            return if arguments.len() == 1 {
                Ok(argument.clone())
            } else {
                misfit(arguments)
            };
        }
        if !extreme_of(builtin, argument, &mut best, 0) {
            return misfit(arguments);
        }
    }
    Ok(best.unwrap_or(V::Nil))
}

fn extreme_of<'a>(builtin: Builtin, value: &V<'a>, best: &mut Option<V<'a>>, depth: usize) -> bool {
    if let Some(items) = value.items() {
        return depth < MAX_DEPTH
            && items
                .iter()
                .all(|item| extreme_of(builtin, item, best, depth + 1));
    }
    if value.as_float().is_none() {
        return false;
    }
    let wanted = if builtin == Builtin::Max {
        Comparison::Less
    } else {
        Comparison::Greater
    };
    let better = best
        .as_ref()
        .is_none_or(|best| ops::compare(best, wanted, value) == Some(true));
    if better {
        *best = Some(value.clone());
    }
    true
}

/// All numbers of nested lists; `false` when something else is among them.
fn collect(value: &V<'_>, floats: &mut Vec<f64>, depth: usize) -> bool {
    if let Some(items) = value.items() {
        return depth < MAX_DEPTH && items.iter().all(|item| collect(item, floats, depth + 1));
    }
    match value.as_float() {
        Some(float) => floats.push(float),
        None => return false,
    }
    true
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are fewer elements than a float counts"
)]
fn mean(floats: &[f64]) -> f64 {
    if floats.is_empty() {
        0.0
    } else {
        floats.iter().sum::<f64>() / floats.len() as f64
    }
}

fn median(mut floats: Vec<f64>) -> f64 {
    floats.sort_by(f64::total_cmp);
    let middle = floats.len() / 2;
    let at = |index: usize| floats.get(index).copied().unwrap_or_default();
    match floats.len() {
        0 => 0.0,
        length if length % 2 == 1 => at(middle),
        _ => f64::midpoint(at(middle - 1), at(middle)),
    }
}
