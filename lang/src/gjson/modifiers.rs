//! The modifiers: `@reverse`, `@keys`, `@flatten` and the others that remake a whole result.
//! It never reads beyond the text that it is given, and everything written is paid from the budget.

use std::borrow::Cow;

use super::scan::{self, Item, Items};
use super::walk::{Budget, Hit, eval};
use super::{path, pretty, valid};

/// A modifier that gjson has built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modifier {
    Dig,
    Flatten,
    FromStr,
    Group,
    Join,
    Keys,
    Pretty,
    Reverse,
    This,
    ToStr,
    Ugly,
    Valid,
    Values,
}

impl Modifier {
    /// The modifier of this name, given without its `@`.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"dig" => Self::Dig,
            b"flatten" => Self::Flatten,
            b"fromstr" => Self::FromStr,
            b"group" => Self::Group,
            b"join" => Self::Join,
            b"keys" => Self::Keys,
            b"pretty" => Self::Pretty,
            b"reverse" => Self::Reverse,
            b"this" => Self::This,
            b"tostr" => Self::ToStr,
            b"ugly" => Self::Ugly,
            b"valid" => Self::Valid,
            b"values" => Self::Values,
            _ => return None,
        })
    }
}

/// Reads the modifier at the start of a path: itself, its argument, and what follows.
///
/// `None` for a name that is none, which is then a key.
pub(super) fn read(text: &[u8]) -> Option<(Modifier, &[u8], &[u8])> {
    let after = text.get(1..)?;
    let end = after
        .iter()
        .position(|byte| matches!(byte, b':' | b'.' | b'|'))
        .unwrap_or(after.len());
    let (name, rest) = after.split_at_checked(end)?;
    let modifier = Modifier::named(name)?;
    let Some(rest) = rest.strip_prefix(b":") else {
        return Some((modifier, b"", rest));
    };
    let (argument, rest) = rest.split_at_checked(argument_end(rest))?;
    Some((modifier, argument, rest))
}

/// A JSON argument ends with itself, any other at a pipe outside brackets and quotes.
fn argument_end(text: &[u8]) -> usize {
    if let Some(b'{' | b'[' | b'"') = text.first() {
        return path::group_end(text).unwrap_or(text.len());
    }
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'|' => return at,
            b'{' | b'[' | b'"' | b'(' => {
                let group = text.get(at..).unwrap_or_default();
                at += path::group_end(group).unwrap_or(group.len());
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// Applies the modifier at the start of a path; gives also what follows.
pub(super) fn apply<'a, 'p>(
    budget: &mut Budget,
    json: &'a [u8],
    text: &'p [u8],
) -> Option<(Cow<'a, [u8]>, &'p [u8])> {
    let (modifier, argument, rest) = read(text)?;
    let out = if budget.pay(json.len()) {
        run(budget, modifier, json, argument)
    } else {
        Cow::Borrowed(&b""[..])
    };
    Some((out, rest))
}

fn run<'a>(
    budget: &mut Budget,
    modifier: Modifier,
    json: &'a [u8],
    argument: &[u8],
) -> Cow<'a, [u8]> {
    match modifier {
        Modifier::This => Cow::Borrowed(json),
        Modifier::Valid if valid(json) => Cow::Borrowed(json),
        Modifier::Valid => Cow::Borrowed(b""),
        Modifier::Ugly => Cow::Owned(pretty::ugly(json)),
        Modifier::Pretty => Cow::Owned(pretty::pretty(budget, json, argument)),
        Modifier::Dig => dig(budget, json, argument),
        Modifier::ToStr => to_string(budget, json),
        Modifier::FromStr => from_string(json),
        Modifier::Keys => keys(json),
        Modifier::Values => values(json),
        Modifier::Reverse => reverse(json),
        Modifier::Flatten => flatten(budget, json, argument),
        Modifier::Join => join(json, argument),
        Modifier::Group => group(budget, json),
    }
}

