//! JSON to Lua tables and back, with a memory of what a table was made from.
//! It never follows a table more than 200 levels deep or makes more than a million values.

use mlua::{Lua, Table};

use super::ScriptError;
use crate::go::float;
use crate::value::{Map, Number, Value};

/// The deepest result.
const MAX_DEPTH: usize = 200;

/// The most values in a result, holes of arrays included.
pub(super) const MAX_VALUES: usize = 1_000_000;

/// The most bytes of text in a result.
const MAX_BYTES: usize = 32 << 20;

/// From the event's tables to the paths of what they were made from.
///
/// Only tables that could not be told from their content are in it: empty arrays, and those with numbers
/// that a float does not hold. The table is kept in Lua, where it keeps its keys alive, so that no
/// other table can ever be taken for one of them.
pub(super) struct Origins {
    table: Table,
    paths: Vec<Vec<Part>>,
}

#[derive(Clone)]
enum Part {
    Key(String),
    Index(usize),
}

impl Origins {
    fn of<'e>(&self, table: &Table, event: &'e Value) -> Option<&'e Value> {
        let index: usize = self.table.raw_get(table).ok()?;
        let mut value = event;
        for part in self.paths.get(index)? {
            value = match (part, value) {
                (Part::Key(key), Value::Object(map)) => map.get(key)?,
                (Part::Index(index), Value::Array(items)) => items.get(*index)?,
                _ => return None,
            };
        }
        Some(value)
    }
}

/// Whether the number would come back from a float with other digits.
fn fragile(value: &Value) -> bool {
    match value {
        Value::Number(number) => Number::from_f64(number.as_f64())
            .is_none_or(|float| float.to_string() != number.to_string()),
        _ => false,
    }
}

/// The event as a table; null is an empty one.
pub(super) fn to_lua(lua: &Lua, event: &Value) -> mlua::Result<(Table, Origins)> {
    let mut reader = Reader {
        lua,
        origins: Origins {
            table: lua.create_table()?,
            paths: Vec::new(),
        },
    };
    let table = match event {
        Value::Object(map) => reader.object(map, &mut Vec::new())?,
        _ => lua.create_table()?,
    };
    Ok((table, reader.origins))
}

struct Reader<'l> {
    lua: &'l Lua,
    origins: Origins,
}

impl Reader<'_> {
    fn remember(&mut self, table: &Table, path: &[Part]) -> mlua::Result<()> {
        self.origins
            .table
            .raw_set(table, self.origins.paths.len())?;
        self.origins.paths.push(path.to_vec());
        Ok(())
    }

    fn object(&mut self, map: &Map, path: &mut Vec<Part>) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(0, map.len())?;
        for (key, value) in map {
            path.push(Part::Key(key.clone()));
            if let Some(value) = self.value(value, path)? {
                table.raw_set(key.as_str(), value)?;
            }
            path.pop();
        }
        if map.values().any(fragile) {
            self.remember(&table, path)?;
        }
        Ok(table)
    }

    fn array(&mut self, items: &[Value], path: &mut Vec<Part>) -> mlua::Result<Table> {
        let table = self.lua.create_table_with_capacity(items.len(), 0)?;
        let mut next = 1;
        for (index, item) in items.iter().enumerate() {
            path.push(Part::Index(index));
            if let Some(value) = self.value(item, path)? {
                table.raw_set(next, value)?;
                next += 1;
            }
            path.pop();
        }
        if next == 1 || items.iter().any(fragile) {
            self.remember(&table, path)?;
        }
        Ok(table)
    }

    fn value(&mut self, value: &Value, path: &mut Vec<Part>) -> mlua::Result<Option<mlua::Value>> {
        Ok(Some(match value {
            Value::Null => return Ok(None),
            Value::Bool(truth) => mlua::Value::Boolean(*truth),
            Value::Number(number) => mlua::Value::Number(number.as_f64()),
            Value::String(text) => mlua::Value::String(self.lua.create_string(text)?),
            Value::Array(items) => mlua::Value::Table(self.array(items, path)?),
            Value::Object(map) => mlua::Value::Table(self.object(map, path)?),
        }))
    }
}

/// A table as JSON of at most so many values.
pub(super) fn to_json(
    table: &Table,
    origins: &Origins,
    event: &Value,
    most: usize,
) -> Result<Value, ScriptError> {
    Writer {
        origins,
        event,
        most,
        values: 0,
        bytes: 0,
    }
    .table(table, 0)
}

struct Writer<'o> {
    origins: &'o Origins,
    event: &'o Value,
    /// The most values.
    most: usize,
    values: usize,
    bytes: usize,
}

fn no_json<T>(what: impl Into<String>) -> Result<T, ScriptError> {
    Err(ScriptError::NotJson(what.into()))
}

