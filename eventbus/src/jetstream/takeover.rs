//! Where a new consumer begins that goes on for others: with the first message that one of them had not acknowledged.
//!
//! The others consumed one subject each and did not come equally far, so the new one passes over what was had of each
//! subject. It carries that in its metadata, where every replica finds it.

use std::collections::HashMap;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{Consumer, pull};
use serde::{Deserialize, Serialize};
use tiphys_core::tasks::chain;

use super::consumer::is_absent;
use super::filters::wants;
use super::stream::STREAM;
use crate::bus::{Predecessor, SubjectPattern};

const TAKEN: &str = "tiphys.dev/taken";

/// How far others came, for each subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Taken(Vec<Upto>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Upto {
    source: String,
    event: String,
    seq: u64,
}

impl Taken {
    pub(super) fn read(metadata: &HashMap<String, String>) -> Self {
        let text = metadata.get(TAKEN);
        Self(
            text.and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
        )
    }

    pub(super) fn write(&self, metadata: &mut HashMap<String, String>) {
        if self.0.is_empty() {
            return;
        }
        if let Ok(text) = serde_json::to_string(&self.0) {
            metadata.insert(TAKEN.to_owned(), text);
        }
    }

    /// Whether somebody before had the message.
    pub(super) fn had(&self, subject: &str, seq: u64) -> bool {
        let mut over = self.0.iter().filter(|upto| seq <= upto.seq).peekable();
        if over.peek().is_none() {
            return false;
        }
        // A subject that two patterns match is had when both were.
        let pattern = |upto: &Upto| SubjectPattern {
            source: upto.source.clone(),
            event: upto.event.clone(),
        };
        let over: Vec<SubjectPattern> = over.map(pattern).collect();
        let under = self.0.iter().filter(|upto| seq > upto.seq).map(pattern);
        let under: Vec<SubjectPattern> = under.collect();
        wants(&over, subject) && !wants(&under, subject)
    }
}

/// Where to begin, and what to pass over; nothing where there are no predecessors.
pub(super) async fn of(
    context: &Context,
    subjects: &[SubjectPattern],
    predecessors: &[Predecessor],
) -> Result<Option<(u64, Taken)>, String> {
    // Asked before the consumers, so that one that has everything has at least so much.
    let stream = context.get_stream(STREAM).await;
    let stream = stream.map_err(|error| chain(&error))?;
    let last = stream.cached_info().state.last_sequence;
    let mut came: HashMap<&SubjectPattern, u64> = HashMap::new();
    let mut names = Vec::new();
    for Predecessor { durable, subject } in predecessors {
        let found: Result<Consumer<pull::Config>, _> =
            context.get_consumer_from_stream(durable, STREAM).await;
        let info = match found {
            Ok(consumer) => consumer.cached_info().clone(),
            Err(error) if is_absent(&error.kind()) => continue,
            Err(error) => return Err(chain(&error)),
        };
        let upto = if info.num_pending == 0 && info.num_ack_pending == 0 {
            last
        } else {
            info.ack_floor.stream_sequence
        };
        names.push(durable.as_str());
        // Of two for one subject one was left behind.
        let known = came.entry(subject).or_default();
        *known = (*known).max(upto);
    }
    if came.is_empty() {
        return Ok(None);
    }
    let taken: Vec<Upto> = subjects
        .iter()
        .map(|subject| Upto {
            source: subject.source.clone(),
            event: subject.event.clone(),
            // Nobody consumed it, so it begins now.
            seq: came.get(subject).copied().unwrap_or(last),
        })
        .collect();
    let begin = taken.iter().map(|upto| upto.seq).min().unwrap_or(last) + 1;
    tracing::info!(
        consumers = names.join(", "),
        from = begin,
        "a new consumer goes on where others have ended"
    );
    Ok(Some((begin, Taken(taken))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_had_of_each_subject_is_passed_over() {
        let upto = |source: &str, event: &str, seq| Upto {
            source: source.to_owned(),
            event: event.to_owned(),
            seq,
        };
        let taken = Taken(vec![upto("a", "x", 10), upto("b", "x", 3)]);
        let mut metadata = HashMap::new();
        taken.write(&mut metadata);
        assert_eq!(Taken::read(&metadata), taken);
        for (subject, seq, had) in [
            ("default.a.x", 10, true),
            ("default.a.x", 11, false),
            ("default.b.x", 3, true),
            ("default.b.x", 4, false),
            ("default.c.x", 1, false),
        ] {
            assert_eq!(taken.had(subject, seq), had, "{subject} {seq}");
        }
        let crossing = Taken(vec![upto("*", "x", 10), upto("a", "*", 3)]);
        assert!(!crossing.had("default.a.x", 5));
        assert!(crossing.had("default.b.x", 5));
        let mut none = HashMap::new();
        Taken::default().write(&mut none);
        assert!(none.is_empty());
    }
}
