//! An EventBus: makes its servers, writes down how it is reached, keeps it while somebody uses it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, ResourceExt as _};
use tiphys_core::Problems;
use tiphys_core::manifest::Document;
use tiphys_core::tasks::chain;
use tiphys_eventbus::{BusConfig, EventBusSpec};

use super::report::report;
use super::workload::set_finalizers;
use super::{Context, ObjectView, Outcome, bring};
use crate::check::{self, Checked};
use crate::hosting::Kind;
use crate::operator::apply::{self, ApplyError};
use crate::operator::conditions::{Conditions, Said};
use crate::operator::eventbus::{self, Bus, Secrets};
use crate::operator::known::Known;
use crate::operator::notices::Weight;
use crate::operator::queue::Next;
use crate::operator::wanted::Made;
use crate::operator::workload::{controller_label, selector};

pub(super) async fn look(context: &Context, view: ObjectView) -> Outcome {
    let mut outcome = Outcome::new(view.turn);
    let known = &view.known;
    if known.deleting {
        leave(context, &view, &mut outcome).await;
        return outcome;
    }
    let finalizer = controller_label(Kind::EventBus);
    if !known.finalizers.iter().any(|name| name == finalizer) {
        let mut finalizers = known.finalizers.clone();
        finalizers.push(finalizer.to_owned());
        if let Err(error) = set_finalizers(context, known, finalizers.into_iter()).await {
            tracing::debug!(name = known.key.name, error = %chain(&error), "cannot hold an EventBus");
            outcome.next = Next::Retry;
            return outcome;
        }
    }
    let mut conditions = Conditions::new(Kind::EventBus);
    let (pods, config) = make(context, &view, &mut conditions, &mut outcome).await;
    let ready = conditions.ready(pods);
    report(context, known, &conditions, ready, config, &mut outcome).await;
    outcome
}

/// Makes what must be; gives what the servers say, and how the bus is reached.
async fn make(
    context: &Context,
    view: &ObjectView,
    conditions: &mut Conditions,
    outcome: &mut Outcome,
) -> (Said, Option<serde_json::Value>) {
    let known = &view.known;
    let unknown = || Said::unknown("Waiting", "not looked at yet");
    let stateful_set = view
        .children
        .iter()
        .map(|(child, _)| child)
        .find(|child| child.key.made == Made::StatefulSet)
        .and_then(|child| child.object.clone());
    let mut problems = Problems::default();
    let document = Document::from_object(known.object.clone());
    let checked = check::check(&document, &mut problems);
    check::names(&document, checked.as_ref(), &mut problems);
    let spec = match checked {
        Some(Checked::EventBus(spec)) if !problems.has_errors() => spec,
        _ => {
            conditions.say("Configured", Said::no("InvalidSpec", problems.errors()));
            conditions.say("Deployed", left(known, stateful_set.is_some()));
            return (unknown(), None);
        }
    };
    conditions.say("Configured", Said::yes("Valid", "the spec can be used"));
    let bus = bus(known, &spec);
    if let Some(stateful_set) = &stateful_set
        && let Some(refused) = eventbus::refused_change(bus, stateful_set)
    {
        conditions.say("Deployed", Said::no(&refused.reason, refused.message));
        return (unknown(), None);
    }
    let existing = match secrets(context, known, &eventbus::secret_names(bus)).await {
        Ok(existing) => existing,
        Err(error) => {
            let message = format!("cannot read the bus's Secrets: {}", chain(&error));
            conditions.say("Deployed", Said::no("JetStreamAuthSecretsFailed", message));
            outcome.next = Next::Retry;
            return (unknown(), None);
        }
    };
    let plan = match eventbus::plan(bus, &context.settings.jetstream, &existing) {
        Ok(plan) => plan,
        Err(refused) => {
            conditions.say("Deployed", Said::no(&refused.reason, refused.message));
            return (unknown(), None);
        }
    };
    if let Err((reason, error)) = bring(context, view, &plan.wanted, outcome).await {
        conditions.say("Deployed", Said::no(reason, refusal(&error)));
        outcome.next = Next::Retry;
        return (unknown(), None);
    }
    conditions.say("Deployed", Said::yes(plan.reason, plan.message.clone()));
    let applied = outcome
        .applied
        .iter()
        .map(|applied| &applied.child)
        .find(|child| child.key.made == Made::StatefulSet)
        .and_then(|child| child.object.clone());
    let servers = eventbus::readiness(bus, applied.or(stateful_set).as_deref());
    let pods = match servers {
        None => match BusConfig::from_status(&plan.config) {
            Ok(_) => Said::yes(plan.reason, plan.message),
            Err(problems) => Said::no("EventBusNotSupported", problems.errors()),
        },
        Some(servers) if servers.ready => Said::yes(servers.reason, servers.message),
        Some(servers) => Said::unknown(servers.reason, servers.message),
    };
    (pods, serde_json::to_value(&plan.config).ok())
}

