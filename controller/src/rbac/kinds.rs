//! Where objects of a kind are in an API: the plural, and whether they are in namespaces.

/// The place of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The group; empty for the core one.
    pub group: String,
    /// The plural, in small letters.
    pub plural: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
}

/// Kinds of Kubernetes and Argo that are in no namespace.
const CLUSTER_SCOPED: [&str; 19] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterWorkflowTemplate",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "StorageClass",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// Plurals that no rule gives.
const IRREGULAR: [(&str, &str); 3] = [
    ("EventBus", "eventbus"),
    ("Endpoints", "endpoints"),
    ("PodMetrics", "pods"),
];

/// The place that a kind most probably has.
pub(super) fn guess(api_version: &str, kind: &str) -> Resource {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    Resource {
        group: group.to_owned(),
        plural: plural(kind),
        namespaced: !CLUSTER_SCOPED.contains(&kind),
    }
}

fn plural(kind: &str) -> String {
    if let Some((_, plural)) = IRREGULAR.iter().find(|(name, _)| *name == kind) {
        return (*plural).to_owned();
    }
    let word = kind.to_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| word.ends_with(end));
    if ends(&["s", "x", "z", "ch", "sh"]) {
        return format!("{word}es");
    }
    match word.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{word}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_are_those_of_the_api() {
        for (kind, wanted) in [
            ("Deployment", "deployments"),
            ("Ingress", "ingresses"),
            ("NetworkPolicy", "networkpolicies"),
            ("Gateway", "gateways"),
            ("EventBus", "eventbus"),
            ("Endpoints", "endpoints"),
            ("StorageClass", "storageclasses"),
            ("Workflow", "workflows"),
        ] {
            assert_eq!(plural(kind), wanted);
        }
    }

    #[test]
    fn the_group_and_the_scope_come_from_the_kind() {
        let found = guess("argoproj.io/v1alpha1", "ClusterWorkflowTemplate");
        assert_eq!(
            (found.group.as_str(), found.namespaced),
            ("argoproj.io", false)
        );
        assert_eq!(guess("v1", "Pod").group, "");
    }
}
