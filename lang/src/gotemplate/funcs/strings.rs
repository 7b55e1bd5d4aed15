//! Sprig's text functions.
//! It never makes a text longer than the memory that is left.

use super::{Function, any, bytes, function, int, list, strslice, strval, variadic};
use crate::go::quote;
use crate::gotemplate::call::Param::{Any, Int, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::printf;
use crate::gotemplate::value::{Text, Val};
use std::collections::BTreeMap;

pub(super) const TABLE: &[Function] = &[
    function("hello", &[], |_, _| Ok(Val::constant("Hello!"))),
    function("trim", &[Str], |cx, args| {
        cx.text(trim_space(bytes(args, 0)))
    }),
    function("upper", &[Str], |cx, args| {
        cx.text(change(bytes(args, 0), quote::upper))
    }),
    function("lower", &[Str], |cx, args| {
        cx.text(change(bytes(args, 0), quote::lower))
    }),
    function("trunc", &[Int, Str], trunc),
    function("substr", &[Int, Int, Str], substr),
    function("repeat", &[Int, Str], repeat),
    function("trimall", &[Str, Str], |cx, args| {
        cx.text(trim_all(bytes(args, 1), bytes(args, 0)))
    }),
    function("trimAll", &[Str, Str], |cx, args| {
        cx.text(trim_all(bytes(args, 1), bytes(args, 0)))
    }),
    function("trimSuffix", &[Str, Str], |cx, args| {
        let text = bytes(args, 1);
        cx.text(text.strip_suffix(bytes(args, 0)).unwrap_or(text))
    }),
    function("trimPrefix", &[Str, Str], |cx, args| {
        let text = bytes(args, 1);
        cx.text(text.strip_prefix(bytes(args, 0)).unwrap_or(text))
    }),
    function("contains", &[Str, Str], |_, args| {
        Ok(Val::Bool(find(bytes(args, 1), bytes(args, 0)).is_some()))
    }),
    function("hasPrefix", &[Str, Str], |_, args| {
        Ok(Val::Bool(bytes(args, 1).starts_with(bytes(args, 0))))
    }),
    function("hasSuffix", &[Str, Str], |_, args| {
        Ok(Val::Bool(bytes(args, 1).ends_with(bytes(args, 0))))
    }),
    variadic("quote", &[], Any, quoted),
    variadic("squote", &[], Any, squoted),
    variadic("cat", &[], Any, cat),
    function("indent", &[Int, Str], |cx, args| {
        let text = indented(cx, int(args, 0), bytes(args, 1))?;
        cx.text(text)
    }),
    function("nindent", &[Int, Str], |cx, args| {
        let mut out = vec![b'\n'];
        out.extend(indented(cx, int(args, 0), bytes(args, 1))?);
        cx.text(out)
    }),
    function("replace", &[Str, Str, Str], |cx, args| {
        let text = replaced(cx, bytes(args, 2), bytes(args, 0), bytes(args, 1))?;
        cx.text(text)
    }),
    function("plural", &[Str, Str, Int], |_, args| {
        Ok(any(args, usize::from(int(args, 2) != 1)).clone())
    }),
    function("toString", &[Any], |cx, args| match any(args, 0) {
        text @ Val::Str(_) => Ok(text.clone()),
        other => cx.text(strval(cx, other)?),
    }),
    function("toStrings", &[Any], |cx, args| {
        let list = strslice(cx, any(args, 0))?;
        cx.strings(list)
    }),
    function("split", &[Str, Str], |cx, args| {
        numbered(cx, bytes(args, 1), bytes(args, 0), -1)
    }),
    function("splitn", &[Str, Int, Str], |cx, args| {
        numbered(cx, bytes(args, 2), bytes(args, 0), int(args, 1))
    }),
    function("splitList", &[Str, Str], |cx, args| {
        charge_parts(cx, bytes(args, 1), bytes(args, 0))?;
        cx.strings(split(bytes(args, 1), bytes(args, 0), -1))
    }),
    function("join", &[Str, Any], |cx, args| {
        let parts = strslice(cx, any(args, 1))?;
        let separator = bytes(args, 0);
        let length = parts
            .iter()
            .map(|part| part.len() + separator.len())
            .sum::<usize>();
        cx.charge(length)?;
        cx.text(parts.join(separator))
    }),
    function("sortAlpha", &[Any], |cx, args| match any(args, 0) {
        Val::List(_) => {
            let mut parts = strslice(cx, any(args, 0))?;
            cx.steps_taken(parts.len() as u64)?;
            parts.sort();
            cx.strings(parts)
        }
        Val::Missing | Val::Nil => cx.strings(vec![b"<nil>".to_vec()]),
        other => cx.strings(vec![strval(cx, other)?]),
    }),
    variadic("concat", &[], Any, |cx, args| {
        let mut out = Vec::new();
        for index in 0..args.len() {
            match any(args, index) {
                Val::List(list) => {
                    cx.steps_taken(list.len() as u64)?;
                    out.extend(list.iter());
                }
                Val::Missing | Val::Nil => {
                    list(args, index, "")?;
                }
                other => {
                    let kind = other.kind_name();
                    return Err(Fault(format!("Cannot concat type {kind} as list")));
                }
            }
        }
        if out.is_empty() {
            return Ok(Cx::nil_list(crate::gotemplate::value::ListType::Any));
        }
        cx.list(crate::gotemplate::value::ListType::Any, out)
    }),
];

fn change(text: &[u8], with: fn(char) -> char) -> Vec<u8> {
    quote::map(text, with)
}

/// Go's `strings.TrimSpace`.
pub(super) fn trim_space(text: &[u8]) -> &[u8] {
    let space = |char: Option<char>| char.is_some_and(quote::is_space);
    trim(text, space)
}

fn trim(text: &[u8], cut: impl Fn(Option<char>) -> bool) -> &[u8] {
    let start: usize = quote::chars(text)
        .take_while(|(char, _)| cut(*char))
        .map(|(_, raw)| raw.len())
        .sum();
    let rest = text.get(start..).unwrap_or_default();
    let mut end = 0;
    let mut at = 0;
    for (char, raw) in quote::chars(rest) {
        at += raw.len();
        if !cut(char) {
            end = at;
        }
    }
    rest.get(..end).unwrap_or_default()
}

fn trim_all<'t>(text: &'t [u8], set: &[u8]) -> &'t [u8] {
    let set: Vec<_> = quote::chars(set).map(|(char, _)| char).collect();
    trim(text, |char| set.contains(&char))
}

