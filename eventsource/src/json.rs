//! JSON text as Go's `encoding/json` writes it: one pass that checks, compacts and escapes. It builds no tree and never recurses.

use tiphys_lang::json::{JsonError, MAX_DEPTH};

/// The deepest nesting of a body: one less than what a sensor reads, because the event wraps it once.
pub(crate) const BODY_DEPTH: usize = MAX_DEPTH - 1;

/// Appends `text` without space between its tokens and with HTML characters escaped, if it is one JSON document.
///
/// Digits and key order stay as they were written.
pub(crate) fn compact(text: &str, out: &mut Vec<u8>) -> Result<(), JsonError> {
    let mut scan = Scan {
        text: text.as_bytes(),
        at: 0,
        out,
    };
    // Whether each open bracket is an object's.
    let mut open: Vec<bool> = Vec::new();
    let mut expect = Expect::Value;
    loop {
        scan.space();
        let Some(byte) = scan.peek() else {
            return match (expect, open.is_empty()) {
                (Expect::Next, true) => Ok(()),
                _ => Err(scan.error("unexpected end")),
            };
        };
        expect = match (expect, byte) {
            (Expect::Next, _) => match (open.last(), byte) {
                (None, _) => return Err(scan.error("text after the document")),
                (Some(true), b',') => scan.token(byte, Expect::Key),
                (Some(false), b',') => scan.token(byte, Expect::Value),
                (Some(true), b'}') | (Some(false), b']') => {
                    open.pop();
                    scan.token(byte, Expect::Next)
                }
                (Some(true), _) => return Err(scan.error("expected a comma or `}`")),
                (Some(false), _) => return Err(scan.error("expected a comma or `]`")),
            },
            (Expect::KeyOrEnd, b'}') | (Expect::ValueOrEnd, b']') => {
                open.pop();
                scan.token(byte, Expect::Next)
            }
            (Expect::Key | Expect::KeyOrEnd, b'"') => {
                scan.string()?;
                scan.space();
                if scan.peek() != Some(b':') {
                    return Err(scan.error("expected a colon"));
                }
                scan.token(b':', Expect::Value)
            }
            (Expect::Key | Expect::KeyOrEnd, _) => {
                return Err(scan.error("expected a key in quotes"));
            }
            (Expect::Value | Expect::ValueOrEnd, b'{' | b'[') => {
                if open.len() >= BODY_DEPTH {
                    return Err(scan.error("nested too deeply"));
                }
                let object = byte == b'{';
                open.push(object);
                let inside = if object {
                    Expect::KeyOrEnd
                } else {
                    Expect::ValueOrEnd
                };
                scan.token(byte, inside)
            }
            (Expect::Value | Expect::ValueOrEnd, _) => {
                scan.scalar(byte)?;
                Expect::Next
            }
        };
    }
}

/// What may come next in a document.
#[derive(Clone, Copy)]
enum Expect {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Next,
}

struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    out: &'a mut Vec<u8>,
}

impl Scan<'_> {
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

    fn token(&mut self, byte: u8, next: Expect) -> Expect {
        self.at += 1;
        self.out.push(byte);
        next
    }

    fn copy(&mut self, from: usize) {
        let run = self.text.get(from..self.at).unwrap_or_default();
        self.out.extend_from_slice(run);
    }

    fn scalar(&mut self, first: u8) -> Result<(), JsonError> {
        match first {
            b'"' => self.string(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err(self.error("unexpected character")),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        let from = self.at;
        if self.text.get(from..from + word.len()) != Some(word.as_bytes()) {
            return Err(self.error("unexpected character"));
        }
        self.at += word.len();
        self.copy(from);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from {
            return Err(self.error("expected a digit"));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), JsonError> {
        let from = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
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
        self.copy(from);
        Ok(())
    }

    fn string(&mut self) -> Result<(), JsonError> {
        let mut from = self.at;
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let plain = rest.iter().position(|byte| {
                matches!(byte, b'"' | b'\\' | 0..=0x1f | b'<' | b'>' | b'&' | 0xe2)
            });
            let Some(plain) = plain else {
                return Err(self.error("unterminated string"));
            };
            self.at += plain;
            match rest.get(plain..).unwrap_or_default() {
                [b'"', ..] => {
                    self.at += 1;
                    self.copy(from);
                    return Ok(());
                }
                [b'\\', escape, ..] => {
                    self.at += 1;
                    self.escape(*escape)?;
                }
                [byte @ (b'<' | b'>' | b'&'), ..] => {
                    self.copy(from);
                    push_code(u32::from(*byte), self.out);
                    self.at += 1;
                    from = self.at;
                }
                [0xe2, 0x80, last @ (0xa8 | 0xa9), ..] => {
                    self.copy(from);
                    push_code(0x2000 + u32::from(*last) - 0x80, self.out);
                    self.at += 3;
                    from = self.at;
                }
                [0xe2, ..] => self.at += 1,
                [b'\\'] => return Err(self.error("unterminated string")),
                _ => return Err(self.error("control character in a string")),
            }
        }
    }

    fn escape(&mut self, escape: u8) -> Result<(), JsonError> {
        self.at += 1;
        match escape {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => {
                let hex = self.text.get(self.at..self.at + 4);
                if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
                    return Err(self.error("expected four hex digits"));
                }
                self.at += 4;
                Ok(())
            }
            _ => Err(self.error("unknown escape")),
        }
    }
}

