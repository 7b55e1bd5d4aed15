//! Looks at one object and makes what must be so: the half that speaks to the API. What must be is decided elsewhere.

mod bus;
mod orphan;
mod pooled;
mod report;
mod workload;

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use kube::Client;
use serde_json::Value;

use super::Workloads;
use super::apply::{self, Applied, ApplyError, Done};
use super::cache::Cache;
use super::child::{Child, ChildKey, Settled, Settlement};
use super::holders::{Contents, HolderKey};
use super::known::Known;
use super::notices::{Notices, Weight};
use super::queue::{Job, Next};
use super::settings::Settings;
use super::wanted::Wanted;
use super::workload::references;
use crate::hosting::Kind;

pub(crate) use workload::bus_config;

/// What every look needs.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) settings: Arc<Settings>,
    pub(crate) workloads: Workloads,
    pub(crate) notices: Notices,
}

/// What a look goes by: all that the watches know of one object, at one moment.
pub(crate) enum View {
    Object(Box<ObjectView>),
    Orphan(Box<Child>),
}

/// See [`View`].
pub(crate) struct ObjectView {
    pub(crate) known: Arc<Known>,
    pub(crate) children: Vec<(Child, Option<Settled>)>,
    /// Of an EventSource or Sensor.
    pub(crate) bus: Option<Arc<Known>>,
    /// Of an EventBus: how many EventSources and Sensors name it.
    pub(crate) connected: (usize, usize),
    pub(crate) contents: HashMap<HolderKey, Contents>,
    /// Of an EventSource of the pool: the ports that stand for those of its spec.
    pub(crate) pool_ports: BTreeMap<u16, u16>,
    pub(crate) turn: u64,
}

/// How a look at nothing ends.
pub(crate) const NOTHING: Next = Next::Wait;

/// What a look has done.
pub(crate) struct Outcome {
    pub(crate) next: Next,
    pub(crate) applied: Vec<Settlement>,
    pub(crate) read: Vec<(HolderKey, Contents)>,
    /// The object as it was seen, and the status that was written to it.
    pub(crate) status: Option<(Arc<Known>, Value)>,
    pub(crate) turn: u64,
}

impl Outcome {
    pub(crate) const fn new(turn: u64) -> Self {
        Self {
            next: Next::Wait,
            applied: Vec::new(),
            read: Vec::new(),
            status: None,
            turn,
        }
    }
}

/// Collects what a look goes by; none where there is nothing to look at any more.
pub(crate) fn view(cache: &mut Cache, job: &Job) -> Option<View> {
    match job {
        Job::Orphan(key) => cache.orphan(key).map(Box::new).map(View::Orphan),
        Job::Object(key) => {
            let known = cache.object(key)?;
            let bus = match key.kind {
                Kind::EventBus => None,
                Kind::EventSource | Kind::Sensor => cache.bus_of(&known),
            };
            let config = bus.as_deref().and_then(bus_config);
            let named = match key.kind {
                Kind::EventBus => Default::default(),
                Kind::EventSource | Kind::Sensor => {
                    references::all(known.spec(), &config.unwrap_or_default())
                }
            };
            // Before anything is read, so that a change from now on is not missed.
            cache.refer(key, super::contents::holders(&key.namespace, &named));
            Some(View::Object(Box::new(ObjectView {
                children: cache.children_of(&known.uid),
                bus,
                connected: match key.kind {
                    Kind::EventBus => cache.connected(key),
                    Kind::EventSource | Kind::Sensor => (0, 0),
                },
                contents: cache.contents_for(key),
                pool_ports: BTreeMap::new(),
                turn: cache.turn(),
                known,
            })))
        }
    }
}

