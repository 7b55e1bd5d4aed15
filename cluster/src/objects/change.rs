//! Update and patch: one version of an object in place of another.
//!
//! Guards what nobody may change, and what a write to this part of the object may touch.

use std::collections::HashSet;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use crate::objects::create::{create_named, dress_secret, settle};
use crate::objects::{delete, has_finalizers, meta_mut, meta_text, parse, reply, rules};
use crate::patch::{Applied, Patch};
use crate::request::Target;
use crate::status::{ApiError, Cause};
use crate::store::{Key, Reply, Stored, Txn};

/// The part of an object that a write may touch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The object without its status, where the kind has a status subresource.
    Object,
    /// The status alone.
    Status,
}

/// Puts a whole object in place of the one that is there.
pub(crate) fn replace(
    txn: &mut Txn<'_>,
    target: &Target,
    name: &str,
    scope: Scope,
    mut object: Value,
) -> Result<Reply, ApiError> {
    let resource = &*target.resource;
    settle(target, &mut object)?;
    let (key, current) = find(txn, target, name)?;
    if meta_text(&object, "resourceVersion").is_none() && !resource.built_in() {
        let cause = Cause::missing("metadata.resourceVersion", "must be set for an update");
        return Err(ApiError::invalid(resource, name, &[cause]));
    }
    let stored = change(txn, target, &key, scope, &current, object)?;
    Ok(reply(StatusCode::OK, &stored))
}

/// Changes an object as a patch says; an applied object is created where there is none.
pub(crate) fn patch(
    txn: &mut Txn<'_>,
    target: &Target,
    name: &str,
    scope: Scope,
    patch: &Patch,
) -> Result<Reply, ApiError> {
    let resource = &*target.resource;
    let key = Key::new(target.namespace.as_deref().unwrap_or_default(), name);
    let Some(current) = txn.get(&resource.table, &key) else {
        if let (Patch::Apply(applied), Scope::Object) = (patch, scope) {
            return create_applied(txn, target, name, applied);
        }
        return Err(ApiError::not_found(resource, name));
    };
    let mut object = parse(&current)?;
    patch.apply(resource, name, &mut object)?;
    settle(target, &mut object)?;
    let stored = change(txn, target, &key, scope, &current, object)?;
    Ok(reply(StatusCode::OK, &stored))
}

fn create_applied(
    txn: &mut Txn<'_>,
    target: &Target,
    name: &str,
    applied: &Applied,
) -> Result<Reply, ApiError> {
    let mut object = applied.fresh();
    settle(target, &mut object)?;
    same_name(&object, name)?;
    if meta_text(&object, "resourceVersion").is_some() || meta_text(&object, "uid").is_some() {
        return Err(ApiError::conflict(
            &target.resource,
            name,
            "the object does not exist",
        ));
    }
    let stored = create_named(txn, target, name, object)?;
    Ok(reply(StatusCode::CREATED, &stored))
}

/// The object that a request names.
pub(crate) fn find(
    txn: &Txn<'_>,
    target: &Target,
    name: &str,
) -> Result<(Key, Arc<Stored>), ApiError> {
    let key = Key::new(target.namespace.as_deref().unwrap_or_default(), name);
    match txn.get(&target.resource.table, &key) {
        Some(stored) => Ok((key, stored)),
        None => Err(ApiError::not_found(&target.resource, name)),
    }
}

fn change(
    txn: &mut Txn<'_>,
    target: &Target,
    key: &Key,
    scope: Scope,
    current: &Arc<Stored>,
    wanted: Value,
) -> Result<Arc<Stored>, ApiError> {
    let resource = &*target.resource;
    let name = key.name.as_str();
    same_name(&wanted, name)?;
    if meta_text(&wanted, "resourceVersion")
        .is_some_and(|version| version != current.version.to_string())
    {
        return Err(ApiError::stale(resource, name));
    }
    if meta_text(&wanted, "uid").is_some_and(|uid| uid != current.uid) {
        let why = format!("the uid is not {}, which the object has", current.uid);
        return Err(ApiError::conflict(resource, name, &why));
    }
    let before = parse(current)?;
    let mut after = match scope {
        Scope::Object => wanted,
        Scope::Status => with_status(before.clone(), &wanted),
    };
    if scope == Scope::Object && resource.status {
        after = with_status(after, &before);
    }
    if resource.is_core("Secret") {
        dress_secret(resource, name, &mut after)?;
    }
    keep_identity(&before, &mut after);
    rules::check(resource, name, &after)?;
    no_new_finalizers(target, name, &before, &after)?;
    if after == before {
        // Nothing changed, so nobody needs to hear of it.
        return Ok(Arc::clone(current));
    }
    if differs(&before, &after)
        && let Some(meta) = meta_mut(&mut after)
    {
        let generation = before
            .get("metadata")
            .and_then(|meta| meta.get("generation"));
        let generation = generation.and_then(Value::as_u64).unwrap_or(0) + 1;
        meta.insert("generation".into(), generation.into());
    }
    if meta_text(&after, "deletionTimestamp").is_some() && !has_finalizers(&after) {
        // The last finalizer has gone, and the object with it.
        return delete::finish(txn, target.resource.as_ref(), key, after);
    }
    txn.put(&resource.table, key, after)
}

/// The body may leave the name out, and may not say another.
fn same_name(object: &Value, name: &str) -> Result<(), ApiError> {
    if meta_text(object, "name").is_some_and(|wanted| wanted != name) {
        let message = "the name of the object does not match the name on the URL";
        return Err(ApiError::bad_request(message));
    }
    Ok(())
}

/// The object with the status of another.
fn with_status(mut object: Value, from: &Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        match from.get("status") {
            Some(status) => fields.insert("status".into(), status.clone()),
            None => fields.shift_remove("status"),
        };
    }
    object
}

/// What belongs to the server stays as it was, whatever was sent.
fn keep_identity(before: &Value, after: &mut Value) {
    let Some(old) = before.get("metadata").and_then(Value::as_object) else {
        return;
    };
    let Some(new) = meta_mut(after) else { return };
    let fixed = [
        "name",
        "generateName",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for field in fixed {
        match old.get(field) {
            Some(value) => new.insert(field.into(), value.clone()),
            None => new.shift_remove(field),
        };
    }
    new.shift_remove("selfLink");
    // Clients that send whole objects often leave the bookkeeping out.
    if !new.contains_key("managedFields")
        && let Some(managed) = old.get("managedFields")
    {
        new.insert("managedFields".into(), managed.clone());
    }
}

fn no_new_finalizers(
    target: &Target,
    name: &str,
    before: &Value,
    after: &Value,
) -> Result<(), ApiError> {
    if meta_text(before, "deletionTimestamp").is_none() {
        return Ok(());
    }
    let list = |object: &Value| {
        let finalizers = object
            .get("metadata")
            .and_then(|meta| meta.get("finalizers"));
        finalizers
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let old: HashSet<String> = list(before).iter().map(Value::to_string).collect();
    if list(after)
        .iter()
        .all(|finalizer| old.contains(&finalizer.to_string()))
    {
        return Ok(());
    }
    let why = "no new finalizers can be added if the object is being deleted";
    let cause = Cause::forbidden("metadata.finalizers", why);
    Err(ApiError::invalid(&target.resource, name, &[cause]))
}

/// Whether anything but metadata and status is different.
fn differs(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_object(), after.as_object()) else {
        return before != after;
    };
    let counts = |field: &String| field != "metadata" && field != "status";
    let keys = before
        .keys()
        .chain(after.keys())
        .filter(|field| counts(field));
    keys.into_iter()
        .any(|field| before.get(field) != after.get(field))
}
