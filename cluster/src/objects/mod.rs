//! What the verbs mean: create, update, patch and delete over a transaction.
//!
//! Runs on the writer thread; knows objects, never HTTP or the disk.

mod change;
mod create;
mod delete;
mod rules;

pub(crate) use change::{Scope, patch, replace};
pub(crate) use create::create;
pub(crate) use delete::{DeleteOptions, delete, delete_all};
pub(crate) use rules::{check_depth, fits_depth, label_value, namespace_name, qualified_name};

use http::StatusCode;
use serde_json::{Map, Value};

use crate::status::ApiError;
use crate::store::{Reply, Stored};

/// Now, as Kubernetes writes times.
pub(crate) fn now() -> String {
    jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

/// The `metadata` of an object, made if it is not there.
pub(crate) fn meta_mut(object: &mut Value) -> Option<&mut Map<String, Value>> {
    let object = object.as_object_mut()?;
    let meta = object
        .entry("metadata")
        .or_insert_with(|| Value::Object(Map::new()));
    meta.as_object_mut()
}

/// A text field of `metadata`.
fn meta_text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object
        .get("metadata")?
        .get(field)?
        .as_str()
        .filter(|text| !text.is_empty())
}

/// Whether something still has to happen before the object may go.
fn has_finalizers(object: &Value) -> bool {
    let finalizers = object
        .get("metadata")
        .and_then(|meta| meta.get("finalizers"));
    finalizers
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
}

fn parse(stored: &Stored) -> Result<Value, ApiError> {
    stored
        .value()
        .map_err(|error| ApiError::internal(format!("cannot read object: {error}")))
}

fn reply(code: StatusCode, stored: &Stored) -> Reply {
    Reply::new(code, stored.bytes.clone())
}
