//! An object that must exist, as pure functions describe it. It is applied elsewhere.

use kube::core::{ApiResource, GroupVersionKind};
use serde_json::Value;

/// The kinds of object that the controller makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Made {
    /// A Secret: its values are the controller's, so whoever changes them changes them back.
    Secret,
    /// A ConfigMap.
    ConfigMap,
    /// A Service.
    Service,
    /// A StatefulSet.
    StatefulSet,
    /// A Deployment.
    Deployment,
    /// A PodDisruptionBudget.
    PodDisruptionBudget,
}

impl Made {
    /// Every kind.
    pub(crate) const ALL: [Self; 6] = [
        Self::Secret,
        Self::ConfigMap,
        Self::Service,
        Self::StatefulSet,
        Self::Deployment,
        Self::PodDisruptionBudget,
    ];

    /// The kind as objects write it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::ConfigMap => "ConfigMap",
            Self::Service => "Service",
            Self::StatefulSet => "StatefulSet",
            Self::Deployment => "Deployment",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
        }
    }

    /// Whether its content is watched. Secrets and ConfigMaps are many and large, so only their names and versions are.
    pub(crate) const fn is_watched_whole(self) -> bool {
        !matches!(self, Self::Secret | Self::ConfigMap)
    }

    /// Its place in the API.
    pub(crate) fn resource(self) -> ApiResource {
        let (group, plural) = match self {
            Self::Secret => ("", "secrets"),
            Self::ConfigMap => ("", "configmaps"),
            Self::Service => ("", "services"),
            Self::StatefulSet => ("apps", "statefulsets"),
            Self::Deployment => ("apps", "deployments"),
            Self::PodDisruptionBudget => ("policy", "poddisruptionbudgets"),
        };
        let gvk = GroupVersionKind::gvk(group, "v1", self.as_str());
        ApiResource::from_gvk_with_plural(&gvk, plural)
    }
}

/// One object that must exist.
///
/// `object` has `metadata.name`, its own labels and annotations, and `spec` or `data`. Namespace, owner reference,
/// `apiVersion`, `kind` and the annotation with the hash are added when it is applied.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wanted {
    /// Its kind.
    pub(crate) made: Made,
    /// The reason of the condition `Deployed` when the API refuses it, as `JetStreamServiceFailed`.
    pub(crate) reason: &'static str,
    /// The object.
    pub(crate) object: Value,
}

/// Why nothing can be made of an object: the condition that says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// One word for programs.
    pub(crate) reason: String,
    /// One sentence for people.
    pub(crate) message: String,
}
