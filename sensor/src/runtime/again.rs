//! Events that come again because somebody asks for it: dead ones re-driven, stored ones replayed. They go through one
//! sensor alone, under the names that their firings had, and no consumer of the bus notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tiphys_core::{Event, envelope};
use tiphys_eventbus::{Bus, Start, StateError, SubjectPattern, SubscribeError, Subscription};
use tracing::Instrument as _;

use super::attempts::End;
use super::dead::DeadLetter;
use super::ledger::Outcome;
use super::runner::{Runner, admit};
use super::{ACK_WAIT, RunningSensor, short};
use crate::conditions::{State, Step};
use crate::dependency::Admission;
use crate::document::{Events, FORCED, Input, REPLAY, identity};
use crate::filters::{Report, Verdict};
use crate::prepared::Owner;
use crate::record::{self, End as Ended};

/// When the bus says that more is there and gives nothing for so long, the rest was removed by its limits.
const SILENCE: Duration = Duration::from_secs(10);

/// How often a firing is tried again whose target is away.
const TRIES: u32 = 5;

/// Which stored events are sent again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replay {
    /// Only to this trigger.
    pub trigger: Option<String>,
    /// Only events stored at or after this time.
    pub since: Option<Timestamp>,
    /// Only events stored before this time.
    pub until: Option<Timestamp>,
    /// Only events with these ids; all where there are none.
    pub events: Vec<String>,
    /// Firings get names of their own, so that their effects are made once more.
    pub force_new: bool,
}

/// What a replay did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Replayed {
    /// Its name, which marks its events.
    pub id: String,
    /// How many events were read from the bus.
    pub read: u64,
    /// How many of them a dependency of the sensor is meant for.
    pub matched: u64,
    /// Firings with an effect, those that had one before included.
    pub fired: u64,
    /// Firings whose object was there already.
    pub existed: u64,
    /// Events that no dependency let through.
    pub filtered: u64,
    /// Events that were left waiting for others.
    pub unmet: u64,
    /// Firings that failed.
    pub failed: u64,
}

