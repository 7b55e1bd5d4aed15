//! Carries operations out through the Kubernetes API: reads and creates here, changes and deletes in `changes`.

mod changes;

use jiff::Timestamp;
use kube::Client;
use kube::api::{GetParams, ListParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};

use super::resubmit::{self, ResubmitOptions};
use super::{Actor, Draft, OperationError, Origin, belongs_to, from_cron, stored};

/// Names the newest Workflow of a namespace.
const LATEST: &str = "@latest";

/// Workflows chosen by what they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// A label selector.
    pub labels: Option<String>,
    /// A field selector.
    pub fields: Option<String>,
}

impl Selection {
    /// Whether anything is asked for.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        self.labels.is_some() || self.fields.is_some()
    }
}

/// How an object is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Create {
    /// Whether the API only tries it.
    pub dry_run: bool,
    /// Whether fields that the kind does not have are refused.
    pub strict: bool,
}

/// What an operation has led to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The Workflow as it is now.
    pub workflow: Value,
    /// Whether it had to be changed; not where it was so already.
    pub changed: bool,
}

impl Outcome {
    /// The Workflow's name.
    #[must_use]
    pub fn name(&self) -> &str {
        name_of(&self.workflow)
    }
}

/// Operates on the Workflows of one namespace.
#[derive(Clone)]
pub struct Operator {
    client: Client,
    namespace: String,
    actor: Actor,
    instance_id: String,
    mark: Option<String>,
}

impl Operator {
    /// On a namespace, as nobody in particular.
    #[must_use]
    pub fn new(client: Client, namespace: impl Into<String>) -> Self {
        Self {
            client,
            namespace: namespace.into(),
            actor: Actor::default(),
            instance_id: String::new(),
            mark: None,
        }
    }

    /// As this actor, who is named in the objects.
    #[must_use]
    pub fn acting_as(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// Only on objects of the controller with this id.
    #[must_use]
    pub fn with_instance_id(mut self, id: impl Into<String>) -> Self {
        self.instance_id = id.into();
        self
    }

    /// At most once under this mark, which the changed object remembers.
    #[must_use]
    pub fn marked(mut self, mark: impl Into<String>) -> Self {
        self.mark = Some(mark.into());
        self
    }

    /// The namespace.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    fn path(&self, plural: &str) -> String {
        format!(
            "/apis/argoproj.io/v1alpha1/namespaces/{}/{plural}",
            self.namespace
        )
    }

    fn workflows(&self) -> Request {
        Request::new(self.path("workflows"))
    }

    /// One object as the API writes it.
    async fn text(&self, path: String, plural: &str, name: &str) -> Result<String, OperationError> {
        is_name("name", name)?;
        is_name("namespace", &self.namespace)?;
        let what = || format!("cannot read {plural} {}/{name}", self.namespace);
        let request = Request::new(path)
            .get(name, &GetParams::default())
            .map_err(|error| failed(what(), kube::Error::BuildRequest(error)))?;
        match self.client.request_text(request).await {
            Ok(text) => Ok(text),
            // A server that does not serve the kind answers 404 as well, in words of its own.
            Err(kube::Error::Api(status)) if status.reason == "NotFound" => {
                Err(OperationError::Missing {
                    kind: plural.to_owned(),
                    name: name.to_owned(),
                    namespace: self.namespace.clone(),
                })
            }
            Err(error) => Err(failed(what(), error)),
        }
    }

    /// The Workflow of that name as the API writes it; the newest one for `@latest`.
    async fn read(&self, name: &str) -> Result<(String, Value), OperationError> {
        let newest;
        let name = if name == LATEST {
            newest = self.latest().await?;
            newest.as_str()
        } else {
            name
        };
        let text = self.text(self.path("workflows"), "workflows", name).await?;
        let value = serde_json::from_str(&text).map_err(|error| {
            OperationError::refused(format!("cannot read workflow {name:?}: {error}"))
        })?;
        Ok((text, value))
    }

    async fn latest(&self) -> Result<String, OperationError> {
        let all = self.list(&Selection::default()).await?;
        let created = |workflow: &Value| -> Option<Timestamp> {
            let text = workflow.pointer("/metadata/creationTimestamp")?.as_str()?;
            text.parse().ok()
        };
        let newest = all
            .iter()
            .max_by_key(|workflow| (created(workflow), name_of(workflow)));
        newest
            .map(|workflow| name_of(workflow).to_owned())
            .ok_or_else(|| OperationError::Missing {
                kind: "workflows".to_owned(),
                name: LATEST.to_owned(),
                namespace: self.namespace.clone(),
            })
    }

    /// One Workflow, its nodes in their plain place; the newest one for `@latest`.
    ///
    /// # Errors
    /// When it is not there, and when the API does not answer.
    pub async fn get(&self, name: &str) -> Result<Value, OperationError> {
        let (_, mut workflow) = self.read(name).await?;
        stored::expand(&mut workflow)?;
        Ok(workflow)
    }

