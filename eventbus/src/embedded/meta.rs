//! What lies beside the log: consumers' places and the key-value state, in one redb file with one writing thread.
//! Changes of one moment share a commit. It never holds events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tokio::sync::oneshot;

use super::consumer::{Consumer, Saved};
use crate::bus::{Entry, StateError};

const CONSUMERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("consumers");
const STATE: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("state");
const COUNTERS: TableDefinition<'_, &str, u64> = TableDefinition::new("counters");
/// How long acknowledgements are gathered; losing so many only means that they are delivered again.
const GATHER: Duration = Duration::from_millis(5);
/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);
const CACHE_BYTES: usize = 4 << 20;

/// A change.
pub(crate) enum Change {
    /// The consumer moved.
    Touched(Arc<Consumer>),
    /// The consumer must be on disk before the answer.
    Save(Arc<Consumer>, Reply<()>),
    /// The consumer is forgotten.
    Forget(String, Reply<()>),
    /// A value with the revision that it must have.
    Put {
        key: String,
        value: Bytes,
        expected: Option<u64>,
        reply: Reply<u64>,
    },
    /// A value goes.
    Delete { key: String, reply: Reply<()> },
    /// Save these and end.
    Close(Vec<Arc<Consumer>>),
}

pub(crate) type Reply<T> = oneshot::Sender<Result<T, StateError>>;

/// The file, for readers, and its way back after a failure.
pub(crate) struct Meta {
    path: PathBuf,
    database: RwLock<Option<Database>>,
}

impl Meta {
    pub(crate) fn open(path: &Path) -> Result<Self, redb::Error> {
        let database = open(path)?;
        Ok(Self {
            path: path.to_owned(),
            database: RwLock::new(Some(database)),
        })
    }

    fn read<R>(
        &self,
        look: impl FnOnce(&Database) -> Result<R, redb::Error>,
    ) -> Result<R, StateError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        match &*database {
            Some(database) => look(database).map_err(|error| unavailable(&error)),
            None => Err(StateError::Unavailable {
                reason: "the bus is closed, or its folder cannot be written".to_owned(),
            }),
        }
    }

    pub(crate) fn consumers(&self) -> Result<BTreeMap<String, Saved>, StateError> {
        self.read(|database| {
            let mut found = BTreeMap::new();
            // What is read borrows from the transaction, so that must outlive it.
            let transaction = database.begin_read()?;
            let table = transaction.open_table(CONSUMERS)?;
            for row in table.iter()? {
                let (name, saved) = row?;
                match serde_json::from_slice(saved.value()) {
                    Ok(saved) => {
                        found.insert(name.value().to_owned(), saved);
                    }
                    Err(error) => {
                        let reason = format!("consumer {:?} is damaged: {error}", name.value());
                        return Err(redb::Error::Corrupted(reason));
                    }
                }
            }
            Ok(found)
        })
    }

    pub(crate) fn get(&self, key: &str) -> Result<Option<Entry>, StateError> {
        self.read(|database| {
            let transaction = database.begin_read()?;
            let table = transaction.open_table(STATE)?;
            let found = table.get(key)?;
            Ok(found.map(|found| {
                let (revision, value) = found.value();
                Entry {
                    value: Bytes::copy_from_slice(value),
                    revision,
                }
            }))
        })
    }

    /// The keys that start with `prefix`, without their first `cut` bytes.
    pub(crate) fn keys(&self, prefix: &str, cut: usize) -> Result<Vec<String>, StateError> {
        self.read(|database| {
            let mut keys = Vec::new();
            let transaction = database.begin_read()?;
            let table = transaction.open_table(STATE)?;
            for row in table.range(prefix..)? {
                let (key, _) = row?;
                if !key.value().starts_with(prefix) {
                    break;
                }
                keys.push(key.value().get(cut..).unwrap_or_default().to_owned());
            }
            Ok(keys)
        })
    }

    /// The writing thread: ends with [`Change::Close`] or with its last sender.
    pub(crate) fn run(&self, changes: &Receiver<Change>, end: impl Fn() -> u64) {
        self.work(changes, end);
        // Lets go of the file, so that it can be opened again while somebody still holds a part of this bus.
        *self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn work(&self, changes: &Receiver<Change>, end: impl Fn() -> u64) {
        let mut touched: Vec<Arc<Consumer>> = Vec::new();
        let mut failing = false;
        loop {
            let first = if failing && !touched.is_empty() {
                match changes.recv_timeout(RETRY) {
                    Ok(change) => Some(change),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            } else {
                match changes.recv() {
                    Ok(change) => Some(change),
                    Err(_) => return,
                }
            };
            let mut batch = Batch::default();
            let gathered = Instant::now() + GATHER;
            let mut next = first;
            while let Some(change) = next.take() {
                batch.take(change, &mut touched);
                next = if batch.urgent() || failing {
                    changes.try_recv().ok()
                } else {
                    let left = gathered.saturating_duration_since(Instant::now());
                    changes.recv_timeout(left).ok()
                };
            }
            let result = self.commit(&batch, &touched, end());
            match &result {
                Ok(_) if failing => tracing::info!("the event bus's consumers can be saved again"),
                Ok(_) => {}
                Err(error) if !failing => {
                    tracing::error!(%error, "cannot save the event bus's consumers; events may be delivered again after a restart");
                }
                Err(_) => {}
            }
            failing = result.is_err();
            if !failing {
                touched.clear();
            }
            if batch.answer(result) {
                return;
            }
        }
    }

    fn commit(
        &self,
        batch: &Batch,
        touched: &[Arc<Consumer>],
        end: u64,
    ) -> Result<Vec<Done>, StateError> {
        {
            let mut database = self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            if database.is_none() {
                *database = Some(open(&self.path).map_err(|error| unavailable(&error))?);
            }
        }
        let result = self.read(|database| write(database, batch, touched, end));
        if result.is_err() {
            // After an I/O error redb wants to be opened again.
            *self
                .database
                .write()
                .unwrap_or_else(PoisonError::into_inner) = None;
        }
        result
    }
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    let database = Database::builder()
        .set_cache_size(CACHE_BYTES)
        .create(path)?;
    let write = database.begin_write()?;
    write.open_table(CONSUMERS)?;
    write.open_table(STATE)?;
    write.open_table(COUNTERS)?;
    write.commit()?;
    Ok(database)
}

fn unavailable(error: &redb::Error) -> StateError {
    StateError::Unavailable {
        reason: format!("the bus's own records cannot be used: {error}"),
    }
}

#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    closing: bool,
}

