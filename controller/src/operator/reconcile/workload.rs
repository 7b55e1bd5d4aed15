//! An EventSource or a Sensor: checks it, waits for its bus, makes its Deployment and Service, says how it stands.

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use tiphys_core::manifest::{self, Document};
use tiphys_core::spec::PodTemplateSpec;
use tiphys_core::tasks::chain;
use tiphys_core::{Problems, Severity};
use tiphys_eventbus::{BusConfig, BusStatusConfig};
use tiphys_eventsource::{Replicas, ServiceSpec};
use tiphys_sensor::CannotRun;

use super::report::report;
use super::{Context, ObjectView, Outcome, bring, pooled};
use crate::check::{self, Checked};
use crate::hosting::Kind;
use crate::operator::Workloads;
use crate::operator::apply::{self, ApplyError};
use crate::operator::child::Rollout;
use crate::operator::conditions::{self, Conditions, Said};
use crate::operator::contents;
use crate::operator::known::Known;
use crate::operator::queue::Next;
use crate::operator::wanted::Made;
use crate::operator::workload::{self, Workload, references};

/// How the pods reach a bus, if it can be used.
pub(crate) fn bus_config(bus: &Known) -> Option<BusStatusConfig> {
    let config = bus.status().get("config")?;
    manifest::read(config).ok()
}

pub(super) async fn look(context: &Context, view: ObjectView) -> Outcome {
    let mut outcome = Outcome::new(view.turn);
    let known = &view.known;
    if known.deleting {
        if let Err(error) = let_go(context, known).await {
            tracing::warn!(name = known.key.name, error = %chain(&error), "cannot remove a finalizer");
            outcome.next = Next::Retry;
        }
        return outcome;
    }
    if let Workloads::Pooled(pool) = &context.workloads {
        pooled::look(context, pool, &view, &mut outcome).await;
        return outcome;
    }
    let mut conditions = Conditions::new(known.key.kind);
    let pods = make(context, &view, &mut conditions, &mut outcome).await;
    let ready = conditions.ready(pods);
    report(context, known, &conditions, ready, None, &mut outcome).await;
    outcome
}

/// Argo's controller has put its name onto objects that nobody would take off any more.
async fn let_go(context: &Context, known: &Known) -> Result<(), kube::Error> {
    let argos = workload::controller_label(known.key.kind);
    if !known.finalizers.iter().any(|name| name == argos) {
        return Ok(());
    }
    set_finalizers(
        context,
        known,
        known
            .finalizers
            .iter()
            .filter(|name| *name != argos)
            .cloned(),
    )
    .await
}

