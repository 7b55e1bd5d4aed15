//! The receiving end: waits, fetches the event's bytes, and answers for the delivery. A delivery that is not taken goes back.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tiphys_core::envelope;
use tokio::time::Instant;

use super::change_meta;
use super::consumer::{Consumer, Take};
use super::meta::Change;
use super::record::Record;
use super::shared::Shared;
use crate::bus::{AckError, Message, Receive, Settle, SubjectPattern, SubscribeError};

/// How long to wait after the disk could not be read.
const READ_RETRY: Duration = Duration::from_secs(1);

pub(crate) struct EmbeddedSubscriber {
    pub(crate) shared: Arc<Shared>,
    pub(crate) consumer: Arc<Consumer>,
}

impl Receive for EmbeddedSubscriber {
    /// What is due again comes first anyway, and there is no way on which a message could be lost.
    fn keep_order(&mut self) {}

    fn next(&mut self) -> BoxFuture<'_, Result<Message, SubscribeError>> {
        self.receive().boxed()
    }
}

impl EmbeddedSubscriber {
    async fn receive(&self) -> Result<Message, SubscribeError> {
        loop {
            if self.shared.closed.is_cancelled() {
                return Err(SubscribeError::Unavailable {
                    reason: "the bus is closed".to_owned(),
                });
            }
            match self.consumer.take(Instant::now()) {
                Take::Message { seq, delivery } => {
                    let claim = Claim {
                        consumer: &self.consumer,
                        seq,
                        delivery,
                        taken: false,
                    };
                    if let Some(message) = self.fetch(claim).await {
                        return Ok(message);
                    }
                }
                Take::Scan { from } => self.scan(from).await,
                Take::Wait(until) => self.wait(until).await,
                Take::Deleted => {
                    return Err(SubscribeError::Refused {
                        reason: format!("consumer {:?} was deleted", self.consumer.name),
                    });
                }
            }
        }
    }

    async fn wait(&self, until: Option<Instant>) {
        let due = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.consumer.wake.notified() => {}
            () = due => {}
            () = self.shared.closed.cancelled() => {}
        }
    }

    async fn scan(&self, from: u64) {
        let guard = Scanning {
            consumer: &self.consumer,
        };
        // The semaphore is never closed.
        let _permit = self.shared.reads.acquire().await;
        let (shared, consumer) = (self.shared.clone(), self.consumer.clone());
        let scanned = tokio::task::spawn_blocking(move || shared.scan(&consumer, from)).await;
        match scanned {
            Ok(Ok(())) => std::mem::forget(guard),
            Ok(Err(error)) => self.unreadable(&error).await,
            // The runtime is shutting down.
            Err(_) => {}
        }
    }

    async fn unreadable(&self, error: &std::io::Error) {
        tracing::warn!(consumer = self.consumer.name, %error, "cannot read the event bus's log; trying again");
        tokio::time::sleep(READ_RETRY).await;
    }

    async fn fetch(&self, mut claim: Claim<'_>) -> Option<Message> {
        let (seq, delivery) = (claim.seq, claim.delivery);
        if let Some(record) = self.shared.cached(&self.consumer, seq) {
            return Some(self.message(&record, &mut claim));
        }
        // The semaphore is never closed.
        let _permit = self.shared.reads.acquire().await;
        let (shared, consumer) = (self.shared.clone(), self.consumer.clone());
        let loaded = tokio::task::spawn_blocking(move || shared.load(&consumer, seq)).await;
        match loaded {
            Ok(Ok(Some(record))) => Some(self.message(&record, &mut claim)),
            Ok(Ok(None)) => {
                claim.taken = true;
                tracing::error!(
                    consumer = self.consumer.name,
                    seq,
                    delivery,
                    "an event that was not acknowledged is no longer in the log: it was too old, or the file is damaged"
                );
                self.consumer.ack(seq);
                self.shared.touch(&self.consumer);
                None
            }
            Ok(Err(error)) => {
                self.unreadable(&error).await;
                None
            }
            Err(_) => None,
        }
    }

    fn message(&self, record: &Record, claim: &mut Claim<'_>) -> Message {
        claim.taken = true;
        // The place moves with the delivery, so that a restart neither skips nor starts over.
        self.shared.touch(&self.consumer);
        let raw = record.body();
        let event = envelope::decode(&raw);
        Message {
            came_as: event.is_err().then(|| SubjectPattern {
                source: record.source().to_owned(),
                event: record.event().to_owned(),
            }),
            event,
            raw,
            seq: claim.seq,
            stored_at: record.time(),
            delivery: claim.delivery,
            settle: Arc::new(Delivered {
                shared: self.shared.clone(),
                consumer: self.consumer.clone(),
                seq: claim.seq,
                delivery: claim.delivery,
            }),
        }
    }
}

/// A delivery on its way; goes back when the way ends early.
struct Claim<'a> {
    consumer: &'a Consumer,
    seq: u64,
    delivery: u64,
    taken: bool,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.taken {
            self.consumer
                .undelivered(self.seq, self.delivery, Instant::now());
        }
    }
}

/// A scan that somebody waits for; another one may begin when nobody does.
struct Scanning<'a> {
    consumer: &'a Consumer,
}

impl Drop for Scanning<'_> {
    fn drop(&mut self) {
        self.consumer.scan_dropped();
    }
}

struct Delivered {
    shared: Arc<Shared>,
    consumer: Arc<Consumer>,
    seq: u64,
    delivery: u64,
}

impl Delivered {
    fn open(&self) -> Result<(), AckError> {
        if self.shared.closed.is_cancelled() {
            return Err(AckError {
                reason: "the bus is closed".to_owned(),
            });
        }
        Ok(())
    }
}

#[async_trait]
impl Settle for Delivered {
    async fn ack(&self) -> Result<(), AckError> {
        self.open()?;
        self.consumer.ack(self.seq);
        self.shared.touch(&self.consumer);
        Ok(())
    }

    async fn ack_confirmed(&self) -> Result<(), AckError> {
        self.ack().await?;
        let saved = change_meta(&self.shared.changes, |reply| {
            Change::Save(self.consumer.clone(), reply)
        });
        saved.await.map_err(|error| AckError {
            reason: error.to_string(),
        })
    }

    async fn retry_after(&self, wait: Duration) -> Result<(), AckError> {
        self.open()?;
        self.consumer
            .again_after(self.seq, self.delivery, wait, Instant::now());
        Ok(())
    }

    async fn in_progress(&self) -> Result<(), AckError> {
        self.open()?;
        self.consumer
            .in_progress(self.seq, self.delivery, Instant::now());
        Ok(())
    }
}
