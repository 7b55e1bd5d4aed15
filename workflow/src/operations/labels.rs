//! The labels that say who made or changed a Workflow, and which controller owns it. Pure.

use serde_json::{Map, Value};

/// What Argo's labels and annotations begin with.
pub(super) const PREFIX: &str = "workflows.argoproj.io/";

/// Which controller owns an object.
const INSTANCE_ID: &str = "workflows.argoproj.io/controller-instanceid";

/// Who asks, as the API server knows them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Actor {
    /// Their name, as `system:serviceaccount:argo-events:operate`; empty where it is not known.
    pub subject: String,
}

impl Actor {
    /// As Go prints the map of a user's details.
    pub(super) fn details(&self) -> String {
        if self.subject.is_empty() {
            "map[]".to_owned()
        } else {
            format!("map[User:{}]", self.subject)
        }
    }

    /// The name as a label's value: the last 63 characters, with a letter or digit at both ends.
    fn label(&self) -> String {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') {
                c
            } else {
                '-'
            }
        };
        let subject: String = self.subject.chars().map(plain).collect();
        let from = subject.len().saturating_sub(63);
        let last = subject.get(from..).unwrap_or_default();
        last.trim_matches(|c: char| !c.is_ascii_alphanumeric())
            .to_owned()
    }

    /// Says who made the object.
    pub(super) fn creates(&self, labels: &mut Map<String, Value>) {
        self.sign(labels, "creator");
        labels.remove(&format!("{PREFIX}action"));
    }

    /// Says who changed the object, and how.
    pub(super) fn acts(&self, labels: &mut Map<String, Value>, action: &str) {
        self.sign(labels, "actor");
        labels.insert(format!("{PREFIX}action"), action.into());
    }

    fn sign(&self, labels: &mut Map<String, Value>, role: &str) {
        labels.remove(&format!("{PREFIX}{role}-email"));
        labels.remove(&format!("{PREFIX}{role}-preferred-username"));
        let label = self.label();
        if label.is_empty() {
            labels.remove(&format!("{PREFIX}{role}"));
        } else {
            labels.insert(format!("{PREFIX}{role}"), label.into());
        }
    }
}

/// Changes a member of an object that is an object itself; it is made where it is not there.
pub(super) fn edit<R>(
    object: &mut Map<String, Value>,
    key: &str,
    change: impl FnOnce(&mut Map<String, Value>) -> R,
) -> R {
    let slot = object.entry(key).or_insert(Value::Null);
    let mut map = match slot.take() {
        Value::Object(map) => map,
        _ => Map::new(),
    };
    let result = change(&mut map);
    *slot = Value::Object(map);
    result
}

/// Gives a new object to the controller of this id; without one, to the controller that has none.
pub(super) fn give_to(labels: &mut Map<String, Value>, instance_id: &str) {
    if instance_id.is_empty() {
        labels.remove(INSTANCE_ID);
    } else {
        labels.insert(INSTANCE_ID.to_owned(), instance_id.into());
    }
}

/// Whether an object belongs to the controller of this id; an empty one is that of the controller without an id.
#[must_use]
pub fn belongs_to(workflow: &Value, instance_id: &str) -> bool {
    label(workflow, INSTANCE_ID).unwrap_or_default() == instance_id
}

/// One label.
pub(super) fn label<'a>(workflow: &'a Value, key: &str) -> Option<&'a str> {
    workflow.get("metadata")?.get("labels")?.get(key)?.as_str()
}

/// One annotation.
pub(super) fn annotation<'a>(workflow: &'a Value, key: &str) -> Option<&'a str> {
    workflow
        .get("metadata")?
        .get("annotations")?
        .get(key)?
        .as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_subject_becomes_a_label_from_its_end() {
        for (subject, value) in [
            (
                "system:serviceaccount:argo-events:operate-workflow-sa".to_owned(),
                "system-serviceaccount-argo-events-operate-workflow-sa".to_owned(),
            ),
            (
                format!("{}y", "x".repeat(63)),
                format!("{}y", "x".repeat(62)),
            ),
            (format!("{}y", "-".repeat(63)), "y".to_owned()),
            ("my@email".to_owned(), "my-email".to_owned()),
            ("ünï".to_owned(), "n".to_owned()),
        ] {
            assert_eq!(Actor { subject }.label(), value);
        }
    }

    #[test]
    fn nobody_in_particular_leaves_no_creator() {
        let mut labels = Map::new();
        for key in [
            "creator",
            "creator-email",
            "creator-preferred-username",
            "action",
        ] {
            labels.insert(format!("{PREFIX}{key}"), json!("x"));
        }
        Actor::default().creates(&mut labels);
        assert!(labels.is_empty(), "{labels:?}");
    }
}