/// Why an object of the bus could not be brought in, with what to do where that is not plain.
fn refusal(error: &ApplyError) -> String {
    let mut text = apply::sentence(error);
    if text.contains("updates to statefulset spec") {
        text.push_str(
            "; spec.persistence is fixed once the servers are there: resize their PersistentVolumeClaims, then run kubectl delete statefulset --cascade=orphan, and it is made anew around the pods that run",
        );
    }
    text
}

/// What is said of a bus whose spec cannot be used.
fn left(known: &Known, servers: bool) -> Said {
    const WHY: &str = "the spec has problems";
    if servers {
        let message = format!("{WHY}; the servers go on with the spec before it");
        return Said::unknown("Unchanged", message);
    }
    if known.status().get("config").is_some() {
        let message = format!("{WHY}; what uses the bus goes on with the spec before it");
        return Said::unknown("Unchanged", message);
    }
    Said::unknown("Waiting", format!("{WHY}; nothing is made"))
}

fn bus<'a>(known: &'a Known, spec: &'a EventBusSpec) -> Bus<'a> {
    Bus {
        namespace: &known.key.namespace,
        name: &known.key.name,
        labels: &known.labels,
        annotations: &known.annotations,
        spec,
    }
}

/// The bus's own Secrets among those names.
async fn secrets(
    context: &Context,
    known: &Known,
    names: &[String],
) -> Result<Secrets, kube::Error> {
    let api = Api::<Secret>::namespaced(context.client.clone(), &known.key.namespace);
    let mut found = Secrets::new();
    for name in names {
        let Some(secret) = api.get_opt(name).await? else {
            continue;
        };
        let ours = secret
            .owner_references()
            .iter()
            .any(|owner| owner.controller == Some(true) && owner.uid == known.uid);
        if ours {
            let data = secret.data.unwrap_or_default().into_iter();
            let data: BTreeMap<String, Vec<u8>> = data.map(|(key, value)| (key, value.0)).collect();
            found.insert(name.clone(), data);
        }
    }
    Ok(found)
}

/// Lets a bus go when nobody uses it any more, with what its servers kept.
async fn leave(context: &Context, view: &ObjectView, outcome: &mut Outcome) {
    let known = &view.known;
    let finalizer = controller_label(Kind::EventBus);
    if !known.finalizers.iter().any(|name| name == finalizer) {
        return;
    }
    let (sources, sensors) = view.connected;
    if sources > 0 || sensors > 0 {
        let connected = match (sources, sensors) {
            (sources, 0) => format!("{sources} EventSources connected"),
            (0, sensors) => format!("{sensors} Sensors connected"),
            (sources, sensors) => {
                format!("{sources} EventSources connected and {sensors} Sensors connected")
            }
        };
        let message = format!("can not delete an EventBus with {connected}");
        let mut conditions = Conditions::new(Kind::EventBus);
        conditions.as_before(known.status());
        let ready = Said::no("InUse", message);
        report(context, known, &conditions, ready, None, outcome).await;
        return;
    }
    if let Err(error) = let_go(context, known, finalizer).await {
        tracing::warn!(name = known.key.name, error = %chain(&error), "cannot let an EventBus go");
        let note = format!("cannot remove what the bus kept: {}", chain(&error));
        let notices = &context.notices;
        notices
            .say(known, Weight::Warning, "Delete", "DeleteFailed", &note)
            .await;
        outcome.next = Next::Retry;
    }
}

async fn let_go(context: &Context, known: &Known, finalizer: &str) -> Result<(), kube::Error> {
    let labels: Vec<String> = selector(Kind::EventBus, &known.key.name)
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let api =
        Api::<PersistentVolumeClaim>::namespaced(context.client.clone(), &known.key.namespace);
    let claims = api
        .list_metadata(&ListParams::default().labels(&labels.join(",")))
        .await?;
    for claim in claims {
        match api
            .delete(&claim.name_any(), &DeleteParams::default())
            .await
        {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    set_finalizers(
        context,
        known,
        known
            .finalizers
            .iter()
            .filter(|name| *name != finalizer)
            .cloned(),
    )
    .await
}
