//! Finding the ends of JSON tokens in raw bytes, eight bytes at a time, and decoding strings.
//! It never builds a tree, never recurses, and takes malformed text as it comes.

use super::Kind;

const ONES: u64 = 0x0101_0101_0101_0101;
const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// A high bit for each byte of `word` that is zero, exactly.
#[inline]
const fn zeros(word: u64) -> u64 {
    !(((word & LOW) + LOW) | word | LOW)
}

/// A high bit for each byte of `word` that equals `byte`.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    zeros(word ^ (ONES * byte as u64))
}

#[inline]
fn tail(json: &[u8], at: usize) -> &[u8] {
    json.get(at..).unwrap_or_default()
}

/// Where the bit of the lowest marked byte is.
#[inline]
const fn first(mask: u64) -> usize {
    (mask.trailing_zeros() / 8) as usize
}

/// The end of a string whose opening quote is before `at`: past the closing quote, and whether it has escapes.
#[inline]
pub(super) fn string_end(json: &[u8], mut at: usize) -> (usize, bool) {
    let mut escaped = false;
    loop {
        let rest = tail(json, at);
        // Most strings are short, and a call costs more than they do.
        let found = match rest.split_at_checked(16) {
            Some((head, long)) => head
                .iter()
                .position(mark)
                .or_else(|| memchr::memchr2(b'"', b'\\', long).map(|found| found + 16)),
            None => rest.iter().position(mark),
        };
        let Some(found) = found else {
            return (json.len(), escaped);
        };
        if rest.get(found) == Some(&b'"') {
            return (at + found + 1, escaped);
        }
        escaped = true;
        at += found + 2;
    }
}

/// What a string does not just go on with.
#[inline]
fn mark(byte: &u8) -> bool {
    matches!(byte, b'"' | b'\\')
}

/// The end of the object or array that opens at `at`: past its closing bracket, or the end of the text.
#[inline]
pub(super) fn container_end(json: &[u8], at: usize) -> usize {
    super::simd::container_end(json, at).unwrap_or_else(|| container_end_by_words(json, at))
}

fn container_end_by_words(json: &[u8], mut at: usize) -> usize {
    let mut depth: u32 = 0;
    'scan: loop {
        let rest = tail(json, at);
        let (words, bytes) = rest.as_chunks::<8>();
        let mut seen = 0;
        for word in words {
            let word = u64::from_le_bytes(*word);
            let quotes = equal(word, b'"');
            // `[` and `{`, `]` and `}` differ in one bit.
            let folded = word | (ONES * 0x20);
            let (mut opens, mut closes) = (equal(folded, b'{'), equal(folded, b'}'));
            if quotes != 0 {
                let before = (quotes & quotes.wrapping_neg()) - 1;
                opens &= before;
                closes &= before;
            }
            if closes.count_ones() >= depth && closes != 0 || depth == 0 {
                let mut marks = opens | closes;
                while marks != 0 {
                    let bit = marks & marks.wrapping_neg();
                    if opens & bit != 0 {
                        depth += 1;
                    } else {
                        depth = depth.saturating_sub(1);
                        if depth == 0 {
                            return at + seen + first(bit) + 1;
                        }
                    }
                    marks ^= bit;
                }
            } else {
                depth = depth + opens.count_ones() - closes.count_ones();
            }
            if quotes != 0 {
                at = string_end(json, at + seen + first(quotes) + 1).0;
                continue 'scan;
            }
            seen += 8;
        }
        for byte in bytes {
            seen += 1;
            match byte {
                b'"' => {
                    at = string_end(json, at + seen).0;
                    continue 'scan;
                }
                b'{' | b'[' => depth += 1,
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + seen;
                    }
                }
                _ => {}
            }
        }
        return json.len();
    }
}

