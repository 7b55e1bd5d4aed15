//! A running Sensor: one durable consumer and one task per trigger, from messages to effects to acknowledgements.
//! It decides nothing about events: dependencies, filters and conditions do.
//!
//! ```text
//! Subscriber ─▶ Runner ─▶ admit ─▶ single: fire each at once, many side by side
//!                              └─▶ joined: state ─▶ fire ─▶ state, one after the other
//!                                               Attempts: rate limit, retries, dlqTrigger
//! Message ◀── ack after the effect │ retry_after while the target is away │ ack and count as dead
//! ```
//!
//! What becomes of an event whose firing fails: a target that is away, busy or failing (`Transient`) gets it again and
//! again with growing pauses; anything else is tried as often as `retryStrategy` says, then the `dlqTrigger` fires, and
//! the event counts as dead. With a `dlqTrigger`, a target that is away is given up after the attempts too.

mod again;
mod attempts;
mod dead;
mod decide;
mod joined;
mod ledger;
mod limit;
mod predecessors;
mod runner;
mod settled;
mod shelf;
mod single;
mod store;
mod tenants;
mod told;
mod turns;
mod unreadable;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tiphys_core::metrics::Metrics;
use tiphys_core::{Problems, Secrets, Tasks};
use tiphys_eventbus::{Bus, Start, SubjectPattern, SubscribeError, Subscription, Turn};
use tracing::Instrument as _;

use crate::artifacts::{Artifacts, PrivateAddresses};
use crate::prepared::{Owner, Prepared};
use crate::record::{Labels, Recorder};
use crate::spec::{Sensor, SensorSpec, StartFrom, TriggerSpec, template_engine};
use crate::triggers::{FireError, World, digest};
pub use again::{AgainError, Replay, Replayed};
pub use dead::{DeadEvent, DeadLetter, DeadLetters};
use ledger::Ledger;
use limit::Limit;
use predecessors::predecessors;
use runner::Runner;
use settled::Remembered;
use store::Store;
pub use tenants::{Cleared, Tenant};
use turns::Turns;

/// How long a message may stay without a sign before it is delivered again.
pub(crate) const ACK_WAIT: Duration = Duration::from_secs(30);

/// The same where one process at a time runs a trigger: whoever follows one that was killed waits so long for what it had
/// in hand.
const SINGLE_ACK_WAIT: Duration = Duration::from_secs(10);

/// How long a stopping sensor finishes what it has in hand.
const GRACE: Duration = Duration::from_secs(20);

/// A Sensor object as the runtime needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct SensorObject {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its annotations; they may choose the template engine.
    pub annotations: BTreeMap<String, String>,
    /// Its spec.
    pub spec: SensorSpec,
}

impl SensorObject {
    /// Takes a resource; one without a namespace is in the given one.
    #[must_use]
    pub fn new(sensor: Sensor, default_namespace: &str) -> Self {
        let metadata = sensor.metadata;
        Self {
            namespace: metadata
                .namespace
                .unwrap_or_else(|| default_namespace.to_owned()),
            name: metadata.name.unwrap_or_default(),
            annotations: metadata.annotations.unwrap_or_default(),
            spec: sensor.spec,
        }
    }
}

/// Why a sensor does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The spec must change.
    #[error("the sensor is not valid: {0}")]
    Invalid(String),
    /// This build cannot run one of its triggers.
    #[error("trigger {trigger:?} cannot run")]
    Trigger {
        /// The trigger's name.
        trigger: String,
        /// Why.
        #[source]
        source: FireError,
    },
    /// Try again: the bus cannot be reached.
    #[error("cannot subscribe trigger {trigger:?}")]
    Bus {
        /// The trigger's name.
        trigger: String,
        /// Why.
        #[source]
        source: SubscribeError,
    },
}

/// What a sensor reaches from where it runs.
#[derive(Clone)]
pub struct Reach {
    /// The API that triggers act on.
    pub client: kube::Client,
    /// Where secret and config map values are read from.
    pub secrets: Arc<dyn Secrets>,
    /// The files by whose host keys ssh servers are known, as OpenSSH writes them.
    pub known_hosts: Arc<[PathBuf]>,
}

/// Where a sensor runs: its bus, and whether it is this process's turn at what only one process may run.
pub struct Seat {
    bus: Bus,
    turn: Turn,
}

impl From<Bus> for Seat {
    /// For a process that is alone.
    fn from(bus: Bus) -> Self {
        let turn = Turn::alone();
        Self { bus, turn }
    }
}

impl From<(Bus, Turn)> for Seat {
    fn from((bus, turn): (Bus, Turn)) -> Self {
        Self { bus, turn }
    }
}

/// Starts sensors.
#[derive(Debug, Clone, Copy)]
pub struct SensorRuntime;

