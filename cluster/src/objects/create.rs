//! Create: names, identity and first version of an object.
//!
//! Makes the namespace on first use, and the few values that the server itself fills in.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use rand::Rng;
use serde_json::{Map, Value, json};

use crate::kinds::{NAMESPACES, Resource};
use crate::objects::{meta_mut, meta_text, now, reply, rules};
use crate::request::Target;
use crate::status::{ApiError, Cause};
use crate::store::{Key, Reply, Stored, Txn};

/// Letters that make no words, as Kubernetes uses them for generated names.
const SUFFIX: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LEN: usize = 5;
/// Generated names never get longer than this.
const GENERATED_LEN: usize = 63;

/// Creates an object from the body of a POST.
pub(crate) fn create(
    txn: &mut Txn<'_>,
    target: &Target,
    mut object: Value,
) -> Result<Reply, ApiError> {
    let resource = &*target.resource;
    settle(target, &mut object)?;
    if meta_text(&object, "resourceVersion").is_some() {
        let message = "resourceVersion should not be set on objects to be created";
        return Err(ApiError::bad_request(message));
    }
    let name = match (
        meta_text(&object, "name"),
        meta_text(&object, "generateName"),
    ) {
        (Some(name), _) => name.to_owned(),
        (None, Some(prefix)) => generate(txn, target, prefix),
        (None, None) => {
            let cause = Cause::missing("metadata.name", "name or generateName is required");
            return Err(ApiError::invalid(resource, "", &[cause]));
        }
    };
    let stored = create_named(txn, target, &name, object)?;
    Ok(reply(StatusCode::CREATED, &stored))
}

/// Stores a new object under a name that is settled.
pub(crate) fn create_named(
    txn: &mut Txn<'_>,
    target: &Target,
    name: &str,
    mut object: Value,
) -> Result<Arc<Stored>, ApiError> {
    let resource = &*target.resource;
    let namespace = target.namespace.as_deref().unwrap_or_default();
    rules::check(resource, name, &object)?;
    let key = Key::new(namespace, name);
    if txn.get(&resource.table, &key).is_some() {
        return Err(ApiError::already_exists(resource, name));
    }
    if resource.namespaced {
        enter_namespace(txn, resource, name, namespace)?;
    }
    if resource.status
        && let Some(fields) = object.as_object_mut()
    {
        fields.shift_remove("status");
    }
    fill_in(resource, name, &mut object)?;
    if let Some(meta) = meta_mut(&mut object) {
        meta.insert("name".into(), name.into());
        if resource.namespaced {
            meta.insert("namespace".into(), namespace.into());
        }
        for field in [
            "deletionTimestamp",
            "deletionGracePeriodSeconds",
            "selfLink",
        ] {
            meta.shift_remove(field);
        }
        meta.insert("uid".into(), uuid::Uuid::new_v4().to_string().into());
        meta.insert("generation".into(), 1.into());
        meta.insert("creationTimestamp".into(), now().into());
    }
    txn.put(&resource.table, &key, object)
}

