//! What can be said about a path without a document: that it is open, empty, or names no modifier.
//! It refuses what nobody means, although gjson may find something for it: a path that is open or has no such modifier.

use super::{modifiers, multi, path};

/// Paths within paths are read this deep.
const MAX_DEPTH: usize = 64;

/// Why a path can never match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is no path.
    #[error("path must not be empty")]
    Empty,
    /// A bracket or quote is not closed.
    #[error("{what} is not closed at byte {offset}")]
    Open {
        /// What is open.
        what: &'static str,
        /// Bytes from the start of the path.
        offset: usize,
    },
    /// An argument is given to a modifier that does not exist.
    #[error("there is no modifier {name:?} at byte {offset}")]
    UnknownModifier {
        /// The name with its `@`.
        name: String,
        /// Bytes from the start of the path.
        offset: usize,
    },
    /// Paths are nested beyond what is read.
    #[error("paths are nested too deeply at byte {offset}")]
    TooDeep {
        /// Bytes from the start of the path.
        offset: usize,
    },
}

/// Checks a path.
pub(super) fn check(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    check_at(text.as_bytes(), 0, 0)
}

fn check_at(text: &[u8], offset: usize, depth: usize) -> Result<(), PathError> {
    if depth > MAX_DEPTH {
        return Err(PathError::TooDeep { offset });
    }
    let mut at = 0;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let here = offset + at;
        at += match rest {
            [b'@', ..] => modifier(rest, here)?,
            [b'#', group @ ..] if matches!(group, [b'(' | b'[', ..]) => {
                let open = PathError::Open {
                    what: "query",
                    offset: here,
                };
                1 + path::group_end(group).ok_or(open)?
            }
            [b'[' | b'{', _, ..] => multipath(rest, here, depth)?,
            [b'!', group @ ..] if matches!(group, [b'{' | b'[' | b'"', ..]) => {
                let open = PathError::Open {
                    what: "literal",
                    offset: here,
                };
                1 + path::group_end(group).ok_or(open)?
            }
            _ => 0,
        };
        // On to the next component.
        loop {
            match text.get(at) {
                None => return Ok(()),
                Some(b'.' | b'|') => break,
                Some(b'\\') => at += 2,
                Some(_) => at += 1,
            }
        }
        at += 1;
    }
}

fn modifier(text: &[u8], offset: usize) -> Result<usize, PathError> {
    if let Some((_, argument, rest)) = modifiers::read(text) {
        let open = matches!(argument.first(), Some(b'{' | b'[' | b'"'))
            && path::group_end(argument).is_none();
        if open {
            return Err(PathError::Open {
                what: "argument",
                offset: offset + text.len() - rest.len() - argument.len(),
            });
        }
        return Ok(text.len() - rest.len());
    }
    let end = text
        .iter()
        .position(|byte| matches!(byte, b':' | b'.' | b'|'))
        .unwrap_or(text.len());
    // Without an argument it is a key, such as `@timestamp`.
    if text.get(end) == Some(&b':') {
        let name = String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned();
        return Err(PathError::UnknownModifier { name, offset });
    }
    Ok(end)
}

fn multipath(text: &[u8], offset: usize, depth: usize) -> Result<usize, PathError> {
    let (branches, rest) = multi::branches(text).ok_or(PathError::Open {
        what: "multipath",
        offset,
    })?;
    for branch in branches {
        let start = (branch.path.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
        check_at(branch.path, offset + start, depth + 1)?;
    }
    Ok(text.len() - rest.len())
}