fn trunc<'a>(_: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let (count, text) = (int(args, 0), bytes(args, 1));
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    let part = if count < 0 {
        let start = length
            .checked_add(count)
            .filter(|start| *start > 0)
            .unwrap_or(0);
        text.get(usize::try_from(start).unwrap_or(0)..)
    } else {
        text.get(..usize::try_from(count.min(length)).unwrap_or(0))
    };
    Ok(sub(any(args, 1), part.unwrap_or_default()))
}

/// A part of a text that shares its bytes where they are borrowed.
fn sub<'a>(whole: &Val<'a>, part: &[u8]) -> Val<'a> {
    if let Val::Str(Text::Borrowed(all)) = whole {
        let start = (part.as_ptr() as usize).wrapping_sub(all.as_ptr() as usize);
        if let Some(same) = all.get(start..start.saturating_add(part.len())) {
            return Val::Str(Text::Borrowed(same));
        }
    }
    Val::text(part)
}

fn substr<'a>(_: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let (start, end, text) = (int(args, 0), int(args, 1), bytes(args, 2));
    let length = text.len();
    let at = |index: i64| usize::try_from(index).ok();
    let part = if start < 0 {
        at(end).and_then(|end| text.get(..end))
    } else if end < 0 || at(end).is_none_or(|end| end > length) {
        at(start).and_then(|start| text.get(start..))
    } else {
        at(start)
            .zip(at(end))
            .and_then(|(start, end)| text.get(start..end))
    };
    match part {
        Some(part) => Ok(sub(any(args, 2), part)),
        None => Err(Fault(format!(
            "runtime error: slice bounds out of range [{start}:{end}] with length {length}"
        ))),
    }
}

fn repeat<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let text = bytes(args, 1);
    let count =
        usize::try_from(int(args, 0)).map_err(|_| Fault::from("strings: negative Repeat count"))?;
    let length = text
        .len()
        .checked_mul(count)
        .filter(|length| *length <= cx.room());
    if length.is_none() {
        return Err(Fault::from("strings: Repeat result is too long"));
    }
    cx.text(text.repeat(count))
}

/// The place of a text in another, in linear time.
pub(super) fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

