//! Conditions that need several events: the state machine, its durable state, and the order effect, state, ack.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tiphys_core::Event;
use tiphys_eventbus::{Message, StateError};

use super::STATE_BUCKET;
use super::attempts::End;
use super::ledger::Outcome;
use super::runner::{Answer, Runner, admit};
use super::told::{tell_unmet, waits_for};
use crate::conditions::{KeptEvents, State, Step};
use crate::dependency::{Admission, Dependency};
use crate::document::{Events, Input};
use crate::filters::{Report, Verdict};
use crate::record::{self, End as Ended};

/// What a condition holds, as far as this replica knows.
pub(super) struct Joined {
    state: Option<(State, Option<u64>)>,
    empty: State,
    /// Opened once: on a server it costs a round trip.
    store: Option<Arc<dyn tiphys_eventbus::State>>,
    /// The events that are counted as pending here; `None` before the stored ones were.
    counted: Option<BTreeSet<String>>,
}

/// What one dependency made of an event.
enum Part {
    Filtered,
    Held,
    Known,
    Ended,
    Later,
    Stopped,
}

impl Joined {
    pub(super) fn new(runner: &Runner) -> Self {
        Self {
            state: None,
            empty: State::new(&runner.prepared.version),
            store: None,
            counted: None,
        }
    }

    /// Counts what is held already, so that it shows as pending before the first message.
    pub(super) async fn count_stored(&mut self, runner: &Runner) {
        match self.load(runner).await {
            Ok(known) => self.state = Some(known),
            Err(error) => tracing::debug!(%error, "the stored state is read with the first event"),
        }
    }

    /// Takes a message through its dependencies.
    pub(super) async fn take(&mut self, runner: &Runner, message: Message) -> (Message, Answer) {
        let mut message = message;
        let answer = self.answer(runner, &mut message).await;
        (message, answer)
    }

    async fn answer(&mut self, runner: &Runner, message: &mut Message) -> Answer {
        let event = match runner.event(message).await {
            Ok(event) => event,
            Err(answer) => {
                runner.ledger.begin(message.seq, message.delivery);
                return answer;
            }
        };
        if !runner.ack_first(message).await {
            return Answer::Later;
        }
        let (mut parts, mut told) = (Vec::new(), Vec::new());
        for dependency in &runner.prepared.dependencies {
            if !dependency.matches(&event) {
                continue;
            }
            let part = match self
                .part(runner, dependency, message, &event, &mut told)
                .await
            {
                Ok(part) => part,
                Err(error) => {
                    tracing::warn!(%error, event = event.id, "cannot keep an event for its condition; it is delivered again");
                    self.state = None;
                    Part::Later
                }
            };
            let ends = matches!(part, Part::Later | Part::Stopped);
            parts.push(part);
            if ends {
                break;
            }
        }
        let answer = self.sum(runner, message, &parts);
        self.record(runner, message, &event, answer, told);
        answer
    }

    fn record(
        &self,
        runner: &Runner,
        message: &Message,
        event: &Arc<Event>,
        answer: Answer,
        told: Vec<record::Part>,
    ) {
        let worst = told.iter().map(|part| part.end).max();
        let end = match answer {
            Answer::Known | Answer::Stopped | Answer::Old => return,
            Answer::End(Outcome::Dead) => Ended::Dead,
            Answer::End(Outcome::Fired) => Ended::Fired,
            Answer::End(Outcome::Filtered) => Ended::Filtered,
            Answer::End(Outcome::Elsewhere) => Ended::Pending,
            Answer::Later => Ended::Pending,
            Answer::Held => worst.unwrap_or(Ended::Pending),
        };
        if !runner.records.is_on() {
            return;
        }
        let mut draft = runner.draft(Some(event), told, end, None);
        (draft.seq, draft.delivery) = (message.seq, message.delivery);
        (draft.held, draft.missing) = self.waits(runner);
        runner.records.record(draft);
    }

    /// What is held, and which sets of dependencies are missing.
    pub(super) fn waits(&self, runner: &Runner) -> (BTreeMap<String, String>, Vec<Vec<String>>) {
        let held = self.state.as_ref().map(|(state, _)| state.held_ids());
        (held.unwrap_or_default(), self.missing(runner))
    }

    /// The answer to a message whose parts are counted where the state changed.
    fn sum(&self, runner: &Runner, message: &Message, parts: &[Part]) -> Answer {
        if parts.iter().any(|part| matches!(part, Part::Stopped)) {
            return Answer::Stopped;
        }
        if parts.iter().any(|part| matches!(part, Part::Later)) {
            if runner.at_least_once {
                return Answer::Later;
            }
            // Acknowledged already: nobody will deliver it again.
            runner.ledger.begin(message.seq, message.delivery);
            return Answer::End(Outcome::Dead);
        }
        if parts
            .iter()
            .any(|part| matches!(part, Part::Held | Part::Ended))
        {
            return Answer::Held;
        }
        if parts.iter().any(|part| matches!(part, Part::Known)) {
            return Answer::Known;
        }
        runner.ledger.begin(message.seq, message.delivery);
        Answer::End(Outcome::Filtered)
    }

