//! From patterns to the server's filters, which must not overlap. Pure.

use std::collections::BTreeSet;

use super::stream::{STREAM, SUBJECTS};
use crate::bus::SubjectPattern;

/// The server refuses filters that overlap: covered ones go, and where two only cross all of the stream is taken.
pub(super) fn filters(subjects: &[SubjectPattern]) -> Vec<String> {
    let covers = |a: &str, b: &str| a == "*" || a == b;
    let wide = |a: &SubjectPattern, b: &SubjectPattern| {
        covers(&a.source, &b.source) && covers(&a.event, &b.event)
    };
    let all: BTreeSet<&SubjectPattern> = subjects.iter().collect();
    let kept: Vec<_> = all
        .iter()
        .filter(|pattern| {
            !all.iter()
                .any(|other| other != *pattern && wide(other, pattern))
        })
        .collect();
    let meet = |a: &str, b: &str| covers(a, b) || covers(b, a);
    let crossing = kept.iter().enumerate().any(|(at, a)| {
        kept.iter()
            .skip(at + 1)
            .any(|b| meet(&a.source, &b.source) && meet(&a.event, &b.event))
    });
    if crossing {
        return vec![SUBJECTS.to_owned()];
    }
    kept.iter()
        .map(|pattern| format!("{STREAM}.{}.{}", pattern.source, pattern.event))
        .collect()
}

/// The source and the event in a subject.
fn parts_of(subject: &str) -> (&str, &str) {
    let mut parts = subject.split('.').skip(1);
    (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    )
}

/// The same for people.
pub(super) fn names_of(subject: &str) -> SubjectPattern {
    let (source, event) = parts_of(subject);
    SubjectPattern {
        source: source.to_owned(),
        event: event.to_owned(),
    }
}

/// Whether a subject is wanted, where the filter takes more.
pub(super) fn wants(subjects: &[SubjectPattern], subject: &str) -> bool {
    let (source, event) = parts_of(subject);
    let covers = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    subjects
        .iter()
        .any(|pattern| covers(&pattern.source, source) && covers(&pattern.event, event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_never_overlap() {
        let pattern = |text: &str| {
            let (source, event) = text.split_once('.').unwrap();
            SubjectPattern {
                source: source.to_owned(),
                event: event.to_owned(),
            }
        };
        for (subjects, expected) in [
            (
                &["a.b", "a.c", "a.b"][..],
                &["default.a.b", "default.a.c"][..],
            ),
            (&["a.*", "a.b", "c.d"], &["default.a.*", "default.c.d"]),
            (&["*.*", "a.b"], &["default.*.*"]),
            (&["a.*", "*.b"], &["default.*.*"]),
        ] {
            let subjects: Vec<_> = subjects.iter().map(|text| pattern(text)).collect();
            assert_eq!(filters(&subjects), expected);
        }
    }
}
