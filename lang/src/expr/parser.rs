//! Tokens to a tree, with names of `let` resolved to slots.
//! It never recurses without counting, so no text can overflow the stack.

use super::CompileError;
use super::ast::{Comparison, Kind, Link, Node, Operator};
use super::lexer::{Kind as Word, Token};
use crate::go::re2;

/// The most expressions inside each other.
const MAX_DEPTH: usize = 120;

/// The most nodes, as in the Go library.
const MAX_NODES: usize = 10_000;

/// The tree and how many slots its variables need.
pub(super) fn parse(text: &str, tokens: Vec<Token>) -> Result<(Node, usize), CompileError> {
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        depth: 0,
        predicates: 0,
        nodes: 0,
        slots: 0,
        variables: Vec::new(),
    };
    let root = parser.sequence()?;
    if parser.current().kind != Word::End {
        return Err(parser.unexpected());
    }
    Ok((root, parser.slots))
}

/// Binding strength and whether the right side binds first.
fn strength(operator: &str) -> Option<u16> {
    Some(match operator {
        "|" => 0,
        "or" | "||" => 10,
        "and" | "&&" => 15,
        "==" | "!=" | "<" | ">" | ">=" | "<=" | "in" | "matches" | "contains" | "startsWith"
        | "endsWith" => 20,
        ".." => 25,
        "+" | "-" => 30,
        "*" | "/" | "%" => 60,
        "**" | "^" => 100,
        "??" => 500,
        _ => return None,
    })
}

fn chained(operator: &str) -> Option<Operator> {
    Some(match operator {
        "or" | "||" => Operator::Or,
        "and" | "&&" => Operator::And,
        "==" => Operator::Equal,
        "!=" => Operator::NotEqual,
        "in" => Operator::In,
        "matches" => Operator::Matches,
        "contains" => Operator::Contains,
        "startsWith" => Operator::StartsWith,
        "endsWith" => Operator::EndsWith,
        ".." => Operator::Range,
        "+" => Operator::Add,
        "-" => Operator::Subtract,
        "*" => Operator::Multiply,
        "/" => Operator::Divide,
        "%" => Operator::Modulo,
        "??" => Operator::Coalesce,
        _ => return None,
    })
}

fn comparison(operator: &str) -> Option<Comparison> {
    Some(match operator {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        ">=" => Comparison::GreaterOrEqual,
        _ => return None,
    })
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
    /// Predicates around the current place; `#` has a meaning inside one.
    pub(super) predicates: usize,
    nodes: usize,
    slots: usize,
    pub(super) variables: Vec<(String, usize)>,
}

const END: Token = Token {
    kind: Word::End,
    offset: usize::MAX,
};

