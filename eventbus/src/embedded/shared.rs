//! What the writer's thread and the subscribers share: the routes from subjects to consumers, and the newest events in memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::consumer::{Consumer, matches};
use super::log::Segments;
use super::meta::{Change, Changes};
use super::record::Record;
use crate::bus::{Health, SubjectPattern, Subscription};

/// How much of the newest events is held in memory, so that live consumers read no files.
const TAIL_BYTES: usize = 4 << 20;
/// How much is read from disk at once.
const CHUNK_BYTES: usize = 256 << 10;

/// How many read files at once.
const READS: usize = 4;
/// How far the log may run ahead of the saved places of consumers that nothing concerns.
const SAVE_EVERY: u64 = 1000;

/// Shared by all of one bus.
pub(crate) struct Shared {
    pub(crate) segments: Arc<Segments>,
    pub(crate) health: watch::Sender<Health>,
    pub(crate) closed: CancellationToken,
    pub(crate) changes: Changes,
    router: Mutex<Router>,
    end: AtomicU64,
    saved_end: AtomicU64,
    lost: AtomicU64,
    /// Few read files at once, however many consumers are behind.
    pub(crate) reads: Semaphore,
}

type ByEvent = HashMap<String, Vec<Arc<Consumer>>>;

#[derive(Default)]
struct Router {
    routes: HashMap<String, ByEvent>,
    consumers: BTreeMap<String, Arc<Consumer>>,
    tail: VecDeque<Record>,
    tail_bytes: usize,
}

impl Shared {
    pub(crate) fn new(
        segments: Arc<Segments>,
        changes: Changes,
        end: u64,
        consumers: Vec<Arc<Consumer>>,
    ) -> Self {
        let mut router = Router::default();
        for consumer in consumers {
            router.add(&consumer);
            router.consumers.insert(consumer.name.clone(), consumer);
        }
        Self {
            segments,
            health: watch::Sender::new(Health::Connected),
            closed: CancellationToken::new(),
            changes,
            router: Mutex::new(router),
            end: AtomicU64::new(end),
            saved_end: AtomicU64::new(end),
            reads: Semaphore::new(READS),
            lost: AtomicU64::new(0),
        }
    }

