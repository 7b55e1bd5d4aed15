//! The loop of one trigger: takes messages, keeps so many under way, settles them, and subscribes again where it must.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tiphys_core::backoff::Backoff;
use tiphys_core::envelope::EnvelopeError;
use tiphys_core::metrics::TriggerMetrics;
use tiphys_core::{Event, tasks};
use tiphys_eventbus::{Bus, Message, Subscriber, Subscription};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

use super::ACK_WAIT;
use super::attempts::End;
use super::dead::{DeadLetters, Letter};
use super::joined::Joined;
use super::ledger::{Ledger, Outcome};
use super::limit::Limit;
use super::turns::{Turn, Turns};
use crate::dependency::{Admission, Dependency};
use crate::document::Events;
use crate::filters::{Detail, Report};
use crate::prepared::Prepared;
use crate::record::{self, Draft, Labels, Recorder};
use crate::triggers::World;

/// How often events that met nobody are looked for.
const TICK: Duration = Duration::from_secs(5);

/// How many settled messages are kept until the state hears of them.
const CONFIRMED: usize = 16 << 10;

/// One trigger at work.
pub(super) struct Runner {
    pub(super) prepared: Prepared,
    pub(super) at_least_once: bool,
    pub(super) limit: Option<Limit>,
    pub(super) subscription: Subscription,
    pub(super) bus: Bus,
    pub(super) world: Arc<World>,
    pub(super) metrics: TriggerMetrics,
    pub(super) ledger: Ledger,
    /// Messages of a condition that the bus never delivers again; the state hears of it with its next change.
    pub(super) confirmed: Mutex<BTreeSet<u64>>,
    pub(super) stop: CancellationToken,
    pub(super) records: Recorder,
    /// Orders the firings of one key.
    pub(super) turns: Option<Turns>,
    /// Events that were stored before are none of ours.
    pub(super) since: Option<Timestamp>,
    pub(super) labels: Arc<Labels>,
    pub(super) letters: Arc<DeadLetters>,
    /// Whether the last firing found its target away.
    pub(super) away: AtomicBool,
}

/// What a message is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has an end.
    End(Outcome),
    /// Its event is held by the stored state.
    Held,
    /// Its event was counted before.
    Known,
    /// It is from before the time that the sensor begins with.
    Old,
    /// Again after a pause.
    Later,
    /// Again at once, by somebody else.
    Stopped,
}

impl Runner {
    /// Runs until the signal to stop; finishes what is in hand. What few triggers do is boxed: there may be thousands that
    /// wait, each as large as all that it may ever do.
    pub(super) async fn run(self: Arc<Self>, subscriber: Subscriber) -> Result<(), Infallible> {
        let mut subscriber = subscriber;
        let mut joined = self.prepared.condition.needs_all().then(Joined::default);
        if let Some(joined) = &mut joined {
            Box::pin(joined.count_stored(&self)).await;
        }
        self.record_waiting(joined.as_ref());
        let mut under_way = FuturesUnordered::new();
        let mut sweep = tokio::time::interval(ACK_WAIT);
        let mut tick = tokio::time::interval(TICK);
        while !self.stop.is_cancelled() {
            // What is there is taken first: nothing below is waited for while messages come.
            tokio::select! {
                biased;
                Some(()) = under_way.next(), if !under_way.is_empty() => {}
                _ = tick.tick(), if self.prepared.join.is_some() => {
                    if let Some(joined) = &mut joined {
                        Box::pin(joined.tick(&self)).await;
                    }
                }
                _ = sweep.tick() => drop(self.ledger.sweep(2 * ACK_WAIT)),
                next = subscriber.next(), if under_way.len() < self.prepared.launcher.parallel => {
                    match next {
                        Ok(message) if self.is_too_old(&message) => under_way.push(self.work(message, Some(Answer::Old), None)),
                        Ok(message) => match &mut joined {
                            // One after the other, because each changes what the next one meets.
                            Some(joined) => {
                                let (message, answer) = Box::pin(joined.take(&self, message)).await;
                                under_way.push(self.work(message, Some(answer), None));
                            }
                            None => {
                                let turns = self.turns.as_ref();
                                let turn = turns.map(|turns| turns.take(message.event.as_ref().ok()));
                                under_way.push(self.work(message, None, turn));
                            }
                        },
                        Err(error) => {
                            tracing::warn!(%error, "the subscription ended; subscribing again");
                            let Some(again) = Box::pin(self.subscribe()).await else { break };
                            subscriber = again;
                        }
                    }
                }
                () = self.stop.cancelled() => {}
            }
        }
        while under_way.next().await.is_some() {}
        Ok(())
    }

