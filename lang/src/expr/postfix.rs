//! The part of the parser for brackets: members, slices, arguments, predicates, arrays and maps.
//! It never decides what a name means.

use super::CompileError;
use super::ast::{Closure, Kind, Node, Step, StepKind};
use super::lexer::Kind as Word;
use super::parser::Parser;

/// The most steps in a path.
const MAX_STEPS: usize = 1000;

impl Parser<'_> {
    pub(super) fn arguments(&mut self, piped: Option<Node>) -> Result<Vec<Node>, CompileError> {
        let mut arguments: Vec<Node> = piped.into_iter().collect();
        let given = arguments.len();
        self.expect_bracket('(')?;
        while !self.is_bracket(')') {
            if arguments.len() > given {
                self.expect_operator(",")?;
                if self.is_bracket(')') {
                    break;
                }
            }
            arguments.push(self.expression(0)?);
        }
        self.expect_bracket(')')?;
        Ok(arguments)
    }

    /// A collection, a predicate and for some a third value, as the function asks for.
    pub(super) fn closure_arguments(
        &mut self,
        closure: Closure,
        piped: Option<Node>,
    ) -> Result<Vec<Node>, CompileError> {
        let optional_predicate = matches!(closure, Closure::Count | Closure::Sum);
        let third = matches!(closure, Closure::SortBy | Closure::Reduce);
        self.expect_bracket('(')?;
        let mut arguments: Vec<Node> = piped.into_iter().collect();
        let given = arguments.len();
        if arguments.is_empty() {
            if self.is_bracket(')') {
                return Err(self.error(format!("`{}` needs a collection", closure.name())));
            }
            arguments.push(self.expression(0)?);
        }
        for position in 1..=(1 + usize::from(third)) {
            let optional = if position == 1 {
                optional_predicate
            } else {
                true
            };
            if self.is_bracket(')') {
                if optional {
                    break;
                }
                return Err(self.error(format!("`{}` needs a predicate", closure.name())));
            }
            if position > given {
                self.expect_operator(",")?;
            }
            arguments.push(if position == 1 {
                self.predicate()?
            } else {
                self.expression(0)?
            });
        }
        if self.is_operator(",") {
            self.advance();
        }
        self.expect_bracket(')')?;
        Ok(arguments)
    }

    fn predicate(&mut self) -> Result<Node, CompileError> {
        let braces = self.is_bracket('{');
        if braces {
            self.advance();
        }
        self.predicates += 1;
        let node = if braces {
            self.sequence()?
        } else {
            self.expression(0)?
        };
        self.predicates -= 1;
        if braces {
            self.expect_bracket('}')?;
        } else if self.is_operator(";") {
            return Err(self.error("several expressions in a predicate need `{` and `}`"));
        }
        Ok(node)
    }

    pub(super) fn array(&mut self) -> Result<Node, CompileError> {
        let offset = self.offset();
        self.expect_bracket('[')?;
        let mut nodes = Vec::new();
        while !self.is_bracket(']') {
            if !nodes.is_empty() {
                self.expect_operator(",")?;
                if self.is_bracket(']') {
                    break;
                }
            }
            nodes.push(self.expression(0)?);
        }
        self.expect_bracket(']')?;
        self.node(Kind::Array(nodes), offset)
    }

    pub(super) fn map(&mut self) -> Result<Node, CompileError> {
        let offset = self.offset();
        self.expect_bracket('{')?;
        let mut pairs = Vec::new();
        while !self.is_bracket('}') {
            if !pairs.is_empty() {
                self.expect_operator(",")?;
                if self.is_bracket('}') {
                    break;
                }
            }
            let key_offset = self.offset();
            let literal = match &self.current().kind {
                Word::Name(text) | Word::Number(text) | Word::Text(text) => Some(text.clone()),
                _ => None,
            };
            let key = match literal {
                Some(text) => {
                    self.advance();
                    self.node(Kind::Text(text), key_offset)?
                }
                None if self.is_bracket('(') => self.expression(0)?,
                None => {
                    let found = self.current().describe();
                    let what = format!("a key is a name, a number, a text or `(…)`, not {found}");
                    return Err(self.error(what));
                }
            };
            self.expect_operator(":")?;
            pairs.push((key, self.expression(0)?));
        }
        self.expect_bracket('}')?;
        self.node(Kind::Map(pairs), offset)
    }

    /// The members, calls and slices after a value.
    pub(super) fn postfix(&mut self, node: Node) -> Result<Node, CompileError> {
        let (base, mut steps) = match node {
            // Parentheses do not end a path: `(a?.b).c` is `a?.b.c`.
            Node {
                kind: Kind::Path(base, steps),
                ..
            } => (base, steps),
            node => (Box::new(node), Vec::new()),
        };
        let offset = base.offset;
        loop {
            if steps.len() > MAX_STEPS {
                return Err(self.error(format!("a path has more than {MAX_STEPS} steps")));
            }
            let mut optional = self.is_operator("?.");
            let place = self.offset();
            if optional || self.is_operator(".") {
                self.advance();
                if !(optional && self.is_bracket('[')) {
                    let kind = self.member()?;
                    steps.push(Step {
                        kind,
                        offset: place,
                        optional,
                    });
                    continue;
                }
            } else if !self.is_bracket('[') {
                break;
            }
            self.advance();
            let kind = self.subscript()?;
            if matches!(kind, StepKind::Slice(..)) {
                optional = false;
            }
            steps.push(Step {
                kind,
                offset: place,
                optional,
            });
        }
        if steps.is_empty() {
            return Ok(*base);
        }
        self.node(Kind::Path(base, steps), offset)
    }

    fn member(&mut self) -> Result<StepKind, CompileError> {
        let name = match &self.current().kind {
            Word::Name(name) => name.clone(),
            // Words such as `not` and `matches` are fine as names of members.
            Word::Operator(word) if word.starts_with(char::is_alphabetic) => word.clone(),
            _ => return Err(self.unexpected()),
        };
        self.advance();
        if self.is_bracket('(') {
            return Ok(StepKind::Method(name, self.arguments(None)?));
        }
        Ok(StepKind::Member(name))
    }

    fn subscript(&mut self) -> Result<StepKind, CompileError> {
        let from = if self.is_operator(":") {
            None
        } else {
            Some(self.expression(0)?)
        };
        if !self.is_operator(":") {
            self.expect_bracket(']')?;
            return from.map(StepKind::Index).ok_or_else(|| self.unexpected());
        }
        self.advance();
        let to = if self.is_bracket(']') {
            None
        } else {
            Some(self.expression(0)?)
        };
        self.expect_bracket(']')?;
        Ok(StepKind::Slice(from, to))
    }
}
