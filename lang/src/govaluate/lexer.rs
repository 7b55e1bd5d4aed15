//! Text to tokens, and which token may follow which.
//! It never looks at values: only at the shape of the text.

use super::{CompileError, dates};
use crate::value::Number;

/// What a token is, with its text where that matters.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Prefix(Prefix),
    Number(Number),
    Bool(bool),
    Text(String),
    Time { seconds: i64, text: String },
    Variable(String),
    Accessor(String),
    Open,
    Close,
    Operator(Operator),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Negate,
    Not,
    Invert,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Separate,
    Then,
    Else,
    Coalesce,
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Matches,
    MatchesNot,
    In,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Power,
}

impl Operator {
    /// Binding strength, loosest first.
    pub(super) fn level(self) -> u8 {
        match self {
            Self::Separate => 0,
            Self::Then | Self::Else | Self::Coalesce => 1,
            Self::Or => 2,
            Self::And => 3,
            Self::Equal | Self::NotEqual | Self::Less | Self::LessOrEqual | Self::Greater => 4,
            Self::GreaterOrEqual | Self::Matches | Self::MatchesNot | Self::In => 4,
            Self::BitAnd | Self::BitOr | Self::BitXor => 5,
            Self::ShiftLeft | Self::ShiftRight => 6,
            Self::Add | Self::Subtract => 7,
            Self::Multiply | Self::Divide | Self::Modulo => 8,
            Self::Power => 9,
        }
    }

    pub(super) fn symbol(self) -> &'static str {
        SYMBOLS
            .iter()
            .find(|(_, operator)| *operator == self)
            .map_or("in", |(symbol, _)| symbol)
    }

    /// The class that decides what may stand around it.
    fn class(self) -> Class {
        match self.level() {
            0 => Class::Separator,
            1 => Class::Ternary,
            2 | 3 => Class::Logical,
            4 => Class::Comparator,
            _ => Class::Modifier,
        }
    }
}

const SYMBOLS: [(&str, Operator); 25] = [
    ("+", Operator::Add),
    ("-", Operator::Subtract),
    ("*", Operator::Multiply),
    ("/", Operator::Divide),
    ("%", Operator::Modulo),
    ("**", Operator::Power),
    ("&", Operator::BitAnd),
    ("|", Operator::BitOr),
    ("^", Operator::BitXor),
    (">>", Operator::ShiftRight),
    ("<<", Operator::ShiftLeft),
    ("&&", Operator::And),
    ("||", Operator::Or),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    (">", Operator::Greater),
    (">=", Operator::GreaterOrEqual),
    ("<", Operator::Less),
    ("<=", Operator::LessOrEqual),
    ("=~", Operator::Matches),
    ("!~", Operator::MatchesNot),
    ("?", Operator::Then),
    (":", Operator::Else),
    ("??", Operator::Coalesce),
    (",", Operator::Separate),
];

/// Tokens as neighbours see them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Start,
    Prefix,
    /// Numbers, booleans, texts and variables.
    Value,
    Text,
    Time,
    Accessor,
    Open,
    Close,
    Modifier,
    Comparator,
    Logical,
    Ternary,
    Separator,
}

impl Kind {
    fn class(&self) -> Class {
        match self {
            Self::Prefix(_) => Class::Prefix,
            Self::Number(_) | Self::Bool(_) | Self::Variable(_) => Class::Value,
            Self::Text(_) => Class::Text,
            Self::Time { .. } => Class::Time,
            Self::Accessor(_) => Class::Accessor,
            Self::Open => Class::Open,
            Self::Close => Class::Close,
            Self::Operator(operator) => operator.class(),
        }
    }
}

/// Whether a token of the second class may follow one of the first.
fn may_follow(before: Class, next: Class) -> bool {
    use Class::{Accessor, Close, Comparator, Logical, Modifier, Open, Prefix, Separator, Start};
    use Class::{Ternary, Text, Time, Value};
    let operand = matches!(next, Prefix | Value | Accessor | Open);
    match before {
        Start => operand || matches!(next, Text | Time),
        Open => operand || matches!(next, Text | Time | Close),
        // Two operands in a row are let through here; the second one is then never looked at.
        Close => !matches!(next, Prefix | Accessor | Start),
        Value | Text => matches!(
            next,
            Modifier | Comparator | Logical | Close | Ternary | Separator
        ),
        Time => matches!(next, Modifier | Comparator | Logical | Close | Separator),
        Accessor => matches!(
            next,
            Open | Modifier | Comparator | Logical | Close | Ternary | Separator
        ),
        Modifier => operand || matches!(next, Text | Close),
        Comparator | Logical => operand || matches!(next, Text | Time | Close),
        Prefix => matches!(next, Value | Accessor | Open | Close),
        Ternary => operand || matches!(next, Text | Time | Separator),
        Separator => operand || matches!(next, Text | Time),
    }
}

