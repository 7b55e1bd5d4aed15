//! Brings one object into the API as it must be, and takes one out. What must be is decided elsewhere.
//!
//! Server-side apply with one field manager: what others add stays theirs, what they change of ours is changed back.

use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions};
use kube::{Api, Client};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tiphys_core::tasks::chain;

use super::child::{self, Child, ChildKey, Settled};
use super::known::Known;
use super::wanted::{Made, Wanted};
use super::workload::controller_label;

/// The name under which the API server keeps our fields.
pub(crate) const MANAGER: &str = "tiphys";

/// A hash of what is wanted, on what is made.
const HASH_ANNOTATION: &str = "resource-spec-hash";

/// Why an object is not as it must be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    /// Somebody else's object has the name.
    #[error("{kind} {name:?} exists and {whose}; rename or delete one of the two")]
    Taken {
        kind: &'static str,
        name: String,
        whose: String,
    },
    /// The API server did not take it.
    #[error("cannot apply {kind} {name:?}")]
    Api {
        kind: &'static str,
        name: String,
        #[source]
        source: kube::Error,
    },
}

/// What an apply has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// It was not there.
    Created,
    /// It was different.
    Changed,
    /// It was as it must be.
    Same,
}

/// An object that is as it must be.
pub(crate) struct Applied {
    pub(crate) child: Child,
    pub(crate) settled: Settled,
    pub(crate) done: Done,
}

/// Where an object is.
pub(crate) fn api(client: &Client, made: Made, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client.clone(), namespace, &made.resource())
}

/// Brings an object into the API; none where nothing has changed since the last time.
pub(crate) async fn apply(
    client: &Client,
    owner: &Known,
    wanted: &Wanted,
    before: Option<&(Child, Option<Settled>)>,
) -> Result<Option<Applied>, ApplyError> {
    let object = complete(owner, wanted);
    let hash = child::hash(&object.to_string());
    if let Some((child, Some(settled))) = before
        && settled.wanted == hash
        && settled.fingerprint == child.fingerprint
    {
        return Ok(None);
    }
    let kind = wanted.made.as_str();
    let name = text(&object, "/metadata/name");
    let api = api(client, wanted.made, &owner.key.namespace);
    let refused = |source| ApplyError::Api {
        kind,
        name: name.clone(),
        source,
    };
    if before.is_none() {
        let found = api.get_metadata_opt(&name).await.map_err(refused)?;
        if let Some(found) = found {
            let found = DynamicObject {
                types: None,
                metadata: found.metadata,
                data: Value::Null,
            };
            claim(&api, owner, &found, kind).await?;
        }
    }
    let response = send(&api, wanted.made, &name, &object)
        .await
        .map_err(refused)?;
    let Some(child) = Child::read(wanted.made, &response) else {
        // It answers with what it was given, so this does not happen; the watch will tell more.
        return Ok(None);
    };
    let done = match before {
        None => Done::Created,
        Some((before, _)) if before.version != child.version => Done::Changed,
        Some(_) => Done::Same,
    };
    Ok(Some(Applied {
        settled: Settled {
            wanted: hash,
            fingerprint: child.fingerprint,
        },
        child,
        done,
    }))
}

/// Whether an object that is there already may become ours. What an earlier object of the same name has left is removed.
async fn claim(
    api: &Api<DynamicObject>,
    owner: &Known,
    found: &DynamicObject,
    kind: &'static str,
) -> Result<(), ApplyError> {
    let name = found.metadata.name.clone().unwrap_or_default();
    let taken = |whose: String| ApplyError::Taken {
        kind,
        name: name.clone(),
        whose,
    };
    if let Some(other) = child::owner(found) {
        if other.uid == owner.uid {
            return Ok(());
        }
        if other.kind != owner.key.kind || other.name != owner.key.name {
            return Err(taken(format!(
                "belongs to {} {:?}",
                other.kind.as_str(),
                other.name
            )));
        }
        let gone = delete(api, &name, found.metadata.uid.as_deref()).await;
        return gone.map_err(|source| ApplyError::Api {
            kind,
            name: name.clone(),
            source,
        });
    }
    let owners = found.metadata.owner_references.as_deref();
    if let Some(other) = owners
        .unwrap_or_default()
        .iter()
        .find(|owner| owner.controller == Some(true))
    {
        return Err(taken(format!("belongs to {} {:?}", other.kind, other.name)));
    }
    // A backup that was restored has our labels and no owner.
    let labels = found.metadata.labels.as_ref();
    let label = |key: &str| {
        labels
            .and_then(|labels| labels.get(key))
            .map(String::as_str)
    };
    let ours = label("controller") == Some(controller_label(owner.key.kind))
        && label("owner-name") == Some(owner.key.name.as_str());
    if ours {
        return Ok(());
    }
    Err(taken("was not made by this controller".to_owned()))
}

