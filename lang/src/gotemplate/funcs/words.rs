//! Sprig's functions on words: case, abbreviation, wrapping.
//! It never cuts where Sprig does not: these count bytes where Sprig counts bytes.

use super::{Function, bytes, function, int};
use crate::go::quote;
use crate::gotemplate::call::Param::{Int, Str};
use crate::gotemplate::cx::{Answer, Cx};

pub(super) const TABLE: &[Function] = &[
    function("title", &[Str], |cx, args| cx.text(title(bytes(args, 0)))),
    function("untitle", &[Str], |cx, args| {
        cx.text(untitle(bytes(args, 0)))
    }),
    function("swapcase", &[Str], |cx, args| {
        cx.text(swap_case(bytes(args, 0)))
    }),
    function("nospace", &[Str], |cx, args| {
        cx.text(no_space(bytes(args, 0)))
    }),
    function("initials", &[Str], |cx, args| {
        cx.text(initials(bytes(args, 0)))
    }),
    function("abbrev", &[Int, Str], |cx, args| {
        let (width, text) = (int(args, 0), bytes(args, 1));
        if width < 4 {
            return cx.text(text);
        }
        cx.text(abbreviate(text, 0, width))
    }),
    function("abbrevboth", &[Int, Int, Str], |cx, args| {
        let (left, right, text) = (int(args, 0), int(args, 1), bytes(args, 2));
        if right < 4 || left > 0 && right < 7 {
            return cx.text(text);
        }
        cx.text(abbreviate(text, left, right))
    }),
    function("wrap", &[Int, Str], |cx, args| {
        wrap(cx, bytes(args, 1), int(args, 0), b"\n", false)
    }),
    function("wrapWith", &[Int, Str, Str], |cx, args| {
        let line = bytes(args, 1);
        let line = if line.is_empty() {
            b"\n".as_slice()
        } else {
            line
        };
        wrap(cx, bytes(args, 2), int(args, 0), line, true)
    }),
    function("snakecase", &[Str], |cx, args| {
        cx.text(joined_words(bytes(args, 0), '_'))
    }),
    function("kebabcase", &[Str], |cx, args| {
        cx.text(joined_words(bytes(args, 0), '-'))
    }),
    function("camelcase", &[Str], |cx, args| {
        cx.text(pascal_case(bytes(args, 0)))
    }),
];

/// Go's deprecated `strings.Title`: words end at anything but letters, digits and underscores.
fn title(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut before = ' ';
    for char in quote::runes(text) {
        let mapped = if is_separator(before) {
            quote::title(char)
        } else {
            char
        };
        before = char;
        quote::push_char(&mut out, mapped);
    }
    out
}

fn is_separator(char: char) -> bool {
    if char.is_ascii() {
        return !char.is_ascii_alphanumeric() && char != '_';
    }
    !char.is_alphanumeric() && quote::is_space(char)
}

/// Lowers the first letter of each word, words ending at space.
fn untitle(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut first = true;
    for char in quote::runes(text) {
        if quote::is_space(char) {
            first = true;
            quote::push_char(&mut out, char);
        } else {
            quote::push_char(&mut out, if first { quote::lower(char) } else { char });
            first = false;
        }
    }
    out
}

fn swap_case(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut after_space = true;
    for char in quote::runes(text) {
        let mapped =
            if char.is_uppercase() || quote::title(char) == char && quote::lower(char) != char {
                after_space = false;
                quote::lower(char)
            } else if char.is_lowercase() {
                let mapped = if after_space {
                    quote::title(char)
                } else {
                    quote::upper(char)
                };
                after_space = false;
                mapped
            } else {
                after_space = quote::is_space(char);
                char
            };
        quote::push_char(&mut out, mapped);
    }
    out
}

/// Sprig looks at bytes here, each as a character of its own.
fn no_space(text: &[u8]) -> Vec<u8> {
    let space = |byte: u8| quote::is_space(char::from(byte));
    if !text.iter().any(|byte| space(*byte)) {
        return text.to_vec();
    }
    let mut out = Vec::new();
    for byte in text.iter().filter(|byte| !space(**byte)) {
        quote::push_char(&mut out, char::from(*byte));
    }
    out
}

