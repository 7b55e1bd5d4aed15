//! A Workflow that is about to be created: its members as they were written, so that no digit of a number changes.
//! It never reads the API.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::labels::{self, Actor, PREFIX, edit};
use super::members::Members;
use super::{OperationError, Parameter, SubmitOptions};

/// The longest name of a Workflow: it becomes the value of a label.
const MAX_NAME: usize = 63;

/// How much of a derived name is the hash.
const HASH: usize = 10;

/// An object about to be created.
#[derive(Debug, Clone)]
pub struct Draft {
    top: Members,
    metadata: Map<String, Value>,
    spec: Members,
}

impl Draft {
    /// Reads an object.
    ///
    /// # Errors
    /// When it is not JSON, or its metadata or spec are no objects.
    pub fn parse(json: &[u8]) -> Result<Self, OperationError> {
        let top: Members = read(json, "the object")?;
        let metadata = match top.get("metadata") {
            Some(raw) => read::<Option<Map<String, Value>>>(raw.get().as_bytes(), "metadata")?,
            None => None,
        };
        let spec = match top.get("spec") {
            Some(raw) => read::<Option<Members>>(raw.get().as_bytes(), "spec")?,
            None => None,
        };
        Ok(Self {
            top,
            metadata: metadata.unwrap_or_default(),
            spec: spec.unwrap_or_default(),
        })
    }

    /// A Workflow with this spec and nothing else.
    pub(super) fn workflow(spec: Members) -> Self {
        let mut draft = Self {
            top: Members::default(),
            metadata: Map::new(),
            spec,
        };
        draft.set_top("apiVersion", &json!("argoproj.io/v1alpha1"));
        draft.set_top("kind", &json!("Workflow"));
        draft
    }

    /// The object as JSON.
    ///
    /// # Errors
    /// Never in practice: every member was JSON before.
    pub fn to_json(&self) -> Result<Vec<u8>, OperationError> {
        let mut top = self.top.clone();
        top.insert("metadata", raw(&self.metadata)?);
        top.insert("spec", raw(&self.spec)?);
        serde_json::to_vec(&top).map_err(|error| unreadable("the object", &error))
    }

    /// What kind of object it is; empty where it does not say.
    #[must_use]
    pub fn kind(&self) -> String {
        let kind = self.top.get("kind");
        kind.and_then(|raw| serde_json::from_str(raw.get()).ok())
            .unwrap_or_default()
    }

    /// Its name; empty where it has none.
    #[must_use]
    pub fn name(&self) -> &str {
        self.text("name")
    }

    /// What its name is to begin with; empty where it says nothing.
    #[must_use]
    pub fn generate_name(&self) -> &str {
        self.text("generateName")
    }

