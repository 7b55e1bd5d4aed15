//! Pipelines, commands and operands: the half of execution that computes values.
//! It never writes output.

use super::stop::{Run, Shown, fault_at, show, stop};
use super::{Frame, Runner, truth};
use crate::gotemplate::ast::{Command, Operand, Pipe, Term, Variable};
use crate::gotemplate::call::{self, Param};
use crate::gotemplate::cx::Fault;
use crate::gotemplate::funcs::Function;
use crate::gotemplate::methods;
use crate::gotemplate::value::{Text, Val};

impl<'a> Runner<'a, '_> {
    pub(super) fn pipe(
        &mut self,
        pipe: &'a Pipe,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Val<'a>> {
        self.deeper(pipe.pos)?;
        let mut last: Option<Val<'a>> = None;
        for command in &pipe.commands {
            self.cx.step().map_err(|fault| fault_at(pipe, fault))?;
            let value = self.command(command, dot, frame, last)?;
            // A nil inside an interface is no value once it leaves a command.
            last = Some(if matches!(value, Val::Nil) {
                Val::Missing
            } else {
                value
            });
        }
        let value = last.unwrap_or(Val::Missing);
        for variable in &pipe.declared {
            self.set(pipe, variable, value.clone(), frame)?;
        }
        self.depth -= 1;
        Ok(value)
    }

    fn command(
        &mut self,
        command: &'a Command,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
        last: Option<Val<'a>>,
    ) -> Run<Val<'a>> {
        let first = &command.first;
        let has_arguments = !command.arguments.is_empty() || last.is_some();
        match &first.term {
            Term::Function(function) => {
                let shown = Shown::Command(command);
                return self.function(function, None, shown, &command.arguments, last, dot, frame);
            }
            Term::Field(names) => {
                return self.chain(dot.clone(), names, command, last, dot, frame);
            }
            Term::Chain { inner, fields } => {
                if matches!(inner.term, Term::Nil) {
                    return Err(stop(first, "indirection through explicit nil".to_owned()));
                }
                let receiver = self.chain_start(inner, dot, frame)?;
                return self.chain(receiver, fields, command, last, dot, frame);
            }
            Term::Variable { variable, fields } if !fields.is_empty() => {
                let receiver = self.variable(first, variable, frame)?;
                return self.chain(receiver, fields, command, last, dot, frame);
            }
            _ => {}
        }
        if has_arguments {
            let shown = show(first);
            return Err(stop(
                first,
                format!("can't give argument to non-function {shown}"),
            ));
        }
        match &first.term {
            Term::Pipe(pipe) => self.pipe(pipe, dot, frame),
            Term::Variable { variable, .. } => self.variable(first, variable, frame),
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Err(stop(first, "nil is not a command".to_owned())),
            _ => self.constant(first),
        }
    }

    fn chain_start(
        &mut self,
        inner: &'a Operand,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Val<'a>> {
        match &inner.term {
            Term::Pipe(pipe) => self.pipe(pipe, dot, frame),
            Term::Function(function) => {
                self.function(function, None, Shown::Operand(inner), &[], None, dot, frame)
            }
            _ => self.argument(inner, Param::Any, dot, frame),
        }
    }

    fn variable(&self, at: &Operand, variable: &Variable, frame: &Frame<'a>) -> Run<Val<'a>> {
        let value = variable.slot.and_then(|slot| frame.get(slot));
        value
            .cloned()
            .ok_or_else(|| stop(at, format!("undefined variable: {}", variable.name)))
    }

    /// The value of a literal where any type will do.
    fn constant(&self, operand: &'a Operand) -> Run<Val<'a>> {
        match &operand.term {
            Term::Bool(truth) => Ok(Val::Bool(*truth)),
            Term::Text { bytes, .. } => Ok(Val::Str(Text::Borrowed(bytes))),
            Term::Number(literal) => {
                let text = &literal.text;
                let hex = text
                    .get(..2)
                    .is_some_and(|head| head.eq_ignore_ascii_case("0x"));
                let fractional =
                    text.contains(['.', 'p', 'P']) || !hex && text.contains(['e', 'E']);
                match (literal.float, literal.int) {
                    (Some(float), _) if fractional && !text.starts_with('\'') => {
                        Ok(Val::Float(float))
                    }
                    (_, Some(int)) => Ok(Val::int(int)),
                    _ => Err(stop(operand, format!("{text} overflows int"))),
                }
            }
            _ => Err(stop(
                operand,
                format!("can't evaluate command {:?}", show(operand)),
            )),
        }
    }

    fn chain(
        &mut self,
        mut receiver: Val<'a>,
        names: &'a [Box<str>],
        command: &'a Command,
        last: Option<Val<'a>>,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Val<'a>> {
        let Some((final_name, earlier)) = names.split_last() else {
            return Ok(receiver);
        };
        let at = &command.first;
        for name in earlier {
            receiver = self.field(receiver, name, at, &[], None, dot, frame)?;
        }
        self.field(
            receiver,
            final_name,
            at,
            &command.arguments,
            last,
            dot,
            frame,
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a call needs all of its surroundings"
    )]
    fn field(
        &mut self,
        receiver: Val<'a>,
        name: &'a str,
        at: &'a Operand,
        arguments: &'a [Operand],
        last: Option<Val<'a>>,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Val<'a>> {
        let has_arguments = !arguments.is_empty() || last.is_some();
        match &receiver {
            Val::Missing => return Ok(Val::Missing),
            Val::Nil => {
                let message = format!("nil pointer evaluating interface {{}}.{name}");
                return Err(stop(at, message));
            }
            Val::Map(map) => {
                if has_arguments {
                    return Err(stop(
                        at,
                        format!("{name} is not a method but has arguments"),
                    ));
                }
                return Ok(self.cx.member(map, name).unwrap_or(Val::Missing));
            }
            Val::Cert(cert) if matches!(name, "Cert" | "Key") => {
                if has_arguments {
                    let message = format!("{name} has arguments but cannot be invoked as function");
                    return Err(stop(at, message));
                }
                let text = if name == "Cert" {
                    &cert.cert
                } else {
                    &cert.key
                };
                return Ok(Val::text(text.as_bytes()));
            }
            other => {
                if let Some(method) = methods::find(other, name) {
                    let shown = Shown::Operand(at);
                    return self.function(
                        method,
                        Some(receiver),
                        shown,
                        arguments,
                        last,
                        dot,
                        frame,
                    );
                }
            }
        }
        let kind = receiver.dynamic_type();
        Err(stop(
            at,
            format!("can't evaluate field {name} in type {kind}"),
        ))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a call needs all of its surroundings"
    )]
    fn function(
        &mut self,
        function: &'static Function,
        receiver: Option<Val<'a>>,
        shown: Shown<'a>,
        arguments: &'a [Operand],
        last: Option<Val<'a>>,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Val<'a>> {
        let skipped = usize::from(receiver.is_some());
        let given = arguments.len() + usize::from(last.is_some());
        call::check_count(function, skipped, given, arguments.len())
            .map_err(|message| shown.stop(message))?;
        if matches!(function.name, "and" | "or") {
            return self.short_circuit(function, arguments, last, dot, frame);
        }
        let mut values = Vec::with_capacity(given + skipped);
        values.extend(receiver);
        for argument in arguments {
            let param = function.param(values.len());
            values.push(self.argument(argument, param, dot, frame)?);
        }
        if let Some(last) = last {
            let param = function.param(values.len());
            values.push(call::validate(last, param).map_err(|message| shown.stop(message))?);
        }
        let answer = match self.cx.weigh(&values) {
            Ok(()) => (function.call)(self.cx, &values),
            Err(fault) => Err(fault),
        };
        answer.map_err(|Fault(why)| shown.stop(format!("error calling {}: {why}", function.name)))
    }

    fn short_circuit(
        &mut self,
        function: &'static Function,
        arguments: &'a [Operand],
        last: Option<Val<'a>>,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Val<'a>> {
        let mut value = Val::Missing;
        for argument in arguments {
            value = self.argument(argument, Param::Value, dot, frame)?;
            if truth(self.cx, &value) == (function.name == "or") {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    fn argument(
        &mut self,
        operand: &'a Operand,
        param: Param,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Val<'a>> {
        let value = match &operand.term {
            Term::Dot => dot.clone(),
            Term::Field(names) => {
                let mut receiver = dot.clone();
                for name in names {
                    receiver = self.field(receiver, name, operand, &[], None, dot, frame)?;
                }
                receiver
            }
            Term::Variable { variable, fields } => {
                let mut receiver = self.variable(operand, variable, frame)?;
                for name in fields {
                    receiver = self.field(receiver, name, operand, &[], None, dot, frame)?;
                }
                receiver
            }
            Term::Pipe(pipe) => self.pipe(pipe, dot, frame)?,
            Term::Function(function) => self.function(
                function,
                None,
                Shown::Operand(operand),
                &[],
                None,
                dot,
                frame,
            )?,
            Term::Chain { inner, fields } => {
                let mut receiver = self.chain_start(inner, dot, frame)?;
                for name in fields {
                    receiver = self.field(receiver, name, operand, &[], None, dot, frame)?;
                }
                receiver
            }
            Term::Nil => {
                return call::nil_argument(param).map_err(|message| stop(operand, message));
            }
            Term::Bool(_) | Term::Number(_) | Term::Text { .. } => {
                if matches!(param, Param::Any | Param::Value) {
                    return self.constant(operand);
                }
                return call::literal(operand, param).map_err(|message| stop(operand, message));
            }
        };
        call::validate(value, param).map_err(|message| stop(operand, message))
    }
}