/// Sprig looks at bytes here too.
fn initials(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut gap = true;
    for byte in text {
        let char = char::from(*byte);
        if quote::is_space(char) {
            gap = true;
        } else {
            if gap {
                quote::push_char(&mut out, char);
            }
            gap = false;
        }
    }
    out
}

/// Keeps `width` bytes from `offset`, with dots for what is left out.
fn abbreviate(text: &[u8], offset: i64, width: i64) -> Vec<u8> {
    const DOTS: &[u8] = b"...";
    let length = i64::try_from(text.len()).unwrap_or(i64::MAX);
    if length <= width {
        return text.to_vec();
    }
    let part = |start: i64, end: i64| {
        let (start, end) = (
            usize::try_from(start).unwrap_or(0),
            usize::try_from(end).unwrap_or(0),
        );
        text.get(start..end).unwrap_or_default()
    };
    let mut offset = offset.min(length);
    if length - offset < width - 3 {
        offset = length - (width - 3);
    }
    if offset <= 4 {
        return [part(0, width - 3), DOTS].concat();
    }
    if width < 7 {
        return Vec::new();
    }
    if offset + width - 3 < length {
        return [DOTS, &abbreviate(part(offset, length), 0, width - 3)].concat();
    }
    [DOTS, part(length - (width - 3), length)].concat()
}

fn wrap<'a>(cx: &Cx<'a>, text: &[u8], width: i64, line: &[u8], break_words: bool) -> Answer<'a> {
    let width = usize::try_from(width.max(1)).unwrap_or(usize::MAX);
    let room = cx.room();
    let mut out = Vec::new();
    let mut rest = text;
    while rest.len() > width {
        if let Some(after) = rest.strip_prefix(b" ") {
            rest = after;
            continue;
        }
        let head = rest.get(..=width).unwrap_or(rest);
        let space = head.iter().rposition(|byte| *byte == b' ');
        let (end, skipped) = match space {
            Some(at) => (at, 1),
            None if break_words => (width, 0),
            None => {
                let tail = rest.get(width..).unwrap_or_default();
                match tail.iter().position(|byte| *byte == b' ') {
                    Some(at) => (width + at, 1),
                    None => break,
                }
            }
        };
        out.extend_from_slice(rest.get(..end).unwrap_or_default());
        out.extend_from_slice(line);
        rest = rest.get(end + skipped..).unwrap_or_default();
        if out.len() > room {
            return Err("the text is too long".into());
        }
    }
    out.extend_from_slice(rest);
    cx.text(out)
}

fn is_connector(char: char) -> bool {
    matches!(char, '-' | '_') || quote::is_space(char)
}

