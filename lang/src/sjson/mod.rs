//! sjson paths: writing into raw JSON bytes, as the `dest` of a parameter does.
//! It never re-orders, re-spaces or re-writes what the path does not touch, and never pads without bound.
//!
//! | path | what it does |
//! |---|---|
//! | `a.b` | sets a member; missing parents are made, a scalar in the way is replaced |
//! | `a.2` | sets an element; missing ones before it become `null`; where nothing is, makes an array |
//! | `a.-1` | appends to an array |
//! | `a.:2` | sets a member called `2` |
//! | `a\.b` | sets a member with a dot in its name |
//! | `a.#(x=="y").z`, `a.*`, `a\|b` | anything special of gjson: replaces what is there, makes nothing |
//!
//! # What differs from sjson 1.2.5
//!
//! - At most [`MAX_PADDING`] elements are padded and paths go [`MAX_PARTS`] deep; beyond that it is an error.
//! - Raw text that is not JSON is an error; sjson writes it and leaves a broken document.
//! - Text in a string that looks like an array has no last element to delete, and deleting a member whose
//!   name has escaped quotes removes that member only.
//! - A path that collects through two levels (`a.#.b.#.c`) replaces what it selects; sjson breaks the document.
//!
//! ```
//! let json = br#"{"spec": {"name": "x"}}"#;
//! let set = tiphys_lang::sjson::set_string(json, "spec.args.0.value", "hi").unwrap();
//! assert_eq!(set, br#"{"spec": {"name": "x","args":[{"value":"hi"}]}}"#);
//! ```

mod build;
mod part;

#[cfg(test)]
mod tests;

use std::ops::Range;

use crate::Value;
use crate::gjson::{self, Places, scan};
use crate::json::{self, Escape};

/// The most `null` elements that one path makes.
pub const MAX_PADDING: usize = 100_000;

/// The most components of a path.
pub const MAX_PARTS: usize = json::MAX_DEPTH;

/// Why nothing was set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetError {
    /// There is no path.
    #[error("path cannot be empty")]
    EmptyPath,
    /// The path has a name where the document has an array.
    #[error("cannot set array element for non-numeric key {key:?}")]
    NotAnIndex {
        /// The component.
        key: String,
    },
    /// An element so far out would fill memory with `null`.
    #[error("cannot pad an array to element {index:?}: at most {MAX_PADDING} elements are added")]
    IndexTooLarge {
        /// The component.
        index: String,
    },
    /// The path has too many components.
    #[error("path has more than {MAX_PARTS} components")]
    TooDeep,
    /// The raw value is not JSON.
    #[error("raw value is not JSON")]
    RawNotJson,
    /// Only a plain path can say what to delete.
    #[error("cannot delete with wildcards, queries or pipes")]
    DeleteNeedsPlainPath,
}

/// Sets a value that is already JSON text.
///
/// # Errors
/// See [`SetError`]. A path with wildcards, queries or pipes that selects nothing changes nothing and is no error.
pub fn set_raw(json: &[u8], path: &str, raw_json: &[u8]) -> Result<Vec<u8>, SetError> {
    if path.is_empty() {
        return Err(SetError::EmptyPath);
    }
    if !gjson::valid(raw_json) {
        return Err(SetError::RawNotJson);
    }
    write(json, path, raw_json)
}

/// Sets a string.
///
/// # Errors
/// As [`set_raw`].
pub fn set_string(json: &[u8], path: &str, text: &str) -> Result<Vec<u8>, SetError> {
    let mut quoted = Vec::with_capacity(text.len() + 2);
    build::write_string(text.as_bytes(), &mut quoted);
    write(json, path, &quoted)
}

/// Sets a decoded value; it is written compactly, number digits kept.
///
/// # Errors
/// As [`set_raw`].
pub fn set(json: &[u8], path: &str, value: &Value) -> Result<Vec<u8>, SetError> {
    if let Value::String(text) = value {
        return set_string(json, path, text);
    }
    let mut raw = String::new();
    json::write(value, Escape::Html, &mut raw);
    write(json, path, raw.as_bytes())
}

/// Removes a member or an element; `-1` is the last element. What is not there needs no removing.
///
/// # Errors
/// For an empty path and one with wildcards, queries or pipes.
pub fn delete(json: &[u8], path: &str) -> Result<Vec<u8>, SetError> {
    if path.is_empty() {
        return Err(SetError::EmptyPath);
    }
    let parts = part::parts(path)?.ok_or(SetError::DeleteNeedsPlainPath)?;
    let mut outer = 0..json.len();
    let mut here = 0..json.len();
    for part in &parts {
        let text = slice(json, &here);
        let found = if part.appends() {
            last_element(text)
        } else {
            place(text, part.get)
        };
        let Some(found) = found else {
            return Ok(json.to_vec());
        };
        outer = here.clone();
        here = outer.start + found.start..outer.start + found.end;
    }
    let cut = cut(
        slice(json, &outer),
        here.start - outer.start..here.end - outer.start,
    );
    Ok(splice(
        json,
        outer.start + cut.start..outer.start + cut.end,
        b"",
    ))
}

