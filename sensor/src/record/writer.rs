//! Takes decisions and writes them in batches in the background. Whoever records never waits.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tiphys_core::Tasks;
use tiphys_eventbus::Bus;
use tokio::sync::{mpsc, oneshot};

use super::alike::Plain;
use super::on_bus::{self, OnBus};
use super::ring::Ring;
use super::{Draft, Dropped};

/// How many decisions wait to be written at most.
const QUEUE: usize = 16 << 10;
/// With so many in a batch, which takes some 25,000 a second, details are left out.
const BUSY: usize = 512;
/// How many are written at once.
const BATCH: usize = 8 << 10;
/// How long the first decision of a batch waits for others.
const LINGER: Duration = Duration::from_millis(20);

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordLimits {
    /// So many bytes in all.
    pub bytes: u64,
    /// For so long.
    pub age: Duration,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self {
            bytes: 128 << 20,
            age: Duration::from_secs(7 * 24 * 3600),
        }
    }
}

/// Takes decisions. Cloning shares it.
#[derive(Clone, Default)]
pub struct Recorder {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    queue: mpsc::Sender<Item>,
    shared: Arc<Shared>,
}

/// What those who record and the writer tell each other.
#[derive(Default)]
struct Shared {
    dropped: AtomicU64,
    /// Whether the last batch was a large one.
    busy: AtomicBool,
}

enum Item {
    Decision(Box<Draft>),
    Plain(Plain),
    Flush(oneshot::Sender<()>),
}

/// Decisions that are written together.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) drafts: Vec<Draft>,
    pub(super) plain: Vec<Plain>,
    dropped: u64,
}

impl Batch {
    /// What is missing before it.
    pub(super) fn dropped(&self) -> Option<Dropped> {
        let dropped = self.dropped;
        (dropped > 0).then_some(Dropped { dropped })
    }
}

/// Where batches go.
enum Store {
    Files(Ring),
    Bus(OnBus),
}

impl Store {
    async fn write(&self, batch: Batch) -> Result<(), String> {
        match self {
            Self::Files(ring) => ring.write(batch).await,
            Self::Bus(bus) => bus.write(batch).await,
        }
    }
}

impl Recorder {
    /// Records nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Records into a folder, which is made where it is missing.
    ///
    /// # Errors
    /// When the folder cannot be made or read.
    pub fn open(folder: &Path, limits: RecordLimits, tasks: &Tasks) -> io::Result<Self> {
        let ring = Ring::open(folder, limits)?;
        Ok(Self::start(Store::Files(ring), tasks))
    }

    /// Records on a bus, for all who can read it; records nothing where the bus keeps no journals.
    #[must_use]
    pub fn on_bus(bus: &Bus, limits: RecordLimits, tasks: &Tasks) -> Self {
        match on_bus::journal(bus, limits) {
            None => Self::off(),
            Some(journal) => {
                let bus = bus.clone();
                Self::start(Store::Bus(OnBus { bus, journal }), tasks)
            }
        }
    }

    fn start(store: Store, tasks: &Tasks) -> Self {
        let (queue, items) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            items,
            shared: Arc::clone(&shared),
            store,
        };
        let stop = tasks.stop_token();
        tasks.spawn_job("decision record".to_owned(), writer.run(stop));
        Self {
            inner: Some(Arc::new(Inner { queue, shared })),
        }
    }

    /// Whether anything is recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.inner.is_some()
    }

    /// Whether there is time for details: what passed, what was resolved. Where decisions come faster than people
    /// could read them, they say only how it ended and, where it did not fire, why.
    #[must_use]
    pub(crate) fn is_thorough(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| {
            !inner.shared.busy.load(Ordering::Relaxed) && QUEUE - inner.queue.capacity() < BUSY
        })
    }

    /// Hands a decision over; one that finds the queue full is dropped and counted.
    pub(crate) fn record(&self, draft: Draft) {
        self.send(|| Item::Decision(Box::new(draft)));
    }

    /// As [`Recorder::record`], for an event of which there is nothing to say but that it fired.
    pub(crate) fn record_plain(&self, plain: Plain) {
        self.send(|| Item::Plain(plain));
    }

    fn send(&self, item: impl FnOnce() -> Item) {
        let Some(inner) = &self.inner else { return };
        if inner.queue.try_send(item()).is_err() {
            inner.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until everything that was handed over before is written.
    pub async fn flush(&self) {
        let Some(inner) = &self.inner else { return };
        let (done, written) = oneshot::channel();
        if inner.queue.send(Item::Flush(done)).await.is_ok() {
            // A writer that has ended has written what it had.
            drop(written.await);
        }
    }
}

struct Writer {
    items: mpsc::Receiver<Item>,
    shared: Arc<Shared>,
    store: Store,
}

impl Writer {
    async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let mut warned = false;
        loop {
            let mut items = Vec::new();
            let ending = tokio::select! {
                count = self.items.recv_many(&mut items, 1) => count == 0,
                () = stop.cancelled() => true,
            };
            if ending {
                self.items.close();
                while self.items.recv_many(&mut items, BATCH).await > 0 {}
            } else if !matches!(items.first(), Some(Item::Flush(_))) {
                tokio::select! {
                    () = tokio::time::sleep(LINGER) => {}
                    () = stop.cancelled() => {}
                }
                while items.len() < BATCH
                    && let Ok(item) = self.items.try_recv()
                {
                    items.push(item);
                }
            }
            self.shared
                .busy
                .store(items.len() >= BUSY, Ordering::Relaxed);
            self.write(items, &mut warned).await;
            if ending {
                return;
            }
        }
    }

    async fn write(&self, items: Vec<Item>, warned: &mut bool) {
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        let mut batch = Batch {
            dropped,
            ..Batch::default()
        };
        let mut flushed = Vec::new();
        for item in items {
            match item {
                Item::Decision(draft) => batch.drafts.push(*draft),
                Item::Plain(one) => batch.plain.push(one),
                Item::Flush(done) => flushed.push(done),
            }
        }
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "decisions came faster than their record is written"
            );
        }
        let count = batch.drafts.len() + batch.plain.len();
        if dropped > 0 || count > 0 {
            let written = self.store.write(batch).await;
            if let Err(error) = &written {
                let missing = dropped + u64::try_from(count).unwrap_or(u64::MAX);
                self.shared.dropped.fetch_add(missing, Ordering::Relaxed);
                if !*warned {
                    tracing::warn!(%error, "cannot write the decision record; events go on without it");
                }
            }
            *warned = written.is_err();
        }
        for done in flushed {
            if done.send(()).is_err() {
                tracing::trace!("nobody waits for the record any more");
            }
        }
    }
}
