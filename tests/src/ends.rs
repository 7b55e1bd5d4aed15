//! What a decision record says became of each event, counted as the counters count. It reads the files as JSON and
//! knows nothing of the program.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde_json::Value;

/// How an event ended; of several ends the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// No dependency let it through.
    Filtered,
    /// It waits.
    Pending,
    /// The effect is there.
    Fired,
    /// Given up.
    Dead,
}

/// The ends of the events of one trigger.
#[derive(Debug, Clone, Default)]
pub struct Ends {
    /// By the events' ids.
    pub by_id: BTreeMap<String, End>,
    /// How many decisions the record itself says are missing.
    pub dropped: u64,
}

impl Ends {
    /// Reads what one process (or every one) has recorded of a trigger.
    ///
    /// # Errors
    /// When the folder cannot be read. Lines that a crash has cut are skipped.
    pub fn read(folder: &Path, process: Option<u32>, trigger: [&str; 2]) -> io::Result<Self> {
        let mut ends = Self::default();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let of = name.split('-').nth(1).and_then(|id| id.parse().ok());
            if !name.ends_with(".jsonl") || (process.is_some() && of != process) {
                continue;
            }
            let text = std::fs::read(&path)?;
            for line in text.split(|byte| *byte == b'\n') {
                if let Ok(line) = serde_json::from_slice::<Value>(line) {
                    ends.take(&line, trigger);
                }
            }
        }
        Ok(ends)
    }

    fn take(&mut self, line: &Value, [sensor, trigger]: [&str; 2]) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.dropped += line["dropped"].as_u64().unwrap_or_default();
        // A replay is counted by itself.
        if line["sensor"] != sensor || line["trigger"] != trigger || line["replay"].is_string() {
            return;
        }
        // One line for many events that fired alike.
        for alike in line
            .get("alike")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            self.put(&alike.get(0).map(text).unwrap_or_default(), End::Fired);
        }
        let id = line.pointer("/event/id").map(text).unwrap_or_default();
        let end = |value: &Value| match value.as_str() {
            Some("filtered") => Some(End::Filtered),
            Some("pending") => Some(End::Pending),
            Some("fired") => Some(End::Fired),
            Some("dead") => Some(End::Dead),
            _ => None,
        };
        if let Some(end) = end(&line["end"]).filter(|_| !id.is_empty()) {
            self.put(&id, end);
        }
        // Those that fired, or died, together with it.
        for part in line["parts"].as_array().into_iter().flatten() {
            let events = part.pointer("/firing/events").and_then(Value::as_object);
            if let Some(end @ (End::Fired | End::Dead)) = end(&part["end"]) {
                for id in events.into_iter().flat_map(|events| events.values()) {
                    self.put(&text(id), end);
                }
            }
        }
    }

    fn put(&mut self, id: &str, end: End) {
        let known = self.by_id.entry(id.to_owned()).or_insert(end);
        *known = end.max(*known);
    }

    /// How many events ended so.
    pub fn count(&self, end: End) -> u64 {
        self.by_id.values().filter(|known| **known == end).count() as u64
    }
}