/// A sensor that runs until it is stopped. Cloning shares it.
#[derive(Clone)]
pub struct RunningSensor {
    tasks: Tasks,
    runners: Arc<[Arc<Runner>]>,
    letters: Arc<DeadLetters>,
    owner: Owner,
}

impl RunningSensor {
    /// What this build cannot run of it, with the reason. What these triggers would fire for is dead; the others run.
    #[must_use]
    pub fn cannot_run(&self) -> Vec<String> {
        let of = |runner: &Arc<Runner>| runner.prepared.cannot_run();
        self.runners.iter().flat_map(of).collect()
    }

    /// Takes no more messages, finishes those in hand, and leaves the rest on the bus.
    pub async fn stop(self) {
        if let Err(error) = self.tasks.stop(GRACE).await {
            tracing::warn!(%error, "a sensor was stopped with work in hand; it is delivered again");
        }
    }

    /// The events of its bus that were given up.
    #[must_use]
    pub fn dead(&self) -> &DeadLetters {
        &self.letters
    }

    /// Waits for a task of the sensor that ends unasked.
    pub async fn failed(&self) -> tiphys_core::tasks::TaskFailed {
        self.tasks.failed().await
    }
}

impl SensorRuntime {
    /// Subscribes every trigger, then starts them. Events published after this returns are not missed.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn start(
        object: SensorObject,
        seat: impl Into<Seat>,
        reach: Reach,
        metrics: &Metrics,
        records: &Recorder,
        tasks: &Tasks,
    ) -> Result<RunningSensor, StartError> {
        let SensorObject {
            namespace,
            name,
            annotations,
            spec,
        } = object;
        let Seat { bus, turn } = seat.into();
        let engine = template_engine(&annotations).unwrap_or_default();
        let start = StartFrom::new(&annotations).map_err(StartError::Invalid)?;
        let mut problems = Problems::default();
        problems.at("spec", |problems| spec.validate_with(engine, problems));
        if problems.has_errors() {
            return Err(StartError::Invalid(problems.errors()));
        }
        let owner = Owner {
            namespace: namespace.clone(),
            sensor: name.clone(),
        };
        let mut prepared = Vec::new();
        for trigger in &spec.triggers {
            let made = Prepared::new(&spec, trigger, &owner, engine);
            let made = made.map_err(|source| StartError::Trigger {
                trigger: trigger_name(trigger),
                source,
            })?;
            prepared.push((made, trigger));
        }
        if let Some((trigger, source)) = Prepared::none_runs(prepared.iter().map(|(made, _)| made))
        {
            return Err(StartError::Trigger { trigger, source });
        }
        let prefix = durable_prefix(&owner);
        let durable = |trigger: &str| format!("{prefix}{}", short(&[trigger], 12));
        let wanted: Vec<String> = prepared
            .iter()
            .map(|(made, _)| durable(&made.name))
            .collect();
        let known = forget_others(&bus, &prefix, &wanted).await;

        let private = PrivateAddresses::new(&annotations).map_err(StartError::Invalid)?;
        let artifacts = Artifacts::new(private, reach.known_hosts);
        let world = Arc::new(World::new(reach.client, reach.secrets, artifacts));
        let letters = Arc::new(DeadLetters::new(bus.clone()));
        let tasks = tasks.child();
        let mut runners = Vec::new();
        for (made, trigger) in prepared {
            let mut subscription = subscription(durable(&made.name), &made, start.start());
            let single = trigger.is_single();
            if single {
                subscription.ack_wait = SINGLE_ACK_WAIT;
            }
            let subscriber = bus
                .subscribe_after(subscription.clone(), predecessors(&name, &made))
                .await
                .map_err(|source| StartError::Bus {
                    trigger: made.name.clone(),
                    source,
                })?;
            let counters = metrics.trigger(&namespace, &name, &made.name);
            let condition = made.condition.to_string();
            let names = [&*namespace, &*name, &*made.name];
            let labels = Labels::new(names, condition, &made.dependencies);
            let ledger = Ledger::new(counters.clone());
            if !known.contains(&subscription.durable) {
                // A consumer of this name has been removed since: what it had in hand never comes back.
                ledger.drop_carried(usize::MAX);
            }
            let runner = Runner {
                limit: trigger
                    .rate_limit
                    .as_ref()
                    .map(|limit| Limit::new(limit, &bus, &subscription.durable)),
                at_least_once: trigger.at_least_once != Some(false),
                prepared: made,
                subscription,
                bus: bus.clone(),
                world: Arc::clone(&world),
                ledger,
                metrics: counters,
                stop: tasks.stop_token(),
                away: AtomicBool::new(false),
                confirmed: Mutex::default(),
                records: records.clone(),
                holder: if single { turn.clone() } else { Turn::alone() },
                settled: Remembered::default(),
                turns: (!trigger.order_by.is_empty()).then(|| Turns::new(&trigger.order_by)),
                since: start.since(),
                labels: Arc::new(labels),
                letters: Arc::clone(&letters),
            };
            runners.push((Arc::new(runner), subscriber));
        }
        let fields: Vec<String> = spec
            .logging_fields
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        // A field that is not recorded does not show at all.
        let fields = (!fields.is_empty()).then(|| fields.join(","));
        let mut running = Vec::new();
        for (runner, subscriber) in runners {
            running.push(Arc::clone(&runner));
            let trigger = runner.prepared.name.clone();
            let span = tracing::info_span!("sensor", namespace, sensor = name, trigger, fields);
            let task = format!("sensor {namespace}/{name} trigger {trigger}");
            for what in runner.prepared.cannot_run() {
                tracing::warn!(parent: &span, "{what}");
            }
            tasks.spawn(task, runner.run(subscriber).instrument(span));
        }
        tracing::info!(
            namespace,
            sensor = name,
            triggers = spec.triggers.len(),
            "Sensor started."
        );
        Ok(RunningSensor {
            tasks,
            runners: running.into(),
            letters,
            owner,
        })
    }

    /// Removes everything that a deleted sensor leaves on the bus: its consumers and held events. Says whether there was
    /// anything.
    ///
    /// # Errors
    /// When the bus cannot be reached; it can be done again.
    pub async fn forget(bus: &Bus, namespace: &str, name: &str) -> Result<bool, SubscribeError> {
        let owner = Owner {
            namespace: namespace.to_owned(),
            sensor: name.to_owned(),
        };
        let prefix = durable_prefix(&owner);
        let durables = bus.durables(&prefix).await?;
        for durable in &durables {
            forget(bus, durable).await?;
        }
        // Somebody may have deleted a consumer whose state is there still.
        let held = Store::forget_all(bus, &prefix).await?;
        Ok(held || !durables.is_empty())
    }

    /// Ends the account of triggers that are gone: what this process still counts as pending never comes back.
    pub fn close_account(metrics: &Metrics, namespace: &str, sensor: &str, triggers: &[String]) {
        for trigger in triggers {
            let counters = metrics.trigger(namespace, sensor, trigger);
            Ledger::new(counters).drop_carried(usize::MAX);
        }
    }
}

