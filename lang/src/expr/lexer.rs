//! Expression text to tokens with their places.
//! It never looks further than one word ahead.

use super::CompileError;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Number(String),
    Text(String),
    Bytes(Vec<u8>),
    /// Operators and the words that work as such.
    Operator(String),
    Bracket(char),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) offset: usize,
}

impl Token {
    pub(super) fn is_operator(&self, operator: &str) -> bool {
        matches!(&self.kind, Kind::Operator(found) if found == operator)
    }

    pub(super) fn is_bracket(&self, bracket: char) -> bool {
        self.kind == Kind::Bracket(bracket)
    }

    /// What it is, for messages.
    pub(super) fn describe(&self) -> String {
        let short = |text: &str| text.chars().take(60).collect::<String>();
        match &self.kind {
            Kind::Name(name) => format!("{:?}", short(name)),
            Kind::Number(digits) => format!("the number {}", short(digits)),
            Kind::Text(_) => "a text".to_owned(),
            Kind::Bytes(_) => "bytes".to_owned(),
            Kind::Operator(operator) => format!("`{operator}`"),
            Kind::Bracket(bracket) => format!("`{bracket}`"),
            Kind::End => "the end".to_owned(),
        }
    }
}

const WORDS: [&str; 11] = [
    "not",
    "in",
    "or",
    "and",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "let",
    "if",
    "else",
];

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '_' | '$')
}

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, CompileError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        tokens: Vec::new(),
    };
    while lexer.token()? {}
    let end = Token {
        kind: Kind::End,
        offset: text.len(),
    };
    lexer.tokens.push(end);
    Ok(lexer.tokens)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.at += char.len_utf8();
        Some(char)
    }

    fn accept(&mut self, accepted: &str) -> bool {
        let found = self.peek().is_some_and(|char| accepted.contains(char));
        if found {
            self.next();
        }
        found
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }

    fn error(&self, what: impl Into<String>, offset: usize) -> CompileError {
        CompileError::at(self.text, what, offset)
    }

    fn push(&mut self, kind: Kind, offset: usize) {
        self.tokens.push(Token { kind, offset });
    }

    fn operator(&mut self, offset: usize) {
        let operator = self
            .text
            .get(offset..self.at)
            .unwrap_or_default()
            .to_owned();
        self.push(Kind::Operator(operator), offset);
    }

    /// Reads one token; `false` at the end.
    fn token(&mut self) -> Result<bool, CompileError> {
        let offset = self.at;
        let Some(char) = self.next() else {
            return Ok(false);
        };
        match char {
            _ if char.is_whitespace() => {}
            '\'' | '"' => {
                let text = self.quoted(char, offset)?;
                self.push(Kind::Text(text), offset);
            }
            '`' => self.raw(offset)?,
            'b' | 'B' if self.rest().starts_with(['\'', '"']) => {
                let quote = self.next().unwrap_or_default();
                let bytes = self.bytes(quote, offset)?;
                self.push(Kind::Bytes(bytes), offset);
            }
            '0'..='9' => self.number(offset)?,
            '.' if self.rest().starts_with(|char: char| char.is_ascii_digit()) => {
                self.number(offset)?;
            }
            '.' => {
                self.accept(".");
                self.operator(offset);
            }
            '?' => {
                self.accept(".?");
                self.operator(offset);
            }
            '/' if self.accept("/") => self.take_while(|char| char != '\n'),
            '/' if self.accept("*") => {
                let Some(end) = self.rest().find("*/") else {
                    return Err(self.error("a comment is not closed", offset));
                };
                self.at += end + 2;
            }
            '#' => {
                self.accept("#");
                self.operator(offset);
                let start = self.at;
                self.take_while(is_word);
                if let Some(name) = self
                    .text
                    .get(start..self.at)
                    .filter(|name| !name.is_empty())
                {
                    self.push(Kind::Name(name.to_owned()), start);
                }
            }
            '|' | ':' => {
                self.accept(if char == '|' { "|" } else { ":" });
                self.operator(offset);
            }
            '(' | '[' | '{' | ')' | ']' | '}' => self.push(Kind::Bracket(char), offset),
            ',' | ';' | '%' | '+' | '-' | '^' | '/' => self.operator(offset),
            '&' | '!' | '=' | '*' | '<' | '>' => {
                self.accept("&=*");
                self.operator(offset);
            }
            _ if is_word(char) => {
                self.take_while(is_word);
                let word = self.text.get(offset..self.at).unwrap_or_default();
                if WORDS.contains(&word) {
                    self.operator(offset);
                } else {
                    self.push(Kind::Name(word.to_owned()), offset);
                }
            }
            _ => return Err(self.error(format!("{char:?} has no meaning"), offset)),
        }
        Ok(true)
    }

    fn number(&mut self, offset: usize) -> Result<(), CompileError> {
        self.at = offset;
        let mut digits = "0123456789_";
        if self.accept("0") {
            if self.accept("xX") {
                digits = "0123456789abcdefABCDEF_";
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.take_while(|char| digits.contains(char));
        // `1..2` is a range, not a number with a dot.
        if self.peek() == Some('.') && !self.rest().starts_with("..") {
            self.next();
            self.take_while(|char| digits.contains(char));
        }
        if !self.rest().starts_with("..") {
            if self.accept("eE") {
                self.accept("+-");
                self.take_while(|char| digits.contains(char));
            }
            if self.peek().is_some_and(is_word) {
                return Err(self.error("a number runs into a name", offset));
            }
        }
        let text = self
            .text
            .get(offset..self.at)
            .unwrap_or_default()
            .to_owned();
        self.push(Kind::Number(text), offset);
        Ok(())
    }

    fn raw(&mut self, offset: usize) -> Result<(), CompileError> {
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("a quote is not closed", offset)),
                // Two backticks stand for one.
                Some('`') if self.accept("`") => text.push('`'),
                Some('`') => break,
                Some(char) => text.push(char),
            }
        }
        self.push(Kind::Text(text), offset);
        Ok(())
    }

    fn quoted(&mut self, quote: char, offset: usize) -> Result<String, CompileError> {
        let mut text = String::new();
        loop {
            match self.next() {
                None | Some('\n') => return Err(self.error("a quote is not closed", offset)),
                Some('\\') => {
                    let code = self.escape(quote)?;
                    text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                Some('\r') => text.push('\n'),
                Some(char) if char == quote => return Ok(text),
                Some(char) => text.push(char),
            }
        }
    }

    fn bytes(&mut self, quote: char, offset: usize) -> Result<Vec<u8>, CompileError> {
        let mut bytes = Vec::new();
        loop {
            match self.next() {
                None | Some('\n') => return Err(self.error("a quote is not closed", offset)),
                Some('\\') => {
                    let place = self.at;
                    if self.rest().starts_with(['u', 'U']) {
                        return Err(self.error("bytes have no such escape", place));
                    }
                    let code = self.escape(quote)?;
                    let byte = u8::try_from(code);
                    bytes.push(byte.map_err(|_| self.error("the escape is no byte", place))?);
                }
                Some(char) if char == quote => return Ok(bytes),
                Some(char) => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<u32, CompileError> {
        let offset = self.at;
        let plain = match self.next() {
            Some('a') => 7,
            Some('b') => 8,
            Some('f') => 12,
            Some('n') => 10,
            Some('r') => 13,
            Some('t') => 9,
            Some('v') => 11,
            Some('\\') => u32::from('\\'),
            Some(char) if char == quote => u32::from(char),
            Some('0'..='3') => {
                self.at = offset;
                return self.digits(3, 8, offset);
            }
            Some('x') => return self.digits(2, 16, offset),
            Some('u') if self.accept("{") => {
                let start = self.at;
                self.take_while(|char| char.is_ascii_hexdigit());
                let digits = self.text.get(start..self.at).unwrap_or_default();
                let code = u32::from_str_radix(digits, 16)
                    .ok()
                    .filter(|_| digits.len() <= 6);
                return code
                    .filter(|code| self.accept("}") && *code <= 0x10_ffff)
                    .ok_or_else(|| self.error("an escape is incomplete", offset));
            }
            Some('u') => return self.digits(4, 16, offset),
            Some('U') => return self.digits(8, 16, offset),
            _ => return Err(self.error("the escape is unknown", offset)),
        };
        Ok(plain)
    }

    fn digits(&mut self, count: usize, base: u32, offset: usize) -> Result<u32, CompileError> {
        let digits = self.text.get(self.at..self.at + count).unwrap_or_default();
        let valid = digits.len() == count && digits.chars().all(|char| char.is_digit(base));
        let code = u32::from_str_radix(digits, base)
            .ok()
            .filter(|code| valid && *code <= 0x10_ffff);
        let code = code.ok_or_else(|| self.error("an escape is incomplete", offset))?;
        self.at += count;
        Ok(code)
    }
}
