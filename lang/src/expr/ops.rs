//! Operators on two values: equality, order, arithmetic, membership.
//! It never converts in silence: what Go's library refuses has no answer here.

use std::cmp::Ordering;

use super::ast::{Comparison, Operator};
use super::times;
use super::value::{Entries, V};
use crate::value::Number;

/// Equality; numbers by value, whole ones exactly.
pub(super) fn equal(a: &V<'_>, b: &V<'_>) -> bool {
    match (a, b) {
        (V::Nil, V::Nil) => true,
        (V::Bool(a), V::Bool(b)) => a == b,
        (V::Text(a), V::Text(b)) => a.as_str() == b.as_str(),
        (V::Bytes(a), V::Bytes(b)) => a == b,
        (V::Time(a), V::Time(b)) => a.timestamp() == b.timestamp(),
        (V::Duration(a), V::Duration(b)) => a == b,
        (V::Month(a), V::Month(b)) | (V::Weekday(a), V::Weekday(b)) => a == b,
        (V::Function(a), V::Function(b)) => a == b,
        (V::Array(left), V::Array(right)) => {
            left.len() == right.len()
                && (0..left.len()).all(|at| match (a.item(at), b.item(at)) {
                    (Some(a), Some(b)) => equal(&a, &b),
                    _ => false,
                })
        }
        (V::Map(Entries::Json(a)), V::Map(Entries::Json(b))) if std::ptr::eq(*a, *b) => true,
        (V::Map(_), V::Map(_)) => match (a.pairs(), b.pairs()) {
            (Some(a), Some(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(&b)
                        .all(|(a, b)| equal(&a.0, &b.0) && equal(&a.1, &b.1))
            }
            _ => false,
        },
        _ => compare_numbers(a, b) == Some(Ordering::Equal),
    }
}

/// Whole numbers are compared by their digits, others as floats.
fn compare_numbers(a: &V<'_>, b: &V<'_>) -> Option<Ordering> {
    let wide = |value: &V<'_>| match value {
        V::Int(int) => Some(i128::from(*int)),
        V::Number(number) => digits(number),
        _ => None,
    };
    match (wide(a), wide(b)) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_float()?.partial_cmp(&b.as_float()?),
    }
}

fn digits(number: &Number) -> Option<i128> {
    match number.as_i64() {
        Some(int) => Some(int.into()),
        None if number.is_integer_text() => number.to_string().parse().ok(),
        None => None,
    }
}

/// Order; the outer `None` is for values that have none, the inner one for not-a-number.
pub(super) fn order(a: &V<'_>, b: &V<'_>) -> Option<Option<Ordering>> {
    match (a, b) {
        (V::Text(a), V::Text(b)) => Some(Some(a.as_str().cmp(b.as_str()))),
        (V::Time(a), V::Time(b)) => Some(Some(a.timestamp().cmp(&b.timestamp()))),
        (V::Duration(a), V::Duration(b)) => Some(Some(a.cmp(b))),
        _ => {
            a.as_float()?;
            b.as_float()?;
            Some(compare_numbers(a, b))
        }
    }
}

/// An order without gaps for values that [`order`] knows, as sorting needs it.
pub(super) fn total_order(a: &V<'_>, b: &V<'_>) -> Ordering {
    let exact = |value: &V<'_>| match value {
        V::Int(int) => i128::from(*int),
        V::Number(number) => digits(number).unwrap_or_default(),
        _ => value
            .as_float()
            .map_or(0, |float| i128::from(super::value::cut(float))),
    };
    match (a.as_float(), b.as_float()) {
        (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| exact(a).cmp(&exact(b))),
        _ => order(a, b).flatten().unwrap_or(Ordering::Equal),
    }
}

pub(super) fn compare(a: &V<'_>, comparison: Comparison, b: &V<'_>) -> Option<bool> {
    let order = order(a, b)?;
    Some(match comparison {
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    })
}

/// `+ - * / %`; `None` where the kinds do not fit.
pub(super) fn arithmetic<'a>(a: &V<'a>, operator: Operator, b: &V<'a>) -> Option<V<'a>> {
    match (operator, a, b) {
        (Operator::Add, V::Text(a), V::Text(b)) => Some(V::text([a.as_str(), b.as_str()].concat())),
        (Operator::Add, V::Time(time), V::Duration(nanos))
        | (Operator::Add, V::Duration(nanos), V::Time(time)) => {
            times::add(time, *nanos).map(|time| V::Time(time.into()))
        }
        (Operator::Add, V::Duration(a), V::Duration(b)) => Some(V::Duration(a.wrapping_add(*b))),
        (Operator::Subtract, V::Time(a), V::Time(b)) => Some(V::Duration(times::between(a, b))),
        (Operator::Subtract, V::Time(time), V::Duration(nanos)) => {
            times::add(time, nanos.checked_neg()?).map(|time| V::Time(time.into()))
        }
        (Operator::Subtract, V::Duration(a), V::Duration(b)) => {
            Some(V::Duration(a.wrapping_sub(*b)))
        }
        (Operator::Multiply, V::Duration(a), V::Duration(b) | V::Int(b))
        | (Operator::Multiply, V::Int(a), V::Duration(b)) => Some(V::Duration(a.wrapping_mul(*b))),
        #[expect(
            clippy::cast_precision_loss,
            reason = "a duration times a float is a float"
        )]
        (Operator::Multiply, V::Duration(nanos), other)
        | (Operator::Multiply, other, V::Duration(nanos)) => {
            Some(V::Float(*nanos as f64 * other.as_float()?))
        }
        (Operator::Modulo, ..) => {
            let (a, b) = (a.as_whole()?, b.as_whole()?);
            if b == 0 {
                None
            } else {
                Some(V::Int(a.wrapping_rem(b)))
            }
        }
        (Operator::Add, V::Int(a), V::Int(b)) => Some(V::Int(a.wrapping_add(*b))),
        (Operator::Subtract, V::Int(a), V::Int(b)) => Some(V::Int(a.wrapping_sub(*b))),
        (Operator::Multiply, V::Int(a), V::Int(b)) => Some(V::Int(a.wrapping_mul(*b))),
        _ => {
            let (a, b) = (a.as_float()?, b.as_float()?);
            Some(V::Float(match operator {
                Operator::Add => a + b,
                Operator::Subtract => a - b,
                Operator::Multiply => a * b,
                Operator::Divide => a / b,
                _ => return None,
            }))
        }
    }
}

/// `needle in haystack`; `None` where the kinds do not fit.
pub(super) fn is_in(needle: &V<'_>, haystack: &V<'_>) -> Option<bool> {
    match haystack {
        V::Nil => Some(false),
        V::Array(array) => Some(
            (0..array.len()).any(|at| haystack.item(at).is_some_and(|item| equal(&item, needle))),
        ),
        V::Bytes(_) => haystack
            .items()
            .map(|items| items.iter().any(|item| equal(item, needle))),
        V::Map(_) => haystack.member(needle).map(|member| member.is_some()),
        _ => None,
    }
}
