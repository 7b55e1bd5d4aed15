//! Taking a destination apart into components.
//! It never looks at a document.

use std::borrow::Cow;

use super::{MAX_PARTS, SetError};

/// One component.
pub(super) struct Part<'p> {
    /// The name without escapes.
    pub(super) name: Cow<'p, [u8]>,
    /// The same as a gjson path.
    pub(super) get: &'p str,
    /// Written with a colon before it: a name even if it looks like an index.
    forced: bool,
}

impl Part<'_> {
    /// The element that it names, if it can name one. An empty component counts as the first.
    pub(super) fn index(&self) -> Option<usize> {
        if self.forced || !self.name.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let digits = str::from_utf8(&self.name).ok()?;
        Some(if digits.is_empty() {
            0
        } else {
            digits.parse().unwrap_or(usize::MAX)
        })
    }

    /// Whether it is `-1`, the place after the last element.
    pub(super) fn appends(&self) -> bool {
        !self.forced && self.name.as_ref() == b"-1"
    }
}

/// The components of a plain path; `None` where gjson's special characters make it a search.
pub(super) fn parts(path: &str) -> Result<Option<Vec<Part<'_>>>, SetError> {
    let mut parts = Vec::new();
    let mut rest = Some(path);
    while let Some(text) = rest {
        if parts.len() == MAX_PARTS {
            return Err(SetError::TooDeep);
        }
        let (forced, text) = match text.strip_prefix(':') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let bytes = text.as_bytes();
        let mut name: Option<Vec<u8>> = None;
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'.' => break,
                b'|' | b'#' | b'@' | b'*' | b'?' => return Ok(None),
                b'\\' => {
                    let name =
                        name.get_or_insert_with(|| bytes.get(..at).unwrap_or_default().to_vec());
                    name.extend(bytes.get(at + 1));
                    at += 2;
                    continue;
                }
                _ => {}
            }
            if let Some(name) = &mut name {
                name.push(byte);
            }
            at += 1;
        }
        let at = at.min(text.len());
        // A lone backslash at the end is dropped, as in the name.
        let get = text.get(..at).unwrap_or_default();
        let name = name.map_or(Cow::Borrowed(get.as_bytes()), Cow::Owned);
        parts.push(Part { name, get, forced });
        rest = text.get(at + 1..).filter(|_| bytes.get(at) == Some(&b'.'));
    }
    Ok(Some(parts))
}