/// Looks at one object. A panic in here is that object's alone.
pub(crate) async fn look(context: Context, job: Job, view: View) -> (Job, Outcome) {
    let about = match &view {
        View::Object(view) => Some((view.known.clone(), view.turn)),
        View::Orphan(_) => None,
    };
    let work = async {
        match view {
            View::Orphan(child) => orphan::remove(&context, &child).await,
            View::Object(view) => match view.known.key.kind {
                Kind::EventBus => bus::look(&context, *view).await,
                Kind::EventSource | Kind::Sensor => workload::look(&context, *view).await,
            },
        }
    };
    let done = AssertUnwindSafe(work).catch_unwind().await;
    let outcome = match done {
        Ok(outcome) => outcome,
        Err(_) => {
            let turn = about.as_ref().map_or(0, |(_, turn)| *turn);
            tracing::error!(
                ?job,
                "the work on one object has panicked; the others go on"
            );
            if let Some((known, _)) = about {
                let note = "the controller has failed on this object; its log says where";
                let notices = &context.notices;
                notices
                    .say(&known, Weight::Warning, "Reconcile", "Panicked", note)
                    .await;
            }
            Outcome {
                next: Next::Retry,
                ..Outcome::new(turn)
            }
        }
    };
    (job, outcome)
}

/// Removes what is not wanted any more, then makes what is, in its order; stops at the first that fails.
async fn bring(
    context: &Context,
    view: &ObjectView,
    wanted: &[Wanted],
    outcome: &mut Outcome,
) -> Result<(), (&'static str, ApplyError)> {
    let known = &view.known;
    let keys: Vec<ChildKey> = wanted
        .iter()
        .map(|wanted| apply::key(&known.key.namespace, wanted))
        .collect();
    for (child, _) in &view.children {
        if !keys.contains(&child.key) {
            remove(context, known, child)
                .await
                .map_err(|error| ("DeleteFailed", error))?;
        }
    }
    for (wanted, key) in wanted.iter().zip(&keys) {
        let before = view.children.iter().find(|(child, _)| child.key == *key);
        let applied = apply::apply(&context.client, known, wanted, before)
            .await
            .map_err(|error| (reason(wanted.reason, before.is_some()), error))?;
        let Some(Applied {
            child,
            settled,
            done,
        }) = applied
        else {
            continue;
        };
        let word = match done {
            Done::Created => Some(("Created", "made")),
            Done::Changed => Some(("Updated", "brought to what it must be")),
            Done::Same => None,
        };
        if let Some((reason, what)) = word {
            let (kind, name) = (child.key.made.as_str(), &child.key.name);
            tracing::info!(kind, name, namespace = known.key.namespace, "{what}");
            let note = format!("{kind} {name:?} {what}");
            let notices = &context.notices;
            notices
                .say(known, Weight::Normal, "Apply", reason, &note)
                .await;
        }
        outcome.applied.push(Settlement {
            child,
            settled,
            before: before.map(|(before, _)| before.version.clone()),
        });
    }
    Ok(())
}

/// Argo tells apart whether what could not be brought in was there before.
fn reason(reason: &'static str, there: bool) -> &'static str {
    match (reason, there) {
        ("CreateDeploymentFailed", true) => "UpdateDeploymentFailed",
        ("CreateServiceFailed", true) => "UpdateServiceFailed",
        (reason, _) => reason,
    }
}

async fn remove(context: &Context, known: &Known, child: &Child) -> Result<(), ApplyError> {
    let (kind, name) = (child.key.made.as_str(), &child.key.name);
    let api = apply::api(&context.client, child.key.made, &child.key.namespace);
    apply::delete(&api, name, Some(&child.uid))
        .await
        .map_err(|source| ApplyError::Api {
            kind,
            name: name.clone(),
            source,
        })?;
    tracing::info!(
        kind,
        name,
        namespace = known.key.namespace,
        "removed, as it is not wanted any more"
    );
    let note = format!("{kind} {name:?} removed, as it is not wanted any more");
    let notices = &context.notices;
    notices
        .say(known, Weight::Normal, "Delete", "Deleted", &note)
        .await;
    Ok(())
}