/// A token and where it starts.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) offset: usize,
}

/// All tokens of a text that is shaped like an expression.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, CompileError> {
    let mut lexer = Lexer {
        chars: text.char_indices().collect(),
        at: 0,
        end: text.len(),
    };
    let mut tokens: Vec<Token> = Vec::new();
    let mut before = Class::Start;
    let mut open = 0_i64;
    while let Some(token) = lexer.token(before)? {
        let next = token.kind.class();
        if !may_follow(before, next) {
            let variable = matches!(
                tokens.last().map(|token| &token.kind),
                Some(Kind::Variable(_))
            );
            let what = match (variable, next) {
                (true, Class::Open) => "there are no functions: a name cannot be called".to_owned(),
                _ => format!("{} cannot stand here", describe(&token.kind)),
            };
            return Err(CompileError {
                what,
                offset: token.offset,
            });
        }
        open += match next {
            Class::Open => 1,
            Class::Close => -1,
            _ => 0,
        };
        before = next;
        tokens.push(token);
    }
    if open != 0 {
        return Err(lexer.error_at(lexer.end, "parentheses do not match"));
    }
    let complete = matches!(
        before,
        Class::Value | Class::Text | Class::Time | Class::Accessor | Class::Close
    );
    if complete {
        Ok(tokens)
    } else {
        Err(lexer.error_at(lexer.end, "the expression ends too early"))
    }
}

fn describe(kind: &Kind) -> String {
    match kind {
        Kind::Prefix(Prefix::Negate) => "`-`".to_owned(),
        Kind::Prefix(Prefix::Not) => "`!`".to_owned(),
        Kind::Prefix(Prefix::Invert) => "`~`".to_owned(),
        Kind::Number(number) => format!("the number {number}"),
        Kind::Bool(truth) => format!("`{truth}`"),
        Kind::Text(_) => "a text".to_owned(),
        Kind::Time { .. } => "a date".to_owned(),
        Kind::Variable(name) | Kind::Accessor(name) => {
            format!("the name {:?}", name.chars().take(80).collect::<String>())
        }
        Kind::Open => "`(`".to_owned(),
        Kind::Close => "`)`".to_owned(),
        Kind::Operator(operator) => format!("`{}`", operator.symbol()),
    }
}