    /// The Workflows of its controller that are chosen, in the API's order.
    ///
    /// # Errors
    /// When a selector is broken, and when the API does not answer.
    pub async fn list(&self, selection: &Selection) -> Result<Vec<Value>, OperationError> {
        is_name("namespace", &self.namespace)?;
        let mut params = ListParams::default().limit(500);
        params.label_selector.clone_from(&selection.labels);
        params.field_selector.clone_from(&selection.fields);
        let what = || format!("cannot list workflows of namespace {}", self.namespace);
        let mut found = Vec::new();
        loop {
            let request = self
                .workflows()
                .list(&params)
                .map_err(|error| failed(what(), kube::Error::BuildRequest(error)))?;
            let mut page: Value = self
                .client
                .request(request)
                .await
                .map_err(|error| failed(what(), error))?;
            if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
                let own = |workflow: &Value| belongs_to(workflow, &self.instance_id);
                found.extend(items.into_iter().filter(own));
            }
            let next = page.pointer("/metadata/continue").and_then(Value::as_str);
            match next.filter(|token| !token.is_empty()) {
                Some(token) => params = params.continue_token(token),
                None => return Ok(found),
            }
        }
    }

    /// A Workflow made from a template or a schedule, to be changed and then created.
    ///
    /// # Errors
    /// When the template is not there. Whether it is cannot be told without the right to read it, and is no error.
    pub async fn draft_from(&self, origin: Origin, name: &str) -> Result<Draft, OperationError> {
        let plural = origin.plural();
        let path = match origin {
            Origin::ClusterWorkflowTemplate => format!("/apis/argoproj.io/v1alpha1/{plural}"),
            Origin::WorkflowTemplate | Origin::CronWorkflow => self.path(plural),
        };
        let text = match (self.text(path, plural, name).await, origin.refer(name)) {
            (Ok(_), Some(draft)) => return Ok(draft),
            (Err(OperationError::Api { source, .. }), Some(draft)) if is_forbidden(&source) => {
                return Ok(draft);
            }
            (text, _) => text?,
        };
        from_cron(text.as_bytes(), Timestamp::now())
    }

    /// Says in a draft whose it is: actor, controller, and the namespace where it names none.
    pub fn sign(&self, draft: &mut Draft) {
        draft.sign(&self.actor, Some(&self.instance_id));
        if draft.namespace().is_empty() {
            draft.set_metadata("namespace", &self.namespace);
        }
    }

    /// Creates a Workflow.
    ///
    /// # Errors
    /// When it may not be created as it is, and when one of its name is there.
    pub async fn create(&self, draft: &Draft, how: Create) -> Result<Value, OperationError> {
        draft.check()?;
        is_name("namespace", &self.namespace)?;
        let what = || {
            let name = match draft.name() {
                "" => draft.generate_name(),
                name => name,
            };
            format!("cannot create Workflow {}/{name}", self.namespace)
        };
        let params = PostParams {
            dry_run: how.dry_run,
            field_manager: None,
        };
        let mut request = self
            .workflows()
            .create(&params, draft.to_json()?)
            .map_err(|error| failed(what(), kube::Error::BuildRequest(error)))?;
        if how.strict
            && let Ok(uri) = format!("{}&fieldValidation=Strict", request.uri()).parse()
        {
            *request.uri_mut() = uri;
        }
        match self.client.request(request).await {
            Ok(created) => Ok(created),
            Err(kube::Error::Api(status))
                if status.code == 409 && status.reason == "AlreadyExists" =>
            {
                Err(OperationError::Exists {
                    name: draft.name().to_owned(),
                    namespace: self.namespace.clone(),
                })
            }
            Err(error) => Err(failed(what(), error)),
        }
    }

    /// A Workflow like one that has been, to be created. `name` names it by what its name begins with.
    ///
    /// # Errors
    /// When the old one is not there, or has not failed and is to be memoized.
    pub async fn resubmitted(
        &self,
        old: &str,
        options: &ResubmitOptions,
        name: impl FnOnce(&str) -> String,
    ) -> Result<Draft, OperationError> {
        let (text, mut expanded) = self.read(old).await?;
        self.ours(&expanded)?;
        stored::expand(&mut expanded)?;
        let json = text.as_bytes();
        resubmit::resubmitted(
            json,
            &expanded,
            options,
            name,
            &self.actor,
            Timestamp::now(),
        )
    }
}

impl Actor {
    /// Who this client is to the API; nobody in particular where the API tells nobody, nothing where it is away.
    pub async fn of(client: &Client) -> Option<Self> {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let request = Request::new("/apis/authentication.k8s.io/v1/selfsubjectreviews")
            .create(&PostParams::default(), review.to_string().into_bytes());
        let Ok(request) = request else {
            return None;
        };
        let told: Value = match client.request(request).await {
            Ok(told) => told,
            Err(kube::Error::Api(status)) if status.code < 500 => return Some(Self::default()),
            Err(error) => {
                tracing::debug!(error = %tiphys_core::tasks::chain(&error), "the API does not say who we are");
                return None;
            }
        };
        let name = told.pointer("/status/userInfo/username");
        let name = name.and_then(Value::as_str).unwrap_or_default();
        let subject = if name == "system:anonymous" { "" } else { name };
        Some(Self {
            subject: subject.to_owned(),
        })
    }
}

fn name_of(workflow: &Value) -> &str {
    let name = workflow.pointer("/metadata/name").and_then(Value::as_str);
    name.unwrap_or_default()
}

/// Names come from events, and become part of a path.
fn is_name(what: &str, name: &str) -> Result<(), OperationError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let dots = name.chars().all(|c| c == '.');
    if dots || name.len() > 253 || !name.chars().all(plain) {
        return Err(OperationError::refused(format!(
            "{name:?} is not the {what} of an object: it must be lower case letters, digits, - and ."
        )));
    }
    Ok(())
}

fn is_forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

fn failed(what: String, source: kube::Error) -> OperationError {
    OperationError::Api {
        what,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_never_becomes_a_path() {
        for name in ["", "..", "a/b", "a?b", "a b", "ü"] {
            assert!(is_name("name", name).is_err(), "{name}");
        }
        assert!(is_name("name", "hello-x1.y").is_ok());
    }
}
