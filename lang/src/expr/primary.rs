//! The part of the parser for operands: literals, names, unary operators, calls.
//! It never looks at the operators between operands.

use super::CompileError;
use super::ast::{Builtin, Closure, Kind, Node, Pointer};
use super::lexer::{Kind as Word, Token};
use super::parser::Parser;

/// A node of one operand.
type Unary = fn(Box<Node>) -> Kind;

impl Parser<'_> {
    pub(super) fn primary(&mut self) -> Result<Node, CompileError> {
        let offset = self.offset();
        if let Word::Operator(word) = &self.current().kind {
            let unary: Option<(Unary, u16)> = match word.as_str() {
                "not" | "!" => Some((Kind::Not, 50)),
                "-" => Some((Kind::Negate, 90)),
                "+" => Some((Kind::Plus, 90)),
                _ => None,
            };
            if let Some((kind, strength)) = unary {
                self.advance();
                let inner = self.expression(strength)?;
                let node = self.node(kind(Box::new(inner)), offset)?;
                return self.postfix(node);
            }
        }
        if self.is_bracket('(') {
            self.advance();
            let inner = self.sequence()?;
            self.expect_bracket(')')?;
            return self.postfix(inner);
        }
        if self.predicates > 0 && (self.is_operator("#") || self.is_operator(".")) {
            let mut pointer = Pointer::Item;
            if self.is_operator("#") {
                self.advance();
                if let Word::Name(name) = &self.current().kind {
                    pointer = match name.as_str() {
                        "index" => Pointer::Index,
                        "acc" => Pointer::Accumulator,
                        _ => {
                            return Err(
                                self.error(format!("`#{name}` is neither `#index` nor `#acc`"))
                            );
                        }
                    };
                    self.advance();
                }
            }
            let node = self.node(Kind::Pointer(pointer), offset)?;
            return self.postfix(node);
        }
        if self.is_operator("::") {
            self.advance();
            let name = self.expect_name()?;
            let node = self.call(name, None, offset)?;
            return self.postfix(node);
        }
        self.secondary()
    }

    fn secondary(&mut self) -> Result<Node, CompileError> {
        let Token { kind, offset } = self.current().clone();
        let node = match kind {
            Word::Name(name) => {
                self.advance();
                let literal = match name.as_str() {
                    "true" => Some(Kind::Bool(true)),
                    "false" => Some(Kind::Bool(false)),
                    "nil" => Some(Kind::Nil),
                    _ => None,
                };
                if let Some(literal) = literal {
                    return self.node(literal, offset);
                }
                if self.is_bracket('(') {
                    self.call(name, None, offset)?
                } else {
                    let kind = self.name(name);
                    self.node(kind, offset)?
                }
            }
            Word::Number(text) => {
                let kind = self.number(&text)?;
                self.advance();
                return self.node(kind, offset);
            }
            Word::Text(text) => {
                self.advance();
                self.node(Kind::Text(text), offset)?
            }
            Word::Bytes(bytes) => {
                self.advance();
                self.node(Kind::Bytes(bytes), offset)?
            }
            Word::Bracket('[') => self.array()?,
            Word::Bracket('{') => self.map()?,
            _ => return Err(self.unexpected()),
        };
        self.postfix(node)
    }

    /// A variable of `let`, `$env` or a name of the environment.
    fn name(&self, name: String) -> Kind {
        match self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| *known == name)
        {
            Some((_, slot)) => Kind::Variable(*slot),
            None if name == "$env" => Kind::Environment,
            None => Kind::Name(name),
        }
    }

    fn number(&self, text: &str) -> Result<Kind, CompileError> {
        let plain = text.replace('_', "").to_lowercase();
        let wrong = || self.error(format!("{text} is no number, or too large a one"));
        for (prefix, base) in [("0x", 16), ("0b", 2), ("0o", 8)] {
            if let Some(digits) = plain.strip_prefix(prefix) {
                let number = i64::from_str_radix(digits, base).map_err(|_| wrong());
                return number.map(Kind::Int);
            }
        }
        if plain.contains(['.', 'e']) {
            let float: f64 = plain.parse().map_err(|_| wrong())?;
            return if float.is_finite() {
                Ok(Kind::Float(float))
            } else {
                Err(wrong())
            };
        }
        plain.parse().map(Kind::Int).map_err(|_| wrong())
    }

    /// The name of a function and what follows it; `piped` is its first argument.
    pub(super) fn call(
        &mut self,
        name: String,
        piped: Option<Node>,
        offset: usize,
    ) -> Result<Node, CompileError> {
        let kind = if let Some(closure) = Closure::named(&name) {
            Kind::Closure(closure, self.closure_arguments(closure, piped)?)
        } else {
            let arguments = self.arguments(piped)?;
            match Builtin::named(&name) {
                Some(builtin) => Kind::Builtin(builtin, arguments),
                None => Kind::Call(name, arguments),
            }
        };
        self.node(kind, offset)
    }
}
