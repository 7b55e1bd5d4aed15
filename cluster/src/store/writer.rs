//! The one thread that changes the store.
//!
//! It takes whatever operations wait, evaluates them one after the other over an overlay,
//! writes them in one transaction, and only then shows them to readers and answers.
//! An operation that is refused or panics changes nothing; a disk that fails fails the batch
//! and leaves memory where the disk was.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::thread::{Builder, JoinHandle};

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::status::ApiError;
use crate::store::journal::{CommitError, Journal, Write};
use crate::store::object::Key;
use crate::store::state::{Change, State};
use crate::store::txn::{Overlay, Txn};

/// Operations that may wait; more of them make their senders wait.
const QUEUE: usize = 1024;
/// Operations in one transaction.
const BATCH: usize = 512;

/// What an operation answers.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) code: StatusCode,
    pub(crate) body: Bytes,
}

impl Reply {
    /// An object or a `Status`.
    pub(crate) fn new(code: StatusCode, body: impl Into<Bytes>) -> Self {
        Self {
            code,
            body: body.into(),
        }
    }

    /// A value made for this answer.
    pub(crate) fn value(code: StatusCode, value: &Value) -> Self {
        Self::new(code, value.to_string())
    }
}

/// Whether an operation is only tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dry {
    /// Evaluated and answered, then forgotten.
    Run,
    /// Stored.
    No,
}