    async fn part(
        &mut self,
        runner: &Runner,
        dependency: &Dependency,
        message: &Message,
        event: &Arc<Event>,
        told: &mut Vec<record::Part>,
    ) -> Result<Part, StateError> {
        let mut report = Report::new(runner.detail());
        let input = match admit(dependency, event, &mut report) {
            Admission::Passed(input) => input,
            Admission::Filtered(verdict) => {
                tracing::debug!(
                    event = event.id,
                    dependency = dependency.name,
                    verdict = ?verdict,
                    leaves = ?report.leaves,
                    "an event is filtered"
                );
                let part =
                    record::Part::new(&dependency.name, verdict, report.leaves, Ended::Filtered);
                told.push(part);
                return Ok(Part::Filtered);
            }
        };
        let (condition, name) = (&runner.prepared.condition, &dependency.name);
        let join = runner.prepared.join.as_ref();
        let group = match join.map(|join| join.key(name, input.event())) {
            None => None,
            Some(Ok(group)) => Some(group),
            Some(Err(why)) => {
                tracing::debug!(
                    event = event.id,
                    dependency = name,
                    why,
                    "an event is filtered"
                );
                let verdict = Verdict::Failed(why);
                told.push(record::Part::new(
                    name,
                    verdict,
                    report.leaves,
                    Ended::Filtered,
                ));
                return Ok(Part::Filtered);
            }
        };
        let at = message.stored_at;
        let mut part = record::Part::new(name, Verdict::Passed, report.leaves, Ended::Pending);
        let (unmet, step) = self
            .change(runner, |state| {
                let reset = reset(runner, state);
                let unmet = join.map(|join| state.expire(join.oldest(at)));
                let unmet = unmet.unwrap_or_default();
                let step = match &group {
                    None => state.on_event(condition, name, input.event(), at),
                    Some(group) => state.on_keyed(condition, name, group, input.event(), at),
                };
                let taken = !matches!(step, Step::Known);
                if taken {
                    state.opened(name, input.event(), message.seq);
                }
                let changed = reset || !unmet.is_empty() || taken;
                ((unmet, step), changed)
            })
            .await?;
        tell_unmet(runner, &unmet);
        let missing = |joined: &Self| match (&group, &joined.state) {
            (Some(group), Some((state, _))) => {
                condition.missing(|name| state.groups().has(group, name))
            }
            _ => joined.missing(runner),
        };
        match step {
            Step::Known => Ok(Part::Known),
            Step::Held => {
                tracing::debug!(
                    event = event.id,
                    dependency = name,
                    missing = ?self.missing(runner),
                    "an event waits for its condition"
                );
                let of = group
                    .as_ref()
                    .map(|group| format!(" of key {}", record::shown(group)));
                part.note = Some(format!(
                    "{}{}",
                    waits_for(&missing(self)),
                    of.unwrap_or_default()
                ));
                told.push(part);
                Ok(Part::Held)
            }
            Step::Replaced(older) => {
                tracing::debug!(
                    event = event.id,
                    replaced = older.id,
                    dependency = name,
                    "a newer event waits instead"
                );
                let waits = waits_for(&self.missing(runner));
                part.note = Some(format!("{waits}; event {} is given up for it", older.id));
                told.push(part);
                Ok(Part::Held)
            }
            Step::Fire(by, events) => {
                let mut firing = record::Firing::default();
                let finished = self.finish(runner, message, &by, events, &mut firing).await;
                part.end = match &finished {
                    Ok((_, outcome)) => *outcome,
                    Err(_) => Ended::Pending,
                };
                part.firing = Some(firing);
                told.push(part);
                finished.map(|(part, _)| part)
            }
        }
    }

    async fn finish(
        &mut self,
        runner: &Runner,
        message: &Message,
        by: &str,
        kept: KeptEvents,
        firing: &mut record::Firing,
    ) -> Result<(Part, Ended), StateError> {
        let events: Events = kept
            .into_iter()
            .map(|(name, kept)| (name, Input::new(kept.0)))
            .collect();
        let outcome = match runner.marked(message, runner.fire(&events, firing)).await {
            End::Fired => Outcome::Fired,
            End::Dead => Outcome::Dead,
            End::Later if runner.at_least_once => return Ok((Part::Later, Ended::Pending)),
            End::Stopped if runner.at_least_once => return Ok((Part::Stopped, Ended::Pending)),
            End::Later | End::Stopped => Outcome::Dead,
        };
        let done = self.change_as(runner, outcome, |state| {
            state.done(by);
            ((), true)
        });
        done.await?;
        let end = if outcome == Outcome::Fired {
            Ended::Fired
        } else {
            Ended::Dead
        };
        Ok((Part::Ended, end))
    }

