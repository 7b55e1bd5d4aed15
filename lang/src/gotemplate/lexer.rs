//! Template text to tokens.
//! It never fails by itself: what cannot be read becomes the last token, so that earlier mistakes come first.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Error,
    Eof,
    Text,
    LeftDelim,
    RightDelim,
    Space,
    Assign,
    Declare,
    Pipe,
    Str,
    RawStr,
    Variable,
    Char,
    CharConstant,
    Dot,
    Field,
    Number,
    Complex,
    Bool,
    Identifier,
    LeftParen,
    RightParen,
    Keyword,
}

/// A token and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
    /// Of an error only.
    pub(super) message: String,
}

const KEYWORDS: [&str; 12] = [
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template",
    "with", "",
];

/// All tokens; the last is `Eof` or `Error`.
pub(super) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text,
        pos: 0,
        start: 0,
        parens: 0,
        tokens: Vec::new(),
    };
    if let Err(message) = lexer.run() {
        let start = lexer.start;
        lexer.tokens.push(Token {
            kind: Kind::Error,
            start,
            end: lexer.pos,
            message,
        });
    } else {
        lexer.start = lexer.pos;
        lexer.emit(Kind::Eof);
    }
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    pos: usize,
    start: usize,
    parens: usize,
    tokens: Vec<Token>,
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\r' | '\n')
}