async fn send(
    api: &Api<DynamicObject>,
    made: Made,
    name: &str,
    object: &Value,
) -> Result<DynamicObject, kube::Error> {
    let params = PatchParams::apply(MANAGER).force();
    let first = api.patch(name, &params, &Patch::Apply(object)).await;
    let status = match &first {
        Ok(service) if made == Made::Service && lacks_address(object, service) => {
            // One that was made without an address never gets one.
            delete(api, name, None).await?;
            return api.patch(name, &params, &Patch::Apply(object)).await;
        }
        Err(kube::Error::Api(status)) => status,
        _ => return first,
    };
    let says = |word: &str| status.code == 422 && status.message.contains(word);
    if made == Made::Service && says("clusterIP") {
        // Its address can only be chosen when it is made.
        delete(api, name, None).await?;
        return api.patch(name, &params, &Patch::Apply(object)).await;
    }
    if made == Made::Deployment && says("rollingUpdate") {
        // Another manager has written out the default of the other way to roll, which must go first.
        let strategy =
            json!({ "spec": { "strategy": { "type": "Recreate", "rollingUpdate": null } } });
        api.patch(name, &PatchParams::default(), &Patch::Merge(strategy))
            .await?;
        return api.patch(name, &params, &Patch::Apply(object)).await;
    }
    first
}

/// Whether a Service has no address although it is not wanted without one.
fn lacks_address(wanted: &Value, service: &DynamicObject) -> bool {
    let headless = |object: &Value| text(object, "/spec/clusterIP") == "None";
    !headless(wanted) && headless(&service.data)
}

/// Removes an object; absent is fine, and so is another one of its name.
pub(crate) async fn delete(
    api: &Api<DynamicObject>,
    name: &str,
    uid: Option<&str>,
) -> Result<(), kube::Error> {
    let params = DeleteParams {
        preconditions: uid.map(|uid| Preconditions {
            uid: Some(uid.to_owned()),
            resource_version: None,
        }),
        ..DeleteParams::background()
    };
    match api.delete(name, &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The object with what every one of ours has.
fn complete(owner: &Known, wanted: &Wanted) -> Value {
    let resource = wanted.made.resource();
    let mut object = wanted.object.clone();
    let content = [object.get("spec"), object.get("data")];
    let hash = hex(&Sha256::digest(json!(content).to_string().as_bytes()));
    if let Some(members) = object.as_object_mut() {
        members.insert("apiVersion".to_owned(), json!(resource.api_version));
        members.insert("kind".to_owned(), json!(resource.kind));
        let metadata = members.entry("metadata").or_insert_with(|| json!({}));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.insert("namespace".to_owned(), json!(owner.key.namespace));
            metadata.insert(
                "ownerReferences".to_owned(),
                json!([{
                    "apiVersion": crate::check::API_VERSION,
                    "kind": owner.key.kind.as_str(),
                    "name": owner.key.name,
                    "uid": owner.uid,
                    "controller": true,
                    "blockOwnerDeletion": true,
                }]),
            );
            // What a Secret holds must not be guessed from a hash.
            if wanted.made != Made::Secret {
                let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
                if let Some(annotations) = annotations.as_object_mut() {
                    annotations.insert(HASH_ANNOTATION.to_owned(), json!(hash));
                }
            }
        }
    }
    object
}

/// Bytes as small hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn text(object: &Value, path: &str) -> String {
    let text = object.pointer(path).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

/// The key of an object that is wanted.
pub(crate) fn key(namespace: &str, wanted: &Wanted) -> ChildKey {
    ChildKey {
        made: wanted.made,
        namespace: namespace.to_owned(),
        name: text(&wanted.object, "/metadata/name"),
    }
}

/// An error with its causes, short enough for a condition.
pub(crate) fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    const LONGEST: usize = 2000;
    let text = chain(error);
    if text.len() <= LONGEST {
        return text;
    }
    let mut short: String = text.chars().take(LONGEST / 4).collect();
    short.push('…');
    short
}
