//! Taking a path apart: one component at a time, as a key for an object or as a selector for an array.
//! It never looks at a document; which reading of a component counts is decided by the bracket that is met.

use std::borrow::Cow;

use super::query::Query;
use super::{glob, modifiers, scan};

/// What follows a component.
#[derive(Clone, Copy)]
pub(super) enum Then<'p> {
    /// Nothing.
    End,
    /// More components, for the inside of what this one selects.
    More(&'p [u8]),
    /// A path for the result as a whole.
    Pipe(&'p [u8]),
}

/// A component read for an object.
pub(super) struct KeyPart<'p> {
    name: Cow<'p, [u8]>,
    wild: bool,
    pub(super) then: Then<'p>,
}

impl KeyPart<'_> {
    /// Whether it selects this key.
    #[inline]
    pub(super) fn matches(&self, key: &scan::Key<'_>, fuel: &mut u64) -> bool {
        match (key.escaped, self.wild) {
            (false, false) => key.text == self.name.as_ref(),
            (false, true) => glob::matches(key.text, &self.name, fuel),
            (true, false) => scan::unescape(key.text) == self.name.as_ref(),
            (true, true) => glob::matches(&scan::unescape(key.text), &self.name, fuel),
        }
    }
}

/// Reads the first component for an object.
pub(super) fn key_part(path: &[u8]) -> KeyPart<'_> {
    let mut wild = false;
    let mut owned: Option<Vec<u8>> = None;
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        match byte {
            b'.' | b'|' => break,
            b'\\' => {
                let name = owned.get_or_insert_with(|| path.get(..at).unwrap_or_default().to_vec());
                at += 1;
                if let Some(&next) = path.get(at) {
                    name.push(next);
                }
                at += 1;
                continue;
            }
            b'*' | b'?' => wild = true,
            _ => {}
        }
        if let Some(name) = &mut owned {
            name.push(byte);
        }
        at += 1;
    }
    let plain = path.get(..at.min(path.len())).unwrap_or_default();
    let name = owned.map_or(Cow::Borrowed(plain), Cow::Owned);
    KeyPart {
        name,
        wild,
        then: then(path, at, true),
    }
}

/// What follows the component that ends at `at`; `piping` is whether a dot before a modifier is a pipe.
fn then(path: &[u8], at: usize, piping: bool) -> Then<'_> {
    let rest = path.get(at + 1..).unwrap_or_default();
    match path.get(at) {
        Some(b'|') => Then::Pipe(rest),
        Some(b'.') if piping && starts_stage(rest) => Then::Pipe(rest),
        Some(b'.') => Then::More(rest),
        _ => Then::End,
    }
}

/// Whether the text starts something that works on a whole result: a modifier or a multipath.
fn starts_stage(rest: &[u8]) -> bool {
    match rest {
        [b'@', name @ ..] => {
            let end = name
                .iter()
                .position(|byte| matches!(byte, b'.' | b'|' | b':'));
            let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
            modifiers::Modifier::named(name).is_some()
        }
        [b'[' | b'{', ..] => true,
        _ => false,
    }
}

/// A component read for an array.
pub(super) struct ArrayPart<'p> {
    pub(super) select: Select<'p>,
    pub(super) then: Then<'p>,
}

/// What a component selects of an array.
pub(super) enum Select<'p> {
    /// The element at this place.
    Index(usize),
    /// `#`: the number of elements.
    Count,
    /// `#.path`: that path of each element.
    Each(&'p [u8]),
    /// `#(…)`: the first element that fits.
    First(Query<'p>),
    /// `#(…)#`: all elements that fit.
    All(Query<'p>),
    /// Something that no array has.
    Nothing,
}

/// Reads the first component for an array.
pub(super) fn array_part(path: &[u8]) -> ArrayPart<'_> {
    if let [b'#', b'.', rest @ ..] = path {
        return ArrayPart {
            select: Select::Each(rest),
            then: Then::End,
        };
    }
    let mut query = None;
    let mut at = 0;
    if let [b'#', b'(' | b'[', ..] = path {
        let Some((found, end)) = Query::read(path) else {
            return ArrayPart {
                select: Select::First(Query::any()),
                then: Then::End,
            };
        };
        at = end;
        let all = path.get(at) == Some(&b'#');
        if all {
            at += 1;
        }
        query = Some((found, all));
    }
    let start = at;
    let end = path
        .get(start..)
        .and_then(|rest| rest.iter().position(|byte| matches!(byte, b'.' | b'|')));
    at = end.map_or(path.len(), |end| start + end);
    let part = path.get(..at).unwrap_or_default();
    let hashed = part.contains(&b'#');
    let select = match query {
        Some((query, true)) => Select::All(query),
        Some((query, false)) => Select::First(query),
        None if part == b"#" => Select::Count,
        None if hashed => Select::Nothing,
        None => index(part).map_or(Select::Nothing, Select::Index),
    };
    ArrayPart {
        select,
        then: then(path, at, !hashed),
    }
}

fn index(part: &[u8]) -> Option<usize> {
    if part.is_empty() || !part.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(part).ok()?.parse().ok()
}

/// The end of a bracketed or quoted group at the start of `text`, brackets of all kinds balanced; `None` if it is open.
pub(super) fn group_end(text: &[u8]) -> Option<usize> {
    if text.first() == Some(&b'"') {
        return quoted_end(text, 1);
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 1,
            b'"' => {
                at = quoted_end(text, at + 1)?;
                continue;
            }
            b'[' | b'(' | b'{' => depth += 1,
            b']' | b')' | b'}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Past the closing quote of a string that starts at `at`.
pub(super) fn quoted_end(text: &[u8], at: usize) -> Option<usize> {
    let (end, _) = scan::string_end(text, at);
    (end > at && text.get(end - 1) == Some(&b'"') && !ends_escaped(text, at, end)).then_some(end)
}

/// Whether the quote before `end` is itself escaped, which happens where the string is cut off.
fn ends_escaped(text: &[u8], at: usize, end: usize) -> bool {
    let inside = text.get(at..end - 1).unwrap_or_default();
    inside
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count()
        % 2
        == 1
}

/// Parts a path at its first pipe outside queries, for the paths that run once per element.
pub(super) fn split_pipe(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if !path.contains(&b'|') {
        return None;
    }
    if let [b'{', inside, ..] = path {
        // gjson looks for the end from the second byte on, so a group there hides the pipe.
        if b"\"[{(]})".contains(inside) {
            return None;
        }
        let end = group_end(path)?;
        return (path.get(end) == Some(&b'|'))
            .then(|| path.split_at(end))
            .map(drop_first);
    }
    let mut at = 0;
    while let Some(byte) = path.get(at) {
        match byte {
            b'\\' => at += 1,
            b'.' => match path.get(at + 1..) {
                None | Some([]) => return None,
                Some([b'#', rest @ ..]) => {
                    at += 2;
                    if rest.is_empty() {
                        return None;
                    }
                    if matches!(rest, [b'(' | b'[', ..]) {
                        at += group_end(rest)?;
                        continue;
                    }
                }
                Some(_) => {}
            },
            b'|' => return path.split_at_checked(at).map(drop_first),
            _ => {}
        }
        at += 1;
    }
    None
}

fn drop_first<'p>((left, right): (&'p [u8], &'p [u8])) -> (&'p [u8], &'p [u8]) {
    (left, right.get(1..).unwrap_or_default())
}
