//! What the triggers of a Sensor need: verbs by operation, the place from the object, and what parameters can change.

use serde_json::Value;
use tiphys_core::manifest;
use tiphys_sensor::SensorSpec;
use tiphys_sensor::spec::{ArtifactSpec, ParameterSpec, TriggerSpec};
use tiphys_workflow::operations::{OperationArgs, Verb};

use super::kinds::{Resource, guess};
use super::{Lookup, Need, Where};

/// What is around the Sensor.
pub(super) struct Around<'a> {
    pub(super) namespace: &'a str,
    pub(super) lookup: Lookup<'a>,
}

pub(super) fn needs(
    spec: &SensorSpec,
    around: &Around<'_>,
    needs: &mut Vec<Need>,
    notes: &mut Vec<String>,
) {
    for trigger in &spec.triggers {
        let mut next = Some(trigger);
        while let Some(trigger) = next {
            next = trigger.dlq_trigger.as_deref();
            Firing {
                trigger,
                around,
                needs,
                notes,
            }
            .look();
        }
    }
}

/// One trigger, while its needs are collected.
struct Firing<'a> {
    trigger: &'a TriggerSpec,
    around: &'a Around<'a>,
    needs: &'a mut Vec<Need>,
    notes: &'a mut Vec<String>,
}

/// An action on an object, of either kind of trigger.
struct Action<'a> {
    /// The key under `template`.
    key: &'static str,
    operation: &'a str,
    source: Option<&'a ArtifactSpec>,
    parameters: &'a [ParameterSpec],
    strategy: &'a str,
    live_object: bool,
}

/// The object as far as it is known before an event comes.
#[derive(Default)]
struct Object {
    api_version: String,
    kind: String,
    name: Option<String>,
    namespace: Option<String>,
    /// The namespace that is said beside the object, and counts.
    elsewhere: Option<String>,
    /// Whether it has the operations of a JSON patch in it.
    has_patch: bool,
}

const JSON_PATCH: &str = "application/json-patch+json";
/// The Workflow that was made last.
const LATEST: &str = "@latest";
/// Stands in args for what an event says; no object can have this name.
const FROM_EVENT: &str = "\0";

