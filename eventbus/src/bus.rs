//! The interface of the bus. It holds no connection and no file: the backends do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tiphys_core::Event;
use tiphys_core::envelope::EnvelopeError;
use tokio::sync::watch;

use crate::journal::{AskError, Journal, JournalLimits, Questions};

/// A bus. Cloning shares it; it closes when [`Bus::close`] is called.
#[derive(Clone)]
pub struct Bus {
    pub(crate) backend: Arc<dyn Backend>,
}

/// What survives of an event once it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the server may lose the last events although they were acknowledged.
    Memory,
    /// It is on the disk of one machine: a power cut loses nothing.
    Disk,
    /// It is on most machines of a cluster.
    Quorum,
}

impl Durability {
    /// The word for logs, status and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
            Self::Quorum => "quorum",
        }
    }
}

/// Whether the bus can be reached now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It can.
    Connected,
    /// It cannot, and is being tried again and again.
    Unavailable {
        /// Why, for people.
        reason: String,
    },
}

/// Where a stored event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the stream, counted from 1.
    pub seq: u64,
    /// Whether the bus had it already.
    pub duplicate: bool,
}

/// Why an event was not stored, by what the caller can do.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Try again: the bus is away, slow or restarting.
    #[error("the event bus cannot be reached: {reason}")]
    Unavailable {
        /// Why, for people.
        reason: String,
    },
    /// Try again later: the bus is full and keeps what it has.
    #[error("the event bus is full: {reason}")]
    Full {
        /// Which limit, for people.
        reason: String,
    },
    /// This event can never be stored.
    #[error("the event bus refuses the event: {reason}")]
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// Why a bus could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The spec or the folder must change; trying again does not help.
    #[error("cannot open the event bus: {reason}")]
    Fatal {
        /// What is wrong and how to mend it.
        reason: String,
    },
}

/// Why a subscription could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SubscribeError {
    /// Try again.
    #[error("the event bus cannot be reached: {reason}")]
    Unavailable {
        /// Why, for people.
        reason: String,
    },
    /// The subscription must change.
    #[error("the event bus refuses the subscription: {reason}")]
    Refused {
        /// Why, for people.
        reason: String,
    },
}

/// Why an acknowledgement did not arrive. The message will be delivered again.
#[derive(Debug, thiserror::Error)]
#[error("cannot acknowledge the event: {reason}")]
pub struct AckError {
    /// Why, for people.
    pub reason: String,
}

/// Which events a consumer wants. `*` stands for every name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectPattern {
    /// The EventSource's name, or `*`.
    pub source: String,
    /// The event's name, or `*`.
    pub event: String,
}

/// Where a new durable consumer begins; one that exists goes on where it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With what is published from now on.
    #[default]
    New,
    /// With the oldest event that is kept.
    Oldest,
}

/// A durable consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its name: letters, digits, `-` and `_`. Subscribers of the same name share the messages.
    pub durable: String,
    /// What it wants.
    pub subjects: Vec<SubjectPattern>,
    /// Where it begins when it is new.
    pub start: Start,
    /// A message that is neither acknowledged nor marked as in progress for so long is delivered again.
    pub ack_wait: Duration,
    /// How many messages may be unacknowledged at once.
    pub max_in_flight: usize,
}

/// A consumer of somebody else whose place a new one takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predecessor {
    /// Its name.
    pub durable: String,
    /// Which of the subscription's subjects it consumed.
    pub subject: SubjectPattern,
}

/// The receiving end of a durable consumer.
pub struct Subscriber {
    pub(crate) backend: Box<dyn Receive>,
}

impl Subscriber {
    /// Messages come in the order of their places: what was delivered and not acknowledged, here or to another process,
    /// comes before what is newer, also after a crash or where a connection breaks. For a consumer that nobody else reads
    /// from at the same time.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.backend.keep_order();
        self
    }

    /// The next message; waits for one, and reconnects by itself.
    ///
    /// # Cancel safety
    /// Dropping the future loses no message.
    ///
    /// # Errors
    /// Only what cannot mend itself: the consumer was deleted, the bus was closed.
    pub async fn next(&mut self) -> Result<Message, SubscribeError> {
        self.backend.next().await
    }
}

