//! Reads the decision record while it is written, from a folder or from a bus. It changes nothing, and skips what it
//! cannot read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tiphys_eventbus::{Bus, Journal, JournalFilter, JournalReader, StateError};

use super::ring::files_of;
use super::writer::RecordLimits;
use super::{Decision, Dropped, End, alike, on_bus};

/// Which decisions are looked for. More may be given: whoever asks looks at each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Look {
    /// Of sensors of this namespace.
    pub namespace: Option<String>,
    /// Of this sensor.
    pub sensor: Option<String>,
    /// Of this event, by itself or among others.
    pub event: Option<String>,
}

impl Look {
    /// What a line must hold.
    fn text(&self) -> String {
        let text = self.event.as_ref().or(self.sensor.as_ref());
        text.map_or_else(String::new, |text| quoted(text))
    }
}

/// A text as it is in a line.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The folder is not there, or not to be read.
    #[error("cannot read the folder of decisions")]
    Folder(#[source] io::Error),
    /// The bus is away.
    #[error("cannot read the decisions on the event bus")]
    Bus(#[source] StateError),
}

/// Follows a record.
pub struct Tail {
    look: Look,
    from: Place,
    dropped: u64,
}

/// Where it is.
enum Place {
    Folder {
        folder: PathBuf,
        read: BTreeMap<PathBuf, u64>,
    },
    Bus {
        journal: Arc<dyn Journal>,
        reader: Box<dyn JournalReader>,
        /// Whether sensors that hold the event have been asked for what became of it.
        asked: bool,
    },
}

impl Tail {
    /// From the oldest decision that is kept in a folder.
    #[must_use]
    pub fn in_folder(folder: &Path, look: Look) -> Self {
        let from = Place::Folder {
            folder: folder.to_owned(),
            read: BTreeMap::new(),
        };
        Self {
            look,
            from,
            dropped: 0,
        }
    }

    /// From the oldest decision that is kept on a bus; `None` where the bus keeps none.
    #[must_use]
    pub fn on_bus(bus: &Bus, look: Look) -> Option<Self> {
        let journal = on_bus::journal(bus, RecordLimits::default())?;
        let filter = JournalFilter {
            labels: [
                look.namespace.clone(),
                look.sensor.clone(),
                look.event.clone(),
            ],
        };
        let reader = journal.read(filter);
        let asked = look.event.is_none();
        Some(Self {
            look,
            from: Place::Bus {
                journal,
                reader,
                asked,
            },
            dropped: 0,
        })
    }

    /// How many decisions the record itself says are missing.
    #[must_use]
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Gives every decision that was written since the last call; those of one writer are in its order.
    ///
    /// # Errors
    /// [`ReadError`]; it can be called again.
    pub async fn poll(&mut self, mut each: impl FnMut(Decision)) -> Result<(), ReadError> {
        let text = self.look.text();
        let dropped = &mut self.dropped;
        match &mut self.from {
            Place::Folder { folder, read } => {
                let mut line = |line: &str| told(line, &text, dropped, &mut each);
                folder_lines(folder, read, &mut line).map_err(ReadError::Folder)
            }
            Place::Bus {
                journal,
                reader,
                asked,
            } => {
                let mut holders = BTreeSet::new();
                let mut seen = |decision: Decision| {
                    if decision.end == End::Pending {
                        holders.insert((decision.namespace.clone(), decision.sensor.clone()));
                    }
                    each(decision);
                };
                bus_lines(&mut **reader, |line| {
                    told(line, &text, dropped, &mut seen);
                })
                .await?;
                if !std::mem::replace(asked, true) {
                    for (namespace, sensor) in holders {
                        let labels = [Some(namespace), Some(sensor), None];
                        let mut reader = journal.read(JournalFilter { labels });
                        let own = |decision: &Decision| {
                            let event = decision.event.as_ref().map(|event| &event.id);
                            event == self.look.event.as_ref()
                        };
                        // Its own decisions are known; those of others say what they did with it.
                        let mut others = |decision: Decision| {
                            if !own(&decision) {
                                each(decision);
                            }
                        };
                        bus_lines(&mut *reader, |line| {
                            told(line, &text, &mut 0, &mut others);
                        })
                        .await?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// Gives the decisions of a line that holds a text.
fn told(line: &str, text: &str, dropped: &mut u64, each: &mut impl FnMut(Decision)) {
    if line.starts_with("{\"dropped\":") {
        let missing = serde_json::from_str::<Dropped>(line);
        *dropped += missing.map_or(0, |line| line.dropped);
        return;
    }
    if !line.contains(text) {
        return;
    }
    if line.starts_with(alike::HEAD) {
        alike::read(line).into_iter().for_each(each);
    } else if let Ok(decision) = serde_json::from_str(line) {
        each(decision);
    }
}

async fn bus_lines(
    reader: &mut dyn JournalReader,
    mut each: impl FnMut(&str),
) -> Result<(), ReadError> {
    loop {
        let entries = reader.next().await.map_err(ReadError::Bus)?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in &entries {
            let lines = str::from_utf8(entry).unwrap_or_default();
            lines.lines().for_each(&mut each);
        }
    }
}

fn folder_lines(
    folder: &Path,
    read: &mut BTreeMap<PathBuf, u64>,
    each: &mut impl FnMut(&str),
) -> io::Result<()> {
    let files = files_of(folder)?;
    read.retain(|path, _| files.contains(path));
    for path in files {
        let from = read.get(&path).copied().unwrap_or(0);
        let to = match file_lines(&path, from, each) {
            Ok(to) => to,
            // The ring has moved on.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        read.insert(path, to);
    }
    Ok(())
}

/// Reads a file from a place up to its last whole line, and says where that is.
fn file_lines(path: &Path, from: u64, each: &mut impl FnMut(&str)) -> io::Result<u64> {
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
        if let Ok(line) = str::from_utf8(&line) {
            each(line);
        }
    }
}
