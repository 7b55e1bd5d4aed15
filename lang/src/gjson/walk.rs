//! Finding what a path selects in a document: stages joined by pipes, each one walk down the brackets.
//! It never copies the document, and every step is paid from a [`Budget`], so no path runs for long or deep.

use std::borrow::Cow;

use super::path::{self, Select, Then};
use super::query::Query;
use super::{Kind, modifiers, multi, scan};

/// The deepest that paths are followed into documents, and paths within paths, together.
const MAX_DEPTH: u16 = 500;

/// What an evaluation may still spend.
pub(super) struct Budget {
    /// Bytes looked at or written.
    pub(super) fuel: u64,
    depth: u16,
}

impl Budget {
    /// Enough for any sensible path over a document of this size.
    pub(super) fn new(json: &[u8], path: &[u8]) -> Self {
        let size = u64::try_from(json.len().saturating_add(path.len())).unwrap_or(u64::MAX);
        Self {
            fuel: size.saturating_mul(64).saturating_add(1 << 23),
            depth: 0,
        }
    }

    /// Takes `bytes`; false when there are not that many left.
    pub(super) fn pay(&mut self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let enough = self.fuel >= bytes;
        self.fuel = self.fuel.saturating_sub(bytes);
        enough
    }

    /// One level down; false at the bottom.
    pub(super) fn enter(&mut self) -> bool {
        self.depth += 1;
        if self.depth > MAX_DEPTH || self.fuel == 0 {
            self.depth -= 1;
            return false;
        }
        true
    }

    /// The level up again.
    pub(super) fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

/// A value that a path selects.
#[derive(Debug, Clone)]
pub(super) struct Hit<'a> {
    pub(super) kind: Kind,
    pub(super) raw: Cow<'a, [u8]>,
    /// The pieces of the document that `#.x` or `#(…)#` put together here.
    pub(super) parts: Vec<&'a [u8]>,
}

impl<'a> Hit<'a> {
    fn new(kind: Kind, raw: impl Into<Cow<'a, [u8]>>) -> Self {
        Self {
            kind,
            raw: raw.into(),
            parts: Vec::new(),
        }
    }

    /// The value at the start of a text; `None` where there is none.
    pub(super) fn read(text: Cow<'a, [u8]>) -> Option<Self> {
        let start = text.iter().position(|byte| *byte > b' ')?;
        let kind = scan::kind_of(text.get(start..)?)?;
        // After a bracket everything counts, whatever follows.
        let end = if kind == Kind::Json {
            text.len()
        } else {
            scan::value_end(&text, start)
        };
        let raw = match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.get(start..end)?),
            Cow::Owned(mut text) => {
                text.truncate(end);
                text.drain(..start);
                Cow::Owned(text)
            }
        };
        Some(Self::new(kind, raw))
    }

    /// The text of a string, as bytes.
    pub(super) fn decoded(&self) -> Cow<'_, [u8]> {
        super::decode(&self.raw)
    }

    pub(super) fn float(&self) -> f64 {
        super::go_float(&self.raw)
    }

    fn into_owned<'b>(self) -> Hit<'b> {
        Hit::new(self.kind, self.raw.into_owned())
    }
}

/// What one stage gives.
pub(super) enum Stage<'a, 'p> {
    /// The result of the whole path.
    Done(Option<Hit<'a>>),
    /// A text, and the path that goes on in it.
    Pipe(Cow<'a, [u8]>, &'p [u8]),
}

/// Evaluates a path.
pub(super) fn eval<'a>(budget: &mut Budget, json: Cow<'a, [u8]>, path: &[u8]) -> Option<Hit<'a>> {
    if !budget.enter() {
        return None;
    }
    let hit = stages(budget, json, path);
    budget.leave();
    hit
}

fn stages<'a>(budget: &mut Budget, mut json: Cow<'a, [u8]>, mut path: &[u8]) -> Option<Hit<'a>> {
    loop {
        let next = match &json {
            Cow::Borrowed(text) => stage(budget, text, path),
            Cow::Owned(text) => match stage(budget, text, path) {
                Stage::Done(hit) => Stage::Done(hit.map(Hit::into_owned)),
                Stage::Pipe(text, rest) => Stage::Pipe(Cow::Owned(text.into_owned()), rest),
            },
        };
        match next {
            Stage::Done(_) if budget.fuel == 0 => return None,
            Stage::Done(hit) => return hit,
            Stage::Pipe(text, rest) => (json, path) = (text, rest),
        }
        if !budget.pay(path.len()) {
            return None;
        }
    }
}

