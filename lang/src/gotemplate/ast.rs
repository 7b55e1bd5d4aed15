//! A compiled template as a tree.
//! Names are resolved here already: functions to their entries, variables to slots.

use super::funcs::Function;

/// A place in the text, in bytes from its start.
pub(super) type Pos = u32;

/// All templates of one text; the first is the text itself.
pub(super) struct Program {
    pub(super) templates: Vec<Definition>,
}

pub(super) struct Definition {
    pub(super) name: Vec<u8>,
    pub(super) body: Vec<Node>,
    /// How many variables it has at most at once.
    pub(super) slots: usize,
}

pub(super) enum Node {
    Text(Box<[u8]>),
    Action(Pipe),
    If {
        branches: Vec<(Pipe, Vec<Node>)>,
        otherwise: Option<Vec<Node>>,
    },
    With {
        branches: Vec<(Pipe, Vec<Node>)>,
        otherwise: Option<Vec<Node>>,
    },
    Range {
        pipe: Pipe,
        body: Vec<Node>,
        otherwise: Option<Vec<Node>>,
    },
    Template {
        pos: Pos,
        name: Vec<u8>,
        index: Option<usize>,
        pipe: Option<Pipe>,
    },
    Break,
    Continue,
}

/// A variable by name, and its slot where it is declared.
#[derive(Clone)]
pub(super) struct Variable {
    pub(super) name: Box<str>,
    pub(super) slot: Option<usize>,
}

pub(super) struct Pipe {
    pub(super) pos: Pos,
    pub(super) declared: Vec<Variable>,
    pub(super) assign: bool,
    pub(super) commands: Vec<Command>,
}

pub(super) struct Command {
    pub(super) first: Operand,
    pub(super) arguments: Vec<Operand>,
}

pub(super) struct Operand {
    pub(super) pos: Pos,
    pub(super) term: Term,
}

pub(super) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Number(Literal),
    Text {
        quoted: Box<str>,
        bytes: Box<[u8]>,
    },
    Field(Box<[Box<str>]>),
    Variable {
        variable: Variable,
        fields: Box<[Box<str>]>,
    },
    Function(&'static Function),
    Pipe(Box<Pipe>),
    Chain {
        inner: Box<Operand>,
        fields: Box<[Box<str>]>,
    },
}

/// A number of the template: it fits several of Go's types.
pub(super) struct Literal {
    pub(super) text: Box<str>,
    pub(super) int: Option<i64>,
    pub(super) uint: Option<u64>,
    pub(super) float: Option<f64>,
}

impl Pipe {
    /// As Go writes it in messages.
    pub(super) fn write(&self, out: &mut String) {
        for (index, variable) in self.declared.iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            out.push_str(&variable.name);
        }
        if !self.declared.is_empty() {
            out.push_str(if self.assign { " = " } else { " := " });
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                out.push_str(" | ");
            }
            command.write(out);
        }
    }
}

impl Command {
    pub(super) fn write(&self, out: &mut String) {
        self.first.write_in_command(out);
        for argument in &self.arguments {
            out.push(' ');
            argument.write_in_command(out);
        }
    }
}

impl Operand {
    fn write_in_command(&self, out: &mut String) {
        if let Term::Pipe(pipe) = &self.term {
            out.push('(');
            pipe.write(out);
            out.push(')');
        } else {
            self.write(out);
        }
    }

    pub(super) fn write(&self, out: &mut String) {
        let fields = |fields: &[Box<str>], out: &mut String| {
            for field in fields {
                out.push('.');
                out.push_str(field);
            }
        };
        match &self.term {
            Term::Dot => out.push('.'),
            Term::Nil => out.push_str("nil"),
            Term::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Term::Number(literal) => out.push_str(&literal.text),
            Term::Text { quoted, .. } => out.push_str(quoted),
            Term::Field(names) => fields(names, out),
            Term::Variable {
                variable,
                fields: names,
            } => {
                out.push_str(&variable.name);
                fields(names, out);
            }
            Term::Function(function) => out.push_str(function.name),
            Term::Pipe(pipe) => pipe.write(out),
            Term::Chain {
                inner,
                fields: names,
            } => {
                inner.write_in_command(out);
                fields(names, out);
            }
        }
    }
}
