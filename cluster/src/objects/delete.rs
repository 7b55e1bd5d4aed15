//! Delete: finalizers, dependents and namespaces.
//!
//! What Kubernetes' garbage collector does some time later happens here at once, in the same
//! transaction: an owner never survives its deletion half.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::kinds::{DEFINITIONS, NAMESPACES, Resource, table};
use crate::objects::{change, has_finalizers, meta_mut, meta_text, now, parse, reply};
use crate::request::Target;
use crate::selector::Selector;
use crate::status::{ApiError, Cause, deleted, success};
use crate::store::{Key, Reply, Stored, Txn};

/// What the body of a DELETE may say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DeleteOptions {
    pub(crate) preconditions: Option<Preconditions>,
    pub(crate) propagation_policy: Option<String>,
    pub(crate) orphan_dependents: Option<bool>,
    pub(crate) dry_run: Option<Vec<String>>,
}

/// What must still hold for the deletion to go ahead.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

impl DeleteOptions {
    fn orphans(&self) -> Result<bool, ApiError> {
        match self.propagation_policy.as_deref() {
            None => Ok(self.orphan_dependents.unwrap_or(false)),
            Some("Orphan") => Ok(true),
            Some("Background" | "Foreground") => Ok(false),
            Some(other) => Err(ApiError::bad_request(format!(
                "propagationPolicy must be Background, Foreground or Orphan, not {other:?}"
            ))),
        }
    }
}

/// Deletes one object, or marks it where finalizers have to run first.
pub(crate) fn delete(
    txn: &mut Txn<'_>,
    target: &Target,
    name: &str,
    options: &DeleteOptions,
) -> Result<Reply, ApiError> {
    let resource = &*target.resource;
    let (key, current) = change::find(txn, target, name)?;
    if let Some(Preconditions {
        uid,
        resource_version,
    }) = &options.preconditions
    {
        if uid.as_ref().is_some_and(|uid| *uid != current.uid) {
            let why = format!("the uid in the precondition is not {}", current.uid);
            return Err(ApiError::conflict(resource, name, &why));
        }
        let version = current.version.to_string();
        if resource_version
            .as_ref()
            .is_some_and(|wanted| *wanted != version)
        {
            let why = format!("the resource version in the precondition is not {version}");
            return Err(ApiError::conflict(resource, name, &why));
        }
    }
    if options.orphans()? {
        release_dependents(txn, &current.uid)?;
    }
    match remove(txn, resource, &key)? {
        Some(waiting) => Ok(reply(StatusCode::OK, &waiting)),
        None => Ok(Reply::value(
            StatusCode::OK,
            &deleted(resource, name, &current.uid),
        )),
    }
}

/// Deletes every object of a kind that a selector selects.
pub(crate) fn delete_all(
    txn: &mut Txn<'_>,
    target: &Target,
    selector: &Selector,
    options: &DeleteOptions,
) -> Result<Reply, ApiError> {
    let resource = &*target.resource;
    let orphans = options.orphans()?;
    for key in txn.list(&resource.table, target.namespace.as_deref()) {
        let Some(current) = txn.get(&resource.table, &key) else {
            continue;
        };
        if !selector.matches(&key, &current) {
            continue;
        }
        if orphans {
            release_dependents(txn, &current.uid)?;
        }
        remove(txn, resource, &key)?;
    }
    let mut details = Map::new();
    if !resource.group.is_empty() {
        details.insert("group".into(), resource.group.as_str().into());
    }
    details.insert("kind".into(), resource.plural.as_str().into());
    Ok(Reply::value(StatusCode::OK, &success(details)))
}

/// Removes an object and what hangs on it; the marked object if finalizers hold it.
fn remove(
    txn: &mut Txn<'_>,
    resource: &Resource,
    key: &Key,
) -> Result<Option<Arc<Stored>>, ApiError> {
    if *resource.table == *NAMESPACES {
        return remove_namespace(txn, key);
    }
    if *resource.table == *DEFINITIONS
        && let Some((plural, group)) = key.name.split_once('.')
    {
        // A definition takes the objects of its kind along.
        let defined = table(group, plural);
        for key in txn.list(&defined, None) {
            remove_at(txn, &defined, &key)?;
        }
    }
    remove_at(txn, &resource.table, key)
}

fn remove_at(
    txn: &mut Txn<'_>,
    table: &Arc<str>,
    key: &Key,
) -> Result<Option<Arc<Stored>>, ApiError> {
    let Some(current) = txn.get(table, key) else {
        return Ok(None);
    };
    let object = parse(&current)?;
    if has_finalizers(&object) {
        return mark(txn, table, key, &current, object).map(Some);
    }
    erase(txn, table, key, object)?;
    Ok(None)
}

