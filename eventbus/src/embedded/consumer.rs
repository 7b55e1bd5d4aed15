//! One durable consumer: what it has been offered, what is in flight, what is due again. It holds numbers, not events, and does no I/O.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::record::Record;
use crate::bus::{SubjectPattern, Subscription};

/// More waiting numbers are not held: the rest is read from disk when these are gone.
const READY_MOST: usize = 4096;

/// What is kept of a consumer across restarts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// Everything up to here is settled, except `unacked`.
    pub(crate) cursor: u64,
    /// What was delivered and not acknowledged, with the number of deliveries.
    pub(crate) unacked: Vec<(u64, u64)>,
    /// What it wants, as source and event.
    pub(crate) subjects: Vec<(String, String)>,
}

/// A durable consumer; subscribers of the same name share it.
#[derive(Debug)]
pub(crate) struct Consumer {
    pub(crate) name: String,
    state: Mutex<State>,
    pub(crate) wake: Notify,
    touched: AtomicBool,
    /// The events read from disk last.
    chunk: Mutex<Vec<Record>>,
}

#[derive(Debug)]
struct State {
    subjects: Vec<SubjectPattern>,
    ack_wait: Duration,
    max_in_flight: usize,
    /// Matching numbers that were never delivered, ascending.
    ready: VecDeque<u64>,
    /// Everything up to here has been looked at; while `live`, everything that is routed has.
    offered: u64,
    live: bool,
    scanning: bool,
    unacked: BTreeMap<u64, Flight>,
    due: BTreeSet<(Instant, u64)>,
    deleted: bool,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    delivery: u64,
    due: Instant,
}

/// What a subscriber does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// Deliver this.
    Message { seq: u64, delivery: u64 },
    /// Look at the log from here on, then [`Consumer::scanned`].
    Scan { from: u64 },
    /// Wait to be woken, at most until then.
    Wait(Option<Instant>),
    /// It was forgotten.
    Deleted,
}

impl Consumer {
    pub(crate) fn new(name: &str, cursor: u64) -> Self {
        Self {
            name: name.to_owned(),
            state: Mutex::new(State {
                subjects: Vec::new(),
                ack_wait: Duration::from_secs(30),
                max_in_flight: 1000,
                ready: VecDeque::new(),
                offered: cursor,
                live: false,
                scanning: false,
                unacked: BTreeMap::new(),
                due: BTreeSet::new(),
                deleted: false,
            }),
            wake: Notify::new(),
            touched: AtomicBool::new(false),
            chunk: Mutex::default(),
        }
    }