/// The end of a number or word that starts at `at`.
#[inline]
fn scalar_end(json: &[u8], at: usize) -> usize {
    let rest = tail(json, at);
    let stop = |byte: &u8| *byte <= b' ' || matches!(byte, b',' | b']' | b'}');
    at + rest.iter().position(stop).unwrap_or(rest.len())
}

/// The end of the value that starts at `at`.
#[inline]
pub(super) fn value_end(json: &[u8], at: usize) -> usize {
    match json.get(at) {
        Some(b'"') => string_end(json, at + 1).0,
        Some(b'{' | b'[') => container_end(json, at),
        Some(b't' | b'f' | b'n') => {
            let rest = tail(json, at);
            at + rest
                .iter()
                .position(|byte| !byte.is_ascii_lowercase())
                .unwrap_or(rest.len())
        }
        _ => scalar_end(json, at),
    }
}

/// What the value that starts with these bytes is; `None` where no value starts.
#[inline]
pub(super) fn kind_of(text: &[u8]) -> Option<Kind> {
    match text.first()? {
        b'"' => Some(Kind::String),
        b'{' | b'[' => Some(Kind::Json),
        b't' => Some(Kind::True),
        b'f' => Some(Kind::False),
        b'n' if text.get(1) == Some(&b'a') => Some(Kind::Number),
        b'n' => Some(Kind::Null),
        b'+' | b'-' | b'0'..=b'9' | b'i' | b'I' | b'N' => Some(Kind::Number),
        _ => None,
    }
}

/// A key of an object.
pub(super) struct Key<'a> {
    /// Between the quotes, as written.
    pub(super) text: &'a [u8],
    pub(super) escaped: bool,
    /// Past the closing quote.
    pub(super) end: usize,
}

/// The next key of an object, or `None` at its end.
#[inline]
pub(super) fn next_key(json: &[u8], at: usize) -> Option<Key<'_>> {
    let rest = tail(json, at);
    let found = rest.iter().position(|byte| matches!(byte, b'"' | b'}'))?;
    if rest.get(found) == Some(&b'}') {
        return None;
    }
    let start = at + found + 1;
    let (end, escaped) = string_end(json, start);
    let text = json.get(start..end.saturating_sub(1)).unwrap_or_default();
    Some(Key { text, escaped, end })
}

/// What comes next in a container.
pub(super) enum Next {
    /// A value starts here.
    Value(usize),
    /// The closing bracket comes next.
    End,
    /// The text ended first.
    Cut,
}

/// The next value in an array, or after a key in an object; what cannot start a value is passed over.
#[inline]
pub(super) fn next_value(json: &[u8], mut at: usize) -> Next {
    loop {
        match json.get(at) {
            None => return Next::Cut,
            Some(b']' | b'}') => return Next::End,
            Some(b',' | b':' | 0..=b' ') => at += 1,
            Some(_) if kind_of(tail(json, at)).is_some() => return Next::Value(at),
            Some(_) => at += 1,
        }
    }
}

/// The members of an object or the elements of an array, in order.
pub(crate) struct Items<'a> {
    json: &'a [u8],
    at: usize,
    keyed: bool,
}

/// One member or element.
pub(crate) struct Item<'a> {
    /// The key with its quotes, in an object.
    pub(crate) key: Option<&'a [u8]>,
    /// The value as written.
    pub(crate) value: &'a [u8],
}

impl<'a> Items<'a> {
    /// Of a text that starts with a bracket; of anything else there are none.
    pub(crate) fn of(json: &'a [u8]) -> Self {
        match json.first() {
            Some(b'{') => Self {
                json,
                at: 1,
                keyed: true,
            },
            Some(b'[') => Self {
                json,
                at: 1,
                keyed: false,
            },
            _ => Self {
                json: b"",
                at: 0,
                keyed: false,
            },
        }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let mut key = None;
        if self.keyed {
            let found = next_key(self.json, self.at)?;
            let start = found.end.saturating_sub(found.text.len() + 2);
            key = self.json.get(start..found.end);
            self.at = found.end;
        }
        let Next::Value(start) = next_value(self.json, self.at) else {
            self.at = self.json.len();
            return None;
        };
        self.at = value_end(self.json, start);
        Some(Item {
            key,
            value: self.json.get(start..self.at)?,
        })
    }
}