/// Sets the time of deletion, once.
fn mark(
    txn: &mut Txn<'_>,
    table: &Arc<str>,
    key: &Key,
    current: &Arc<Stored>,
    mut object: Value,
) -> Result<Arc<Stored>, ApiError> {
    if meta_text(&object, "deletionTimestamp").is_some() {
        return Ok(Arc::clone(current));
    }
    if let Some(meta) = meta_mut(&mut object) {
        meta.insert("deletionGracePeriodSeconds".into(), 0.into());
        meta.insert("deletionTimestamp".into(), now().into());
        let generation = meta.get("generation").and_then(Value::as_u64).unwrap_or(0) + 1;
        meta.insert("generation".into(), generation.into());
    }
    txn.put(table, key, object)
}

/// Removes an object whose last finalizer has gone.
pub(crate) fn finish(
    txn: &mut Txn<'_>,
    resource: &Resource,
    key: &Key,
    object: Value,
) -> Result<Arc<Stored>, ApiError> {
    if *resource.table == *NAMESPACES && !txn.in_namespace(&key.name).is_empty() {
        return txn.put(&resource.table, key, object);
    }
    erase(txn, &resource.table, key, object)
}

/// Removes an object, then whatever only it kept alive.
///
/// A list of work rather than a recursion: chains of owners may be long.
fn erase(
    txn: &mut Txn<'_>,
    table: &Arc<str>,
    key: &Key,
    object: Value,
) -> Result<Arc<Stored>, ApiError> {
    let gone = txn.remove(table, key, object)?;
    let mut namespaces = vec![key.namespace.clone()];
    let mut owners = vec![gone.uid.clone()];
    while let Some(owner) = owners.pop() {
        for (table, key) in txn.dependents(&owner) {
            let Some(dependent) = txn.get(&table, &key) else {
                continue;
            };
            let object = parse(&dependent)?;
            if dependent.owners.len() > 1 {
                // Others still own it; only this reference dangles.
                release(txn, &table, &key, object, &owner)?;
            } else if has_finalizers(&object) {
                mark(txn, &table, &key, &dependent, object)?;
            } else {
                namespaces.push(key.namespace.clone());
                owners.push(txn.remove(&table, &key, object)?.uid.clone());
            }
        }
    }
    namespaces.sort_unstable();
    namespaces.dedup();
    for namespace in namespaces {
        finish_namespace(txn, &namespace)?;
    }
    Ok(gone)
}

fn release_dependents(txn: &mut Txn<'_>, owner: &str) -> Result<(), ApiError> {
    for (table, key) in txn.dependents(owner) {
        if let Some(dependent) = txn.get(&table, &key) {
            let object = parse(&dependent)?;
            release(txn, &table, &key, object, owner)?;
        }
    }
    Ok(())
}

fn release(
    txn: &mut Txn<'_>,
    table: &Arc<str>,
    key: &Key,
    mut object: Value,
    owner: &str,
) -> Result<(), ApiError> {
    if let Some(meta) = meta_mut(&mut object)
        && let Some(Value::Array(owners)) = meta.get_mut("ownerReferences")
    {
        owners.retain(|reference| reference.get("uid").and_then(Value::as_str) != Some(owner));
        if owners.is_empty() {
            meta.shift_remove("ownerReferences");
        }
    }
    txn.put(table, key, object).map(|_| ())
}

/// A namespace takes everything in it along, and goes when the last of it has gone.
fn remove_namespace(txn: &mut Txn<'_>, key: &Key) -> Result<Option<Arc<Stored>>, ApiError> {
    let namespaces = table("", "namespaces");
    let Some(current) = txn.get(&namespaces, key) else {
        return Ok(None);
    };
    let mut object = parse(&current)?;
    if key.name == "default" {
        let cause = Cause::forbidden("metadata.name", "this namespace may not be deleted");
        return Err(ApiError::forbidden(cause.message));
    }
    if meta_text(&object, "deletionTimestamp").is_none() {
        if let Some(fields) = object.as_object_mut() {
            fields.insert("status".into(), serde_json::json!({"phase": "Terminating"}));
        }
        mark(txn, &namespaces, key, &current, object)?;
    }
    for (table, inside) in txn.in_namespace(&key.name) {
        remove_at(txn, &table, &inside)?;
    }
    finish_namespace(txn, &key.name)?;
    Ok(txn.get(&namespaces, key))
}

fn finish_namespace(txn: &mut Txn<'_>, namespace: &str) -> Result<(), ApiError> {
    if namespace.is_empty() {
        return Ok(());
    }
    let namespaces = table("", "namespaces");
    let key = Key::new("", namespace);
    let Some(current) = txn.get(&namespaces, &key) else {
        return Ok(());
    };
    let object = parse(&current)?;
    if meta_text(&object, "deletionTimestamp").is_none()
        || has_finalizers(&object)
        || !txn.in_namespace(namespace).is_empty()
    {
        return Ok(());
    }
    txn.remove(&namespaces, &key, object).map(|_| ())
}
