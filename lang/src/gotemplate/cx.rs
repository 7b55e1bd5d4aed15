//! What one rendering shares: its limits, its budget, and the maps that it has changed.
//! It never outlives the rendering, and never reads a clock or a zone that no template asked for.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use regex::bytes::Regex;

use super::value::{Dict, Items, List, ListType, MapRef, Text, Val};
use crate::value::Value;

/// What one rendering may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Commands, loop rounds and visited elements.
    pub steps: u64,
    /// Bytes written.
    pub output: usize,
    /// Bytes held by all computed texts and lists together.
    pub memory: usize,
    /// Nesting of actions and template calls.
    pub depth: u32,
    /// What Go calls `Local`.
    pub zone: TimeZone,
    /// The time that `now` gives; the clock where it is `None`.
    pub now: Option<Timestamp>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: 2_000_000,
            output: 8 << 20,
            memory: 64 << 20,
            depth: 250,
            zone: TimeZone::UTC,
            now: None,
        }
    }
}

/// Why a function cannot give a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(pub(super) String);

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Fault {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// What functions give.
pub(super) type Answer<'a> = Result<Val<'a>, Fault>;

/// Lists may nest this deeply.
const MAX_LIST_DEPTH: u16 = 500;

/// The state of one rendering.
pub(super) struct Cx<'a> {
    pub(super) limits: &'a Limits,
    pub(super) regexes: &'a Regexes,
    steps: Cell<u64>,
    memory: Cell<usize>,
    /// Maps of the input that were changed, by address: borrowed JSON stays as it is.
    changed: RefCell<BTreeMap<(usize, bool), Rc<Dict<'a>>>>,
    any_changed: Cell<bool>,
    /// Every map made here, so that cycles are taken apart at the end.
    dicts: RefCell<Vec<Rc<Dict<'a>>>>,
}

/// Expressions compiled by one template, kept for its next rendering.
#[derive(Default)]
pub(super) struct Regexes(std::sync::Mutex<BTreeMap<Vec<u8>, Regex>>);

impl Regexes {
    /// More expressions than this are the sign of computed ones, which are not worth keeping.
    const KEPT: usize = 64;

    pub(super) fn get(&self, pattern: &[u8]) -> Option<Regex> {
        self.0.lock().ok()?.get(pattern).cloned()
    }

    pub(super) fn keep(&self, pattern: &[u8], regex: &Regex) {
        if let Ok(mut kept) = self.0.lock()
            && kept.len() < Self::KEPT
        {
            kept.insert(pattern.to_vec(), regex.clone());
        }
    }
}

impl<'a> Cx<'a> {
    pub(super) fn new(limits: &'a Limits, regexes: &'a Regexes) -> Self {
        Self {
            limits,
            regexes,
            steps: Cell::new(limits.steps),
            memory: Cell::new(limits.memory),
            changed: RefCell::default(),
            any_changed: Cell::new(false),
            dicts: RefCell::default(),
        }
    }

    /// Counts work that has no other bound.
    pub(super) fn step(&self) -> Result<(), Fault> {
        self.steps_taken(1)
    }

    pub(super) fn steps_taken(&self, count: u64) -> Result<(), Fault> {
        let left = self.steps.get().checked_sub(count);
        self.steps.set(left.unwrap_or(0));
        left.map(drop)
            .ok_or_else(|| Fault::from("the template takes too many steps"))
    }

    /// Counts memory that is about to be used.
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Fault> {
        let left = self.memory.get().checked_sub(bytes);
        self.memory.set(left.unwrap_or(0));
        left.map(drop)
            .ok_or_else(|| Fault::from("the template needs too much memory"))
    }

    /// What has been used of the limits.
    pub(super) fn used(&self) -> super::single::Used {
        super::single::Used {
            steps: self.limits.steps.saturating_sub(self.steps.get()),
            memory: self.limits.memory.saturating_sub(self.memory.get()),
        }
    }

    /// What is left, as the bound of a text in the making.
    pub(super) fn room(&self) -> usize {
        self.memory.get()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.limits.now.unwrap_or_else(Timestamp::now)
    }