fn trigger_name(trigger: &TriggerSpec) -> String {
    trigger
        .template
        .as_ref()
        .map(|template| template.name.clone())
        .unwrap_or_default()
}

fn short(parts: &[&str], length: usize) -> String {
    let mut text = digest(parts);
    text.truncate(length);
    text
}

/// Readable for people, and unambiguous by its hash whatever the names are.
fn durable_prefix(owner: &Owner) -> String {
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let namespace: String = owner.namespace.chars().filter(plain).take(40).collect();
    format!(
        "tiphys-{namespace}-{}-",
        short(&[&owner.namespace, &owner.sensor], 12)
    )
}

fn subscription(durable: String, prepared: &Prepared, start: Start) -> Subscription {
    let mut subjects: Vec<SubjectPattern> = prepared
        .dependencies
        .iter()
        .map(|dependency| SubjectPattern {
            source: dependency.source.clone(),
            event: dependency.event.clone(),
        })
        .collect();
    subjects.sort();
    subjects.dedup();
    Subscription {
        durable,
        subjects,
        start,
        ack_wait: ACK_WAIT,
        max_in_flight: prepared.launcher.parallel,
    }
}

/// A trigger that is no longer in the spec leaves nothing behind. What cannot be removed now goes the next time.
/// Returns the consumers that there were; where the bus does not say, those that are wanted.
async fn forget_others(bus: &Bus, prefix: &str, wanted: &[String]) -> Vec<String> {
    let Ok(known) = bus.durables(prefix).await else {
        return wanted.to_vec();
    };
    for durable in known.iter().filter(|durable| !wanted.contains(durable)) {
        match forget(bus, durable).await {
            Ok(()) => tracing::info!(durable, "the consumer of a removed trigger is gone with it"),
            Err(error) => tracing::debug!(durable, %error, "an unused consumer stays for now"),
        }
    }
    known
}

async fn forget(bus: &Bus, durable: &str) -> Result<(), SubscribeError> {
    Store::forget(bus, durable).await?;
    Limit::forget(bus, durable).await?;
    bus.forget(durable).await
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_again;
#[cfg(test)]
mod tests_ends;
#[cfg(test)]
mod tests_faults;
#[cfg(test)]
mod tests_sink;
#[cfg(test)]
mod tests_turns;
