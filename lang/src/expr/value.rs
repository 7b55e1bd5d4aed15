//! Values while an expression runs; the event's own are borrowed, numbers keep their digits.
//! It never holds a value that is nested deeper than the stack can bear.

use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::gotemplate::Sprig;
use crate::value::{Map, Number, Value};

/// The deepest nesting of arrays and maps that an expression may make.
pub(super) const MAX_NESTING: u16 = 100;

/// The most leaves that an array or map may have when written out.
const MAX_WEIGHT: usize = 2_000_000;

#[derive(Debug, Clone)]
pub(super) enum V<'a> {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A number of the event: a float to Go, but one that knows its digits.
    Number(Number),
    Text(Text<'a>),
    Bytes(Rc<[u8]>),
    Array(Array<'a>),
    Map(Entries<'a>),
    Time(Rc<Zoned>),
    /// Nanoseconds.
    Duration(i64),
    Zone(Rc<TimeZone>),
    Month(i8),
    /// Sunday is 0.
    Weekday(i8),
    Function(Helper),
    /// The functions of Sprig by name.
    Library,
}

/// Functions of the environment, which are values too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Helper {
    AsInt,
    AsFloat,
    ToJson,
    JsonPath,
    Sprig(Sprig),
}

impl Helper {
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "asInt" => Self::AsInt,
            "asFloat" => Self::AsFloat,
            "toJson" => Self::ToJson,
            "jsonpath" => Self::JsonPath,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone)]
