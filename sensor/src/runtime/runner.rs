//! The loop of one trigger: takes messages, keeps so many under way, settles them, and subscribes again where it must.

use std::collections::{BTreeSet, HashSet};
use std::convert::Infallible;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tiphys_core::Event;
use tiphys_core::backoff::Backoff;
use tiphys_core::metrics::TriggerMetrics;
use tiphys_eventbus::{Bus, Health, Message, Subscriber, Subscription, Turn as BusTurn};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_util::sync::CancellationToken;

use super::ACK_WAIT;
use super::attempts::End;
use super::dead::DeadLetters;
use super::joined::Joined;
use super::ledger::{Ledger, Outcome};
use super::limit::Limit;
use super::settled::Remembered;
use super::turns::{Turn, Turns};
use crate::dependency::{Admission, Dependency};
use crate::document::Events;
use crate::filters::Report;
use crate::prepared::Prepared;
use crate::record::{self, Labels, Recorder};
use crate::triggers::World;

/// How long work in hand may take once another process may run the trigger.
const LOST: Duration = Duration::from_secs(1);

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
    /// Whether this process runs the trigger, where only one may.
    pub(super) holder: BusTurn,
    /// The messages that have an end.
    pub(super) settled: Remembered,
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
    /// It had an end, and its acknowledgement was lost.
    Again(Option<Outcome>),
    /// It is from before the time that the sensor begins with.
    Old,
    /// Again after a pause.
    Later,
    /// Again at once, by somebody else.
    Stopped,
}

impl Runner {
    /// Runs until the signal to stop; finishes what is in hand. Where only one process may run the trigger, it stands by
    /// until it is this one's turn. What few triggers do is boxed: there may be thousands that wait, each as large as all
    /// that it may ever do.
    pub(super) async fn run(self: Arc<Self>, subscriber: Subscriber) -> Result<(), Infallible> {
        let mut subscriber = Some(subscriber);
        let mut joined = self.prepared.condition.needs_all().then(Joined::default);
        let mut begun = false;
        while Box::pin(self.stand_by()).await {
            if let Some(limit) = &self.limit {
                tokio::select! {
                    () = limit.resume() => {}
                    () = self.stopped() => continue,
                }
            }
            if !std::mem::replace(&mut begun, true) {
                if let Some(joined) = &mut joined {
                    Box::pin(joined.count_stored(&self)).await;
                }
                self.record_waiting(joined.as_ref());
            }
            let subscribed = match subscriber.take() {
                Some(subscriber) => Some(self.ordered(subscriber)),
                None => Box::pin(self.subscribe()).await,
            };
            if let Some(subscriber) = subscribed {
                self.serve(subscriber, &mut joined).await;
            }
        }
        Ok(())
    }

