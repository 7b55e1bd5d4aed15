//! The embedded bus: a durable log in a folder, in this process.
//!
//! ```text
//! publish ─▶ queue ─▶ writer thread: number, write, ONE sync for all that queued ─▶ route ─▶ answer
//!                                                                                  │
//! next ◀─ memory of the newest events, or a piece of a file ◀─ numbers that match ◀┘
//! ack ─▶ in memory ─▶ meta thread: gathered for a few milliseconds, one commit
//! ```
//!
//! An event is on the disk before it is acknowledged to its sender. An acknowledgement by a consumer may be lost
//! with the process; the event is then delivered again. One process at a time uses the folder.

mod config;
mod consumer;
mod dedup;
mod folder;
mod log;
mod meta;
mod record;
mod segment;
mod shared;
mod state;
mod subscriber;
#[cfg(test)]
mod tests;
mod writer;
#[cfg(test)]
mod writer_tests;

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tiphys_core::{Event, envelope};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;

use self::consumer::Consumer;
use self::dedup::Dedup;
use self::folder::{Held, lock, unusable};
use self::log::{Log, SegmentSize};
use self::meta::{Change, Changes, Meta};
use self::record::{Draft, TooLong};
use self::shared::Shared;
use self::state::EmbeddedState;
use self::subscriber::EmbeddedSubscriber;
use self::writer::{Command, Fullness, Job, Writer};
use crate::bus::{
    Backend, Bus, Durability, Health, OpenError, PublishError, Receive, Start, State, StateError,
    Stored, SubscribeError, Subscription,
};
use crate::names;

pub use self::config::{Discard, EmbeddedConfig, Limits};

/// No publish waits longer.
const PUBLISH_WAIT: Duration = Duration::from_secs(2);
/// How many KiB of events may wait for the disk at once.
const QUEUE_KIB: u32 = 65_536;

impl Bus {
    /// Opens or makes the bus in a folder, and mends what a crash left.
    ///
    /// # Errors
    /// When the folder cannot be written, is damaged beyond reading, or another process uses it.
    pub fn embedded(config: EmbeddedConfig) -> Result<Self, OpenError> {
        let backend = EmbeddedBus::open(config)?;
        Ok(Self {
            backend: Arc::new(backend),
        })
    }
}

struct EmbeddedBus {
    shared: Arc<Shared>,
    meta: Arc<Meta>,
    commands: mpsc::Sender<Command>,
    changes: Changes,
    queue: Arc<Semaphore>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    writer: JoinHandle<()>,
    meta: JoinHandle<()>,
    /// Holds the folder until the threads are done.
    lock: Held,
}

impl EmbeddedBus {
    fn open(config: EmbeddedConfig) -> Result<Self, OpenError> {
        let EmbeddedConfig {
            dir,
            limits,
            dedup_window,
            segment_bytes,
        } = config;
        let fatal = |reason: String| OpenError::Fatal { reason };
        let lock = lock(&dir)?;
        let meta = Meta::open(&dir.join("meta.redb")).map_err(|error| {
            fatal(format!(
                "{} cannot be read: {error}; restore it from a backup, or move the folder away to begin an empty bus",
                dir.join("meta.redb").display()
            ))
        })?;
        let saved = meta.consumers().map_err(|error| fatal(error.to_string()))?;
        // Numbers that a consumer has seen are not given again, even where the log lost them.
        let seen = |saved: &consumer::Saved| {
            let last = saved.unacked.iter().map(|(seq, _)| *seq).max().unwrap_or(0);
            last.max(saved.cursor)
        };
        let beyond = saved.values().map(seen).max().unwrap_or(0);
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        let unusable = |error: std::io::Error| fatal(unusable(&dir, &error));
        let size = SegmentSize {
            bytes: limits
                .max_bytes
                .map_or(segment_bytes, |most| segment_bytes.min(most / 8))
                .max(1),
            messages: limits.max_msgs.map_or(u64::MAX, |most| (most / 8).max(1)),
        };
        let (log, segments) = Log::open(&dir, size, beyond, now).map_err(unusable)?;
        let window = i64::try_from(dedup_window.as_nanos()).unwrap_or(i64::MAX);
        let mut dedup = Dedup::new(window);
        let mut last_nanos = now;
        log.since(now.saturating_sub(window), |record| {
            let key = dedup.hash(record.dedup().as_bytes());
            dedup.insert(key, record.seq, record.time_nanos());
            last_nanos = last_nanos.max(record.time_nanos());
        })
        .map_err(unusable)?;
        let restored = saved
            .into_iter()
            .map(|(name, saved)| Arc::new(Consumer::restore(&name, saved, Instant::now())));
        let (changes, changed) = mpsc::channel();
        let end = log.next_seq().saturating_sub(1);
        let shared = Arc::new(Shared::new(
            segments,
            changes.clone(),
            end,
            restored.collect(),
        ));
        let meta = Arc::new(meta);
        let (commands, received) = mpsc::channel();
        let writer = Writer {
            log,
            dedup,
            limits,
            shared: shared.clone(),
            dir: dir.clone(),
            last_nanos,
            warned: Fullness::Fine,
        };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let writer = named("bus-writer")
            .spawn(move || writer.run(&received))
            .map_err(unusable)?;
        let (thread_meta, thread_shared) = (meta.clone(), shared.clone());
        let thread = named("bus-meta")
            .spawn(move || thread_meta.run(&changed, || thread_shared.end()))
            .map_err(unusable)?;
        Ok(Self {
            shared,
            meta,
            commands,
            changes,
            queue: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            threads: Mutex::new(Some(Threads {
                writer,
                meta: thread,
                lock,
            })),
        })
    }

