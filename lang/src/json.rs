//! JSON text to [`Value`] and back, with number digits kept and nesting bounded.
//! It never recurses on input without counting, so no document can overflow the stack.

use crate::value::{Map, Number, Value};

/// The deepest nesting that is read: far beyond any real document, far below the stack.
pub const MAX_DEPTH: usize = 500;

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not JSON: {what} at byte {offset}")]
pub struct JsonError {
    /// What was found or missing.
    pub what: &'static str,
    /// Bytes from the start of the text.
    pub offset: usize,
}

/// Reads one JSON document; space around it is allowed, anything else is not.
///
/// Of repeated keys the last wins, as in Go.
///
/// # Errors
/// For anything RFC 8259 does not allow, invalid UTF-8, and nesting beyond [`MAX_DEPTH`].
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.error("text after the document"));
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn error(&self, what: &'static str) -> JsonError {
        JsonError {
            what,
            offset: self.at,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        match self.peek() {
            None => Err(self.error("unexpected end")),
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.error("unexpected character")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Result<Value, JsonError> {
        let found = self.text.get(self.at..self.at + word.len());
        if found != Some(word.as_bytes()) {
            return Err(self.error("unexpected character"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut map = Map::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(map));
        }
        loop {
            self.space();
            if self.peek() != Some(b'"') {
                return Err(self.error("expected a key in quotes"));
            }
            let key = self.string()?;
            self.space();
            if self.peek() != Some(b':') {
                return Err(self.error("expected a colon"));
            }
            self.at += 1;
            self.space();
            let value = self.value(depth + 1)?;
            map.insert(key, value);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(map));
                }
                _ => return Err(self.error("expected a comma or `}`")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(self.error("expected a comma or `]`")),
            }
        }
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err(self.error("expected a digit"))
        } else {
            Ok(())
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let digits = self.text.get(start..self.at).unwrap_or_default();
        let text = str::from_utf8(digits).map_err(|_| self.error("expected a digit"))?;
        Ok(Value::Number(Number::from_json_text(text)))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest
                .iter()
                .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
                .ok_or_else(|| self.error("unterminated string"))?;
            out.extend_from_slice(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    let text = String::from_utf8(out)
                        .map_err(|_| self.error("invalid UTF-8 in a string"))?;
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut out)?;
                }
                _ => return Err(self.error("control character in a string")),
            }
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), JsonError> {
        let byte = self
            .peek()
            .ok_or_else(|| self.error("unterminated string"))?;
        self.at += 1;
        let plain = match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let first = self.hex()?;
                let mut code = u32::from(first);
                if (0xd800..0xdc00).contains(&first)
                    && self.text.get(self.at..self.at + 2) == Some(b"\\u")
                {
                    let back = self.at;
                    self.at += 2;
                    let second = self.hex()?;
                    if (0xdc00..0xe000).contains(&second) {
                        code = 0x10000 + ((code - 0xd800) << 10) + (u32::from(second) - 0xdc00);
                    } else {
                        self.at = back;
                    }
                }
                // A lone surrogate becomes the replacement character, as in Go.
                let decoded = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(decoded.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(self.error("unknown escape")),
        };
        out.push(plain);
        Ok(())
    }

    fn hex(&mut self) -> Result<u16, JsonError> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .and_then(|four| str::from_utf8(four).ok());
        let digits = digits.filter(|four| four.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = digits.and_then(|four| u16::from_str_radix(four, 16).ok());
        let code = code.ok_or_else(|| self.error("expected four hex digits"))?;
        self.at += 4;
        Ok(code)
    }
}

/// How strings are escaped when written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Quotes, backslashes and control characters only.
    Plain,
    /// As Go's `encoding/json` does: also `<`, `>`, `&`, U+2028 and U+2029.
    Html,
}

/// Appends compact JSON.
pub fn write(value: &Value, escape: Escape, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::String(text) => write_string(text, escape, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, escape, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, escape, out);
                out.push(':');
                write(item, escape, out);
            }
            out.push('}');
        }
    }
}

/// Appends one quoted string.
pub fn write_string(text: &str, escape: Escape, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' if escape == Escape::Html => push_code(char, out),
            '\u{2028}' | '\u{2029}' if escape == Escape::Html => push_code(char, out),
            char if char < ' ' => push_code(char, out),
            char => out.push(char),
        }
    }
    out.push('"');
}

fn push_code(char: char, out: &mut String) {
    out.push_str(&format!("\\u{:04x}", u32::from(char)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn same(text: &str) {
        assert_eq!(parse(text.as_bytes()).unwrap().to_json(), text);
    }

    #[test]
    fn what_is_read_is_written_again() {
        same(r#"{"a":[1,2.50,-0,1e10,12345678901234567890],"b":null,"c":"é\n\"<"}"#);
        same("true");
        same(r#""""#);
    }

    #[test]
    fn escapes_are_decoded() {
        let text = br#""\u0041\ud83d\ude00\ud800x\/\b""#;
        assert_eq!(parse(text).unwrap(), Value::from("A😀\u{fffd}x/\u{8}"));
    }

    #[test]
    fn html_is_escaped_as_go_does() {
        let mut out = String::new();
        write(&Value::from("<a>&\u{2028}"), Escape::Html, &mut out);
        assert_eq!(out, r#""\u003ca\u003e\u0026\u2028""#);
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        for (text, what, offset) in [
            (&b""[..], "unexpected end", 0),
            (b"{", "expected a key in quotes", 1),
            (b"[1,]", "unexpected character", 3),
            (b"01", "text after the document", 1),
            (b"1 2", "text after the document", 2),
            (b"\"\x01\"", "control character in a string", 1),
            (b"\"\xff\"", "invalid UTF-8 in a string", 2),
            (b"nul", "unexpected character", 0),
            (b"\"\\u+123\"", "expected four hex digits", 3),
        ] {
            assert_eq!(parse(text), Err(JsonError { what, offset }));
        }
        let deep = "[".repeat(100_000);
        assert_eq!(
            parse(deep.as_bytes()).unwrap_err().what,
            "nested too deeply"
        );
    }
}
