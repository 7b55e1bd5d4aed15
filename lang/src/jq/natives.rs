//! Functions of the engine's library that are replaced, and those that ask the budget.
//! It never offers input, environment, halting or logging.

use jaq_core::box_iter::box_once;
use jaq_core::native::{Fun, bome, v};
use jaq_core::{Cv, DataT, Exn, Native, RunPtr, ValXs};
use jaq_json::{Error, Num, Val};

use super::bounded::Bounded;
use super::budget::Budget;
use super::{convert, paths};
use crate::json;

/// The longest text that a product of text and number makes.
const MAX_REPEAT: usize = 16 << 20;

/// The most digits of a whole number, in bits, before it becomes a float.
const MAX_BITS: u64 = 4096;

/// Native functions that reach out of the filter, or that are replaced.
const WITHHELD: [&str; 12] = [
    "halt",
    "env",
    "debug_empty",
    "stderr_empty",
    "input",
    "inputs",
    "input_filename",
    "range",
    "fromjson",
    "tojson",
    "localtime",
    "strflocaltime",
];

/// All native functions of a filter.
pub(super) fn all() -> impl Iterator<Item = Fun<Bounded>> {
    let library = jaq_core::funs::<Bounded>()
        .chain(jaq_std::funs::<Bounded>())
        .chain(jaq_json::funs::<Bounded>());
    library
        .filter(|(name, ..)| !WITHHELD.contains(name))
        .chain(own())
}

fn own() -> impl Iterator<Item = Fun<Bounded>> {
    let simple: [(&'static str, usize, RunPtr<Bounded>); 15] = [
        ("__measure", 0, measure),
        ("__add", 2, add),
        ("__sub", 2, |cv| arithmetic(cv, |left, right| left - right)),
        ("__mul", 2, multiply),
        ("__div", 2, |cv| arithmetic(cv, divide)),
        ("__rem", 2, |cv| arithmetic(cv, remainder)),
        ("nan", 0, |_| box_once(Ok(Val::from(f64::NAN)))),
        ("infinite", 0, |_| box_once(Ok(Val::from(f64::INFINITY)))),
        ("range", 3, range),
        ("fromjson", 0, |cv| bome(from_json(&cv.1))),
        ("tojson", 0, to_json),
        ("__getpath", 1, |mut cv| {
            let path = cv.0.pop_var();
            bome(paths::keys(&path).and_then(|path| paths::get(cv.1, &path)))
        }),
        ("__setpath", 2, |mut cv| {
            let new = cv.0.pop_var();
            let path = cv.0.pop_var();
            bome(paths::keys(&path).and_then(|path| paths::set(cv.1, &path, new)))
        }),
        ("__delpath", 1, |mut cv| {
            let path = cv.0.pop_var();
            bome(paths::keys(&path).and_then(|path| paths::delete(cv.1, &path)))
        }),
        ("__sorted", 0, |cv| {
            let mut value = cv.1;
            convert::sort_keys(&mut value);
            box_once(Ok(value))
        }),
    ];
    let ticks = [
        ("__tick", v(0), watch::<false>()),
        ("__made", v(0), watch::<true>()),
    ];
    let simple = simple
        .into_iter()
        .map(|(name, arity, run)| (name, v(arity), Native::<Bounded>::new(run)));
    simple.chain(ticks)
}

type V<'a> = <Bounded as DataT>::V<'a>;

/// The identity that takes a step; where values are kept, `MADE`, their whole text counts.
fn watch<const MADE: bool>() -> Native<Bounded> {
    fn look<const MADE: bool>(budget: &Budget, value: &Val) -> Result<(), Error> {
        if MADE {
            budget.made(value)
        } else {
            budget.tick(value)
        }
    }
    Native::<Bounded>::new(|cv| {
        bome(look::<MADE>(cv.0.data().budget, &cv.1).map(|()| convert::whole(cv.1)))
    })
    .with_paths(|cv: Cv<'_, Bounded, _>| {
        let (value, path): (Val, _) = cv.1;
        match look::<MADE>(cv.0.data().budget, &value) {
            Ok(()) => box_once(Ok((value, path))),
            Err(error) => box_once(Err(Exn::from(error))),
        }
    })
    .with_update(|cv, update| match look::<MADE>(cv.0.data().budget, &cv.1) {
        Ok(()) => update(cv.1),
        Err(error) => box_once(Err(Exn::from(error))),
    })
}

fn measure<'a>(cv: Cv<'a, Bounded>) -> ValXs<'a, V<'a>> {
    let mut value = cv.1;
    let budget = cv.0.data().budget;
    bome(
        budget
            .step(1)
            .and_then(|()| budget.measure(&value))
            .map(|()| {
                convert::sort_keys(&mut value);
                value
            }),
    )
}

fn operands<'a>(cv: &mut Cv<'a, Bounded>) -> Result<(Val, Val), Error> {
    let right = cv.0.pop_var();
    let left = cv.0.pop_var();
    cv.0.data().budget.step(1)?;
    Ok((left, right))
}

fn arithmetic<'a>(
    mut cv: Cv<'a, Bounded>,
    operation: fn(Val, Val) -> Result<Val, Error>,
) -> ValXs<'a, V<'a>> {
    bome(
        operands(&mut cv)
            .and_then(|(left, right)| operation(left, right))
            .map(small),
    )
}

/// A result without `.0`, and as a float where its digits grow without end.
fn small(value: Val) -> Val {
    match value {
        Val::Num(Num::BigInt(int)) if int.bits() > MAX_BITS => {
            let negative = int.to_string().starts_with('-');
            Val::Num(Num::Float(if negative {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            }))
        }
        other => convert::whole(other),
    }
}

