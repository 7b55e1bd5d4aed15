//! The names that an event offers to its filter.
//! It never changes nested members: only those at the top.

use crate::value::{Map, Value};

/// The event's members as names: `-` becomes `_`, and `a.b` becomes `b` inside `a`.
///
/// Where both `a` and `a.b` are there, `a` is dropped, as in Argo.
#[must_use]
pub fn environment(event: &Map) -> Map {
    let mut names = Map::new();
    for (key, value) in event {
        let prefix = format!("{key}.");
        // The keys are sorted, but others (`a-b`) may stand between `a` and `a.b`.
        if event.keys().any(|other| other.starts_with(&prefix)) {
            continue;
        }
        let key = key.replace('-', "_");
        let mut parts: Vec<&str> = key.split('.').take(64).collect();
        let last = parts.pop().unwrap_or_default();
        insert(&mut names, &parts, last, value);
    }
    names
}

fn insert(place: &mut Map, path: &[&str], last: &str, value: &Value) {
    let Some((first, rest)) = path.split_first() else {
        place.insert(last.to_owned(), value.clone());
        return;
    };
    let inner = place.entry((*first).to_owned()).or_insert(Value::Null);
    if !matches!(inner, Value::Object(_)) {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(map) = inner {
        insert(map, rest, last, value);
    }
}
