//! Go's literals: quoted text, characters, and numbers.
//! It never guesses: what Go's own compiler refuses is refused.

use super::ast::Literal;

/// The bytes of a string literal, quotes included in `text`.
pub(super) fn unquote(text: &str) -> Option<Vec<u8>> {
    if let Some(raw) = text.strip_prefix('`') {
        let raw = raw.strip_suffix('`')?;
        return Some(raw.bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut rest = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = Vec::with_capacity(rest.len());
    while !rest.is_empty() {
        let (unit, after) = unquote_char(rest, '"')?;
        match unit {
            Unit::Byte(byte) => out.push(byte),
            Unit::Char(char) => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = after;
    }
    Some(out)
}

enum Unit {
    Byte(u8),
    Char(char),
}

fn unquote_char(text: &str, quote: char) -> Option<(Unit, &str)> {
    let mut chars = text.chars();
    let first = chars.next()?;
    if first == quote || first == '\n' {
        return None;
    }
    if first != '\\' {
        return Some((Unit::Char(first), chars.as_str()));
    }
    let escape = chars.next()?;
    let rest = chars.as_str();
    let plain = |char| Some((Unit::Char(char), rest));
    match escape {
        'a' => plain('\u{7}'),
        'b' => plain('\u{8}'),
        'f' => plain('\u{c}'),
        'n' => plain('\n'),
        'r' => plain('\r'),
        't' => plain('\t'),
        'v' => plain('\u{b}'),
        '\\' => plain('\\'),
        '"' | '\'' if escape == quote => plain(escape),
        'x' => digits(rest, 2, 16).and_then(|(code, rest)| byte(code, rest)),
        'u' => digits(rest, 4, 16).and_then(|(code, rest)| character(code, rest)),
        'U' => digits(rest, 8, 16).and_then(|(code, rest)| character(code, rest)),
        '0'..='7' => {
            let from = text.get(1..)?;
            digits(from, 3, 8).and_then(|(code, rest)| byte(code, rest))
        }
        _ => None,
    }
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let (number, rest) = text.split_at_checked(count)?;
    let valid = number
        .bytes()
        .all(|digit| char::from(digit).is_digit(radix));
    valid.then_some(())?;
    Some((u32::from_str_radix(number, radix).ok()?, rest))
}

fn byte(code: u32, rest: &str) -> Option<(Unit, &str)> {
    Some((Unit::Byte(u8::try_from(code).ok()?), rest))
}

fn character(code: u32, rest: &str) -> Option<(Unit, &str)> {
    Some((Unit::Char(char::from_u32(code)?), rest))
}

/// A character constant such as `'a'`.
pub(super) fn char_constant(text: &str) -> Result<Literal, String> {
    let malformed = || format!("malformed character constant: {text}");
    let inside = text.strip_prefix('\'').ok_or_else(malformed)?;
    let (unit, rest) = unquote_char(inside, '\'').ok_or("invalid syntax")?;
    if rest != "'" {
        return Err(malformed());
    }
    let code = match unit {
        Unit::Byte(byte) => u32::from(byte),
        Unit::Char(char) => u32::from(char),
    };
    Ok(Literal {
        text: text.into(),
        int: Some(i64::from(code)),
        uint: Some(u64::from(code)),
        float: Some(f64::from(code)),
    })
}

/// A number constant.
#[expect(clippy::cast_precision_loss, reason = "Go's constants convert so too")]
pub(super) fn number(text: &str) -> Result<Literal, String> {
    if text.ends_with('i') {
        return Err(format!("complex numbers are not supported: {text:?}"));
    }
    let uint = parse_uint(text);
    let int = parse_int(text, 64);
    let uint = if int == Some(0) { Some(0) } else { uint };
    let float = int.map(|int| int as f64).or(uint.map(|uint| uint as f64));
    let mut literal = Literal {
        text: text.into(),
        int,
        uint,
        float,
    };
    if literal.float.is_none() {
        let Some(float) = parse_float(text) else {
            return Err(format!("illegal number syntax: {text:?}"));
        };
        if !text.contains(['.', 'e', 'E', 'p', 'P']) {
            return Err(format!("integer overflow: {text:?}"));
        }
        literal.float = Some(float);
        literal.int = exact_int(float);
        literal.uint = exact_uint(float);
    }
    Ok(literal)
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be exact")]
#[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
fn exact_int(float: f64) -> Option<i64> {
    (float.abs() < 9.3e18 && (float as i64) as f64 == float).then_some(float as i64)
}

#[expect(clippy::cast_possible_truncation, reason = "checked to be exact")]
#[expect(clippy::cast_sign_loss, reason = "checked to be exact")]
#[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
fn exact_uint(float: f64) -> Option<u64> {
    ((0.0..1.8e19).contains(&float) && (float as u64) as f64 == float).then_some(float as u64)
}

/// Go's `ParseUint(text, 0, 64)`: the base is in the text, underscores are allowed.
fn parse_uint(text: &str) -> Option<u64> {
    let (radix, prefixed, digits) = base(text);
    if digits.contains('_') && !underscores_fit(text) {
        return None;
    }
    let plain = digits.replace('_', "");
    if plain.is_empty() {
        return (prefixed && radix == 8 && text == "0").then_some(0);
    }
    if plain.starts_with('+') {
        return None;
    }
    u64::from_str_radix(&plain, radix).ok()
}

fn base(text: &str) -> (u32, bool, &str) {
    let lower = |prefix: &str| {
        let head = text.get(..2)?;
        head.eq_ignore_ascii_case(prefix)
            .then(|| text.get(2..).unwrap_or_default())
    };
    if let Some(rest) = lower("0x") {
        (16, true, rest)
    } else if let Some(rest) = lower("0o") {
        (8, true, rest)
    } else if let Some(rest) = lower("0b") {
        (2, true, rest)
    } else if let Some(rest) = text.strip_prefix('0') {
        (8, true, rest)
    } else {
        (10, false, text)
    }
}

/// Go's `ParseInt(text, 0, bits)`.
pub(super) fn parse_int(text: &str, bits: u32) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = i128::from(parse_uint(digits)?);
    let value = if negative { -size } else { size };
    let limit = 1_i128 << (bits - 1);
    (-limit..limit)
        .contains(&value)
        .then(|| i64::try_from(value).ok())?
}

/// Underscores stand only between digits, or after the base prefix.
fn underscores_fit(text: &str) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (_, prefixed, digits) = base(text);
    let mut before = if prefixed { '0' } else { '^' };
    let hex = text.len() > 1
        && text
            .get(..2)
            .is_some_and(|head| head.eq_ignore_ascii_case("0x"));
    for char in digits.chars() {
        if char.is_ascii_digit() || hex && char.is_ascii_hexdigit() {
            before = '0';
        } else if char == '_' {
            if before != '0' {
                return false;
            }
            before = '_';
        } else {
            if before == '_' {
                return false;
            }
            before = '!';
        }
    }
    before != '_'
}

/// Go's `ParseFloat(text, 64)`; `None` also where the number is out of range.
pub(super) fn parse_float(text: &str) -> Option<f64> {
    if text.contains('_') && !underscores_fit(text) {
        return None;
    }
    let plain = text.replace('_', "");
    let (sign, unsigned) = match plain.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    match unsigned.to_ascii_lowercase().as_str() {
        "inf" | "infinity" => return Some(sign * f64::INFINITY),
        "nan" => return Some(f64::NAN),
        lower => {
            if let Some(hex) = lower.strip_prefix("0x") {
                return hex_float(hex).map(|float| sign * float);
            }
        }
    }
    let first = unsigned.chars().next()?;
    if !first.is_ascii_digit() && first != '.' {
        return None;
    }
    let float: f64 = unsigned.parse().ok()?;
    float.is_finite().then_some(sign * float)
}

fn hex_float(text: &str) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('p')?;
    let exponent: i32 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0_f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let shift = exponent.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    let float = value * 2_f64.powi(shift);
    float.is_finite().then_some(float)
}