    /// Waits for this process's turn. False where the sensor stops.
    async fn stand_by(&self) -> bool {
        let mut sweep = tokio::time::interval(ACK_WAIT);
        if !self.holder.is_mine() {
            tracing::info!("another replica runs this trigger, as only one may; standing by");
        }
        while !self.holder.is_mine() && !self.stop.is_cancelled() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {}
                () = self.holder.begins() => tracing::info!("this replica runs the trigger from now on"),
                _ = sweep.tick() => self.look(),
            }
        }
        !self.stop.is_cancelled()
    }

    /// Takes messages until it has to stop.
    async fn serve(&self, subscriber: Subscriber, joined: &mut Option<Joined>) {
        let mut subscriber = subscriber;
        let mut under_way = FuturesUnordered::new();
        let mut in_hand = HashSet::<u64, RandomState>::default();
        let mut sweep = tokio::time::interval(ACK_WAIT);
        let mut tick = tokio::time::interval(TICK);
        let mut stopped = pin!(self.stopped());
        while !self.is_stopped() {
            // What is there is taken first: nothing below is waited for while messages come.
            tokio::select! {
                biased;
                Some(seq) = under_way.next(), if !under_way.is_empty() => drop(in_hand.remove(&seq)),
                _ = tick.tick(), if self.prepared.join.is_some() => {
                    if let Some(joined) = joined {
                        Box::pin(joined.tick(self)).await;
                    }
                }
                _ = sweep.tick() => self.look(),
                next = subscriber.next(), if under_way.len() < self.prepared.launcher.parallel => {
                    match next {
                        // It is at work here, and its answer is for this delivery too.
                        Ok(message) if !in_hand.insert(message.seq) => self.ledger.repeated(),
                        Ok(message) => {
                            let known = if self.is_too_old(&message) {
                                Some(Answer::Old)
                            } else {
                                self.settled.get(&message).map(|end| Answer::Again(end.outcome))
                            };
                            match joined {
                                _ if known.is_some() => under_way.push(self.work(message, known, None)),
                                // One after the other, because each changes what the next one meets.
                                Some(joined) => {
                                    let (message, answer) = Box::pin(joined.take(self, message)).await;
                                    under_way.push(self.work(message, Some(answer), None));
                                }
                                None => {
                                    let turns = self.turns.as_ref();
                                    let turn = turns.map(|turns| turns.take(message.event.as_ref().ok()));
                                    under_way.push(self.work(message, None, turn));
                                }
                            }
                        }
                        Err(error) => {
                            tracing::warn!(%error, "the subscription ended; subscribing again");
                            let Some(again) = Box::pin(self.subscribe()).await else { break };
                            subscriber = again;
                        }
                    }
                }
                () = &mut stopped => {}
            }
        }
        let finish = async {
            while let Some(seq) = under_way.next().await {
                in_hand.remove(&seq);
            }
        };
        if self.stop.is_cancelled() {
            finish.await;
        } else if tokio::time::timeout(LOST, finish).await.is_err() {
            tracing::warn!("work in hand is left to the replica that runs the trigger now");
            for seq in in_hand {
                self.ledger.given_back(seq, Duration::ZERO);
            }
        }
    }

    /// What is remembered for a while only.
    fn look(&self) {
        self.ledger.sweep(2 * ACK_WAIT);
        if *self.bus.health().borrow() == Health::Connected {
            self.settled.look();
        }
    }

    /// Whether it may take nothing more.
    fn is_stopped(&self) -> bool {
        self.stop.is_cancelled() || !self.holder.is_mine()
    }

    /// Waits for that.
    pub(super) async fn stopped(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.holder.ends() => {}
        }
    }

    fn ordered(&self, subscriber: Subscriber) -> Subscriber {
        match self.turns {
            Some(_) => subscriber.in_order(),
            None => subscriber,
        }
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
                () = self.stopped() => return End::Stopped,
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
                () = self.stopped() => return None,
                () = tokio::time::sleep(wait) => {}
            }
            match self.bus.subscribe(self.subscription.clone()).await {
                Ok(subscriber) => {
                    tracing::info!("subscribed again");
                    return Some(self.ordered(subscriber));
                }
                Err(error) => tracing::debug!(%error, "cannot subscribe yet"),
            }
            attempt = attempt.saturating_add(1);
        }
    }

    /// Works on a message unless that is done, then answers it. Gives its number.
    #[expect(
        clippy::manual_async_fn,
        reason = "the future of an async fn would have room for the message twice"
    )]
    pub(super) fn work(
        &self,
        mut message: Message,
        answer: Option<Answer>,
        mut turn: Option<Turn>,
    ) -> impl Future<Output = u64> {
        async move {
            let answer = match answer {
                Some(answer) => answer,
                None => {
                    if let Some(turn) = &mut turn {
                        self.marked(&message, pin!(turn.begin())).await;
                    }
                    // What came before was not done either, so that order is kept.
                    if turn.is_some() && self.is_stopped() {
                        Answer::Stopped
                    } else {
                        self.single(&mut message).await
                    }
                }
            };
            // The next of a key begins when the bus has the answer.
            self.settle(&message, answer).await;
            drop(turn);
            message.seq
        }
    }

    async fn settle(&self, message: &Message, answer: Answer) {
        let wait = matches!(answer, Answer::Later).then(|| pause(message.delivery));
        let settled = match answer {
            Answer::Later => message.retry_after(wait.unwrap_or_default()).await,
            Answer::Stopped => message.retry_after(Duration::ZERO).await,
            Answer::Old => message.ack().await,
            // Only what the bus certainly has is done before the next of its key.
            Answer::Again(_) if self.turns.is_some() => message.ack_confirmed().await,
            Answer::Again(_) => message.ack().await,
            // Acknowledged before the effect.
            _ if !self.at_least_once => Ok(()),
            // What a condition has taken is remembered until the bus says that it never delivers it again.
            Answer::Held | Answer::Known => message.ack_confirmed().await,
            Answer::End(_) if self.turns.is_some() => message.ack_confirmed().await,
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
            Answer::Again(outcome) => {
                self.ledger.repeated();
                if let Some(outcome) = outcome.filter(|_| settled.is_ok()) {
                    self.ledger.end(message.seq, outcome);
                }
            }
            Answer::Old => {}
            Answer::Later | Answer::Stopped => {
                self.ledger
                    .given_back(message.seq, wait.unwrap_or_default());
            }
        }
        match answer {
            Answer::End(outcome) => self.settled.put(message, Some(outcome)),
            Answer::Held | Answer::Known if settled.is_ok() => self.settled.put(message, None),
            _ => {}
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

    /// Waits for work on a message, telling the bus now and then that it goes on.
    pub(super) async fn marked<T>(
        &self,
        message: &Message,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> T {
        loop {
            tokio::select! {
                biased;
                done = work.as_mut() => return done,
                // Made when it is first waited for: most work is done at once.
                () = async { tokio::time::sleep(self.subscription.ack_wait / 3).await } => {
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