fn add<'a>(mut cv: Cv<'a, Bounded>) -> ValXs<'a, V<'a>> {
    bome(operands(&mut cv).and_then(|(left, right)| {
        let budget = cv.0.data().budget;
        match (&left, &right) {
            (Val::TStr(a), Val::TStr(b)) => budget.text(a.len() + b.len())?,
            // Adding to an array costs what is added: the left one is changed in place.
            (Val::Arr(_), Val::Arr(b)) => budget.step(b.len() as u64 / 4)?,
            (Val::Obj(_), Val::Obj(b)) => budget.step(b.len() as u64)?,
            _ => {}
        }
        let mut sum = small((left + right)?);
        if let Val::Obj(map) = &sum
            && !map.keys().is_sorted()
        {
            convert::sort_keys(&mut sum);
        }
        if let Val::Arr(items) = &sum
            && items.len() > 1_000_000
        {
            return Err(budget.refuse("large values"));
        }
        Ok(sum)
    }))
}

fn multiply<'a>(mut cv: Cv<'a, Bounded>) -> ValXs<'a, V<'a>> {
    bome(operands(&mut cv).and_then(|(left, right)| {
        let budget = cv.0.data().budget;
        match (&left, &right) {
            (Val::TStr(text), Val::Num(number)) | (Val::Num(number), Val::TStr(text)) => {
                let Some(count) = repetitions(number) else {
                    return Ok(Val::Null);
                };
                let size = text.len().saturating_mul(count);
                if size > MAX_REPEAT {
                    return Err(budget.refuse("much text"));
                }
                budget.text(size)?;
                Ok(Val::utf8_str(text.repeat(count)))
            }
            (Val::Obj(_), Val::Obj(_)) => {
                let mut merged = (left * right)?;
                budget.measure(&merged)?;
                convert::sort_keys(&mut merged);
                Ok(merged)
            }
            _ => Ok(small((left * right)?)),
        }
    }))
}

/// How often a text is repeated; nothing for less than zero.
fn repetitions(number: &Num) -> Option<usize> {
    let float = match number {
        Num::Dec(text) => text.parse().unwrap_or(f64::NAN),
        Num::Float(float) => *float,
        #[expect(
            clippy::cast_precision_loss,
            reason = "what is that large is refused anyway"
        )]
        _ => number.as_isize().map_or(f64::INFINITY, |int| int as f64),
    };
    if float.is_nan() || float < 0.0 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what does not fit is refused as too large"
    )]
    #[expect(clippy::cast_sign_loss, reason = "it is not negative")]
    let count = float as usize;
    Some(count)
}

fn is_zero(value: &Val) -> bool {
    matches!(value, Val::Num(_)) && value == &Val::from(0_isize)
}

fn divide(left: Val, right: Val) -> Result<Val, Error> {
    if matches!(left, Val::Num(_)) && is_zero(&right) {
        return Err(Error::str(format_args!("cannot divide {left} by zero")));
    }
    left / right
}

fn remainder(left: Val, right: Val) -> Result<Val, Error> {
    // The reference cuts both to whole numbers first.
    let cut = |value: Val| match value {
        #[expect(clippy::cast_possible_truncation, reason = "cutting is the rule")]
        Val::Num(Num::Float(float)) if float.is_finite() => Val::from(float as isize),
        Val::Num(Num::Dec(text)) => {
            #[expect(clippy::cast_possible_truncation, reason = "cutting is the rule")]
            let int = text.parse::<f64>().unwrap_or_default() as isize;
            Val::from(int)
        }
        other => other,
    };
    let (left, right) = (cut(left), cut(right));
    if matches!(left, Val::Num(_)) && is_zero(&right) {
        return Err(Error::str(format_args!("cannot divide {left} by zero")));
    }
    left % right
}

fn range<'a>(mut cv: Cv<'a, Bounded>) -> ValXs<'a, V<'a>> {
    let by = cv.0.pop_var();
    let to = cv.0.pop_var();
    let from = cv.0.pop_var();
    let budget = cv.0.data().budget;
    let zero = Val::from(0_isize);
    let upwards = by > zero;
    if by == zero
        || [&from, &to, &by]
            .iter()
            .any(|bound| !matches!(bound, Val::Num(_)))
    {
        let number = [from, to, by]
            .into_iter()
            .find(|bound| !matches!(bound, Val::Num(_)));
        return match number {
            Some(other) => box_once(Err(Exn::from(Error::typ(other, "number")))),
            None => Box::new(std::iter::empty()),
        };
    }
    let mut next = Some(convert::whole(from));
    Box::new(std::iter::from_fn(move || {
        let value = next
            .take()
            .filter(|value| if upwards { *value < to } else { *value > to })?;
        if let Err(error) = budget.step(1) {
            return Some(Err(Exn::from(error)));
        }
        next = (value.clone() + by.clone()).ok().map(convert::whole);
        Some(Ok(value))
    }))
}

fn from_json(value: &Val) -> Result<Val, Error> {
    let Val::TStr(text) = value else {
        return Err(Error::typ(value.clone(), "string"));
    };
    match json::parse(text) {
        Ok(value) => Ok(convert::to_engine(&value)),
        Err(error) => Err(Error::str(format_args!("cannot parse as JSON: {error}"))),
    }
}

fn to_json<'a>(cv: Cv<'a, Bounded>) -> ValXs<'a, V<'a>> {
    let budget = cv.0.data().budget;
    bome(budget.measure(&cv.1).and_then(|()| {
        let text = convert::to_text(&cv.1).map_err(Error::str)?;
        budget.text(text.len())?;
        Ok(Val::utf8_str(text))
    }))
}
