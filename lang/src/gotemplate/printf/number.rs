//! The number verbs of `printf`.
//! It never rounds a JSON number that is asked for as an integer.

use super::{Printed, Printer};
use crate::go::{float, quote};
use crate::gotemplate::value::Val;
use crate::value::Number;

impl<'a> Printer<'_, 'a> {
    pub(super) fn integer(
        &mut self,
        size: u64,
        negative: bool,
        verb: char,
        value: &Val<'a>,
    ) -> Printed {
        match verb {
            'v' | 'd' => self.digits(&size.to_string(), size == 0, negative, verb),
            'b' => self.digits(&format!("{size:b}"), size == 0, negative, verb),
            'o' | 'O' => self.digits(&format!("{size:o}"), size == 0, negative, verb),
            'x' => self.digits(&format!("{size:x}"), size == 0, negative, verb),
            'X' => self.digits(&format!("{size:X}"), size == 0, negative, verb),
            'c' => {
                let mut out = Vec::new();
                quote::push_char(&mut out, code_point(size, negative));
                self.pad(&out);
            }
            'q' => {
                let mut out = Vec::new();
                quote::quote_char(code_point(size, negative), self.flags.plus, &mut out);
                self.pad(&out);
            }
            'U' => self.unicode(size, negative),
            _ => return self.bad_verb(value, verb),
        }
        Ok(())
    }

    /// Digits with sign, prefix, precision and width.
    fn digits(&mut self, digits: &str, zero: bool, negative: bool, verb: char) {
        let flags = self.flags;
        let sign = match (negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            _ => "",
        };
        let mut wanted = 0;
        if let Some(precision) = flags.precision {
            wanted = precision;
            if precision == 0 && zero {
                self.flags.zero = false;
                self.padding(flags.width.unwrap_or(0));
                self.flags.zero = flags.zero;
                return;
            }
        } else if flags.zero && !flags.minus {
            wanted = flags.width.unwrap_or(0);
            if !sign.is_empty() {
                wanted = wanted.saturating_sub(1);
            }
        }
        let mut body = "0".repeat(wanted.saturating_sub(digits.len()));
        body.push_str(digits);
        let prefix = match verb {
            'b' if flags.sharp => "0b",
            'o' if flags.sharp && !body.starts_with('0') => "0",
            'O' if flags.sharp && !body.starts_with('0') => "0o0",
            'O' => "0o",
            'x' if flags.sharp => "0x",
            'X' if flags.sharp => "0X",
            _ => "",
        };
        self.flags.zero = false;
        self.pad(format!("{sign}{prefix}{body}").as_bytes());
        self.flags.zero = flags.zero;
    }

    fn unicode(&mut self, size: u64, negative: bool) {
        let code = if negative { size.wrapping_neg() } else { size };
        let width = self.flags.precision.map_or(4, |precision| precision.max(4));
        let mut text = format!("U+{code:0width$X}");
        let char = u32::try_from(code).ok().and_then(char::from_u32);
        if let Some(char) = char.filter(|char| self.flags.sharp && quote::is_print(*char)) {
            text.push_str(&format!(" '{char}'"));
        }
        let zero = std::mem::take(&mut self.flags.zero);
        self.pad(text.as_bytes());
        self.flags.zero = zero;
    }

    pub(super) fn float(&mut self, float: f64, verb: char, value: &Val<'a>) -> Printed {
        let (format, default) = match verb {
            'v' => (b'g', None),
            'b' => (b'b', None),
            'g' => (b'g', None),
            'G' => (b'G', None),
            'x' => (b'x', None),
            'X' => (b'X', None),
            'f' | 'F' => (b'f', Some(6)),
            'e' => (b'e', Some(6)),
            'E' => (b'E', Some(6)),
            _ => return self.bad_verb(value, verb),
        };
        let precision = self.flags.precision.or(default);
        let mut text = float::format(float, format, precision);
        if float.is_finite() && self.flags.sharp && verb != 'b' {
            text = sharpened(&text, verb, precision);
        }
        self.signed(&text, float.is_finite());
        Ok(())
    }

    /// A number's text with sign and width.
    fn signed(&mut self, text: &str, finite: bool) {
        let flags = self.flags;
        let (negative, body) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let sign = match (negative, flags.plus, flags.space) {
            (true, ..) => "-",
            (false, true, _) => "+",
            (false, false, true) => " ",
            // Go prints the sign of infinity always.
            _ if body == "Inf" => "+",
            _ => "",
        };
        let sign = if body == "Inf" && !negative && !flags.space {
            "+"
        } else {
            sign
        };
        if !finite {
            self.flags.zero = false;
            self.pad(format!("{sign}{body}").as_bytes());
            self.flags.zero = flags.zero;
            return;
        }
        let width = flags.width.unwrap_or(0);
        let length = sign.len() + body.len();
        if (flags.plus || negative || flags.space) && flags.zero && !flags.minus && width > length {
            self.push(sign.as_bytes());
            self.padding(width - length);
            self.push(body.as_bytes());
            return;
        }
        self.pad(format!("{sign}{body}").as_bytes());
    }

    /// A JSON number: integer verbs see the integer, float verbs the float, `%v` its digits.
    pub(super) fn number(&mut self, number: &Number, verb: char, value: &Val<'a>) -> Printed {
        match verb {
            'v' => {
                self.signed(&number.to_string(), true);
                Ok(())
            }
            'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U' => {
                if let Some(int) = number.as_i64() {
                    return self.integer(int.unsigned_abs(), int < 0, verb, value);
                }
                if let Some(uint) = number.as_u64() {
                    return self.integer(uint, false, verb, value);
                }
                if verb == 'd' && number.is_integer_text() {
                    let text = number.to_string();
                    let digits = text.trim_start_matches('-');
                    self.digits(digits, false, text.starts_with('-'), verb);
                    return Ok(());
                }
                self.float(number.as_f64(), verb, value)
            }
            // A whole number that no float holds keeps its digits here too.
            'f' | 'F' if number.is_integer_text() && number.as_f64().abs() >= EXACT => {
                let zeros = self.flags.precision.unwrap_or(6);
                let mut text = number.to_string();
                if zeros > 0 || self.flags.sharp {
                    text.push('.');
                }
                text.extend(std::iter::repeat_n('0', zeros));
                self.signed(&text, true);
                Ok(())
            }
            _ => self.float(number.as_f64(), verb, value),
        }
    }
}