    /// Its namespace; empty where it says nothing.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.text("namespace")
    }

    fn text(&self, key: &str) -> &str {
        self.metadata
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// Sets a member of the metadata that is text.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        self.metadata.insert(key.to_owned(), value.into());
    }

    /// Sets an annotation.
    pub fn annotate(&mut self, key: &str, value: &str) {
        edit(&mut self.metadata, "annotations", |annotations| {
            annotations.insert(key.to_owned(), value.into());
        });
    }

    /// Sets a label.
    pub fn label(&mut self, key: &str, value: &str) {
        edit(&mut self.metadata, "labels", |labels| {
            labels.insert(key.to_owned(), value.into());
        });
    }

    pub(super) fn metadata(&mut self) -> &mut Map<String, Value> {
        &mut self.metadata
    }

    pub(super) fn into_spec(self) -> Members {
        self.spec
    }

    pub(super) fn set_top(&mut self, key: &str, value: &Value) {
        // A value is always JSON.
        if let Ok(raw) = raw(value) {
            self.top.insert(key, raw);
        }
    }

    pub(super) fn set_spec(&mut self, key: &str, value: &Value) {
        if let Ok(raw) = raw(value) {
            self.spec.insert(key, raw);
        }
    }

    /// Gives a name made of `generateName` and an id, where there is no name. The same id gives the same name.
    pub fn derive_name(&mut self, id: &str) {
        if self.name().is_empty() && !self.generate_name().is_empty() {
            let name = derived_name(self.generate_name(), id);
            self.set_metadata("name", &name);
        }
    }

    /// Gives the object to the controller of this id and says who made it.
    pub fn sign(&mut self, actor: &Actor, instance_id: Option<&str>) {
        edit(&mut self.metadata, "labels", |labels| {
            if let Some(instance_id) = instance_id {
                labels::give_to(labels, instance_id);
            }
            actor.creates(labels);
        });
    }

    /// Applies what is asked for beside the object, in Argo's order.
    ///
    /// # Errors
    /// When the arguments of the object cannot be read.
    pub fn apply(&mut self, options: &SubmitOptions) -> Result<(), OperationError> {
        let SubmitOptions {
            name,
            generate_name,
            entrypoint,
            service_account,
            labels,
            annotations,
            parameters,
            priority,
            scheduled_time,
        } = options;
        if let Some(entrypoint) = entrypoint {
            self.set_spec("entrypoint", &json!(entrypoint));
        }
        if let Some(account) = service_account {
            self.set_spec("serviceAccountName", &json!(account));
        }
        for (key, value) in labels {
            self.label(key, value);
        }
        for (key, value) in annotations {
            self.annotate(key, value);
        }
        self.override_parameters(parameters)?;
        if let Some(prefix) = generate_name {
            self.set_metadata("generateName", prefix);
        }
        if let Some(name) = name {
            self.set_metadata("name", name);
        }
        if let Some(priority) = priority {
            self.set_spec("priority", &json!(priority));
        }
        if let Some(time) = scheduled_time {
            self.annotate(&format!("{PREFIX}scheduled-time"), time);
        }
        Ok(())
    }

    /// Puts parameters in front of those that the object has; a given one replaces its namesake.
    pub(super) fn override_parameters(
        &mut self,
        given: &[Parameter],
    ) -> Result<(), OperationError> {
        if given.is_empty() {
            return Ok(());
        }
        let path = "spec.arguments";
        let mut arguments: Members = match self.spec.get("arguments") {
            Some(raw) => read::<Option<Members>>(raw.get().as_bytes(), path)?.unwrap_or_default(),
            None => Members::default(),
        };
        let path = "spec.arguments.parameters";
        let old: Vec<Box<RawValue>> = match arguments.get("parameters") {
            Some(raw) => read::<Option<_>>(raw.get().as_bytes(), path)?.unwrap_or_default(),
            None => Vec::new(),
        };
        let mut parameters = Vec::with_capacity(given.len() + old.len());
        for Parameter { name, value } in given {
            parameters.push(raw(&json!({"name": name, "value": value}))?);
        }
        for parameter in old {
            let named: Named = read(parameter.get().as_bytes(), path)?;
            if !given.iter().any(|given| given.name == named.name) {
                parameters.push(parameter);
            }
        }
        arguments.insert("parameters", raw(&parameters)?);
        self.spec.insert("arguments", raw(&arguments)?);
        Ok(())
    }

    /// Checks what every Workflow must have to be created.
    ///
    /// # Errors
    /// Without a name, with one that is too long, and with templates beside a reference to a WorkflowTemplate.
    pub fn check(&self) -> Result<(), OperationError> {
        if self.name().is_empty() && self.generate_name().is_empty() {
            return Err(OperationError::refused(
                "the workflow must have metadata.name or metadata.generateName",
            ));
        }
        if self.name().chars().count() > MAX_NAME {
            return Err(OperationError::refused(format!(
                "workflow name {:?} must not be more than {MAX_NAME} characters long (currently {})",
                self.name(),
                self.name().chars().count()
            )));
        }
        let there = |key: &str| {
            let raw = self.spec.get(key).map(RawValue::get);
            raw.is_some_and(|text| !matches!(text, "null" | "[]" | "{}"))
        };
        if there("templates") && there("workflowTemplateRef") {
            return Err(OperationError::refused(
                "spec.templates is invalid field in spec if workflow referred WorkflowTemplate reference",
            ));
        }
        Ok(())
    }
}

