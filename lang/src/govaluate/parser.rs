//! Tokens to a tree in which every chain of equally strong operators is one flat node.
//! It never recurses without counting, so no text can overflow the stack.

use regex::bytes::Regex;

use super::CompileError;
use super::lexer::{Kind, Operator, Prefix, Token};
use crate::go::re2;
use crate::value::Value;

/// The most levels of parentheses and operators inside each other.
const MAX_DEPTH: usize = 200;

#[derive(Debug)]
pub(super) enum Node {
    /// Where an operand is missing before a `)`.
    Nothing,
    Literal(Value),
    Pattern(Regex),
    Variable(String),
    /// `a.B`: always an error, once its arguments are evaluated.
    Accessor {
        path: String,
        arguments: Box<Node>,
    },
    Prefix(Prefix, Box<Node>),
    /// Operators of one strength, from left to right.
    Chain(Box<Node>, Vec<(Operator, Node)>),
}

pub(super) fn parse(tokens: Vec<Token>) -> Result<Node, CompileError> {
    let mut parser = Parser {
        tokens: tokens.into_iter().peekable(),
        offset: 0,
    };
    // What is left over after a complete expression, as in `(a) b`, is ignored like in Go.
    parser.chain(0, 0, false)
}

fn is_match(operator: Operator) -> bool {
    matches!(operator, Operator::Matches | Operator::MatchesNot)
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    offset: usize,
}

impl Parser {
    fn chain(&mut self, level: u8, depth: usize, pattern: bool) -> Result<Node, CompileError> {
        if depth > MAX_DEPTH {
            let what = "the expression is nested too deeply".to_owned();
            return Err(CompileError {
                what,
                offset: self.offset,
            });
        }
        let mut first = match if pattern { self.pattern()? } else { None } {
            Some(pattern) => pattern,
            None => self.operand(depth)?,
        };
        let mut rest: Vec<(Operator, Node)> = Vec::new();
        let mut current = u8::MAX;
        while let Some(Token {
            kind: Kind::Operator(operator),
            offset,
        }) = self.tokens.peek()
        {
            let (operator, offset) = (*operator, *offset);
            if operator.level() < level {
                break;
            }
            self.offset = offset;
            self.tokens.next();
            if operator.level() != current {
                // A looser operator takes the chain so far as its left side.
                if !rest.is_empty() {
                    first = Node::Chain(Box::new(first), std::mem::take(&mut rest));
                }
                current = operator.level();
            }
            let right = self.chain(operator.level() + 1, depth + 1, is_match(operator))?;
            rest.push((operator, right));
        }
        Ok(if rest.is_empty() {
            first
        } else {
            Node::Chain(Box::new(first), rest)
        })
    }

    /// A text right after `=~` or `!~`, compiled once.
    fn pattern(&mut self) -> Result<Option<Node>, CompileError> {
        let Some(Token {
            kind: Kind::Text(text),
            offset,
        }) = self.tokens.peek()
        else {
            return Ok(None);
        };
        let pattern = re2::compile(text).map_err(|why| CompileError {
            what: format!("{text:?} is no regular expression: {why}"),
            offset: *offset,
        })?;
        self.tokens.next();
        Ok(Some(Node::Pattern(pattern)))
    }

    fn operand(&mut self, depth: usize) -> Result<Node, CompileError> {
        if matches!(
            self.tokens.peek(),
            Some(Token {
                kind: Kind::Close,
                ..
            })
        ) {
            return Ok(Node::Nothing);
        }
        let Some(token) = self.tokens.next() else {
            return Ok(Node::Nothing);
        };
        self.offset = token.offset;
        Ok(match token.kind {
            Kind::Number(number) => Node::Literal(Value::Number(number)),
            Kind::Bool(truth) => Node::Literal(Value::Bool(truth)),
            Kind::Text(text) => Node::Literal(Value::String(text)),
            Kind::Time { seconds, .. } => Node::Literal(Value::from(seconds)),
            Kind::Variable(name) => Node::Variable(name),
            Kind::Prefix(prefix) => Node::Prefix(prefix, Box::new(self.operand(depth + 1)?)),
            Kind::Accessor(path) => {
                let called = matches!(
                    self.tokens.peek(),
                    Some(Token {
                        kind: Kind::Open,
                        ..
                    })
                );
                let arguments = if called {
                    self.chain(0, depth + 1, false)?
                } else {
                    Node::Nothing
                };
                Node::Accessor {
                    path,
                    arguments: Box::new(arguments),
                }
            }
            Kind::Open => {
                let inner = self.chain(0, depth + 1, false)?;
                // This is the `)`, or what stands in its place after two operands in a row.
                self.tokens.next();
                inner
            }
            Kind::Close | Kind::Operator(_) => {
                let what = "an operand is missing".to_owned();
                return Err(CompileError {
                    what,
                    offset: token.offset,
                });
            }
        })
    }
}