    /// A text, counted.
    pub(super) fn text(&self, bytes: impl Into<Vec<u8>>) -> Answer<'a> {
        let bytes = bytes.into();
        self.charge(bytes.len() + 32)?;
        Ok(Val::text(bytes))
    }

    /// A list, counted.
    pub(super) fn list(&self, kind: ListType, items: Vec<Val<'a>>) -> Answer<'a> {
        self.charge(items.len() * size_of::<Val<'_>>() + 32)?;
        let deepest = items.iter().map(Val::depth).max().unwrap_or(0);
        if deepest >= MAX_LIST_DEPTH {
            return Err(Fault::from("lists are nested too deeply"));
        }
        let items = Items::Own(Rc::from(items));
        Ok(Val::List(List {
            items,
            kind,
            nil: false,
            depth: deepest + 1,
        }))
    }

    /// Go's nil slice.
    pub(super) fn nil_list(kind: ListType) -> Val<'a> {
        Val::List(List {
            items: Items::Json(&[]),
            kind,
            nil: true,
            depth: 0,
        })
    }

    pub(super) fn strings(&self, items: Vec<Vec<u8>>) -> Answer<'a> {
        let bytes = items.iter().map(Vec::len).sum();
        self.charge(bytes)?;
        self.list(ListType::Str, items.into_iter().map(Val::text).collect())
    }

    /// A map, counted.
    pub(super) fn dict(&self, entries: BTreeMap<Text<'a>, Val<'a>>) -> Answer<'a> {
        Ok(Val::Map(MapRef::Dict(self.new_dict(entries, false)?)))
    }

    pub(super) fn dict_of_strings(&self, entries: BTreeMap<Text<'a>, Val<'a>>) -> Answer<'a> {
        Ok(Val::Map(MapRef::Dict(self.new_dict(entries, true)?)))
    }

    fn new_dict(
        &self,
        entries: BTreeMap<Text<'a>, Val<'a>>,
        of_strings: bool,
    ) -> Result<Rc<Dict<'a>>, Fault> {
        self.charge(128 + entries.len() * 100)?;
        let dict = Rc::new(Dict {
            entries: RefCell::new(entries),
            of_strings,
        });
        self.dicts.borrow_mut().push(Rc::clone(&dict));
        Ok(dict)
    }

    fn address(map: &MapRef<'a>) -> (usize, bool) {
        match map {
            MapRef::Input(value) => (std::ptr::from_ref::<Value>(value) as usize, true),
            MapRef::Json(map) => (std::ptr::from_ref(*map) as usize, false),
            MapRef::Dict(dict) => (Rc::as_ptr(dict) as usize, false),
        }
    }

    /// The map as it is now: itself, or what an earlier `set` made of it.
    pub(super) fn current(&self, map: &MapRef<'a>) -> MapRef<'a> {
        if self.any_changed.get()
            && !matches!(map, MapRef::Dict(_))
            && let Some(dict) = self.changed.borrow().get(&Self::address(map))
        {
            return MapRef::Dict(Rc::clone(dict));
        }
        map.clone()
    }

    /// The map in a form that can be changed; the input itself stays as it is.
    pub(super) fn writable(&self, map: &MapRef<'a>) -> Result<Rc<Dict<'a>>, Fault> {
        let current = self.current(map);
        if let MapRef::Dict(dict) = current {
            return Ok(dict);
        }
        let dict = self.new_dict(self.entries(map)?.into_iter().collect(), false)?;
        self.changed
            .borrow_mut()
            .insert(Self::address(map), Rc::clone(&dict));
        self.any_changed.set(true);
        Ok(dict)
    }

    /// Whether both are one map.
    pub(super) fn same_map(&self, one: &MapRef<'a>, other: &MapRef<'a>) -> bool {
        Self::address(&self.current(one)) == Self::address(&self.current(other))
    }

    pub(super) fn get(&self, map: &MapRef<'a>, key: &[u8]) -> Option<Val<'a>> {
        match self.current(map) {
            MapRef::Input(value) => (key == b"Input").then(|| Val::from_json(value)),
            MapRef::Json(map) => map.get(str::from_utf8(key).ok()?).map(Val::from_json),
            MapRef::Dict(dict) => dict.entries.borrow().get(key).cloned(),
        }
    }

    /// As `get`, by a name of the template.
    pub(super) fn member(&self, map: &MapRef<'a>, name: &str) -> Option<Val<'a>> {
        if self.any_changed.get() {
            return self.get(map, name.as_bytes());
        }
        match map {
            MapRef::Input(value) => (name == "Input").then(|| Val::from_json(value)),
            MapRef::Json(map) => map.get(name).map(Val::from_json),
            MapRef::Dict(dict) => dict.entries.borrow().get(name.as_bytes()).cloned(),
        }
    }

    /// Counts what a function has to look at, so that long texts cost more than short ones.
    pub(super) fn weigh(&self, values: &[Val<'a>]) -> Result<(), Fault> {
        let bytes: usize = values
            .iter()
            .map(|value| match value {
                Val::Str(text) => text.len(),
                Val::List(list) => list.len() * 8,
                _ => 0,
            })
            .sum();
        self.steps_taken(bytes as u64 / 256)
    }

    pub(super) fn map_len(&self, map: &MapRef<'a>) -> usize {
        match self.current(map) {
            MapRef::Input(_) => 1,
            MapRef::Json(map) => map.len(),
            MapRef::Dict(dict) => dict.entries.borrow().len(),
        }
    }

    /// The members, sorted by key.
    pub(super) fn entries(&self, map: &MapRef<'a>) -> Result<Vec<(Text<'a>, Val<'a>)>, Fault> {
        self.steps_taken(self.map_len(map) as u64)?;
        Ok(match self.current(map) {
            MapRef::Input(value) => vec![(Text::Borrowed(b"Input"), Val::from_json(value))],
            MapRef::Json(map) => map
                .iter()
                .map(|(key, value)| (Text::Borrowed(key.as_bytes()), Val::from_json(value)))
                .collect(),
            MapRef::Dict(dict) => dict
                .entries
                .borrow()
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        })
    }
}

impl Drop for Cx<'_> {
    fn drop(&mut self) {
        // A map may hold itself: emptying each in turn frees them all without recursion.
        for dict in self.dicts.borrow().iter() {
            let entries = dict.entries.take();
            drop(entries);
        }
    }
}