/// Evaluates a path up to its first pipe.
pub(super) fn stage<'a, 'p>(
    budget: &mut Budget,
    json: &'a [u8],
    mut path: &'p [u8],
) -> Stage<'a, 'p> {
    let whole = match path {
        [b'@', _, ..] => modifiers::apply(budget, json, path),
        [b'!', _, ..] => multi::literal(path).map(|(text, rest)| (Cow::Owned(text.to_vec()), rest)),
        [b'[' | b'{', _, ..] => match multi::branches(path) {
            Some((branches, rest @ ([] | [b'.' | b'|', ..]))) => {
                Some((multi::select(budget, json, path, &branches), rest))
            }
            // gjson goes on with what it has not read: nothing, where the bracket is open.
            other => {
                path = other.map_or(&[], |(_, rest)| rest);
                None
            }
        },
        _ => None,
    };
    match whole {
        Some((text, [b'.' | b'|', rest @ ..])) => return Stage::Pipe(text, rest),
        Some((text, _)) => return Stage::Done(Hit::read(text)),
        None => {}
    }
    let mut walk = Walk {
        budget,
        json,
        pipe: None,
        found: None,
    };
    if let [b'.', b'.', rest @ ..] = path {
        walk.array(0, rest, Shape::Lines);
    } else if let Some(at) = json.iter().position(|byte| matches!(byte, b'{' | b'[')) {
        walk.inside(at, path);
    }
    match walk.pipe {
        Some(rest) => Stage::Pipe(walk.found.map_or(Cow::Borrowed(&[]), |hit| hit.raw), rest),
        None => Stage::Done(walk.found),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Brackets,
    /// JSON lines: the elements of an array without its brackets.
    Lines,
}

/// One walk down a document.
struct Walk<'b, 'a, 'p> {
    budget: &'b mut Budget,
    json: &'a [u8],
    /// Where the path goes on after this walk, once a component has said so.
    pipe: Option<&'p [u8]>,
    found: Option<Hit<'a>>,
}

