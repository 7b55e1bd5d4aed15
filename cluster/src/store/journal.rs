//! The disk: one redb file, one transaction per batch, fsync before anyone hears of it.
//!
//! After a failed commit the file is opened again before the next one, so that a disk that
//! was full for a while does not need a restart. Never reads what is in memory.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, TableDefinition,
};
use thiserror::Error;

use crate::store::object::{Key, Stored};
use crate::store::state::State;

/// (table, namespace, name) to the object's JSON.
const OBJECTS: TableDefinition<'_, (&str, &str, &str), &[u8]> = TableDefinition::new("objects");
/// Facts about the store.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const VERSION: &str = "version";
/// All reads come from memory, so the file needs no large cache of its own.
const CACHE_BYTES: usize = 8 << 20;

/// Why the store cannot be opened; by what the user must do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder cannot be made or written.
    #[error(
        "cannot write to the data folder {dir:?}; make it writable for this user or choose \
         another one"
    )]
    Unwritable {
        /// The data folder.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the store open.
    #[error(
        "the data folder {dir:?} is in use by {}; stop that one first or choose another folder",
        owner(*.pid)
    )]
    Locked {
        /// The data folder.
        dir: PathBuf,
        /// The process that has it, if it is known.
        pid: Option<u32>,
    },
    /// The file is not one that this program wrote, or it is damaged.
    #[error(
        "the store {file:?} is damaged; restore it from a copy, or move it away to start with an \
         empty one"
    )]
    Corrupt {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The disk failed or is full.
    #[error("cannot read or write the store {file:?}; check the disk and the space left on it")]
    Disk {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(
        || "another process".to_owned(),
        |pid| format!("process {pid}"),
    )
}

/// Why a batch did not reach the disk.
#[derive(Debug, Error)]
pub(crate) enum CommitError {
    /// There is no space left.
    #[error("no space left for the store")]
    Full(#[source] BoxError),
    /// Anything else.
    #[error("cannot write the store")]
    Failed(#[source] BoxError),
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a batch leaves at one place: an object, or nothing.
pub(crate) type Write<'a> = (&'a str, &'a Key, Option<&'a [u8]>);

/// Where batches are made durable.
pub(crate) trait Journal: Send {
    /// Makes all of it durable, or none of it; a failure leaves open which.
    fn commit(&mut self, writes: &[Write<'_>], version: u64) -> Result<(), CommitError>;
}

/// Keeps nothing: for tests and throw-away servers.
pub(crate) struct Nowhere;

impl Journal for Nowhere {
    fn commit(&mut self, _: &[Write<'_>], _: u64) -> Result<(), CommitError> {
        Ok(())
    }
}

/// The redb file.
pub(crate) struct File {
    path: PathBuf,
    database: Option<Database>,
}

impl File {
    /// Opens or creates the store and reads all of it.
    pub(crate) fn open(dir: &Path) -> Result<(Self, State), OpenError> {
        let unwritable = |source| OpenError::Unwritable {
            dir: dir.to_owned(),
            source,
        };
        fs::create_dir_all(dir).map_err(unwritable)?;
        let path = dir.join("cluster.redb");
        let fresh = !path.exists();
        let database = guarded(&path, || {
            database(&path).map_err(|e| classify(dir, &path, e))
        })?;
        // The lock is held from here on, so the name of its holder is ours to write.
        fs::write(pid_file(dir), std::process::id().to_string()).map_err(unwritable)?;
        if fresh {
            sync_folder(dir).map_err(unwritable)?;
        }
        let state = guarded(&path, || {
            load(&database).map_err(|error| storage(&path, error))
        })?;
        Ok((
            Self {
                path,
                database: Some(database),
            },
            state,
        ))
    }

    fn try_commit(&mut self, writes: &[Write<'_>], version: u64) -> Result<(), redb::Error> {
        let database = match self.database.take() {
            Some(database) => database,
            None => database(&self.path)?,
        };
        let transaction = database.begin_write()?;
        {
            let mut objects = transaction.open_table(OBJECTS)?;
            for (table, key, object) in writes {
                let place = (*table, key.namespace.as_str(), key.name.as_str());
                match object {
                    Some(object) => objects.insert(place, *object)?,
                    None => objects.remove(place)?,
                };
            }
            transaction.open_table(META)?.insert(VERSION, version)?;
        }
        transaction.commit()?;
        // Only a file that has proved itself is kept open.
        self.database = Some(database);
        Ok(())
    }
}

impl Journal for File {
    fn commit(&mut self, writes: &[Write<'_>], version: u64) -> Result<(), CommitError> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.try_commit(writes, version)));
        match outcome {
            Ok(Ok(())) => Ok(()),
            Ok(Err(redb::Error::Io(error))) if is_full(&error) => {
                Err(CommitError::Full(error.into()))
            }
            Ok(Err(error)) => Err(CommitError::Failed(error.into())),
            Err(_) => Err(CommitError::Failed("the storage engine panicked".into())),
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

fn pid_file(dir: &Path) -> PathBuf {
    dir.join("cluster.pid")
}

/// A file that appears in a folder is only safe once the folder is.
fn sync_folder(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

fn database(path: &Path) -> Result<Database, DatabaseError> {
    Database::builder().set_cache_size(CACHE_BYTES).create(path)
}

/// A damaged file may trip assertions of the storage engine; that too is an answer.
fn guarded<T>(path: &Path, read: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(OpenError::Corrupt {
            file: path.to_owned(),
            source: "its structure makes no sense".into(),
        })
    })
}

fn classify(dir: &Path, path: &Path, error: DatabaseError) -> OpenError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            let pid = fs::read_to_string(pid_file(dir)).ok();
            let pid = pid.and_then(|text| text.trim().parse().ok());
            OpenError::Locked {
                dir: dir.to_owned(),
                pid,
            }
        }
        DatabaseError::Storage(StorageError::Io(source)) => match source.kind() {
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotFound
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::NotADirectory => OpenError::Unwritable {
                dir: dir.to_owned(),
                source,
            },
            _ => storage(path, StorageError::Io(source).into()),
        },
        other => OpenError::Corrupt {
            file: path.to_owned(),
            source: other.into(),
        },
    }
}

fn storage(path: &Path, error: redb::Error) -> OpenError {
    let file = path.to_owned();
    match error {
        redb::Error::Io(source)
            if !matches!(
                source.kind(),
                io::ErrorKind::InvalidData
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::UnexpectedEof
            ) =>
        {
            OpenError::Disk { file, source }
        }
        other => OpenError::Corrupt {
            file,
            source: other.into(),
        },
    }
}

fn load(database: &Database) -> Result<State, redb::Error> {
    // Opening the tables in a write transaction makes them where they are not there yet.
    let transaction = database.begin_write()?;
    transaction.open_table(OBJECTS)?;
    transaction.open_table(META)?;
    transaction.commit()?;

    let transaction = database.begin_read()?;
    let version = transaction
        .open_table(META)?
        .get(VERSION)?
        .map_or(0, |entry| entry.value());
    let mut state = State::at(version);
    let mut table: Arc<str> = "".into();
    for entry in transaction.open_table(OBJECTS)?.iter()? {
        let (place, object) = entry?;
        let (in_table, namespace, name) = place.value();
        if &*table != in_table {
            table = in_table.into();
        }
        let stored =
            Stored::from_bytes(Bytes::copy_from_slice(object.value())).map_err(|error| {
                redb::Error::Corrupted(format!("{in_table}/{namespace}/{name}: {error}"))
            })?;
        state.load(&table, Key::new(namespace, name), Arc::new(stored));
    }
    Ok(state)
}
