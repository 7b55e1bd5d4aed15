//! What a condition says for people: what it waits for, and what met nobody. It changes no state.

use std::sync::Arc;

use tiphys_core::Event;

use super::runner::Runner;
use crate::document::Events;
use crate::filters::Verdict;
use crate::join::Unmet;
use crate::record::{self, End as Ended};

/// Records that an event which was held is given up.
pub(super) fn tell_dead(runner: &Runner, dependency: &str, event: &Arc<Event>, note: String) {
    let mut part = record::Part::new(dependency, Verdict::Passed, Vec::new(), Ended::Dead);
    part.note = Some(note);
    let draft = runner.draft(Some(event), vec![part], Ended::Dead, None);
    runner.records.record(draft);
}

/// Records that the events of a firing wait for the rate limit.
pub(super) fn tell_limited(runner: &Runner, events: &Events, limit: &str) {
    if !runner.records.is_on() {
        return;
    }
    for (dependency, input) in events {
        let mut part = record::Part::new(dependency, Verdict::Passed, Vec::new(), Ended::Pending);
        part.note = Some(format!("waits for the rate limit, {limit}"));
        let draft = runner.draft(Some(input.event()), vec![part], Ended::Pending, None);
        runner.records.record(draft);
    }
}

/// Says of each event that it met nobody: of the first ones in time, of the others before there were too many.
pub(super) fn tell_unmet(runner: &Runner, [late, crowded]: &[Vec<Unmet>; 2]) {
    let join = runner.prepared.join.as_ref();
    let within = join.map_or("", |join| join.text.as_str());
    let late = late.iter().map(|unmet| (unmet, format!("within {within}")));
    let crowded = crowded.iter().map(|unmet| {
        let text = "before too many events waited for theirs";
        (unmet, text.to_owned())
    });
    for (unmet, when) in late.chain(crowded) {
        let (event, dependency) = (&unmet.event.0, &unmet.dependency);
        let key = record::shown(&unmet.key);
        let note = format!("met no other event of key {key} {when}");
        tracing::warn!(event = event.id, dependency, "{note}; it is dead");
        tell_dead(runner, dependency, event, note);
    }
}

/// For people: which events would make it fire.
pub(super) fn waits_for(missing: &[Vec<String>]) -> String {
    let sets: Vec<String> = missing.iter().map(|set| set.join(" and ")).collect();
    format!("waits for {}", sets.join(", or "))
}
