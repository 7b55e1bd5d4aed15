//! Runs a tree: names, members, operators, calls.
//! It never takes more steps or memory than its budget.

use super::ast::{Comparison, Kind, Link, Node, Operator, Pointer};
use super::value::{Entries, Helper, Text, V};
use super::{EvalError, builtins, ops, place};
use crate::go::re2;
use crate::value::Map;

/// The name of the functions that Argo offers from Sprig.
const LIBRARY: &str = "sprig";

/// The most steps: nodes, elements, and 64 bytes of text each.
const MAX_STEPS: u64 = 1_000_000;

/// The most elements of arrays and maps that are made, as in the Go library.
const MAX_ELEMENTS: usize = 1_000_000;

/// The most bytes of text that are made.
const MAX_BYTES: usize = 64 << 20;

pub(super) type Result<'a> = std::result::Result<V<'a>, EvalError>;

/// A loop over a collection.
pub(super) struct Scope<'a> {
    pub(super) collection: V<'a>,
    pub(super) index: usize,
    pub(super) accumulator: V<'a>,
}

pub(super) struct Evaluation<'a> {
    text: &'a str,
    pub(super) environment: &'a Map,
    slots: Vec<V<'a>>,
    pub(super) scopes: Vec<Scope<'a>>,
    steps: u64,
    elements: usize,
    bytes: usize,
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(text: &'a str, environment: &'a Map, slots: usize) -> Self {
        Self {
            text,
            environment,
            slots: vec![V::Nil; slots],
            scopes: Vec::new(),
            steps: 0,
            elements: 0,
            bytes: 0,
        }
    }

    pub(super) fn fail<T>(
        &self,
        what: impl Into<String>,
        offset: usize,
    ) -> std::result::Result<T, EvalError> {
        let (line, column) = place(self.text, offset);
        Err(EvalError::Operation {
            what: what.into(),
            line,
            column,
        })
    }

    /// Takes steps from the budget.
    pub(super) fn step(&mut self, count: usize) -> std::result::Result<(), EvalError> {
        self.steps = self.steps.saturating_add(count as u64);
        if self.steps > MAX_STEPS {
            Err(EvalError::Budget("steps"))
        } else {
            Ok(())
        }
    }

    /// Takes the reading of a value from the budget.
    pub(super) fn read(&mut self, value: &V<'_>) -> std::result::Result<(), EvalError> {
        match value {
            V::Text(text) => self.step(text.as_str().len() / 64),
            V::Array(_) | V::Map(_) | V::Bytes(_) => self.step(value.weight() / 16),
            _ => Ok(()),
        }
    }

    /// What is left of the budget, for a function that counts by itself.
    pub(super) fn left(&self) -> (u64, usize) {
        (
            MAX_STEPS.saturating_sub(self.steps),
            MAX_BYTES.saturating_sub(self.bytes),
        )
    }

    /// Takes what such a function has used.
    pub(super) fn take(&mut self, steps: u64, bytes: usize) -> std::result::Result<(), EvalError> {
        self.bytes = self.bytes.saturating_add(bytes);
        self.step(usize::try_from(steps).unwrap_or(usize::MAX))
    }

    /// Takes the elements of a new array or map from the budget.
    pub(super) fn grow(&mut self, count: usize) -> std::result::Result<(), EvalError> {
        self.elements = self.elements.saturating_add(count);
        if self.elements >= MAX_ELEMENTS {
            Err(EvalError::Budget("elements"))
        } else {
            Ok(())
        }
    }

    /// Takes a new text from the budget.
    pub(super) fn made(&mut self, value: V<'a>) -> Result<'a> {
        if let V::Text(Text::Made(text)) = &value {
            self.bytes = self.bytes.saturating_add(text.len());
            if self.bytes > MAX_BYTES {
                return Err(EvalError::Budget("bytes of text"));
            }
            self.step(text.len() / 64)?;
        }
        Ok(value)
    }

    pub(super) fn array(&mut self, items: Vec<V<'a>>) -> Result<'a> {
        self.grow(items.len())?;
        let array = V::array(items).ok_or(EvalError::Budget("levels or leaves"))?;
        self.step(array.weight() / 16)?;
        Ok(array)
    }

    pub(super) fn run(&mut self, node: &'a Node) -> Result<'a> {
        self.step(1)?;
        match &node.kind {
            Kind::Nil => Ok(V::Nil),
            Kind::Bool(truth) => Ok(V::Bool(*truth)),
            Kind::Int(int) => Ok(V::Int(*int)),
            Kind::Float(float) => Ok(V::Float(*float)),
            Kind::Text(text) => Ok(V::Text(Text::Borrowed(text))),
            Kind::Bytes(bytes) => Ok(V::Bytes(bytes.as_slice().into())),
            Kind::Name(name) => Ok(self.name(name)),
            Kind::Environment => Ok(V::Map(Entries::Json(self.environment))),
            Kind::Variable(slot) => Ok(self.slots.get(*slot).cloned().unwrap_or(V::Nil)),
            Kind::Pointer(pointer) => self.pointer(*pointer, node.offset),
            Kind::Not(_) | Kind::Negate(_) | Kind::Plus(_) => self.unary(node),
            Kind::Chain(first, links) => self.chain(first, links),
            Kind::Compare(first, rest) => self.compare(first, rest, node.offset),
            Kind::Power(left, right) => self.power(left, right, node.offset),
            Kind::Path(base, steps) => self.path(base, steps),
            Kind::Call(name, arguments) => self.call(name, arguments, node.offset),
            Kind::Builtin(builtin, arguments) => {
                let arguments = self.all(arguments)?;
                builtins::call(self, *builtin, arguments, node.offset)
            }
            Kind::Closure(closure, arguments) => self.closure(*closure, arguments, node.offset),
            Kind::Conditional(parts) => self.conditional(parts),
            Kind::Let(bindings, nodes) => self.bindings(bindings, nodes),
            Kind::Sequence(nodes) => self.last(nodes),
            Kind::Array(nodes) => {
                let items = self.all(nodes)?;
                self.array(items)
            }
            Kind::Map(pairs) => self.map(pairs),
        }
    }

    pub(super) fn name(&self, name: &str) -> V<'a> {
        // Argo's own functions come after the event's members and hide them.
        match Helper::named(name) {
            Some(helper) => V::Function(helper),
            None if name == LIBRARY => V::Library,
            None => self.environment.get(name).map_or(V::Nil, V::borrowed),
        }
    }

    pub(super) fn all(&mut self, nodes: &'a [Node]) -> std::result::Result<Vec<V<'a>>, EvalError> {
        nodes.iter().map(|node| self.run(node)).collect()
    }

    fn last(&mut self, nodes: &'a [Node]) -> Result<'a> {
        let mut last = V::Nil;
        for node in nodes {
            last = self.run(node)?;
        }
        Ok(last)
    }

    fn bindings(&mut self, bindings: &'a [(usize, Node)], nodes: &'a [Node]) -> Result<'a> {
        for (slot, node) in bindings {
            let value = self.run(node)?;
            if let Some(place) = self.slots.get_mut(*slot) {
                *place = value;
            }
        }
        self.last(nodes)
    }

    fn pointer(&self, pointer: Pointer, offset: usize) -> Result<'a> {
        let Some(scope) = self.scopes.last() else {
            return self.fail("`#` has no meaning outside a predicate", offset);
        };
        match pointer {
            Pointer::Index => Ok(V::Int(i64::try_from(scope.index).unwrap_or_default())),
            Pointer::Accumulator => Ok(scope.accumulator.clone()),
            Pointer::Item => match scope.collection.item(scope.index) {
                Some(item) => Ok(item),
                None => self.fail("the collection has no elements in order", offset),
            },
        }
    }

    pub(super) fn truth(
        &self,
        value: &V<'_>,
        offset: usize,
    ) -> std::result::Result<bool, EvalError> {
        match value {
            V::Bool(truth) => Ok(*truth),
            other => self.fail(
                format!("{} where a boolean is needed", other.type_name()),
                offset,
            ),
        }
    }

    fn unary(&mut self, node: &'a Node) -> Result<'a> {
        match &node.kind {
            Kind::Not(inner) => {
                let value = self.run(inner)?;
                Ok(V::Bool(!self.truth(&value, node.offset)?))
            }
            Kind::Negate(inner) => match self.run(inner)? {
                V::Int(int) => Ok(V::Int(int.wrapping_neg())),
                value => match value.as_float() {
                    Some(float) => Ok(V::Float(-float)),
                    None => self.fail(format!("`-` of {}", value.type_name()), node.offset),
                },
            },
            Kind::Plus(inner) => self.run(inner),
            _ => Ok(V::Nil),
        }
    }

    fn conditional(&mut self, parts: &'a [Node; 3]) -> Result<'a> {
        let [condition, then, otherwise] = parts;
        let value = self.run(condition)?;
        if self.truth(&value, condition.offset)? {
            self.run(then)
        } else {
            self.run(otherwise)
        }
    }

    fn power(&mut self, left: &'a Node, right: &'a Node, offset: usize) -> Result<'a> {
        let (a, b) = (self.run(left)?, self.run(right)?);
        match (a.as_float(), b.as_float()) {
            (Some(a), Some(b)) => Ok(V::Float(a.powf(b))),
            _ => self.fail(
                format!("`**` of {} and {}", a.type_name(), b.type_name()),
                offset,
            ),
        }
    }

    fn compare(
        &mut self,
        first: &'a Node,
        rest: &'a [(Comparison, Node)],
        offset: usize,
    ) -> Result<'a> {
        let mut left = self.run(first)?;
        for (comparison, node) in rest {
            let right = self.run(node)?;
            match ops::compare(&left, *comparison, &right) {
                Some(true) => {}
                Some(false) => return Ok(V::Bool(false)),
                None => {
                    let (a, b) = (left.type_name(), right.type_name());
                    return self.fail(format!("`{}` of {a} and {b}", comparison.symbol()), offset);
                }
            }
            left = right;
        }
        Ok(V::Bool(true))
    }

    fn chain(&mut self, first: &'a Node, links: &'a [Link]) -> Result<'a> {
        let mut left = self.run(first)?;
        for link in links {
            left = self.link(left, link)?;
        }
        Ok(left)
    }

    fn link(&mut self, left: V<'a>, link: &'a Link) -> Result<'a> {
        match link.operator {
            Operator::And if !self.truth(&left, link.offset)? => return Ok(left),
            Operator::Or if self.truth(&left, link.offset)? => return Ok(left),
            Operator::Coalesce if !left.is_nil() => return Ok(left),
            Operator::And | Operator::Or | Operator::Coalesce => return self.run(&link.right),
            _ => {}
        }
        let right = self.run(&link.right)?;
        let result = match link.operator {
            Operator::Equal | Operator::NotEqual => {
                self.read(&left)?;
                Some(V::Bool(
                    ops::equal(&left, &right) == (link.operator == Operator::Equal),
                ))
            }
            Operator::In => {
                self.read(&right)?;
                ops::is_in(&left, &right).map(V::Bool)
            }
            Operator::Matches => self.matches(&left, &right, link)?.map(V::Bool),
            Operator::Contains | Operator::StartsWith | Operator::EndsWith => {
                self.read(&left)?;
                text_test(&left, link.operator, &right).map(V::Bool)
            }
            Operator::Range => self.range(&left, &right)?,
            operator => match ops::arithmetic(&left, operator, &right) {
                Some(value) => Some(self.made(value)?),
                None => None,
            },
        };
        match result {
            Some(V::Bool(truth)) if link.negated => Ok(V::Bool(!truth)),
            Some(value) => Ok(value),
            None => {
                let (a, b) = (left.type_name(), right.type_name());
                self.fail(
                    format!("`{}` of {a} and {b}", link.operator.symbol()),
                    link.offset,
                )
            }
        }
    }

    fn matches(
        &mut self,
        left: &V<'a>,
        right: &V<'a>,
        link: &'a Link,
    ) -> std::result::Result<Option<bool>, EvalError> {
        if left.is_nil() || right.is_nil() {
            return Ok(Some(false));
        }
        self.read(left)?;
        let text = match left {
            V::Text(text) => text.as_str().as_bytes(),
            V::Bytes(bytes) => bytes,
            _ => return Ok(None),
        };
        if let Some(pattern) = &link.pattern {
            return Ok(Some(pattern.is_match(text)));
        }
        let Some(pattern) = right.as_text() else {
            return Ok(None);
        };
        // Compiling costs far more than a step.
        self.step(500 + pattern.len())?;
        match re2::compile(pattern) {
            Ok(regex) => Ok(Some(regex.is_match(text))),
            Err(why) => self.fail(
                format!("the pattern is no regular expression: {why}"),
                link.offset,
            ),
        }
    }

    fn range(
        &mut self,
        left: &V<'a>,
        right: &V<'a>,
    ) -> std::result::Result<Option<V<'a>>, EvalError> {
        let (Some(from), Some(to)) = (left.as_cut_int(), right.as_cut_int()) else {
            return Ok(None);
        };
        let size = to
            .checked_sub(from)
            .and_then(|size| size.checked_add(1))
            .unwrap_or(i64::MAX);
        let size = usize::try_from(size).unwrap_or_default();
        if size >= MAX_ELEMENTS {
            return Err(EvalError::Budget("elements"));
        }
        self.array((from..=to).map(V::Int).collect()).map(Some)
    }

    fn map(&mut self, pairs: &'a [(Node, Node)]) -> Result<'a> {
        let mut entries = std::collections::BTreeMap::new();
        for (key, value) in pairs {
            let name = self.run(key)?;
            let value = self.run(value)?;
            match (name.as_text(), name.as_key()) {
                // Of repeated keys the first one wins, as in Go, which fills the map from the back.
                (Some(_), Some(name)) => drop(entries.entry(name).or_insert(value)),
                _ => return self.fail(format!("{} as a key", name.type_name()), key.offset),
            }
        }
        self.grow(pairs.len())?;
        let map = V::map(entries, false).ok_or(EvalError::Budget("levels or leaves"))?;
        self.step(map.weight() / 16)?;
        Ok(map)
    }
}

fn text_test(left: &V<'_>, operator: Operator, right: &V<'_>) -> Option<bool> {
    if left.is_nil() || right.is_nil() {
        return Some(false);
    }
    let (text, part) = (left.as_text()?, right.as_text()?);
    Some(match operator {
        Operator::Contains => text.contains(part),
        Operator::StartsWith => text.starts_with(part),
        _ => text.ends_with(part),
    })
}
