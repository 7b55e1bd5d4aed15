//! The thread that writes events: it takes whatever has queued while the last sync ran, writes and syncs it once,
//! then answers. It also keeps the limits. It never waits for company and never drops what a consumer needs in silence.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::dedup::Dedup;
use super::log::Log;
use super::record::{Draft, Record};
use super::shared::Shared;
use super::{Discard, Limits};
use crate::bus::{Health, PublishError, Stored};

const BATCH_JOBS: usize = 4096;
const BATCH_BYTES: usize = 4 << 20;
/// How often age is looked at.
const TIDY: Duration = Duration::from_secs(5);
/// How often a disk that failed is tried.
const PROBE: Duration = Duration::from_secs(1);

/// One event on its way in.
pub(crate) struct Job {
    pub(crate) draft: Draft,
    pub(crate) reply: oneshot::Sender<Result<Stored, PublishError>>,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What the thread is asked.
pub(crate) enum Command {
    /// Store it.
    Publish(Job),
    /// End.
    Close,
}

pub(crate) struct Writer {
    pub(crate) log: Log,
    pub(crate) dedup: Dedup,
    pub(crate) limits: Limits,
    pub(crate) shared: Arc<Shared>,
    pub(crate) dir: PathBuf,
    pub(crate) last_nanos: i64,
    /// How far the fullness was told: four fifths, or all.
    pub(crate) warned: Fullness,
}

/// What was said about how full the bus is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fullness {
    Fine,
    Near,
    Full,
}

/// What is answered once the batch is on disk.
enum Answer {
    Stored(Stored),
    Refused(PublishError),
}

