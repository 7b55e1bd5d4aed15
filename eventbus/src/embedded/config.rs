//! Where an embedded bus is kept and how much of it. Values only.

use std::path::PathBuf;
use std::time::Duration;

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
    pub(super) fn exceeded(&self, messages: u64, bytes: u64) -> Option<String> {
        if let Some(most) = self.max_msgs.filter(|most| messages > *most) {
            return Some(format!("{most} events (maxMsgs)"));
        }
        let most = self.max_bytes.filter(|most| bytes > *most)?;
        Some(format!("{most} bytes (maxBytes)"))
    }

    pub(super) fn reduced(&self, part: impl Fn(u64) -> u64) -> Self {
        Self {
            max_bytes: self.max_bytes.map(&part),
            max_msgs: self.max_msgs.map(&part),
            ..self.clone()
        }
    }
}