/// Counts the parts that a split makes before it makes them.
fn charge_parts(cx: &Cx<'_>, text: &[u8], separator: &[u8]) -> Result<(), Fault> {
    let parts = if separator.is_empty() {
        text.len()
    } else {
        memchr::memmem::find_iter(text, separator).count()
    };
    cx.charge(parts * 64)
}

/// Go's `strings.SplitN`.
pub(super) fn split(text: &[u8], separator: &[u8], limit: i64) -> Vec<Vec<u8>> {
    let limit = if limit < 0 {
        usize::MAX
    } else {
        usize::try_from(limit).unwrap_or(usize::MAX)
    };
    if limit == 0 {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut rest = text;
    if separator.is_empty() {
        while out.len() + 1 < limit {
            let Some((_, width)) = quote::decode(rest) else {
                return out;
            };
            let (head, tail) = rest.split_at_checked(width).unwrap_or((rest, b""));
            out.push(head.to_vec());
            rest = tail;
        }
        if !rest.is_empty() {
            out.push(rest.to_vec());
        }
        return out;
    }
    while out.len() + 1 < limit {
        let Some(at) = find(rest, separator) else {
            break;
        };
        out.push(rest.get(..at).unwrap_or_default().to_vec());
        rest = rest.get(at + separator.len()..).unwrap_or_default();
    }
    out.push(rest.to_vec());
    out
}

fn numbered<'a>(cx: &Cx<'a>, text: &[u8], separator: &[u8], limit: i64) -> Answer<'a> {
    charge_parts(cx, text, separator)?;
    let parts = split(text, separator, limit);
    let mut entries = BTreeMap::new();
    for (index, part) in parts.into_iter().enumerate() {
        let key = Text::Shared(format!("_{index}").into_bytes().into());
        entries.insert(key, cx.text(part)?);
    }
    cx.dict_of_strings(entries)
}

fn quoted<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let mut out = Vec::new();
    for value in args.iter().filter(|value| !value.is_nil()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        let text = strval(cx, value)?;
        cx.charge(text.len())?;
        quote::quote(&text, false, &mut out);
    }
    cx.text(out)
}

fn squoted<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let mut out = Vec::new();
    for value in args.iter().filter(|value| !value.is_nil()) {
        if !out.is_empty() {
            out.push(b' ');
        }
        out.push(b'\'');
        let text = printf::to_bytes(cx, value)?;
        cx.charge(text.len())?;
        out.extend(text);
        out.push(b'\'');
    }
    cx.text(out)
}

fn cat<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let values: Vec<_> = args
        .iter()
        .filter(|value| !value.is_nil())
        .cloned()
        .collect();
    let format = vec!["%v"; values.len()].join(" ");
    cx.text(printf::sprintf(cx, format.as_bytes(), &values)?)
}

fn indented<'a>(cx: &Cx<'a>, spaces: i64, text: &[u8]) -> Result<Vec<u8>, Fault> {
    let spaces =
        usize::try_from(spaces).map_err(|_| Fault::from("strings: negative Repeat count"))?;
    let lines = text.iter().filter(|byte| **byte == b'\n').count() + 1;
    let length = spaces
        .checked_mul(lines)
        .and_then(|length| length.checked_add(text.len()));
    if length.is_none_or(|length| length > cx.room()) {
        return Err(Fault::from("strings: Repeat result is too long"));
    }
    let pad = vec![b' '; spaces];
    let mut out = pad.clone();
    for byte in text {
        out.push(*byte);
        if *byte == b'\n' {
            out.extend_from_slice(&pad);
        }
    }
    Ok(out)
}

fn replaced<'a>(cx: &Cx<'a>, text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>, Fault> {
    let room = cx.room();
    let mut out = Vec::new();
    let mut rest = text;
    if old.is_empty() {
        // Go puts the new text around every character.
        out.extend_from_slice(new);
        for (_, raw) in quote::chars(text) {
            out.extend_from_slice(raw);
            out.extend_from_slice(new);
            if out.len() > room {
                return Err(Fault::from("the text is too long"));
            }
        }
        return Ok(out);
    }
    while let Some(at) = find(rest, old) {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        out.extend_from_slice(new);
        rest = rest.get(at + old.len()..).unwrap_or_default();
        if out.len() > room {
            return Err(Fault::from("the text is too long"));
        }
    }
    out.extend_from_slice(rest);
    Ok(out)
}