impl Writer {
    /// Works until it is asked to close; whatever was sent before is stored.
    pub(crate) fn run(mut self, commands: &Receiver<Command>) {
        let mut tidied = Instant::now();
        let mut batch = Vec::new();
        loop {
            let healthy = matches!(*self.shared.health.borrow(), Health::Connected);
            let first = commands.recv_timeout(if healthy { TIDY } else { PROBE });
            let mut closing = false;
            match first {
                Ok(Command::Publish(job)) => {
                    closing = gather(job, commands, &mut batch);
                    self.commit(&mut batch);
                }
                Ok(Command::Close) | Err(RecvTimeoutError::Disconnected) => closing = true,
                Err(RecvTimeoutError::Timeout) if !healthy => self.probe(),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if closing {
                return;
            }
            if tidied.elapsed() >= TIDY {
                self.tidy();
                self.shared.save_places();
                tidied = Instant::now();
            }
        }
    }

    /// Never runs backwards, so that files are in the order of time.
    fn now(&mut self) -> i64 {
        let now = i64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(i64::MAX);
        self.last_nanos = self.last_nanos.max(now);
        self.last_nanos
    }

    pub(crate) fn commit(&mut self, batch: &mut Vec<Job>) {
        let now = self.now();
        let first = self.log.next_seq();
        let mut records: Vec<(Record, Bytes)> = Vec::with_capacity(batch.len());
        let mut keys = Vec::with_capacity(batch.len());
        let mut answers = Vec::with_capacity(batch.len());
        let mut new_bytes = 0;
        for job in batch.drain(..) {
            let Job {
                draft,
                reply,
                permit,
            } = job;
            let key = self.dedup.hash(draft.dedup());
            let answer = if let Some(seq) = self.dedup.find(key, now) {
                Answer::Stored(Stored {
                    seq,
                    duplicate: true,
                })
            } else {
                let len = draft.len() as u64;
                match self.room(records.len() as u64 + 1, new_bytes + len) {
                    Ok(()) => {
                        let seq = first + records.len() as u64;
                        records.push(draft.number(seq, now));
                        self.dedup.insert(key, seq, now);
                        keys.push((key, seq));
                        new_bytes += len;
                        Answer::Stored(Stored {
                            seq,
                            duplicate: false,
                        })
                    }
                    Err(error) => Answer::Refused(error),
                }
            };
            answers.push((reply, permit, answer));
        }
        let attempted = !records.is_empty();
        let failed = match self.log.append(&records, now) {
            Ok(()) => None,
            Err(error) => {
                for (key, seq) in keys {
                    self.dedup.forget(key, seq);
                }
                Some(error)
            }
        };
        if failed.is_none() && attempted {
            self.shared
                .route(records.into_iter().map(|(record, _)| record));
        }
        let reason = failed.as_ref().map(|error| self.explain(error));
        // Duplicates alone say nothing of the disk.
        if attempted || reason.is_some() {
            self.report(reason.as_deref());
        }
        for (reply, permit, answer) in answers {
            let result = match (answer, &failed, &reason) {
                (Answer::Refused(error), ..) => Err(error),
                (Answer::Stored(stored), Some(error), Some(reason)) if stored.seq >= first => {
                    let reason = reason.clone();
                    Err(if is_full(error) {
                        PublishError::Full { reason }
                    } else {
                        PublishError::Unavailable { reason }
                    })
                }
                (Answer::Stored(stored), ..) => Ok(stored),
            };
            // The sender may have given up; its event is stored all the same.
            drop(reply.send(result));
            drop(permit);
        }
    }

    fn explain(&self, error: &io::Error) -> String {
        let dir = self.dir.display();
        if is_full(error) {
            format!("no space is left in {dir}: free some, and events are accepted again")
        } else {
            format!("cannot write to {dir}: {error}")
        }
    }

    /// Tells about a change of health once.
    fn report(&self, reason: Option<&str>) {
        let health = reason.map_or(Health::Connected, |reason| Health::Unavailable {
            reason: reason.to_owned(),
        });
        self.shared.health.send_if_modified(|old| {
            if matches!((&*old, &health), (Health::Connected, Health::Connected)) || *old == health
            {
                return false;
            }
            match &health {
                Health::Connected => tracing::info!("the event bus accepts events again"),
                Health::Unavailable { reason } => {
                    tracing::error!(reason, "the event bus cannot store events");
                }
            }
            *old = health;
            true
        });
    }

    /// Whether a disk that failed works again, without waiting for an event.
    pub(crate) fn probe(&mut self) {
        let now = self.now();
        let path = self.dir.join("probe");
        let tried = self.log.repair(now).and_then(|()| {
            std::fs::write(&path, [0; 64 << 10])?;
            std::fs::File::open(&path)?.sync_all()
        });
        if let Err(error) = std::fs::remove_file(&path) {
            tracing::trace!(%error, "no probe to remove");
        }
        if tried.is_ok() && !self.log.is_damaged() {
            self.report(None);
        }
    }

    /// Makes room for so many more events and bytes, or says which limit they meet.
    fn room(&mut self, messages: u64, bytes: u64) -> Result<(), PublishError> {
        while let Some(limit) = self
            .limits
            .exceeded(self.log.messages() + messages, self.log.bytes() + bytes)
        {
            if !self.reclaim() {
                if self.warned < Fullness::Full {
                    tracing::warn!(
                        limit,
                        "the event bus is full of events that are not acknowledged; new ones are refused"
                    );
                    self.warned = Fullness::Full;
                }
                return Err(PublishError::Full {
                    reason: format!("it holds {limit}, all of them waiting for a consumer"),
                });
            }
        }
        let near = |part: u64| part / 5 * 4;
        if self.warned == Fullness::Fine
            && let Some(limit) = self
                .limits
                .reduced(near)
                .exceeded(self.log.messages(), self.log.bytes())
        {
            tracing::warn!(limit, "the event bus is more than four fifths full");
            self.warned = Fullness::Near;
        }
        Ok(())
    }

    /// Removes the oldest file if nobody needs it, or if the limits say that old events go first.
    fn reclaim(&mut self) -> bool {
        if self.log.oldest_sealed().is_none() {
            // The records of this batch are numbered already and go into the next file.
            let now = self.now();
            if self.log.active_made_nanos().is_none() || self.log.roll(now).is_err() {
                return false;
            }
        }
        let Some((first, last)) = self.log.oldest_sealed() else {
            return false;
        };
        if self.limits.discard == Discard::New && self.shared.needed_from() <= last {
            return false;
        }
        self.remove(first, last, "the bus is full and discards old events")
    }

    fn remove(&mut self, first: u64, last: u64, why: &str) -> bool {
        self.shared.drop_up_to(first, last, why);
        match self.log.remove_oldest() {
            Ok(()) => {
                self.warned = Fullness::Fine;
                true
            }
            Err(error) => {
                tracing::warn!(%error, "cannot remove a file of old events");
                false
            }
        }
    }

    /// Removes what is too old.
    pub(crate) fn tidy(&mut self) {
        let Some(max_age) = self.limits.max_age else {
            return;
        };
        let now = self.now();
        let age = i64::try_from(max_age.as_nanos()).unwrap_or(i64::MAX);
        // A file lasts an eighth of the age, so that events go at most so late.
        let old = now.saturating_sub((age / 8).max(1));
        if self.log.active_made_nanos().is_some_and(|made| made < old)
            && let Err(error) = self.log.roll(now)
        {
            tracing::warn!(%error, "cannot begin a new file of events");
        }
        let oldest = now.saturating_sub(age);
        while self
            .log
            .oldest_ended_nanos()
            .is_some_and(|ended| ended < oldest)
        {
            let Some((first, last)) = self.log.oldest_sealed() else {
                return;
            };
            if !self.remove(first, last, "they are older than the bus's maxAge") {
                return;
            }
        }
    }
}

/// Takes what has queued; true when closing was among it.
fn gather(first: Job, commands: &Receiver<Command>, batch: &mut Vec<Job>) -> bool {
    let mut bytes = first.draft.len();
    batch.push(first);
    while batch.len() < BATCH_JOBS && bytes < BATCH_BYTES {
        match commands.try_recv() {
            Ok(Command::Publish(job)) => {
                bytes += job.draft.len();
                batch.push(job);
            }
            Ok(Command::Close) => return true,
            Err(_) => return false,
        }
    }
    false
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
