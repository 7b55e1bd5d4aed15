//! Reads the decision record while it is written. It changes nothing, and skips what it cannot read.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use super::writer::files_of;
use super::{Decision, Dropped, alike};

/// Follows a folder of decisions.
#[derive(Debug)]
pub struct Tail {
    folder: PathBuf,
    read: BTreeMap<PathBuf, u64>,
    dropped: u64,
}

impl Tail {
    /// From the oldest decision that is kept.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            read: BTreeMap::new(),
            dropped: 0,
        }
    }

    /// How many decisions the record itself says are missing.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Gives every decision that was written since the last call and whose line holds `text`, oldest first.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn poll(&mut self, text: &str, mut each: impl FnMut(Decision)) -> io::Result<()> {
        let files = files_of(&self.folder)?;
        self.read.retain(|path, _| files.contains(path));
        for path in files {
            let from = self.read.get(&path).copied().unwrap_or(0);
            let read = match self.file(&path, from, text, &mut each) {
                Ok(read) => read,
                // The ring has moved on.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            self.read.insert(path, read);
        }
        Ok(())
    }

    /// Reads a file from a place up to its last whole line, and says where that is.
    fn file(
        &mut self,
        path: &Path,
        from: u64,
        text: &str,
        each: &mut impl FnMut(Decision),
    ) -> io::Result<u64> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() <= from {
            return Ok(from);
        }
        file.seek(SeekFrom::Start(from))?;
        let (mut reader, mut line, mut at) =
            (BufReader::with_capacity(64 << 10, file), Vec::new(), from);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line)?;
            if read == 0 || line.last() != Some(&b'\n') {
                return Ok(at);
            }
            at += u64::try_from(read).unwrap_or(0);
            let Ok(line) = str::from_utf8(&line) else {
                continue;
            };
            if line.starts_with("{\"dropped\":") {
                let missing = serde_json::from_str::<Dropped>(line);
                self.dropped += missing.map_or(0, |line| line.dropped);
            } else if !line.contains(text) {
                continue;
            } else if line.starts_with(alike::HEAD) {
                alike::read(line).into_iter().for_each(&mut *each);
            } else if let Ok(decision) = serde_json::from_str(line) {
                each(decision);
            }
        }
    }
}