type Op = Box<dyn FnOnce(&mut Txn<'_>) -> Result<Reply, ApiError> + Send>;
type Answer = Result<Reply, ApiError>;
/// Hears of a durable batch before readers do, and names tables that it needs opened.
type Observer = Box<dyn Fn(&[Change]) -> Vec<Arc<str>> + Send>;

struct Command {
    op: Op,
    dry: Dry,
    reply: oneshot::Sender<Answer>,
}

/// The handle of the store; dropping it ends the writer after what is queued.
pub(crate) struct Store {
    state: Arc<RwLock<State>>,
    queue: mpsc::Sender<Command>,
    stop: CancellationToken,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Starts the writer over what the journal holds; it tells `observer` of each durable batch.
    pub(crate) fn start(
        journal: Box<dyn Journal>,
        state: State,
        observer: Observer,
    ) -> std::io::Result<Self> {
        let state = Arc::new(RwLock::new(state));
        let (queue, commands) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let version = read(&state).version;
        let writer = Writer {
            state: Arc::clone(&state),
            journal,
            observer,
            doubtful: BTreeSet::new(),
            version,
            stop: stop.clone(),
        };
        let thread = Builder::new()
            .name("cluster-writer".into())
            .spawn(move || writer.run(commands))?;
        Ok(Self {
            state,
            queue,
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// What is durable now; hold it briefly.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        read(&self.state)
    }

    /// Runs an operation and answers once its changes are durable.
    pub(crate) async fn write(
        &self,
        dry: Dry,
        op: impl FnOnce(&mut Txn<'_>) -> Answer + Send + 'static,
    ) -> Answer {
        let closing = || ApiError::unavailable("the server is shutting down");
        if self.stop.is_cancelled() {
            return Err(closing());
        }
        let (reply, answer) = oneshot::channel();
        let command = Command {
            op: Box::new(op),
            dry,
            reply,
        };
        self.queue.send(command).await.map_err(|_| closing())?;
        answer.await.unwrap_or_else(|_| Err(closing()))
    }

    /// Ends when the store does: watches end with it.
    pub(crate) fn stopped(&self) -> &CancellationToken {
        &self.stop
    }

    /// Finishes what is queued and closes the file.
    pub(crate) async fn close(&self) {
        self.stop.cancel();
        let (reply, answer) = oneshot::channel();
        let last: Op = Box::new(|_| Err(ApiError::unavailable("the server is shutting down")));
        let last = Command {
            op: last,
            dry: Dry::Run,
            reply,
        };
        if self.queue.send(last).await.is_ok() {
            // The queue is in order, so this answer comes after all others.
            answer.await.ok();
        }
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            tokio::task::spawn_blocking(move || thread.join())
                .await
                .ok();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.stop.cancel();
        // Without its only sender the writer finishes what is queued and ends.
        let (closed, _) = mpsc::channel(1);
        self.queue = closed;
        let thread = self
            .thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(thread) = thread {
            thread.join().ok();
        }
    }
}

fn read(state: &RwLock<State>) -> RwLockReadGuard<'_, State> {
    // A poisoned lock still guards a whole state: it is changed by infallible code only.
    state.read().unwrap_or_else(PoisonError::into_inner)
}

struct Writer {
    state: Arc<RwLock<State>>,
    journal: Box<dyn Journal>,
    observer: Observer,
    /// Places that a failed commit may have changed on disk; the next one sets them right.
    doubtful: BTreeSet<(Arc<str>, Key)>,
    version: u64,
    stop: CancellationToken,
}

impl Writer {
    fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        while let Some(first) = commands.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < BATCH
                && let Ok(next) = commands.try_recv()
            {
                batch.push(next);
            }
            self.batch(batch);
            if self.stop.is_cancelled() {
                // What is queued is still done, nothing joins it any more.
                commands.close();
            }
        }
    }

    fn batch(&mut self, commands: Vec<Command>) {
        let mut overlay = Overlay::default();
        let mut version = self.version;
        let mut answers = Vec::with_capacity(commands.len());
        {
            let state = read(&self.state);
            for Command { op, dry, reply } in commands {
                let mut txn = Txn::new(&state, &overlay, version);
                let answer = catch_unwind(AssertUnwindSafe(|| op(&mut txn)));
                let answer = answer.unwrap_or_else(|_| {
                    tracing::error!("an operation on the built-in API panicked");
                    Err(ApiError::internal("the operation failed unexpectedly"))
                });
                if answer.is_ok() && dry == Dry::No {
                    let (changes, last) = txn.into_changes();
                    overlay.merge(changes);
                    version = last;
                }
                answers.push((reply, answer));
            }
        }
        if !overlay.changes.is_empty()
            && let Err(error) = self.commit(overlay.changes, version)
        {
            // Reads of this batch may have seen changes that are lost, so all of it fails.
            for (_, answer) in &mut answers {
                *answer = Err(error.clone());
            }
        }
        for (reply, answer) in answers {
            // Nobody waits for the answer of a request that was dropped.
            reply.send(answer).ok();
        }
    }

    fn commit(&mut self, changes: Vec<Change>, version: u64) -> Result<(), ApiError> {
        let outcome = {
            let state = read(&self.state);
            let mut writes: BTreeMap<(&str, &Key), Option<&[u8]>> = BTreeMap::new();
            for (table, key) in &self.doubtful {
                let object = state.get(table, key).map(|object| &*object.bytes);
                writes.insert((table, key), object);
            }
            for change in &changes {
                let object = (!change.gone).then_some(&*change.object.bytes);
                writes.insert((&change.table, &change.key), object);
            }
            let writes: Vec<Write<'_>> = writes
                .into_iter()
                .map(|((table, key), object)| (table, key, object))
                .collect();
            self.journal.commit(&writes, version)
        };
        match outcome {
            Ok(()) => {
                if !self.doubtful.is_empty() {
                    tracing::info!("the store can be written again");
                    self.doubtful.clear();
                }
                self.version = version;
                let opened = (self.observer)(&changes);
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                for table in opened {
                    state.open_table(&table);
                }
                state.apply(changes, version);
                Ok(())
            }
            Err(error) => {
                if self.doubtful.is_empty() {
                    tracing::error!(error = &error as &dyn std::error::Error, "cannot store");
                }
                let places = changes.into_iter().map(|change| (change.table, change.key));
                self.doubtful.extend(places);
                Err(refusal(&error))
            }
        }
    }
}

fn refusal(error: &CommitError) -> ApiError {
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    match error {
        CommitError::Full(_) => ApiError::disk_full(message),
        CommitError::Failed(_) => ApiError::internal(message),
    }
}
