//! Runs a compiled template: actions, pipelines, operands.
//! It never recurses beyond the depth limit, and counts every command as a step.

use super::ast::{Command, Definition, Node, Operand, Pipe, Pos, Program, Term, Variable};
use super::call::{self, Param};
use super::cx::{Cx, Fault};
use super::funcs::Function;
use super::printf;
use super::value::{Items, List, MapRef, Text, Val};

/// Why and where a rendering ended early.
pub(super) struct Stop {
    pub(super) pos: Pos,
    pub(super) message: String,
}

pub(super) type Run<T> = Result<T, Stop>;

enum Flow {
    Next,
    Break,
    Continue,
}

/// The variables of one template call.
type Frame<'a> = Vec<Val<'a>>;

pub(super) struct Runner<'a, 'c> {
    pub(super) cx: &'c Cx<'a>,
    program: &'a Program,
    pub(super) out: Vec<u8>,
    depth: u32,
}

impl<'a, 'c> Runner<'a, 'c> {
    pub(super) fn new(cx: &'c Cx<'a>, program: &'a Program) -> Self {
        Self {
            cx,
            program,
            out: Vec::new(),
            depth: 0,
        }
    }

    pub(super) fn run(&mut self, dot: &Val<'a>) -> Run<()> {
        match self.program.templates.first() {
            Some(root) => self.template(root, dot),
            None => Ok(()),
        }
    }

    fn template(&mut self, template: &'a Definition, dot: &Val<'a>) -> Run<()> {
        let mut frame = vec![Val::Missing; template.slots];
        if let Some(root) = frame.first_mut() {
            root.clone_from(dot);
        }
        self.list(&template.body, dot, &mut frame).map(drop)
    }

    fn deeper(&mut self, pos: Pos) -> Run<()> {
        self.depth += 1;
        if self.depth > self.cx.limits.depth {
            let limit = self.cx.limits.depth;
            return Err(Stop {
                pos,
                message: format!("exceeded maximum template depth ({limit})"),
            });
        }
        Ok(())
    }

