//! What effects need of the outside: the Kubernetes API, secrets, HTTP clients. It decides nothing about firing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kube::core::{GroupVersionKind, Request};
use kube::discovery::{Scope, pinned_kind};
use serde::Deserialize;
use tiphys_core::Secrets;

use super::FireError;
use super::http_client::Clients;

/// The outside of one sensor.
pub(crate) struct World {
    pub(crate) client: kube::Client,
    pub(crate) secrets: Arc<dyn Secrets>,
    pub(crate) http: Clients,
    places: Mutex<HashMap<Kind, Arc<Place>>>,
    logged: Mutex<HashMap<String, Instant>>,
}

/// A kind of object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) api_version: String,
    pub(crate) kind: String,
}

/// Where objects of a kind are in the API.
#[derive(Debug)]
pub(crate) struct Place {
    prefix: String,
    plural: String,
    pub(crate) namespaced: bool,
}

/// Why an object was not created.
pub(crate) enum CreateError {
    /// There is one of that name.
    Exists(kube::Error),
    /// Anything else.
    Failed(kube::Error),
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
    pub(crate) fn new(client: kube::Client, secrets: Arc<dyn Secrets>) -> Self {
        Self {
            client,
            secrets,
            http: Clients::default(),
            places: Mutex::default(),
            logged: Mutex::default(),
        }
    }

    /// Where objects of a kind are; asked for once.
    pub(crate) async fn place(&self, kind: &Kind) -> Result<Arc<Place>, FireError> {
        if let Some(place) = self
            .places
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(kind)
        {
            return Ok(Arc::clone(place));
        }
        let known = KNOWN
            .iter()
            .find(|(version, name, _)| *version == kind.api_version && *name == kind.kind);
        let place = match known {
            Some((_, _, plural)) => Place {
                prefix: prefix(&kind.api_version),
                plural: (*plural).to_owned(),
                namespaced: true,
            },
            None => self.discover(kind).await?,
        };
        let place = Arc::new(place);
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(kind.clone(), Arc::clone(&place));
        Ok(place)
    }

    async fn discover(&self, kind: &Kind) -> Result<Place, FireError> {
        let (group, version) = kind
            .api_version
            .split_once('/')
            .unwrap_or(("", &kind.api_version));
        let gvk = GroupVersionKind::gvk(group, version, &kind.kind);
        let what = || {
            format!(
                "cannot find kind {} of {} in the cluster",
                kind.kind, kind.api_version
            )
        };
        match pinned_kind(&self.client, &gvk).await {
            Ok((resource, capabilities)) => Ok(Place {
                prefix: prefix(&kind.api_version),
                plural: resource.plural,
                namespaced: matches!(capabilities.scope, Scope::Namespaced),
            }),
            Err(source) => Err(Self::failed(what(), source)),
        }
    }

    /// Posts an object.
    pub(crate) async fn create(
        &self,
        place: &Place,
        namespace: &str,
        object: Vec<u8>,
    ) -> Result<(), CreateError> {
        let request = Request::new(place.path(namespace))
            .create(&kube::api::PostParams::default(), object)
            .map_err(|error| CreateError::Failed(kube::Error::BuildRequest(error)))?;
        match self.client.request_text(request).await {
            Ok(_) => Ok(()),
            Err(error) => match &error {
                kube::Error::Api(status)
                    if status.code == 409 && status.reason == "AlreadyExists" =>
                {
                    Err(CreateError::Exists(error))
                }
                _ => Err(CreateError::Failed(error)),
            },
        }
    }

    async fn live(&self, place: &Place, namespace: &str, name: &str) -> Result<Live, FireError> {
        let what = || format!("cannot read {} {namespace}/{name}", place.plural);
        let request = Request::new(place.path(namespace))
            .get(name, &kube::api::GetParams::default())
            .map_err(|error| FireError::permanent_from(what(), error))?;
        self.client
            .request::<Live>(request)
            .await
            .map_err(|error| Self::failed(what(), error))
    }

    /// One annotation of an object that exists.
    pub(crate) async fn annotation(
        &self,
        place: &Place,
        namespace: &str,
        name: &str,
        key: &str,
    ) -> Result<Option<String>, FireError> {
        let live = self.live(place, namespace, name).await?;
        Ok(live.metadata.annotations.get(key).cloned())
    }

    /// The labels of an object that exists.
    pub(crate) async fn labels(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<HashMap<String, String>, FireError> {
        let place = self.place(kind).await?;
        Ok(self.live(&place, namespace, name).await?.metadata.labels)
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

    /// Sorts an API error by what can be done: an API server that is away, busy or failing is tried again.
    pub(crate) fn failed(what: String, source: kube::Error) -> FireError {
        let permanent = match &source {
            kube::Error::Api(status) => {
                (400..500).contains(&status.code) && status.code != 429 && status.code != 408
            }
            kube::Error::BuildRequest(_) | kube::Error::SerdeError(_) => true,
            kube::Error::Discovery(_) => true,
            _ => false,
        };
        if permanent {
            FireError::permanent_from(what, source)
        } else {
            FireError::transient(what, source)
        }
    }
}

fn prefix(api_version: &str) -> String {
    if api_version.contains('/') {
        format!("/apis/{api_version}")
    } else {
        format!("/api/{api_version}")
    }
}

impl Place {
    fn path(&self, namespace: &str) -> String {
        if self.namespaced {
            format!("{}/namespaces/{namespace}/{}", self.prefix, self.plural)
        } else {
            format!("{}/{}", self.prefix, self.plural)
        }
    }
}
