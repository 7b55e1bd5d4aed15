//! Conditions that need several events: the state machine, its durable state, and the order effect, state, ack.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use tiphys_core::Event;
use tiphys_eventbus::{Message, StateError};

use super::attempts::End;
use super::ledger::Outcome;
use super::runner::{Answer, Runner, admit};
use super::shelf::{self, Shelf, shelf_of};
use super::store::Store;
use super::told::{tell_dead, tell_unmet, waits_for};
use crate::conditions::{KeptEvents, State, Step};
use crate::dependency::{Admission, Dependency};
use crate::document::{Events, Input};
use crate::filters::{Report, Verdict};
use crate::join::Unmet;
use crate::record::{self, End as Ended};

/// So many of the events that a join holds are told.
const SHOWN: usize = 64;

/// What a condition holds, as far as this replica knows.
#[derive(Default)]
pub(super) struct Joined {
    /// By their keys in the store.
    shelves: BTreeMap<String, Shelf>,
    /// Opened once: on a server it costs a round trip.
    store: Option<Arc<Store>>,
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
    /// Counts what is held already, so that it shows as pending before the first message, and removes what no spec
    /// wants any more.
    pub(super) async fn count_stored(&mut self, runner: &Runner) {
        if let Err(error) = self.read(runner).await {
            tracing::debug!(%error, "the stored state is read with the first event");
        }
    }

    async fn read(&mut self, runner: &Runner) -> Result<(), StateError> {
        let store = self.store(runner).await?;
        let durable = runner.state_key();
        store.tidy(durable).await?;
        let mut keys = store.below(durable).await?;
        if runner.prepared.join.is_none() {
            // Those of a join that is gone.
            for key in keys {
                shelf::clear(runner, &store, &key).await?;
            }
            keys = vec![durable.to_owned()];
        } else if store.has(durable).await? {
            // That of the condition before it was a join. What is below it stays.
            let mut before = Shelf::default();
            before.load(runner, &store, durable).await?;
            store.remove_entry(durable).await?;
        }
        for key in keys {
            if !store.has(&key).await? {
                continue;
            }
            // What another spec has left gives way to nothing.
            self.change_at(runner, &key, Outcome::Dead, |state| ((), state.is_new()))
                .await?;
        }
        Ok(())
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
            Answer::Known | Answer::Stopped | Answer::Old | Answer::Again(_) => return,
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
        let states = self
            .shelves
            .values()
            .filter_map(|shelf| shelf.state.as_ref());
        let held = states.flat_map(|(state, _)| state.held_ids()).take(SHOWN);
        (held.collect(), self.missing(runner))
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
        let shelf = shelf_of(runner.state_key(), group.as_deref());
        let (dropped, unmet, step) = self
            .change_at(runner, &shelf, Outcome::Dead, |state| {
                let dropped = reset(runner, state);
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
                let too_many = state.shrink(shelf::MOST_BYTES);
                let changed = !dropped.is_empty() || !unmet.is_empty() || taken;
                ((dropped, [unmet, too_many], step), changed)
            })
            .await?;
        for gone in &dropped {
            let note = "conditionsReset has dropped it".to_owned();
            tell_dead(runner, &gone.dependency, &gone.event.0, note);
        }
        tell_unmet(runner, &unmet);
        let missing = |joined: &Self| match (&group, joined.state(&shelf)) {
            (Some(group), Some(state)) => condition.missing(|name| state.groups().has(group, name)),
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
                let note = format!("event {} has come for the same dependency", event.id);
                tell_dead(runner, name, &older, note);
                told.push(part);
                Ok(Part::Held)
            }
            Step::Fire(by, events) => {
                let mut firing = record::Firing::default();
                let finished = self
                    .finish(runner, message, (&shelf, &by), events, &mut firing)
                    .await;
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
        (shelf, by): (&str, &str),
        kept: KeptEvents,
        firing: &mut record::Firing,
    ) -> Result<(Part, Ended), StateError> {
        let events: Events = kept
            .into_iter()
            .map(|(name, kept)| (name, Input::new(kept.0)))
            .collect();
        let outcome = match runner
            .marked(message, pin!(runner.fire(&events, firing)))
            .await
        {
            End::Fired => Outcome::Fired,
            End::Dead => Outcome::Dead,
            End::Later if runner.at_least_once => return Ok((Part::Later, Ended::Pending)),
            End::Stopped if runner.at_least_once => return Ok((Part::Stopped, Ended::Pending)),
            End::Later | End::Stopped => Outcome::Dead,
        };
        let done = self.change_at(runner, shelf, outcome, |state| {
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

    /// Gives up what has met nobody for too long.
    pub(super) async fn tick(&mut self, runner: &Runner) {
        let Some(join) = &runner.prepared.join else {
            return;
        };
        let before = join.oldest(Timestamp::now());
        let waited = |(_, shelf): &(&String, &Shelf)| {
            let state = shelf.state.as_ref();
            state.is_none_or(|(state, _)| state.has_waited(before))
        };
        let shelves = self.shelves.iter().filter(waited);
        let shelves: Vec<String> = shelves.map(|(key, _)| key.clone()).collect();
        for shelf in shelves {
            let expired = self.change_at(runner, &shelf, Outcome::Dead, |state| {
                let unmet = state.expire(before);
                let changed = !unmet.is_empty();
                (unmet, changed)
            });
            match expired.await {
                Ok(unmet) => tell_unmet(runner, &[unmet, Vec::new()]),
                Err(error) => {
                    tracing::debug!(%error, "cannot look for events that met nobody");
                    return;
                }
            }
        }
    }

    fn state(&self, shelf: &str) -> Option<&State> {
        let shelf = self.shelves.get(shelf)?;
        shelf.state.as_ref().map(|(state, _)| state)
    }

    fn missing(&self, runner: &Runner) -> Vec<Vec<String>> {
        let condition = &runner.prepared.condition;
        if runner.prepared.join.is_some() {
            return condition.missing(|_| false);
        }
        let Some(state) = self.state(runner.state_key()) else {
            return Vec::new();
        };
        let present = state.present();
        condition.missing(|name| present.contains(name))
    }

    /// Changes what is stored under a key. Events that leave it have this outcome.
    async fn change_at<T>(
        &mut self,
        runner: &Runner,
        key: &str,
        outcome: Outcome,
        change: impl Fn(&mut State) -> (T, bool),
    ) -> Result<T, StateError> {
        let store = self.store(runner).await?;
        let shelf = self.shelves.entry(key.to_owned()).or_default();
        shelf.change((runner, &store, key), outcome, change).await
    }

    async fn store(&mut self, runner: &Runner) -> Result<Arc<Store>, StateError> {
        if let Some(store) = &self.store {
            return Ok(Arc::clone(store));
        }
        let store = Arc::new(Store::open(&runner.bus).await?);
        self.store = Some(Arc::clone(&store));
        Ok(store)
    }
}

/// Drops what was held before the last tick of a schedule. A tick that fell into downtime counts too.
fn reset(runner: &Runner, state: &mut State) -> Vec<Unmet> {
    if runner.prepared.resets.is_empty()
        || (state.present().is_empty() && state.groups().is_empty())
    {
        return Vec::new();
    }
    let now = Timestamp::now();
    let ticks = runner
        .prepared
        .resets
        .iter()
        .filter_map(|schedule| schedule.last_before(now));
    let last = ticks.max();
    last.map(|tick| state.reset(tick)).unwrap_or_default()
}
