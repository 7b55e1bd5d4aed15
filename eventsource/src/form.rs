//! Query strings and form bodies as Go reads them: names with lists of values. It keeps bytes and guesses no encoding.

use std::collections::BTreeMap;

use crate::json;

/// Names and their values, the names sorted, the values in the order in which they came.
pub(crate) type Fields = BTreeMap<Vec<u8>, Vec<Vec<u8>>>;

/// Why a form cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormError {
    /// A `%` without two hex digits behind it.
    #[error("{0:?} is not a percent escape")]
    Escape(String),
    /// `;` separates nothing.
    #[error("fields are separated by `&`, not by `;`")]
    Semicolon,
    /// The bytes behind the escapes are not text.
    #[error("a field is not UTF-8")]
    Utf8,
}

/// Reads a query string; pairs that cannot be read are left out, as Go does.
pub(crate) fn query(text: &str) -> Fields {
    let mut fields = Fields::new();
    for pair in pairs(text.as_bytes()) {
        if let Ok((name, value)) = read(pair) {
            fields.entry(name).or_default().push(value);
        }
    }
    fields
}

/// Reads a form body; every pair must be readable text.
pub(crate) fn form(body: &[u8]) -> Result<Fields, FormError> {
    let mut fields = Fields::new();
    for pair in pairs(body) {
        let (name, value) = read(pair)?;
        if str::from_utf8(&name).is_err() || str::from_utf8(&value).is_err() {
            return Err(FormError::Utf8);
        }
        fields.entry(name).or_default().push(value);
    }
    Ok(fields)
}

/// Appends the fields as an object of lists of strings.
pub(crate) fn write(fields: &Fields, out: &mut Vec<u8>) {
    out.push(b'{');
    for (index, (name, values)) in fields.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        json::write_string(name, out);
        out.extend_from_slice(b":[");
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::write_string(value, out);
        }
        out.push(b']');
    }
    out.push(b'}');
}

fn pairs(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
}

fn read(pair: &[u8]) -> Result<(Vec<u8>, Vec<u8>), FormError> {
    if pair.contains(&b';') {
        return Err(FormError::Semicolon);
    }
    let mut halves = pair.splitn(2, |byte| *byte == b'=');
    let name = unescape(halves.next().unwrap_or_default())?;
    let value = unescape(halves.next().unwrap_or_default())?;
    Ok((name, value))
}

fn unescape(text: &[u8]) -> Result<Vec<u8>, FormError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        match rest {
            [] => return Ok(out),
            [b'%', high, low, tail @ ..] => {
                let (Some(high), Some(low)) = (hex(*high), hex(*low)) else {
                    return Err(escape_error(rest));
                };
                out.push(high << 4 | low);
                rest = tail;
            }
            [b'%', ..] => return Err(escape_error(rest)),
            [b'+', tail @ ..] => {
                out.push(b' ');
                rest = tail;
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                rest = tail;
            }
        }
    }
}

fn escape_error(text: &[u8]) -> FormError {
    let shown = text.get(..3).unwrap_or(text);
    FormError::Escape(String::from_utf8_lossy(shown).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: &Fields) -> String {
        let mut out = Vec::new();
        write(fields, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn queries_become_objects_of_lists_as_in_go() {
        for (text, expected) in [
            ("ccc=d%20d&aaa=b%20b", r#"{"aaa":["b b"],"ccc":["d d"]}"#),
            ("a=1&a=2+3&b", r#"{"a":["1","2 3"],"b":[""]}"#),
            ("", "{}"),
            ("&&", "{}"),
            ("a=%zz&b=1&c;d=2", r#"{"b":["1"]}"#),
            ("a=%ff&<=1=2", r#"{"\u003c":["1=2"],"a":["\ufffd"]}"#),
        ] {
            assert_eq!(written(&query(text)), expected, "{text}");
        }
    }

    #[test]
    fn forms_must_be_readable() {
        assert_eq!(
            written(&form(b"a=b%20b&c=%C3%A9").unwrap()),
            r#"{"a":["b b"],"c":["é"]}"#
        );
        assert_eq!(form(b"a=%zz"), Err(FormError::Escape("%zz".into())));
        assert_eq!(form(b"a=%4"), Err(FormError::Escape("%4".into())));
        assert_eq!(form(b"a=%ff"), Err(FormError::Utf8));
        assert_eq!(form(b"a=1;b=2"), Err(FormError::Semicolon));
    }
}
