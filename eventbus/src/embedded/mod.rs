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

mod consumer;
mod dedup;
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

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::fs::FlockOperation;
use tiphys_core::{Event, envelope};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::time::Instant;

use self::consumer::Consumer;
use self::dedup::Dedup;
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

/// No publish waits longer.
const PUBLISH_WAIT: Duration = Duration::from_secs(2);
/// How many events may wait for the disk at once.
const QUEUE: usize = 8192;

/// Where an embedded bus is kept and how much of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbeddedConfig {
    /// The folder; made when it is absent. One process at a time uses it.
    pub dir: PathBuf,
    /// What is kept.
    pub limits: Limits,
    /// For how long an event with a known key is a duplicate. At most the last 500,000 events are known.
    pub dedup_window: Duration,
    /// The size at which a new file is begun; old events go by whole files.
    pub segment_bytes: u64,
}

impl EmbeddedConfig {
    /// The defaults: a week, no other limit, duplicates within 300 s.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            limits: Limits::default(),
            dedup_window: Duration::from_secs(300),
            segment_bytes: 16 << 20,
        }
    }
}

/// How much is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Older events go, acknowledged or not; a loss is counted and warned about. Default 168 h.
    pub max_age: Option<Duration>,
    /// No more bytes of files.
    pub max_bytes: Option<u64>,
    /// No more events.
    pub max_msgs: Option<u64>,
    /// What gives way at `max_bytes` and `max_msgs`.
    pub discard: Discard,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_age: Some(Duration::from_secs(168 * 3600)),
            max_bytes: None,
            max_msgs: None,
            discard: Discard::New,
        }
    }
}

/// What gives way when a limit is met. Events that every consumer has acknowledged go first in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discard {
    /// New events are refused, so that senders hear of it.
    #[default]
    New,
    /// The oldest events go, acknowledged or not; a loss is counted and warned about.
    Old,
}

impl Limits {
    /// The limit that so much goes beyond, for people.
    fn exceeded(&self, messages: u64, bytes: u64) -> Option<String> {
        if let Some(most) = self.max_msgs.filter(|most| messages > *most) {
            return Some(format!("{most} events (maxMsgs)"));
        }
        let most = self.max_bytes.filter(|most| bytes > *most)?;
        Some(format!("{most} bytes (maxBytes)"))
    }

    fn reduced(&self, part: impl Fn(u64) -> u64) -> Self {
        Self {
            max_bytes: self.max_bytes.map(&part),
            max_msgs: self.max_msgs.map(&part),
            ..self.clone()
        }
    }
}

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
    lock: File,
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
            queue: Arc::new(Semaphore::new(QUEUE)),
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

/// Takes the folder for this process.
fn lock(dir: &Path) -> Result<File, OpenError> {
    let fatal = |error: std::io::Error| OpenError::Fatal {
        reason: unusable(dir, &error),
    };
    std::fs::create_dir_all(dir).map_err(fatal)?;
    let path = dir.join("lock");
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(fatal)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            let holder = match holder.trim() {
                "" => String::new(),
                pid => format!(" (process {pid})"),
            };
            return Err(OpenError::Fatal {
                reason: format!(
                    "another Tiphys{holder} uses the folder {}: stop it, or choose another data folder",
                    dir.display()
                ),
            });
        }
        Err(error) => return Err(fatal(error.into())),
    }
    let pid = std::process::id().to_string();
    file.set_len(0)
        .and_then(|()| file.write_all(pid.as_bytes()))
        .map_err(fatal)?;
    Ok(file)
}

fn unusable(dir: &Path, error: &std::io::Error) -> String {
    let dir = dir.display();
    match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => format!(
            "the folder {dir} cannot be written ({error}): make it writable, or choose another data folder"
        ),
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            format!("no space is left in {dir}: free some, or choose another data folder")
        }
        _ => format!(
            "the folder {dir} cannot be used: {error}; choose another data folder or mend it"
        ),
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
            let permit = self.queue.clone().acquire_owned().await;
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

    fn kind(&self) -> &'static str {
        "embedded"
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.shared.health.subscribe()
    }

    fn discarded(&self) -> u64 {
        self.shared.lost()
    }

    async fn subscribe(
        &self,
        subscription: Subscription,
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
