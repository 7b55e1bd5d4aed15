//! Sprig's regular expressions: RE2 syntax, which is that of the `regex` crate.
//! It never backtracks, so no expression takes more than linear time.

use super::{Function, bytes, function, int};
use crate::go::{quote, re2};
use crate::gotemplate::call::Param::{Int, Str};
use crate::gotemplate::cx::{Answer, Cx, Fault};
use crate::gotemplate::value::{ListType, Val};
use regex::bytes::{Captures, Match, Regex};

pub(super) const TABLE: &[Function] = &[
    function("regexMatch", &[Str, Str], |cx, args| {
        let matched = compile(cx, bytes(args, 0)).map(|regex| regex.is_match(bytes(args, 1)));
        Ok(Val::Bool(matched.unwrap_or(false)))
    }),
    function("mustRegexMatch", &[Str, Str], |cx, args| {
        Ok(Val::Bool(
            compile(cx, bytes(args, 0))?.is_match(bytes(args, 1)),
        ))
    }),
    function("regexFind", &[Str, Str], find),
    function("mustRegexFind", &[Str, Str], find),
    function("regexFindAll", &[Str, Str, Int], find_all),
    function("mustRegexFindAll", &[Str, Str, Int], find_all),
    function("regexReplaceAll", &[Str, Str, Str], |cx, args| {
        replace(cx, args, false)
    }),
    function("mustRegexReplaceAll", &[Str, Str, Str], |cx, args| {
        replace(cx, args, false)
    }),
    function("regexReplaceAllLiteral", &[Str, Str, Str], |cx, args| {
        replace(cx, args, true)
    }),
    function(
        "mustRegexReplaceAllLiteral",
        &[Str, Str, Str],
        |cx, args| replace(cx, args, true),
    ),
    function("regexSplit", &[Str, Str, Int], split),
    function("mustRegexSplit", &[Str, Str, Int], split),
    function("regexQuoteMeta", &[Str], |cx, args| {
        let mut out = Vec::new();
        for byte in bytes(args, 0) {
            if br"\.+*?()|[]{}^$".contains(byte) {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        cx.text(out)
    }),
];

fn compile(cx: &Cx<'_>, pattern: &[u8]) -> Result<Regex, Fault> {
    if let Some(regex) = cx.regexes.get(pattern) {
        return Ok(regex);
    }
    let text =
        str::from_utf8(pattern).map_err(|_| Fault::from("error parsing regexp: invalid UTF-8"))?;
    cx.steps_taken(1_000)?;
    let regex = re2::compile(text)
        .map_err(|why| Fault(format!("error parsing regexp: {why}: `{text}`")))?;
    cx.regexes.keep(pattern, &regex);
    Ok(regex)
}

fn find<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let regex = compile(cx, bytes(args, 0))?;
    let found = regex
        .find(bytes(args, 1))
        .map_or(b"".as_slice(), |found| found.as_bytes());
    cx.text(found)
}

/// Whether a place is inside a character: an empty match there is none to Go.
fn splits_char(text: &[u8], at: usize) -> bool {
    (1..=3.min(at)).any(|back| {
        let rest = text.get(at - back..).unwrap_or_default();
        matches!(quote::decode(rest), Some((Some(_), width)) if width > back)
    })
}

/// The matches that Go sees too.
fn matches<'t>(regex: &'t Regex, text: &'t [u8]) -> impl Iterator<Item = Match<'t>> {
    let found = regex.find_iter(text);
    found.filter(|found| !found.is_empty() || !splits_char(text, found.start()))
}

fn limit(count: i64) -> usize {
    if count < 0 {
        usize::MAX
    } else {
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

fn find_all<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let regex = compile(cx, bytes(args, 0))?;
    let mut found = Vec::new();
    for one in matches(&regex, bytes(args, 1)).take(limit(int(args, 2))) {
        cx.step()?;
        cx.charge(64)?;
        found.push(one.as_bytes().to_vec());
    }
    if found.is_empty() {
        return Ok(Cx::nil_list(ListType::Str));
    }
    cx.strings(found)
}

fn split<'a>(cx: &Cx<'a>, args: &[Val<'a>]) -> Answer<'a> {
    let regex = compile(cx, bytes(args, 0))?;
    let (text, count) = (bytes(args, 1), limit(int(args, 2)));
    if count == 0 {
        return Ok(Cx::nil_list(ListType::Str));
    }
    if !bytes(args, 0).is_empty() && text.is_empty() {
        return cx.strings(vec![Vec::new()]);
    }
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for found in matches(&regex, text).take(count) {
        cx.step()?;
        cx.charge(64)?;
        if count != usize::MAX && parts.len() == count - 1 {
            break;
        }
        end = found.start();
        if found.end() != 0 {
            parts.push(text.get(begin..end).unwrap_or_default().to_vec());
        }
        begin = found.end();
    }
    if end != text.len() {
        parts.push(text.get(begin..).unwrap_or_default().to_vec());
    }
    cx.strings(parts)
}

fn replace<'a>(cx: &Cx<'a>, args: &[Val<'a>], literal: bool) -> Answer<'a> {
    let regex = compile(cx, bytes(args, 0))?;
    let (text, with) = (bytes(args, 1), bytes(args, 2));
    let room = cx.room();
    let mut out = Vec::new();
    let mut last = 0;
    for found in regex.captures_iter(text) {
        cx.step()?;
        let whole = found.get(0);
        let whole = whole.filter(|whole| !whole.is_empty() || !splits_char(text, whole.start()));
        let Some(whole) = whole else {
            continue;
        };
        out.extend_from_slice(text.get(last..whole.start()).unwrap_or_default());
        if literal {
            out.extend_from_slice(with);
        } else {
            expand(&regex, &found, with, &mut out);
        }
        last = whole.end();
        if out.len() > room {
            return Err(Fault::from("the text is too long"));
        }
    }
    out.extend_from_slice(text.get(last..).unwrap_or_default());
    cx.text(out)
}

/// Go's `Expand`: `$name` takes as many word characters as there are.
fn expand(regex: &Regex, found: &Captures<'_>, template: &[u8], out: &mut Vec<u8>) {
    let mut rest = template;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        out.extend_from_slice(rest.get(..at).unwrap_or_default());
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix(b"$") {
            out.push(b'$');
            rest = after;
            continue;
        }
        match group_name(rest) {
            Some((name, after)) => {
                if let Some(group) = group(regex, found, name) {
                    out.extend_from_slice(group);
                }
                rest = after;
            }
            None => out.push(b'$'),
        }
    }
    out.extend_from_slice(rest);
}

fn group_name(text: &[u8]) -> Option<(&str, &[u8])> {
    let (braced, inside) = match text.strip_prefix(b"{") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut length = 0;
    for (char, raw) in quote::chars(inside) {
        match char {
            Some(char) if char == '_' || char.is_alphanumeric() => length += raw.len(),
            _ => break,
        }
    }
    let name = str::from_utf8(inside.get(..length)?)
        .ok()
        .filter(|name| !name.is_empty())?;
    let after = inside.get(length..)?;
    let after = if braced {
        after.strip_prefix(b"}")?
    } else {
        after
    };
    Some((name, after))
}

fn group<'t>(regex: &Regex, found: &Captures<'t>, name: &str) -> Option<&'t [u8]> {
    if name.bytes().all(|byte| byte.is_ascii_digit()) {
        let index = name
            .parse::<usize>()
            .ok()
            .filter(|index| *index < 100_000_000)?;
        return found.get(index).map(|group| group.as_bytes());
    }
    // Of several groups of one name, the first that matched counts.
    let mut named = regex
        .capture_names()
        .enumerate()
        .filter(|(_, known)| *known == Some(name));
    named
        .find_map(|(index, _)| found.get(index))
        .map(|group| group.as_bytes())
}
