//! The four kinds of patch, from a body and its content type to a changed object.
//!
//! Pure: what may be changed is decided by whoever stores the outcome.

mod apply;
mod json;
mod strategic;

pub(crate) use apply::Applied;

use serde_json::{Map, Value};

use crate::kinds::Resource;
use crate::objects::check_depth;
use crate::request::Params;
use crate::status::{ApiError, Cause};

/// A change to an object, read and ready.
#[derive(Debug)]
pub(crate) enum Patch {
    /// A list of operations (RFC 6902).
    Json(Vec<json_patch::PatchOperation>),
    /// Fields to set and to remove (RFC 7396).
    Merge(Value),
    /// Like a merge, but lists of named things are merged by name.
    Strategic(Value),
    /// The fields that one manager wants to have.
    Apply(Applied),
}

impl Patch {
    /// Reads the body of a PATCH.
    pub(crate) fn parse(
        resource: &Resource,
        media_type: &str,
        body: &[u8],
        params: &Params,
    ) -> Result<Self, ApiError> {
        match media_type {
            "application/json-patch+json" => json::parse(body).map(Self::Json),
            "application/merge-patch+json" => object(body).map(Self::Merge),
            "application/strategic-merge-patch+json" if resource.built_in() => {
                object(body).map(Self::Strategic)
            }
            "application/strategic-merge-patch+json" => Err(ApiError::media_type(format!(
                "{} take json, merge and apply patches only",
                resource.qualified()
            ))),
            "application/apply-patch+yaml" => {
                let Some(manager) = params.text("fieldManager") else {
                    let cause = Cause::missing("fieldManager", "must be set for an apply patch");
                    return Err(ApiError::invalid(resource, "", &[cause]));
                };
                let value = yaml(body)?;
                if !value.is_object() {
                    return Err(ApiError::bad_request("the body must be an object"));
                }
                let force = params.flag("force")?;
                Ok(Self::Apply(Applied::new(manager, force, resource, value)))
            }
            other => Err(ApiError::media_type(format!(
                "the content type of a patch must be application/json-patch+json, \
                 application/merge-patch+json, application/strategic-merge-patch+json or \
                 application/apply-patch+yaml, not {other:?}"
            ))),
        }
    }

    /// Changes the object.
    pub(crate) fn apply(
        &self,
        resource: &Resource,
        name: &str,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        match self {
            Self::Json(operations) => json::apply(resource, name, operations, object),
            Self::Merge(patch) => {
                merge(object, patch);
                Ok(())
            }
            Self::Strategic(patch) => {
                strategic::merge(object, patch);
                Ok(())
            }
            Self::Apply(applied) => applied.apply(resource, name, object),
        }
    }
}

fn object(body: &[u8]) -> Result<Value, ApiError> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("cannot read the patch: {error}")))?;
    check_depth(&value)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(ApiError::bad_request("the patch must be an object"))
    }
}

/// Reads JSON or, failing that, YAML.
pub(crate) fn yaml(body: &[u8]) -> Result<Value, ApiError> {
    // JSON first: it is what clients send, and it keeps every number as it is.
    let value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(_) => {
            let text = std::str::from_utf8(body).map_err(|error| {
                ApiError::bad_request(format!("the body must be UTF-8: {error}"))
            })?;
            serde_saphyr::from_str(text).map_err(|error| {
                ApiError::bad_request(format!("cannot read the body as YAML: {error}"))
            })?
        }
    };
    check_depth(&value)?;
    Ok(value)
}

/// Merges as RFC 7396 says: null removes, objects merge, anything else replaces.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(key);
        } else {
            merge(target.entry(key.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn merge_patch_follows_the_rfc() {
        let table = [
            (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": "b"}),
                json!({"b": "c"}),
                json!({"a": "b", "b": "c"}),
            ),
            (
                json!({"a": "b", "b": "c"}),
                json!({"a": null}),
                json!({"b": "c"}),
            ),
            (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
            (
                json!({"a": {"b": "c"}}),
                json!({"a": {"b": "d", "c": null}}),
                json!({"a": {"b": "d"}}),
            ),
            (
                json!({"a": [{"b": "c"}]}),
                json!({"a": [1]}),
                json!({"a": [1]}),
            ),
            (
                json!({"e": null}),
                json!({"a": 1}),
                json!({"e": null, "a": 1}),
            ),
            (
                json!({}),
                json!({"a": {"bb": {"ccc": null}}}),
                json!({"a": {"bb": {}}}),
            ),
        ];
        for (mut target, patch, expected) in table {
            super::merge(&mut target, &patch);
            assert_eq!(target, expected, "{patch}");
        }
    }
}
