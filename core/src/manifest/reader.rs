//! A JSON value as a type, with the place of what failed and of every field that nobody read. It changes no value.
//!
//! One reader for all types, on purpose: what serde derives for a type is compiled once for each reader that the type is
//! read with, and for the many types of a pod that is most of the program.

use std::cell::{Cell, RefCell};

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

use crate::problems::Path;

/// What was met on the way.
#[derive(Default)]
pub(super) struct Notes {
    unread: RefCell<Vec<Path>>,
    failed: Cell<Option<Path>>,
}

impl Notes {
    /// The fields that the type does not have.
    pub(super) fn unread(&self) -> Vec<Path> {
        self.unread.take()
    }

    /// The innermost place at which reading failed first.
    pub(super) fn failed(&self) -> Path {
        self.failed.take().unwrap_or_default()
    }

    fn fail(&self, place: Place<'_>) {
        let failed = self.failed.take().unwrap_or_else(|| place.path());
        self.failed.set(Some(failed));
    }
}

/// Reads a value as a type, as `serde_json::from_value` does. Large types are read with this: see the module.
///
/// # Errors
/// What `serde_json` says of a value that does not fit.
pub fn read<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    read_noting(value, &Notes::default())
}

/// Reads a value as a type and notes what it meets.
pub(super) fn read_noting<T: DeserializeOwned>(value: &Value, notes: &Notes) -> Result<T, Error> {
    T::deserialize(Reader {
        value,
        place: Place::Root,
        notes,
    })
}

/// Where the reader is; each step knows the one before.
#[derive(Clone, Copy)]
enum Place<'a> {
    Root,
    Key(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn path(self) -> Path {
        match self {
            Self::Root => Path::default(),
            Self::Key(parent, key) => parent.path().key(key),
            Self::Index(parent, index) => parent.path().index(index),
        }
    }
}

#[derive(Clone, Copy)]
struct Reader<'a, 'de> {
    value: &'de Value,
    place: Place<'a>,
    notes: &'a Notes,
}

impl<'de> Reader<'_, 'de> {
    /// Notes where an error came from.
    fn noted<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        if result.is_err() {
            self.notes.fail(self.place);
        }
        result
    }

    fn list<V: Visitor<'de>>(self, items: &'de [Value], visitor: V) -> Result<V::Value, Error> {
        let mut list = List {
            reader: self,
            items: items.iter().enumerate(),
        };
        let read = visitor.visit_seq(&mut list)?;
        if list.items.len() > 0 {
            return Err(Error::invalid_length(
                items.len(),
                &"fewer elements in array",
            ));
        }
        Ok(read)
    }
}

impl<'de> Deserializer<'de> for Reader<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let result = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => number.deserialize_any(visitor),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => self.list(items, visitor),
            Value::Object(members) => visitor.visit_map(Members {
                reader: self,
                members: members.iter(),
                member: None,
            }),
        };
        self.noted(result)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = visitor.visit_newtype_struct(self);
        self.noted(result)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let one = |members: &'de serde_json::Map<String, Value>| {
            let mut members = members.iter();
            members.next().filter(|_| members.len() == 0)
        };
        let result = match self.value {
            Value::String(name) => visitor.visit_enum(Variant {
                reader: self,
                name,
                content: None,
            }),
            Value::Object(members) => match one(members) {
                Some((name, content)) => visitor.visit_enum(Variant {
                    reader: self,
                    name,
                    content: Some(content),
                }),
                None => Err(Error::invalid_value(
                    Unexpected::Map,
                    &"map with a single key",
                )),
            },
            other => Err(Error::invalid_type(unexpected(other), &"string or map")),
        };
        self.noted(result)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.notes.unread.borrow_mut().push(self.place.path());
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}

struct List<'a, 'de> {
    reader: Reader<'a, 'de>,
    items: std::iter::Enumerate<std::slice::Iter<'de, Value>>,
}

impl<'de> SeqAccess<'de> for &mut List<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((index, value)) = self.items.next() else {
            return Ok(None);
        };
        let place = Place::Index(&self.reader.place, index);
        let reader = Reader {
            value,
            place,
            notes: self.reader.notes,
        };
        seed.deserialize(reader).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members<'a, 'de> {
    reader: Reader<'a, 'de>,
    members: serde_json::map::Iter<'de>,
    member: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let Some((key, value)) = self.members.next() else {
            return Ok(None);
        };
        self.member = Some((key, value));
        seed.deserialize(Key(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some((key, value)) = self.member.take() else {
            return Err(Error::custom("a value is asked for before its key"));
        };
        let place = Place::Key(&self.reader.place, key);
        let reader = Reader {
            value,
            place,
            notes: self.reader.notes,
        };
        seed.deserialize(reader)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.members.len())
    }
}

/// A key of a map. Numbers are no keys in our types.
struct Key<'de>(&'de str);

impl<'de> Deserializer<'de> for Key<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// `name`, or `{name: content}`.
struct Variant<'a, 'de> {
    reader: Reader<'a, 'de>,
    name: &'de str,
    content: Option<&'de Value>,
}

impl<'a, 'de> EnumAccess<'de> for Variant<'a, 'de> {
    type Error = Error;
    type Variant = Content<'a, 'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), Error> {
        let name = seed.deserialize(Key(self.name))?;
        Ok((
            name,
            Content {
                reader: self.reader,
                name: self.name,
                content: self.content,
            },
        ))
    }
}

struct Content<'a, 'de> {
    reader: Reader<'a, 'de>,
    name: &'de str,
    content: Option<&'de Value>,
}

impl<'de> Content<'_, 'de> {
    fn read<T>(
        self,
        wanted: &'static str,
        read: impl FnOnce(Reader<'_, 'de>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let Some(value) = self.content else {
            return Err(Error::invalid_type(Unexpected::UnitVariant, &wanted));
        };
        let place = Place::Key(&self.reader.place, self.name);
        read(Reader {
            value,
            place,
            notes: self.reader.notes,
        })
    }
}

impl<'de> VariantAccess<'de> for Content<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.content {
            Some(_) => self.read("unit variant", |reader| {
                serde::Deserialize::deserialize(reader)
            }),
            None => Ok(()),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        self.read("newtype variant", |reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Error> {
        const WANTED: &str = "tuple variant";
        self.read(WANTED, |reader| match reader.value {
            Value::Array(items) if items.is_empty() => visitor.visit_unit(),
            Value::Array(_) => reader.deserialize_any(visitor),
            other => Err(Error::invalid_type(unexpected(other), &WANTED)),
        })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        const WANTED: &str = "struct variant";
        self.read(WANTED, |reader| match reader.value {
            Value::Object(_) => reader.deserialize_any(visitor),
            other => Err(Error::invalid_type(unexpected(other), &WANTED)),
        })
    }
}

fn unexpected(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), ..) => Unexpected::Unsigned(number),
            (_, Some(number), _) => Unexpected::Signed(number),
            (.., number) => Unexpected::Float(number.unwrap_or_default()),
        },
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

#[cfg(test)]
mod tests;
