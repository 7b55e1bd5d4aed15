//! A durable pull consumer: found or made, read in batches, and made anew where somebody deleted it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::jetstream::consumer::pull::{self, MessagesErrorKind};
use async_nats::jetstream::consumer::{Consumer, DeliverPolicy};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{AckKind, Context, ErrorCode, Message as NatsMessage};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use jiff::Timestamp;
use tiphys_core::backoff::Backoff;
use tiphys_core::envelope;
use tiphys_core::tasks::chain;
use tokio::sync::watch;

use super::delivered::{Delivered, Progress, lock};
use super::filters::{names_of, wants};
use super::link::Link;
use super::order::Order;
use super::stream::STREAM;
use super::takeover::{self, Taken};
use super::wanted::{config, differs};
use crate::bus::{Message, Predecessor, Receive, Start, SubscribeError, Subscription};

/// How long one pull lasts, and how often the server says that it still does.
const PULL: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(15);
/// More is not fetched ahead: what waits in memory has its time to acknowledge running.
const BATCH: usize = 1_000;

/// The receiving end.
pub(crate) struct JetStreamSubscriber {
    link: Arc<Link>,
    subscription: Subscription,
    messages: Option<pull::Stream>,
    progress: Arc<Mutex<Progress>>,
    connections: watch::Receiver<u64>,
    failures: u32,
    /// Where order is asked for.
    order: Option<Order>,
}

/// Why a consumer could not be had.
enum Failed {
    Away(String),
    Refused(String),
}

impl JetStreamSubscriber {
    /// Finds or makes the consumer.
    pub(crate) async fn open(
        link: Arc<Link>,
        subscription: Subscription,
        predecessors: &[Predecessor],
    ) -> Result<Self, SubscribeError> {
        let subscriber = Self {
            connections: link.connections.subscribe(),
            link,
            subscription,
            messages: None,
            progress: Arc::default(),
            failures: 0,
            order: None,
        };
        let unavailable = |reason| SubscribeError::Unavailable { reason };
        let context = subscriber.link.ready().map_err(unavailable)?;
        match subscriber.ensure(&context, false, predecessors).await {
            Ok(_) => Ok(subscriber),
            Err(Failed::Away(reason)) => Err(unavailable(reason)),
            Err(Failed::Refused(reason)) => Err(SubscribeError::Refused { reason }),
        }
    }