/// One delivery of an event.
pub struct Message {
    /// The event; an error is a poison message that nobody can ever read.
    pub event: Result<Event, EnvelopeError>,
    /// The bytes of the envelope, for setting a poison message aside.
    pub raw: Bytes,
    /// Of a poison message: the source and the event under which the bus has it.
    pub came_as: Option<SubjectPattern>,
    /// Its place in the stream.
    pub seq: u64,
    /// When the bus stored it.
    pub stored_at: Timestamp,
    /// Which delivery this is, counted from 1.
    pub delivery: u64,
    pub(crate) settle: Arc<dyn Settle>,
}

impl Message {
    /// It is done with: it is not delivered again. Returns once the acknowledgement is on its way; one that
    /// a crash loses only means another delivery.
    ///
    /// # Errors
    /// When the bus did not get it: the message will come again.
    pub async fn ack(&self) -> Result<(), AckError> {
        self.settle.ack().await
    }

    /// As [`Message::ack`], and waits for the bus's own word: for effects that must not happen twice.
    ///
    /// # Errors
    /// When the bus did not confirm it: the message may come again.
    pub async fn ack_confirmed(&self) -> Result<(), AckError> {
        self.settle.ack_confirmed().await
    }

    /// Deliver it again after `wait`.
    pub async fn retry_after(&self, wait: Duration) -> Result<(), AckError> {
        self.settle.retry_after(wait).await
    }

    /// It is still being worked on: the time to acknowledge starts anew.
    pub async fn in_progress(&self) -> Result<(), AckError> {
        self.settle.in_progress().await
    }
}

/// A small durable key-value store beside the stream, for the state of conditions.
#[async_trait]
pub trait State: Send + Sync {
    /// The entry, if there is one.
    async fn get(&self, key: &str) -> Result<Option<Entry>, StateError>;
    /// Writes it if its revision is still `expected` (`None`: it must not exist). Returns the new revision.
    async fn put(&self, key: &str, value: Bytes, expected: Option<u64>) -> Result<u64, StateError>;
    /// Removes it; absent is fine.
    async fn delete(&self, key: &str) -> Result<(), StateError>;
    /// The keys that start with `prefix`, sorted.
    async fn keys(&self, prefix: &str) -> Result<Vec<String>, StateError>;
    /// How many bytes a value may have.
    fn most(&self) -> usize;
}

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The value.
    pub value: Bytes,
    /// Grows with each write; for [`State::put`].
    pub revision: u64,
}

/// Why state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Somebody else wrote it: read it again.
    #[error("the state was changed by another replica")]
    Conflict,
    /// Try again.
    #[error("the event bus cannot be reached: {reason}")]
    Unavailable {
        /// Why, for people.
        reason: String,
    },
}

/// Storing events: what a source needs of a bus.
#[async_trait]
pub trait Publish: Send + Sync {
    /// Stores the event; success means that it is kept at the bus's [`Durability`].
    ///
    /// Ends within a bounded time: an unreachable bus is an error, not a wait.
    async fn publish(&self, event: &Event) -> Result<Stored, PublishError>;
}

#[async_trait]
impl Publish for Bus {
    async fn publish(&self, event: &Event) -> Result<Stored, PublishError> {
        self.backend.publish(event).await
    }
}

