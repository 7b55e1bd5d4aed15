//! `@pretty` and `@ugly`: the same JSON with other white space.
//! It never changes a key, a number or a string, and stops where the budget does.

use std::cmp::Ordering;

use super::modifiers::option;
use super::scan::{self, Item, Items};
use super::walk::Budget;
use super::{Kind, decode, go_float, text_of, truthy};

/// Drops the space outside strings.
pub(super) fn ugly(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let mut at = 0;
    while let Some(&byte) = json.get(at) {
        let end = if byte == b'"' {
            scan::string_end(json, at + 1).0
        } else {
            at + 1
        };
        if byte > b' ' {
            out.extend_from_slice(json.get(at..end).unwrap_or_default());
        }
        at = end;
    }
    out
}

/// Indents, one member a line, short arrays of plain values on one line.
///
/// Nothing comes out where the result would be too deep or too large.
pub(super) fn pretty(budget: &mut Budget, json: &[u8], argument: &[u8]) -> Vec<u8> {
    let spaces = |name: &str| {
        let hit = option(argument, name)?;
        let text = text_of(hit.kind, &hit.raw);
        // Only white space is taken, so the result stays JSON.
        Some(
            text.iter()
                .copied()
                .filter(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
                .collect(),
        )
    };
    let width = option(argument, "width").map_or(80.0, |hit| match hit.kind {
        Kind::Number => hit.float(),
        Kind::True => 1.0,
        _ => 0.0,
    });
    let mut printer = Printer {
        budget,
        out: Vec::with_capacity(json.len() * 2),
        line: 0,
        indent: spaces("indent").unwrap_or_else(|| b"  ".to_vec()),
        prefix: spaces("prefix").unwrap_or_default(),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates"
        )]
        width: width as usize,
        sorted: option(argument, "sortKeys").is_some_and(|hit| truthy(&hit)),
    };
    let start = json
        .iter()
        .position(|byte| *byte > b' ')
        .unwrap_or(json.len());
    let value = json
        .get(start..scan::value_end(json, start))
        .unwrap_or_default();
    if value.is_empty() {
        return Vec::new();
    }
    printer.out.extend_from_slice(&printer.prefix);
    if printer.value(value, 0).is_none() {
        return Vec::new();
    }
    printer.out.push(b'\n');
    printer.out
}

/// By key, then by value: null, false, numbers, strings, true, the rest.
fn order(a: &Item<'_>, b: &Item<'_>) -> Ordering {
    let rank = |item: &Item<'_>| match scan::kind_of(item.value) {
        None | Some(Kind::Null) => 0,
        Some(Kind::False) => 1,
        Some(Kind::Number) => 2,
        Some(Kind::String) => 3,
        Some(Kind::True) => 4,
        Some(Kind::Json) => 5,
    };
    let keys = a.key.map(decode).cmp(&b.key.map(decode));
    keys.then(rank(a).cmp(&rank(b)))
        .then_with(|| match rank(a) {
            2 => go_float(a.value).total_cmp(&go_float(b.value)),
            3 => decode(a.value).cmp(&decode(b.value)),
            _ => a.value.cmp(b.value),
        })
}

struct Printer<'b> {
    budget: &'b mut Budget,
    out: Vec<u8>,
    /// Where the current line begins.
    line: usize,
    indent: Vec<u8>,
    prefix: Vec<u8>,
    width: usize,
    sorted: bool,
}

impl Printer<'_> {
    /// `None` when the budget is spent.
    fn value(&mut self, value: &[u8], level: usize) -> Option<()> {
        if !self.budget.pay(value.len()) {
            return None;
        }
        let (open, close) = match value.first() {
            Some(b'{') => (b'{', b'}'),
            Some(b'[') => (b'[', b']'),
            _ => {
                self.out.extend_from_slice(value);
                return Some(());
            }
        };
        if open == b'[' && self.short(value)? {
            return Some(());
        }
        if !self.budget.enter() {
            return None;
        }
        self.out.push(open);
        let mut items: Vec<_> = Items::of(value).collect();
        if self.sorted && open == b'{' {
            items.sort_by(order);
        }
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                self.out.push(b',');
            }
            self.new_line(level + 1)?;
            if let Some(key) = item.key {
                self.out.extend_from_slice(key);
                self.out.extend_from_slice(b": ");
            }
            self.value(item.value, level + 1)?;
        }
        if !items.is_empty() {
            self.new_line(level)?;
        }
        self.out.push(close);
        self.budget.leave();
        Some(())
    }

    fn new_line(&mut self, level: usize) -> Option<()> {
        let size = self
            .prefix
            .len()
            .saturating_add(self.indent.len().saturating_mul(level));
        if !self.budget.pay(size.saturating_add(1)) {
            return None;
        }
        // The line break counts as part of the line.
        self.line = self.out.len();
        self.out.push(b'\n');
        self.out.extend_from_slice(&self.prefix);
        for _ in 0..level {
            self.out.extend_from_slice(&self.indent);
        }
        Some(())
    }

    /// Writes an array on what is left of the line; false where it does not fit.
    fn short(&mut self, array: &[u8]) -> Option<bool> {
        let before = self.out.len();
        let room = self.width.saturating_sub(before - self.line);
        if room <= 3 {
            return Some(false);
        }
        let fits = self.inline(array, before.saturating_add(room));
        if self.budget.fuel == 0 {
            return None;
        }
        if !fits {
            self.out.truncate(before);
        }
        Some(fits)
    }

    fn inline(&mut self, array: &[u8], limit: usize) -> bool {
        // Finding the ends of the elements reads all of it.
        if !self.budget.pay(array.len()) || !self.budget.enter() {
            return false;
        }
        self.out.push(b'[');
        let mut fits = true;
        for (place, item) in Items::of(array).enumerate() {
            if place > 0 {
                self.out.extend_from_slice(b", ");
            }
            fits = match item.value.first() {
                Some(b'{') => false,
                Some(b'[') => self.inline(item.value, limit),
                _ => {
                    self.out.extend_from_slice(item.value);
                    true
                }
            } && self.out.len() <= limit;
            if !fits {
                break;
            }
        }
        self.out.push(b']');
        self.budget.leave();
        fits && self.out.len() <= limit
    }
}