    /// The consumer as the subscription wants it; `again` means that it was there before.
    async fn ensure(
        &self,
        context: &Context,
        again: bool,
        predecessors: &[Predecessor],
    ) -> Result<Consumer<pull::Config>, Failed> {
        let away = |error: &(dyn std::error::Error + 'static)| Failed::Away(chain(error));
        let durable = &self.subscription.durable;
        let stream = context
            .get_stream(STREAM)
            .await
            .map_err(|error| away(&error))?;
        let info = stream.cached_info();
        let made = info.created.unix_timestamp_nanos();
        let mut config = config(&self.subscription);
        let found: Result<Consumer<pull::Config>, _> =
            context.get_consumer_from_stream(durable, STREAM).await;
        match found {
            Ok(consumer) => {
                let there = &consumer.cached_info().config;
                // Where a consumer began cannot be changed and no longer matters.
                config.deliver_policy = there.deliver_policy;
                config.metadata.clone_from(&there.metadata);
                lock(&self.progress).taken = Taken::read(&there.metadata);
                if differs(there, &config) {
                    return self.create(&stream, config).await;
                }
                return Ok(consumer);
            }
            Err(error) if !is_absent(&error.kind()) => return Err(away(&error)),
            Err(_) => {}
        }
        let after_others = !again && self.subscription.start == Start::New;
        let taken = if after_others && !predecessors.is_empty() {
            let found = takeover::of(context, &self.subscription.subjects, predecessors).await;
            found.map_err(Failed::Away)?
        } else {
            None
        };
        {
            let mut progress = lock(&self.progress);
            let known = progress.stream == made;
            config.deliver_policy = match (again, self.subscription.start) {
                (false, Start::New) => DeliverPolicy::New,
                (false, Start::Oldest) => DeliverPolicy::All,
                // A stream of the same name that is not the one from before: all of it is new.
                (true, _) if !known => DeliverPolicy::All,
                (true, _) => {
                    let from = progress.open.first().copied().unwrap_or(progress.next);
                    DeliverPolicy::ByStartSequence {
                        start_sequence: from.max(1),
                    }
                }
            };
            if !known {
                progress.stream = made;
                progress.next = match (again, self.subscription.start) {
                    (false, Start::New) => info.state.last_sequence + 1,
                    _ => info.state.first_sequence,
                };
                progress.open.clear();
            }
            if let Some((begin, taken)) = taken {
                config.deliver_policy = DeliverPolicy::ByStartSequence {
                    start_sequence: begin,
                };
                progress.next = begin;
                progress.taken = taken;
            }
            progress.taken.write(&mut config.metadata);
        }
        if again {
            tracing::warn!(consumer = durable, from = ?config.deliver_policy, "the consumer was deleted on the event bus and is made anew");
        }
        self.create(&stream, config).await
    }

    async fn create(
        &self,
        stream: &async_nats::jetstream::stream::Stream,
        config: pull::Config,
    ) -> Result<Consumer<pull::Config>, Failed> {
        stream
            .create_consumer(config)
            .await
            .map_err(|error| match error.kind() {
                ConsumerErrorKind::JetStream(reason) if reason.code() < 500 => {
                    Failed::Refused(chain(&error))
                }
                ConsumerErrorKind::InvalidConsumerType | ConsumerErrorKind::InvalidName => {
                    Failed::Refused(chain(&error))
                }
                _ => Failed::Away(chain(&error)),
            })
    }

    async fn receive(&mut self) -> Result<Message, SubscribeError> {
        let stop = self.link.tasks.stop_token();
        let closed = || SubscribeError::Unavailable {
            reason: "the bus is closed".to_owned(),
        };
        loop {
            let Some(messages) = &mut self.messages else {
                tokio::select! {
                    () = stop.cancelled() => return Err(closed()),
                    pulled = Box::pin(self.pull()) => match pulled {
                        Ok(messages) => self.messages = Some(messages),
                        Err(error) => return Err(error),
                    },
                }
                continue;
            };
            let next = tokio::select! {
                // What has come already is taken without a look at anything else.
                biased;
                next = messages.next() => next,
                () = stop.cancelled() => return Err(closed()),
                changed = self.connections.changed() => {
                    // The link keeps the sender.
                    drop(changed);
                    self.broken();
                    Box::pin(self.verify()).await;
                    continue;
                }
            };
            match next {
                Some(Ok(message)) => {
                    self.failures = 0;
                    if let Some(message) = self.message(message).await {
                        return Ok(message);
                    }
                }
                Some(Err(error)) => {
                    if error.kind() == MessagesErrorKind::MissingHeartbeat {
                        tracing::debug!(
                            consumer = self.subscription.durable,
                            "the pull was silent and is made anew"
                        );
                    } else {
                        tracing::debug!(
                            consumer = self.subscription.durable,
                            error = chain(&error),
                            "the pull ended"
                        );
                    }
                    self.messages = None;
                    self.broken();
                }
                None => {
                    self.messages = None;
                    self.broken();
                }
            }
        }
    }

    /// As [`JetStreamSubscriber::receive`], but nothing comes before what is older.
    async fn receive_in_order(&mut self) -> Result<Message, SubscribeError> {
        loop {
            let Some(order) = &mut self.order else {
                return self.receive().await;
            };
            if let Some(message) = order.release() {
                return Ok(message);
            }
            // Without a pull nothing could come that is missing.
            let ask_at = order.ask_at().filter(|_| self.messages.is_some());
            let ask = async {
                match ask_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                received = self.receive() => {
                    let message = received?;
                    if let Some(order) = &mut self.order {
                        order.hold(message.seq, message);
                    }
                }
                () = ask => Box::pin(self.ask()).await,
            }
        }
    }

    /// Asks the server whether everything that is not settled is here.
    async fn ask(&mut self) {
        let found: Result<Consumer<pull::Config>, String> = match self.link.ready() {
            Ok(context) => context
                .get_consumer_from_stream(&self.subscription.durable, STREAM)
                .await
                .map_err(|error| chain(&error)),
            Err(reason) => Err(reason),
        };
        let in_hand = lock(&self.progress).in_hand.len();
        let Some(order) = &mut self.order else {
            return;
        };
        match found {
            Ok(consumer) => {
                let info = consumer.cached_info();
                let deliveries = info.delivered.consumer_sequence;
                order.told(deliveries, info.num_ack_pending, in_hand);
            }
            Err(reason) => {
                tracing::debug!(
                    consumer = self.subscription.durable,
                    reason,
                    "what is not settled is not known yet"
                );
                order.later();
            }
        }
    }

    /// Messages may have been lost on their way.
    fn broken(&mut self) {
        if let Some(order) = &mut self.order {
            let held = order.broken();
            let mut progress = lock(&self.progress);
            for seq in held {
                progress.in_hand.remove(&seq);
            }
        }
    }

    /// After a reconnect: a consumer that the server lost answers no pull, and waiting for silence takes long.
    async fn verify(&mut self) {
        let Ok(context) = self.link.ready() else {
            return;
        };
        let found: Result<Consumer<pull::Config>, _> = context
            .get_consumer_from_stream(&self.subscription.durable, STREAM)
            .await;
        if found.is_err() {
            self.messages = None;
        }
    }

    /// Begins to pull, once the bus is there; waits longer after each failure.
    async fn pull(&mut self) -> Result<pull::Stream, SubscribeError> {
        loop {
            if self.failures > 0 {
                let wait = Backoff::reconnect()
                    .wait_after(self.failures)
                    .unwrap_or(PULL);
                tokio::time::sleep(wait).await;
            }
            self.failures = self.failures.saturating_add(1);
            self.link.connected().await;
            let Ok(context) = self.link.ready() else {
                continue;
            };
            let consumer = match self.ensure(&context, true, &[]).await {
                Ok(consumer) => consumer,
                Err(Failed::Refused(reason)) => return Err(SubscribeError::Refused { reason }),
                Err(Failed::Away(reason)) => {
                    tracing::debug!(
                        consumer = self.subscription.durable,
                        reason,
                        "cannot pull yet"
                    );
                    self.link.look.notify_one();
                    continue;
                }
            };
            let pulled = consumer
                .stream()
                .max_messages_per_batch(self.subscription.max_in_flight.clamp(1, BATCH))
                .expires(PULL)
                .heartbeat(HEARTBEAT)
                .messages()
                .await;
            match pulled {
                Ok(messages) => return Ok(messages),
                Err(error) => tracing::debug!(error = chain(&error), "cannot pull yet"),
            }
        }
    }

    async fn message(&mut self, message: NatsMessage) -> Option<Message> {
        let (seq, delivery, stored_at) = match message.info() {
            Ok(info) => {
                if let Some(order) = &mut self.order {
                    order.delivered(info.consumer_sequence);
                }
                let at = Timestamp::from_nanosecond(info.published.unix_timestamp_nanos());
                let delivery = u64::try_from(info.delivered).unwrap_or(1);
                (info.stream_sequence, delivery, at.unwrap_or_default())
            }
            Err(error) => {
                tracing::warn!(%error, "a message of the event bus has no place in the stream and is passed over");
                return None;
            }
        };
        let had = lock(&self.progress).taken.had(&message.subject, seq);
        if had || !wants(&self.subscription.subjects, &message.subject) {
            // Overlapping patterns are one wide filter on the server.
            if let Err(error) = Box::pin(message.ack()).await {
                tracing::debug!(%error, "a message for others comes again");
            }
            return None;
        }
        {
            let mut progress = lock(&self.progress);
            progress.next = progress.next.max(seq + 1);
            progress.open.insert(seq);
            if self.order.is_some() {
                progress.in_hand.insert(seq);
            }
        }
        let raw = message.payload.clone();
        let event = envelope::decode(&raw);
        Some(Message {
            came_as: event.is_err().then(|| names_of(&message.subject)),
            event,
            raw,
            seq,
            stored_at,
            delivery,
            settle: Arc::new(Delivered {
                link: self.link.clone(),
                message,
                seq,
                progress: self.progress.clone(),
            }),
        })
    }
}

impl Drop for JetStreamSubscriber {
    /// What was fetched ahead goes back at once instead of after the time to acknowledge.
    fn drop(&mut self) {
        let Some(mut messages) = self.messages.take() else {
            return;
        };
        self.link
            .tasks
            .spawn_job("messages going back", async move {
                while let Some(Some(Ok(message))) = messages.next().now_or_never() {
                    if let Err(error) = message.ack_with(AckKind::Nak(None)).await {
                        tracing::debug!(%error, "a message fetched ahead comes again later");
                    }
                }
            });
    }
}

impl Receive for JetStreamSubscriber {
    fn keep_order(&mut self) {
        self.order = Some(Order::new());
    }

    fn next(&mut self) -> BoxFuture<'_, Result<Message, SubscribeError>> {
        match self.order {
            Some(_) => self.receive_in_order().boxed(),
            None => self.receive().boxed(),
        }
    }
}

pub(super) fn is_absent(kind: &ConsumerErrorKind) -> bool {
    match kind {
        ConsumerErrorKind::JetStream(reason) => {
            let code = reason.error_code();
            code == ErrorCode::CONSUMER_NOT_FOUND || code == ErrorCode::CONSUMER_DOES_NOT_EXIST
        }
        _ => false,
    }
}
