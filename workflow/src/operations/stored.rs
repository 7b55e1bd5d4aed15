//! How a Workflow's nodes are stored, and the smallest patch between two states of an object. Pure.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::OperationError;

/// An object beyond this many bytes of JSON keeps its nodes compressed, as Argo does.
const COMPRESS_BEYOND: usize = 1024 * 1024;

/// The most that compressed nodes may grow to.
const MAX_NODES: u64 = 64 * 1024 * 1024;

/// Puts compressed nodes in their plain place.
///
/// # Errors
/// When they are broken, too large, or kept outside of the object.
pub(super) fn expand(workflow: &mut Value) -> Result<(), OperationError> {
    let Some(status) = workflow.get_mut("status").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let offloaded = status
        .get("offloadNodeStatusVersion")
        .and_then(Value::as_str);
    if offloaded.is_some_and(|version| !version.is_empty()) {
        return Err(OperationError::refused(
            "offload node status is not supported: the nodes of this workflow are in the database of the Argo Server, so ask that one",
        ));
    }
    let Some(Value::String(text)) = status.get("compressedNodes") else {
        return Ok(());
    };
    if !text.is_empty() {
        let nodes = inflate(text)?;
        status.insert("nodes".to_owned(), nodes);
    }
    status.remove("compressedNodes");
    Ok(())
}

fn inflate(text: &str) -> Result<Value, OperationError> {
    let broken = |why: &dyn std::fmt::Display| {
        OperationError::refused(format!("cannot read status.compressedNodes: {why}"))
    };
    let bytes = STANDARD.decode(text).map_err(|error| broken(&error))?;
    let mut json = Vec::new();
    let mut reader = flate2::read::GzDecoder::new(bytes.as_slice()).take(MAX_NODES + 1);
    reader
        .read_to_end(&mut json)
        .map_err(|error| broken(&error))?;
    if u64::try_from(json.len()).is_ok_and(|len| len > MAX_NODES) {
        return Err(broken(&"they are larger than 64 MiB"));
    }
    serde_json::from_slice(&json).map_err(|error| broken(&error))
}

/// Compresses the nodes of an object that has become too large.
///
/// # Errors
/// When the nodes cannot be written.
pub(super) fn compress(workflow: &mut Value) -> Result<(), OperationError> {
    let size = serde_json::to_vec(workflow).map_or(0, |bytes| bytes.len());
    if size <= COMPRESS_BEYOND {
        return Ok(());
    }
    let Some(status) = workflow.get_mut("status").and_then(Value::as_object_mut) else {
        return Ok(());
    };
    let Some(nodes) = status.remove("nodes") else {
        return Ok(());
    };
    let broken = |error: std::io::Error| {
        OperationError::refused(format!("cannot compress the nodes: {error}"))
    };
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer
        .write_all(nodes.to_string().as_bytes())
        .map_err(broken)?;
    let bytes = writer.finish().map_err(broken)?;
    status.insert("compressedNodes".to_owned(), STANDARD.encode(bytes).into());
    Ok(())
}

/// The merge patch that makes `after` of `before`; nothing where they are alike. What does not change is not in it,
/// so that no number is written anew.
pub(crate) fn difference(before: &Value, after: &Value) -> Option<Value> {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let mut patch = Map::new();
            for (key, new) in after {
                let change = match before.get(key) {
                    Some(old) => difference(old, new),
                    None if new.is_null() => None,
                    None => Some(new.clone()),
                };
                patch.extend(change.map(|change| (key.clone(), change)));
            }
            for (key, old) in before {
                if !after.contains_key(key) && !old.is_null() {
                    patch.insert(key.clone(), Value::Null);
                }
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (before, after) if before == after => None,
        (_, after) => Some(after.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_patch_holds_what_changes_and_nothing_else() {
        for (before, after, patch) in [
            (json!({"a": 1}), json!({"a": 1}), None),
            (
                json!({"a": 1, "b": {"c": 1, "d": 2}}),
                json!({"a": 1, "b": {"c": 3}}),
                Some(json!({"b": {"c": 3, "d": null}})),
            ),
            (json!({"a": null}), json!({}), None),
            (
                json!({}),
                json!({"a": null, "b": [1]}),
                Some(json!({"b": [1]})),
            ),
            (
                json!({"a": [1, 2]}),
                json!({"a": [1]}),
                Some(json!({"a": [1]})),
            ),
        ] {
            assert_eq!(difference(&before, &after), patch);
        }
    }

    #[test]
    fn compressed_nodes_are_read_and_written_as_argo_does() {
        let node = |message: &str| json!({"id": "wf", "message": message});
        let mut large = json!({"status": {"nodes": {"wf": node(&"x".repeat(COMPRESS_BEYOND))}}});
        let plain = large.clone();
        compress(&mut large).unwrap();
        assert!(large.pointer("/status/nodes").is_none());
        expand(&mut large).unwrap();
        assert_eq!(large, plain);
        let mut small = json!({"status": {"nodes": {"wf": node("x")}}});
        compress(&mut small).unwrap();
        assert!(small.pointer("/status/nodes").is_some());
    }

    #[test]
    fn broken_and_offloaded_nodes_are_refused() {
        for (status, part) in [
            (
                json!({"compressedNodes": "%"}),
                "cannot read status.compressedNodes",
            ),
            (
                json!({"compressedNodes": "aGVsbG8="}),
                "cannot read status.compressedNodes",
            ),
            (
                json!({"offloadNodeStatusVersion": "fnv:1"}),
                "offload node status is not supported",
            ),
        ] {
            let error = expand(&mut json!({"status": status})).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
