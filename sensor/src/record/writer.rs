//! The ring of files: batches of lines appended in the background, the oldest files removed by size and age.
//! Whoever records never waits for the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use tiphys_core::Tasks;
use tokio::sync::{mpsc, oneshot};

use super::alike::{self, Plain};
use super::{Draft, Dropped};

/// How many decisions wait for the disk at most.
const QUEUE: usize = 16 << 10;
/// With so many in a batch, which takes some 25,000 a second, details are left out.
const BUSY: usize = 512;
/// How many are written at once.
const BATCH: usize = 8 << 10;
/// How long the first decision of a batch waits for others.
const LINGER: Duration = Duration::from_millis(20);
/// The ring is made of so many files when it is full.
const FILES: u64 = 16;

/// The ending of the ring's files.
pub(super) const ENDING: &str = ".jsonl";

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
        std::fs::create_dir_all(folder)?;
        let ring = Ring {
            folder: folder.to_owned(),
            limits,
            file: None,
            written: 0,
            count: 0,
        };
        ring.prune()?;
        let (queue, items) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            items,
            shared: Arc::clone(&shared),
            ring,
            buffer: Vec::new(),
        };
        let stop = tasks.stop_token();
        tasks.spawn_job("decision record".to_owned(), writer.run(stop));
        Ok(Self {
            inner: Some(Arc::new(Inner { queue, shared })),
        })
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

    /// Waits until everything that was handed over before is in the files.
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
    ring: Ring,
    buffer: Vec<u8>,
}

impl Writer {
    async fn run(mut self, stop: tokio_util::sync::CancellationToken) {
        let mut warned = false;
        loop {
            let mut batch = Vec::new();
            let ending = tokio::select! {
                count = self.items.recv_many(&mut batch, 1) => count == 0,
                () = stop.cancelled() => true,
            };
            if ending {
                self.items.close();
                while self.items.recv_many(&mut batch, BATCH).await > 0 {}
            } else if !matches!(batch.first(), Some(Item::Flush(_))) {
                tokio::select! {
                    () = tokio::time::sleep(LINGER) => {}
                    () = stop.cancelled() => {}
                }
                while batch.len() < BATCH
                    && let Ok(item) = self.items.try_recv()
                {
                    batch.push(item);
                }
            }
            let busy = batch.len() >= BUSY;
            self.shared.busy.store(busy, Ordering::Relaxed);
            let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
            let (mut ring, mut buffer) = (self.ring, std::mem::take(&mut self.buffer));
            let written = tokio::task::spawn_blocking(move || {
                buffer.clear();
                if dropped > 0 {
                    serde_json::to_writer(&mut buffer, &Dropped { dropped })?;
                    buffer.push(b'\n');
                }
                let (mut plain, mut flushed) = (Vec::new(), Vec::new());
                for item in batch {
                    match item {
                        Item::Decision(draft) => draft.write(&mut buffer),
                        Item::Plain(one) => plain.push(one),
                        Item::Flush(done) => flushed.push(done),
                    }
                }
                alike::write(&plain, Timestamp::now(), &mut buffer);
                let written = ring.append(&buffer);
                for done in flushed {
                    if done.send(()).is_err() {
                        tracing::trace!("nobody waits for the record any more");
                    }
                }
                Ok::<_, io::Error>((ring, buffer, written))
            });
            let Ok(Ok((ring, buffer, written))) = written.await else {
                return;
            };
            (self.ring, self.buffer) = (ring, buffer);
            if let Err(error) = written {
                if !warned {
                    tracing::warn!(%error, "cannot write the decision record; events go on without it");
                }
                warned = true;
            } else {
                warned = false;
            }
            if dropped > 0 {
                tracing::warn!(dropped, "the disk was too slow for the decision record");
            }
            if ending {
                return;
            }
        }
    }
}

/// The files.
struct Ring {
    folder: PathBuf,
    limits: RecordLimits,
    file: Option<File>,
    written: u64,
    count: u32,
}

impl Ring {
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let full = self.written >= (self.limits.bytes / FILES).max(1);
        if full && let Some(file) = self.file.take() {
            file.sync_data()?;
        }
        if self.file.is_none() {
            self.written = 0;
            self.prune()?;
            self.file = Some(self.create()?);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let result = file.write_all(lines);
        if result.is_err() {
            // Half a line may be there; the next ones go to a file of their own.
            self.file = None;
        }
        self.written += u64::try_from(lines.len()).unwrap_or(u64::MAX);
        result
    }

    /// Names sort by time, and no two processes share a file.
    fn create(&mut self) -> io::Result<File> {
        self.count = self.count.wrapping_add(1);
        let name = format!(
            "{:013}-{}-{:06}{ENDING}",
            Timestamp::now().as_millisecond(),
            std::process::id(),
            self.count
        );
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(name))
    }

    /// Removes what is too old or too much; room for the next file is made as well.
    fn prune(&self) -> io::Result<()> {
        let mut files = Vec::new();
        for path in files_of(&self.folder)? {
            let Ok(metadata) = path.metadata() else {
                continue;
            };
            let age = metadata
                .modified()
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            files.push((path, metadata.len(), age.unwrap_or_default()));
        }
        let mut total: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        let most = self.limits.bytes - self.limits.bytes / FILES;
        for (path, bytes, age) in files {
            if total <= most && age <= self.limits.age {
                continue;
            }
            total -= bytes;
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The files of the ring, oldest first.
pub(super) fn files_of(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ENDING) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