/// Every whole number up to here is a float.
const EXACT: f64 = 9_007_199_254_740_992.0;

fn code_point(size: u64, negative: bool) -> char {
    let code = u32::try_from(size).ok().filter(|_| !negative || size == 0);
    code.and_then(char::from_u32)
        .unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The `#` flag: always a point, and zeros up to the precision.
fn sharpened(text: &str, verb: char, precision: Option<usize>) -> String {
    let (sign, body) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text),
    };
    let exponent = match verb {
        'x' | 'X' => body.find(['p', 'P']),
        _ => body.find(['e', 'E']),
    };
    let (number, tail) = body
        .split_at_checked(exponent.unwrap_or(body.len()))
        .unwrap_or((body, ""));
    let mut digits = match verb {
        'v' | 'g' | 'G' | 'x' => precision.unwrap_or(6),
        _ => 0,
    };
    let mut seen = false;
    for char in number.chars().filter(|char| *char != '.') {
        seen |= char != '0';
        if seen {
            digits = digits.saturating_sub(1);
        }
    }
    let mut out = format!("{sign}{number}");
    if !number.contains('.') {
        if number == "0" {
            digits = digits.saturating_sub(1);
        }
        out.push('.');
    }
    out.push_str(&"0".repeat(digits));
    out.push_str(tail);
    out
}
