//! The EventBus: its resource, and the bus itself, embedded or on NATS JetStream, behind one small interface.
//!
//! ```text
//! source ──Bus::publish──▶ stored once, durably ──▶ Stored
//!                                 │
//! sensor ◀──Subscriber::next── Message ──ack──▶ gone for this consumer
//!                                      ──retry_after / silence──▶ delivered again
//! ```
//!
//! Only this crate knows subjects, streams, consumers and files. It never decides what an event means.

mod bus;
mod embedded;
mod jetstream;
mod journal;
mod names;
mod resource;
mod turn;
mod visit;

pub use bus::{
    AckError, Bus, Durability, Entry, Health, Message, OpenError, Predecessor, Publish,
    PublishError, Start, State, StateError, Stored, SubjectPattern, SubscribeError, Subscriber,
    Subscription,
};
pub use embedded::{Discard, EmbeddedConfig, Limits};
pub use jetstream::STREAM;
pub use journal::{
    AskError, Journal, JournalEntry, JournalFilter, JournalLimits, JournalReader, LABELS, Question,
    Questions,
};
pub use resource::{
    BusConfig, BusStatusConfig, DURABILITY_ANNOTATION, EventBus, EventBusSpec, EventBusStatus,
    JetStreamConfig, JetStreamExotic, JetStreamServers, KafkaBus, KafkaConsumerGroup, NatsAuth,
    NatsBus, NatsExotic, NatsNative, Persistence, ServerContainer, StreamRetention, StreamSettings,
    refused_scale,
};
pub use turn::Turn;