fn write(json: &[u8], path: &str, raw: &[u8]) -> Result<Vec<u8>, SetError> {
    if path.is_empty() {
        return Err(SetError::EmptyPath);
    }
    let Some(parts) = part::parts(path)? else {
        return Ok(replace(json, path, raw));
    };
    let mut here = 0..json.len();
    let mut rest = parts.as_slice();
    while let [part, after @ ..] = rest {
        let text = slice(json, &here);
        let Some(found) = place(text, part.get) else {
            let made = build::into(text, rest, raw)?;
            return Ok(splice(json, here, &made));
        };
        here = here.start + found.start..here.start + found.end;
        rest = after;
    }
    Ok(splice(json, here, raw))
}

/// Replaces everything that a gjson path selects.
fn replace(json: &[u8], path: &str, raw: &[u8]) -> Vec<u8> {
    let mut places = match gjson::places(json, path) {
        Places::None => return json.to_vec(),
        Places::One(place) => return splice(json, place, raw),
        Places::Many(places) => places,
    };
    places.sort_by_key(|place| place.start);
    let mut out = Vec::with_capacity(json.len());
    let mut done = 0;
    for place in places {
        // A value within one that is already replaced is gone.
        if place.start >= done {
            out.extend_from_slice(slice(json, &(done..place.start)));
            out.extend_from_slice(raw);
            done = place.end;
        }
    }
    out.extend_from_slice(slice(json, &(done..json.len())));
    out
}

fn slice<'a>(json: &'a [u8], range: &Range<usize>) -> &'a [u8] {
    json.get(range.clone()).unwrap_or_default()
}

fn splice(json: &[u8], range: Range<usize>, middle: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + middle.len());
    out.extend_from_slice(slice(json, &(0..range.start)));
    out.extend_from_slice(middle);
    out.extend_from_slice(slice(json, &(range.end..json.len())));
    out
}

/// Where the value of one component is.
fn place(text: &[u8], get: &str) -> Option<Range<usize>> {
    // Brackets in a string hold no values, though gjson finds some there.
    if text.iter().find(|byte| **byte > b' ') == Some(&b'"') {
        return None;
    }
    match gjson::places(text, get) {
        Places::One(place) => Some(place),
        Places::None | Places::Many(_) => None,
    }
}

fn last_element(text: &[u8]) -> Option<Range<usize>> {
    let start = text.iter().position(|byte| *byte > b' ')?;
    let array = text
        .get(start..)
        .filter(|array| array.first() == Some(&b'['))?;
    let last = scan::Items::of(array).last()?;
    let start = (last.value.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    Some(start..start + last.value.len())
}

/// What to cut from a container to remove the value at `value`: its key and one comma go with it.
fn cut(container: &[u8], value: Range<usize>) -> Range<usize> {
    let before = slice(container, &(0..value.start));
    let mut start = value.start;
    if let Some(colon) = before
        .iter()
        .rposition(|byte| *byte > b' ')
        .filter(|at| before.get(*at) == Some(&b':'))
    {
        start = key_start(slice(container, &(0..colon)));
    }
    let lead = slice(container, &(0..start))
        .iter()
        .rposition(|byte| *byte > b' ');
    match lead.and_then(|at| Some((at, container.get(at)?))) {
        Some((comma, b',')) => comma..value.end,
        Some((bracket, open)) => {
            let after = slice(container, &(value.end..container.len()));
            let next = after.iter().position(|byte| *byte > b' ');
            let comma = next.filter(|at| after.get(*at) == Some(&b','));
            let from = if *open == b'{' { bracket + 1 } else { start };
            from..value.end + comma.map_or(0, |at| at + 1)
        }
        None => value,
    }
}

/// Where the quoted key begins that `text` ends with.
fn key_start(text: &[u8]) -> usize {
    let Some(close) = text.iter().rposition(|byte| *byte == b'"') else {
        return text.len();
    };
    let mut at = close;
    while let Some(open) = slice(text, &(0..at)).iter().rposition(|byte| *byte == b'"') {
        let escapes = slice(text, &(0..open))
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        if escapes % 2 == 0 {
            return open;
        }
        at = open;
    }
    close
}

/// The text of a component for messages.
fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
