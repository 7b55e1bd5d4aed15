//! What a trigger writes down: decisions about messages, what it waits for, and what is given up. It decides nothing itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tiphys_core::Event;
use tiphys_core::envelope::EnvelopeError;
use tiphys_eventbus::Message;

use super::dead::Letter;
use super::joined::Joined;
use super::ledger::Outcome;
use super::runner::{Answer, Runner};
use super::unreadable;
use crate::document::Events;
use crate::filters::Detail;
use crate::record::{self, Draft};

impl Runner {
    /// The event of a message; a poison message is set aside, and answered here.
    pub(super) async fn event(&self, message: &mut Message) -> Result<Arc<Event>, Answer> {
        let taken = EnvelopeError::Rule(String::new());
        match std::mem::replace(&mut message.event, Err(taken)) {
            Ok(event) => Ok(Arc::new(event)),
            Err(error) => {
                let reason = unreadable::reason(&error);
                tracing::warn!(
                    reason,
                    seq = message.seq,
                    bytes = message.raw.len(),
                    "a message is no event; it is dead"
                );
                let event = Arc::new(unreadable::event_of(message));
                let letter = Letter::Poison {
                    seq: message.seq,
                    event: &event,
                    raw: &message.raw,
                };
                let kept = Box::pin(self.letters.put(&self.labels, letter, &reason, 0));
                if let Err(error) = kept.await {
                    tracing::warn!(%error, "cannot set a message aside; it is delivered again");
                    return Err(Answer::Later);
                }
                let end = record::End::Dead;
                self.decide(message, Some(&event), Vec::new(), end, Some(reason));
                Err(Answer::End(Outcome::Dead))
            }
        }
    }

    /// Keeps events that are given up. False where they cannot be kept and must stay on the bus.
    pub(super) async fn set_aside(&self, events: &Events, reason: &str, attempts: u32) -> bool {
        let id = self.prepared.launcher.firing_id(events);
        let letter = Letter::Firing {
            id: id.text(),
            events,
        };
        match self
            .letters
            .put(&self.labels, letter, reason, attempts)
            .await
        {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(%error, "cannot set dead events aside");
                !self.at_least_once
            }
        }
    }

    /// How much is written down about filters.
    pub(super) fn detail(&self) -> Detail {
        if self.records.is_thorough() {
            Detail::All
        } else {
            Detail::Failures
        }
    }

    /// Records what became of a message.
    pub(super) fn decide(
        &self,
        message: &Message,
        event: Option<&Arc<Event>>,
        parts: Vec<record::Part>,
        end: record::End,
        reason: Option<String>,
    ) {
        if !self.records.is_on() {
            return;
        }
        let mut draft = self.draft(event, parts, end, reason);
        draft.seq = message.seq;
        draft.delivery = message.delivery;
        self.records.record(draft);
    }

    /// A decision without its message.
    pub(super) fn draft(
        &self,
        event: Option<&Arc<Event>>,
        parts: Vec<record::Part>,
        end: record::End,
        reason: Option<String>,
    ) -> Draft {
        let worst = || {
            let ended = parts.iter().filter(|part| part.end == end);
            ended.rev().find_map(record::Part::reason)
        };
        Draft {
            labels: Arc::clone(&self.labels),
            at: Timestamp::now(),
            event: event.map(Arc::clone),
            seq: 0,
            delivery: 0,
            end,
            reason: match end {
                record::End::Fired | record::End::Waiting => reason,
                _ => reason.or_else(worst),
            },
            parts,
            held: BTreeMap::new(),
            missing: Vec::new(),
        }
    }

    /// Records that the trigger waits for events from now on.
    pub(super) fn record_waiting(&self, joined: Option<&Joined>) {
        if !self.records.is_on() {
            return;
        }
        let names: Vec<String> = self
            .prepared
            .dependencies
            .iter()
            .map(|dependency| {
                format!(
                    "{} ({}/{})",
                    dependency.name, dependency.source, dependency.event
                )
            })
            .collect();
        let mut reason = format!("waits for events of {}", names.join(", "));
        for what in self.prepared.cannot_run() {
            reason = format!("{reason}; {what}");
        }
        let mut draft = self.draft(None, Vec::new(), record::End::Waiting, Some(reason));
        match joined {
            Some(joined) => (draft.held, draft.missing) = joined.waits(self),
            None => draft.missing = self.prepared.condition.missing(|_| false),
        }
        self.records.record(draft);
    }
}
