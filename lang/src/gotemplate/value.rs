//! The values that templates compute with, typed as Go's reflection shows them.
//! It never copies the input: JSON is borrowed and becomes a value of its own only where it is changed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::go::time::{DAYS, MONTHS, Moment, duration_text};
use crate::value::{Map, Number, Value};

/// Text of a template's value: bytes, as in Go.
#[derive(Clone)]
pub(super) enum Text<'a> {
    /// Of the input or of the template.
    Borrowed(&'a [u8]),
    /// Computed.
    Shared(Rc<[u8]>),
}

impl Deref for Text<'_> {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Text<'_> {
    /// For messages and for functions that know only UTF-8.
    pub(super) fn lossy(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self)
    }
}

/// Which of Go's signed integer types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IntType {
    Int,
    Int64,
    Duration,
    Month,
    Weekday,
}

/// Which of Go's unsigned integer types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum UintType {
    Uint8,
    Uint64,
}

/// A value while a template runs.
#[derive(Clone)]
pub(super) enum Val<'a> {
    /// Nothing at all: a missing key. Go's invalid `reflect.Value`.
    Missing,
    /// A nil inside an `interface {}`: JSON's null.
    Nil,
    Bool(bool),
    Int(i64, IntType),
    Uint(u64, UintType),
    Float(f64),
    /// A JSON number: answers to both integer and float uses.
    Num(Number),
    Str(Text<'a>),
    List(List<'a>),
    Map(MapRef<'a>),
    Time(Rc<Moment>),
    Version(Rc<super::funcs::semver::Version>),
    Cert(Rc<Certificate>),
}

/// Sprig's pair of PEM texts.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) cert: String,
    pub(super) key: String,
}

/// The element type of a slice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ListType {
    Any,
    Str,
    Int,
    Lists,
}

/// A slice. Never changed after it is made.
#[derive(Clone)]
pub(super) struct List<'a> {
    pub(super) items: Items<'a>,
    pub(super) kind: ListType,
    /// Go's nil slice: written as `null` in JSON.
    pub(super) nil: bool,
    /// How deeply lists nest in it, so that dropping them cannot overflow the stack.
    pub(super) depth: u16,
}