fn is_word(char: char) -> bool {
    char == '_' || char.is_alphanumeric()
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let char = self.peek()?;
        self.pos += char.len_utf8();
        Some(char)
    }

    fn emit(&mut self, kind: Kind) {
        self.tokens.push(Token {
            kind,
            start: self.start,
            end: self.pos,
            message: String::new(),
        });
        self.start = self.pos;
    }

    fn run(&mut self) -> Result<(), String> {
        loop {
            let rest = self.rest();
            let Some(found) = rest.find("{{") else {
                self.pos = self.text.len();
                if self.pos > self.start {
                    self.emit(Kind::Text);
                }
                return Ok(());
            };
            let before = rest.get(..found).unwrap_or_default();
            let after = rest.get(found + 2..).unwrap_or_default();
            let trim = left_trim(after);
            let kept = if trim {
                before.trim_end_matches(is_space)
            } else {
                before
            };
            if !kept.is_empty() {
                self.pos += kept.len();
                self.emit(Kind::Text);
                self.pos -= kept.len();
            }
            self.pos += found;
            self.start = self.pos;
            let inside = if trim {
                after.get(2..).unwrap_or_default()
            } else {
                after
            };
            if inside.starts_with("/*") {
                self.pos += if trim { 4 } else { 2 };
                self.comment()?;
            } else {
                self.pos += 2;
                self.emit(Kind::LeftDelim);
                self.pos += if trim { 2 } else { 0 };
                self.start = self.pos;
                self.parens = 0;
                self.action()?;
            }
        }
    }

    fn comment(&mut self) -> Result<(), String> {
        self.start = self.pos;
        self.pos += 2;
        let Some(end) = self.rest().find("*/") else {
            return Err("unclosed comment".to_owned());
        };
        self.pos += end + 2;
        let Some(trim) = self.at_right() else {
            return Err("comment ends before closing delimiter".to_owned());
        };
        self.pass_right(trim);
        self.start = self.pos;
        Ok(())
    }

    /// Whether a right delimiter is next, and whether it trims.
    fn at_right(&self) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with("}}") {
            return Some(false);
        }
        let trimmed = rest.strip_prefix(is_space)?.strip_prefix("-}}");
        trimmed.map(|_| true)
    }

    fn pass_right(&mut self, trim: bool) {
        self.pos += if trim { 4 } else { 2 };
        if trim {
            let rest = self.rest();
            self.pos += rest.len() - rest.trim_start_matches(is_space).len();
        }
    }

    fn action(&mut self) -> Result<(), String> {
        loop {
            if let Some(trim) = self.at_right() {
                if self.parens > 0 {
                    return Err("unclosed left paren".to_owned());
                }
                self.start = self.pos;
                self.pos += if trim { 4 } else { 2 };
                self.emit(Kind::RightDelim);
                if trim {
                    let rest = self.rest();
                    self.pos += rest.len() - rest.trim_start_matches(is_space).len();
                }
                self.start = self.pos;
                return Ok(());
            }
            let Some(char) = self.next() else {
                return Err("unclosed action".to_owned());
            };
            match char {
                char if is_space(char) => {
                    while self.at_right().is_none() && self.peek().is_some_and(is_space) {
                        self.next();
                    }
                    self.emit(Kind::Space);
                }
                '=' => self.emit(Kind::Assign),
                ':' => {
                    if self.next() != Some('=') {
                        return Err("expected :=".to_owned());
                    }
                    self.emit(Kind::Declare);
                }
                '|' => self.emit(Kind::Pipe),
                '"' => self.quoted('"', "unterminated quoted string", Kind::Str)?,
                '\'' => self.quoted('\'', "unterminated character constant", Kind::CharConstant)?,
                '`' => {
                    let end = self.rest().find('`');
                    let end = end.ok_or_else(|| "unterminated raw quoted string".to_owned())?;
                    self.pos += end + 1;
                    self.emit(Kind::RawStr);
                }
                '$' => self.name(Kind::Variable, Kind::Variable)?,
                '.' if !self.peek().is_some_and(|next| next.is_ascii_digit()) => {
                    self.name(Kind::Field, Kind::Dot)?;
                }
                '.' | '+' | '-' | '0'..='9' => {
                    self.pos = self.start;
                    self.number()?;
                }
                char if is_word(char) => self.word()?,
                '(' => {
                    self.parens += 1;
                    self.emit(Kind::LeftParen);
                }
                ')' => {
                    let left = self.parens.checked_sub(1);
                    self.parens = left.ok_or_else(|| "unexpected right paren".to_owned())?;
                    self.emit(Kind::RightParen);
                }
                ' '..='~' => self.emit(Kind::Char),
                char => return Err(format!("unrecognized character in action: {}", code(char))),
            }
        }
    }

    fn quoted(&mut self, quote: char, unterminated: &str, kind: Kind) -> Result<(), String> {
        loop {
            match self.next() {
                Some('\\') => {
                    if matches!(self.next(), None | Some('\n')) {
                        return Err(unterminated.to_owned());
                    }
                }
                None | Some('\n') => return Err(unterminated.to_owned()),
                Some(char) if char == quote => break,
                Some(_) => {}
            }
        }
        self.emit(kind);
        Ok(())
    }

    fn at_terminator(&self) -> bool {
        match self.peek() {
            None | Some('.' | ',' | '|' | ':' | ')' | '(') => true,
            Some(char) => is_space(char) || self.rest().starts_with("}}"),
        }
    }

    fn name(&mut self, full: Kind, bare: Kind) -> Result<(), String> {
        if self.at_terminator() {
            self.emit(bare);
            return Ok(());
        }
        self.pass_word()?;
        self.emit(full);
        Ok(())
    }

    fn pass_word(&mut self) -> Result<(), String> {
        while self.peek().is_some_and(is_word) {
            self.next();
        }
        match self.peek() {
            Some(char) if !self.at_terminator() => Err(format!("bad character {}", code(char))),
            _ => Ok(()),
        }
    }

    fn word(&mut self) -> Result<(), String> {
        self.pass_word()?;
        let word = self.text.get(self.start..self.pos).unwrap_or_default();
        let kind = match word {
            "true" | "false" => Kind::Bool,
            word if KEYWORDS.contains(&word) => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.emit(kind);
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        if !self.scan_number() {
            return Err(self.bad_number());
        }
        if matches!(self.peek(), Some('+' | '-')) {
            let imaginary = self.scan_number();
            let scanned = self.text.get(self.start..self.pos).unwrap_or_default();
            if !imaginary || !scanned.ends_with('i') {
                return Err(self.bad_number());
            }
            self.emit(Kind::Complex);
        } else {
            self.emit(Kind::Number);
        }
        Ok(())
    }

    fn bad_number(&self) -> String {
        let scanned = self.text.get(self.start..self.pos).unwrap_or_default();
        format!("bad number syntax: {scanned:?}")
    }

    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|char| set.contains(char));
        if found {
            self.next();
        }
        found
    }

    fn accept_run(&mut self, set: &str) {
        while self.accept(set) {}
    }

    fn scan_number(&mut self) -> bool {
        const DECIMAL: &str = "0123456789_";
        const HEX: &str = "0123456789abcdefABCDEF_";
        self.accept("+-");
        let mut digits = DECIMAL;
        if self.accept("0") {
            if self.accept("xX") {
                digits = HEX;
            } else if self.accept("oO") {
                digits = "01234567_";
            } else if self.accept("bB") {
                digits = "01_";
            }
        }
        self.accept_run(digits);
        if self.accept(".") {
            self.accept_run(digits);
        }
        let exponent = if digits == DECIMAL { "eE" } else { "pP" };
        if (digits == DECIMAL || digits == HEX) && self.accept(exponent) {
            self.accept("+-");
            self.accept_run(DECIMAL);
        }
        self.accept("i");
        if self.peek().is_some_and(is_word) {
            self.next();
            return false;
        }
        true
    }
}

fn left_trim(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(is_space))
}

/// A character as Go's `%#U` writes it.
fn code(char: char) -> String {
    format!("U+{:04X} {char:?}", u32::from(char))
}
