//! Lists: a snapshot of the objects of a kind, in pages if asked for.
//!
//! Objects are not copied: the body is streamed out of what is in memory.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::request::{Params, Target};
use crate::selector::Selector;
use crate::status::{ApiError, json_response};
use crate::store::{Key, Store, Stored};

/// Bytes of objects joined into one frame of the body.
const FRAME: usize = 64 << 10;

/// Where the next page starts.
#[derive(Serialize, Deserialize)]
struct Token {
    version: u64,
    namespace: String,
    name: String,
}

/// Answers a list.
pub(crate) fn list(
    store: &Store,
    target: &Target,
    selector: &Selector,
    params: &Params,
) -> Result<Response, ApiError> {
    let limit = params.number("limit")?.filter(|&limit| limit > 0);
    let limit = limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    });
    let token = params.text("continue").map(read_token).transpose()?;
    let table = &*target.resource.table;
    let namespace = target.namespace.as_deref();

    let state = store.read();
    let exactly = params.text("resourceVersionMatch") == Some("Exact");
    if exactly && params.number("resourceVersion")? != Some(state.version) {
        // Only the present is kept whole.
        return Err(ApiError::expired(
            "that version of the list is no longer kept",
        ));
    }
    let (version, after) = match token {
        None => (state.version, None),
        Some(token) => {
            if token.version < state.floor(table) || token.version > state.version {
                let message = "the continue token is too old; start the list again";
                return Err(ApiError::expired(message));
            }
            // The first page's version: a watch from there sees all that changed since.
            (token.version, Some(Key::new(token.namespace, token.name)))
        }
    };
    let mut objects = Vec::new();
    let mut last = None;
    let mut more = false;
    let exact = selector.fields.iter().find_map(|rule| rule.name());
    match (
        exact,
        namespace.or((!target.resource.namespaced).then_some("")),
    ) {
        // A single name is looked up rather than searched for.
        (Some(name), Some(namespace)) if after.is_none() => {
            let key = Key::new(namespace, name);
            let found = state
                .get(table, &key)
                .filter(|object| selector.matches(&key, object));
            objects.extend(found.map(Arc::clone));
        }
        _ => {
            for (key, object) in state.list(table, namespace, after.as_ref()) {
                if !selector.is_empty() && !selector.matches(key, object) {
                    continue;
                }
                if objects.len() == limit {
                    more = true;
                    break;
                }
                objects.push(Arc::clone(object));
                last = Some(key.clone());
            }
        }
    }
    drop(state);

    let mut meta = json!({"resourceVersion": version.to_string()});
    if let (true, Some(Key { namespace, name }), Value::Object(meta)) = (more, last, &mut meta) {
        let token = serde_json::to_vec(&Token {
            version,
            namespace,
            name,
        })
        .map_err(|error| ApiError::internal(format!("cannot write the token: {error}")))?;
        meta.insert("continue".into(), URL_SAFE_NO_PAD.encode(token).into());
    }
    let kind = format!("{}List", target.resource.kind);
    let head = json!({"kind": kind, "apiVersion": target.resource.api_version(), "metadata": meta});
    Ok(json_response(StatusCode::OK, body(&head, objects)))
}

fn read_token(text: &str) -> Result<Token, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    bytes
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| ApiError::bad_request("the continue token is not one of this server"))
}

fn body(head: &Value, objects: Vec<Arc<Stored>>) -> Body {
    let mut start = BytesMut::from(head.to_string().trim_end_matches('}').as_bytes());
    // The trimmed braces are those of `metadata` and of the list itself.
    start.put_slice(b"},\"items\":[");
    let items = objects.into_iter().enumerate();
    let parts = stream::unfold(
        (start, items, false),
        |(mut frame, mut items, done)| async move {
            if done {
                return None;
            }
            while frame.len() < FRAME {
                let Some((index, object)) = items.next() else {
                    frame.put_slice(b"]}\n");
                    return Some((frame.freeze(), (BytesMut::new(), items, true)));
                };
                if index > 0 {
                    frame.put_u8(b',');
                }
                frame.put_slice(&object.bytes);
            }
            Some((frame.freeze(), (BytesMut::new(), items, false)))
        },
    );
    Body::from_stream(futures::StreamExt::map(parts, Ok::<Bytes, Infallible>))
}
