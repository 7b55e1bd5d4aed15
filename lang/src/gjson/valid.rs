//! Whether a text is JSON, at any depth.
//! It never recurses: the open brackets are a list, one byte each.

/// Whether a text is one JSON document, with space around it allowed.
#[must_use]
pub fn valid(json: &[u8]) -> bool {
    check(json).is_some()
}

/// What may come next.
#[derive(Clone, Copy, PartialEq)]
enum Want {
    Value,
    /// After `[`.
    ValueOrEnd,
    /// After `{`.
    KeyOrEnd,
    Key,
    CommaOrEnd,
}

fn check(json: &[u8]) -> Option<()> {
    let mut open: Vec<u8> = Vec::new();
    let mut want = Want::Value;
    let mut rest = json;
    loop {
        rest = space(rest);
        if want == Want::CommaOrEnd && open.is_empty() {
            return rest.is_empty().then_some(());
        }
        let (&byte, after) = rest.split_first()?;
        match (want, byte) {
            (Want::CommaOrEnd, b',') => {
                want = if open.last() == Some(&b'{') {
                    Want::Key
                } else {
                    Want::Value
                };
                rest = after;
            }
            (Want::CommaOrEnd | Want::ValueOrEnd, b']') if open.last() == Some(&b'[') => {
                open.pop();
                want = Want::CommaOrEnd;
                rest = after;
            }
            (Want::CommaOrEnd | Want::KeyOrEnd, b'}') if open.last() == Some(&b'{') => {
                open.pop();
                want = Want::CommaOrEnd;
                rest = after;
            }
            (Want::Key | Want::KeyOrEnd, b'"') => {
                rest = space(string(after)?).strip_prefix(b":")?;
                want = Want::Value;
            }
            (Want::Value | Want::ValueOrEnd, b'{' | b'[') => {
                open.push(byte);
                want = if byte == b'{' {
                    Want::KeyOrEnd
                } else {
                    Want::ValueOrEnd
                };
                rest = after;
            }
            (Want::Value | Want::ValueOrEnd, _) => {
                rest = scalar(byte, rest, after)?;
                want = Want::CommaOrEnd;
            }
            _ => return None,
        }
    }
}

fn scalar<'a>(byte: u8, rest: &'a [u8], after: &'a [u8]) -> Option<&'a [u8]> {
    match byte {
        b'"' => string(after),
        b't' => rest.strip_prefix(b"true"),
        b'f' => rest.strip_prefix(b"false"),
        b'n' => rest.strip_prefix(b"null"),
        b'-' | b'0'..=b'9' => number(rest),
        _ => None,
    }
}

fn space(text: &[u8]) -> &[u8] {
    let start = text
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    text.get(start.unwrap_or(text.len())..).unwrap_or_default()
}

fn digits(text: &[u8]) -> Option<&[u8]> {
    let end = text
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(text.len());
    if end == 0 { None } else { text.get(end..) }
}

fn number(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let mut rest = match text {
        [b'0', rest @ ..] => rest,
        _ => digits(text)?,
    };
    if let [b'.', fraction @ ..] = rest {
        rest = digits(fraction)?;
    }
    match rest {
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            digits(exponent)
        }
        _ => Some(rest),
    }
}

fn string(mut text: &[u8]) -> Option<&[u8]> {
    loop {
        let plain = text
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))?;
        let (byte, after) = text.get(plain..)?.split_first()?;
        text = match (byte, after) {
            (b'"', after) => return Some(after),
            (
                b'\\',
                [
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't',
                    rest @ ..,
                ],
            ) => rest,
            (b'\\', [b'u', a, b, c, d, rest @ ..])
                if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) =>
            {
                rest
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_told_from_what_is_not() {
        for text in [
            "1",
            " -0.5e+3 ",
            "\"\"",
            "[]",
            "{}",
            "[1,[2],{\"a\":{}}]",
            "{\"a\":1,\"b\":[true,null]}",
            "\"\\u00e9\\n\"",
            "false",
        ] {
            assert!(valid(text.as_bytes()), "{text}");
        }
        for text in [
            "",
            " ",
            "01",
            "1.",
            "-",
            "1e",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "[}",
            "]",
            "1 2",
            "\"\n\"",
            "\"\\x\"",
            "\"\\u12\"",
            "tru",
            "{1:2}",
            "[1 2]",
            "\"a",
        ] {
            assert!(!valid(text.as_bytes()), "{text}");
        }
        let deep = "[".repeat(1_000_000);
        assert!(!valid(deep.as_bytes()));
        assert!(valid(format!("{deep}{}", "]".repeat(1_000_000)).as_bytes()));
    }
}