    fn list(&mut self, nodes: &'a [Node], dot: &Val<'a>, frame: &mut Frame<'a>) -> Run<Flow> {
        for node in nodes {
            let flow = self.node(node, dot, frame)?;
            if !matches!(flow, Flow::Next) {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    fn node(&mut self, node: &'a Node, dot: &Val<'a>, frame: &mut Frame<'a>) -> Run<Flow> {
        match node {
            Node::Text(text) => self.write(text, 0)?,
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot, frame)?;
                if pipe.declared.is_empty() {
                    self.print(pipe, &value)?;
                }
            }
            Node::If {
                branches,
                otherwise,
            } => {
                return self.branches(branches, otherwise.as_deref(), false, dot, frame);
            }
            Node::With {
                branches,
                otherwise,
            } => {
                return self.branches(branches, otherwise.as_deref(), true, dot, frame);
            }
            Node::Range {
                pipe,
                body,
                otherwise,
            } => {
                self.deeper(pipe.pos)?;
                let flow = self.range(pipe, body, otherwise.as_deref(), dot, frame)?;
                self.depth -= 1;
                return Ok(flow);
            }
            Node::Template {
                pos,
                name,
                index,
                pipe,
            } => {
                self.call_template(*pos, name, *index, pipe.as_ref(), dot, frame)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn branches(
        &mut self,
        branches: &'a [(Pipe, Vec<Node>)],
        otherwise: Option<&'a [Node]>,
        with: bool,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Flow> {
        let pos = branches.first().map_or(0, |(pipe, _)| pipe.pos);
        self.deeper(pos)?;
        let mut flow = Flow::Next;
        let mut taken = false;
        for (pipe, body) in branches {
            let value = self.pipe(pipe, dot, frame)?;
            if truth(self.cx, &value) {
                flow = self.list(body, if with { &value } else { dot }, frame)?;
                taken = true;
                break;
            }
        }
        if let (false, Some(body)) = (taken, otherwise) {
            flow = self.list(body, dot, frame)?;
        }
        self.depth -= 1;
        Ok(flow)
    }

    fn call_template(
        &mut self,
        pos: Pos,
        name: &[u8],
        index: Option<usize>,
        pipe: Option<&'a Pipe>,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<()> {
        let Some(template) = index.and_then(|index| self.program.templates.get(index)) else {
            let name = String::from_utf8_lossy(name);
            return Err(Stop {
                pos,
                message: format!("template {name:?} not defined"),
            });
        };
        self.deeper(pos)?;
        let value = match pipe {
            Some(pipe) => self.pipe(pipe, dot, frame)?,
            None => Val::Missing,
        };
        self.template(template, &value)?;
        self.depth -= 1;
        Ok(())
    }

    fn range(
        &mut self,
        pipe: &'a Pipe,
        body: &'a [Node],
        otherwise: Option<&'a [Node]>,
        dot: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<Flow> {
        let value = self.pipe(pipe, dot, frame)?;
        let mut ran = false;
        if let Some(count) = rounds(&value) {
            if pipe.declared.len() > 1 {
                let shown = printf::display(self.cx, &value);
                let message = format!("can't use {shown} to iterate over more than one variable");
                return Err(stop_at_pipe(pipe, message));
            }
            for index in 0..count.max(0) {
                ran = true;
                let element = match value {
                    Val::Int(_, kind) => Val::Int(index, kind),
                    Val::Uint(_, kind) => Val::Uint(index.unsigned_abs(), kind),
                    _ => Val::int(index),
                };
                if self.round(pipe, body, Val::Missing, &element, frame)? {
                    break;
                }
            }
        } else {
            match &value {
                Val::List(list) => {
                    for (index, element) in list.iter().enumerate() {
                        ran = true;
                        if self.round(pipe, body, Val::length(index), &element, frame)? {
                            break;
                        }
                    }
                }
                Val::Map(map) => {
                    let entries = self
                        .cx
                        .entries(map)
                        .map_err(|fault| fault_at(pipe, fault))?;
                    for (key, element) in entries {
                        ran = true;
                        if self.round(pipe, body, Val::Str(key), &element, frame)? {
                            break;
                        }
                    }
                }
                Val::Missing | Val::Nil => {}
                other => {
                    let shown = printf::display(self.cx, other);
                    return Err(stop_at_pipe(
                        pipe,
                        format!("range can't iterate over {shown}"),
                    ));
                }
            }
        }
        match otherwise {
            Some(otherwise) if !ran => self.list(otherwise, dot, frame),
            _ => Ok(Flow::Next),
        }
    }

    /// One round of a loop; whether it was the last.
    fn round(
        &mut self,
        pipe: &'a Pipe,
        body: &'a [Node],
        index: Val<'a>,
        element: &Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<bool> {
        self.cx.step().map_err(|fault| fault_at(pipe, fault))?;
        match pipe.declared.as_slice() {
            [one] => self.set(pipe, one, element.clone(), frame)?,
            [first, second] => {
                self.set(pipe, first, index, frame)?;
                self.set(pipe, second, element.clone(), frame)?;
            }
            _ => {}
        }
        let flow = self.list(body, element, frame)?;
        Ok(matches!(flow, Flow::Break))
    }

    fn set(
        &self,
        pipe: &Pipe,
        variable: &Variable,
        value: Val<'a>,
        frame: &mut Frame<'a>,
    ) -> Run<()> {
        match variable.slot.and_then(|slot| frame.get_mut(slot)) {
            Some(place) => {
                *place = value;
                Ok(())
            }
            None => Err(stop_at_pipe(
                pipe,
                format!("undefined variable: {}", variable.name),
            )),
        }
    }

    fn write(&mut self, bytes: &[u8], pos: Pos) -> Run<()> {
        if self.out.len() + bytes.len() > self.cx.limits.output {
            let limit = self.cx.limits.output;
            return Err(Stop {
                pos,
                message: format!("the output exceeds {limit} bytes"),
            });
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn print(&mut self, pipe: &Pipe, value: &Val<'a>) -> Run<()> {
        match value {
            Val::Str(text) => self.write(text, pipe.pos),
            Val::Missing | Val::Nil => self.write(b"<no value>", pipe.pos),
            other => {
                let room = self.cx.limits.output.saturating_sub(self.out.len());
                let mut printer = printf::Printer::new(self.cx, room.min(self.cx.room()));
                printer
                    .default_print(other)
                    .map_err(|fault| fault_at(pipe, fault))?;
                let bytes = printer.finish().map_err(|fault| fault_at(pipe, fault))?;
                self.write(&bytes, pipe.pos)
            }
        }
    }

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
                return Ok(self.cx.get(map, name.as_bytes()).unwrap_or(Val::Missing));
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
                if let Some(method) = super::methods::find(other, name) {
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
        (function.call)(self.cx, &values)
            .map_err(|Fault(why)| shown.stop(format!("error calling {}: {why}", function.name)))
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

/// What an error message shows of a call.
#[derive(Clone, Copy)]
enum Shown<'a> {
    Command(&'a Command),
    Operand(&'a Operand),
}

impl Shown<'_> {
    fn stop(self, message: String) -> Stop {
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

fn show(operand: &Operand) -> String {
    let mut shown = String::new();
    operand.write(&mut shown);
    shorten(&shown)
}

/// Messages quote the template, but not all of a long one.
fn shorten(shown: &str) -> String {
    match shown.char_indices().nth(200) {
        Some((end, _)) => format!("{}...", shown.get(..end).unwrap_or_default()),
        None => shown.to_owned(),
    }
}

fn stop(operand: &Operand, message: String) -> Stop {
    Shown::Operand(operand).stop(message)
}

fn stop_at_pipe(pipe: &Pipe, message: String) -> Stop {
    let mut shown = String::new();
    pipe.write(&mut shown);
    Stop {
        pos: pipe.pos,
        message: format!("executing at <{}>: {message}", shorten(&shown)),
    }
}

fn fault_at(pipe: &Pipe, Fault(message): Fault) -> Stop {
    stop_at_pipe(pipe, message)
}

/// How often a loop over a number runs, where the value is one.
fn rounds(value: &Val<'_>) -> Option<i64> {
    match value {
        Val::Int(count, _) => Some(*count),
        Val::Uint(count, _) => Some(i64::try_from(*count).unwrap_or(i64::MAX)),
        Val::Num(number) => number.as_i64(),
        _ => None,
    }
}

/// Go's truth: the zero of any type is false.
pub(super) fn truth<'a>(cx: &Cx<'a>, value: &Val<'a>) -> bool {
    match value {
        Val::Missing | Val::Nil => false,
        Val::Bool(truth) => *truth,
        Val::Int(int, _) => *int != 0,
        Val::Uint(uint, _) => *uint != 0,
        Val::Float(float) => *float != 0.0,
        Val::Num(number) => number.as_f64() != 0.0,
        Val::Str(text) => !text.is_empty(),
        Val::List(List {
            items: Items::Json(items),
            ..
        }) => !items.is_empty(),
        Val::List(list) => list.len() > 0,
        Val::Map(MapRef::Input(_)) => true,
        Val::Map(map) => cx.map_len(map) > 0,
        Val::Time(_) | Val::Version(_) | Val::Cert(_) => true,
    }
}
