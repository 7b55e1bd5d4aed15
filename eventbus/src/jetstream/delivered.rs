//! What is delivered here and not settled, and the answers to it. It reads no message.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::{AckKind, Message as NatsMessage};
use async_trait::async_trait;

use super::link::Link;
use super::takeover::Taken;
use crate::bus::{AckError, Settle};

const CONFIRM_WAIT: Duration = Duration::from_secs(2);

/// Where to go on if the consumer has to be made anew.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// When the stream was made, to tell it from one of the same name.
    pub(super) stream: i128,
    /// The number after the last one delivered here.
    pub(super) next: u64,
    /// Delivered here and not settled.
    pub(super) open: BTreeSet<u64>,
    /// Delivered here and not answered in any way; known where order is asked for.
    pub(super) in_hand: BTreeSet<u64>,
    /// What consumers before this one have had.
    pub(super) taken: Taken,
}

pub(super) fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The answer to a delivery.
pub(super) struct Delivered {
    pub(super) link: Arc<Link>,
    pub(super) message: NatsMessage,
    pub(super) seq: u64,
    pub(super) progress: Arc<Mutex<Progress>>,
}

impl Delivered {
    async fn answer(&self, kind: AckKind) -> Result<(), AckError> {
        if !matches!(kind, AckKind::Progress) {
            self.answered();
        }
        self.link.check().map_err(|reason| AckError { reason })?;
        let sent = self.message.ack_with(kind).await;
        sent.map_err(|error| AckError {
            reason: error.to_string(),
        })
    }

    fn done(&self) {
        lock(&self.progress).open.remove(&self.seq);
    }

    /// From here on only the server knows whether it comes again.
    fn answered(&self) {
        lock(&self.progress).in_hand.remove(&self.seq);
    }
}

#[async_trait]
impl Settle for Delivered {
    /// On its way: a lost acknowledgement only means another delivery, and waiting for the server's word
    /// would cost a round trip for each message.
    async fn ack(&self) -> Result<(), AckError> {
        self.answer(AckKind::Ack).await?;
        self.done();
        Ok(())
    }

    async fn ack_confirmed(&self) -> Result<(), AckError> {
        self.link.check().map_err(|reason| AckError { reason })?;
        let confirmed = tokio::time::timeout(CONFIRM_WAIT, self.message.double_ack()).await;
        self.answered();
        let reason = match confirmed {
            Ok(Ok(())) => {
                self.done();
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the server has not answered for 2 s".to_owned(),
        };
        Err(AckError { reason })
    }

    async fn retry_after(&self, wait: Duration) -> Result<(), AckError> {
        self.answer(AckKind::Nak(Some(wait))).await
    }

    async fn in_progress(&self) -> Result<(), AckError> {
        self.answer(AckKind::Progress).await
    }
}
