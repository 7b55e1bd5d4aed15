//! One firing from events to its end: rate limit, attempts, policy, dlqTrigger. It settles no message.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tiphys_core::backoff::BackoffSpec;
use tiphys_core::tasks::chain;

use super::limit::Limit;
use super::runner::Runner;
use super::told::tell_limited;
use crate::document::Events;
use crate::parameters::Notes;
use crate::prepared::Launcher;
use crate::record::{self, cut};
use crate::spec::K8sPolicySpec;
use crate::triggers::{FireError, Fired, FiringId, Kind};

/// Who waits longer for the rate limit is recorded as waiting.
const NOTICED: Duration = Duration::from_secs(1);

/// How a firing ended.
pub(super) enum End {
    /// The effect is there.
    Fired,
    /// The target is away: the same events later.
    Later,
    /// Given up.
    Dead,
    /// The sensor stops: somebody else does it.
    Stopped,
}

enum Failure {
    Stopped,
    Error(FireError),
}

impl Runner {
    /// Fires events. Nothing is lost when the future is dropped: the effect is repeatable or has not begun.
    /// `firing` is told what happened.
    pub(super) async fn fire(&self, events: &Events, firing: &mut record::Firing) -> End {
        if self.records.is_on() && (events.len() > 1 || self.records.is_thorough()) {
            let ids = events.iter();
            firing.events = ids
                .map(|(name, input)| (name.clone(), input.event().id.clone()))
                .collect();
        }
        let trigger = &self.prepared.name;
        if let Some(limit) = &self.limit
            && !Box::pin(self.has_slot(limit, events)).await
        {
            return End::Stopped;
        }
        let launcher = &self.prepared.launcher;
        let error = match self.attempt(launcher, events, firing).await {
            Ok(fired) => {
                success(trigger, events, &fired);
                if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("the target is back");
                }
                return End::Fired;
            }
            Err(Failure::Stopped) => return End::Stopped,
            Err(Failure::Error(error)) => error,
        };
        let Some(dlq) = &self.prepared.dlq else {
            let reason = chain(&error);
            if error.is_transient() && self.at_least_once {
                return self.later(&reason, events);
            }
            if !Box::pin(self.set_aside(events, &reason, firing.attempts)).await {
                return End::Later;
            }
            self.metrics.retries_failed.inc();
            // The start has said so of every event.
            if launcher.unsupported.is_none() {
                tracing::warn!(
                    error = reason,
                    events = ids(events),
                    "Failed to execute a trigger; the events are dead"
                );
            }
            return End::Dead;
        };
        self.metrics.retries_failed.inc();
        if launcher.unsupported.is_none() {
            tracing::warn!(
                error = chain(&error),
                events = ids(events),
                dlq = dlq.name,
                "Failed to execute a trigger; the dlqTrigger fires"
            );
        }
        firing.dlq = Some(dlq.name.clone());
        // What is rare is boxed, so that each event's future stays small.
        match Box::pin(self.attempt(dlq, events, firing)).await {
            Ok(fired) => {
                success(&dlq.name, events, &fired);
                firing.error = Some(cut(&chain(&error)));
                End::Dead
            }
            Err(Failure::Stopped) => End::Stopped,
            Err(Failure::Error(error)) => {
                let reason = chain(&error);
                if error.is_transient() && self.at_least_once {
                    return self.later(&reason, events);
                }
                if !Box::pin(self.set_aside(events, &reason, firing.attempts)).await {
                    return End::Later;
                }
                tracing::error!(
                    error = reason,
                    events = ids(events),
                    "failed to trigger dlqTrigger; the events are dead"
                );
                End::Dead
            }
        }
    }

    /// Waits for the rate limit, and is recorded as waiting where that takes long. False where the sensor stops.
    async fn has_slot(&self, limit: &Limit, events: &Events) -> bool {
        let mut wait = pin!(limit.wait());
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                () = &mut wait => return true,
                () = self.stopped() => return false,
                () = tokio::time::sleep(NOTICED), if !told => {
                    told = true;
                    tell_limited(self, events, &limit.text);
                }
            }
        }
    }

    /// The events wait for their target; the log hears of it once until it is back.
    fn later(&self, reason: &str, events: &Events) -> End {
        if self.away.swap(true, Ordering::Relaxed) {
            tracing::debug!(
                error = reason,
                events = ids(events),
                "the target is still away"
            );
        } else {
            tracing::warn!(
                error = reason,
                events = ids(events),
                "the target is away; events wait and are tried again"
            );
        }
        End::Later
    }

    async fn attempt(
        &self,
        launcher: &Launcher,
        events: &Events,
        firing: &mut record::Firing,
    ) -> Result<Fired, Failure> {
        let notes = if self.records.is_thorough() {
            Notes::on()
        } else {
            Notes::OFF
        };
        let id = launcher.firing_id(events);
        let mut attempt = 1;
        loop {
            // A process that stood still may find that another one has gone on.
            if !self.holder.is_mine() {
                return Err(Failure::Stopped);
            }
            let begun = Instant::now();
            let result = self.once(launcher, events, &id, &notes).await;
            self.metrics.action.observe(begun.elapsed().as_secs_f64());
            firing.attempts += 1;
            firing.parameters = notes.take();
            let error = match result {
                Ok(fired) => {
                    self.metrics.triggered.inc();
                    firing.error = None;
                    firing.effect = Some(fired.clone());
                    return Ok(fired);
                }
                Err(error) => error,
            };
            self.metrics.failed.inc();
            firing.error = Some(cut(&chain(&error)));
            // What this build cannot do it cannot do in a minute either.
            let wait = match &error {
                FireError::Unsupported { .. } => None,
                _ => launcher.attempts.wait_after(attempt),
            };
            let Some(wait) = wait else {
                return Err(Failure::Error(error));
            };
            tracing::debug!(
                attempt,
                error = chain(&error),
                "a trigger failed and is tried again"
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stopped() => return Err(Failure::Stopped),
            }
            attempt += 1;
        }
    }

    async fn once(
        &self,
        launcher: &Launcher,
        events: &Events,
        id: &FiringId<'_>,
        notes: &Notes,
    ) -> Result<Fired, FireError> {
        let effect = launcher.plan(events, id, &self.world, notes).await?;
        let fired = effect.perform(&self.world).await?;
        let policy = launcher
            .policy
            .as_ref()
            .and_then(|policy| policy.k8s.as_ref());
        if let (Some(policy), Some([api_version, kind, namespace, name])) = (policy, fired.object())
        {
            let kind = Kind {
                api_version: api_version.to_owned(),
                kind: kind.to_owned(),
            };
            Box::pin(self.await_labels(policy, &kind, namespace, name)).await?;
        }
        Ok(fired)
    }

    /// Looks at an object until it has the labels, or the backoff ends.
    async fn await_labels(
        &self,
        policy: &K8sPolicySpec,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<(), FireError> {
        let Some(labels) = &policy.labels else {
            return Ok(());
        };
        let backoff = policy
            .backoff
            .as_ref()
            .map_or_else(|| BackoffSpec::default().backoff(), BackoffSpec::backoff);
        let mut attempt = 1;
        loop {
            let live = self.world.labels(kind, namespace, name).await?;
            let all = labels
                .iter()
                .all(|(key, value)| live.get(key) == Some(value));
            if all && !live.is_empty() {
                return Ok(());
            }
            match backoff.wait_after(attempt) {
                Some(wait) => tokio::time::sleep(wait).await,
                None if policy.error_on_backoff_timeout => {
                    return Err(FireError::permanent(
                        "failed to determine status of the triggered resource. setting trigger state as failed",
                    ));
                }
                None => return Ok(()),
            }
            attempt += 1;
        }
    }
}

fn ids(events: &Events) -> String {
    let ids: BTreeSet<&str> = events
        .values()
        .map(|input| input.event().id.as_str())
        .collect();
    ids.into_iter().collect::<Vec<_>>().join(",")
}

fn success(trigger: &str, events: &Events, fired: &Fired) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let dependencies: Vec<&str> = events.keys().map(String::as_str).collect();
    tracing::debug!(
        triggeredBy = dependencies.join(","),
        triggeredByEvents = ids(events),
        effect = ?fired,
        "Successfully processed trigger '{trigger}'"
    );
}
