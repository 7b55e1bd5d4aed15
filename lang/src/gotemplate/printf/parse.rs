//! The format string of `printf`: flags, widths, argument indexes, and Go's notes on mistakes.
//! It never fails on a bad format: as in Go, the mistake is printed.

use super::{Flags, Printer};
use crate::go::quote;
use crate::gotemplate::cx::{Cx, Fault};
use crate::gotemplate::value::Val;

/// Go's `fmt.Sprintf`.
pub(crate) fn sprintf<'a>(
    cx: &Cx<'a>,
    format: &[u8],
    values: &[Val<'a>],
) -> Result<Vec<u8>, Fault> {
    let printer = Printer::new(cx, cx.room());
    let mut formatter = Formatter {
        printer,
        format,
        values,
        at: 0,
        argument: 0,
        reordered: false,
        good: true,
    };
    formatter.run()?;
    formatter.printer.finish()
}

struct Formatter<'f, 'a> {
    printer: Printer<'f, 'a>,
    format: &'f [u8],
    values: &'f [Val<'a>],
    at: usize,
    argument: usize,
    reordered: bool,
    /// Whether the last argument index was one.
    good: bool,
}

/// A width or precision that Go does not accept is larger than this.
const MAX_NUMBER: usize = 1_000_000;

impl<'a> Formatter<'_, 'a> {
    fn peek(&self) -> Option<u8> {
        self.format.get(self.at).copied()
    }

    fn run(&mut self) -> Result<(), Fault> {
        while self.at < self.format.len() {
            let rest = self.format.get(self.at..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|byte| *byte == b'%')
                .unwrap_or(rest.len());
            self.printer.push(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            if self.at >= self.format.len() {
                break;
            }
            self.at += 1;
            self.printer.cx.step()?;
            if !self.verb()? {
                break;
            }
        }
        if !self.reordered && self.argument < self.values.len() {
            self.extra()?;
        }
        Ok(())
    }

    /// One verb; whether the format goes on.
    fn verb(&mut self) -> Result<bool, Fault> {
        self.good = true;
        let mut flags = Flags::default();
        while let Some(byte) = self.peek() {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        let mut after_index = self.argument_index();
        if self.peek() == Some(b'*') {
            self.at += 1;
            match self.star() {
                Some(width) => {
                    flags.width = Some(width.unsigned_abs());
                    if width < 0 {
                        flags.minus = true;
                        flags.zero = false;
                    }
                }
                None => self.printer.push(b"%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.parse_number();
            if after_index && flags.width.is_some() {
                self.good = false;
            }
        }
        if self.peek() == Some(b'.') && self.at + 1 < self.format.len() {
            self.at += 1;
            if after_index {
                self.good = false;
            }
            after_index = self.argument_index();
            if self.peek() == Some(b'*') {
                self.at += 1;
                match self.star() {
                    Some(precision) if precision >= 0 => {
                        flags.precision = Some(precision.unsigned_abs());
                    }
                    _ => self.printer.push(b"%!(BADPREC)"),
                }
                after_index = false;
            } else {
                flags.precision = Some(self.parse_number().unwrap_or(0));
            }
        }
        if !after_index {
            self.argument_index();
        }
        let rest = self.format.get(self.at..).unwrap_or_default();
        let Some((char, width)) = quote::decode(rest) else {
            self.printer.push(b"%!(NOVERB)");
            return Ok(false);
        };
        self.at += width;
        let verb = char.unwrap_or(char::REPLACEMENT_CHARACTER);
        if verb == '%' {
            self.printer.push(b"%");
        } else if !self.good {
            self.printer.push(format!("%!{verb}(BADINDEX)").as_bytes());
        } else if let Some(value) = self.values.get(self.argument) {
            if verb == 'v' {
                flags.sharp_v = std::mem::take(&mut flags.sharp);
                flags.plus_v = std::mem::take(&mut flags.plus);
            }
            self.printer.flags = flags;
            self.printer.value(value, verb)?;
            self.argument += 1;
        } else {
            self.printer.push(format!("%!{verb}(MISSING)").as_bytes());
        }
        Ok(true)
    }

    /// Reads `[n]`; whether there was a good one.
    fn argument_index(&mut self) -> bool {
        if self.peek() != Some(b'[') {
            return false;
        }
        self.reordered = true;
        let rest = self.format.get(self.at..).unwrap_or_default();
        let close = rest
            .iter()
            .position(|byte| *byte == b']')
            .filter(|_| rest.len() >= 3);
        let Some(close) = close else {
            self.at += 1;
            self.good = false;
            return false;
        };
        let inside = rest.get(1..close).unwrap_or_default();
        self.at += close + 1;
        let number = str::from_utf8(inside)
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()));
        let number = number.and_then(|text| text.parse::<usize>().ok());
        let number = number.filter(|number| *number / 10 <= MAX_NUMBER);
        match number.map(|number| number.wrapping_sub(1)) {
            Some(index) if index < self.values.len() => {
                self.argument = index;
                true
            }
            known => {
                self.good = false;
                known.is_some()
            }
        }
    }

    fn parse_number(&mut self) -> Option<usize> {
        let rest = self.format.get(self.at..).unwrap_or_default();
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let text = str::from_utf8(rest.get(..length)?)
            .ok()
            .filter(|text| !text.is_empty())?;
        match text.parse::<usize>() {
            // Go looks at the number before its last digit.
            Ok(number) if number / 10 <= MAX_NUMBER => {
                self.at += length;
                Some(number)
            }
            _ => {
                // Go gives up on the whole format here.
                self.at = self.format.len();
                None
            }
        }
    }

    /// The argument of a `*`.
    fn star(&mut self) -> Option<isize> {
        let value = self.values.get(self.argument)?;
        self.argument += 1;
        let int = match value {
            Val::Int(int, _) => *int,
            Val::Uint(uint, _) => i64::try_from(*uint).ok()?,
            Val::Num(number) => number.as_i64()?,
            _ => return None,
        };
        let int = isize::try_from(int).ok()?;
        (int.unsigned_abs() <= MAX_NUMBER).then_some(int)
    }

    fn extra(&mut self) -> Result<(), Fault> {
        self.printer.flags = Flags::default();
        self.printer.push(b"%!(EXTRA ");
        let values = self.values.get(self.argument..).unwrap_or_default();
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.printer.push(b", ");
            }
            if value.is_nil() {
                self.printer.push(b"<nil>");
            } else {
                self.printer.push(value.type_name().as_bytes());
                self.printer.push(b"=");
                self.printer.value(value, 'v')?;
            }
        }
        self.printer.push(b")");
        Ok(())
    }
}