/// Go's `unicode.IsPunct` for the characters that names are made of.
fn is_punctuation(char: char) -> bool {
    if char.is_ascii() {
        return char.is_ascii_punctuation()
            && !matches!(char, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~');
    }
    matches!(u32::from(char), 0xa1 | 0xa7 | 0xab | 0xb6 | 0xb7 | 0xbb | 0xbf | 0x2010..=0x2027 | 0x2030..=0x2043 | 0x3001..=0x3003 | 0x3008..=0x3011)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Word {
    Number,
    Upper,
    Letters,
    Connector,
    Punctuation,
    Other,
}

/// A letter, but not of the scripts of China, Japan and Korea, which have no words of this kind.
fn is_letter(char: char) -> bool {
    let ideograph =
        matches!(u32::from(char), 0x3400..=0x4d85 | 0x4e00..=0x9fcc | 0x2_0000..=0x2_b81d);
    char.is_alphabetic() && !ideograph
}

fn is_lower_letter(char: char) -> bool {
    is_letter(char) && !char.is_uppercase()
}

/// The words of a name: `HTTPServer2` is `HTTP`, `Server`, `2`.
fn words(text: &[u8]) -> Vec<(Word, String)> {
    let chars = quote::runes(text);
    let mut out = Vec::new();
    let mut at = 0;
    let count = |from: usize, fits: &dyn Fn(char) -> bool| {
        // What is no valid text belongs to the word before it.
        let stays = |char: &&char| **char == char::REPLACEMENT_CHARACTER || fits(**char);
        chars.iter().skip(from).take_while(stays).count()
    };
    while let Some(first) = chars.get(at).copied() {
        let (kind, length) = if is_connector(first) {
            (Word::Connector, count(at, &is_connector))
        } else if is_punctuation(first) {
            (Word::Punctuation, count(at, &is_punctuation))
        } else if first.is_uppercase() {
            let upper = count(at, &char::is_uppercase);
            let follows = chars
                .get(at + upper)
                .is_some_and(|char| is_lower_letter(*char));
            let length = match (upper, follows) {
                (1, true) => 1 + count(at + 1, &is_lower_letter),
                (_, true) => upper - 1,
                (_, false) => upper,
            };
            (Word::Upper, length)
        } else if is_letter(first) {
            (Word::Letters, count(at, &is_lower_letter))
        } else if first.is_numeric() {
            (Word::Number, count(at, &char::is_numeric))
        } else {
            let other = |char: char| {
                !is_connector(char)
                    && !is_letter(char)
                    && !char.is_numeric()
                    && !is_punctuation(char)
            };
            (Word::Other, count(at, &other))
        };
        let length = length.max(1);
        out.push((kind, chars.iter().skip(at).take(length).collect()));
        at += length;
    }
    out
}

/// Lower-case words with a connector between them, numbers staying with what they belong to.
fn joined_words(text: &[u8], connector: char) -> Vec<u8> {
    let words = words(text);
    let mut out = String::new();
    let kind = |index: usize| words.get(index).map(|(kind, _)| *kind);
    let write = |index: usize, out: &mut String| {
        if let Some((kind, word)) = words.get(index) {
            match kind {
                Word::Upper => out.extend(word.chars().map(quote::lower)),
                Word::Connector => out.extend(word.chars().map(|_| connector)),
                _ => out.push_str(word),
            }
        }
    };
    let splits = |kind: Option<Word>| {
        kind.is_some_and(|kind| !matches!(kind, Word::Connector | Word::Punctuation))
    };
    let sticks = |kind: Option<Word>| matches!(kind, Some(Word::Letters | Word::Number));
    let mut at = 0;
    while at + 1 < words.len() {
        let this = kind(at);
        write(at, &mut out);
        at += 1;
        match this {
            Some(Word::Number) => {
                while sticks(kind(at)) {
                    write(at, &mut out);
                    at += 1;
                }
                if splits(kind(at)) {
                    out.push(connector);
                }
            }
            Some(Word::Connector | Word::Punctuation) | None => {}
            _ if kind(at) != Some(Word::Number) => {
                if splits(kind(at)) {
                    out.push(connector);
                }
            }
            _ if at + 1 >= words.len() => {}
            _ if kind(at + 1) != Some(Word::Letters) => {
                // The number belongs to the word before it.
                write(at, &mut out);
                at += 1;
                if splits(kind(at)) {
                    out.push(connector);
                }
            }
            _ => {
                out.push(connector);
                while sticks(kind(at)) {
                    write(at, &mut out);
                    at += 1;
                }
                if splits(kind(at)) {
                    out.push(connector);
                }
            }
        }
    }
    write(at, &mut out);
    out.into_bytes()
}

/// `some_words` to `SomeWords`; connectors at the ends stay.
fn pascal_case(text: &[u8]) -> Vec<u8> {
    let chars = quote::runes(text);
    let mut out = Vec::with_capacity(text.len());
    let leading = chars.iter().take_while(|char| is_connector(**char)).count();
    let mut rest = chars.iter().skip(leading).copied();
    let Some(first) = rest.next() else {
        // Of connectors alone the last comes twice.
        let last = chars.last().map(char::to_string).unwrap_or_default();
        return [text, last.as_bytes()].concat();
    };
    for char in chars.iter().take(leading) {
        quote::push_char(&mut out, *char);
    }
    if leading + 1 == chars.len() {
        quote::push_char(&mut out, quote::upper(first));
        return out;
    }
    let mut lowering = first.is_uppercase();
    let mut before = quote::upper(first);
    for char in rest {
        let mut char = char;
        match (is_connector(before), is_connector(char)) {
            (true, true) => quote::push_char(&mut out, before),
            (true, false) => {
                lowering = char.is_uppercase();
                char = quote::upper(char);
            }
            (false, _) => {
                if lowering {
                    if char.is_uppercase() {
                        char = quote::lower(char);
                    } else {
                        lowering = false;
                    }
                }
                quote::push_char(&mut out, before);
            }
        }
        before = char;
    }
    quote::push_char(&mut out, before);
    out
}
