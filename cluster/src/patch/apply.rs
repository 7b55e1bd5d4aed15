//! Server-side apply, simplified: what a manager applied last is what it owns.
//!
//! Ownership is kept in `metadata.managedFields`, for apply patches only. Maps merge, lists of
//! named things of Kubernetes' own kinds merge by name, and every other list is one value.
//! A field that its only manager no longer applies is removed.

use serde_json::{Map, Value, json};

use crate::kinds::Resource;
use crate::objects::{meta_mut, now};
use crate::patch::strategic;
use crate::status::{ApiError, Cause};

/// Fields that belong to the server, whoever sends them.
const UNOWNED: &[&str] = &["apiVersion", "kind"];
const UNOWNED_META: &[&str] = &[
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "managedFields",
];

/// What one manager wants an object to have.
#[derive(Debug)]
pub(crate) struct Applied {
    manager: String,
    force: bool,
    api_version: String,
    /// Whether lists of named things merge.
    merges_lists: bool,
    wanted: Value,
}

impl Applied {
    /// The wish of a manager, from the body of its patch.
    pub(super) fn new(manager: &str, force: bool, resource: &Resource, mut wanted: Value) -> Self {
        if let Some(Value::Object(meta)) = wanted.get_mut("metadata") {
            meta.shift_remove("managedFields");
        }
        Self {
            manager: manager.to_owned(),
            force,
            api_version: resource.api_version(),
            merges_lists: resource.built_in(),
            wanted,
        }
    }

    /// The object where there is none yet.
    pub(crate) fn fresh(&self) -> Value {
        let mut object = self.wanted.clone();
        self.record(&mut object, &now());
        object
    }

    /// Merges the wish into an object.
    pub(super) fn apply(
        &self,
        resource: &Resource,
        name: &str,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        let wanted = owned(&self.wanted);
        let entries = entries(object);
        if !self.force {
            let conflicts = self.conflicts(&entries, &wanted, object);
            if !conflicts.is_empty() {
                return Err(ApiError::apply_conflict(resource, name, &conflicts));
            }
        }
        let others: Vec<&Value> = entries
            .iter()
            .filter(|entry| entry_manager(entry) != Some(self.manager.as_str()))
            .filter_map(|entry| entry.get("fieldsV1"))
            .collect();
        let mine = entries
            .iter()
            .find(|entry| entry_manager(entry) == Some(self.manager.as_str()))
            .and_then(|entry| entry.get("fieldsV1"));
        if let Some(mine) = mine {
            drop_unwanted(object, mine, &wanted, &others);
        }
        let before = object.clone();
        self.merge(object, &self.wanted, "");
        if *object != before || mine != Some(&wanted) {
            self.record(object, &now());
        }
        Ok(())
    }

    fn conflicts(&self, entries: &[Value], wanted: &Value, object: &Value) -> Vec<Cause> {
        let mut found = Vec::new();
        for entry in entries {
            let Some(manager) = entry_manager(entry).filter(|name| *name != self.manager) else {
                continue;
            };
            let Some(fields) = entry.get("fieldsV1") else {
                continue;
            };
            let mut path = Vec::new();
            clashes(
                fields,
                wanted,
                object,
                &self.wanted,
                &mut path,
                &mut |path| {
                    found.push(Cause {
                        field: format!(".{}", path.join(".")),
                        reason: "FieldManagerConflict",
                        message: format!("conflict with {manager:?}"),
                    });
                },
            );
        }
        found
    }

    fn merge(&self, target: &mut Value, wanted: &Value, name: &str) {
        match wanted {
            Value::Object(fields) => {
                if !target.is_object() {
                    *target = Value::Object(Map::new());
                }
                let Value::Object(target) = target else {
                    return;
                };
                for (key, value) in fields {
                    if value.is_null() {
                        target.shift_remove(key);
                    } else {
                        self.merge(
                            target.entry(key.as_str()).or_insert(Value::Null),
                            value,
                            key,
                        );
                    }
                }
            }
            Value::Array(items) if self.merges_lists => {
                match (strategic::merge_key(name, items), &mut *target) {
                    (Some(key), Value::Array(list)) => {
                        strategic::upsert(list, key, items.iter(), |old, item| {
                            self.merge(old, item, "");
                        });
                    }
                    _ => *target = wanted.clone(),
                }
            }
            _ => *target = wanted.clone(),
        }
    }

    /// Notes in the object what this manager owns now.
    fn record(&self, object: &mut Value, time: &str) {
        let wanted = owned(&self.wanted);
        let mut entries = entries(object);
        entries.retain(|entry| entry_manager(entry) != Some(self.manager.as_str()));
        if self.force {
            for entry in &mut entries {
                if let Some(fields) = entry.get_mut("fieldsV1") {
                    disown(fields, &wanted);
                }
            }
            entries.retain(|entry| {
                entry
                    .get("fieldsV1")
                    .and_then(Value::as_object)
                    .is_none_or(|f| !f.is_empty())
            });
        }
        entries.push(json!({
            "manager": self.manager,
            "operation": "Apply",
            "apiVersion": self.api_version,
            "time": time,
            "fieldsType": "FieldsV1",
            "fieldsV1": wanted,
        }));
        if let Some(meta) = meta_mut(object) {
            meta.insert("managedFields".into(), Value::Array(entries));
        }
    }
}

fn entries(object: &Value) -> Vec<Value> {
    let entries = object
        .get("metadata")
        .and_then(|meta| meta.get("managedFields"));
    entries
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default()
}

fn entry_manager(entry: &Value) -> Option<&str> {
    let applied = entry.get("operation").and_then(Value::as_str) == Some("Apply");
    entry
        .get("manager")
        .and_then(Value::as_str)
        .filter(|_| applied)
}

