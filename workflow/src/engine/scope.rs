//! Where templates are looked up: in the Workflow, a WorkflowTemplate or a ClusterWorkflowTemplate.
//! Each referenced object is read once in a run, so that all steps see the same version.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use kube::{Api, Client, ResourceExt as _};

use crate::resource::{
    Arguments, ClusterWorkflowTemplate, Template, TemplateRef, Workflow, WorkflowSpec,
    WorkflowTemplate, WorkflowTemplateRef,
};

/// Where a template's name is looked up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// In the Workflow itself.
    Local,
    /// In a WorkflowTemplate of its namespace.
    Namespaced(String),
    /// In a ClusterWorkflowTemplate.
    Cluster(String),
}

impl Scope {
    pub(super) fn of(reference: &TemplateRef) -> Self {
        if reference.cluster_scope {
            Self::Cluster(reference.name.clone())
        } else {
            Self::Namespaced(reference.name.clone())
        }
    }

    /// As `templateScope` of a node.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Local => "local/".to_owned(),
            Self::Namespaced(name) => format!("namespaced/{name}"),
            Self::Cluster(name) => format!("cluster/{name}"),
        }
    }
}

/// Why a template was not found.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookupError {
    #[error("template {template:?} is not in {scope}")]
    NoTemplate { template: String, scope: String },
    #[error("{kind} {name:?} not found")]
    NoObject { kind: &'static str, name: String },
    #[error("cannot read {kind} {name:?}")]
    Api {
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
}

/// The templates of one run.
pub(super) struct Scopes {
    client: Client,
    namespace: String,
    known: Mutex<BTreeMap<Scope, Arc<Vec<Template>>>>,
}

impl Scopes {
    pub(super) fn new(client: Client, workflow: &Workflow) -> Self {
        let local = Arc::new(workflow.spec.templates.clone());
        Self {
            client,
            namespace: workflow.namespace().unwrap_or_default(),
            known: Mutex::new(BTreeMap::from([(Scope::Local, local)])),
        }
    }

    pub(super) fn set_local(&self, templates: &[Template]) {
        self.remember(Scope::Local, Arc::new(templates.to_vec()));
    }

    fn remember(&self, scope: Scope, templates: Arc<Vec<Template>>) {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(scope, templates);
    }

    /// The template of that name in that scope.
    pub(super) async fn template(
        &self,
        scope: &Scope,
        name: &str,
    ) -> Result<Template, LookupError> {
        let known = self
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(scope)
            .cloned();
        let templates = match known {
            Some(templates) => templates,
            None => {
                let templates = Arc::new(self.fetch(scope).await?.templates);
                self.remember(scope.clone(), templates.clone());
                templates
            }
        };
        let found = templates
            .iter()
            .find(|template| template.name == name)
            .cloned();
        found.ok_or_else(|| LookupError::NoTemplate {
            template: name.to_owned(),
            scope: scope.label(),
        })
    }

    /// The whole spec that `workflowTemplateRef` names.
    pub(super) async fn whole(
        &self,
        reference: &WorkflowTemplateRef,
    ) -> Result<WorkflowSpec, LookupError> {
        let scope = if reference.cluster_scope {
            Scope::Cluster(reference.name.clone())
        } else {
            Scope::Namespaced(reference.name.clone())
        };
        self.fetch(&scope).await
    }

    async fn fetch(&self, scope: &Scope) -> Result<WorkflowSpec, LookupError> {
        let (kind, name, found) = match scope {
            Scope::Local => return Ok(WorkflowSpec::default()),
            Scope::Namespaced(name) => {
                let api = Api::<WorkflowTemplate>::namespaced(self.client.clone(), &self.namespace);
                (
                    "WorkflowTemplate",
                    name,
                    api.get_opt(name)
                        .await
                        .map(|found| found.map(|found| found.spec.0)),
                )
            }
            Scope::Cluster(name) => {
                let api = Api::<ClusterWorkflowTemplate>::all(self.client.clone());
                (
                    "ClusterWorkflowTemplate",
                    name,
                    api.get_opt(name)
                        .await
                        .map(|found| found.map(|found| found.spec.0)),
                )
            }
        };
        let found = found.map_err(|source| LookupError::Api {
            kind,
            name: name.clone(),
            source: Box::new(source),
        })?;
        found.ok_or_else(|| LookupError::NoObject {
            kind,
            name: name.clone(),
        })
    }
}

/// A Workflow's spec laid over that of the template it refers to: what the Workflow says goes first.
pub(super) fn merged(spec: &WorkflowSpec, template: &WorkflowSpec) -> WorkflowSpec {
    let mut merged = template.clone();
    if !spec.entrypoint.is_empty() {
        merged.entrypoint.clone_from(&spec.entrypoint);
    }
    let mut parameters = spec.arguments.parameters.clone();
    for parameter in &template.arguments.parameters {
        if !parameters.iter().any(|given| given.name == parameter.name) {
            parameters.push(parameter.clone());
        }
    }
    merged.arguments = Arguments {
        parameters,
        artifacts: spec.arguments.artifacts.clone(),
    };
    merged.service_account_name = spec
        .service_account_name
        .clone()
        .or(merged.service_account_name);
    merged.ttl_strategy = spec.ttl_strategy.clone().or(merged.ttl_strategy);
    merged.active_deadline_seconds = spec
        .active_deadline_seconds
        .or(merged.active_deadline_seconds);
    merged.priority = spec.priority.or(merged.priority);
    merged
        .workflow_template_ref
        .clone_from(&spec.workflow_template_ref);
    merged.other.extend(spec.other.clone());
    merged
}