pub(super) enum Text<'a> {
    Borrowed(&'a str),
    Made(Rc<str>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Made(text) => text,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Array<'a> {
    Json(&'a [Value]),
    Made(Rc<Nested<Vec<V<'a>>>>),
}

#[derive(Debug, Clone)]
pub(super) enum Entries<'a> {
    Json(&'a Map),
    Made(Rc<Nested<MadeMap<'a>>>),
}

/// A map that an expression made.
#[derive(Debug)]
pub(super) struct MadeMap<'a> {
    pub(super) entries: BTreeMap<Key, V<'a>>,
    /// Whether any key will do, not only text.
    pub(super) any_key: bool,
}

/// Content, how deeply it is nested and how much it would be, written out.
///
/// The weight matters because parts can be shared: sixty pairs of the same two parts are 2^60 leaves.
#[derive(Debug)]
pub(super) struct Nested<T> {
    pub(super) content: T,
    nesting: u16,
    weight: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Nil,
    Bool(bool),
    Int(i64),
    /// The bits of a float, in an order that follows its value.
    Float(i64),
    Text(String),
}

fn sortable(float: f64) -> i64 {
    let bits = float.to_bits().cast_signed();
    if bits < 0 { bits ^ i64::MAX } else { bits }
}

fn unsortable(bits: i64) -> f64 {
    f64::from_bits(if bits < 0 { bits ^ i64::MAX } else { bits }.cast_unsigned())
}

impl Key {
    pub(super) fn to_value<'a>(&self) -> V<'a> {
        match self {
            Self::Nil => V::Nil,
            Self::Bool(truth) => V::Bool(*truth),
            Self::Int(int) => V::Int(*int),
            Self::Float(bits) => V::Float(unsortable(*bits)),
            Self::Text(text) => V::text(text.as_str()),
        }
    }

    pub(super) fn print(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            other => other.to_value().print(),
        }
    }
}

impl<'a> V<'a> {
    pub(super) fn text(text: impl Into<Rc<str>>) -> Self {
        Self::Text(Text::Made(text.into()))
    }

    /// An array, unless it would be nested too deeply or weigh too much.
    pub(super) fn array(items: Vec<Self>) -> Option<Self> {
        let (nesting, weight) = Self::measure(items.iter())?;
        Some(Self::Array(Array::Made(Rc::new(Nested {
            content: items,
            nesting,
            weight,
        }))))
    }

    /// A map, unless it would be nested too deeply or weigh too much.
    pub(super) fn map(entries: BTreeMap<Key, Self>, any_key: bool) -> Option<Self> {
        let (nesting, weight) = Self::measure(entries.values())?;
        let content = MadeMap { entries, any_key };
        Some(Self::Map(Entries::Made(Rc::new(Nested {
            content,
            nesting,
            weight,
        }))))
    }

    fn measure<'v>(items: impl Iterator<Item = &'v Self>) -> Option<(u16, usize)>
    where
        'a: 'v,
    {
        let (mut nesting, mut weight) = (0, 1);
        for item in items {
            nesting = nesting.max(item.nesting());
            weight += item.weight();
            if weight > MAX_WEIGHT {
                return None;
            }
        }
        (nesting < MAX_NESTING).then_some((nesting + 1, weight))
    }

    fn nesting(&self) -> u16 {
        match self {
            Self::Array(Array::Made(nested)) => nested.nesting,
            Self::Map(Entries::Made(nested)) => nested.nesting,
            _ => 0,
        }
    }

    /// The value's leaves, with 64 bytes of text counted as one.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Array(Array::Made(nested)) => nested.weight,
            Self::Map(Entries::Made(nested)) => nested.weight,
            Self::Text(text) => 1 + text.as_str().len() / 64,
            Self::Bytes(bytes) => 1 + bytes.len(),
            Self::Array(Array::Json(items)) => 1 + items.iter().map(leaves).sum::<usize>(),
            Self::Map(Entries::Json(map)) => 1 + map.values().map(leaves).sum::<usize>(),
            _ => 1,
        }
    }

    /// A value of the event, as it is.
    pub(super) fn borrowed(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Nil,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::Text(Text::Borrowed(text)),
            Value::Array(items) => Self::Array(Array::Json(items)),
            Value::Object(map) => Self::Map(Entries::Json(map)),
        }
    }

    /// A decoded JSON value, unless it is nested too deeply.
    pub(super) fn owned(value: Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Nil,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::text(text),
            Value::Array(items) => {
                Self::array(items.into_iter().map(Self::owned).collect::<Option<_>>()?)?
            }
            Value::Object(map) => {
                let owned = |(key, item)| Some((Key::Text(key), Self::owned(item)?));
                Self::map(map.into_iter().map(owned).collect::<Option<_>>()?, false)?
            }
        })
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "the nearest float is asked for")]
            Self::Int(int) => Some(*int as f64),
            Self::Float(float) => Some(*float),
            Self::Number(number) => Some(number.as_f64()),
            _ => None,
        }
    }

    /// A number as Go's `int(x)` cuts it.
    pub(super) fn as_cut_int(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Number(number) if number.as_i64().is_some() => number.as_i64(),
            other => other.as_float().map(cut),
        }
    }

    /// A number that is whole without cutting: where Go wants an `int`.
    pub(super) fn as_whole(&self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(*int),
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    pub(super) fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// What `type()` says.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) | Self::Number(_) => "float",
            Self::Text(_) => "string",
            Self::Bytes(_) | Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Zone(_) => "time.Location",
            Self::Month(_) => "time.Month",
            Self::Weekday(_) => "time.Weekday",
            Self::Function(_) => "func",
            Self::Library => "map",
        }
    }

    /// How many elements it has; a text has as many as bytes.
    pub(super) fn len(&self) -> Option<usize> {
        match self {
            Self::Text(text) => Some(text.as_str().len()),
            Self::Bytes(bytes) => Some(bytes.len()),
            Self::Array(array) => Some(array.len()),
            Self::Map(Entries::Json(map)) => Some(map.len()),
            Self::Map(Entries::Made(map)) => Some(map.content.entries.len()),
            _ => None,
        }
    }

    /// An element of a list; a byte of a text counts as a number.
    pub(super) fn item(&self, index: usize) -> Option<Self> {
        match self {
            Self::Array(Array::Json(items)) => items.get(index).map(Self::borrowed),
            Self::Array(Array::Made(items)) => items.content.get(index).cloned(),
            Self::Text(text) => text
                .as_str()
                .as_bytes()
                .get(index)
                .map(|byte| Self::Int((*byte).into())),
            Self::Bytes(bytes) => bytes.get(index).map(|byte| Self::Int((*byte).into())),
            _ => None,
        }
    }

    /// All elements, if it is an array.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::Array(array) => Some((0..array.len()).filter_map(|at| self.item(at)).collect()),
            Self::Bytes(bytes) => {
                Some(bytes.iter().map(|byte| Self::Int((*byte).into())).collect())
            }
            _ => None,
        }
    }

    /// A member of a map; the inner `None` is a missing one, the outer a key of the wrong kind.
    pub(super) fn member(&self, key: &Self) -> Option<Option<Self>> {
        match self {
            Self::Map(Entries::Json(map)) => {
                let name = if key.is_nil() { "" } else { key.as_text()? };
                Some(map.get(name).map(Self::borrowed))
            }
            Self::Map(Entries::Made(map)) => {
                let key = match key {
                    Self::Nil if !map.content.any_key => Key::Text(String::new()),
                    Self::Text(_) => key.as_key()?,
                    _ if map.content.any_key => key.as_key()?,
                    _ => return None,
                };
                Some(map.content.entries.get(&key).cloned())
            }
            _ => None,
        }
    }

    /// The value as the key of a map, if it can be one.
    pub(super) fn as_key(&self) -> Option<Key> {
        Some(match self {
            Self::Nil => Key::Nil,
            Self::Bool(truth) => Key::Bool(*truth),
            Self::Int(int) => Key::Int(*int),
            Self::Float(float) => Key::Float(sortable(*float)),
            Self::Number(number) => Key::Float(sortable(number.as_f64())),
            Self::Text(text) => Key::Text(text.as_str().to_owned()),
            Self::Month(number) | Self::Weekday(number) => Key::Int((*number).into()),
            Self::Duration(nanos) => Key::Int(*nanos),
            _ => return None,
        })
    }

    /// Keys and values in order.
    pub(super) fn pairs(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Map(Entries::Json(map)) => {
                let pair = |(key, value): (&'a String, &'a Value)| {
                    (Self::Text(Text::Borrowed(key)), Self::borrowed(value))
                };
                Some(map.iter().map(pair).collect())
            }
            Self::Map(Entries::Made(map)) => Some(
                map.content
                    .entries
                    .iter()
                    .map(|(key, value)| (key.to_value(), value.clone()))
                    .collect(),
            ),
            _ => None,
        }
    }
}

impl Array<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Json(items) => items.len(),
            Self::Made(items) => items.content.len(),
        }
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(leaves).sum::<usize>(),
        Value::Object(map) => 1 + map.values().map(leaves).sum::<usize>(),
        Value::String(text) => 1 + text.len() / 64,
        _ => 1,
    }
}

/// A float to an integer; what does not fit is the smallest one, as on the reference's processors.
pub(super) fn cut(float: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "cutting the fraction is the rule"
    )]
    let int = float as i64;
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&float);
    if fits { int } else { i64::MIN }
}