    /// Gives up what has met nobody, when nothing has come for a while.
    pub(super) async fn tick(&mut self, runner: &Runner) {
        let Some(join) = &runner.prepared.join else {
            return;
        };
        let before = join.oldest(Timestamp::now());
        let expired = self.change(runner, |state| {
            let unmet = state.expire(before);
            let changed = !unmet.is_empty();
            (unmet, changed)
        });
        match expired.await {
            Ok(unmet) => tell_unmet(runner, &unmet),
            Err(error) => tracing::debug!(%error, "cannot look for events that met nobody"),
        }
    }

    fn missing(&self, runner: &Runner) -> Vec<Vec<String>> {
        let Some((state, _)) = &self.state else {
            return Vec::new();
        };
        let present = state.present();
        runner
            .prepared
            .condition
            .missing(|name| present.contains(name))
    }

    /// Changes the stored state; events that leave it were replaced or reset, and are dead.
    async fn change<T>(
        &mut self,
        runner: &Runner,
        change: impl Fn(&mut State) -> (T, bool),
    ) -> Result<T, StateError> {
        self.change_as(runner, Outcome::Dead, change).await
    }

    /// Changes the stored state, again where another replica was faster. Events that leave it are counted.
    async fn change_as<T>(
        &mut self,
        runner: &Runner,
        outcome: Outcome,
        change: impl Fn(&mut State) -> (T, bool),
    ) -> Result<T, StateError> {
        loop {
            let (mut state, revision) = self.load(runner).await?;
            let before = state.pending();
            let settled = runner.settled();
            state.settled(&settled);
            let (result, changed) = change(&mut state);
            if !changed {
                self.state = Some((state, revision));
                return Ok(result);
            }
            let bytes = serde_json::to_vec(&state).map_err(|error| StateError::Unavailable {
                reason: error.to_string(),
            })?;
            let store = self.store(runner).await?;
            match store
                .put(runner.state_key(), Bytes::from(bytes), revision)
                .await
            {
                Ok(revision) => {
                    self.count(runner, &before, &state.pending(), outcome);
                    runner.forget_settled(&settled);
                    self.state = Some((state, Some(revision)));
                    return Ok(result);
                }
                // The stored state is read anew and the change made on that.
                Err(StateError::Conflict) => self.state = None,
                Err(error) => {
                    self.state = None;
                    return Err(error);
                }
            }
        }
    }

    /// Counts what a change did, each event once in this replica whatever others have done with it.
    fn count(
        &mut self,
        runner: &Runner,
        before: &BTreeSet<String>,
        after: &BTreeSet<String>,
        outcome: Outcome,
    ) {
        let counted = self.counted.get_or_insert_default();
        for event in after.difference(before) {
            if counted.insert(event.clone()) {
                runner.ledger.entered();
            }
        }
        for event in before.difference(after) {
            // One that another replica has taken ends here.
            if !counted.remove(event) {
                runner.ledger.entered();
            }
            runner.ledger.leave(outcome, 1);
        }
        let gone: Vec<String> = counted.difference(after).cloned().collect();
        for event in &gone {
            counted.remove(event);
        }
        runner.ledger.leave(Outcome::Elsewhere, gone.len());
    }

    async fn store(
        &mut self,
        runner: &Runner,
    ) -> Result<Arc<dyn tiphys_eventbus::State>, StateError> {
        if let Some(store) = &self.store {
            return Ok(Arc::clone(store));
        }
        let store = runner.bus.state(STATE_BUCKET).await?;
        self.store = Some(Arc::clone(&store));
        Ok(store)
    }

    async fn load(&mut self, runner: &Runner) -> Result<(State, Option<u64>), StateError> {
        if let Some(known) = self.state.take() {
            return Ok(known);
        }
        let entry = self.store(runner).await?.get(runner.state_key()).await?;
        let Some(entry) = entry else {
            self.counted.get_or_insert_default();
            return Ok((self.empty.clone(), None));
        };
        let stored = serde_json::from_slice::<State>(&entry.value).ok();
        let current = stored
            .as_ref()
            .is_some_and(|state| state.is_of(&runner.prepared.version));
        let pending = stored.as_ref().map(State::pending).unwrap_or_default();
        let events = pending.len();
        if self.counted.is_none() {
            if current {
                runner.ledger.adopt(events);
                self.counted = Some(pending);
            } else {
                runner.ledger.drop_carried(events);
                self.counted = Some(BTreeSet::new());
            }
        }
        match stored {
            Some(state) if current => Ok((state, Some(entry.revision))),
            _ => {
                if events > 0 {
                    tracing::warn!(events, "held events are dropped: the condition has changed");
                }
                Ok((self.empty.clone(), Some(entry.revision)))
            }
        }
    }
}

/// Drops what was held before the last tick of a schedule. A tick that fell into downtime counts too.
fn reset(runner: &Runner, state: &mut State) -> bool {
    if runner.prepared.resets.is_empty()
        || (state.present().is_empty() && state.groups().is_empty())
    {
        return false;
    }
    let now = Timestamp::now();
    let ticks = runner
        .prepared
        .resets
        .iter()
        .filter_map(|schedule| schedule.last_before(now));
    ticks.max().is_some_and(|tick| state.reset(tick))
}