impl Firing<'_> {
    fn look(&mut self) {
        let Some(template) = &self.trigger.template else {
            return;
        };
        // The first kind fires, as in the runtime.
        match template.kinds().first() {
            Some(&"k8s") => {
                if let Some(spec) = &template.k8s {
                    self.k8s(&Action {
                        key: "k8s",
                        operation: &spec.operation,
                        source: spec.source.as_ref(),
                        parameters: &spec.parameters,
                        strategy: &spec.patch_strategy,
                        live_object: spec.live_object,
                    });
                }
            }
            Some(&"argoWorkflow") => {
                if let Some(spec) = &template.argo_workflow {
                    self.workflow(
                        &Action {
                            key: "argoWorkflow",
                            operation: &spec.operation,
                            source: spec.source.as_ref(),
                            parameters: &spec.parameters,
                            strategy: "",
                            live_object: false,
                        },
                        &spec.args,
                    );
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, text: &str) {
        let template = self.trigger.template.as_ref();
        let name = template.map_or("", |template| template.name.as_str());
        self.notes.push(format!("trigger {name:?}: {text}"));
    }

    fn k8s(&mut self, action: &Action<'_>) {
        let Some(object) = self.object(action) else {
            return;
        };
        let resource = self.resource(&object.api_version, &object.kind);
        let Some((at, name)) = self.place(action, &object, &resource) else {
            return;
        };
        let verbs: &[&'static str] = match (action.operation, action.strategy) {
            ("update", _) if action.live_object => &["get", "update"],
            ("update", _) => &["get", "create", "update"],
            // Operations that the source writes itself are sent as they are.
            ("patch", JSON_PATCH) if object.has_patch => &["patch"],
            // Otherwise they are made from the object that is there.
            ("patch", JSON_PATCH) => &["get", "create", "patch"],
            ("patch", _) => &["create", "patch"],
            ("delete", _) => &["delete"],
            // A second delivery of the same events reads the object that the first one made.
            _ => &["create", "get"],
        };
        let policy = self.trigger.policy.as_ref();
        if policy.is_some_and(|policy| policy.k8s.is_some()) && action.operation != "delete" {
            self.need(&at, &resource, name.as_deref(), &["get"]);
        }
        self.need(&at, &resource, name.as_deref(), verbs);
        if ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"]
            .contains(&object.kind.as_str())
            && action.operation != "delete"
        {
            self.note("makes rights, so its account must hold those rights itself, or the verbs escalate and bind");
        }
    }

    fn workflow(&mut self, action: &Action<'_>, words: &[String]) {
        let object = match action.source.and_then(read) {
            Some(_) => self.object(action),
            // Wherever it is read from, a Workflow is acted on.
            None => {
                let kind = "Workflow".to_owned();
                let api_version = crate::check::API_VERSION.to_owned();
                self.note("reads its object when it fires; it is taken for one in the Sensor's own namespace");
                Some(Object {
                    api_version,
                    kind,
                    ..Object::default()
                })
            }
        };
        let (Some(mut object), Some(verb)) = (object, Verb::parse(action.operation)) else {
            return;
        };
        let Some(args) = self.args(action, verb, words) else {
            return;
        };
        let workflows = self.resource(crate::check::API_VERSION, "Workflow");
        object.elsewhere.clone_from(&args.namespace);
        let Some((at, name)) = self.place(action, &object, &workflows) else {
            return;
        };
        if args.wait {
            self.need(&at, &workflows, None, &["list", "watch"]);
        }
        match verb {
            Verb::Submit => {
                let renamed = args.submit.name.is_some() || args.submit.generate_name.is_some();
                let name = name.as_deref().filter(|_| !renamed);
                let name = args.submit.name.as_deref().or(name);
                self.need(&at, &workflows, name, &["create", "get"]);
            }
            Verb::SubmitFrom => {
                let name_of_new = args.submit.name.as_deref();
                self.need(&at, &workflows, name_of_new, &["create", "get"]);
                if object.kind.eq_ignore_ascii_case("CronWorkflow") {
                    let crons = self.resource(crate::check::API_VERSION, "CronWorkflow");
                    self.need(&at, &crons, name.as_deref(), &["get"]);
                    // It becomes the owner of the Workflow, which some clusters ask for this.
                    let finalizers = Resource {
                        plural: format!("{}/finalizers", crons.plural),
                        ..crons
                    };
                    self.need(&at, &finalizers, name.as_deref(), &["update"]);
                }
            }
            _ => self.operate(verb, &args, &at, name.as_deref(), &workflows),
        }
    }

    /// An operation on Workflows that are there.
    fn operate(
        &mut self,
        verb: Verb,
        args: &OperationArgs,
        at: &Where,
        name: Option<&str>,
        workflows: &Resource,
    ) {
        let selects = args.selection.is_some();
        let mut names: Vec<Option<&str>> = Vec::new();
        // A selector of stop and terminate replaces the names.
        if !(selects && matches!(verb, Verb::Stop | Verb::Terminate)) {
            names.push(name);
            names.extend(args.names.iter().map(|name| Some(name.as_str())));
        }
        let latest = names.contains(&Some(LATEST));
        if selects || latest {
            self.need(at, workflows, None, &["list"]);
            names.push(None);
        }
        let changes: &[&'static str] = match verb {
            Verb::Resubmit => &["get"],
            _ => &["get", "patch"],
        };
        for name in names {
            let fixed = name.filter(|name| *name != LATEST && *name != FROM_EVENT);
            self.need(at, workflows, fixed, changes);
        }
        if verb == Verb::Resubmit {
            self.need(at, workflows, None, &["create", "get"]);
        }
        if verb == Verb::Retry {
            let pods = self.resource("v1", "Pod");
            self.need(at, &pods, None, &["delete"]);
        }
    }

    /// The args as they are read; nothing, with a note, where an event decides what matters for rights. What else an
    /// event sets in them reads as [`FROM_EVENT`].
    fn args(&mut self, action: &Action<'_>, verb: Verb, words: &[String]) -> Option<OperationArgs> {
        let whole = format!("{}.args", action.key);
        let mut words = words.to_vec();
        let mut unknown = false;
        for parameter in &self.trigger.parameters {
            unknown |= covers(&parameter.dest, &whole);
            let Some(place) = parameter.dest.strip_prefix(&whole) else {
                continue;
            };
            let place = place.trim_start_matches('.');
            match place.parse().ok().and_then(|at: usize| words.get_mut(at)) {
                Some(word) => FROM_EVENT.clone_into(word),
                None => unknown = true,
            }
        }
        let (args, _) = OperationArgs::parse(verb, &words);
        unknown |= args.namespace.as_deref() == Some(FROM_EVENT);
        if unknown {
            self.note(
                "takes its args from the event: write the rules for what they may say yourself",
            );
            return None;
        }
        Some(args)
    }

    /// The object of an action; nothing, with a note, where it cannot be known.
    fn object(&mut self, action: &Action<'_>) -> Option<Object> {
        let Some(object) = action.source.and_then(read) else {
            self.note("reads its object when it fires, so that its kind is not known here: write the rule for it yourself");
            return None;
        };
        for key in ["apiVersion", "kind"] {
            if self.changes(action, key) {
                self.note(&format!(
                    "takes the object's {key} from the event: write a rule for each kind yourself"
                ));
                return None;
            }
        }
        let text = |pointer: &str| {
            let text = object.pointer(pointer).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Some(Object {
            api_version: text("/apiVersion")?,
            kind: text("/kind")?,
            name: text("/metadata/name"),
            namespace: text("/metadata/namespace"),
            elsewhere: None,
            has_patch: object.get("patch").is_some_and(Value::is_array),
        })
    }

    /// Where the object is, and its name where that is always the same.
    fn place(
        &mut self,
        action: &Action<'_>,
        object: &Object,
        resource: &Resource,
    ) -> Option<(Where, Option<String>)> {
        let operation = format!("{}.operation", action.key);
        if self
            .trigger
            .parameters
            .iter()
            .any(|parameter| covers(&parameter.dest, &operation))
        {
            self.note("takes its operation from the event: write the rules for it yourself");
            return None;
        }
        let at = if !resource.namespaced {
            Where::Cluster
        } else if let Some(elsewhere) = &object.elsewhere {
            Where::Namespace(elsewhere.clone())
        } else if self.changes(action, "metadata.namespace") {
            self.note("takes the namespace from the event, so that it gets a ClusterRole: bind that in the namespaces that may be named, by RoleBindings, and leave the ClusterRoleBinding out");
            Where::Cluster
        } else {
            let own = || self.around.namespace.to_owned();
            Where::Namespace(object.namespace.clone().unwrap_or_else(own))
        };
        let fixed = !self.changes(action, "metadata.name");
        Some((at, object.name.clone().filter(|_| fixed)))
    }

    /// Whether a parameter can change this field of the object.
    fn changes(&self, action: &Action<'_>, field: &str) -> bool {
        let whole = format!("{}.source.resource.{field}", action.key);
        let own = action
            .parameters
            .iter()
            .any(|parameter| covers(&parameter.dest, field));
        let outer = self.trigger.parameters.iter();
        own || outer
            .into_iter()
            .any(|parameter| covers(&parameter.dest, &whole))
    }

    fn resource(&self, api_version: &str, kind: &str) -> Resource {
        (self.around.lookup)(api_version, kind).unwrap_or_else(|| guess(api_version, kind))
    }

    fn need(
        &mut self,
        at: &Where,
        resource: &Resource,
        name: Option<&str>,
        verbs: &[&'static str],
    ) {
        for verb in verbs {
            // A name cannot limit what does not exist yet, nor lists.
            let name = name.filter(|_| !["create", "list"].contains(verb));
            self.needs.push(Need {
                at: at.clone(),
                group: resource.group.clone(),
                resource: resource.plural.clone(),
                name: name.map(str::to_owned),
                verb,
            });
        }
    }
}

/// Whether setting `dest` sets `field`, as itself or as a part of what is set.
fn covers(dest: &str, field: &str) -> bool {
    let below = |outer: &str, inner: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    below(dest, field) || dest.is_empty()
}

/// The object that the spec itself holds, by the precedence of the runtime.
fn read(source: &ArtifactSpec) -> Option<Value> {
    if source.s3.is_some() {
        return None;
    }
    if let Some(text) = &source.inline {
        let mut documents = manifest::parse(text).ok()?;
        return (documents.len() == 1).then(|| documents.remove(0).object);
    }
    let elsewhere = source.file.is_some()
        || source.url.is_some()
        || source.git.is_some()
        || source.configmap.is_some();
    source.resource.clone().filter(|_| !elsewhere)
}
