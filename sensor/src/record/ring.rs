//! Where decisions go on one machine: a ring of files, of which the oldest are removed by size and age.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use jiff::Timestamp;

use super::alike;
use super::writer::{Batch, RecordLimits};

/// The ring is made of so many files when it is full.
const FILES: u64 = 16;

/// The ending of the ring's files.
const ENDING: &str = ".jsonl";

/// The ring. Cloning shares it.
#[derive(Clone)]
pub(super) struct Ring {
    files: Arc<Mutex<Files>>,
}

struct Files {
    folder: PathBuf,
    limits: RecordLimits,
    file: Option<File>,
    written: u64,
    count: u32,
    buffer: Vec<u8>,
}

impl Ring {
    /// Makes the folder where it is missing, and room in it.
    pub(super) fn open(folder: &Path, limits: RecordLimits) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let files = Files {
            folder: folder.to_owned(),
            limits,
            file: None,
            written: 0,
            count: 0,
            buffer: Vec::new(),
        };
        files.prune()?;
        Ok(Self {
            files: Arc::new(Mutex::new(files)),
        })
    }

    /// Writes a batch where it holds up no other task.
    pub(super) async fn write(&self, batch: Batch) -> Result<(), String> {
        let files = Arc::clone(&self.files);
        let written = tokio::task::spawn_blocking(move || {
            let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
            files.write(&batch)
        });
        match written.await {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Files {
    fn write(&mut self, batch: &Batch) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        if let Some(dropped) = batch.dropped() {
            serde_json::to_writer(&mut buffer, &dropped)?;
            buffer.push(b'\n');
        }
        for draft in &batch.drafts {
            draft.write(&mut buffer);
        }
        for run in alike::runs(&batch.plain) {
            alike::write(run, Timestamp::now(), &mut buffer);
        }
        let written = self.append(&buffer);
        self.buffer = buffer;
        written
    }

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