/// Appends `text` in quotes. Each byte that is not UTF-8 becomes the replacement character.
pub(crate) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for chunk in text.utf8_chunks() {
        write_run(chunk.valid(), out);
        for _ in chunk.invalid() {
            push_code(0xfffd, out);
        }
    }
    out.push(b'"');
}

fn write_run(text: &str, out: &mut Vec<u8>) {
    let special = |char: char| {
        matches!(
            char,
            '"' | '\\' | '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut rest = text;
    while let Some(at) = rest.find(special) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let mut chars = tail.chars();
        match chars.next() {
            Some(char @ ('"' | '\\')) => out.extend_from_slice(&[b'\\', char as u8]),
            Some('\n') => out.extend_from_slice(b"\\n"),
            Some('\r') => out.extend_from_slice(b"\\r"),
            Some('\t') => out.extend_from_slice(b"\\t"),
            Some('\u{8}') => out.extend_from_slice(b"\\b"),
            Some('\u{c}') => out.extend_from_slice(b"\\f"),
            Some(char) => push_code(u32::from(char), out),
            None => {}
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
}

/// Appends one UTF-16 unit as an escape.
pub(crate) fn push_code(code: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\u{code:04x}").as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn compacted(text: &str) -> Result<String, JsonError> {
        let mut out = Vec::new();
        compact(text, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn space_goes_and_everything_else_stays_as_go_leaves_it() {
        for (text, expected) in [
            (
                " { \"b\" : [ 1 , 2.50, -0, 1E+5 ] ,\n\"a\":null } ",
                r#"{"b":[1,2.50,-0,1E+5],"a":null}"#,
            ),
            ("12345678901234567890", "12345678901234567890"),
            (
                r#""a <b> & \u00e9 \" \\ \/""#,
                r#""a \u003cb\u003e \u0026 \u00e9 \" \\ \/""#,
            ),
            ("\"\u{2028}€\u{2029}\"", r#""\u2028€\u2029""#),
            ("[]", "[]"),
            ("{}", "{}"),
            ("[[],{},\"\"]", "[[],{},\"\"]"),
            ("true", "true"),
            ("null", "null"),
        ] {
            assert_eq!(compacted(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_as_the_reader_of_sensors_refuses_it() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "[,1]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1 2",
            "-",
            "1.",
            "1e",
            "+1",
            ".5",
            "nul",
            "truex",
            "\"",
            "\"\\",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\u{1}\"",
            "Invalid JSON",
            "[1}",
            "{\"a\":1]",
            "}",
            "]",
            "\u{feff}{}",
            "{\"a\":1}}",
            "NaN",
        ] {
            let ours = compacted(text).map(|_| ());
            let theirs = tiphys_lang::json::parse(text.as_bytes()).map(|_| ());
            assert!(ours.is_err(), "{text}");
            assert_eq!(ours.is_err(), theirs.is_err(), "{text}: {theirs:?}");
        }
        let error = compacted("Invalid JSON").unwrap_err();
        assert_eq!((error.what, error.offset), ("unexpected character", 0));
    }

    #[test]
    fn nesting_is_bounded_so_that_the_event_can_be_read() {
        let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        let deepest = compacted(&nested(BODY_DEPTH)).unwrap();
        let event = format!(r#"{{"body":{deepest}}}"#);
        assert!(tiphys_lang::json::parse(event.as_bytes()).is_ok());
        for depth in [BODY_DEPTH + 1, 10_000, 1_000_000] {
            let error = compacted(&nested(depth)).unwrap_err();
            assert_eq!(error.what, "nested too deeply");
        }
    }

    /// Text that is JSON, or nearly.
    fn nearly_json() -> impl Strategy<Value = String> {
        let token = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"<\\u00e9\u{2028}€\"",
            "1",
            "-0.5e+3",
            "true",
            "null",
            " ",
            "\n",
            "\"",
            "\\",
            "\u{1}",
            "0",
            ".",
        ]);
        prop::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
    }

    proptest! {
        #[test]
        fn what_sensors_read_is_accepted_and_nothing_else(text in nearly_json()) {
            let ours = compacted(&text).map(|json| tiphys_lang::json::parse(json.as_bytes()));
            let theirs = tiphys_lang::json::parse(text.as_bytes());
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}: {:?}", text, theirs);
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours, Ok(theirs));
            }
        }

        #[test]
        fn any_bytes_become_a_string_that_can_be_read(bytes: Vec<u8>) {
            let mut out = Vec::new();
            write_string(&bytes, &mut out);
            let read = tiphys_lang::json::parse(&out);
            if let Ok(text) = str::from_utf8(&bytes) {
                prop_assert_eq!(read, Ok(tiphys_lang::Value::from(text)));
            } else {
                prop_assert!(read.is_ok());
            }
        }
    }
}