    fn router(&self) -> MutexGuard<'_, Router> {
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last number that consumers know of.
    pub(crate) fn end(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Events that were removed although a consumer still needed them.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Tells the consumers about stored events.
    pub(crate) fn route(&self, records: impl Iterator<Item = Record>) {
        let mut router = self.router();
        let mut end = self.end();
        for record in records {
            end = record.seq;
            for source in [record.source(), "*"] {
                let Some(by_event) = router.routes.get(source) else {
                    continue;
                };
                for event in [record.event(), "*"] {
                    for consumer in by_event.get(event).into_iter().flatten() {
                        consumer.offer(record.seq);
                    }
                }
            }
            router.tail_bytes += record.len();
            router.tail.push_back(record);
        }
        while router.tail_bytes > TAIL_BYTES
            && let Some(old) = router.tail.pop_front()
        {
            router.tail_bytes -= old.len();
        }
        self.end.store(end, Ordering::Release);
    }

    /// Finds or makes the consumer; a new one begins at `cursor`, given the last number.
    pub(crate) fn consumer(
        &self,
        subscription: &Subscription,
        cursor: impl FnOnce(u64) -> u64,
    ) -> Arc<Consumer> {
        let mut router = self.router();
        let end = self.end();
        let consumer = match router.consumers.get(&subscription.durable) {
            Some(consumer) => consumer.clone(),
            None => {
                let consumer = Arc::new(Consumer::new(&subscription.durable, cursor(end)));
                router
                    .consumers
                    .insert(subscription.durable.clone(), consumer.clone());
                consumer
            }
        };
        router.remove(&consumer);
        consumer.configure(subscription, end);
        router.add(&consumer);
        consumer
    }

    pub(crate) fn forget(&self, name: &str) -> Option<Arc<Consumer>> {
        let mut router = self.router();
        let consumer = router.consumers.remove(name)?;
        router.remove(&consumer);
        consumer.delete();
        Some(consumer)
    }

    pub(crate) fn consumers(&self) -> Vec<Arc<Consumer>> {
        self.router().consumers.values().cloned().collect()
    }

    /// Looks at the log on behalf of a consumer that is behind, one piece of it.
    pub(crate) fn scan(&self, consumer: &Consumer, from: u64) -> io::Result<()> {
        let end = self.end();
        let records = if from > end {
            Vec::new()
        } else {
            self.segments.read_from(from, CHUNK_BYTES)?
        };
        let upto = records.last().map_or(end, |record| record.seq);
        if let Some(first) = records.first().filter(|first| first.seq > from) {
            tracing::debug!(
                consumer = consumer.name,
                from,
                to = first.seq,
                "the log has no events of these numbers"
            );
        }
        consumer.hold(&records);
        // The router stands still, so that no event falls between the scan and the live ones.
        let _router = self.router();
        let end = self.end();
        let upto = upto.min(end);
        let found = records.into_iter().filter(|record| record.seq <= upto);
        consumer.scanned(from, found, upto, end);
        Ok(())
    }

    /// The event, if memory has it.
    pub(crate) fn cached(&self, consumer: &Consumer, seq: u64) -> Option<Record> {
        if let Some(found) = consumer.held(seq) {
            return Some(found);
        }
        let router = self.router();
        let at = router.tail.partition_point(|record| record.seq < seq);
        let found = router.tail.get(at);
        found.filter(|found| found.seq == seq).cloned()
    }

    /// The event from disk, with what follows it for later; nothing where it is gone or damaged.
    pub(crate) fn load(&self, consumer: &Consumer, seq: u64) -> io::Result<Option<Record>> {
        let records = self.segments.read_from(seq, CHUNK_BYTES)?;
        let found = records.first().filter(|first| first.seq == seq).cloned();
        consumer.hold(&records);
        Ok(found)
    }

    /// The oldest number that any consumer needs.
    pub(crate) fn needed_from(&self) -> u64 {
        let end = self.end();
        let consumers = self.consumers();
        consumers
            .iter()
            .map(|consumer| consumer.needs_from(end))
            .min()
            .unwrap_or(u64::MAX)
    }

    /// The log is about to lose these; whoever still needs them is named with the count.
    pub(crate) fn drop_up_to(&self, first: u64, last: u64, why: &str) {
        for consumer in self.consumers() {
            let (mut lost, unseen) = consumer.drop_up_to(last);
            if let Some(from) = unseen {
                lost += self.count(&consumer.subjects(), from.max(first), last);
            }
            if lost > 0 {
                self.lost.fetch_add(lost, Ordering::Relaxed);
                tracing::warn!(
                    consumer = consumer.name,
                    lost,
                    first,
                    last,
                    why,
                    "events are removed that the consumer has not acknowledged"
                );
            }
            self.touch(&consumer);
        }
    }

    fn count(&self, subjects: &[SubjectPattern], from: u64, last: u64) -> u64 {
        let (mut from, mut count) = (from, 0);
        while from <= last {
            match self.segments.read_from(from, CHUNK_BYTES) {
                Ok(records) => {
                    let Some(newest) = records.last().map(|record| record.seq) else {
                        break;
                    };
                    let of_consumer = records.iter().filter(|record| {
                        record.seq <= last && matches(subjects, record.source(), record.event())
                    });
                    count += of_consumer.count() as u64;
                    from = newest + 1;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot read the events that are removed");
                    break;
                }
            }
        }
        count
    }

    /// Has the places of all consumers saved now and then, so that those which nothing concerns start near the end.
    pub(crate) fn save_places(&self) {
        let end = self.end();
        if end >= self.saved_end.load(Ordering::Relaxed) + SAVE_EVERY {
            self.saved_end.store(end, Ordering::Relaxed);
            for consumer in self.consumers() {
                self.touch(&consumer);
            }
        }
    }

    /// Has the consumer saved soon.
    pub(crate) fn touch(&self, consumer: &Arc<Consumer>) {
        if consumer.touch() {
            // Where the thread has ended the bus is closed, and everything was saved.
            drop(self.changes.send(Change::Touched(consumer.clone())));
        }
    }
}

impl Router {
    fn add(&mut self, consumer: &Arc<Consumer>) {
        for pattern in consumer.subjects() {
            let by_event = self.routes.entry(pattern.source).or_default();
            let consumers = by_event.entry(pattern.event).or_default();
            if !consumers.iter().any(|known| Arc::ptr_eq(known, consumer)) {
                consumers.push(consumer.clone());
            }
        }
    }

    fn remove(&mut self, consumer: &Arc<Consumer>) {
        for pattern in consumer.subjects() {
            let Some(by_event) = self.routes.get_mut(&pattern.source) else {
                continue;
            };
            if let Some(consumers) = by_event.get_mut(&pattern.event) {
                consumers.retain(|known| !Arc::ptr_eq(known, consumer));
                if consumers.is_empty() {
                    by_event.remove(&pattern.event);
                }
            }
            if by_event.is_empty() {
                self.routes.remove(&pattern.source);
            }
        }
    }
}
