//! The bus on NATS JetStream: stream `default`, subjects `default.<source>.<event>`, one durable pull consumer per subscription.
//!
//! ```text
//! publish ─▶ subject, Nats-Msg-Id ─▶ its own acknowledgement, at most 2 s
//! next ◀─ pull in batches with heartbeats ◀─ consumer, made anew where somebody deleted it
//! link: connects in the background, for ever; makes the stream where it is absent and never changes it
//! survey: counts what the stream's limits took from consumers
//! ```
//!
//! It opens without a server: publishing then says `Unavailable` at once, until the server is there.

mod consumer;
mod credentials;
mod delivered;
mod filters;
mod journal;
mod link;
mod order;
mod questions;
mod state;
mod stream;
mod survey;
mod takeover;
mod wanted;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::header::{HeaderMap, HeaderValue, NATS_MESSAGE_ID};
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::PublishErrorKind;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::TryStreamExt as _;
use tiphys_core::tasks::chain;
use tiphys_core::{Event, Secrets, Tasks, envelope};
use tokio::sync::watch;

use self::consumer::JetStreamSubscriber;
use self::journal::JetStreamJournal;
use self::link::{Link, round_trip};
use self::state::JetStreamState;
pub use self::stream::STREAM;
use crate::bus::{
    Backend, Bus, Durability, Health, OpenError, Predecessor, PublishError, Receive, State,
    StateError, Stored, SubscribeError, Subscription,
};
use crate::journal::{AskError, Journal, JournalLimits, Questions};
use crate::names;
use crate::resource::{BusConfig, JetStreamConfig};

/// No publish waits longer.
const PUBLISH_WAIT: Duration = Duration::from_secs(2);
/// Room for headers and protocol beside the payload.
const OVERHEAD: usize = 512;

impl Bus {
    /// Begins to connect, and returns at once: [`Bus::health`] tells when the servers are there.
    ///
    /// The connection lasts until [`Bus::close`], beyond the end of `tasks`, so that what is in hand can be settled.
    /// `tasks` hear of its failure.
    ///
    /// # Errors
    /// When the url can never work.
    pub fn jetstream(
        config: JetStreamConfig,
        secrets: Arc<dyn Secrets>,
        tasks: &Tasks,
    ) -> Result<Self, OpenError> {
        let servers = link::addresses(&config.url).map_err(|reason| OpenError::Fatal { reason })?;
        let own = Tasks::new();
        let link = Arc::new(Link::new(config, servers, secrets, own.clone()));
        own.spawn("event bus", link.clone().run());
        own.spawn("event bus losses", survey::run(link.clone()));
        let stop = tasks.stop_token();
        tasks.spawn("event bus", async move {
            let closed = own.stop_token();
            tokio::select! {
                failed = own.failed() => Err(failed),
                () = stop.cancelled() => Ok(()),
                () = closed.cancelled() => {
                    stop.cancelled().await;
                    Ok(())
                }
            }
        });
        Ok(Self {
            backend: Arc::new(JetStreamBus { link }),
        })
    }

    /// As [`Bus::jetstream`], for a short look, which ends with [`Bus::close`] or with the last of its clones.
    pub(crate) fn visit_jetstream(
        config: JetStreamConfig,
        secrets: Arc<dyn Secrets>,
        tasks: &Tasks,
    ) -> Result<Self, OpenError> {
        let servers = link::addresses(&config.url).map_err(|reason| OpenError::Fatal { reason })?;
        let own = tasks.child();
        let link = Arc::new(Link::new(config, servers, secrets, own.clone()).visiting());
        own.spawn("look at an event bus", link.clone().run());
        Ok(Self {
            backend: Arc::new(JetStreamBus { link }),
        })
    }

    /// Opens whichever bus the configuration names.
    ///
    /// # Errors
    /// As [`Bus::embedded`] and [`Bus::jetstream`].
    pub fn open(
        config: BusConfig,
        secrets: Arc<dyn Secrets>,
        tasks: &Tasks,
    ) -> Result<Self, OpenError> {
        match config {
            BusConfig::Embedded(config) => Self::embedded(config),
            BusConfig::JetStream(config) => Self::jetstream(config, secrets, tasks),
        }
    }
}

struct JetStreamBus {
    link: Arc<Link>,
}

impl Drop for JetStreamBus {
    fn drop(&mut self) {
        self.link.tasks.stop_token().cancel();
    }
}

#[async_trait]
impl Backend for JetStreamBus {
    async fn publish(&self, event: &Event) -> Result<Stored, PublishError> {
        names::check_event(event)?;
        let unavailable = |reason: String| PublishError::Unavailable { reason };
        let context = self.link.ready().map_err(unavailable)?;
        let body = envelope::encode(event);
        let most = context.client().max_payload();
        if most > 0 && body.len() + OVERHEAD > most {
            return Err(PublishError::Refused {
                reason: format!(
                    "it has {} bytes and the server takes {most}: raise max_payload there",
                    body.len()
                ),
            });
        }
        let mut headers = HeaderMap::new();
        headers.insert(NATS_MESSAGE_ID, message_id(event.dedup_key()));
        let subject = format!("{STREAM}.{}.{}", event.source, event.subject);
        let stored = async {
            context
                .publish_with_headers(subject, headers, body.into())
                .await?
                .await
        };
        match tokio::time::timeout(PUBLISH_WAIT, stored).await {
            Ok(Ok(ack)) => Ok(Stored {
                seq: ack.sequence,
                duplicate: ack.duplicate,
            }),
            Ok(Err(error)) => Err(self.publish_error(&error)),
            Err(_) => Err(unavailable(
                "the server has not answered for 2 s".to_owned(),
            )),
        }
    }

