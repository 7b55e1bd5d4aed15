//! The short way for paths of plain keys and indexes, which are nearly all that people write.
//! It never allocates and looks at each byte once, up to the value.

use std::borrow::Cow;

use super::{Found, scan};

/// The deepest plain path: beyond it the general way is taken, with its own bound.
const MAX_STEPS: usize = 64;

/// A component without anything special.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    key: Box<[u8]>,
    /// The same as an array index.
    index: Option<usize>,
}

/// The steps of a path; `None` where anything in it may be special.
pub(super) fn steps(path: &str) -> Option<Box<[Step]>> {
    let special = |byte: u8| b"\\*?#|@!{}[]()\"".contains(&byte);
    if path.bytes().any(special) || path.starts_with("..") {
        return None;
    }
    let steps: Vec<Step> = path
        .split('.')
        .map(|key| {
            let digits = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit());
            Step {
                key: key.as_bytes().into(),
                index: if digits { key.parse().ok() } else { None },
            }
        })
        .collect();
    (steps.len() <= MAX_STEPS).then(|| steps.into())
}

/// What the steps select.
pub(super) fn get<'a>(json: &'a [u8], steps: &[Step]) -> Option<Found<'a>> {
    let at = json.iter().position(|byte| matches!(byte, b'{' | b'['))?;
    let start = find(json, at, steps)?;
    let raw = json.get(start..scan::value_end(json, start))?;
    Some(Found {
        kind: scan::kind_of(raw)?,
        raw: Cow::Borrowed(raw),
    })
}

/// Where the value begins that the steps lead to from the container that opens at `at`.
///
/// A key that leads nowhere does not end the search: a later one of the same name may.
fn find(json: &[u8], at: usize, steps: &[Step]) -> Option<usize> {
    let (step, rest) = steps.split_first()?;
    let object = json.get(at) == Some(&b'{');
    let mut here = at + 1;
    let mut left = if object { 0 } else { step.index? };
    loop {
        let fits = if object {
            let key = scan::next_key(json, here)?;
            here = key.end;
            if key.escaped {
                scan::unescape(key.text) == *step.key
            } else {
                key.text == &*step.key
            }
        } else {
            left == 0
        };
        let scan::Next::Value(start) = scan::next_value(json, here) else {
            return None;
        };
        if fits {
            match (rest, json.get(start)) {
                ([], _) => return Some(start),
                (_, Some(b'{' | b'[')) => {
                    let found = find(json, start, rest);
                    if found.is_some() {
                        return found;
                    }
                }
                _ => {}
            }
            if !object {
                return None;
            }
        }
        left = left.saturating_sub(1);
        here = scan::value_end(json, start);
    }
}
