//! Brings objects from files into an API: creates, updates, and removes what a file no longer has.
//! It never touches objects that it did not bring.

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiCapabilities, ApiResource, Discovery, Scope};
use kube::{Api, Client, ResourceExt as _};
use serde_json::Value;
use tiphys_core::manifest::Document;

/// Marks objects that come from files, so that those gone from the files can be removed.
pub const APPLIED: &str = "tiphys.dev/applied";

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is new.
    Created,
    /// It has changed.
    Configured,
    /// It is as it was.
    Unchanged,
}

/// One object and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty where the kind has none.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// Why an object could not be brought in.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The API does not know the kind.
    #[error("{api_version} {kind} is not a kind that this API server has")]
    UnknownKind {
        /// As written.
        api_version: String,
        /// As written.
        kind: String,
    },
    /// The API refused it.
    #[error("cannot apply {kind} {name:?}: {reason}")]
    Refused {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// What the API said.
        reason: String,
    },
    /// The API did not answer.
    #[error("cannot apply {kind} {name:?}")]
    Api {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// What the API said.
        #[source]
        source: Box<kube::Error>,
    },
}

impl ApplyError {
    fn new(kind: &str, name: &str, source: kube::Error) -> Self {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        match source {
            // The client's own text of it repeats the whole status.
            kube::Error::Api(status) => Self::Refused {
                kind,
                name,
                reason: status.message.clone(),
            },
            source => Self::Api {
                kind,
                name,
                source: Box::new(source),
            },
        }
    }
}

/// What is brought in earlier than what: nothing may arrive before that which it needs.
#[must_use]
pub fn rank(document: &Document) -> u8 {
    match document.kind() {
        "Namespace" | "CustomResourceDefinition" => 0,
        "EventBus" => 2,
        "WorkflowTemplate" | "ClusterWorkflowTemplate" => 3,
        // Sensors before the sources whose events they must not miss.
        "Sensor" => 4,
        "EventSource" => 5,
        "Workflow" | "CronWorkflow" => 6,
        _ => 1,
    }
}

/// Brings objects into one API.
pub struct Applier {
    client: Client,
    discovery: Discovery,
    default_namespace: String,
}

impl Applier {
    /// Learns the kinds of the API. Objects without a namespace go into `default_namespace`.
    ///
    /// # Errors
    /// When the API does not answer.
    pub async fn connect(client: Client, default_namespace: &str) -> Result<Self, kube::Error> {
        let discovery = Discovery::new(client.clone()).run().await?;
        Ok(Self {
            client,
            discovery,
            default_namespace: default_namespace.to_owned(),
        })
    }

    fn resource(&self, document: &Document) -> Option<(ApiResource, ApiCapabilities)> {
        let (group, version) = document
            .api_version()
            .rsplit_once('/')
            .unwrap_or(("", document.api_version()));
        self.discovery
            .resolve_gvk(&GroupVersionKind::gvk(group, version, document.kind()))
    }

    fn api(
        &self,
        resource: &ApiResource,
        capabilities: &ApiCapabilities,
        namespace: &str,
    ) -> Api<DynamicObject> {
        if capabilities.scope == Scope::Cluster {
            return Api::all_with(self.client.clone(), resource);
        }
        let namespace = if namespace.is_empty() {
            &self.default_namespace
        } else {
            namespace
        };
        Api::namespaced_with(self.client.clone(), namespace, resource)
    }

    /// Creates or updates one object. An object with only `generateName` is created anew.
    ///
    /// # Errors
    /// [`ApplyError`].
    pub async fn apply(&self, document: &Document) -> Result<Applied, ApplyError> {
        let Some((resource, capabilities)) = self.resource(document) else {
            return Err(ApplyError::UnknownKind {
                api_version: document.api_version().to_owned(),
                kind: document.kind().to_owned(),
            });
        };
        let error = |source| ApplyError::new(document.kind(), document.name(), source);
        let api = self.api(&resource, &capabilities, document.namespace());
        let wanted = if document.name().is_empty() {
            document.object.clone()
        } else {
            marked(&document.object)
        };
        let object: DynamicObject = serde_json::from_value(wanted.clone())
            .map_err(|source| error(kube::Error::SerdeError(source)))?;
        let named = |object: &DynamicObject, outcome| Applied {
            kind: document.kind().to_owned(),
            namespace: object.namespace().unwrap_or_default(),
            name: object.name_any(),
            outcome,
        };
        if document.name().is_empty() {
            let created = api
                .create(&PostParams::default(), &object)
                .await
                .map_err(error)?;
            return Ok(named(&created, Outcome::Created));
        }
        let Some(existing) = api.get_opt(document.name()).await.map_err(error)? else {
            let created = api
                .create(&PostParams::default(), &object)
                .await
                .map_err(error)?;
            return Ok(named(&created, Outcome::Created));
        };
        let current = serde_json::to_value(&existing)
            .map_err(|source| error(kube::Error::SerdeError(source)))?;
        let patch = difference(&current, &wanted);
        if patch.as_object().is_none_or(serde_json::Map::is_empty) {
            return Ok(named(&existing, Outcome::Unchanged));
        }
        let patched = api
            .patch(
                document.name(),
                &PatchParams::default(),
                &Patch::Merge(&patch),
            )
            .await;
        Ok(named(&patched.map_err(error)?, Outcome::Configured))
    }