/// The fields that a wish owns, as `fieldsV1` writes them.
fn owned(wanted: &Value) -> Value {
    let mut fields = fields_of(wanted);
    if let Value::Object(fields) = &mut fields {
        for name in UNOWNED {
            fields.shift_remove(&format!("f:{name}"));
        }
        if let Some(Value::Object(meta)) = fields.get_mut("f:metadata") {
            for name in UNOWNED_META {
                meta.shift_remove(&format!("f:{name}"));
            }
            if meta.is_empty() {
                fields.shift_remove("f:metadata");
            }
        }
    }
    fields
}

fn fields_of(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .map(|(k, v)| (format!("f:{k}"), fields_of(v)))
                .collect(),
        ),
        _ => json!({}),
    }
}

fn is_leaf(fields: &Value) -> bool {
    fields.as_object().is_none_or(Map::is_empty)
}

/// Calls for each field that both own and want to have different values.
fn clashes<'a>(
    theirs: &Value,
    mine: &'a Value,
    object: &Value,
    wanted: &Value,
    path: &mut Vec<&'a str>,
    found: &mut impl FnMut(&[&'a str]),
) {
    if is_leaf(theirs) || is_leaf(mine) {
        // Two who want a map may each want their own part of it.
        if object != wanted && !(object.is_object() && wanted.is_object()) {
            found(path);
        }
        return;
    }
    let (Some(theirs), Some(mine)) = (theirs.as_object(), mine.as_object()) else {
        return;
    };
    for (key, mine) in mine {
        let Some(name) = key.strip_prefix("f:") else {
            continue;
        };
        if let (Some(theirs), Some(object), Some(wanted)) =
            (theirs.get(key), object.get(name), wanted.get(name))
        {
            path.push(name);
            clashes(theirs, mine, object, wanted, path, found);
            path.pop();
        }
    }
}

/// Removes what was owned, is no longer wanted, and belongs to nobody else.
fn drop_unwanted(object: &mut Value, owned: &Value, wanted: &Value, others: &[&Value]) {
    let (Some(object), Some(owned)) = (object.as_object_mut(), owned.as_object()) else {
        return;
    };
    for (key, fields) in owned {
        let Some(name) = key.strip_prefix("f:") else {
            continue;
        };
        let theirs: Vec<&Value> = others.iter().filter_map(|other| other.get(key)).collect();
        match wanted.get(key) {
            None if theirs.is_empty() && is_leaf(fields) => {
                object.shift_remove(name);
            }
            None if theirs.iter().any(|theirs| is_leaf(theirs)) => {}
            wanted => {
                let Some(inner) = object.get_mut(name) else {
                    continue;
                };
                let nothing = json!({});
                drop_unwanted(inner, fields, wanted.unwrap_or(&nothing), &theirs);
                let emptied = inner.as_object().is_some_and(Map::is_empty);
                if wanted.is_none() && emptied && theirs.is_empty() {
                    object.shift_remove(name);
                }
            }
        }
    }
}

/// Takes fields out of another manager's ownership.
fn disown(fields: &mut Value, taken: &Value) {
    let (Some(fields), Some(taken)) = (fields.as_object_mut(), taken.as_object()) else {
        return;
    };
    for (key, taken) in taken {
        let Some(inner) = fields.get_mut(key) else {
            continue;
        };
        if is_leaf(inner) || is_leaf(taken) {
            fields.shift_remove(key);
        } else {
            disown(inner, taken);
            if is_leaf(inner) {
                fields.shift_remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Applied;
    use crate::kinds::{Kind, Resource};

    fn resource() -> Resource {
        Resource::from(&Kind::namespaced("g.io", "v1", "Thing", "things"))
    }

    fn apply(object: &mut Value, manager: &str, force: bool, spec: Value) -> Result<(), Value> {
        let applied = Applied::new(manager, force, &resource(), json!({"spec": spec}));
        applied
            .apply(&resource(), "a", object)
            .map_err(|error| error.status())
    }

    #[test]
    fn what_a_manager_stops_applying_is_removed() {
        let mut object = json!({"spec": {"kept": 1}});
        apply(
            &mut object,
            "m",
            false,
            json!({"a": 1, "b": {"c": 1, "d": 2}}),
        )
        .unwrap();
        apply(&mut object, "m", false, json!({"b": {"d": 3}})).unwrap();
        assert_eq!(object["spec"], json!({"kept": 1, "b": {"d": 3}}));
    }

    #[test]
    fn two_managers_share_and_fight_over_fields() {
        let mut object = json!({});
        apply(&mut object, "one", false, json!({"a": 1, "shared": 1})).unwrap();
        apply(&mut object, "two", false, json!({"b": 1, "shared": 1})).unwrap();
        let conflict = apply(&mut object, "two", false, json!({"a": 2})).unwrap_err();
        assert_eq!(conflict["details"]["causes"][0]["field"], ".spec.a");
        apply(&mut object, "two", true, json!({"a": 2})).unwrap();
        assert_eq!(object["spec"], json!({"a": 2, "shared": 1}));
        apply(&mut object, "one", false, json!({})).unwrap();
        assert_eq!(object["spec"], json!({"a": 2}));
    }

    #[test]
    fn applying_the_same_again_changes_nothing() {
        let mut object = json!({});
        apply(&mut object, "m", false, json!({"a": {"b": [1]}})).unwrap();
        let before = object.clone();
        apply(&mut object, "m", false, json!({"a": {"b": [1]}})).unwrap();
        assert_eq!(object, before);
    }
}
