//! For the tests of triggers that act on objects: one trigger on the built-in API, which fires for one event.
//! It has no sensor around it: no retries, no record.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tiphys_cluster::{Cluster, kinds};

use super::{BuildContext, Effect, FireError, Fired, Firing, FiringId, World};
use crate::artifacts::{Artifacts, PrivateAddresses};
use crate::document::Events;
use crate::parameters::Notes;
use crate::spec::{ArtifactSpec, TemplateEngine, TriggerTemplateSpec};
use crate::testing::{NoSecrets, events};

/// The API in memory, and the event of dependency `d` that fires.
pub(super) struct Scene {
    world: World,
    pub(super) client: Client,
    events: Events,
    _cluster: Cluster,
}

impl Scene {
    pub(super) fn new() -> Self {
        let cluster = Cluster::in_memory(&[kinds::CORE, kinds::ARGO].concat()).unwrap();
        let client = cluster.client("ns");
        let private = PrivateAddresses::new(&BTreeMap::new()).unwrap();
        let artifacts = Artifacts::new(private, Arc::default());
        Self {
            world: World::new(client.clone(), Arc::new(NoSecrets), artifacts),
            client,
            events: events(&[("d", r#"{"n":9007199254740993,"who":"ann"}"#)]),
            _cluster: cluster,
        }
    }

    /// What a trigger of a kind is about to do, where its spec was written with these `args`.
    pub(super) fn effect(
        &self,
        kind: &str,
        spec: &Value,
        args: &[String],
    ) -> Result<Box<dyn Effect>, FireError> {
        let written: Option<ArtifactSpec> = serde_json::from_value(spec["source"].clone()).unwrap();
        let spec: TriggerTemplateSpec =
            serde_json::from_value(json!({"name": "t", kind: spec})).unwrap();
        let cx = BuildContext {
            engine: TemplateEngine::Go,
            policy: None,
            written: written.as_ref(),
            args,
        };
        let id = FiringId::new("ns", "s", "t", &self.events);
        let firing = Firing {
            namespace: "ns",
            sensor: "s",
            trigger: "t",
            events: &self.events,
            id: &id,
            at: Timestamp::UNIX_EPOCH,
            notes: &Notes::OFF,
        };
        spec.build(&cx)?.plan(&firing, None)
    }

    /// Fires a trigger of a kind once.
    pub(super) async fn fire(&self, kind: &str, spec: &Value) -> Result<Fired, FireError> {
        let args: Vec<String> = serde_json::from_value(spec["args"].clone()).unwrap_or_default();
        self.effect(kind, spec, &args)?.perform(&self.world).await
    }
}
