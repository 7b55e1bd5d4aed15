//! Needs as Roles and bindings: one pair for each namespace that is touched, one for the whole cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Need, Where};

/// The order in which verbs are written.
const VERBS: [&str; 7] = [
    "get", "list", "watch", "create", "update", "patch", "delete",
];

/// Who needs it.
pub(super) struct Subject<'a> {
    pub(super) kind: &'a str,
    pub(super) name: &'a str,
    pub(super) namespace: &'a str,
    /// Namespace and name of the service account.
    pub(super) account: &'a (String, String),
}

/// The objects that grant these needs and nothing else.
pub(super) fn write(subject: &Subject<'_>, needs: Vec<Need>, objects: &mut Vec<Value>) {
    let mut places: BTreeMap<Where, Vec<Need>> = BTreeMap::new();
    for need in needs {
        places.entry(need.at.clone()).or_default().push(need);
    }
    for (at, needs) in places {
        let (prefix, namespace) = match &at {
            Where::Namespace(namespace) => ("", Some(namespace.as_str())),
            Where::Cluster => ("Cluster", None),
        };
        let role = format!("{prefix}Role");
        let metadata = metadata(subject, namespace);
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": role,
            "metadata": metadata,
            "rules": rules(&needs),
        }));
        let (account_namespace, account) = subject.account;
        objects.push(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{role}Binding"),
            "metadata": metadata,
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": role,
                "name": metadata.get("name"),
            },
            "subjects": [{
                "kind": "ServiceAccount",
                "name": account,
                "namespace": account_namespace,
            }],
        }));
    }
}

fn metadata(subject: &Subject<'_>, namespace: Option<&str>) -> Value {
    let Subject { kind, name, .. } = subject;
    let own = format!("{}-{name}", kind.to_lowercase());
    let labels = json!({ "app.kubernetes.io/part-of": "tiphys" });
    match namespace {
        Some(namespace) if namespace == subject.namespace => {
            json!({ "name": own, "namespace": namespace, "labels": labels })
        }
        // Elsewhere a name of its own namespace could be taken by another.
        Some(namespace) => {
            let name = format!("{own}-of-{}", subject.namespace);
            json!({ "name": name, "namespace": namespace, "labels": labels })
        }
        None => json!({ "name": format!("{own}-of-{}", subject.namespace), "labels": labels }),
    }
}

/// One rule for each resource; what is limited to names has rules of its own.
fn rules(needs: &[Need]) -> Vec<Value> {
    // What may be done to any object need not be said again for one.
    let mut verbs: BTreeMap<(&str, &str, Option<&str>), BTreeSet<&str>> = BTreeMap::new();
    for need in needs {
        let whole = needs.iter().any(|other| {
            other.name.is_none()
                && (&other.group, &other.resource, other.verb)
                    == (&need.group, &need.resource, need.verb)
        });
        let name = need.name.as_deref().filter(|_| !whole);
        let key = (need.group.as_str(), need.resource.as_str(), name);
        verbs.entry(key).or_default().insert(need.verb);
    }
    // Names with the same verbs are one rule.
    let mut rules: BTreeMap<(&str, &str, Vec<&str>), BTreeSet<&str>> = BTreeMap::new();
    for ((group, resource, name), verbs) in verbs {
        let verbs: Vec<&str> = VERBS
            .into_iter()
            .filter(|verb| verbs.contains(verb))
            .collect();
        let names = rules.entry((group, resource, verbs)).or_default();
        match name {
            Some(name) => {
                names.insert(name);
            }
            None => {
                // A rule without names stands alone: its verbs are in no other rule of the resource.
            }
        }
    }
    rules
        .into_iter()
        .map(|((group, resource, verbs), names)| {
            let mut rule = json!({ "apiGroups": [group], "resources": [resource], "verbs": verbs });
            if let (false, Some(rule)) = (names.is_empty(), rule.as_object_mut()) {
                rule.insert("resourceNames".to_owned(), json!(names));
            }
            rule
        })
        .collect()
}