/// The value that a text starts with, without the space before it.
fn root(json: &[u8]) -> Option<Hit<'_>> {
    Hit::read(Cow::Borrowed(json))
}

fn bracket(json: &[u8]) -> Option<u8> {
    json.iter().copied().find(|byte| *byte > b' ')
}

/// The members or elements of a text that may start with space.
fn items(json: &[u8]) -> Items<'_> {
    let start = json
        .iter()
        .position(|byte| *byte > b' ')
        .unwrap_or(json.len());
    Items::of(json.get(start..).unwrap_or_default())
}

/// Pieces with commas between brackets.
fn wrap<'a>(open: u8, close: u8, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = vec![open];
    for piece in pieces {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(piece);
    }
    out.push(close);
    out
}

/// An option of a modifier, from its JSON argument.
pub(super) fn option<'o>(argument: &'o [u8], name: &str) -> Option<Hit<'o>> {
    let mut budget = Budget::new(argument, name.as_bytes());
    eval(&mut budget, Cow::Borrowed(argument), name.as_bytes())
}

fn flag(argument: &[u8], name: &str) -> bool {
    option(argument, name).is_some_and(|hit| super::truthy(&hit))
}

fn dig<'a>(budget: &mut Budget, json: &'a [u8], path: &[u8]) -> Cow<'a, [u8]> {
    let mut found: Vec<Cow<'a, [u8]>> = Vec::new();
    let start = json
        .iter()
        .position(|byte| *byte > b' ')
        .unwrap_or(json.len());
    // Depth first, in the order of the document.
    let mut open: Vec<Items<'a>> = Vec::new();
    let mut here = Some(json.get(start..).unwrap_or_default());
    loop {
        if let Some(value) = here {
            // A path of its own is looked for in every value, so every value is read again.
            if !budget.pay(value.len()) {
                break;
            }
            if let Some(hit) = eval(budget, Cow::Borrowed(value), path) {
                if !budget.pay(hit.raw.len()) {
                    break;
                }
                found.push(hit.raw);
            }
            open.push(Items::of(value));
        }
        let Some(items) = open.last_mut() else { break };
        here = items.next().map(|item| item.value);
        if here.is_none() {
            open.pop();
        }
    }
    Cow::Owned(wrap(b'[', b']', found.iter().map(AsRef::as_ref)))
}

fn to_string<'a>(budget: &mut Budget, json: &[u8]) -> Cow<'a, [u8]> {
    let mut out = Vec::with_capacity(json.len() + 2);
    scan::write_string(json, &mut out);
    // Quotes double with every round, so the rounds are paid by what they write.
    if budget.pay(out.len().saturating_mul(4)) {
        Cow::Owned(out)
    } else {
        Cow::Borrowed(b"")
    }
}

fn from_string(json: &[u8]) -> Cow<'_, [u8]> {
    match root(json) {
        Some(hit) if valid(json) => match hit.raw {
            Cow::Borrowed(raw) => super::text_of(hit.kind, raw),
            Cow::Owned(raw) => Cow::Owned(raw),
        },
        _ => Cow::Borrowed(b""),
    }
}

fn keys<'a>(json: &[u8]) -> Cow<'a, [u8]> {
    Cow::Owned(match bracket(json) {
        Some(b'{' | b'[') => wrap(
            b'[',
            b']',
            items(json).map(|item| item.key.unwrap_or(b"null")),
        ),
        _ if root(json).is_some() => b"[null]".to_vec(),
        _ => b"[]".to_vec(),
    })
}

fn values(json: &[u8]) -> Cow<'_, [u8]> {
    match (bracket(json), root(json)) {
        (Some(b'['), _) => Cow::Borrowed(json),
        (Some(b'{'), _) => Cow::Owned(wrap(b'[', b']', items(json).map(|item| item.value))),
        (_, Some(hit)) => Cow::Owned(wrap(b'[', b']', std::iter::once(hit.raw.as_ref()))),
        _ => Cow::Borrowed(b"[]"),
    }
}

