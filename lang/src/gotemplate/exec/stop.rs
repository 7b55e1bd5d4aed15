//! Why and where a rendering ended early, in Go's words.
//! It never quotes more of a template than fits on a screen.

use crate::gotemplate::ast::{Command, Operand, Pipe, Pos};
use crate::gotemplate::cx::Fault;

/// Why and where a rendering ended early.
pub(in crate::gotemplate) struct Stop {
    pub(in crate::gotemplate) pos: Pos,
    pub(in crate::gotemplate) message: String,
}

/// What every step of a rendering gives.
pub(super) type Run<T> = Result<T, Stop>;

/// What an error message shows of a call.
#[derive(Clone, Copy)]
pub(super) enum Shown<'a> {
    Command(&'a Command),
    Operand(&'a Operand),
}

impl Shown<'_> {
    pub(super) fn stop(self, message: String) -> Stop {
        let mut shown = String::new();
        let pos = match self {
            Self::Command(command) => {
                command.write(&mut shown);
                command.first.pos
            }
            Self::Operand(operand) => {
                operand.write(&mut shown);
                operand.pos
            }
        };
        Stop {
            pos,
            message: format!("executing at <{}>: {message}", shorten(&shown)),
        }
    }
}

pub(super) fn show(operand: &Operand) -> String {
    let mut shown = String::new();
    operand.write(&mut shown);
    shorten(&shown)
}

/// Messages quote the template, but not all of a long one.
pub(super) fn shorten(shown: &str) -> String {
    match shown.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", shown.get(..end).unwrap_or_default()),
        None => shown.to_owned(),
    }
}

pub(super) fn stop(operand: &Operand, message: String) -> Stop {
    Shown::Operand(operand).stop(message)
}

pub(super) fn stop_at_pipe(pipe: &Pipe, message: String) -> Stop {
    let mut shown = String::new();
    pipe.write(&mut shown);
    Stop {
        pos: pipe.pos,
        message: format!("executing at <{}>: {message}", shorten(&shown)),
    }
}

pub(super) fn fault_at(pipe: &Pipe, Fault(message): Fault) -> Stop {
    stop_at_pipe(pipe, message)
}
