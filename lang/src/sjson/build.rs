//! Making what is missing: members, elements, and the containers around them.
//! It never looks further than the one container that it adds to.

use super::part::Part;
use super::{MAX_PADDING, SetError, lossy};
use crate::gjson::scan::{self, Items};

/// The text of a value with the components added that it does not have.
///
/// A scalar is replaced by a container; `parts` is not empty.
pub(super) fn into(text: &[u8], parts: &[Part<'_>], raw: &[u8]) -> Result<Vec<u8>, SetError> {
    let mut builder = Builder {
        out: Vec::with_capacity(text.len() + raw.len() + 64),
        padding: 0,
        raw,
    };
    let [part, ..] = parts else {
        return Ok(raw.to_vec());
    };
    let start = text
        .iter()
        .position(|byte| *byte > b' ')
        .unwrap_or(text.len());
    let value = text.get(start..).unwrap_or_default();
    match value.first() {
        Some(b'{') => builder.add_member(value, parts)?,
        Some(b'[') => builder.add_element(value, parts)?,
        _ if part.index().is_some() => builder.add_element(b"[]", parts)?,
        _ => builder.add_member(b"{}", parts)?,
    }
    Ok(builder.out)
}

struct Builder<'r> {
    out: Vec<u8>,
    padding: usize,
    raw: &'r [u8],
}

impl Builder<'_> {
    fn add_member(&mut self, object: &[u8], parts: &[Part<'_>]) -> Result<(), SetError> {
        let end = object
            .iter()
            .rposition(|byte| *byte == b'}')
            .unwrap_or(object.len());
        let inside = object.get(..end).unwrap_or_default();
        self.out.extend_from_slice(inside);
        if inside.iter().skip(1).any(|byte| *byte > b' ') {
            self.out.push(b',');
        }
        self.item(false, parts)?;
        self.out.push(b'}');
        Ok(())
    }

    fn add_element(&mut self, array: &[u8], parts: &[Part<'_>]) -> Result<(), SetError> {
        let [part, ..] = parts else { return Ok(()) };
        if part.appends() {
            let end = array
                .iter()
                .rposition(|byte| *byte == b']')
                .unwrap_or(array.len());
            let inside = array.get(..end).unwrap_or_default();
            self.out.extend_from_slice(inside);
            if inside.iter().skip(1).any(|byte| *byte > b' ') {
                self.out.push(b',');
            }
        } else {
            let index = part.index().ok_or_else(|| SetError::NotAnIndex {
                key: lossy(&part.name),
            })?;
            self.out.push(b'[');
            let mut count = 0;
            for item in Items::of(array) {
                self.out.extend_from_slice(item.value);
                self.out.push(b',');
                count += 1;
            }
            self.pad(index.saturating_sub(count), part)?;
        }
        self.item(true, parts)?;
        self.out.push(b']');
        Ok(())
    }

    fn pad(&mut self, count: usize, part: &Part<'_>) -> Result<(), SetError> {
        self.padding = self.padding.saturating_add(count);
        if self.padding > MAX_PADDING {
            return Err(SetError::IndexTooLarge {
                index: lossy(&part.name),
            });
        }
        for _ in 0..count {
            self.out.extend_from_slice(b"null,");
        }
        Ok(())
    }

    /// Writes the member or element of the first component, with new containers for the others inside.
    fn item(&mut self, element: bool, parts: &[Part<'_>]) -> Result<(), SetError> {
        let mut element = element;
        let mut closes = Vec::new();
        let mut rest = parts;
        while let [part, after @ ..] = rest {
            if !element {
                write_string(&part.name, &mut self.out);
                self.out.push(b':');
            }
            rest = after;
            let [next, ..] = rest else { break };
            element = next.index().is_some() || next.appends();
            self.out.push(if element { b'[' } else { b'{' });
            closes.push(if element { b']' } else { b'}' });
            self.pad(next.index().unwrap_or(0), next)?;
        }
        self.out.extend_from_slice(self.raw);
        self.out.extend(closes.into_iter().rev());
        Ok(())
    }
}

/// Writes a quoted string as sjson does: as it is where it is plain ASCII, otherwise with Go's escapes.
pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let plain = |byte: &u8| matches!(byte, b' '..=0x7e) && !matches!(byte, b'"' | b'\\');
    if text.iter().all(plain) {
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
    } else {
        scan::write_string(text, out);
    }
}