    pub(crate) fn restore(name: &str, saved: Saved, now: Instant) -> Self {
        let consumer = Self::new(name, saved.cursor);
        {
            let mut state = consumer.lock();
            state.subjects = saved
                .subjects
                .into_iter()
                .map(|(source, event)| SubjectPattern { source, event })
                .collect();
            for (seq, delivery) in saved.unacked {
                state.unacked.insert(seq, Flight { delivery, due: now });
                state.due.insert((now, seq));
            }
        }
        consumer
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a subscriber wants; where the subjects change, the log is looked at again from its place on.
    pub(crate) fn configure(&self, subscription: &Subscription, end: u64) {
        let mut state = self.lock();
        state.ack_wait = subscription.ack_wait;
        state.max_in_flight = subscription.max_in_flight.max(1);
        if state.subjects != subscription.subjects {
            state.offered = state.cursor(end);
            state.ready.clear();
            state.live = false;
            state.subjects.clone_from(&subscription.subjects);
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(crate) fn subjects(&self) -> Vec<SubjectPattern> {
        self.lock().subjects.clone()
    }

    /// A stored event that matches; numbers ascend.
    pub(crate) fn offer(&self, seq: u64) {
        let mut state = self.lock();
        if !state.live || seq <= state.offered {
            return;
        }
        if state.ready.len() >= READY_MOST {
            state.live = false;
            state.offered = seq.saturating_sub(1);
            return;
        }
        state.offered = seq;
        state.ready.push_back(seq);
        drop(state);
        self.wake.notify_one();
    }

    /// The next thing to do for one subscriber.
    pub(crate) fn take(&self, now: Instant) -> Take {
        let mut state = self.lock();
        if state.deleted {
            return Take::Deleted;
        }
        let again = state.due.first().copied().filter(|(at, _)| *at <= now);
        if let Some((_, seq)) = again {
            let due = now + state.ack_wait;
            let delivery = state
                .unacked
                .get(&seq)
                .map_or(1, |flight| flight.delivery + 1);
            state.fly(seq, Flight { delivery, due });
            state.pass_on(&self.wake, now);
            return Take::Message { seq, delivery };
        }
        if state.unacked.len() < state.max_in_flight {
            if let Some(seq) = state.ready.pop_front() {
                let due = now + state.ack_wait;
                state.fly(seq, Flight { delivery: 1, due });
                state.pass_on(&self.wake, now);
                return Take::Message { seq, delivery: 1 };
            }
            if !state.live && !state.scanning {
                state.scanning = true;
                return Take::Scan {
                    from: state.offered + 1,
                };
            }
        }
        Take::Wait(state.due.first().map(|(at, _)| *at))
    }

    /// What a scan found up to `upto`; `end` is all that is stored, and stays so during the call.
    pub(crate) fn scanned(
        &self,
        from: u64,
        found: impl IntoIterator<Item = Record>,
        upto: u64,
        end: u64,
    ) {
        let mut state = self.lock();
        state.scanning = false;
        // The subjects may have changed meanwhile.
        if state.offered + 1 == from {
            for record in found {
                if matches(&state.subjects, record.source(), record.event()) {
                    state.ready.push_back(record.seq);
                }
            }
            state.offered = upto;
            state.live = upto >= end;
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(crate) fn scan_dropped(&self) {
        self.lock().scanning = false;
        self.wake.notify_one();
    }

    /// Settled for good.
    pub(crate) fn ack(&self, seq: u64) {
        let mut state = self.lock();
        let was_full = state.unacked.len() >= state.max_in_flight;
        state.land(seq);
        drop(state);
        if was_full {
            self.wake.notify_one();
        }
    }

    /// The delivery is due again after `wait`; a later delivery is left alone.
    pub(crate) fn again_after(&self, seq: u64, delivery: u64, wait: Duration, now: Instant) {
        let mut state = self.lock();
        let due = now.checked_add(wait).unwrap_or(now);
        if state
            .unacked
            .get(&seq)
            .is_some_and(|flight| flight.delivery == delivery)
        {
            state.fly(seq, Flight { delivery, due });
        }
        drop(state);
        self.wake.notify_one();
    }

    /// The time to acknowledge starts anew.
    pub(crate) fn in_progress(&self, seq: u64, delivery: u64, now: Instant) {
        let mut state = self.lock();
        let due = now + state.ack_wait;
        if state
            .unacked
            .get(&seq)
            .is_some_and(|flight| flight.delivery == delivery)
        {
            state.fly(seq, Flight { delivery, due });
        }
    }

    /// The delivery never reached its subscriber.
    pub(crate) fn undelivered(&self, seq: u64, delivery: u64, now: Instant) {
        let mut state = self.lock();
        if state
            .unacked
            .get(&seq)
            .is_some_and(|flight| flight.delivery == delivery)
        {
            let delivery = delivery.saturating_sub(1);
            state.fly(seq, Flight { delivery, due: now });
        }
        drop(state);
        self.wake.notify_one();
    }

    pub(crate) fn delete(&self) {
        self.lock().deleted = true;
        self.wake.notify_waiters();
        self.wake.notify_one();
    }

    /// Holds the events of interest that were just read.
    pub(crate) fn hold(&self, records: &[Record]) {
        let subjects = self.subjects();
        let wanted = |record: &&Record| matches(&subjects, record.source(), record.event());
        let wanted = records.iter().filter(wanted).cloned().collect();
        *self.chunk.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }

    /// The event, if it is held. The last one ends the holding: a thousand idle consumers must not
    /// hold a thousand pieces of files.
    pub(crate) fn held(&self, seq: u64) -> Option<Record> {
        let mut chunk = self.chunk.lock().unwrap_or_else(PoisonError::into_inner);
        let at = chunk.partition_point(|record| record.seq < seq);
        let found = chunk.get(at).filter(|found| found.seq == seq).cloned()?;
        if at + 1 == chunk.len() {
            *chunk = Vec::new();
        }
        Some(found)
    }

    /// Marks it as changed; true for the first mark since the last [`Consumer::saved`].
    pub(crate) fn touch(&self) -> bool {
        !self.touched.swap(true, Ordering::AcqRel)
    }

    /// What to keep; nothing once it was forgotten. `end` was read before the call.
    pub(crate) fn saved(&self, end: u64) -> Option<Saved> {
        self.touched.store(false, Ordering::Release);
        let state = self.lock();
        if state.deleted {
            return None;
        }
        let subjects = state.subjects.iter();
        Some(Saved {
            cursor: state.cursor(end),
            unacked: state
                .unacked
                .iter()
                .map(|(seq, flight)| (*seq, flight.delivery))
                .collect(),
            subjects: subjects
                .map(|pattern| (pattern.source.clone(), pattern.event.clone()))
                .collect(),
        })
    }

    /// The oldest number that it still needs.
    pub(crate) fn needs_from(&self, end: u64) -> u64 {
        let state = self.lock();
        let next = state.cursor(end) + 1;
        state
            .unacked
            .keys()
            .next()
            .map_or(next, |seq| next.min(*seq))
    }

    /// The log no longer holds numbers up to `last`; says how many known ones it loses and from where on it had not looked.
    pub(crate) fn drop_up_to(&self, last: u64) -> (u64, Option<u64>) {
        let mut state = self.lock();
        let mut lost = 0;
        while state.ready.front().is_some_and(|seq| *seq <= last) {
            state.ready.pop_front();
            lost += 1;
        }
        while let Some(seq) = state
            .unacked
            .keys()
            .next()
            .copied()
            .filter(|seq| *seq <= last)
        {
            state.land(seq);
            lost += 1;
        }
        let unseen = (!state.live && state.offered < last).then_some(state.offered + 1);
        if unseen.is_some() {
            state.offered = last;
        }
        (lost, unseen)
    }
}

impl State {
    fn cursor(&self, end: u64) -> u64 {
        let seen = if self.live {
            end.max(self.offered)
        } else {
            self.offered
        };
        self.ready
            .front()
            .map_or(seen, |seq| seen.min(seq.saturating_sub(1)))
    }

    fn fly(&mut self, seq: u64, flight: Flight) {
        if let Some(old) = self.unacked.insert(seq, flight) {
            self.due.remove(&(old.due, seq));
        }
        self.due.insert((flight.due, seq));
    }

    fn land(&mut self, seq: u64) {
        if let Some(old) = self.unacked.remove(&seq) {
            self.due.remove(&(old.due, seq));
        }
    }

    /// Wakes the next subscriber where there is more to take: one permit stands for many messages.
    fn pass_on(&self, wake: &Notify, now: Instant) {
        let again = self.due.first().is_some_and(|(at, _)| *at <= now);
        let fresh =
            self.unacked.len() < self.max_in_flight && (!self.ready.is_empty() || !self.live);
        if again || fresh {
            wake.notify_one();
        }
    }
}

/// Whether any pattern covers the event.
pub(crate) fn matches(subjects: &[SubjectPattern], source: &str, event: &str) -> bool {
    let covers = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    subjects
        .iter()
        .any(|pattern| covers(&pattern.source, source) && covers(&pattern.event, event))
}