    fn durability(&self) -> Durability {
        self.link.durability()
    }

    fn kind(&self) -> &'static str {
        "jetstream"
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.link.health.subscribe()
    }

    fn discarded(&self) -> u64 {
        self.link.lost.load(Ordering::Relaxed)
    }

    async fn count_discarded(&self) -> Result<u64, SubscribeError> {
        let counted = survey::look(&self.link, true).await;
        counted.map_err(|reason| SubscribeError::Unavailable { reason })
    }

    async fn last_seq(&self) -> Result<u64, SubscribeError> {
        let unavailable = |reason: String| SubscribeError::Unavailable { reason };
        let context = self.link.ready().map_err(unavailable)?;
        let stream = context.get_stream(STREAM).await;
        let stream = stream.map_err(|error| unavailable(chain(&error)))?;
        Ok(stream.cached_info().state.last_sequence)
    }

    async fn subscribe(
        &self,
        subscription: Subscription,
        predecessors: Vec<Predecessor>,
    ) -> Result<Box<dyn Receive>, SubscribeError> {
        names::check_subscription(&subscription)?;
        let subscriber =
            JetStreamSubscriber::open(self.link.clone(), subscription, &predecessors).await?;
        Ok(Box::new(subscriber))
    }

    async fn durables(&self, prefix: &str) -> Result<Vec<String>, SubscribeError> {
        let away = |error: &(dyn std::error::Error + 'static)| SubscribeError::Unavailable {
            reason: chain(error),
        };
        let context = self
            .link
            .ready()
            .map_err(|reason| SubscribeError::Unavailable { reason })?;
        let stream = match context.get_stream(STREAM).await {
            Ok(stream) => stream,
            Err(error) if stream::is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(away(&error)),
        };
        let names = stream.consumer_names().try_collect::<Vec<String>>().await;
        let mut names = names.map_err(|error| away(&error))?;
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        Ok(names)
    }

    async fn forget(&self, durable: &str) -> Result<(), SubscribeError> {
        use async_nats::jetstream::stream::ConsumerErrorKind;
        let context = self
            .link
            .ready()
            .map_err(|reason| SubscribeError::Unavailable { reason })?;
        match context.delete_consumer_from_stream(durable, STREAM).await {
            Ok(_) => Ok(()),
            Err(error) => match error.kind() {
                ConsumerErrorKind::JetStream(reason) if reason.code() == 404 => Ok(()),
                _ => Err(SubscribeError::Unavailable {
                    reason: chain(&error),
                }),
            },
        }
    }

    async fn state(&self, bucket: &str) -> Result<Arc<dyn State>, StateError> {
        Ok(Arc::new(
            JetStreamState::open(self.link.clone(), bucket).await?,
        ))
    }

    async fn known_state(&self, bucket: &str) -> Result<Option<Arc<dyn State>>, StateError> {
        let found = JetStreamState::find(self.link.clone(), bucket).await?;
        Ok(found.map(|found| Arc::new(found) as Arc<dyn State>))
    }

    fn journal(&self, name: &str, limits: JournalLimits) -> Option<Arc<dyn Journal>> {
        Some(Arc::new(JetStreamJournal::new(
            self.link.clone(),
            name,
            limits,
        )))
    }

    async fn serve(&self, name: &[&str]) -> Result<Questions, SubscribeError> {
        questions::serve(&self.link, name).await
    }

    async fn ask(&self, name: &[&str], body: Bytes) -> Result<Bytes, AskError> {
        questions::ask(&self.link, name, body).await
    }

    async fn close(&self) {
        if let Err(error) = self.link.tasks.stop(PUBLISH_WAIT).await {
            tracing::warn!(%error, "the event bus did not close in time");
        }
        let context = self.link.context.borrow().clone();
        if let Some(context) = context {
            // What was handed over is carried out first, acknowledgements above all.
            let client = context.client();
            let ended = tokio::time::timeout(PUBLISH_WAIT, round_trip(&client)).await;
            if !matches!(ended, Ok(Ok(()))) {
                tracing::debug!("closed the event bus without its server");
            }
        }
        self.link.context.send_replace(None);
    }
}

impl JetStreamBus {
    fn publish_error(&self, error: &async_nats::jetstream::context::PublishError) -> PublishError {
        use std::error::Error as _;
        let reason = chain(error);
        let refused = error
            .source()
            .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>())
            .map(async_nats::jetstream::Error::error_code);
        match (error.kind(), refused) {
            (
                _,
                Some(
                    ErrorCode::STREAM_STORE_FAILED
                    | ErrorCode::STORAGE_RESOURCES_EXCEEDED
                    | ErrorCode::INSUFFICIENT_RESOURCES,
                ),
            ) => {
                // What everyone has acknowledged may go.
                self.link.full.notify_one();
                PublishError::Full { reason }
            }
            (PublishErrorKind::MaxPayloadExceeded, _)
            | (_, Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)) => {
                PublishError::Refused { reason }
            }
            (PublishErrorKind::StreamNotFound, _) => {
                // Somebody deleted it, or JetStream is not up yet.
                self.link.look.notify_one();
                PublishError::Unavailable { reason }
            }
            _ => PublishError::Unavailable { reason },
        }
    }
}

/// A header cannot hold line breaks, and senders choose ids.
fn message_id(key: &str) -> HeaderValue {
    key.parse()
        .unwrap_or_else(|_| HeaderValue::from(STANDARD.encode(key)))
}
