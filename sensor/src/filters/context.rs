//! `filters.context`: what the context of an event must say.

use tiphys_core::Event;

use super::{Report, Verdict};
use crate::spec::ContextFilterSpec;

/// Compares the four attributes that count, each only where it is wanted.
pub(super) fn evaluate(want: &ContextFilterSpec, event: &Event, report: &mut Report) -> Verdict {
    let pairs = [
        ("type", &want.kind, &event.kind),
        ("subject", &want.subject, &event.subject),
        ("source", &want.source, &event.source),
        ("datacontenttype", &want.content_type, &event.content_type),
    ];
    let mut all = Verdict::Passed;
    for (key, want, have) in pairs {
        if want.is_empty() {
            continue;
        }
        let verdict = Verdict::from_bool(want == have);
        report.add(&verdict, || {
            (format!("filters.context.{key}"), want.clone(), have.clone())
        });
        if !verdict.passed() {
            all = Verdict::Filtered;
        }
    }
    all
}