/// A name for `generateName` that a Workflow may have.
pub(super) fn derived_name(prefix: &str, id: &str) -> String {
    let prefix: String = prefix.chars().take(MAX_NAME - HASH).collect();
    let hash: String = id.chars().take(HASH).collect();
    format!("{prefix}{hash}")
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Named {
    name: String,
}

fn read<'a, T: Deserialize<'a>>(json: &'a [u8], what: &str) -> Result<T, OperationError> {
    serde_json::from_slice(json).map_err(|error| unreadable(what, &error))
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, OperationError> {
    serde_json::value::to_raw_value(value).map_err(|error| unreadable("the object", &error))
}

fn unreadable(what: &str, error: &serde_json::Error) -> OperationError {
    OperationError::refused(format!("cannot read {what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(draft: &Draft) -> Value {
        serde_json::from_slice(&draft.to_json().unwrap()).unwrap()
    }

    #[test]
    fn options_are_applied_and_every_digit_stays() {
        let object = br#"{"kind":"Workflow","metadata":{"generateName":"a-","labels":{"x":"y"}},
            "spec":{"arguments":{"artifacts":[{"name":"art"}],"parameters":[{"name":"n","value":9007199254740993.10},{"name":"m","value":1}]},"weight":1.50}}"#;
        let mut draft = Draft::parse(object).unwrap();
        let options = SubmitOptions {
            name: Some("wf".into()),
            generate_name: Some("b-".into()),
            entrypoint: Some("main".into()),
            service_account: Some("runner".into()),
            labels: vec![("a".into(), "1".into())],
            annotations: vec![("note".into(), "hi".into())],
            parameters: vec![Parameter {
                name: "m".into(),
                value: "81861780812".into(),
            }],
            priority: Some(5),
            scheduled_time: Some("2026-01-01T00:00:00Z".into()),
        };
        draft.apply(&options).unwrap();
        let text = String::from_utf8(draft.to_json().unwrap()).unwrap();
        for part in [
            r#""parameters":[{"name":"m","value":"81861780812"},{"name":"n","value":9007199254740993.10}]"#,
            r#""weight":1.50"#,
            r#""artifacts":[{"name":"art"}]"#,
        ] {
            assert!(text.contains(part), "{text}");
        }
        let object = value(&draft);
        assert_eq!(object["metadata"]["name"], "wf");
        assert_eq!(object["metadata"]["generateName"], "b-");
        assert_eq!(object["metadata"]["labels"], json!({"x": "y", "a": "1"}));
        assert_eq!(
            object["metadata"]["annotations"]["workflows.argoproj.io/scheduled-time"],
            "2026-01-01T00:00:00Z"
        );
        assert_eq!(
            (&object["spec"]["entrypoint"], &object["spec"]["priority"]),
            (&json!("main"), &json!(5))
        );
    }

    #[test]
    fn a_new_object_belongs_to_the_controller_without_an_id_unless_told() {
        let mut draft = Draft::parse(br#"{"metadata":{"name":"a","labels":{"workflows.argoproj.io/controller-instanceid":"x","workflows.argoproj.io/creator":"y"}}}"#).unwrap();
        draft.sign(&Actor::default(), Some(""));
        assert_eq!(value(&draft)["metadata"]["labels"], json!({}));
        let actor = Actor {
            subject: "system:serviceaccount:a:b".into(),
        };
        draft.sign(&actor, Some("mine"));
        assert_eq!(
            value(&draft)["metadata"]["labels"],
            json!({
                "workflows.argoproj.io/controller-instanceid": "mine",
                "workflows.argoproj.io/creator": "system-serviceaccount-a-b",
            })
        );
    }

    #[test]
    fn what_cannot_be_a_workflow_is_refused() {
        let long = format!(r#"{{"metadata":{{"name":"{}"}}}}"#, "x".repeat(64));
        for (object, part) in [
            ("{}", "must have metadata.name"),
            (
                long.as_str(),
                "must not be more than 63 characters long (currently 64)",
            ),
            (
                r#"{"metadata":{"name":"a"},"spec":{"templates":[{}],"workflowTemplateRef":{"name":"t"}}}"#,
                "spec.templates is invalid field",
            ),
        ] {
            let error = Draft::parse(object.as_bytes())
                .unwrap()
                .check()
                .unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
        for object in ["[]", "{", r#"{"spec":[]}"#, r#"{"metadata":1}"#] {
            assert!(Draft::parse(object.as_bytes()).is_err(), "{object}");
        }
        assert_eq!(derived_name(&"x".repeat(80), "0123456789abc").len(), 63);
    }
}
