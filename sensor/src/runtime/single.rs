//! Conditions that one event meets: each dependency that lets it through fires at once, with that event alone.

use std::pin::pin;
use std::sync::Arc;

use tiphys_core::Event;
use tiphys_eventbus::Message;

use super::attempts::End;
use super::ledger::Outcome;
use super::runner::{Answer, Runner, admit};
use crate::dependency::Admission;
use crate::document::{Events, REPLAY};
use crate::filters::{Report, Verdict};
use crate::record::{self, End as Ended};

impl Runner {
    /// Fires what a message fires.
    pub(super) async fn single(&self, message: &mut Message) -> Answer {
        let mut progress = self.ledger.begin(message.seq, message.delivery);
        let event = match self.event(message).await {
            Ok(event) => event,
            Err(answer) => return answer,
        };
        if !self.ack_first(message).await {
            return Answer::Later;
        }
        let (mut later, mut stopped) = (false, false);
        let (mut parts, mut brief) = (Vec::new(), None);
        for (index, dependency) in self.prepared.dependencies.iter().enumerate() {
            if progress.done.contains(&index) || !dependency.matches(&event) {
                continue;
            }
            let mut report = Report::new(self.detail());
            let admission = admit(dependency, &event, &mut report);
            let name = dependency.name.as_str();
            let outcome = match admission {
                Admission::Filtered(verdict) => {
                    tracing::debug!(
                        event = event.id,
                        dependency = name,
                        verdict = ?verdict,
                        leaves = ?report.leaves,
                        "an event is filtered"
                    );
                    if self.records.is_on() {
                        parts.push(record::Part::new(
                            name,
                            verdict,
                            report.leaves,
                            Ended::Filtered,
                        ));
                    }
                    Outcome::Filtered
                }
                Admission::Passed(input) => {
                    let events = Events::from([(dependency.name.clone(), input)]);
                    let mut firing = record::Firing::default();
                    let end = {
                        let work = pin!(self.fire_in_order(&events, &mut firing));
                        self.marked(message, work).await
                    };
                    if matches!(end, End::Fired) && self.is_plain(message, &event) {
                        brief = firing.brief();
                    }
                    if self.records.is_on() && brief.is_none() {
                        let ended = match end {
                            End::Fired => Ended::Fired,
                            End::Dead => Ended::Dead,
                            End::Later | End::Stopped => Ended::Pending,
                        };
                        let mut part =
                            record::Part::new(name, Verdict::Passed, report.leaves, ended);
                        part.firing = Some(firing);
                        parts.push(part);
                    }
                    match end {
                        End::Fired => Outcome::Fired,
                        End::Dead => Outcome::Dead,
                        End::Later => {
                            later = true;
                            continue;
                        }
                        End::Stopped => {
                            stopped = true;
                            break;
                        }
                    }
                }
            };
            if self.prepared.dependencies.len() > 1 {
                progress.done.push(index);
            }
            progress.outcome = progress.outcome.max(Some(outcome));
        }
        let outcome = progress.outcome.unwrap_or(Outcome::Filtered);
        if later || stopped {
            self.ledger.progress(message.seq, progress);
            if self.at_least_once {
                if stopped {
                    return Answer::Stopped;
                }
                self.decide(message, Some(&event), parts, Ended::Pending, None);
                return Answer::Later;
            }
            // Acknowledged already: nobody will deliver it again.
            self.decide(message, Some(&event), parts, Ended::Dead, None);
            return Answer::End(Outcome::Dead);
        }
        let ended = match outcome {
            Outcome::Filtered => Ended::Filtered,
            Outcome::Fired => Ended::Fired,
            Outcome::Dead => Ended::Dead,
            Outcome::Elsewhere => Ended::Pending,
        };
        match brief {
            Some(effect) => self.records.record_plain(record::Plain {
                labels: Arc::clone(&self.labels),
                id: event.id.as_str().into(),
                seq: message.seq,
                effect,
            }),
            None => self.decide(message, Some(&event), parts, ended, None),
        }
        Answer::End(outcome)
    }

    /// Whether there is nothing to record of an event but what it made, as long as that went well.
    fn is_plain(&self, message: &Message, event: &Event) -> bool {
        self.labels.only.is_some()
            && message.delivery == 1
            && !event.extensions.contains_key(REPLAY)
            && self.records.is_on()
            && !self.records.is_thorough()
    }
}
