//! Runs a compiled template: actions, pipelines, operands.
//! It never recurses beyond the depth limit, and counts every command as a step.

mod operands;
mod stop;

use super::ast::{Definition, Node, Pipe, Pos, Program, Variable};
use super::cx::Cx;
use super::printf;
use super::value::{Items, List, Val};
pub(super) use stop::Stop;
use stop::{Run, fault_at, stop_at_pipe};

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
            out: Vec::with_capacity(256),
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
        Val::Map(map) => cx.map_len(map) > 0,
        Val::Time(_) | Val::Version(_) | Val::Cert(_) => true,
    }
}