/// Decodes the inside of a string; at an escape that JSON does not have, it ends there.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        let plain = rest
            .iter()
            .position(|byte| *byte == b'\\' || *byte < b' ')
            .unwrap_or(rest.len());
        let (before, after) = rest.split_at(plain);
        out.extend_from_slice(before);
        let [b'\\', code, after @ ..] = after else {
            return out;
        };
        rest = after;
        out.push(match code {
            b'"' | b'\\' | b'/' => *code,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let Some((char, after)) = unicode(rest) else {
                    return out;
                };
                out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
                continue;
            }
            _ => return out,
        });
    }
}

/// The character of a `\u` escape after the `u`, with the second half of a pair where there is one.
fn unicode(text: &[u8]) -> Option<(char, &[u8])> {
    let (first, rest) = hex(text)?;
    if (0xd800..0xe000).contains(&first)
        && let [b'\\', b'u', after @ ..] = rest
        && let Some((second, after)) = hex(after)
    {
        let pair = (0xd800..0xdc00).contains(&first) && (0xdc00..0xe000).contains(&second);
        let code = 0x10000 + ((first & 0x3ff) << 10) + (second & 0x3ff);
        let char = if pair { char::from_u32(code) } else { None };
        return Some((char.unwrap_or(char::REPLACEMENT_CHARACTER), after));
    }
    Some((
        char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER),
        rest,
    ))
}

fn hex(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let text = str::from_utf8(digits).ok()?;
    let code = u32::from_str_radix(text, 16).unwrap_or(0);
    Some((code, rest))
}

/// Appends a quoted string as gjson and sjson write it: HTML characters as escapes, like Go.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(text);
    let mut quoted = String::with_capacity(text.len() + 2);
    crate::json::write_string(&text, crate::json::Escape::Html, &mut quoted);
    out.extend_from_slice(quoted.as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_ways_find_the_same_end(text in "([{}\\[\\]\"\\\\ax]|\\\\\"|\"[a-z\\[}]{0,70}\"){0,200}") {
            let text = format!("{{{text}");
            prop_assert_eq!(container_end(text.as_bytes(), 0), container_end_by_words(text.as_bytes(), 0));
        }
    }

    #[test]
    fn ends_are_found_at_every_alignment() {
        let long = format!(
            r#"{{"{}":["a\"]",{{"b":"}}"}},[]],"c":"\\"}}"#,
            "k".repeat(40)
        );
        for pad in 0..20 {
            let text = format!("{}{long}, 7]", " ".repeat(pad));
            assert_eq!(value_end(text.as_bytes(), pad), pad + long.len());
            let text = format!("{}[{}]x", " ".repeat(pad), "[]".repeat(pad));
            assert_eq!(container_end(text.as_bytes(), pad), text.len() - 1);
            assert_eq!(container_end_by_words(text.as_bytes(), pad), text.len() - 1);
        }
        assert_eq!(string_end(br#"ab\""#, 0), (4, true));
        assert_eq!(container_end(b"[[[", 0), 3);
    }

    #[test]
    fn escapes_are_decoded() {
        for (text, want) in [
            (r"a\u00e9\ud83d\ude00b", "a\u{e9}\u{1f600}b"),
            (r"\ud800x", "\u{fffd}x"),
            (r"a\qb", "a"),
            (r"a\u12", "a"),
            (r"\", ""),
            (r"\/\b\f\n\r\t", "/\u{8}\u{c}\n\r\t"),
        ] {
            assert_eq!(unescape(text.as_bytes()), want.as_bytes(), "{text}");
        }
    }
}
