//! Functions that take values: which one, and what it takes of the budget.
//! It never keeps anything between calls.

mod collections;
mod encodings;
mod library;
mod numbers;
mod texts;

use super::ast::Builtin;
use super::eval::{Evaluation, Result};
use super::value::{Helper, V};

/// Why a function has no answer, in words that complete its name.
pub(super) type Answer<'a> = std::result::Result<V<'a>, String>;

/// Calls a function.
pub(super) fn call<'a>(
    evaluation: &mut Evaluation<'a>,
    builtin: Builtin,
    arguments: Vec<V<'a>>,
    offset: usize,
) -> Result<'a> {
    for argument in &arguments {
        evaluation.read(argument)?;
    }
    let answer = match builtin {
        Builtin::Sort => return sort(evaluation, &arguments, offset),
        Builtin::Repeat => return repeat(evaluation, &arguments, offset),
        Builtin::Uniq => return uniq(evaluation, &arguments, offset),
        Builtin::Abs
        | Builtin::Ceil
        | Builtin::Floor
        | Builtin::Round
        | Builtin::Int
        | Builtin::Float
        | Builtin::Max
        | Builtin::Min
        | Builtin::Mean
        | Builtin::Median
        | Builtin::BitAnd
        | Builtin::BitOr
        | Builtin::BitXor
        | Builtin::BitNand
        | Builtin::BitShl
        | Builtin::BitShr
        | Builtin::BitUshr
        | Builtin::BitNot => numbers::call(builtin, &arguments),
        Builtin::Trim
        | Builtin::TrimPrefix
        | Builtin::TrimSuffix
        | Builtin::Upper
        | Builtin::Lower
        | Builtin::Split
        | Builtin::SplitAfter
        | Builtin::Replace
        | Builtin::Join
        | Builtin::IndexOf
        | Builtin::LastIndexOf
        | Builtin::HasPrefix
        | Builtin::HasSuffix
        | Builtin::String => texts::call(builtin, &arguments),
        Builtin::ToJson
        | Builtin::FromJson
        | Builtin::ToBase64
        | Builtin::FromBase64
        | Builtin::Now
        | Builtin::Duration
        | Builtin::Date
        | Builtin::Timezone => encodings::call(builtin, &arguments),
        _ => collections::call(builtin, &arguments),
    };
    match answer {
        Ok(value) => {
            if let V::Array(_) | V::Map(_) = &value {
                let made = value.len().unwrap_or_default();
                evaluation.grow(made)?;
                evaluation.step(value.weight() / 16)?;
            }
            evaluation.made(value)
        }
        Err(why) => evaluation.fail(format!("`{}` {why}", builtin.name()), offset),
    }
}

/// Calls a function of the environment.
pub(super) fn help<'a>(
    evaluation: &mut Evaluation<'a>,
    helper: Helper,
    arguments: &[V<'a>],
    offset: usize,
) -> Result<'a> {
    for argument in arguments {
        evaluation.read(argument)?;
    }
    let answer = match helper {
        Helper::AsInt => numbers::call(Builtin::Int, arguments),
        Helper::AsFloat => numbers::call(Builtin::Float, arguments),
        Helper::ToJson => encodings::compact_json(arguments),
        Helper::JsonPath => encodings::json_path(arguments),
        Helper::Sprig(function) => library::call(evaluation, function, arguments)?,
    };
    match answer {
        Ok(value) => evaluation.made(value),
        Err(why) => evaluation.fail(format!("the function {why}"), offset),
    }
}

/// The error for arguments that are too few, too many or of the wrong kind.
fn misfit<'a>(arguments: &[V<'a>]) -> Answer<'a> {
    let kinds: Vec<&str> = arguments.iter().take(6).map(V::type_name).collect();
    Err(format!("does not take ({})", kinds.join(", ")))
}

fn sort<'a>(evaluation: &mut Evaluation<'a>, arguments: &[V<'a>], offset: usize) -> Result<'a> {
    let (list, descending) = match arguments {
        [list] => (list, false),
        [list, order] => match order.as_text() {
            Some("asc") => (list, false),
            Some("desc") => (list, true),
            _ => return evaluation.fail("the order is neither \"asc\" nor \"desc\"", offset),
        },
        _ => return evaluation.fail("`sort` takes a list and an order", offset),
    };
    let items = match list {
        V::Array(_) => list.items().unwrap_or_default(),
        _ => Vec::new(),
    };
    let mut keyed: Vec<_> = items.into_iter().map(|item| (item.clone(), item)).collect();
    evaluation.sort(&mut keyed, descending, offset)?;
    evaluation.array(keyed.into_iter().map(|(_, item)| item).collect())
}

fn repeat<'a>(evaluation: &mut Evaluation<'a>, arguments: &[V<'a>], offset: usize) -> Result<'a> {
    let [text, count, ..] = arguments else {
        return evaluation.fail("`repeat` takes a text and a number", offset);
    };
    let (Some(text), Some(count)) = (text.as_text(), count.as_cut_int()) else {
        return evaluation.fail("`repeat` takes a text and a number", offset);
    };
    let Ok(count) = usize::try_from(count) else {
        return evaluation.fail("`repeat` takes a number that is not negative", offset);
    };
    // As in Go, the repeated text counts byte by byte.
    evaluation.grow(text.len().saturating_mul(count).max(count))?;
    evaluation.made(V::text(text.repeat(count)))
}

fn uniq<'a>(evaluation: &mut Evaluation<'a>, arguments: &[V<'a>], offset: usize) -> Result<'a> {
    let [list] = arguments else {
        return evaluation.fail("`uniq` takes one list", offset);
    };
    let Some(items) = list.items() else {
        return evaluation.fail(format!("`uniq` of {}", list.type_name()), offset);
    };
    let mut kept: Vec<V<'a>> = Vec::new();
    for item in items {
        evaluation.step(1 + kept.len() / 4)?;
        if !kept.iter().any(|known| super::ops::equal(&item, known)) {
            kept.push(item);
        }
    }
    evaluation.array(kept)
}
