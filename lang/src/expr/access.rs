//! Members, methods, slices and calls of a running expression.
//! It never reaches past the end of a list: that is an error.

use super::ast::{Node, Step, StepKind};
use super::eval::{Evaluation, Result};
use super::value::{Entries, Helper, Text, V};
use super::{EvalError, builtins, times};
use crate::gotemplate::Sprig;

impl<'a> Evaluation<'a> {
    /// Follows members, calls and slices; nil at `?.` ends the run of dots that it stands in.
    pub(super) fn path(&mut self, base: &'a Node, steps: &'a [Step]) -> Result<'a> {
        let mut value = self.run(base)?;
        let mut skipping = false;
        for step in steps {
            let dotted = matches!(step.kind, StepKind::Member(_) | StepKind::Method(..));
            if skipping && dotted {
                continue;
            }
            skipping = step.optional && value.is_nil();
            if !skipping {
                self.step(1)?;
                value = self.follow(value, step)?;
            }
        }
        Ok(value)
    }

    fn follow(&mut self, value: V<'a>, step: &'a Step) -> Result<'a> {
        match &step.kind {
            StepKind::Member(name) => {
                self.fetch(&value, &V::Text(Text::Borrowed(name)), step.offset)
            }
            StepKind::Index(index) => {
                let index = self.run(index)?;
                self.fetch(&value, &index, step.offset)
            }
            StepKind::Method(name, arguments) => {
                let arguments = self.all(arguments)?;
                self.method(&value, name, &arguments, step.offset)
            }
            StepKind::Slice(from, to) => {
                self.slice(&value, from.as_ref(), to.as_ref(), step.offset)
            }
        }
    }

    /// A member, or the error that there can be none.
    pub(super) fn fetch(&mut self, from: &V<'a>, key: &V<'a>, offset: usize) -> Result<'a> {
        match from {
            V::Array(_) | V::Text(_) | V::Bytes(_) => {
                let length = from.len().unwrap_or_default();
                let Some(index) = key.as_cut_int() else {
                    return self.fail(format!("{} as an index", key.type_name()), offset);
                };
                match resolve(index, length).and_then(|index| from.item(index)) {
                    Some(item) => Ok(item),
                    None => self.fail(
                        format!("index {index} is out of range, there are {length}"),
                        offset,
                    ),
                }
            }
            V::Map(Entries::Json(map)) if std::ptr::eq(*map, self.environment) => {
                match key.as_text() {
                    Some(name) => Ok(self.name(name)),
                    None => self.fail(format!("{} as a key", key.type_name()), offset),
                }
            }
            V::Map(_) => match from.member(key) {
                Some(member) => Ok(member.unwrap_or(V::Nil)),
                None => self.fail(format!("{} as a key", key.type_name()), offset),
            },
            V::Library => Ok(key
                .as_text()
                .and_then(Sprig::named)
                .map_or(V::Nil, |function| V::Function(Helper::Sprig(function)))),
            _ => {
                let key: String = key.print().chars().take(80).collect();
                self.fail(
                    format!("{} has no member {key:?}", from.type_name()),
                    offset,
                )
            }
        }
    }

    fn method(
        &mut self,
        value: &V<'a>,
        name: &str,
        arguments: &[V<'a>],
        offset: usize,
    ) -> Result<'a> {
        let result = match value {
            V::Time(time) => times::time_method(time, name, arguments),
            V::Duration(nanos) => times::duration_method(*nanos, name, arguments),
            V::Month(_) | V::Weekday(_) | V::Zone(_)
                if name == "String" && arguments.is_empty() =>
            {
                Some(V::text(value.print()))
            }
            V::Library => match Sprig::named(name) {
                Some(function) => {
                    return builtins::help(self, Helper::Sprig(function), arguments, offset);
                }
                None => None,
            },
            // Functions of the environment, called through `$env`.
            V::Map(Entries::Json(map)) if std::ptr::eq(*map, self.environment) => {
                match Helper::named(name) {
                    Some(helper) => return builtins::help(self, helper, arguments, offset),
                    None => None,
                }
            }
            _ => None,
        };
        match result {
            Some(value) => self.made(value),
            None => self.fail(
                format!(
                    "{} has no method {name:?} for these arguments",
                    value.type_name()
                ),
                offset,
            ),
        }
    }

    fn slice(
        &mut self,
        value: &V<'a>,
        from: Option<&'a Node>,
        to: Option<&'a Node>,
        offset: usize,
    ) -> Result<'a> {
        let Some(length) = value
            .len()
            .filter(|_| !matches!(value, V::Map(_)) || to.is_some())
        else {
            return self.fail(format!("{} cannot be sliced", value.type_name()), offset);
        };
        let length = i64::try_from(length).unwrap_or(i64::MAX);
        let mut bound = |node: Option<&'a Node>,
                         absent: i64|
         -> std::result::Result<usize, EvalError> {
            let index = match node {
                None => absent,
                Some(node) => {
                    let index = self.run(node)?;
                    match index.as_cut_int() {
                        Some(index) => index,
                        None => {
                            return self.fail(format!("{} as an index", index.type_name()), offset);
                        }
                    }
                }
            };
            let index = if index < 0 {
                length.saturating_add(index)
            } else {
                index
            };
            Ok(usize::try_from(index.clamp(0, length)).unwrap_or_default())
        };
        let to = bound(to, length)?;
        let from = bound(from, 0)?.min(to);
        match value {
            V::Text(text) => {
                let bytes = text.as_str().as_bytes().get(from..to).unwrap_or_default();
                self.made(V::text(String::from_utf8_lossy(bytes)))
            }
            V::Array(_) | V::Bytes(_) => {
                let items = (from..to).filter_map(|index| value.item(index)).collect();
                self.array(items)
            }
            _ => self.fail(format!("{} cannot be sliced", value.type_name()), offset),
        }
    }

    pub(super) fn call(
        &mut self,
        name: &'a str,
        arguments: &'a [Node],
        offset: usize,
    ) -> Result<'a> {
        let arguments = self.all(arguments)?;
        match self.name(name) {
            V::Function(helper) => builtins::help(self, helper, &arguments, offset),
            V::Nil => self.fail(format!("there is no function {name:?}"), offset),
            other => self.fail(
                format!("{name:?} is {}, not a function", other.type_name()),
                offset,
            ),
        }
    }
}

/// An index from the front or, if negative, from the back.
pub(super) fn resolve(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 {
        length.checked_add(index)?
    } else {
        index
    };
    usize::try_from(index).ok().filter(|_| index < length)
}
