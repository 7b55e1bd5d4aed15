//! Queries over arrays: `#(left op right)`, how they are read and when an element fits.
//! It never evaluates the left side; the walker does and hands over what it found.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::walk::Hit;
use super::{Kind, glob, path, scan};

/// A query that has been read.
pub(super) struct Query<'p> {
    /// The path within each element; empty for the element itself.
    pub(super) path: &'p [u8],
    op: Op,
    value: Cow<'p, [u8]>,
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Exists,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Like,
    NotLike,
    Never,
}

impl<'p> Query<'p> {
    /// One that any plain value fits.
    pub(super) fn any() -> Self {
        Self {
            path: b"",
            op: Op::Exists,
            value: Cow::Borrowed(b""),
        }
    }

    /// Reads `#(…)` or `#[…]` at the start of a path; gives also where it ends. `None` if it is open.
    pub(super) fn read(text: &'p [u8]) -> Option<(Self, usize)> {
        let mut depth = 1_usize;
        let mut op_at = None;
        let mut escapes = false;
        let mut at = 2;
        let end = loop {
            match text.get(at)? {
                b'!' | b'=' | b'<' | b'>' | b'%' if depth == 1 && op_at.is_none() => {
                    op_at = Some(at);
                }
                b'\\' => at += 1,
                b'[' | b'(' => depth += 1,
                b']' | b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break at;
                    }
                }
                b'"' => {
                    let past = path::quoted_end(text, at + 1)?;
                    escapes |= text
                        .get(at..past)
                        .is_some_and(|inside| inside.contains(&b'\\'));
                    at = past;
                    continue;
                }
                _ => {}
            }
            at += 1;
        };
        let left = trim(text.get(2..op_at.unwrap_or(end))?);
        let Some(op_at) = op_at else {
            return Some((
                Self {
                    path: left,
                    ..Self::any()
                },
                end + 1,
            ));
        };
        let (op, size) = match text.get(op_at..end)? {
            [b'!', b'=', ..] => (Op::Ne, 2),
            [b'!', b'%', ..] => (Op::NotLike, 2),
            [b'<', b'=', ..] => (Op::Le, 2),
            [b'>', b'=', ..] => (Op::Ge, 2),
            [b'=', b'=', ..] => (Op::Eq, 2),
            [b'=', ..] => (Op::Eq, 1),
            [b'<', ..] => (Op::Lt, 1),
            [b'>', ..] => (Op::Gt, 1),
            [b'%', ..] => (Op::Like, 1),
            // A lone `!` fits nothing; with something after it, it asks whether there is a value.
            rest if trim(rest).len() == 1 => (Op::Never, 1),
            _ => {
                return Some((
                    Self {
                        path: left,
                        ..Self::any()
                    },
                    end + 1,
                ));
            }
        };
        let value = trim(text.get(op_at + size..end)?);
        let value = match value {
            [b'"', inside @ .., b'"'] if escapes => Cow::Owned(scan::unescape(inside)),
            [b'"', inside @ .., b'"'] => Cow::Borrowed(inside),
            _ => Cow::Borrowed(value),
        };
        Some((
            Self {
                path: left,
                op,
                value,
            },
            end + 1,
        ))
    }

    /// Whether what the left side found fits.
    pub(super) fn fits(&self, found: Option<&Hit<'_>>, fuel: &mut u64) -> bool {
        if let Some(test) = self.value.strip_prefix(b"~") {
            let truth = match test {
                b"*" => found.is_some(),
                b"null" => found.is_none_or(|hit| hit.kind == Kind::Null),
                b"true" => found.and_then(truth) == Some(true),
                b"false" => {
                    found.is_none_or(|hit| hit.kind == Kind::Null || truth(hit) == Some(false))
                }
                _ => return false,
            };
            return self.op == Op::Exists || self.fits_bool(truth, b"true");
        }
        let Some(hit) = found else { return false };
        if self.op == Op::Exists {
            return true;
        }
        match hit.kind {
            Kind::String => self.fits_text(&hit.decoded(), fuel),
            Kind::Number => {
                let right = super::go_float(&self.value);
                self.fits_order(hit.float().partial_cmp(&right))
            }
            Kind::True => self.fits_bool(true, &self.value),
            Kind::False => self.fits_bool(false, &self.value),
            Kind::Null | Kind::Json => false,
        }
    }

    fn fits_text(&self, text: &[u8], fuel: &mut u64) -> bool {
        match self.op {
            Op::Like => glob::matches(text, &self.value, fuel),
            Op::NotLike => !glob::matches(text, &self.value, fuel),
            _ => self.fits_order(Some(text.cmp(self.value.as_ref()))),
        }
    }

    fn fits_order(&self, order: Option<Ordering>) -> bool {
        match self.op {
            Op::Eq => order == Some(Ordering::Equal),
            Op::Ne => order != Some(Ordering::Equal),
            Op::Lt => order == Some(Ordering::Less),
            Op::Le => order.is_some_and(Ordering::is_le),
            Op::Gt => order == Some(Ordering::Greater),
            Op::Ge => order.is_some_and(Ordering::is_ge),
            Op::Exists | Op::Like | Op::NotLike | Op::Never => false,
        }
    }

    /// Booleans compare with the words only, `false` below `true`.
    fn fits_bool(&self, left: bool, right: &[u8]) -> bool {
        let word: &[u8] = if left { b"true" } else { b"false" };
        match self.op {
            Op::Eq => right == word,
            Op::Ne => right != word,
            Op::Gt => left && right == b"false",
            Op::Ge => left,
            Op::Lt => !left && right == b"true",
            Op::Le => !left,
            Op::Exists | Op::Like | Op::NotLike | Op::Never => false,
        }
    }
}

/// What a value is to `~true` and `~false`, where it is either.
fn truth(hit: &Hit<'_>) -> Option<bool> {
    match hit.kind {
        Kind::True => Some(true),
        Kind::False => Some(false),
        Kind::Number => Some(hit.float() != 0.0),
        Kind::String => super::parse_bool(&hit.decoded()),
        Kind::Null | Kind::Json => None,
    }
}

fn trim(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| *byte > b' ')
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|byte| *byte > b' ')
        .map_or(start, |last| last + 1);
    text.get(start..end).unwrap_or_default()
}
