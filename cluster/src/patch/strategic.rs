//! Strategic merge for Kubernetes' own kinds: lists of named things merge by name.
//!
//! Knows the keys of the usual lists; a list that it does not know is replaced as a whole.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

/// The field that tells the items of a list apart, by the name of the list.
const MERGE_KEYS: &[(&str, &[&str])] = &[
    ("containers", &["name"]),
    ("initContainers", &["name"]),
    ("ephemeralContainers", &["name"]),
    ("volumes", &["name"]),
    ("env", &["name"]),
    ("imagePullSecrets", &["name"]),
    ("secrets", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("volumeDevices", &["devicePath"]),
    ("volumeClaimTemplates", &[]),
    ("ports", &["containerPort", "port"]),
    ("hostAliases", &["ip"]),
    ("topologySpreadConstraints", &["topologyKey"]),
    ("ownerReferences", &["uid"]),
    ("conditions", &["type"]),
];

/// The key of a list's items, if the list is one whose items merge.
pub(super) fn merge_key(list: &str, items: &[Value]) -> Option<&'static str> {
    let (_, keys) = MERGE_KEYS.iter().find(|(name, _)| *name == list)?;
    keys.iter()
        .find(|key| items.iter().all(|item| item.get(**key).is_some()))
        .copied()
}

/// Merges a patch into an object.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() || patch.get("$patch").and_then(Value::as_str) == Some("replace") {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    if let Some(retain) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|key, _| {
            retain
                .iter()
                .any(|kept| kept.as_str() == Some(key.as_str()))
        });
    }
    for (key, value) in patch {
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            if let (Some(Value::Array(items)), Value::Array(gone)) = (target.get_mut(list), value) {
                items.retain(|item| !gone.contains(item));
            }
        } else if key.starts_with('$') {
            // Directives about order have no effect on what the object says.
        } else if value.is_null() || value.get("$patch").and_then(Value::as_str) == Some("delete") {
            target.shift_remove(key);
        } else if let Value::Array(items) = value {
            merge_list(
                key,
                target.entry(key.as_str()).or_insert(Value::Null),
                items,
            );
        } else {
            merge(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

fn merge_list(name: &str, target: &mut Value, items: &[Value]) {
    if name == "finalizers" {
        let Value::Array(list) = target else {
            *target = Value::Array(items.to_vec());
            return;
        };
        let mut known: HashSet<String> = list.iter().map(Value::to_string).collect();
        list.extend(
            items
                .iter()
                .filter(|item| known.insert(item.to_string()))
                .cloned(),
        );
        return;
    }
    let directive = |item: &&Value| item.get("$patch").and_then(Value::as_str) == Some("replace");
    let replaces = items.iter().any(|item| directive(&item));
    let content: Vec<Value> = items
        .iter()
        .filter(|item| !directive(item))
        .cloned()
        .collect();
    let (Some(key), false) = (merge_key(name, &content), replaces) else {
        *target = Value::Array(content);
        return;
    };
    if !target.is_array() {
        *target = Value::Array(Vec::new());
    }
    let Value::Array(list) = target else { return };
    let deleted = |item: &&Value| item.get("$patch").and_then(Value::as_str) == Some("delete");
    let gone: HashSet<String> = content
        .iter()
        .filter(deleted)
        .map(|item| tag(item, key))
        .collect();
    if !gone.is_empty() {
        list.retain(|item| !gone.contains(&tag(item, key)));
    }
    upsert(
        list,
        key,
        content.iter().filter(|item| !deleted(item)),
        merge,
    );
}

/// Merges items into those of a list that have the same key, and appends the others.
pub(super) fn upsert<'a>(
    list: &mut Vec<Value>,
    key: &str,
    items: impl Iterator<Item = &'a Value>,
    mut merge: impl FnMut(&mut Value, &Value),
) {
    // An index, because both lists may be as long as an object may be large.
    let mut places: HashMap<String, usize> = HashMap::new();
    for (place, item) in list.iter().enumerate() {
        places.entry(tag(item, key)).or_insert(place);
    }
    for item in items {
        let place = *places.entry(tag(item, key)).or_insert(list.len());
        match list.get_mut(place) {
            Some(old) => merge(old, item),
            None => {
                let mut new = Value::Null;
                merge(&mut new, item);
                list.push(new);
            }
        }
    }
}

fn tag(item: &Value, key: &str) -> String {
    item.get(key).map(Value::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn named_lists_merge_and_others_are_replaced() {
        let table = [
            (
                json!({"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "image": "y"}, {"name": "c"}]}),
                json!({"containers": [{"name": "a", "image": "y"}, {"name": "b"}, {"name": "c"}]}),
            ),
            (
                json!({"containers": [{"name": "a"}, {"name": "b"}]}),
                json!({"containers": [{"name": "a", "$patch": "delete"}], "$setElementOrder/containers": []}),
                json!({"containers": [{"name": "b"}]}),
            ),
            (
                json!({"args": [1, 2]}),
                json!({"args": [3]}),
                json!({"args": [3]}),
            ),
            (
                json!({"finalizers": ["a"]}),
                json!({"finalizers": ["b", "a"]}),
                json!({"finalizers": ["a", "b"]}),
            ),
            (
                json!({"finalizers": ["a", "b"]}),
                json!({"$deleteFromPrimitiveList/finalizers": ["a"]}),
                json!({"finalizers": ["b"]}),
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": {"$patch": "replace", "c": 2}}),
                json!({"a": {"c": 2}}),
            ),
            (
                json!({"a": {"b": 1}}),
                json!({"a": {"$patch": "delete"}}),
                json!({}),
            ),
            (
                json!({"a": 1, "b": 2}),
                json!({"$retainKeys": ["b"], "b": 3}),
                json!({"b": 3}),
            ),
        ];
        for (mut target, patch, expected) in table {
            super::merge(&mut target, &patch);
            assert_eq!(target, expected, "{patch}");
        }
    }
}