/// Replaces the finalizers of an object that has not changed meanwhile.
pub(super) async fn set_finalizers(
    context: &Context,
    known: &Known,
    finalizers: impl Iterator<Item = String>,
) -> Result<(), kube::Error> {
    let finalizers: Vec<String> = finalizers.collect();
    let api = Api::<DynamicObject>::namespaced_with(
        context.client.clone(),
        &known.key.namespace,
        &known.key.kind.resource(),
    );
    let patch = json!({ "metadata": {
        "resourceVersion": known.version,
        "uid": known.uid,
        "finalizers": finalizers,
    }});
    let params = PatchParams {
        field_manager: Some(apply::MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let patched = api
        .patch_metadata(&known.key.name, &params, &Patch::Merge(&patch))
        .await;
    match patched {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}

/// An object that can run: what of it decides about its pods.
pub(super) struct Runnable {
    template: Option<PodTemplateSpec>,
    replicas: Option<i32>,
    revision_history_limit: Option<i32>,
    pub(super) service: Option<ServiceSpec>,
    single: bool,
}

/// Makes what must be, and gives what the pods say.
async fn make(
    context: &Context,
    view: &ObjectView,
    conditions: &mut Conditions,
    outcome: &mut Outcome,
) -> Said {
    let known = &view.known;
    let rollout = rollout(view);
    let nothing = || conditions::pods(rollout.as_ref());
    let runnable = match check(known, conditions) {
        Checkup::Runs(runnable) => runnable,
        Checkup::Wrong => {
            conditions.say("Deployed", left(view, "the spec has problems"));
            return nothing();
        }
        Checkup::Unsupported => {
            // Pods of an earlier spec do what nobody asks for any more.
            match bring(context, view, &[], outcome).await {
                Ok(()) => conditions.say(
                    "Deployed",
                    Said::no("NotSupported", "nothing of it can run, so no pods are made"),
                ),
                Err((reason, error)) => failed(conditions, outcome, reason, &error),
            }
            return nothing();
        }
    };
    let config = match usable_bus(view) {
        Ok(config) => config,
        Err(said) => {
            conditions.say("Deployed", said);
            return nothing();
        }
    };
    let named = references::all(known.spec(), &config);
    let seen = contents::look(
        &context.client,
        &known.key.namespace,
        &named,
        &view.contents,
    )
    .await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(error) => {
            let message = format!("cannot read what the spec refers to: {}", chain(&error));
            conditions.say("Deployed", Said::no("GetReferencesFailed", message));
            outcome.next = Next::Retry;
            return nothing();
        }
    };
    outcome.read = seen.read;
    let deployment = deployment_name(view);
    let workload = Workload {
        kind: known.key.kind,
        namespace: &known.key.namespace,
        name: &known.key.name,
        labels: &known.labels,
        annotations: &known.annotations,
        spec: known.spec(),
        template: runnable.template.as_ref(),
        replicas: runnable.replicas,
        revision_history_limit: runnable.revision_history_limit,
        service: runnable.service.as_ref(),
        single: runnable.single,
        bus: &config,
        bus_uid: view.bus.as_ref().map_or("", |bus| &bus.uid),
        deployment: &deployment,
        contents: seen.hash.as_deref(),
    };
    let wanted = workload::plan(&workload, &context.settings);
    if let Err((reason, error)) = bring(context, view, &wanted, outcome).await {
        failed(conditions, outcome, reason, &error);
        return nothing();
    }
    let mut message = format!("Deployment {deployment:?} is in place");
    if runnable.single && runnable.replicas.is_some_and(|replicas| replicas > 1) {
        message.push_str(
            "; it has one pod, because every pod of this kind of source would send every event",
        );
    }
    conditions.say("Deployed", Said::yes("Succeeded", message));
    if !seen.missing.is_empty() {
        let message = format!("the pods wait: {}", seen.missing.join("; "));
        return Said::no(conditions::MISSING, message);
    }
    let applied = outcome
        .applied
        .iter()
        .find_map(|applied| applied.child.rollout.clone());
    conditions::pods(applied.or(rollout).as_ref())
}

fn failed(
    conditions: &mut Conditions,
    outcome: &mut Outcome,
    reason: &'static str,
    error: &ApplyError,
) {
    conditions.say("Deployed", Said::no(reason, apply::sentence(error)));
    outcome.next = Next::Retry;
}

fn rollout(view: &ObjectView) -> Option<Rollout> {
    view.children
        .iter()
        .find_map(|(child, _)| child.rollout.clone())
}

/// What is said of pods that are left as they are.
fn left(view: &ObjectView, why: &str) -> Said {
    if rollout(view).is_some() {
        return Said::unknown(
            "Unchanged",
            format!("{why}; the pods go on with the spec before it"),
        );
    }
    Said::unknown("Waiting", format!("{why}; no pods are made"))
}

/// The oldest Deployment that is there, whatever its name, else the name of a new one.
fn deployment_name(view: &ObjectView) -> String {
    let known = &view.known;
    let own = workload::deployment_name(known.key.kind, &known.key.name, &known.uid);
    let mut there: Vec<_> = view
        .children
        .iter()
        .map(|(child, _)| child)
        .filter(|child| child.key.made == Made::Deployment)
        .collect();
    there.sort_by_key(|child| (child.key.name != own, child.created));
    there.first().map_or(own, |child| child.key.name.clone())
}

/// What an examination of the spec comes to.
pub(super) enum Checkup {
    Runs(Box<Runnable>),
    /// The spec must change.
    Wrong,
    /// This build can run nothing of it.
    Unsupported,
}

pub(super) fn check(known: &Known, conditions: &mut Conditions) -> Checkup {
    let mut problems = Problems::default();
    let document = Document::from_object(known.object.clone());
    let checked = check::check(&document, &mut problems);
    check::names(&document, checked.as_ref(), &mut problems);
    let wrong = problems.has_errors();
    match (known.key.kind, checked) {
        (Kind::EventSource, Some(Checked::EventSource(spec))) if !wrong => {
            let cannot = spec.cannot_run();
            let all = spec.event_names().len() == cannot.len();
            conditions.say("SourcesProvided", sources(&cannot, all));
            if all {
                return Checkup::Unsupported;
            }
            let single = spec.replicas_of_kinds() == Replicas::One;
            Checkup::Runs(Box::new(Runnable {
                single,
                template: spec.template,
                replicas: spec.replicas,
                revision_history_limit: None,
                service: spec.service,
            }))
        }
        (Kind::Sensor, Some(Checked::Sensor(sensor))) if !wrong => {
            let cannot = tiphys_sensor::cannot_run(&sensor);
            conditions.say(
                "DependenciesProvided",
                Said::yes("Valid", "every dependency can be read"),
            );
            conditions.say("TriggersProvided", triggers(&cannot));
            if cannot.whole {
                return Checkup::Unsupported;
            }
            Checkup::Runs(Box::new(Runnable {
                template: sensor.spec.template,
                replicas: sensor.spec.replicas,
                revision_history_limit: sensor.spec.revision_history_limit,
                service: None,
                single: false,
            }))
        }
        (kind, _) => {
            say_problems(kind, &problems, conditions);
            Checkup::Wrong
        }
    }
}

fn sources(cannot: &[(&'static str, String, String)], all: bool) -> Said {
    if cannot.is_empty() {
        return Said::yes("Valid", "every source can run");
    }
    let list: Vec<String> = cannot
        .iter()
        .map(|(kind, event, reason)| format!("spec.{kind}.{event}: {reason}"))
        .collect();
    let rest = if all { "" } else { "; the others run" };
    Said::no("UnsupportedSources", format!("{}{rest}", list.join("; ")))
}

fn triggers(cannot: &CannotRun) -> Said {
    if cannot.triggers.is_empty() {
        return Said::yes("Valid", "every trigger can be built");
    }
    let list = cannot.triggers.iter();
    let list: Vec<String> = list
        .map(|(path, reason)| format!("{path}: {reason}"))
        .collect();
    let rest = if cannot.whole {
        ""
    } else {
        "; what these would fire for is kept as dead, the others run"
    };
    Said::no("UnsupportedTriggers", format!("{}{rest}", list.join("; ")))
}

/// Puts the problems where they belong: those of dependencies apart from those of triggers and everything else.
fn say_problems(kind: Kind, problems: &Problems, conditions: &mut Conditions) {
    let list = |wanted: &dyn Fn(bool) -> bool| {
        let found: Vec<String> = problems
            .list()
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .filter(|problem| wanted(problem.path.to_string().starts_with("spec.dependencies")))
            .map(ToString::to_string)
            .collect();
        found.join("; ")
    };
    if kind == Kind::EventSource {
        conditions.say(
            "SourcesProvided",
            Said::no("InvalidEventSource", list(&|_| true)),
        );
        return;
    }
    for (condition, reason, text) in [
        (
            "DependenciesProvided",
            "InvalidDependencies",
            list(&|dependency| dependency),
        ),
        (
            "TriggersProvided",
            "InvalidTriggers",
            list(&|dependency| !dependency),
        ),
    ] {
        let said = if text.is_empty() {
            Said::yes("Valid", "nothing is wrong with them alone")
        } else {
            Said::no(reason, text)
        };
        conditions.say(condition, said);
    }
}

/// How the bus is reached, or why it cannot be used.
pub(super) fn usable_bus(view: &ObjectView) -> Result<BusStatusConfig, Said> {
    let known = &view.known;
    let name = known.bus_name();
    let Some(bus) = &view.bus else {
        return Err(Said::no(
            "EventBusNotFound",
            format!(
                "EventBus {name:?} does not exist in namespace {:?}; make it, or name another one in spec.eventBusName",
                known.key.namespace
            ),
        ));
    };
    if bus.deleting {
        return Err(Said::no(
            "EventBusNotReady",
            format!("EventBus {name:?} is being deleted"),
        ));
    }
    // It is written once the bus is there, so what is wrong with a later change of the bus harms nobody on it.
    if !bus.status().get("config").is_some_and(Value::is_object) {
        return Err(Said::no(
            "EventBusNotReady",
            format!("EventBus {name:?} is not deployed yet; its own status says why"),
        ));
    }
    let Some(config) = bus_config(bus) else {
        return Err(Said::no(
            "EventBusNotReady",
            format!("the status of EventBus {name:?} cannot be read"),
        ));
    };
    match BusConfig::from_status(&config) {
        Ok(_) => Ok(config),
        Err(problems) => Err(Said::no(
            "EventBusNotSupported",
            format!("EventBus {name:?}: {}", problems.errors()),
        )),
    }
}