/// Why events cannot come again.
#[derive(Debug, thiserror::Error)]
pub enum AgainError {
    /// The request must change.
    #[error("{0}")]
    Refused(String),
    /// The bus cannot be reached; try again.
    #[error("the events cannot be read from the bus")]
    Bus(#[from] SubscribeError),
    /// The bus cannot be reached; try again.
    #[error("the dead events cannot be read or removed")]
    State(#[from] StateError),
    /// The target failed again.
    #[error("the trigger failed again: {0}")]
    Failed(String),
}

impl RunningSensor {
    /// Fires dead events again under the name that their firing had. The letter goes when the effect is there.
    ///
    /// # Errors
    /// [`AgainError`]; the letter is kept then.
    pub async fn redrive(&self, letter: &DeadLetter) -> Result<(), AgainError> {
        let Owner { namespace, sensor } = &self.owner;
        let (trigger, letter_id) = (&letter.trigger, &letter.id);
        let span = tracing::info_span!("redrive", namespace, sensor, trigger, letter = letter_id);
        self.drive(letter).instrument(span).await
    }

    async fn drive(&self, letter: &DeadLetter) -> Result<(), AgainError> {
        let runner = self.runner(&letter.trigger)?;
        let mut events = Events::new();
        for dead in &letter.events {
            if dead.dependency.is_empty() {
                return Err(AgainError::Refused(
                    "the message was no event when it came".to_owned(),
                ));
            }
            let bytes = dead.bytes().ok_or_else(|| {
                AgainError::Refused(format!(
                    "the payload of event {:?} was too large to be kept",
                    dead.id
                ))
            })?;
            let event = envelope::decode(&bytes).map_err(|error| {
                AgainError::Refused(format!("the message is no event: {error}"))
            })?;
            events.insert(dead.dependency.clone(), Input::new(Arc::new(event)));
        }
        runner.ledger.entered();
        let (end, firing) = runner.insist(&events).await;
        let (outcome, ended) = match end {
            End::Fired => (Outcome::Fired, Ended::Fired),
            End::Dead | End::Later | End::Stopped => (Outcome::Dead, Ended::Dead),
        };
        runner.ledger.leave(outcome, 1);
        let error = firing.error.clone();
        let first = events.iter().next();
        if let Some((dependency, input)) = first {
            let mut part = record::Part::new(dependency, Verdict::Passed, Vec::new(), ended);
            (part.firing, part.note) = (Some(firing), Some("re-driven".to_owned()));
            let draft = runner.draft(Some(input.event()), vec![part], ended, error.clone());
            runner.records.record(draft);
        }
        if outcome == Outcome::Fired {
            runner.letters.remove(&letter.id).await?;
            return Ok(());
        }
        Err(AgainError::Failed(
            error.unwrap_or_else(|| "the sensor is stopping".to_owned()),
        ))
    }

    /// Sends stored events to this sensor again. Conditions begin empty and leave nothing behind.
    ///
    /// # Errors
    /// [`AgainError`].
    pub async fn replay(&self, replay: &Replay) -> Result<Replayed, AgainError> {
        let Owner { namespace, sensor } = &self.owner;
        let span = tracing::info_span!("replay", namespace, sensor);
        self.send_again(replay).instrument(span).await
    }

    async fn send_again(&self, replay: &Replay) -> Result<Replayed, AgainError> {
        let runners: Vec<&Arc<Runner>> = match &replay.trigger {
            Some(trigger) => vec![self.runner(trigger)?],
            None => self.runners.iter().collect(),
        };
        let Some(bus) = runners.first().map(|runner| runner.bus.clone()) else {
            return Ok(Replayed::default());
        };
        let now = Timestamp::now().to_string();
        let unique = short(&[&now, &format!("{replay:?}")], 12);
        let id = match replay.force_new {
            true => format!("{FORCED}{unique}"),
            false => unique.clone(),
        };
        let durable = format!("tiphys-replay-{unique}");
        let mut course = Course {
            report: Replayed {
                id,
                ..Replayed::default()
            },
            joined: runners.iter().map(|_| State::new("")).collect(),
            runners,
        };
        let read = course.read(replay, &bus, &durable).await;
        if let Err(error) = bus.forget(&durable).await {
            tracing::warn!(durable, %error, "the consumer of a replay stays on the bus");
        }
        read?;
        let unmet = course.joined.iter().map(|state| state.pending().len());
        course.report.unmet += u64::try_from(unmet.sum::<usize>()).unwrap_or(u64::MAX);
        Ok(course.report)
    }

    fn runner(&self, trigger: &str) -> Result<&Arc<Runner>, AgainError> {
        let mut runners = self.runners.iter();
        let found = runners.find(|runner| runner.prepared.name == trigger);
        found.ok_or_else(|| AgainError::Refused(format!("the sensor has no trigger {trigger:?}")))
    }
}

struct Course<'a> {
    runners: Vec<&'a Arc<Runner>>,
    joined: Vec<State>,
    report: Replayed,
}

impl Course<'_> {
    async fn read(&mut self, replay: &Replay, bus: &Bus, durable: &str) -> Result<(), AgainError> {
        let last = bus.last_seq().await?;
        let wanted: BTreeSet<&str> = replay.events.iter().map(String::as_str).collect();
        let mut subscriber = bus
            .subscribe(Subscription {
                durable: durable.to_owned(),
                // Everything, so that the last number is met whatever it holds.
                subjects: vec![SubjectPattern {
                    source: "*".to_owned(),
                    event: "*".to_owned(),
                }],
                start: Start::Oldest,
                ack_wait: ACK_WAIT,
                max_in_flight: 64,
            })
            .await?;
        let mut reached = 0;
        while reached < last {
            let Ok(next) = tokio::time::timeout(SILENCE, subscriber.next()).await else {
                tracing::warn!(
                    reached,
                    last,
                    "the bus no longer holds the last events of a replay"
                );
                break;
            };
            let message = next?;
            if let Err(error) = message.ack().await {
                tracing::debug!(%error, "a replayed event may come once more");
            }
            if message.seq <= reached {
                continue;
            }
            reached = message.seq;
            if reached > last {
                break;
            }
            self.report.read += 1;
            let early = replay.since.is_some_and(|since| message.stored_at < since);
            let late = replay.until.is_some_and(|until| message.stored_at >= until);
            let Ok(mut event) = message.event else {
                continue;
            };
            if early || late || (!wanted.is_empty() && !wanted.contains(event.id.as_str())) {
                continue;
            }
            event
                .extensions
                .insert(REPLAY.to_owned(), self.report.id.clone());
            self.take(&Arc::new(event), message.seq, message.stored_at)
                .await;
        }
        Ok(())
    }