struct Lexer {
    chars: Vec<(usize, char)>,
    at: usize,
    end: usize,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).map(|(_, char)| *char)
    }

    fn offset(&self) -> usize {
        self.chars
            .get(self.at)
            .map_or(self.end, |(offset, _)| *offset)
    }

    fn error_at(&self, offset: usize, what: impl Into<String>) -> CompileError {
        CompileError {
            what: what.into(),
            offset,
        }
    }

    fn token(&mut self, before: Class) -> Result<Option<Token>, CompileError> {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
        let offset = self.offset();
        let Some(char) = self.peek() else {
            return Ok(None);
        };
        let kind = match char {
            '.' | '0'..='9' => self.number(offset)?,
            ',' => {
                self.at += 1;
                Kind::Operator(Operator::Separate)
            }
            '[' => {
                self.at += 1;
                let name = self.until(true, |char| char == ']')?;
                if self.peek().is_none() {
                    return Err(self.error_at(offset, "a bracket is not closed"));
                }
                self.at += 1;
                Kind::Variable(name)
            }
            '\'' | '"' => {
                self.at += 1;
                let text = self.until(true, |char| matches!(char, '\'' | '"'))?;
                if self.peek().is_none() {
                    return Err(
                        self.error_at(offset, "a quote is not closed (any quote ends a text)")
                    );
                }
                self.at += 1;
                match dates::unix_seconds(&text) {
                    Some(seconds) => Kind::Time { seconds, text },
                    None => Kind::Text(text),
                }
            }
            '(' | ')' => {
                self.at += 1;
                if char == '(' { Kind::Open } else { Kind::Close }
            }
            char if char.is_alphabetic() => self.name(offset)?,
            _ => self.symbol(before, offset)?,
        };
        Ok(Some(Token { kind, offset }))
    }

    /// Reads until a character ends it; space ends it too, unless it is part of the text.
    /// A backslash takes the next character as it is.
    fn until(&mut self, spaces: bool, ends: impl Fn(char) -> bool) -> Result<String, CompileError> {
        let mut text = String::new();
        while let Some(char) = self.peek() {
            if char == '\\' {
                self.at += 1;
                let Some(escaped) = self.peek() else {
                    return Err(self.error_at(self.end, "a backslash at the end"));
                };
                text.push(escaped);
            } else if char.is_whitespace() && !spaces {
                if !text.is_empty() {
                    break;
                }
            } else if ends(char) {
                break;
            } else {
                text.push(char);
            }
            self.at += 1;
        }
        Ok(text)
    }

    fn number(&mut self, offset: usize) -> Result<Kind, CompileError> {
        let next = self.chars.get(self.at + 1).map(|(_, char)| *char);
        // `0x` alone is a zero and a name.
        if self.peek() == Some('0') && next == Some('x') && self.chars.len() > self.at + 2 {
            self.at += 2;
            let digits = self.until(false, |char| !char.is_ascii_hexdigit())?;
            let number = u64::from_str_radix(&digits, 16).map_err(|_| {
                self.error_at(offset, format!("{digits:?} is no hexadecimal number"))
            })?;
            return Ok(Kind::Number(number.into()));
        }
        let digits = self.until(false, |char| !(char.is_numeric() || char == '.'))?;
        let wrong = || self.error_at(offset, format!("{digits:?} is no number"));
        if digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let plain = digits.trim_start_matches('0');
            return Ok(Kind::Number(Number::from_json_text(if plain.is_empty() {
                "0"
            } else {
                plain
            })));
        }
        let float: f64 = digits.parse().map_err(|_| wrong())?;
        Number::from_f64(float).map(Kind::Number).ok_or_else(wrong)
    }

    fn name(&mut self, offset: usize) -> Result<Kind, CompileError> {
        let ends = |char: char| !(char.is_alphanumeric() || char == '_' || char == '.');
        let name = self.until(false, ends)?;
        if name.find('.').is_some_and(|dot| dot > 0) {
            if name.ends_with('.') {
                return Err(self.error_at(offset, format!("{name:?} ends in a dot")));
            }
            // The library reaches into Go structs, of which JSON has none.
            let lower = |part: &str| part.chars().next().is_some_and(char::is_lowercase);
            if let Some(part) = name.split('.').skip(1).find(|part| lower(part)) {
                let what = format!(
                    "{part:?} in {name:?}: fields of objects cannot be reached, name the path in `fields`"
                );
                return Err(self.error_at(offset, what));
            }
            return Ok(Kind::Accessor(name));
        }
        Ok(match name.as_str() {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            "in" | "IN" => Kind::Operator(Operator::In),
            _ => Kind::Variable(name),
        })
    }

    fn symbol(&mut self, before: Class, offset: usize) -> Result<Kind, CompileError> {
        let ends = |char: char| {
            char.is_alphanumeric() || matches!(char, '(' | ')' | '[' | ']' | '\'' | '"')
        };
        let symbol = self.until(false, ends)?;
        if may_follow(before, Class::Prefix) {
            let prefix = match symbol.as_str() {
                "-" => Some(Prefix::Negate),
                "!" => Some(Prefix::Not),
                "~" => Some(Prefix::Invert),
                _ => None,
            };
            if let Some(prefix) = prefix {
                return Ok(Kind::Prefix(prefix));
            }
        }
        // A comma inside a run of symbols is no separator.
        let found = SYMBOLS
            .iter()
            .find(|(text, _)| *text == symbol && symbol != ",");
        found
            .map(|(_, operator)| Kind::Operator(*operator))
            .ok_or_else(|| {
                let shown: String = symbol.chars().take(20).collect();
                self.error_at(offset, format!("{shown:?} is no operator"))
            })
    }
}