fn reverse(json: &[u8]) -> Cow<'_, [u8]> {
    let mut all: Vec<Item<'_>> = items(json).collect();
    all.reverse();
    match bracket(json) {
        Some(b'[') => Cow::Owned(wrap(b'[', b']', all.iter().map(|item| item.value))),
        Some(b'{') => Cow::Owned(members(
            all.iter()
                .map(|item| (item.key.unwrap_or_default(), item.value)),
        )),
        _ => Cow::Borrowed(json),
    }
}

fn members<'a>(pairs: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (key, value) in pairs {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

fn flatten<'a>(budget: &mut Budget, json: &'a [u8], argument: &[u8]) -> Cow<'a, [u8]> {
    if bracket(json) != Some(b'[') {
        return Cow::Borrowed(json);
    }
    let deep = flag(argument, "deep");
    let mut pieces: Vec<&[u8]> = Vec::new();
    let mut open = vec![items(json)];
    while let Some(level) = open.last_mut() {
        match level.next() {
            None => {
                open.pop();
            }
            Some(item) if item.value.first() == Some(&b'[') && deep => {
                // Each level is read again to find its end.
                if !budget.pay(item.value.len()) {
                    return Cow::Borrowed(b"");
                }
                open.push(Items::of(item.value));
            }
            Some(item) if item.value.first() == Some(&b'[') => {
                let inside = item
                    .value
                    .strip_prefix(b"[")
                    .and_then(|text| text.strip_suffix(b"]"));
                let inside = inside.unwrap_or_default().trim_ascii();
                if !inside.is_empty() {
                    pieces.push(inside);
                }
            }
            Some(item) => pieces.push(item.value),
        }
    }
    Cow::Owned(wrap(b'[', b']', pieces.into_iter()))
}

fn join<'a>(json: &'a [u8], argument: &[u8]) -> Cow<'a, [u8]> {
    if bracket(json) != Some(b'[') {
        return Cow::Borrowed(json);
    }
    let objects = || items(json).filter(|item| item.value.first() == Some(&b'{'));
    if flag(argument, "preserve") {
        let inside = objects().filter_map(|item| item.value.strip_prefix(b"{")?.strip_suffix(b"}"));
        let inside = inside.filter(|members| members.iter().any(|byte| *byte > b' '));
        return Cow::Owned(wrap(b'{', b'}', inside));
    }
    let pairs = objects().flat_map(|item| Items::of(item.value));
    let pairs = pairs.filter_map(|item| Some((item.key?, item.value)));
    // The first place and the last value of each key.
    let mut order: Vec<(&[u8], &[u8])> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (key, value) in pairs {
        let place = *places.entry(super::decode(key)).or_insert(order.len());
        match order.get_mut(place) {
            Some(slot) => slot.1 = value,
            None => order.push((key, value)),
        }
    }
    Cow::Owned(members(order.into_iter()))
}

fn group<'a>(budget: &mut Budget, json: &[u8]) -> Cow<'a, [u8]> {
    if bracket(json) != Some(b'{') {
        return Cow::Borrowed(b"");
    }
    let mut rows: Vec<Vec<u8>> = Vec::new();
    for item in items(json).filter(|item| item.value.first() == Some(&b'[')) {
        for (place, element) in Items::of(item.value).enumerate() {
            if !budget.pay(item.key.map_or(0, <[u8]>::len) + 2) {
                return Cow::Borrowed(b"");
            }
            if place == rows.len() {
                rows.push(Vec::new());
            }
            let Some(row) = rows.get_mut(place) else {
                break;
            };
            row.push(if row.is_empty() { b'{' } else { b',' });
            row.extend_from_slice(item.key.unwrap_or_default());
            row.push(b':');
            row.extend_from_slice(element.value);
        }
    }
    for row in &mut rows {
        row.push(b'}');
    }
    Cow::Owned(wrap(b'[', b']', rows.iter().map(Vec::as_slice)))
}
