//! The shape of a schema that an API server takes, made of the one that a Rust type derives. Values only.

use serde_json::{Map, Value, json};

/// Makes a derived schema one that an API server takes and that refuses nothing that Argo's takes.
pub(super) fn tidy(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    // Null means absent everywhere; `nullable` says so in one way.
    for key in ["required", "default", "minimum", "title", "nullable"] {
        members.remove(key);
    }
    let known_format = members
        .get("format")
        .and_then(Value::as_str)
        .is_some_and(|format| matches!(format, "int32" | "int64" | "double"));
    if !known_format {
        members.remove("format");
    }
    shorten(members);
    if let Some(either) = members.remove("anyOf") {
        members.remove("type");
        number_or_text(members, &either);
    }
    if !members.contains_key("type") && !members.contains_key("x-kubernetes-int-or-string") {
        members.insert(
            "x-kubernetes-preserve-unknown-fields".to_owned(),
            json!(true),
        );
    }
    if let Some(properties) = members.get_mut("properties").and_then(Value::as_object_mut) {
        for property in properties.values_mut() {
            tidy(property);
        }
        // The mark of an outer object ends where an inner one lists its fields.
        members.insert(
            "x-kubernetes-preserve-unknown-fields".to_owned(),
            json!(true),
        );
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(schema) = members.get_mut(inner) {
            tidy(schema);
        }
    }
    if members.get("properties").is_some_and(is_empty) {
        members.remove("properties");
    }
}

/// Lets fields stand without a value, as `service:` with nothing behind it, at every level inside a schema.
///
/// Server-side apply is the one way of writing that does not leave them out first, and Argo's definitions take them.
pub(super) fn nullable(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    let inner = |schema: &mut Value| {
        if let Some(members) = schema.as_object_mut()
            && (members.contains_key("type") || members.contains_key("x-kubernetes-int-or-string"))
        {
            members.insert("nullable".to_owned(), json!(true));
            // A list of values would refuse a field without one, even where null is among them; the other way in is
            // open to nothing and to the empty text.
            if let Some(values) = members.remove("enum") {
                let ways = json!([{ "enum": values }, { "maxLength": 0 }]);
                members.insert("anyOf".to_owned(), ways);
            }
        }
        nullable(schema);
    };
    for (name, value) in members {
        match name.as_str() {
            "properties" => value
                .as_object_mut()
                .into_iter()
                .flat_map(Map::values_mut)
                .for_each(inner),
            "items" | "additionalProperties" => inner(value),
            _ => {}
        }
    }
}

fn is_empty(properties: &Value) -> bool {
    properties.as_object().is_some_and(Map::is_empty)
}

/// A whole number or text has a mark of its own; for other numbers there is only "anything".
fn number_or_text(members: &mut Map<String, Value>, either: &Value) {
    let fraction = either.as_array().is_some_and(|either| {
        either
            .iter()
            .any(|one| one.get("format") == Some(&json!("double")))
    });
    let mark = if fraction {
        "x-kubernetes-preserve-unknown-fields"
    } else {
        "x-kubernetes-int-or-string"
    };
    members.insert(mark.to_owned(), json!(true));
}

/// Descriptions of the types that Pods share fill pages; what a field is stands in the first sentence.
///
/// A definition must stay small enough for the annotation of `kubectl apply`, 256 KiB.
fn shorten(members: &mut Map<String, Value>) {
    const SHORT: usize = 160;
    let Some(Value::String(text)) = members.get_mut("description") else {
        return;
    };
    if text.len() <= SHORT {
        return;
    }
    let first = text.split(['\n']).next().unwrap_or_default();
    let first = first
        .split_inclusive(". ")
        .next()
        .unwrap_or_default()
        .trim();
    *text = if first.chars().count() <= SHORT {
        first.to_owned()
    } else {
        let words: String = first.chars().take(SHORT).collect();
        let words = words
            .rsplit_once(' ')
            .map_or(words.as_str(), |(head, _)| head);
        format!("{words} …")
    };
}

/// The schema of the field at a path.
pub(super) fn find<'s>(
    schema: &'s mut Value,
    path: &mut dyn Iterator<Item = &str>,
) -> Option<&'s mut Value> {
    let Some(step) = path.next() else {
        return Some(schema);
    };
    let inner = match step {
        "*" => schema.get_mut("additionalProperties")?,
        "[]" => schema.get_mut("items")?,
        key => schema.get_mut("properties")?.get_mut(key)?,
    };
    find(inner, path)
}
