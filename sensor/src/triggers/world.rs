//! What effects need of the outside: the Kubernetes API, secrets, HTTP clients. It decides nothing about firing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use serde::Deserialize;
use tiphys_core::Secrets;
use tiphys_workflow::operations::Actor;
use tokio::sync::OnceCell;

use super::FireError;
use super::api::At;
use super::http_client::Clients;
use crate::artifacts::Artifacts;

/// The outside of one sensor.
pub(crate) struct World {
    pub(crate) client: kube::Client,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) http: Clients,
    pub(crate) artifacts: Artifacts,
    places: Mutex<HashMap<Kind, Arc<Place>>>,
    logged: Mutex<HashMap<String, Instant>>,
    actor: OnceCell<Actor>,
}

/// A kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) api_version: String,
    pub(crate) kind: String,
}

/// Where objects of a kind are in the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) namespaced: bool,
}

/// Kinds whose place is known without asking, so that the first firing needs no discovery.
const KNOWN: [(&str, &str, &str); 20] = [
    ("argoproj.io/v1alpha1", "Workflow", "workflows"),
    (
        "argoproj.io/v1alpha1",
        "WorkflowTemplate",
        "workflowtemplates",
    ),
    ("argoproj.io/v1alpha1", "CronWorkflow", "cronworkflows"),
    ("argoproj.io/v1alpha1", "EventSource", "eventsources"),
    ("argoproj.io/v1alpha1", "Sensor", "sensors"),
    ("argoproj.io/v1alpha1", "EventBus", "eventbus"),
    ("v1", "Pod", "pods"),
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Secret", "secrets"),
    ("v1", "Service", "services"),
    ("v1", "ServiceAccount", "serviceaccounts"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
    ("v1", "Event", "events"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("apps/v1", "DaemonSet", "daemonsets"),
    ("apps/v1", "ReplicaSet", "replicasets"),
    ("batch/v1", "Job", "jobs"),
    ("batch/v1", "CronJob", "cronjobs"),
    ("networking.k8s.io/v1", "Ingress", "ingresses"),
];

#[derive(Deserialize, Default)]
#[serde(default)]
struct Live {
    metadata: LiveMetadata,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LiveMetadata {
    annotations: HashMap<String, String>,
    labels: HashMap<String, String>,
}

impl World {
    /// With what reads sources.
    pub(crate) fn new(
        client: kube::Client,
        secrets: Arc<dyn Secrets>,
        artifacts: Artifacts,
    ) -> Self {
        Self {
            client,
            secrets,
            http: Clients::default(),
            artifacts,
            places: Mutex::default(),
            logged: Mutex::default(),
            actor: OnceCell::new(),
        }
    }

    /// Who this sensor is to the API; asked for once.
    pub(crate) async fn actor(&self) -> Actor {
        let ask = || async { Actor::of(&self.client).await.ok_or(()) };
        let asked = self.actor.get_or_try_init(ask).await;
        asked.map_or_else(|()| Actor::default(), Clone::clone)
    }

    /// Where objects of a kind are; asked for once.
    pub(crate) async fn place(&self, kind: &Kind) -> Result<Arc<Place>, FireError> {
        if let Some(place) = self.known_places().get(kind) {
            return Ok(Arc::clone(place));
        }
        let known = KNOWN
            .iter()
            .find(|(version, name, _)| *version == kind.api_version && *name == kind.kind);
        let place = match known {
            Some((_, _, plural)) => kind.at(plural, true),
            None => self.discover(kind).await?,
        };
        let place = Arc::new(place);
        self.known_places().insert(kind.clone(), Arc::clone(&place));
        Ok(place)
    }

    /// Asks again for a place that turned out wrong: its definition has come, gone or changed. `None` where asking
    /// says the same, or the kind is known without asking.
    pub(crate) async fn place_again(
        &self,
        kind: &Kind,
        wrong: &Place,
    ) -> Result<Option<Arc<Place>>, FireError> {
        self.known_places().remove(kind);
        let place = self.place(kind).await?;
        Ok((*place != *wrong).then_some(place))
    }

    fn known_places(&self) -> MutexGuard<'_, HashMap<Kind, Arc<Place>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn discover(&self, kind: &Kind) -> Result<Place, FireError> {
        let (group, version) = kind
            .api_version
            .split_once('/')
            .unwrap_or(("", &kind.api_version));
        let gvk = GroupVersionKind::gvk(group, version, &kind.kind);
        let what = || {
            format!(
                "the cluster serves no kind {} of {}; install its CustomResourceDefinition, or mend apiVersion and kind",
                kind.kind, kind.api_version
            )
        };
        match pinned_kind(&self.client, &gvk).await {
            Ok((resource, capabilities)) => {
                let namespaced = matches!(capabilities.scope, Scope::Namespaced);
                Ok(kind.at(&resource.plural, namespaced))
            }
            Err(kube::Error::Discovery(_)) => Err(FireError::permanent(what())),
            Err(source) => {
                let unknown = matches!(&source, kube::Error::Api(status) if status.code == 404);
                Err(if unknown {
                    FireError::permanent(what())
                } else {
                    let (kind, version) = (&kind.kind, &kind.api_version);
                    let what = format!("cannot ask the cluster for kind {kind} of {version}");
                    Self::failed(what, source)
                })
            }
        }
    }

    /// The annotations and labels of an object that exists.
    async fn live(&self, at: At<'_>) -> Result<LiveMetadata, FireError> {
        let object = self.get(at).await?;
        let live: Live = serde_json::from_slice(&object)
            .map_err(|error| FireError::permanent_from("cannot read the live object", error))?;
        Ok(live.metadata)
    }

    /// One annotation of an object that exists.
    pub(crate) async fn annotation(
        &self,
        at: At<'_>,
        key: &str,
    ) -> Result<Option<String>, FireError> {
        let live = self.live(at).await?;
        Ok(live.annotations.get(key).cloned())
    }

    /// The labels of an object that exists.
    pub(crate) async fn labels(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<HashMap<String, String>, FireError> {
        let place = self.place(kind).await?;
        let at = At {
            place: &place,
            namespace,
            name,
        };
        Ok(self.live(at).await?.labels)
    }

    /// Whether a log trigger with an interval may write now; if so, the interval starts anew.
    pub(crate) fn may_log(&self, trigger: &str, interval: Duration) -> bool {
        let now = Instant::now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged
            .get(trigger)
            .is_some_and(|last| now.duration_since(*last) < interval)
        {
            return false;
        }
        logged.insert(trigger.to_owned(), now);
        true
    }
}

impl Kind {
    fn at(&self, plural: &str, namespaced: bool) -> Place {
        Place {
            api_version: self.api_version.clone(),
            kind: self.kind.clone(),
            plural: plural.to_owned(),
            namespaced,
        }
    }
}

impl Place {
    /// The path of all objects of the kind there.
    pub(crate) fn path(&self, namespace: &str) -> String {
        let root = if self.api_version.contains('/') {
            "apis"
        } else {
            "api"
        };
        let (version, plural) = (&self.api_version, &self.plural);
        if self.namespaced {
            format!("/{root}/{version}/namespaces/{namespace}/{plural}")
        } else {
            format!("/{root}/{version}/{plural}")
        }
    }
}