impl Parser<'_> {
    pub(super) fn current(&self) -> &Token {
        self.tokens
            .get(self.at)
            .or(self.tokens.last())
            .unwrap_or(&END)
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn offset(&self) -> usize {
        self.current().offset
    }

    pub(super) fn is_operator(&self, operator: &str) -> bool {
        self.current().is_operator(operator)
    }

    pub(super) fn is_bracket(&self, bracket: char) -> bool {
        self.current().is_bracket(bracket)
    }

    pub(super) fn error(&self, what: impl Into<String>) -> CompileError {
        CompileError::at(self.text, what, self.offset())
    }

    pub(super) fn unexpected(&self) -> CompileError {
        self.error(format!("{} cannot stand here", self.current().describe()))
    }

    pub(super) fn expect_operator(&mut self, operator: &str) -> Result<(), CompileError> {
        if !self.is_operator(operator) {
            let found = self.current().describe();
            return Err(self.error(format!("`{operator}` is missing before {found}")));
        }
        self.advance();
        Ok(())
    }

    pub(super) fn expect_bracket(&mut self, bracket: char) -> Result<(), CompileError> {
        if !self.is_bracket(bracket) {
            let found = self.current().describe();
            return Err(self.error(format!("`{bracket}` is missing before {found}")));
        }
        self.advance();
        Ok(())
    }

    pub(super) fn expect_name(&mut self) -> Result<String, CompileError> {
        match &self.current().kind {
            Word::Name(name) => {
                let name = name.clone();
                self.advance();
                Ok(name)
            }
            _ => Err(self.unexpected()),
        }
    }

    pub(super) fn node(&mut self, kind: Kind, offset: usize) -> Result<Node, CompileError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.error(format!("the expression has more than {MAX_NODES} parts")));
        }
        Ok(Node { kind, offset })
    }

    /// Expressions with `;` between them, and `let` in front.
    pub(super) fn sequence(&mut self) -> Result<Node, CompileError> {
        let offset = self.offset();
        let known = self.variables.len();
        let mut bindings = Vec::new();
        while self.is_operator("let") {
            bindings.push(self.binding()?);
        }
        let mut nodes = vec![self.expression(0)?];
        while self.is_operator(";") {
            self.advance();
            if self.current().kind == Word::End {
                break;
            }
            nodes.push(self.expression(0)?);
        }
        self.variables.truncate(known);
        if !bindings.is_empty() {
            return self.node(Kind::Let(bindings, nodes), offset);
        }
        match nodes.pop() {
            Some(only) if nodes.is_empty() => Ok(only),
            Some(last) => {
                nodes.push(last);
                self.node(Kind::Sequence(nodes), offset)
            }
            None => Err(self.unexpected()),
        }
    }

    /// `let x = value;`, with the name known from here on.
    fn binding(&mut self) -> Result<(usize, Node), CompileError> {
        self.advance();
        let name = self.expect_name()?;
        self.expect_operator("=")?;
        let value = self.expression(0)?;
        self.expect_operator(";")?;
        let slot = self.slots;
        self.slots += 1;
        self.variables.push((name, slot));
        Ok((slot, value))
    }

    pub(super) fn expression(&mut self, least: u16) -> Result<Node, CompileError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.error("the expression is nested too deeply"));
        }
        let node = if least == 0 && self.is_operator("let") {
            self.sequence()
        } else if least == 0 && self.is_operator("if") {
            self.conditional_if()
        } else {
            self.operators(least)
        };
        self.depth -= 1;
        node
    }

    fn operators(&mut self, least: u16) -> Result<Node, CompileError> {
        let mut left = self.primary()?;
        let mut before_coalesce = false;
        let mut wraps = 0;
        // The chain that is being extended and its strength.
        let mut links: Vec<Link> = Vec::new();
        let mut current = u16::MAX;
        while let Word::Operator(word) = &self.current().kind {
            let mut word = word.clone();
            let start = self.at;
            let negated = word == "not";
            if negated {
                self.advance();
                match &self.current().kind {
                    Word::Operator(next)
                        if matches!(
                            next.as_str(),
                            "contains" | "matches" | "startsWith" | "endsWith" | "in"
                        ) =>
                    {
                        word.clone_from(next);
                    }
                    _ => return Err(self.unexpected()),
                }
            }
            let Some(strength) = strength(&word).filter(|strength| *strength >= least) else {
                self.at = start;
                break;
            };
            let offset = self.offset();
            if before_coalesce && word != "??" && word != "|" {
                let what = format!("`{word}` after `??` needs parentheses around one of them");
                return Err(self.error(what));
            }
            self.advance();
            let comparison = comparison(&word);
            let plain = if comparison.is_none() {
                chained(&word)
            } else {
                None
            };
            if plain.is_none() || strength != current {
                left = self.close(left, &mut links, &mut wraps)?;
                current = strength;
            }
            before_coalesce = word == "??";
            if let Some(operator) = plain {
                let right = self.expression(strength + 1)?;
                let pattern = self.pattern(operator, &right)?;
                self.nodes += 1;
                links.push(Link {
                    operator,
                    negated,
                    right,
                    offset,
                    pattern,
                });
                continue;
            }
            current = u16::MAX;
            left = if let Some(first) = comparison {
                self.comparison(left, first, offset)?
            } else if word == "|" {
                let name = self.expect_name()?;
                self.call(name, Some(left), offset)?
            } else {
                let right = self.expression(strength)?;
                self.node(Kind::Power(Box::new(left), Box::new(right)), offset)?
            };
            wraps += 1;
            self.check_wraps(wraps)?;
        }
        left = self.close(left, &mut links, &mut wraps)?;
        if least == 0 {
            self.conditional(left)
        } else {
            Ok(left)
        }
    }

    fn check_wraps(&self, wraps: usize) -> Result<(), CompileError> {
        if wraps > MAX_DEPTH {
            return Err(self.error("the expression is nested too deeply"));
        }
        Ok(())
    }

    /// Makes a node of the links collected so far.
    fn close(
        &mut self,
        left: Node,
        links: &mut Vec<Link>,
        wraps: &mut usize,
    ) -> Result<Node, CompileError> {
        let Some(first) = links.first() else {
            return Ok(left);
        };
        let offset = first.offset;
        *wraps += 1;
        self.check_wraps(*wraps)?;
        self.node(Kind::Chain(Box::new(left), std::mem::take(links)), offset)
    }

    fn pattern(
        &self,
        operator: Operator,
        right: &Node,
    ) -> Result<Option<regex::bytes::Regex>, CompileError> {
        match &right.kind {
            Kind::Text(pattern) if operator == Operator::Matches => {
                re2::compile(pattern).map(Some).map_err(|why| {
                    let what = format!("{pattern:?} is no regular expression: {why}");
                    CompileError::at(self.text, what, right.offset)
                })
            }
            _ => Ok(None),
        }
    }

    fn comparison(
        &mut self,
        left: Node,
        first: Comparison,
        offset: usize,
    ) -> Result<Node, CompileError> {
        let mut rest = vec![(first, self.expression(21)?)];
        while let Word::Operator(word) = &self.current().kind
            && let Some(next) = comparison(word)
        {
            self.advance();
            rest.push((next, self.expression(21)?));
        }
        self.node(Kind::Compare(Box::new(left), rest), offset)
    }

    /// `if a {…} else if b {…} else {…}`.
    fn conditional_if(&mut self) -> Result<Node, CompileError> {
        let offset = self.offset();
        self.advance();
        let condition = self.expression(0)?;
        self.expect_bracket('{')?;
        let then = self.sequence()?;
        self.expect_bracket('}')?;
        self.expect_operator("else")?;
        let otherwise = if self.is_operator("if") {
            self.expression(0)?
        } else {
            self.expect_bracket('{')?;
            let node = self.sequence()?;
            self.expect_bracket('}')?;
            node
        };
        self.node(
            Kind::Conditional(Box::new([condition, then, otherwise])),
            offset,
        )
    }

    fn conditional(&mut self, mut node: Node) -> Result<Node, CompileError> {
        let mut wraps = 0;
        while self.is_operator("?") {
            let offset = self.offset();
            self.advance();
            wraps += 1;
            self.check_wraps(wraps)?;
            if self.is_operator(":") {
                // `a ?: b` needs the condition twice: once tested, once as the value.
                self.advance();
                let otherwise = self.expression(0)?;
                let then = self.node(Kind::Bool(true), offset)?;
                node = self.node(Kind::Conditional(Box::new([node, then, otherwise])), offset)?;
                continue;
            }
            let then = self.expression(0)?;
            self.expect_operator(":")?;
            let otherwise = self.expression(0)?;
            node = self.node(Kind::Conditional(Box::new([node, then, otherwise])), offset)?;
        }
        Ok(node)
    }
}
