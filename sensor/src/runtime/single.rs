//! Conditions that one event meets: each dependency that lets it through fires at once, with that event alone.

use tiphys_eventbus::Message;

use super::attempts::End;
use super::ledger::Outcome;
use super::runner::{Answer, Runner, admit};
use crate::dependency::Admission;
use crate::document::Events;
use crate::filters::{Detail, Report};

impl Runner {
    /// Fires what a message fires.
    pub(super) async fn single(&self, message: &mut Message) -> Answer {
        let mut progress = self.ledger.begin(message.seq, message.delivery);
        let Some(event) = self.event(message) else {
            return Answer::End(Outcome::Dead);
        };
        if !self.ack_first(message).await {
            return Answer::Later;
        }
        let (mut later, mut stopped) = (false, false);
        for (index, dependency) in self.prepared.dependencies.iter().enumerate() {
            if progress.done.contains(&index) || !dependency.matches(&event) {
                continue;
            }
            let mut report = Report::new(Detail::Failures);
            let outcome = match admit(dependency, &event, &mut report) {
                Admission::Filtered(verdict) => {
                    tracing::debug!(
                        event = event.id,
                        dependency = dependency.name,
                        verdict = ?verdict,
                        leaves = ?report.leaves,
                        "an event is filtered"
                    );
                    Outcome::Filtered
                }
                Admission::Passed(input) => {
                    let events = Events::from([(dependency.name.clone(), input)]);
                    match self.marked(message, self.fire(&events)).await {
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
            progress.done.insert(index);
            progress.outcome = progress.outcome.max(Some(outcome));
        }
        let outcome = progress.outcome.unwrap_or(Outcome::Filtered);
        if later || stopped {
            self.ledger.progress(message.seq, progress);
            if self.at_least_once {
                return if stopped {
                    Answer::Stopped
                } else {
                    Answer::Later
                };
            }
            // Acknowledged already: nobody will deliver it again.
            return Answer::End(Outcome::Dead);
        }
        Answer::End(outcome)
    }
}