/// Where the elements are.
#[derive(Clone)]
pub(super) enum Items<'a> {
    Json(&'a [Value]),
    Own(Rc<[Val<'a>]>),
}

impl<'a> List<'a> {
    pub(super) fn len(&self) -> usize {
        match &self.items {
            Items::Json(items) => items.len(),
            Items::Own(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Val<'a>> {
        match &self.items {
            Items::Json(items) => items.get(index).map(Val::from_json),
            Items::Own(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = Val<'a>> + '_ {
        (0..self.len()).map(|index| self.get(index).unwrap_or(Val::Nil))
    }

    pub(super) fn to_vec(&self) -> Vec<Val<'a>> {
        self.iter().collect()
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            ListType::Any => "[]interface {}",
            ListType::Str => "[]string",
            ListType::Int => "[]int",
            ListType::Lists => "[][]interface {}",
        }
    }
}

/// A mutable `map[string]interface {}` or `map[string]string`.
pub(super) struct Dict<'a> {
    pub(super) entries: RefCell<BTreeMap<Text<'a>, Val<'a>>>,
    /// `map[string]string`: the result of `split`.
    pub(super) of_strings: bool,
}

/// A map by reference.
#[derive(Clone)]
pub(super) enum MapRef<'a> {
    /// The root of a trigger's template: one key, `Input`.
    Input(&'a Value),
    Json(&'a Map),
    Dict(Rc<Dict<'a>>),
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
impl Eq for Text<'_> {}
impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}
impl std::borrow::Borrow<[u8]> for Text<'_> {
    fn borrow(&self) -> &[u8] {
        self
    }
}
impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.lossy())
    }
}

/// What `eq` and `lt` can compare.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Basic {
    None,
    Bool,
    Int,
    Uint,
    Float,
    Num,
    Str,
}

impl<'a> Val<'a> {
    pub(super) fn from_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Nil,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Num(number.clone()),
            Value::String(text) => Self::Str(Text::Borrowed(text.as_bytes())),
            Value::Array(items) => Self::List(List {
                items: Items::Json(items),
                kind: ListType::Any,
                nil: false,
                depth: 0,
            }),
            Value::Object(map) => Self::Map(MapRef::Json(map)),
        }
    }

    pub(super) fn int(value: i64) -> Self {
        Self::Int(value, IntType::Int)
    }

    pub(super) fn int64(value: i64) -> Self {
        Self::Int(value, IntType::Int64)
    }

    pub(super) fn length(value: usize) -> Self {
        Self::int(i64::try_from(value).unwrap_or(i64::MAX))
    }

    pub(super) fn text(value: impl Into<Vec<u8>>) -> Self {
        Self::Str(Text::Shared(Rc::from(value.into())))
    }

    pub(super) fn constant(value: &'static str) -> Self {
        Self::Str(Text::Borrowed(value.as_bytes()))
    }

    /// Neither a value nor a nil in disguise.
    pub(super) fn is_nil(&self) -> bool {
        matches!(self, Self::Missing | Self::Nil)
    }

    pub(super) fn basic(&self) -> Basic {
        match self {
            Self::Bool(_) => Basic::Bool,
            Self::Int(..) => Basic::Int,
            Self::Uint(..) => Basic::Uint,
            Self::Float(_) => Basic::Float,
            Self::Num(_) => Basic::Num,
            Self::Str(_) => Basic::Str,
            _ => Basic::None,
        }
    }

    /// What `%T` prints.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_, IntType::Int) => "int",
            Self::Int(_, IntType::Int64) => "int64",
            Self::Int(_, IntType::Duration) => "time.Duration",
            Self::Int(_, IntType::Month) => "time.Month",
            Self::Int(_, IntType::Weekday) => "time.Weekday",
            Self::Uint(_, UintType::Uint8) => "uint8",
            Self::Uint(_, UintType::Uint64) => "uint64",
            Self::Float(_) | Self::Num(_) => "float64",
            Self::Str(_) => "string",
            Self::List(list) => list.type_name(),
            Self::Map(MapRef::Dict(dict)) if dict.of_strings => "map[string]string",
            Self::Map(_) => "map[string]interface {}",
            Self::Time(_) => "time.Time",
            Self::Version(_) => "*semver.Version",
            Self::Cert(_) => "sprig.certificate",
        }
    }

    /// The type as a value inside an `interface {}` reports it.
    pub(super) fn dynamic_type(&self) -> &'static str {
        match self {
            Self::Nil => "interface {}",
            other => other.type_name(),
        }
    }

    /// What `reflect.Kind` prints.
    pub(super) fn kind_name(&self) -> &'static str {
        match self {
            Self::Missing | Self::Nil => "invalid",
            Self::Bool(_) => "bool",
            Self::Int(_, IntType::Int | IntType::Month | IntType::Weekday) => "int",
            Self::Int(..) => "int64",
            Self::Uint(_, UintType::Uint8) => "uint8",
            Self::Uint(_, UintType::Uint64) => "uint64",
            Self::Float(_) | Self::Num(_) => "float64",
            Self::Str(_) => "string",
            Self::List(_) => "slice",
            Self::Map(_) => "map",
            Self::Time(_) | Self::Cert(_) => "struct",
            Self::Version(_) => "ptr",
        }
    }

    /// How deeply lists nest.
    pub(super) fn depth(&self) -> u16 {
        match self {
            Self::List(list) => list.depth,
            _ => 0,
        }
    }
}

/// What a named integer type prints as.
pub(super) fn int_name(int: i64, kind: IntType) -> String {
    let named = |names: &[&str], index: i64, what: &str| {
        let name = usize::try_from(index)
            .ok()
            .and_then(|index| names.get(index));
        name.map_or_else(|| format!("%!{what}({int})"), |name| (*name).to_owned())
    };
    match kind {
        IntType::Month => named(&MONTHS, int - 1, "Month"),
        IntType::Weekday => named(&DAYS, int, "Weekday"),
        IntType::Duration => duration_text(int),
        IntType::Int | IntType::Int64 => int.to_string(),
    }
}
