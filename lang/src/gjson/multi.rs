//! Multipaths, `[a,b]` and `{a,"k":b}`, and literals, `!"text"`: the parts of a path that make new JSON.
//! It never checks that the pieces fit each other; the document is what it is.

use std::borrow::Cow;

use super::walk::{Budget, eval};
use super::{path, scan, valid};

/// One path of a multipath.
pub(super) struct Branch<'p> {
    name: &'p [u8],
    pub(super) path: &'p [u8],
}

/// Reads the multipath at the start of a path; gives also what follows. `None` if it is open.
pub(super) fn branches(text: &[u8]) -> Option<(Vec<Branch<'_>>, &[u8])> {
    let mut found = Vec::new();
    let (mut depth, mut start, mut at) = (1_usize, 1, 1);
    let mut colon = None;
    // The colons in a modifier's argument name nothing.
    let mut modifier = false;
    loop {
        let byte = *text.get(at)?;
        match byte {
            b'\\' => at += 1,
            b'@' => modifier |= matches!(text.get(at - 1), Some(b'.' | b'|')),
            b':' if depth == 1 && !modifier && colon.is_none() => colon = Some(at),
            b'"' => {
                at = path::quoted_end(text, at + 1)?;
                continue;
            }
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || (byte == b',' && depth == 1) {
            let branch = match colon.take() {
                None => Branch {
                    name: b"",
                    path: text.get(start..at)?,
                },
                Some(colon) => Branch {
                    name: text.get(start..colon)?,
                    path: text.get(colon + 1..at)?,
                },
            };
            found.push(branch);
            modifier = false;
            start = at + 1;
        }
        at += 1;
        if depth == 0 {
            return Some((found, text.get(at..)?));
        }
    }
}

/// Evaluates the branches of the multipath that `text` starts with.
pub(super) fn select<'a>(
    budget: &mut Budget,
    json: &'a [u8],
    text: &[u8],
    branches: &[Branch<'_>],
) -> Cow<'a, [u8]> {
    let object = text.first() == Some(&b'{');
    let mut out = vec![if object { b'{' } else { b'[' }];
    for branch in branches {
        let Some(hit) = eval(budget, Cow::Borrowed(json), branch.path) else {
            continue;
        };
        if !budget.pay(hit.raw.len()) {
            break;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        if object {
            write_name(branch, &mut out);
            out.push(b':');
        }
        out.extend_from_slice(&hit.raw);
    }
    out.push(if object { b'}' } else { b']' });
    Cow::Owned(out)
}

fn write_name(branch: &Branch<'_>, out: &mut Vec<u8>) {
    if branch.name.first() == Some(&b'"') && valid(branch.name) {
        out.extend_from_slice(branch.name);
    } else if !branch.name.is_empty() {
        scan::write_string(branch.name, out);
    } else {
        let last = last_name(branch.path);
        let simple = |byte: &u8| *byte >= b' ' && !b"[]{}()#|!".contains(byte);
        scan::write_string(if last.iter().all(simple) { last } else { b"_" }, out);
    }
}

/// What follows the last dot or pipe.
fn last_name(path: &[u8]) -> &[u8] {
    let ends = |(at, byte): (usize, &u8)| {
        let escaped = at.checked_sub(1).and_then(|before| path.get(before)) == Some(&b'\\');
        matches!(byte, b'.' | b'|') && !escaped
    };
    let split = path
        .iter()
        .enumerate()
        .rev()
        .find(|pair| ends(*pair))
        .map(|(at, _)| at);
    split.map_or(path, |at| path.get(at + 1..).unwrap_or_default())
}

/// Where what the first byte opens ends, whatever that byte is.
///
/// gjson treats a quote or a digit here like a bracket, so text and number literals end with their path,
/// or at a closing bracket.
fn opened_end(text: &[u8]) -> usize {
    let mut depth = 1_usize;
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        at += 1;
        match byte {
            b'"' => at = scan::string_end(text, at).0,
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// Reads the literal at the start of a path; gives also what follows.
pub(super) fn literal(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let name = text.get(1..)?;
    let end = match name.first()? {
        b'{' | b'[' | b'"' | b'+' | b'-' | b'0'..=b'9' => opened_end(name),
        _ => {
            let end = name.iter().position(|byte| matches!(byte, b'.' | b'|'));
            let end = end.unwrap_or(name.len());
            let word = name.get(..end)?;
            let words: [&[u8]; 5] = [b"true", b"false", b"null", b"nan", b"inf"];
            if !words.iter().any(|known| word.eq_ignore_ascii_case(known)) {
                return None;
            }
            end
        }
    };
    name.split_at_checked(end)
}