    /// Whether a message is from before the time that the sensor begins with.
    fn is_too_old(&self, message: &Message) -> bool {
        self.since.is_some_and(|since| message.stored_at < since)
    }

    /// Fires; where order is asked for, the events of a key wait here while their target is away.
    pub(super) async fn fire_in_order(&self, events: &Events, firing: &mut record::Firing) -> End {
        let mut tries = 1;
        loop {
            let end = self.fire(events, firing).await;
            if self.turns.is_none() || !matches!(end, End::Later) {
                return end;
            }
            tokio::select! {
                () = tokio::time::sleep(pause(tries)) => {}
                () = self.stop.cancelled() => return End::Stopped,
            }
            tries += 1;
        }
    }

    /// Subscribes again until it works; `None` when asked to stop.
    async fn subscribe(&self) -> Option<Subscriber> {
        let backoff = Backoff::reconnect();
        let mut attempt = 1;
        loop {
            let wait = backoff.wait_after(attempt).unwrap_or(backoff.longest);
            tokio::select! {
                () = self.stop.cancelled() => return None,
                () = tokio::time::sleep(wait) => {}
            }
            match self.bus.subscribe(self.subscription.clone()).await {
                Ok(subscriber) => {
                    tracing::info!("subscribed again");
                    return Some(subscriber);
                }
                Err(error) => tracing::debug!(%error, "cannot subscribe yet"),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// Works on a message unless that is done, then answers it.
    async fn work(&self, message: Message, answer: Option<Answer>, turn: Option<Turn>) {
        let (message, answer) = match answer {
            Some(answer) => (message, answer),
            None => {
                let (mut message, mut turn) = (message, turn);
                if let Some(turn) = &mut turn {
                    self.marked(&message, turn.begin()).await;
                }
                // What came before was not done either, so that order is kept.
                let stopped = turn.is_some() && self.stop.is_cancelled();
                let answer = if stopped {
                    Answer::Stopped
                } else {
                    self.single(&mut message).await
                };
                (message, answer)
            }
        };
        self.settle(&message, answer).await;
    }

    async fn settle(&self, message: &Message, answer: Answer) {
        let wait = matches!(answer, Answer::Later).then(|| pause(message.delivery));
        let settled = match answer {
            Answer::Later => message.retry_after(wait.unwrap_or_default()).await,
            Answer::Stopped => message.retry_after(Duration::ZERO).await,
            Answer::Old => message.ack().await,
            // Acknowledged before the effect.
            _ if !self.at_least_once => Ok(()),
            // What a condition has taken is remembered until the bus says that it never delivers it again.
            Answer::Held | Answer::Known => message.ack_confirmed().await,
            Answer::End(_) => message.ack().await,
        };
        if let Err(error) = &settled {
            tracing::debug!(%error, seq = message.seq, "the message will come again");
        }
        match answer {
            // Where the bus has no acknowledgement, the entry stays and tells the next delivery how far it got.
            Answer::End(outcome) if settled.is_ok() => self.ledger.end(message.seq, outcome),
            Answer::End(outcome) => self.ledger.unconfirmed(message.seq, outcome),
            Answer::Held => self.ledger.held(message.seq),
            Answer::Known => self.ledger.repeated(),
            Answer::Old => {}
            Answer::Later | Answer::Stopped => {
                self.ledger
                    .given_back(message.seq, wait.unwrap_or_default());
            }
        }
        if settled.is_ok() && matches!(answer, Answer::Held | Answer::Known) {
            let mut confirmed = self
                .confirmed
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            confirmed.insert(message.seq);
            // A state that never hears of one only knows its event for longer.
            while confirmed.len() > CONFIRMED {
                confirmed.pop_first();
            }
        }
    }

    /// The event of a message; a poison message is set aside, and answered here.
    pub(super) async fn event(&self, message: &mut Message) -> Result<Arc<Event>, Answer> {
        let taken = EnvelopeError::Rule(String::new());
        match std::mem::replace(&mut message.event, Err(taken)) {
            Ok(event) => Ok(Arc::new(event)),
            Err(error) => {
                tracing::warn!(
                    error = tasks::chain(&error),
                    seq = message.seq,
                    bytes = message.raw.len(),
                    "a message is no event; it is dead"
                );
                let reason = tasks::chain(&error);
                let letter = Letter::Poison {
                    seq: message.seq,
                    raw: &message.raw,
                };
                let kept = Box::pin(self.letters.put(&self.labels, letter, &reason, 0));
                if let Err(error) = kept.await {
                    tracing::warn!(%error, "cannot set a message aside; it is delivered again");
                    return Err(Answer::Later);
                }
                self.decide(message, None, Vec::new(), record::End::Dead, Some(reason));
                Err(Answer::End(Outcome::Dead))
            }
        }
    }

    /// Keeps events that are given up. False where they cannot be kept and must stay on the bus.
    pub(super) async fn set_aside(&self, events: &Events, reason: &str, attempts: u32) -> bool {
        let id = self.prepared.launcher.firing_id(events);
        let letter = Letter::Firing {
            id: id.text(),
            events,
        };
        match self
            .letters
            .put(&self.labels, letter, reason, attempts)
            .await
        {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "cannot set dead events aside");
                !self.at_least_once
            }
        }
    }

    /// How much is written down about filters.
    pub(super) fn detail(&self) -> Detail {
        if self.records.is_thorough() {
            Detail::All
        } else {
            Detail::Failures
        }
    }

    /// Records what became of a message.
    pub(super) fn decide(
        &self,
        message: &Message,
        event: Option<&Arc<Event>>,
        parts: Vec<record::Part>,
        end: record::End,
        reason: Option<String>,
    ) {
        if !self.records.is_on() {
            return;
        }
        let mut draft = self.draft(event, parts, end, reason);
        draft.seq = message.seq;
        draft.delivery = message.delivery;
        self.records.record(draft);
    }

    /// A decision without its message.
    pub(super) fn draft(
        &self,
        event: Option<&Arc<Event>>,
        parts: Vec<record::Part>,
        end: record::End,
        reason: Option<String>,
    ) -> Draft {
        let worst = || {
            let ended = parts.iter().filter(|part| part.end == end);
            ended.rev().find_map(record::Part::reason)
        };
        Draft {
            labels: Arc::clone(&self.labels),
            at: Timestamp::now(),
            event: event.map(Arc::clone),
            seq: 0,
            delivery: 0,
            end,
            reason: match end {
                record::End::Fired | record::End::Waiting => reason,
                _ => reason.or_else(worst),
            },
            parts,
            held: std::collections::BTreeMap::new(),
            missing: Vec::new(),
        }
    }

    /// Records that the trigger waits for events from now on.
    fn record_waiting(&self, joined: Option<&Joined>) {
        if !self.records.is_on() {
            return;
        }
        let names: Vec<String> = self
            .prepared
            .dependencies
            .iter()
            .map(|dependency| {
                format!(
                    "{} ({}/{})",
                    dependency.name, dependency.source, dependency.event
                )
            })
            .collect();
        let reason = format!("waits for events of {}", names.join(", "));
        let mut draft = self.draft(None, Vec::new(), record::End::Waiting, Some(reason));
        match joined {
            Some(joined) => (draft.held, draft.missing) = joined.waits(self),
            None => draft.missing = self.prepared.condition.missing(|_| false),
        }
        self.records.record(draft);
    }

    /// Waits for work on a message, telling the bus now and then that it goes on.
    pub(super) async fn marked<T>(&self, message: &Message, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                // Made when it is first waited for: most work is done at once.
                () = async { tokio::time::sleep(ACK_WAIT / 3).await } => {
                    if let Err(error) = message.in_progress().await {
                        tracing::debug!(%error, "cannot mark a message as in progress");
                    }
                }
            }
        }
    }

    /// Acknowledges before the effect, where the spec asks for at most once.
    pub(super) async fn ack_first(&self, message: &Message) -> bool {
        self.at_least_once || message.ack().await.is_ok()
    }

    /// The messages of a condition that never come again, and that the state has not heard of.
    pub(super) fn settled(&self) -> BTreeSet<u64> {
        let confirmed = self.confirmed.lock();
        confirmed.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The state has heard of these.
    pub(super) fn forget_settled(&self, told: &BTreeSet<u64>) {
        let mut confirmed = self
            .confirmed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        confirmed.retain(|seq| !told.contains(seq));
    }

    pub(super) fn state_key(&self) -> &str {
        &self.subscription.durable
    }
}

/// Whether an event counts; scripts run where they hold up no other task.
pub(super) fn admit(dependency: &Dependency, event: &Arc<Event>, report: &mut Report) -> Admission {
    let threads = || {
        Handle::try_current()
            .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if dependency.is_slow() && threads() {
        tokio::task::block_in_place(|| dependency.admit(event, report))
    } else {
        dependency.admit(event, report)
    }
}

/// From a second up to a minute, the longer the more often it was delivered.
fn pause(delivery: u64) -> Duration {
    let backoff = Backoff {
        first: Duration::from_secs(1),
        factor: 2.0,
        jitter: 0.5,
        steps: u32::MAX,
        longest: Duration::from_secs(60),
    };
    let attempt = u32::try_from(delivery)
        .unwrap_or(u32::MAX - 1)
        .clamp(1, 1000);
    backoff.wait_after(attempt).unwrap_or(backoff.longest)
}