/// Checks that the body is an object of this kind for this place, and fills in what may be left
/// out.
pub(crate) fn settle(target: &Target, object: &mut Value) -> Result<(), ApiError> {
    let resource = &*target.resource;
    let Some(fields) = object.as_object_mut() else {
        return Err(ApiError::bad_request("the body must be an object"));
    };
    let expected = [
        ("kind", resource.kind.clone()),
        ("apiVersion", resource.api_version()),
    ];
    for (field, expected) in expected {
        match fields.get(field) {
            None | Some(Value::Null) => {
                fields.shift_insert(0, field.into(), expected.into());
            }
            Some(Value::String(actual)) if *actual == expected => {}
            Some(actual) => {
                let message =
                    format!("{field} in the body is {actual}, the path is served for {expected:?}");
                // Kinds of Kubernetes itself fail to decode, others fail their validation.
                return Err(if resource.built_in() {
                    ApiError::bad_request(message)
                } else {
                    ApiError::invalid(resource, "", &[Cause::value(field, message)])
                });
            }
        }
    }
    let Some(meta) = meta_mut(object) else {
        return Err(ApiError::bad_request("metadata must be an object"));
    };
    for field in [
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
    ] {
        match meta.get(field) {
            None | Some(Value::String(_)) => {}
            Some(Value::Null) => {
                meta.shift_remove(field);
            }
            Some(_) => {
                return Err(ApiError::bad_request(format!(
                    "metadata.{field} must be a string"
                )));
            }
        }
    }
    if let Some(namespace) = meta_text(object, "namespace")
        && Some(namespace) != target.namespace.as_deref()
    {
        let message = match &target.namespace {
            Some(path) => format!(
                "the namespace of the object ({namespace}) does not match the namespace of the \
                 request ({path})"
            ),
            None => format!("{} live outside of namespaces", resource.qualified()),
        };
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

fn generate(txn: &Txn<'_>, target: &Target, prefix: &str) -> String {
    let room = GENERATED_LEN - SUFFIX_LEN;
    let prefix: String = prefix.chars().take(room).collect();
    let namespace = target.namespace.as_deref().unwrap_or_default();
    let mut rng = rand::rng();
    let mut name = prefix.clone();
    // A taken name is rare enough that a few tries settle it; the caller reports the rest.
    for _ in 0..8 {
        let suffix = (0..SUFFIX_LEN).filter_map(|_| {
            SUFFIX
                .get(rng.random_range(0..SUFFIX.len()))
                .map(|&byte| char::from(byte))
        });
        name = prefix.chars().chain(suffix).collect();
        if txn
            .get(&target.resource.table, &Key::new(namespace, name.as_str()))
            .is_none()
        {
            break;
        }
    }
    name
}

fn enter_namespace(
    txn: &mut Txn<'_>,
    resource: &Resource,
    name: &str,
    namespace: &str,
) -> Result<(), ApiError> {
    let table = Arc::from(NAMESPACES);
    let key = Key::new("", namespace);
    match txn.get(&table, &key) {
        Some(stored) => {
            let terminating = meta_text(&super::parse(&stored)?, "deletionTimestamp").is_some();
            if terminating {
                return Err(ApiError::namespace_terminating(resource, name, namespace));
            }
            Ok(())
        }
        None => {
            let mut object = json!({
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {
                    "name": namespace,
                    "uid": uuid::Uuid::new_v4().to_string(),
                    "generation": 1,
                    "creationTimestamp": now(),
                },
            });
            dress_namespace(namespace, &mut object);
            txn.put(&table, &key, object).map(|_| ())
        }
    }
}

fn dress_namespace(name: &str, object: &mut Value) {
    if let Some(meta) = meta_mut(object)
        && let Value::Object(labels) = meta
            .entry("labels")
            .or_insert_with(|| Value::Object(Map::new()))
    {
        labels.insert("kubernetes.io/metadata.name".into(), name.into());
    }
    if let Some(fields) = object.as_object_mut() {
        fields.insert("status".into(), json!({"phase": "Active"}));
    }
}

/// The values that the server fills in for kinds of its own.
fn fill_in(resource: &Resource, name: &str, object: &mut Value) -> Result<(), ApiError> {
    if resource.is_core("Namespace") {
        dress_namespace(name, object);
    }
    if resource.is_core("Secret") {
        dress_secret(resource, name, object)?;
    }
    if *resource.table == *crate::kinds::DEFINITIONS
        && let Some(fields) = object.as_object_mut()
    {
        let names = fields
            .get("spec")
            .and_then(|spec| spec.get("names"))
            .cloned();
        let condition = |kind: &str, reason: &str| {
            json!({"type": kind, "status": "True", "reason": reason, "message": "",
                   "lastTransitionTime": now()})
        };
        let status = json!({
            "conditions": [
                condition("NamesAccepted", "NoConflicts"),
                condition("Established", "InitialNamesAccepted"),
            ],
            "acceptedNames": names,
        });
        fields.insert("status".into(), status);
    }
    Ok(())
}

/// Moves `stringData` into `data`, and refuses data that nobody could decode.
pub(crate) fn dress_secret(
    resource: &Resource,
    name: &str,
    object: &mut Value,
) -> Result<(), ApiError> {
    let invalid =
        |field: String, why: &str| ApiError::invalid(resource, name, &[Cause::value(field, why)]);
    let Some(fields) = object.as_object_mut() else {
        return Ok(());
    };
    match fields.get("type") {
        None | Some(Value::Null) => {
            fields.insert("type".into(), "Opaque".into());
        }
        Some(_) => {}
    }
    if let Some(plain) = fields
        .shift_remove("stringData")
        .filter(|plain| !plain.is_null())
    {
        let Value::Object(plain) = plain else {
            return Err(invalid("stringData".into(), "must be a map of strings"));
        };
        let data = fields
            .entry("data")
            .or_insert_with(|| Value::Object(Map::new()));
        if data.is_null() {
            *data = Value::Object(Map::new());
        }
        let Value::Object(data) = data else {
            return Err(invalid("data".into(), "must be a map of strings"));
        };
        for (key, value) in plain {
            let Value::String(text) = value else {
                return Err(invalid(format!("stringData[{key}]"), "must be a string"));
            };
            data.insert(key, STANDARD.encode(text).into());
        }
    }
    match fields.get("data") {
        None | Some(Value::Null) => {}
        Some(Value::Object(data)) => {
            for (key, value) in data {
                let decodes = value
                    .as_str()
                    .is_some_and(|text| STANDARD.decode(text).is_ok());
                if !decodes && !value.is_null() {
                    return Err(invalid(format!("data[{key}]"), "must be base64"));
                }
            }
        }
        Some(_) => return Err(invalid("data".into(), "must be a map of strings")),
    }
    Ok(())
}