impl Writer<'_> {
    fn count(&mut self, values: usize, bytes: usize) -> Result<(), ScriptError> {
        self.values = self.values.saturating_add(values);
        self.bytes = self.bytes.saturating_add(bytes);
        if self.values > self.most || self.bytes > MAX_BYTES {
            return no_json("it is too large");
        }
        Ok(())
    }

    fn table(&mut self, table: &Table, depth: usize) -> Result<Value, ScriptError> {
        if depth > MAX_DEPTH {
            return no_json("it contains itself or is nested too deeply");
        }
        let origin = self.origins.of(table, self.event);
        let mut largest = 0_usize;
        let mut empty = true;
        for pair in table.pairs::<mlua::Value, mlua::Value>() {
            let (key, _) = pair.map_err(|error| ScriptError::NotJson(error.to_string()))?;
            empty = false;
            largest = largest.max(position(&key).unwrap_or_default());
        }
        let marked = table.metatable().is_some_and(|meta| {
            matches!(meta.raw_get("__is_array"), Ok(mlua::Value::Boolean(true)))
        });
        let untouched = empty && matches!(origin, Some(Value::Array(_)));
        if marked || largest > 0 || untouched {
            return self.array(table, largest, origin, depth);
        }
        self.object(table, origin, depth)
    }

    fn array(
        &mut self,
        table: &Table,
        length: usize,
        origin: Option<&Value>,
        depth: usize,
    ) -> Result<Value, ScriptError> {
        self.count(length, 0)?;
        let sources: Vec<&Value> = match origin {
            // Null elements were left out, so the others moved up.
            Some(Value::Array(items)) => {
                items.iter().filter(|item| **item != Value::Null).collect()
            }
            _ => Vec::new(),
        };
        let mut items = Vec::with_capacity(length);
        for index in 1..=length {
            let item: mlua::Value = table
                .raw_get(index)
                .map_err(|error| ScriptError::NotJson(error.to_string()))?;
            items.push(self.value(&item, sources.get(index - 1).copied(), depth)?);
        }
        Ok(Value::Array(items))
    }

    fn object(
        &mut self,
        table: &Table,
        origin: Option<&Value>,
        depth: usize,
    ) -> Result<Value, ScriptError> {
        let mut map = Map::new();
        for pair in table.pairs::<mlua::Value, mlua::Value>() {
            let (key, value) = pair.map_err(|error| ScriptError::NotJson(error.to_string()))?;
            let key = key_text(&key)?;
            self.count(1, key.len())?;
            let value = self.value(&value, origin.and_then(|origin| origin.get(&key)), depth)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn value(
        &mut self,
        value: &mlua::Value,
        source: Option<&Value>,
        depth: usize,
    ) -> Result<Value, ScriptError> {
        match value {
            mlua::Value::Nil => Ok(Value::Null),
            mlua::Value::Boolean(truth) => Ok(Value::Bool(*truth)),
            #[expect(clippy::cast_precision_loss, reason = "the state has floats only")]
            mlua::Value::Integer(int) => number(*int as f64, source),
            mlua::Value::Number(float) => number(*float, source),
            mlua::Value::String(text) => {
                let text = String::from_utf8_lossy(&text.as_bytes()).into_owned();
                self.count(0, text.len())?;
                Ok(Value::String(text))
            }
            mlua::Value::Table(table) => self.table(table, depth + 1),
            other => no_json(format!("it holds a {}", other.type_name())),
        }
    }
}

/// A number; one that is still what came in has its digits too.
fn number(float: f64, source: Option<&Value>) -> Result<Value, ScriptError> {
    match source {
        Some(Value::Number(number)) if number.as_f64() == float => {
            Ok(Value::Number(number.clone()))
        }
        _ => match Number::from_f64(float) {
            Some(number) => Ok(Value::Number(number)),
            None => no_json(format!("{} is no number there", float::shortest(float))),
        },
    }
}

/// A key that is a place in an array.
fn position(key: &mlua::Value) -> Option<usize> {
    match key {
        mlua::Value::Integer(int) => usize::try_from(*int).ok(),
        mlua::Value::Number(float)
            if *float >= 1.0 && float.fract() == 0.0 && *float < 67_108_864.0 =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
            #[expect(clippy::cast_sign_loss, reason = "the range is checked")]
            let place = *float as usize;
            Some(place)
        }
        _ => None,
    }
}

fn key_text(key: &mlua::Value) -> Result<String, ScriptError> {
    Ok(match key {
        mlua::Value::String(text) => String::from_utf8_lossy(&text.as_bytes()).into_owned(),
        mlua::Value::Integer(int) => int.to_string(),
        mlua::Value::Number(float) if float.fract() == 0.0 && float.abs() < 1e18 => {
            format!("{float:.0}")
        }
        mlua::Value::Number(float) => float::shortest(*float),
        mlua::Value::Boolean(truth) => truth.to_string(),
        other => return no_json(format!("a {} is a key", other.type_name())),
    })
}