    /// Removes objects that came from files and are not among `keep` (kind, namespace, name).
    ///
    /// # Errors
    /// The first object that could not be listed or removed.
    pub async fn prune(&self, keep: &[Applied]) -> Result<Vec<Applied>, ApplyError> {
        let mut removed = Vec::new();
        let mine = ListParams::default().labels(&format!("{APPLIED}=file"));
        for group in self.discovery.groups() {
            for (resource, capabilities) in group.recommended_resources() {
                if !capabilities.supports_operation("list") {
                    continue;
                }
                let all = Api::<DynamicObject>::all_with(self.client.clone(), &resource);
                let found = all
                    .list(&mine)
                    .await
                    .map_err(|source| ApplyError::new(&resource.kind, "", source))?;
                for object in found {
                    let (namespace, name) =
                        (object.namespace().unwrap_or_default(), object.name_any());
                    let kept = keep.iter().any(|kept| {
                        kept.kind == resource.kind
                            && kept.name == name
                            && kept.namespace == namespace
                    });
                    if kept {
                        continue;
                    }
                    let api = self.api(&resource, &capabilities, &namespace);
                    api.delete(&name, &DeleteParams::background())
                        .await
                        .map_err(|source| ApplyError::new(&resource.kind, &name, source))?;
                    removed.push(Applied {
                        kind: resource.kind.clone(),
                        namespace,
                        name,
                        outcome: Outcome::Configured,
                    });
                }
            }
        }
        Ok(removed)
    }
}

/// The object with our mark, and without what belongs to the server.
fn marked(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
        let metadata = map
            .entry("metadata")
            .or_insert_with(|| Value::Object(serde_json::Map::new()));
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("resourceVersion");
            metadata.remove("uid");
            let labels = metadata
                .entry("labels")
                .or_insert_with(|| Value::Object(serde_json::Map::new()));
            if let Some(labels) = labels.as_object_mut() {
                labels.insert(APPLIED.to_owned(), "file".into());
            }
        }
    }
    object
}

/// A merge patch that makes `current` have what `wanted` has. Top-level members and metadata that only the server
/// has are left; inside the rest, what `wanted` does not have goes.
fn difference(current: &Value, wanted: &Value) -> Value {
    let mut patch = serde_json::Map::new();
    let none = serde_json::Map::new();
    for (key, value) in wanted.as_object().unwrap_or(&none) {
        let now = current.get(key);
        if key == "metadata" {
            let metadata = additions(now.unwrap_or(&Value::Null), value);
            if metadata
                .as_object()
                .is_some_and(|metadata| !metadata.is_empty())
            {
                patch.insert(key.clone(), metadata);
            }
        } else if now != Some(value) {
            patch.insert(key.clone(), replacement(now.unwrap_or(&Value::Null), value));
        }
    }
    Value::Object(patch)
}

/// What must be merged in so that everything of `wanted` is there.
fn additions(current: &Value, wanted: &Value) -> Value {
    let mut patch = serde_json::Map::new();
    let none = serde_json::Map::new();
    for (key, value) in wanted.as_object().unwrap_or(&none) {
        let now = current.get(key).unwrap_or(&Value::Null);
        if now == value {
            continue;
        }
        let deeper = if value.is_object() {
            additions(now, value)
        } else {
            value.clone()
        };
        if deeper.as_object().is_none_or(|map| !map.is_empty()) {
            patch.insert(key.clone(), deeper);
        }
    }
    Value::Object(patch)
}

/// A merge patch from `current` to exactly `wanted`.
fn replacement(current: &Value, wanted: &Value) -> Value {
    let (Some(now), Some(then)) = (current.as_object(), wanted.as_object()) else {
        return wanted.clone();
    };
    let mut patch = serde_json::Map::new();
    for key in now.keys().filter(|key| !then.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    for (key, value) in then {
        match now.get(key) {
            Some(same) if same == value => {}
            Some(other) => drop(patch.insert(key.clone(), replacement(other, value))),
            None => drop(patch.insert(key.clone(), value.clone())),
        }
    }
    Value::Object(patch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_sent() {
        let current = json!({"kind": "A", "metadata": {"name": "x", "uid": "1", "labels": {"a": "1"}}, "spec": {"a": {"b": 1, "c": 2}, "d": 3}, "status": {}});
        let wanted = json!({"kind": "A", "metadata": {"name": "x", "labels": {"a": "1", "b": "2"}}, "spec": {"a": {"b": 1}, "d": [1]}});
        assert_eq!(
            difference(&current, &wanted),
            json!({"metadata": {"labels": {"b": "2"}}, "spec": {"a": {"c": null}, "d": [1]}})
        );
        assert_eq!(
            difference(&current, &json!({"kind": "A", "spec": current["spec"]})),
            json!({})
        );
    }
}