impl<'a, 'p> Walk<'_, 'a, 'p> {
    /// Goes into the container that opens at `at`. True ends the whole walk, false lets it look on.
    fn inside(&mut self, at: usize, path: &'p [u8]) -> bool {
        if !self.budget.enter() {
            return false;
        }
        let done = match self.json.get(at) {
            Some(b'{') => self.object(at + 1, path),
            Some(b'[') => self.array(at + 1, path, Shape::Brackets),
            _ => false,
        };
        self.budget.leave();
        done
    }

    fn object(&mut self, mut at: usize, path: &'p [u8]) -> bool {
        let part = path::key_part(path);
        if let Then::Pipe(rest) = part.then {
            self.pipe = Some(rest);
        }
        while let Some(key) = scan::next_key(self.json, at) {
            let scan::Next::Value(start) = scan::next_value(self.json, key.end) else {
                break;
            };
            let fits = part.matches(&key, &mut self.budget.fuel);
            if let (true, Then::More(rest)) = (fits, part.then) {
                if self.inside(start, rest) {
                    return true;
                }
            } else if fits {
                self.found = self.value(start);
                return true;
            }
            let end = scan::value_end(self.json, start);
            if !self.budget.pay(end - at) {
                return true;
            }
            at = end;
        }
        false
    }

    fn array(&mut self, at: usize, path: &'p [u8], shape: Shape) -> bool {
        let part = path::array_part(path);
        if let Then::Pipe(rest) = part.then {
            self.pipe = Some(rest);
        }
        match part.select {
            Select::Nothing => false,
            Select::Index(index) => self.index(at, index, part.then),
            Select::Count => self.count(at, shape),
            Select::Each(rest) => self.each(at, rest, shape),
            Select::First(query) => self.first(at, &query, part.then),
            Select::All(query) => {
                self.all(at, &query, part.then, shape);
                false
            }
        }
    }

    fn index(&mut self, mut at: usize, index: usize, then: Then<'p>) -> bool {
        let mut place = 0;
        while let scan::Next::Value(start) = scan::next_value(self.json, at) {
            if place == index {
                if let Then::More(rest) = then {
                    return self.inside(start, rest);
                }
                self.found = self.value(start);
                return true;
            }
            place += 1;
            let end = scan::value_end(self.json, start);
            if !self.budget.pay(end - at) {
                return true;
            }
            at = end;
        }
        false
    }

    fn count(&mut self, at: usize, shape: Shape) -> bool {
        let mut count = 0_usize;
        let closed = self.elements(at, shape, |_, _| {
            count += 1;
            true
        });
        if closed {
            self.found = Some(Hit::new(Kind::Number, count.to_string().into_bytes()));
        }
        closed
    }

    fn each(&mut self, at: usize, path: &'p [u8], shape: Shape) -> bool {
        let (path, pipe) = match path::split_pipe(path) {
            Some((left, right)) => (left, Some(right)),
            None => (path, None),
        };
        let mut list = List::default();
        let closed = self.elements(at, shape, |walk, element| {
            match eval(walk.budget, Cow::Borrowed(element), path) {
                Some(hit) => walk.budget.pay(hit.raw.len()) && list.push(hit),
                None => walk.budget.fuel > 0,
            }
        });
        if closed {
            self.found = Some(list.finish());
            self.pipe = pipe.or(self.pipe);
        }
        closed
    }

    fn first(&mut self, at: usize, query: &Query<'p>, then: Then<'p>) -> bool {
        let mut fit = None;
        self.elements(at, Shape::Brackets, |walk, element| {
            if walk.fits(query, element) {
                fit = Some(element);
            }
            fit.is_none()
        });
        let Some(element) = fit else { return false };
        self.found = self.rest_of(element, then);
        true
    }

    fn all(&mut self, at: usize, query: &Query<'p>, then: Then<'p>, shape: Shape) {
        let mut list = List::default();
        let closed = self.elements(at, shape, |walk, element| {
            if walk.fits(query, element)
                && let Some(hit) = walk.rest_of(element, then)
            {
                return walk.budget.pay(hit.raw.len()) && list.push(hit);
            }
            walk.budget.fuel > 0
        });
        // A later member of the same name does not replace it, and does not end the walk either.
        if closed && self.found.is_none() {
            self.found = Some(list.finish());
        }
    }

    /// Whether an element fits a query.
    fn fits(&mut self, query: &Query<'p>, element: &'a [u8]) -> bool {
        let kind = scan::kind_of(element);
        let left = if kind == Some(Kind::Json) {
            eval(self.budget, Cow::Borrowed(element), query.path)
        } else if query.path.is_empty() {
            kind.map(|kind| Hit::new(kind, element))
        } else {
            return false;
        };
        query.fits(left.as_ref(), &mut self.budget.fuel)
    }

    /// What the path after a query selects in an element that fits.
    fn rest_of(&mut self, element: &'a [u8], then: Then<'p>) -> Option<Hit<'a>> {
        let Then::More(rest) = then else {
            return scan::kind_of(element).map(|kind| Hit::new(kind, element));
        };
        let rest = match path::split_pipe(rest) {
            Some((left, right)) => {
                self.pipe = Some(right);
                left
            }
            None => rest,
        };
        eval(self.budget, Cow::Borrowed(element), rest)
    }

    /// Visits each element until `visit` says false; true when the closing bracket was reached.
    fn elements(
        &mut self,
        mut at: usize,
        shape: Shape,
        mut visit: impl FnMut(&mut Self, &'a [u8]) -> bool,
    ) -> bool {
        loop {
            let start = match scan::next_value(self.json, at) {
                scan::Next::Value(start) => start,
                scan::Next::End => return true,
                scan::Next::Cut => return shape == Shape::Lines,
            };
            let end = scan::value_end(self.json, start);
            let element = self.json.get(start..end).unwrap_or_default();
            if !self.budget.pay(end - at) || !visit(self, element) {
                return false;
            }
            at = end;
        }
    }

    fn value(&self, start: usize) -> Option<Hit<'a>> {
        let end = scan::value_end(self.json, start);
        let raw = self.json.get(start..end)?;
        Some(Hit::new(scan::kind_of(raw)?, raw))
    }
}

/// An array that is put together from pieces.
#[derive(Default)]
struct List<'a> {
    text: Vec<u8>,
    parts: Vec<&'a [u8]>,
}

impl<'a> List<'a> {
    fn push(&mut self, hit: Hit<'a>) -> bool {
        self.text
            .push(if self.text.is_empty() { b'[' } else { b',' });
        self.text.extend_from_slice(&hit.raw);
        match hit.raw {
            Cow::Borrowed(raw) => self.parts.push(raw),
            Cow::Owned(_) => self.parts.extend(hit.parts),
        }
        true
    }

    fn finish(mut self) -> Hit<'a> {
        if self.text.is_empty() {
            self.text.push(b'[');
        }
        self.text.push(b']');
        Hit {
            kind: Kind::Json,
            raw: Cow::Owned(self.text),
            parts: self.parts,
        }
    }
}