    /// What is left to do at the end; nothing the second time.
    fn ending(&self) -> Option<Ending> {
        let threads = self
            .threads
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        Some(Ending {
            threads,
            shared: self.shared.clone(),
            commands: self.commands.clone(),
            changes: self.changes.clone(),
        })
    }

    /// Sends a change and waits for its commit.
    async fn change<T>(
        &self,
        change: impl FnOnce(meta::Reply<T>) -> Change,
    ) -> Result<T, StateError> {
        change_meta(&self.changes, change).await
    }
}

/// Sends a change to the meta thread and waits for its commit.
async fn change_meta<T>(
    changes: &Changes,
    change: impl FnOnce(meta::Reply<T>) -> Change,
) -> Result<T, StateError> {
    let closed = || StateError::Unavailable {
        reason: "the bus is closed".to_owned(),
    };
    let (reply, answer) = oneshot::channel();
    changes.send(change(reply)).map_err(|_| closed())?;
    answer.await.map_err(|_| closed())?
}

/// The end of a bus.
struct Ending {
    threads: Threads,
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
    changes: Changes,
}

impl Ending {
    /// Has the threads finish what they have, and waits for it.
    fn run(self) {
        let Threads { writer, meta, lock } = self.threads;
        // A thread that is gone has nothing to finish; a panic was reported by its hook.
        drop(self.commands.send(Command::Close));
        drop(writer.join());
        self.shared.closed.cancel();
        drop(self.changes.send(Change::Close(self.shared.consumers())));
        drop(meta.join());
        drop(lock);
        self.shared.health.send_replace(Health::Unavailable {
            reason: "the bus is closed".to_owned(),
        });
    }
}

impl Drop for EmbeddedBus {
    fn drop(&mut self) {
        if let Some(ending) = self.ending() {
            ending.run();
        }
    }
}

#[async_trait]
impl Backend for EmbeddedBus {
    async fn publish(&self, event: &Event) -> Result<Stored, PublishError> {
        names::check_event(event)?;
        let body = envelope::encode(event);
        let draft = Draft::new(&event.source, &event.subject, event.dedup_key(), &body);
        let draft = draft.map_err(|TooLong(what)| PublishError::Refused {
            reason: format!("{what} is too long"),
        })?;
        let unavailable = |reason: &str| PublishError::Unavailable {
            reason: reason.to_owned(),
        };
        let stored = async {
            let closed = |_| unavailable("the bus is closed");
            let kib = u32::try_from(draft.len() / 1024 + 1).unwrap_or(QUEUE_KIB);
            let permit = self
                .queue
                .clone()
                .acquire_many_owned(kib.min(QUEUE_KIB))
                .await;
            let permit = permit.map_err(|_| unavailable("the bus is closed"))?;
            let (reply, answer) = oneshot::channel();
            let job = Job {
                draft,
                reply,
                permit,
            };
            self.commands
                .send(Command::Publish(job))
                .map_err(|_| unavailable("the bus is closed"))?;
            answer.await.map_err(closed)?
        };
        tokio::time::timeout(PUBLISH_WAIT, stored)
            .await
            .unwrap_or_else(|_| Err(unavailable("the disk has not answered for 2 s")))
    }

    fn durability(&self) -> Durability {
        Durability::Disk
    }

    fn is_alone(&self) -> bool {
        true
    }

    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn discarded(&self) -> u64 {
        self.shared.lost()
    }

    async fn count_discarded(&self) -> Result<u64, SubscribeError> {
        Ok(self.shared.lost())
    }

    async fn last_seq(&self) -> Result<u64, SubscribeError> {
        Ok(self.shared.end())
    }

    /// Nobody else has consumers here, so there are no predecessors.
    async fn subscribe(
        &self,
        subscription: Subscription,
        _predecessors: Vec<crate::bus::Predecessor>,
    ) -> Result<Box<dyn Receive>, SubscribeError> {
        names::check_subscription(&subscription)?;
        if self.shared.closed.is_cancelled() {
            return Err(SubscribeError::Unavailable {
                reason: "the bus is closed".to_owned(),
            });
        }
        let first = self.shared.segments.first_seq();
        let consumer = self
            .shared
            .consumer(&subscription, |end| match subscription.start {
                Start::New => end,
                Start::Oldest => first.saturating_sub(1),
            });
        self.change(|reply| Change::Save(consumer.clone(), reply))
            .await
            .map_err(subscribe_error)?;
        Ok(Box::new(EmbeddedSubscriber {
            shared: self.shared.clone(),
            consumer,
        }))
    }

    async fn durables(&self, prefix: &str) -> Result<Vec<String>, SubscribeError> {
        let consumers = self.shared.consumers();
        let names = consumers.iter().map(|consumer| consumer.name.clone());
        Ok(names.filter(|name| name.starts_with(prefix)).collect())
    }

    async fn forget(&self, durable: &str) -> Result<(), SubscribeError> {
        // Also where it is not known: an earlier removal may have failed halfway.
        self.shared.forget(durable);
        let name = durable.to_owned();
        self.change(|reply| Change::Forget(name, reply))
            .await
            .map_err(subscribe_error)
    }

    async fn state(&self, bucket: &str) -> Result<Arc<dyn State>, StateError> {
        Ok(Arc::new(EmbeddedState {
            bucket: bucket.to_owned(),
            meta: self.meta.clone(),
            changes: self.changes.clone(),
        }))
    }

    async fn close(&self) {
        if let Some(ending) = self.ending() {
            // A runtime that is shutting down does not run it; then the process is ending anyway.
            drop(tokio::task::spawn_blocking(move || ending.run()).await);
        }
    }
}

fn subscribe_error(error: StateError) -> SubscribeError {
    SubscribeError::Unavailable {
        reason: error.to_string(),
    }
}
