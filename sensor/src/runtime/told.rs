//! What a condition says for people: what it waits for, and what met nobody. It changes no state.

use super::runner::Runner;
use crate::filters::Verdict;
use crate::join::Unmet;
use crate::record::{self, End as Ended};

/// Says of each event that it met nobody.
pub(super) fn tell_unmet(runner: &Runner, unmet: &[Unmet]) {
    for unmet in unmet {
        let within = runner
            .prepared
            .join
            .as_ref()
            .map_or("", |join| join.text.as_str());
        let (event, dependency) = (&unmet.event.0, &unmet.dependency);
        let note = format!(
            "met no other event of key {} within {within}",
            record::shown(&unmet.key)
        );
        tracing::warn!(event = event.id, dependency, "{note}; it is dead");
        let mut part = record::Part::new(dependency, Verdict::Passed, Vec::new(), Ended::Dead);
        part.note = Some(note);
        let draft = runner.draft(Some(event), vec![part], Ended::Dead, None);
        runner.records.record(draft);
    }
}

/// For people: which events would make it fire.
pub(super) fn waits_for(missing: &[Vec<String>]) -> String {
    let sets: Vec<String> = missing.iter().map(|set| set.join(" and ")).collect();
    format!("waits for {}", sets.join(", or "))
}