impl Bus {
    /// What survives of an event once it is stored. May change with the server's settings.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.backend.durability()
    }

    /// `embedded` or `jetstream`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.backend.kind()
    }

    /// Whether no other process can reach it.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.backend.is_alone()
    }

    /// How many events the bus itself removed although a consumer had not taken them, as far as is known.
    ///
    /// When there are more, [`Bus::health`] changes.
    #[must_use]
    pub fn discarded(&self) -> u64 {
        self.backend.discarded()
    }

    /// The same after a look at the servers, which happens every half minute in any case.
    ///
    /// # Errors
    /// [`SubscribeError::Unavailable`].
    pub async fn count_discarded(&self) -> Result<u64, SubscribeError> {
        self.backend.count_discarded().await
    }

    /// Whether it can be reached, and each change of that.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.backend.health()
    }

    /// The place of the newest stored event; 0 where there never was one.
    ///
    /// # Errors
    /// [`SubscribeError::Unavailable`].
    pub async fn last_seq(&self) -> Result<u64, SubscribeError> {
        self.backend.last_seq().await
    }

    /// Makes or finds a durable consumer.
    ///
    /// A consumer that exists keeps its place, also when its subjects or limits change.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub async fn subscribe(
        &self,
        subscription: Subscription,
    ) -> Result<Subscriber, SubscribeError> {
        self.subscribe_after(subscription, Vec::new()).await
    }

    /// The same; one that is new and would begin with [`Start::New`] begins where its predecessors ended, if there are
    /// any, so that nothing that they had not acknowledged is missed.
    ///
    /// # Errors
    /// [`SubscribeError`].
    pub async fn subscribe_after(
        &self,
        subscription: Subscription,
        predecessors: Vec<Predecessor>,
    ) -> Result<Subscriber, SubscribeError> {
        self.backend
            .subscribe(subscription, predecessors)
            .await
            .map(|backend| Subscriber { backend })
    }

    /// The names of the durable consumers that start with `prefix`, sorted.
    ///
    /// # Errors
    /// [`SubscribeError::Unavailable`].
    pub async fn durables(&self, prefix: &str) -> Result<Vec<String>, SubscribeError> {
        self.backend.durables(prefix).await
    }

    /// Deletes a durable consumer; absent is fine.
    ///
    /// # Errors
    /// [`SubscribeError::Unavailable`].
    pub async fn forget(&self, durable: &str) -> Result<(), SubscribeError> {
        self.backend.forget(durable).await
    }

    /// The key-value store beside the stream. `bucket`: letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn state(&self, bucket: &str) -> Result<Arc<dyn State>, StateError> {
        self.backend.state(bucket).await
    }

    /// A journal beside the stream. `None` where the bus has no server: files do that on one machine.
    /// `name`: letters, digits, `-` and `_`.
    #[must_use]
    pub fn journal(&self, name: &str, limits: JournalLimits) -> Option<Arc<dyn Journal>> {
        self.backend.journal(name, limits)
    }

    /// Begins to answer questions to a name. Of several who serve it one gets each question.
    ///
    /// # Errors
    /// [`SubscribeError::Refused`] where the bus has no server.
    pub async fn serve(&self, name: &[&str]) -> Result<Questions, SubscribeError> {
        self.backend.serve(name).await
    }

    /// Asks whoever serves a name, and waits for the answer as long as somebody is at work on it.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn ask(&self, name: &[&str], body: Bytes) -> Result<Bytes, AskError> {
        self.backend.ask(name, body).await
    }

    /// Writes out what is in hand and lets go of files and connections.
    pub async fn close(&self) {
        self.backend.close().await;
    }
}

/// One kind of bus.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    async fn publish(&self, event: &Event) -> Result<Stored, PublishError>;
    fn durability(&self) -> Durability;
    fn kind(&self) -> &'static str;
    fn is_alone(&self) -> bool {
        false
    }
    fn health(&self) -> watch::Receiver<Health>;
    fn discarded(&self) -> u64;
    async fn count_discarded(&self) -> Result<u64, SubscribeError>;
    async fn last_seq(&self) -> Result<u64, SubscribeError>;
    async fn subscribe(
        &self,
        subscription: Subscription,
        predecessors: Vec<Predecessor>,
    ) -> Result<Box<dyn Receive>, SubscribeError>;
    async fn durables(&self, prefix: &str) -> Result<Vec<String>, SubscribeError>;
    async fn forget(&self, durable: &str) -> Result<(), SubscribeError>;
    async fn state(&self, bucket: &str) -> Result<Arc<dyn State>, StateError>;
    async fn known_state(&self, bucket: &str) -> Result<Option<Arc<dyn State>>, StateError> {
        self.state(bucket).await.map(Some)
    }
    fn journal(&self, _name: &str, _limits: JournalLimits) -> Option<Arc<dyn Journal>> {
        None
    }
    async fn serve(&self, _name: &[&str]) -> Result<Questions, SubscribeError> {
        Err(SubscribeError::Refused {
            reason: "it has no server that questions could come over".to_owned(),
        })
    }
    async fn ask(&self, _name: &[&str], _body: Bytes) -> Result<Bytes, AskError> {
        Err(AskError::Nobody)
    }
    async fn close(&self);
}

/// The receiving end of one kind of bus.
pub(crate) trait Receive: Send {
    /// From now on as [`Subscriber::in_order`] says.
    fn keep_order(&mut self);
    fn next(&mut self) -> BoxFuture<'_, Result<Message, SubscribeError>>;
}

/// Answers one delivery.
#[async_trait]
pub(crate) trait Settle: Send + Sync {
    async fn ack(&self) -> Result<(), AckError>;
    async fn ack_confirmed(&self) -> Result<(), AckError>;
    async fn retry_after(&self, wait: Duration) -> Result<(), AckError>;
    async fn in_progress(&self) -> Result<(), AckError>;
}