/// What became of one change.
enum Done {
    Yes,
    Revision(u64),
    Conflict,
}

impl Batch {
    fn take(&mut self, change: Change, touched: &mut Vec<Arc<Consumer>>) {
        match change {
            Change::Touched(consumer) => touched.push(consumer),
            Change::Close(consumers) => {
                touched.extend(consumers);
                self.closing = true;
            }
            other => self.changes.push(other),
        }
    }

    fn urgent(&self) -> bool {
        self.closing || !self.changes.is_empty()
    }

    /// Answers everybody; true when it was the last batch.
    fn answer(self, result: Result<Vec<Done>, StateError>) -> bool {
        let reason = match &result {
            Err(StateError::Unavailable { reason }) => reason.clone(),
            _ => String::new(),
        };
        let mut done = result.unwrap_or_default().into_iter();
        for change in self.changes {
            let outcome = match done.next() {
                Some(Done::Yes) => Ok(0),
                Some(Done::Revision(revision)) => Ok(revision),
                Some(Done::Conflict) => Err(StateError::Conflict),
                None => Err(StateError::Unavailable {
                    reason: reason.clone(),
                }),
            };
            // Whoever asked may be gone.
            match change {
                Change::Save(_, reply)
                | Change::Forget(_, reply)
                | Change::Delete { reply, .. } => {
                    drop(reply.send(outcome.map(drop)));
                }
                Change::Put { reply, .. } => drop(reply.send(outcome)),
                Change::Touched(_) | Change::Close(_) => {}
            }
        }
        self.closing
    }
}

fn write(
    database: &Database,
    batch: &Batch,
    touched: &[Arc<Consumer>],
    end: u64,
) -> Result<Vec<Done>, redb::Error> {
    let write = database.begin_write()?;
    let mut done = Vec::with_capacity(batch.changes.len());
    {
        let mut consumers = write.open_table(CONSUMERS)?;
        let mut state = write.open_table(STATE)?;
        let mut counters = write.open_table(COUNTERS)?;
        let save = |consumer: &Consumer| {
            consumer
                .saved(end)
                .map(|saved| serde_json::to_vec(&saved).unwrap_or_default())
        };
        for change in &batch.changes {
            done.push(match change {
                Change::Save(consumer, _) => {
                    if let Some(saved) = save(consumer) {
                        consumers.insert(consumer.name.as_str(), saved.as_slice())?;
                    }
                    Done::Yes
                }
                Change::Forget(name, _) => {
                    consumers.remove(name.as_str())?;
                    Done::Yes
                }
                Change::Put {
                    key,
                    value,
                    expected,
                    ..
                } => {
                    let present = state.get(key.as_str())?.map(|found| found.value().0);
                    if present == *expected {
                        let revision = counters.get("revision")?.map_or(0, |last| last.value()) + 1;
                        counters.insert("revision", revision)?;
                        state.insert(key.as_str(), (revision, &value[..]))?;
                        Done::Revision(revision)
                    } else {
                        Done::Conflict
                    }
                }
                Change::Delete { key, .. } => {
                    state.remove(key.as_str())?;
                    Done::Yes
                }
                Change::Touched(_) | Change::Close(_) => Done::Yes,
            });
        }
        for consumer in touched {
            if let Some(saved) = save(consumer) {
                consumers.insert(consumer.name.as_str(), saved.as_slice())?;
            }
        }
    }
    write.commit()?;
    Ok(done)
}

/// The changes' way to the thread.
pub(crate) type Changes = Sender<Change>;
