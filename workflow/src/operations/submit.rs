//! New Workflows from a template or a schedule, as `submit --from` makes them. Pure: what is read is given.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::OperationError;
use super::draft::Draft;
use super::labels::{PREFIX, edit};
use super::members::Members;

/// What a Workflow is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A WorkflowTemplate of the namespace.
    WorkflowTemplate,
    /// A ClusterWorkflowTemplate.
    ClusterWorkflowTemplate,
    /// A CronWorkflow of the namespace.
    CronWorkflow,
}

impl Origin {
    /// The kind that is meant, in any case, by its name or a short form.
    ///
    /// # Errors
    /// For any other kind.
    pub fn parse(kind: &str) -> Result<Self, OperationError> {
        match kind.to_ascii_lowercase().as_str() {
            "workflowtemplate" | "workflowtemplates" | "wftmpl" | "wft" => {
                Ok(Self::WorkflowTemplate)
            }
            "clusterworkflowtemplate" | "clusterworkflowtemplates" | "cwft" | "cwftmpl" => {
                Ok(Self::ClusterWorkflowTemplate)
            }
            "cronworkflow" | "cronworkflows" | "cronwf" | "cwf" => Ok(Self::CronWorkflow),
            _ => Err(OperationError::refused(format!(
                "invalid kind {kind:?}: a workflow is made from a WorkflowTemplate, a ClusterWorkflowTemplate or a CronWorkflow"
            ))),
        }
    }

    /// The kind's name.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::WorkflowTemplate => "WorkflowTemplate",
            Self::ClusterWorkflowTemplate => "ClusterWorkflowTemplate",
            Self::CronWorkflow => "CronWorkflow",
        }
    }

    /// The plural, as in paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::WorkflowTemplate => "workflowtemplates",
            Self::ClusterWorkflowTemplate => "clusterworkflowtemplates",
            Self::CronWorkflow => "cronworkflows",
        }
    }

    /// A Workflow that refers to the template of that name; nothing for a CronWorkflow, which must be read.
    #[must_use]
    pub fn refer(self, name: &str) -> Option<Draft> {
        let (label, reference) = match self {
            Self::WorkflowTemplate => ("workflow-template", json!({"name": name})),
            Self::ClusterWorkflowTemplate => (
                "cluster-workflow-template",
                json!({"name": name, "clusterScope": true}),
            ),
            Self::CronWorkflow => return None,
        };
        let mut draft = Draft::workflow(Members::default());
        draft.set_metadata("generateName", &format!("{name}-"));
        draft.label(&format!("{PREFIX}{label}"), name);
        draft.set_spec("workflowTemplateRef", &reference);
        Some(draft)
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Cron {
    metadata: CronMetadata,
    spec: CronSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CronMetadata {
    name: String,
    uid: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct CronSpec {
    workflow_spec: Members,
    workflow_metadata: Option<Map<String, Value>>,
}

/// The Workflow that a CronWorkflow would make now. Whether it is suspended is not looked at.
///
/// # Errors
/// When the object cannot be read.
pub fn from_cron(json: &[u8], now: Timestamp) -> Result<Draft, OperationError> {
    let cron: Cron = serde_json::from_slice(json).map_err(|error| {
        OperationError::refused(format!("cannot read the CronWorkflow: {error}"))
    })?;
    let name = cron.metadata.name;
    let mut draft = Draft::workflow(cron.spec.workflow_spec);
    let given = cron.spec.workflow_metadata.unwrap_or_default();
    for (key, value) in &given {
        if ["labels", "annotations", "finalizers"].contains(&key.as_str()) {
            draft.metadata().insert(key.clone(), value.clone());
        }
    }
    draft.set_metadata("generateName", &format!("{name}-"));
    draft.label(&format!("{PREFIX}cron-workflow"), &name);
    edit(draft.metadata(), "annotations", |annotations| {
        annotations
            .entry(format!("{PREFIX}scheduled-time"))
            .or_insert_with(|| whole(now).into());
    });
    let owner = json!([{
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "CronWorkflow",
        "name": name,
        "uid": cron.metadata.uid,
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
    draft.metadata().insert("ownerReferences".to_owned(), owner);
    Ok(draft)
}

/// A time as Kubernetes writes it: whole seconds, UTC.
pub(super) fn whole(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(draft: &Draft) -> Value {
        serde_json::from_slice(&draft.to_json().unwrap()).unwrap()
    }

    #[test]
    fn a_template_is_referred_to() {
        let draft = Origin::parse("WorkflowTemplate")
            .unwrap()
            .refer("hello")
            .unwrap();
        assert_eq!(
            value(&draft),
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow",
                "metadata": {"generateName": "hello-", "labels": {"workflows.argoproj.io/workflow-template": "hello"}},
                "spec": {"workflowTemplateRef": {"name": "hello"}},
            })
        );
        let draft = Origin::parse("cwft").unwrap().refer("hello").unwrap();
        assert_eq!(
            value(&draft)["spec"]["workflowTemplateRef"]["clusterScope"],
            true
        );
        assert!(Origin::parse("Pod").is_err());
    }

    #[test]
    fn a_schedule_makes_what_its_next_run_would_be() {
        let cron = br#"{"metadata":{"name":"nightly","uid":"u1"},"spec":{"suspend":true,
            "workflowMetadata":{"labels":{"team":"a"},"annotations":{"n":"1"},"finalizers":["f"]},
            "workflowSpec":{"entrypoint":"main","weight":1.50}}}"#;
        let draft = from_cron(cron, "2026-01-01T00:00:00.5Z".parse().unwrap()).unwrap();
        assert!(
            String::from_utf8(draft.to_json().unwrap())
                .unwrap()
                .contains("1.50")
        );
        let object = value(&draft);
        assert_eq!(
            object["metadata"]["labels"],
            json!({"team": "a", "workflows.argoproj.io/cron-workflow": "nightly"})
        );
        assert_eq!(
            object["metadata"]["annotations"],
            json!({"n": "1", "workflows.argoproj.io/scheduled-time": "2026-01-01T00:00:00Z"})
        );
        assert_eq!(object["metadata"]["finalizers"], json!(["f"]));
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], "u1");
        assert_eq!(object["spec"]["entrypoint"], "main");
    }
}
