//! What the API serves: the kinds that Tiphys knows of by name.
//!
//! A kind is a row of a table and nothing else: no schema, no defaults, no behaviour.

use std::sync::Arc;

/// One kind of object, as it appears in URLs and in `apiVersion`/`kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: &'static str,
    /// Version within the group, such as `v1alpha1`.
    pub version: &'static str,
    /// The `kind` field of an object.
    pub kind: &'static str,
    /// The name in URLs.
    pub plural: &'static str,
    /// Abbreviations that `kubectl` understands.
    pub short_names: &'static [&'static str],
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// Whether `status` is written through its own subresource only.
    pub status: bool,
    /// Which names are allowed.
    pub names: Names,
}

/// The rule that the name of an object must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// A lower-case DNS name with dots, up to 253 characters.
    Subdomain,
    /// A lower-case DNS label without dots, up to 63 characters.
    Label,
    /// Anything that fits between two slashes of a URL.
    PathSegment,
}

impl Kind {
    /// A kind whose objects live in namespaces, without a status subresource.
    #[must_use]
    pub const fn namespaced(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group,
            version,
            kind,
            plural,
            short_names: &[],
            namespaced: true,
            status: false,
            names: Names::Subdomain,
        }
    }

    /// A kind whose objects live outside of namespaces, without a status subresource.
    #[must_use]
    pub const fn cluster_wide(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            namespaced: false,
            ..Self::namespaced(group, version, kind, plural)
        }
    }

    /// The same kind with a status subresource.
    #[must_use]
    pub const fn with_status(self) -> Self {
        Self {
            status: true,
            ..self
        }
    }

    /// The same kind with these abbreviations.
    #[must_use]
    pub const fn short(self, short_names: &'static [&'static str]) -> Self {
        Self {
            short_names,
            ..self
        }
    }

    /// The same kind with this rule for names.
    #[must_use]
    pub const fn named(self, names: Names) -> Self {
        Self { names, ..self }
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";
const NETWORKING: &str = "networking.k8s.io";
const ARGO_GROUP: &str = "argoproj.io";

/// The kinds of Kubernetes itself that triggers and workflows touch.
pub const CORE: &[Kind] = &[
    Kind::cluster_wide("", "v1", "Namespace", "namespaces")
        .with_status()
        .short(&["ns"])
        .named(Names::Label),
    Kind::namespaced("", "v1", "Secret", "secrets"),
    Kind::namespaced("", "v1", "ConfigMap", "configmaps").short(&["cm"]),
    Kind::namespaced("", "v1", "Event", "events").short(&["ev"]),
    Kind::namespaced("", "v1", "ServiceAccount", "serviceaccounts").short(&["sa"]),
    Kind::namespaced("", "v1", "Pod", "pods")
        .with_status()
        .short(&["po"]),
    Kind::namespaced("", "v1", "Service", "services")
        .with_status()
        .short(&["svc"])
        .named(Names::Label),
    Kind::namespaced("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
        .with_status()
        .short(&["pvc"]),
    Kind::namespaced("events.k8s.io", "v1", "Event", "events").short(&["ev"]),
    Kind::namespaced("coordination.k8s.io", "v1", "Lease", "leases"),
    Kind::namespaced(RBAC, "v1", "Role", "roles").named(Names::PathSegment),
    Kind::namespaced(RBAC, "v1", "RoleBinding", "rolebindings").named(Names::PathSegment),
    Kind::cluster_wide(RBAC, "v1", "ClusterRole", "clusterroles").named(Names::PathSegment),
    Kind::cluster_wide(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings")
        .named(Names::PathSegment),
    Kind::namespaced("", "v1", "Endpoints", "endpoints").short(&["ep"]),
    Kind::namespaced("", "v1", "ResourceQuota", "resourcequotas")
        .with_status()
        .short(&["quota"]),
    Kind::namespaced("", "v1", "LimitRange", "limitranges").short(&["limits"]),
    Kind::cluster_wide("", "v1", "PersistentVolume", "persistentvolumes")
        .with_status()
        .short(&["pv"]),
    Kind::cluster_wide("", "v1", "Node", "nodes")
        .with_status()
        .short(&["no"]),
    Kind::cluster_wide("storage.k8s.io", "v1", "StorageClass", "storageclasses").short(&["sc"]),
    Kind::cluster_wide(
        "scheduling.k8s.io",
        "v1",
        "PriorityClass",
        "priorityclasses",
    )
    .short(&["pc"]),
    Kind::namespaced(NETWORKING, "v1", "Ingress", "ingresses")
        .with_status()
        .short(&["ing"]),
    Kind::namespaced(NETWORKING, "v1", "NetworkPolicy", "networkpolicies").short(&["netpol"]),
    Kind::namespaced(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
    )
    .with_status()
    .short(&["pdb"]),
    Kind::namespaced(
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    )
    .with_status()
    .short(&["hpa"]),
    Kind::namespaced("apps", "v1", "DaemonSet", "daemonsets")
        .with_status()
        .short(&["ds"]),
    Kind::namespaced("apps", "v1", "ReplicaSet", "replicasets")
        .with_status()
        .short(&["rs"]),
    Kind::namespaced("apps", "v1", "Deployment", "deployments")
        .with_status()
        .short(&["deploy"]),
    Kind::namespaced("apps", "v1", "StatefulSet", "statefulsets")
        .with_status()
        .short(&["sts"]),
    Kind::namespaced("batch", "v1", "Job", "jobs").with_status(),
    Kind::namespaced("batch", "v1", "CronJob", "cronjobs")
        .with_status()
        .short(&["cj"]),
    Kind::cluster_wide(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    )
    .with_status()
    .short(&["crd", "crds"]),
];

/// The kinds of Argo Events and Argo Workflows.
///
/// As in Argo's own definitions, the events kinds have a status subresource and
/// `Workflow` has none: its status is written together with the object.
pub const ARGO: &[Kind] = &[
    argo("EventBus", "eventbus").with_status().short(&["eb"]),
    argo("EventSource", "eventsources")
        .with_status()
        .short(&["es"]),
    argo("Sensor", "sensors").with_status().short(&["sn"]),
    argo("Workflow", "workflows").short(&["wf"]),
    argo("WorkflowTemplate", "workflowtemplates").short(&["wftmpl"]),
    Kind::cluster_wide(
        ARGO_GROUP,
        "v1alpha1",
        "ClusterWorkflowTemplate",
        "clusterworkflowtemplates",
    )
    .short(&["clusterwftmpl", "cwft"]),
    argo("CronWorkflow", "cronworkflows").short(&["cwf", "cronwf"]),
    argo("WorkflowTaskSet", "workflowtasksets")
        .with_status()
        .short(&["wfts"]),
    argo("WorkflowTaskResult", "workflowtaskresults"),
    argo("WorkflowArtifactGCTask", "workflowartifactgctasks")
        .with_status()
        .short(&["wfat"]),
    argo("WorkflowEventBinding", "workfloweventbindings").short(&["wfeb"]),
];

const fn argo(kind: &'static str, plural: &'static str) -> Kind {
    Kind::namespaced(ARGO_GROUP, "v1alpha1", kind, plural)
}

/// A kind as the server holds it: of the tables above, or learnt from a definition.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Key of the table that holds the objects: `group/plural`.
    pub(crate) table: Arc<str>,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) namespaced: bool,
    pub(crate) status: bool,
    pub(crate) names: Names,
}

impl From<&Kind> for Resource {
    fn from(kind: &Kind) -> Self {
        Self {
            table: table(kind.group, kind.plural),
            group: kind.group.to_owned(),
            version: kind.version.to_owned(),
            kind: kind.kind.to_owned(),
            plural: kind.plural.to_owned(),
            singular: kind.kind.to_lowercase(),
            short_names: kind
                .short_names
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            namespaced: kind.namespaced,
            status: kind.status,
            names: kind.names,
        }
    }
}

impl Resource {
    /// The `apiVersion` field of its objects.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, as messages name it.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() {
            self.plural.clone()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// Whether the kind belongs to Kubernetes itself rather than to a definition.
    pub(crate) fn built_in(&self) -> bool {
        !self.group.contains('.') || self.group.ends_with(".k8s.io")
    }

    /// Whether this is that kind of the core group.
    pub(crate) fn is_core(&self, kind: &str) -> bool {
        self.group.is_empty() && self.kind == kind
    }
}

/// Key of the table that holds the objects of one kind.
pub(crate) fn table(group: &str, plural: &str) -> Arc<str> {
    format!("{group}/{plural}").into()
}

/// Key of the table that holds the namespaces.
pub(crate) const NAMESPACES: &str = "/namespaces";
/// Key of the table that holds the definitions of further kinds.
pub(crate) const DEFINITIONS: &str = "apiextensions.k8s.io/customresourcedefinitions";