    async fn take(&mut self, event: &Arc<Event>, seq: u64, at: Timestamp) {
        let mut matched = false;
        let runners = self.runners.clone();
        for (index, runner) in runners.into_iter().enumerate() {
            let mut parts = Vec::new();
            for dependency in &runner.prepared.dependencies {
                if !dependency.matches(event) {
                    continue;
                }
                matched = true;
                let mut report = Report::new(runner.detail());
                let name = &dependency.name;
                let input = match admit(dependency, event, &mut report) {
                    Admission::Passed(input) => input,
                    Admission::Filtered(verdict) => {
                        self.report.filtered += 1;
                        parts.push(record::Part::new(
                            name,
                            verdict,
                            report.leaves,
                            Ended::Filtered,
                        ));
                        continue;
                    }
                };
                let mut part =
                    record::Part::new(name, Verdict::Passed, report.leaves, Ended::Pending);
                match self.joined(index, runner, name, input, at) {
                    None => part.note = Some("waits for others of the replay".to_owned()),
                    Some((by, events)) => {
                        let span = tracing::info_span!("trigger", trigger = runner.prepared.name);
                        let (end, firing) = self.fire(runner, &events).instrument(span).await;
                        (part.end, part.firing) = (end, Some(firing));
                        if let Some(state) = self.joined.get_mut(index) {
                            state.done(&by);
                        }
                    }
                }
                parts.push(part);
            }
            let Some(end) = parts.iter().map(|part| part.end).max() else {
                continue;
            };
            let mut draft = runner.draft(Some(event), parts, end, None);
            draft.seq = seq;
            runner.records.record(draft);
        }
        self.report.matched += u64::from(matched);
    }

    /// The events that fire with this one, and what the state calls them.
    fn joined(
        &mut self,
        index: usize,
        runner: &Runner,
        dependency: &str,
        input: Input,
        at: Timestamp,
    ) -> Option<(String, Events)> {
        let condition = &runner.prepared.condition;
        if !condition.needs_all() {
            return Some((
                String::new(),
                BTreeMap::from([(dependency.to_owned(), input)]),
            ));
        }
        let state = self.joined.get_mut(index)?;
        let step = match &runner.prepared.join {
            None => state.on_event(condition, dependency, input.event(), at),
            Some(join) => {
                let key = join.key(dependency, input.event()).ok()?;
                let unmet = state.expire(join.oldest(at)).len();
                self.report.unmet += u64::try_from(unmet).unwrap_or(0);
                state.on_keyed(condition, dependency, &key, input.event(), at)
            }
        };
        match step {
            Step::Fire(by, kept) => {
                let kept = kept.into_iter();
                Some((
                    by,
                    kept.map(|(name, kept)| (name, Input::new(kept.0)))
                        .collect(),
                ))
            }
            Step::Held | Step::Replaced(_) | Step::Known => None,
        }
    }

    async fn fire(&mut self, runner: &Runner, events: &Events) -> (Ended, record::Firing) {
        let identities: BTreeSet<String> = events
            .values()
            .map(|input| identity(input.event()))
            .collect();
        for _ in &identities {
            runner.ledger.entered();
        }
        let (end, firing) = runner.insist(events).await;
        let (outcome, ended) = match end {
            End::Fired => (Outcome::Fired, Ended::Fired),
            End::Dead | End::Later | End::Stopped => (Outcome::Dead, Ended::Dead),
        };
        runner.ledger.leave(outcome, identities.len());
        if ended == Ended::Fired {
            self.report.fired += 1;
        } else {
            self.report.failed += 1;
        }
        if let Some(crate::triggers::Fired::Created { existed: true, .. }) = firing.effect {
            self.report.existed += 1;
        }
        (ended, firing)
    }
}

impl Runner {
    /// Fires, and again for a while where the target is away: no bus brings these events back.
    async fn insist(&self, events: &Events) -> (End, record::Firing) {
        let mut wait = Duration::from_millis(200);
        let mut tries = 1;
        loop {
            let mut firing = record::Firing::default();
            let end = self.fire(events, &mut firing).await;
            if !matches!(end, End::Later) || tries >= TRIES {
                return (end, firing);
            }
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stopped() => return (End::Stopped, firing),
            }
            wait *= 2;
            tries += 1;
        }
    }
}
