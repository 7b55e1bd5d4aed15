//! JSON Patch with bounds: a small patch must not make a huge or bottomless object.
//!
//! The operations themselves are the `json-patch` crate's.

use json_patch::{PatchErrorKind, PatchOperation};
use serde_json::Value;

use crate::kinds::Resource;
use crate::objects::{check_depth, fits_depth};
use crate::status::{ApiError, Cause};
use crate::store::MAX_OBJECT_BYTES;

/// Operations in one patch.
const MAX_OPERATIONS: usize = 10_000;
/// Operations times bytes of the object: what one patch may cost the writer.
const MAX_WORK: usize = 1 << 30;
/// How deep a patched object may nest while the patch runs.
const MAX_DEPTH: usize = 112;

/// Reads the operations.
pub(super) fn parse(body: &[u8]) -> Result<Vec<PatchOperation>, ApiError> {
    // Through a value, because its parser bounds the depth of what it reads.
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("cannot read the patch: {error}")))?;
    check_depth(&value)?;
    let operations: Vec<PatchOperation> = serde_json::from_value(value)
        .map_err(|error| ApiError::bad_request(format!("cannot read the patch: {error}")))?;
    if operations.len() > MAX_OPERATIONS {
        let message = format!("a patch must have at most {MAX_OPERATIONS} operations");
        return Err(ApiError::bad_request(message));
    }
    Ok(operations)
}

/// Runs the operations in order.
pub(super) fn apply(
    resource: &Resource,
    name: &str,
    operations: &[PatchOperation],
    object: &mut Value,
) -> Result<(), ApiError> {
    let invalid = |index: usize, why: String| {
        ApiError::invalid(
            resource,
            name,
            &[Cause::value(format!("patch[{index}]"), why)],
        )
    };
    if operations.len().saturating_mul(weight(object)) > MAX_WORK {
        let message = "the patch has too many operations for an object of this size";
        return Err(ApiError::bad_request(message));
    }
    let mut copied = 0;
    for (index, operation) in operations.iter().enumerate() {
        let (path, value) = match operation {
            PatchOperation::Add(add) => (&add.path, Some(&add.value)),
            PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value)),
            PatchOperation::Copy(copy) => (&copy.path, object.pointer(copy.from.as_str())),
            PatchOperation::Move(moved) => (&moved.path, object.pointer(moved.from.as_str())),
            // What is absent counts as null, so that clients can test for absence.
            PatchOperation::Test(test)
                if test.value.is_null() && object.pointer(test.path.as_str()).is_none() =>
            {
                continue;
            }
            PatchOperation::Remove(_) | PatchOperation::Test(_) => {
                run(operation, object).map_err(|why| invalid(index, why))?;
                continue;
            }
        };
        let levels = path.tokens().count();
        let room = MAX_DEPTH.checked_sub(levels);
        if !room.is_some_and(|room| value.is_none_or(|value| fits_depth(value, room))) {
            return Err(invalid(index, "makes the object nest too deep".into()));
        }
        if let (PatchOperation::Copy(_), Some(value)) = (operation, value) {
            copied += weight(value);
            if copied > MAX_OBJECT_BYTES {
                return Err(ApiError::too_large(MAX_OBJECT_BYTES));
            }
        }
        run(operation, object).map_err(|why| invalid(index, why))?;
    }
    Ok(())
}

fn run(operation: &PatchOperation, object: &mut Value) -> Result<(), String> {
    json_patch::patch_unsafe(object, std::slice::from_ref(operation)).map_err(|error| {
        let path = error.path.as_str();
        match error.kind {
            PatchErrorKind::TestFailed => format!("the value at {path:?} is another one"),
            _ => format!("there is no place {path:?} for it in the object"),
        }
    })
}

/// Roughly the bytes that a value takes.
fn weight(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + 8,
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + 8,
        Value::Object(map) => {
            map.iter()
                .map(|(key, item)| key.len() + 8 + weight(item))
                .sum::<usize>()
                + 8
        }
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::kinds::{Kind, Resource};

    fn patched(object: Value, patch: Value) -> Result<Value, u64> {
        let resource = Resource::from(&Kind::namespaced("g.io", "v1", "Thing", "things"));
        let code = |error: crate::status::ApiError| error.status()["code"].as_u64().unwrap();
        let operations = super::parse(patch.to_string().as_bytes()).map_err(code)?;
        let mut object = object;
        super::apply(&resource, "a", &operations, &mut object).map_err(code)?;
        Ok(object)
    }

    #[test]
    fn operations_run_in_order() {
        let patch = json!([
            {"op": "test", "path": "/absent/too", "value": null},
            {"op": "test", "path": "/a/b", "value": 1},
            {"op": "add", "path": "/a/c", "value": [1]},
            {"op": "add", "path": "/a/c/-", "value": 2},
            {"op": "copy", "from": "/a/c", "path": "/d"},
            {"op": "move", "from": "/a/b", "path": "/e~1f"},
            {"op": "remove", "path": "/a/c/0"},
            {"op": "replace", "path": "/d/0", "value": "x"},
        ]);
        let expected = json!({"a": {"c": [2]}, "d": ["x", 2], "e/f": 1});
        assert_eq!(patched(json!({"a": {"b": 1}}), patch), Ok(expected));
    }

    #[test]
    fn hostile_patches_are_refused() {
        let doubling: Vec<Value> = (0..60)
            .map(|i| json!({"op": "copy", "from": "/a", "path": format!("/a/k{i}")}))
            .collect();
        let deepening: Vec<Value> = (0..60)
            .map(|i| json!({"op": "add", "path": "/a".repeat(2 * i + 1), "value": {"a": {}}}))
            .collect();
        let endless: Vec<Value> = (0..10_000)
            .map(|_| json!({"op": "remove", "path": "/big/0"}))
            .collect();
        let table = [
            (json!(endless), 400),
            (json!(doubling), 413),
            (json!(deepening), 422),
            (json!([{"op": "test", "path": "/a", "value": 2}]), 422),
            (json!([{"op": "remove", "path": "/x"}]), 422),
            (json!([{"op": "remove", "path": ""}]), 422),
            (json!([{"op": "add", "path": "/l/01", "value": 2}]), 422),
            (
                json!([{"op": "add", "path": "/l/99999999999999999999", "value": 2}]),
                422,
            ),
            (json!([{"op": "remove", "path": "/l/-"}]), 422),
            (json!([{"op": "move", "from": "", "path": "/a"}]), 422),
            (json!([{"op": "add", "path": "/x/y/z", "value": 2}]), 422),
            (json!([{"op": "move", "from": "/a", "path": "/a/b"}]), 422),
            (
                json!([{"op": "replace", "path": "no-slash", "value": 2}]),
                400,
            ),
            (json!([{"op": "destroy", "path": "/a"}]), 400),
            (json!({"a": 1}), 400),
        ];
        for (patch, code) in table {
            let outcome = patched(
                json!({"a": {"text": "x"}, "l": [1], "big": vec![0; 50_000]}),
                patch.clone(),
            );
            assert_eq!(outcome, Err(code), "{patch}");
        }
    }
}
