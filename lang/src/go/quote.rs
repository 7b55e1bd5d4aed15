//! Go's view of bytes as text: runes, printable characters, quoted strings, case.
//! It never fails on invalid UTF-8: such a byte is U+FFFD of width 1, as in Go.

/// The first character and its width; `None` with width 1 for an invalid byte.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Option<char>, usize)> {
    let first = *bytes.first()?;
    if first < 0x80 {
        return Some((Some(char::from(first)), 1));
    }
    let width = match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some((None, 1)),
    };
    let valid = bytes
        .get(..width)
        .and_then(|head| str::from_utf8(head).ok());
    match valid.and_then(|text| text.chars().next()) {
        Some(char) => Some((Some(char), width)),
        None => Some((None, 1)),
    }
}

/// The characters with their widths.
pub(crate) fn chars(bytes: &[u8]) -> impl Iterator<Item = (Option<char>, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (char, width) = decode(rest)?;
        let (head, tail) = rest.split_at_checked(width)?;
        rest = tail;
        Some((char, head))
    })
}

/// The characters, with U+FFFD for each invalid byte: Go's `[]rune`.
pub(crate) fn runes(bytes: &[u8]) -> Vec<char> {
    chars(bytes)
        .map(|(char, _)| char.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

/// Go's `string([]byte)` made valid: one U+FFFD per invalid byte.
pub(crate) fn to_string(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => runes(error.as_bytes()).into_iter().collect(),
    }
}

pub(crate) fn push_char(out: &mut Vec<u8>, char: char) {
    out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

/// How many characters: Go's `utf8.RuneCount`.
pub(crate) fn count(bytes: &[u8]) -> usize {
    if bytes.is_ascii() {
        bytes.len()
    } else {
        chars(bytes).count()
    }
}

/// Go's `unicode.IsPrint`.
pub(crate) fn is_print(char: char) -> bool {
    if char.is_ascii() {
        return (' '..='~').contains(&char);
    }
    // Rust escapes the same characters in debug output, but for marks at the start of a text.
    let mut text = String::from("a");
    text.push(char);
    text.escape_debug().nth(1) == Some(char)
}

/// Go's simple upper-case mapping: one character to one character.
pub(crate) fn upper(char: char) -> char {
    let mut mapped = char.to_uppercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => match u32::from(char) {
            code @ (0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7) => {
                char::from_u32(code + 8).unwrap_or(char)
            }
            0x1fb3 => '\u{1fbc}',
            0x1fc3 => '\u{1fcc}',
            0x1ff3 => '\u{1ffc}',
            _ => char,
        },
    }
}

/// Go's simple title-case mapping.
pub(crate) fn title(char: char) -> char {
    match char {
        'Ǆ' | 'ǅ' | 'ǆ' => 'ǅ',
        'Ǉ' | 'ǈ' | 'ǉ' => 'ǈ',
        'Ǌ' | 'ǋ' | 'ǌ' => 'ǋ',
        'Ǳ' | 'ǲ' | 'ǳ' => 'ǲ',
        other => upper(other),
    }
}

/// Go's simple lower-case mapping.
pub(crate) fn lower(char: char) -> char {
    if char == 'İ' {
        return 'i';
    }
    let mut mapped = char.to_lowercase();
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => char,
    }
}

/// Go's `unicode.IsSpace`.
pub(crate) fn is_space(char: char) -> bool {
    char.is_whitespace()
}

/// Maps each character; invalid bytes become U+FFFD, as `strings.Map` makes them.
pub(crate) fn map(bytes: &[u8], with: impl Fn(char) -> char) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (char, _) in chars(bytes) {
        push_char(&mut out, with(char.unwrap_or(char::REPLACEMENT_CHARACTER)));
    }
    out
}

/// Go's `strconv.Quote`, or `QuoteToASCII`.
pub(crate) fn quote(bytes: &[u8], ascii: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    for (char, raw) in chars(bytes) {
        match char {
            Some(char) => escape(char, '"', ascii, out),
            None => {
                for byte in raw {
                    out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                }
            }
        }
    }
    out.push(b'"');
}

/// Go's `strconv.QuoteRune`, or `QuoteRuneToASCII`.
pub(crate) fn quote_char(char: char, ascii: bool, out: &mut Vec<u8>) {
    out.push(b'\'');
    escape(char, '\'', ascii, out);
    out.push(b'\'');
}

fn escape(char: char, quote: char, ascii: bool, out: &mut Vec<u8>) {
    if char == quote || char == '\\' {
        out.push(b'\\');
        push_char(out, char);
        return;
    }
    if char.is_ascii() && is_print(char) || !ascii && is_print(char) {
        push_char(out, char);
        return;
    }
    let code = u32::from(char);
    let escaped = match char {
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        _ if code < 0x20 || code == 0x7f => format!("\\x{code:02x}"),
        _ if code < 0x1_0000 => format!("\\u{code:04x}"),
        _ => format!("\\U{code:08x}"),
    };
    out.extend_from_slice(escaped.as_bytes());
}

/// Go's `strconv.CanBackquote`.
pub(crate) fn can_backquote(bytes: &[u8]) -> bool {
    chars(bytes).all(|(char, _)| match char {
        None | Some('`' | '\u{7f}' | '\u{feff}') => false,
        Some(char) => char >= ' ' || char == '\t',
    })
}
