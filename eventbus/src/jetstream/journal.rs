//! Journals on JetStream: a stream of its own for each, which removes its oldest entries, and a subject for each set of
//! labels, so that a reader gets what it looks for and little else.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::future::join_all;
use tiphys_core::tasks::chain;
use tokio::sync::Mutex;

use super::link::Link;
use super::state::escape;
use super::stream::{STREAM, is_absent};
use crate::bus::StateError;
use crate::journal::{Journal, JournalEntry, JournalFilter, JournalLimits, JournalReader, LABELS};

/// No entry waits longer for the server's word.
const STORE_WAIT: Duration = Duration::from_secs(5);
/// The server forgets a reader that has been silent for so long.
const READER_WAIT: Duration = Duration::from_secs(60);
/// How many entries are read at once.
const BATCH: usize = 256;
/// What an entry has where a label is about several. No label is escaped to it.
const SEVERAL: &str = "=several";
/// Of a long label only the beginning is a part of the subject.
const LABEL_BYTES: usize = 128;
/// Room for headers and protocol beside the payload.
const OVERHEAD: usize = 1024;

/// One journal.
pub(super) struct JetStreamJournal {
    link: Arc<Link>,
    name: String,
    limits: JournalLimits,
    /// Whether the stream is known to be there.
    there: Mutex<bool>,
}

impl JetStreamJournal {
    pub(super) fn new(link: Arc<Link>, name: &str, limits: JournalLimits) -> Self {
        Self {
            link,
            name: name.to_owned(),
            limits,
            there: Mutex::new(false),
        }
    }

    fn subject(&self, labels: [&str; LABELS]) -> String {
        format!("{}.{}", self.name, labels.join("."))
    }

    /// Makes sure of the stream; one that is there stays as it is.
    async fn ensure(&self, context: &Context) -> Result<(), StateError> {
        let mut there = self.there.lock().await;
        if *there {
            return Ok(());
        }
        let events = context.get_stream(STREAM).await;
        let events = events.map_err(|error| away(&error))?;
        let config = Config {
            name: self.name.clone(),
            subjects: vec![format!("{}.>", self.name)],
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            storage: StorageType::File,
            max_bytes: i64::try_from(self.limits.bytes).unwrap_or(i64::MAX),
            max_age: self.limits.age,
            num_replicas: events.cached_info().config.num_replicas,
            ..Config::default()
        };
        context
            .get_or_create_stream(config)
            .await
            .map_err(|error| away(&error))?;
        *there = true;
        Ok(())
    }
}

fn away(error: &(dyn std::error::Error + 'static)) -> StateError {
    StateError::Unavailable {
        reason: chain(error),
    }
}

fn unavailable(reason: impl Into<String>) -> StateError {
    StateError::Unavailable {
        reason: reason.into(),
    }
}

/// A label as a part of a subject.
fn token(label: &str) -> String {
    let mut token = escape(label);
    token.truncate(LABEL_BYTES);
    token
}

#[async_trait]
impl Journal for JetStreamJournal {
    async fn append(&self, entries: Vec<JournalEntry>) -> Result<(), StateError> {
        let context = self.link.ready().map_err(unavailable)?;
        self.ensure(&context).await?;
        let stored = async {
            let mut waiting = Vec::with_capacity(entries.len());
            for entry in entries {
                let [first, second, third] = entry
                    .labels
                    .map(|label| label.map_or_else(|| SEVERAL.to_owned(), |label| token(&label)));
                let subject = self.subject([&first, &second, &third]);
                waiting.push(context.publish(subject, entry.body).await?);
            }
            let acks = join_all(waiting.into_iter().map(IntoFuture::into_future)).await;
            acks.into_iter().collect::<Result<Vec<_>, _>>()
        };
        match tokio::time::timeout(STORE_WAIT, stored).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                // Somebody may have deleted the stream.
                *self.there.lock().await = false;
                Err(away(&error))
            }
            Err(_) => Err(unavailable("the server has not answered for 5 s")),
        }
    }

    fn read(&self, filter: JournalFilter) -> Box<dyn JournalReader> {
        let mut subjects = vec![Vec::new()];
        for label in filter.labels {
            let tokens = match label {
                None => vec!["*".to_owned()],
                Some(label) => vec![token(&label), SEVERAL.to_owned()],
            };
            let longer = |subject: &Vec<String>| {
                let (subject, tokens) = (subject.clone(), tokens.clone());
                tokens.into_iter().map(move |token| {
                    let mut longer = subject.clone();
                    longer.push(token);
                    longer
                })
            };
            subjects = subjects.iter().flat_map(longer).collect();
        }
        let subject = |labels: Vec<String>| format!("{}.{}", self.name, labels.join("."));
        Box::new(Reader {
            link: self.link.clone(),
            stream: self.name.clone(),
            subjects: subjects.into_iter().map(subject).collect(),
            consumer: None,
            after: 0,
        })
    }

    fn most(&self) -> usize {
        let most = self
            .link
            .ready()
            .map_or(0, |context| context.client().server_info().max_payload);
        most.saturating_sub(OVERHEAD)
    }
}

struct Reader {
    link: Arc<Link>,
    stream: String,
    subjects: Vec<String>,
    consumer: Option<Consumer<pull::Config>>,
    /// The number of the last entry that was read.
    after: u64,
}

impl Reader {
    /// A consumer of this reader's own, which goes away by itself.
    async fn open(&self) -> Result<Option<Consumer<pull::Config>>, StateError> {
        let context = self.link.ready().map_err(unavailable)?;
        let stream = match context.get_stream(&self.stream).await {
            Ok(stream) => stream,
            // Nothing has been written yet.
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(away(&error)),
        };
        let config = pull::Config {
            ack_policy: AckPolicy::None,
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: self.after + 1,
            },
            filter_subjects: self.subjects.clone(),
            inactive_threshold: READER_WAIT,
            memory_storage: true,
            num_replicas: 1,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(config).await;
        consumer.map(Some).map_err(|error| away(&error))
    }

    async fn fetch(&mut self, consumer: &Consumer<pull::Config>) -> Result<Vec<Bytes>, StateError> {
        let batch = consumer.fetch().max_messages(BATCH).messages().await;
        let mut batch = batch.map_err(|error| away(&error))?;
        let mut bodies = Vec::new();
        while let Some(message) = batch.next().await {
            let message = message.map_err(|error| unavailable(error.to_string()))?;
            if let Ok(info) = message.info() {
                self.after = self.after.max(info.stream_sequence);
            }
            bodies.push(message.payload.clone());
        }
        Ok(bodies)
    }
}

#[async_trait]
impl JournalReader for Reader {
    async fn next(&mut self) -> Result<Vec<Bytes>, StateError> {
        let consumer = match self.consumer.take() {
            Some(consumer) => consumer,
            None => match self.open().await? {
                Some(consumer) => consumer,
                None => return Ok(Vec::new()),
            },
        };
        // One that fails is made anew with the next call.
        let bodies = self.fetch(&consumer).await?;
        self.consumer = Some(consumer);
        Ok(bodies)
    }
}
