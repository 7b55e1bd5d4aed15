//! The interface of what a bus keeps beside its events: journals that anyone appends to, and questions to whoever
//! serves a name. It holds no connection: the backends do.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;

use crate::bus::StateError;

/// How many labels an entry of a journal has.
pub const LABELS: usize = 3;

/// How much of a journal is kept: the oldest entries go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalLimits {
    /// So many bytes in all.
    pub bytes: u64,
    /// For so long.
    pub age: Duration,
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// What it is found by; `None` where it is about several.
    pub labels: [Option<String>; LABELS],
    /// What it says.
    pub body: Bytes,
}

/// Which entries are read: those whose labels are these. `None` stands for every label.
///
/// What is read may be a little more than what is asked for, and an entry about several is always among it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalFilter {
    /// The labels.
    pub labels: [Option<String>; LABELS],
}

/// Something written down beside the events, bounded, by many writers; no order between them is kept.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Stores entries. Returns once the bus has them or has refused them, after a bounded time.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]: some of them are not stored, and nobody tries again.
    async fn append(&self, entries: Vec<JournalEntry>) -> Result<(), StateError>;

    /// Reads from the oldest entry that is kept.
    fn read(&self, filter: JournalFilter) -> Box<dyn JournalReader>;

    /// How many bytes an entry may have.
    fn most(&self) -> usize;
}

/// Reads a journal while it is written.
#[async_trait]
pub trait JournalReader: Send {
    /// The next entries; none where there are no more for now.
    ///
    /// # Errors
    /// [`StateError::Unavailable`]; reading goes on where it was with the next call.
    async fn next(&mut self) -> Result<Vec<Bytes>, StateError>;
}

/// A question from somewhere else.
pub struct Question {
    /// What is asked.
    pub body: Bytes,
    pub(crate) reply: Box<dyn Reply>,
}

impl Question {
    /// Says that the answer takes longer. Whoever asks waits as long as it is said again and again, at least every
    /// ten seconds.
    pub async fn working(&self) {
        self.reply.send(Bytes::new()).await;
    }

    /// Answers. An answer that does not arrive is given up by whoever asked.
    pub async fn answer(self, body: Bytes) {
        self.reply.send(body).await;
    }
}

/// Questions as they come.
pub struct Questions {
    pub(crate) stream: BoxStream<'static, Question>,
}

impl Questions {
    /// The next one; none where the bus is closed.
    ///
    /// # Cancel safety
    /// Dropping the future loses no question.
    pub async fn next(&mut self) -> Option<Question> {
        self.stream.next().await
    }
}

/// Where an answer goes.
#[async_trait]
pub(crate) trait Reply: Send + Sync {
    async fn send(&self, body: Bytes);
}

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody serves that name on the bus.
    #[error("nobody answers on the event bus")]
    Nobody,
    /// Whoever serves it has not answered in time, or the bus is away.
    #[error("no answer came over the event bus: {reason}")]
    Unavailable {
        /// Why, for people.
        reason: String,
    },
}
