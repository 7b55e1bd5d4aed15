//! Pipelines, commands and operands of the parser.
//! It never resolves a variable that its scope does not know.

use super::{ParseError, Parsed, Parser, position};
use crate::gotemplate::ast::{Command, Operand, Pipe, Term, Variable};
use crate::gotemplate::lexer::Kind;
use crate::gotemplate::{funcs, literal};

impl Parser<'_> {
    pub(super) fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        self.skip_space();
        let start = self.peek().start;
        let mut names: Vec<(usize, &str)> = Vec::new();
        let mut assign = false;
        while self.kind() == Kind::Variable {
            let back = self.at;
            let token = self.advance();
            self.skip_space();
            let next = self.peek().clone();
            let name = self.slice(&token);
            if matches!(next.kind, Kind::Assign | Kind::Declare) {
                assign = next.kind == Kind::Assign;
                self.at += 1;
                names.push((token.start, name));
                break;
            }
            if next.kind != Kind::Char || self.slice(&next) != "," {
                self.at = back;
                break;
            }
            self.at += 1;
            names.push((token.start, name));
            if context != "range" || names.len() > 1 {
                return self.fail(next.start, format!("too many declarations in {context}"));
            }
            self.skip_space();
            if !matches!(
                self.kind(),
                Kind::Variable | Kind::RightDelim | Kind::RightParen
            ) {
                return self.fail(next.start, "range can only initialize variables");
            }
        }
        // Go makes the names known before it reads the commands, but a command sees the old value.
        let mark = self.scope.variables.len();
        for (_, name) in &names {
            self.scope.variables.push(Variable {
                name: (*name).into(),
                slot: None,
            });
        }
        let mut commands = Vec::new();
        loop {
            let token = self.next_token();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::RawStr
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => {}
                Kind::Keyword if self.slice(&token) == "nil" => {}
                _ => return self.unexpected(&token, context),
            }
            self.at -= 1;
            commands.push(self.command()?);
        }
        if commands.is_empty() {
            return self.fail(start, format!("missing value for {context}"));
        }
        for (index, command) in commands.iter().enumerate().skip(1) {
            if matches!(
                command.first.term,
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Number(_) | Term::Text { .. }
            ) {
                let message = format!("non executable command in pipeline stage {}", index + 1);
                return self.fail(command.first.pos as usize, message);
            }
        }
        let declared = self.declare(&names, assign, mark);
        Ok(Pipe {
            pos: position(start),
            declared,
            assign,
            commands,
        })
    }

    fn declare(&mut self, names: &[(usize, &str)], assign: bool, mark: usize) -> Vec<Variable> {
        if assign {
            // The names stay known, without a slot of their own.
            return names
                .iter()
                .map(|(_, name)| {
                    let found = self.scope.find(name).cloned();
                    found.unwrap_or_else(|| Variable {
                        name: (*name).into(),
                        slot: None,
                    })
                })
                .collect();
        }
        let known: Vec<_> = self
            .scope
            .variables
            .drain(mark..)
            .skip(names.len())
            .collect();
        // What parentheses inside have declared stays declared too.
        self.scope.variables.extend(known);
        names
            .iter()
            .map(|(_, name)| self.scope.declare(name))
            .collect()
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.advance();
            match token.kind {
                Kind::Space => {}
                Kind::RightDelim | Kind::RightParen => {
                    self.at -= 1;
                    break;
                }
                Kind::Pipe => break,
                _ => return self.unexpected(&token, "operand"),
            }
        }
        let mut operands = operands.into_iter();
        match operands.next() {
            Some(first) => Ok(Command {
                first,
                arguments: operands.collect(),
            }),
            None => self.fail(self.peek().start, "empty command"),
        }
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(mut operand) = self.term()? else {
            return Ok(None);
        };
        if self.kind() != Kind::Field {
            return Ok(Some(operand));
        }
        let chain_pos = position(self.peek().start);
        let mut names: Vec<Box<str>> = Vec::new();
        while self.kind() == Kind::Field {
            let token = self.advance();
            names.push(self.slice(&token).trim_start_matches('.').into());
        }
        operand.term = match operand.term {
            Term::Field(first) => Term::Field(first.into_iter().chain(names).collect()),
            Term::Variable { variable, fields } => Term::Variable {
                variable,
                fields: fields.into_iter().chain(names).collect(),
            },
            Term::Bool(_) | Term::Text { .. } | Term::Number(_) | Term::Nil | Term::Dot => {
                let mut shown = String::new();
                operand.write(&mut shown);
                let message = format!("unexpected . after term {shown:?}");
                return self.fail(operand.pos as usize, message);
            }
            term => {
                let inner = Box::new(Operand {
                    pos: operand.pos,
                    term,
                });
                operand.pos = chain_pos;
                Term::Chain {
                    inner,
                    fields: names.into(),
                }
            }
        };
        Ok(Some(operand))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        self.skip_space();
        let token = self.advance();
        let text = self.slice(&token);
        let number = |parsed: Result<_, String>| match parsed {
            Ok(literal) => Ok(Term::Number(literal)),
            Err(message) => Err(ParseError {
                pos: token.start,
                message,
            }),
        };
        let term = match token.kind {
            Kind::Identifier => match funcs::find(text) {
                Some(function) => Term::Function(function),
                None => {
                    return self.fail(token.start, format!("function {text:?} not defined"));
                }
            },
            Kind::Dot => Term::Dot,
            Kind::Keyword if text == "nil" => Term::Nil,
            Kind::Variable => match self.scope.find(text) {
                Some(variable) => Term::Variable {
                    variable: variable.clone(),
                    fields: [].into(),
                },
                None => return self.fail(token.start, format!("undefined variable {text:?}")),
            },
            Kind::Field => Term::Field([text.trim_start_matches('.').into()].into()),
            Kind::Bool => Term::Bool(text == "true"),
            Kind::CharConstant => number(literal::char_constant(text))?,
            Kind::Number | Kind::Complex => number(literal::number(text))?,
            Kind::LeftParen => {
                self.deeper()?;
                let pipe = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.depth -= 1;
                Term::Pipe(Box::new(pipe))
            }
            Kind::Str | Kind::RawStr => Term::Text {
                quoted: text.into(),
                bytes: self.unquote(&token)?.into(),
            },
            _ => {
                self.at -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand {
            pos: position(token.start),
            term,
        }))
    }
}
