//! Counts reviews by kind and verdict. It decides nothing.

use std::time::Duration;

use prometheus::IntCounter;
use tiphys_core::metrics::{Metrics, ReviewMetrics};
use tiphys_core::{Problems, Severity};

use crate::hosting::Kind;

/// See the module.
pub(crate) struct Tallies {
    kinds: Vec<(Kind, ReviewMetrics)>,
    other: ReviewMetrics,
    failed: IntCounter,
}

impl Tallies {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let kinds = Kind::ALL.into_iter();
        Self {
            kinds: kinds
                .map(|kind| (kind, metrics.reviews(kind.as_str())))
                .collect(),
            // Whatever a request calls its kind, a label has few values.
            other: metrics.reviews("other"),
            failed: metrics.reviews_failed(),
        }
    }

    /// A request got an answer.
    pub(crate) fn answered(&self, kind: &str, problems: &Problems, time: Duration) {
        let mut kinds = self.kinds.iter();
        let review = kinds.find(|(known, _)| known.as_str() == kind);
        let review = review.map_or(&self.other, |(_, review)| review);
        let warns = |problem: &tiphys_core::Problem| problem.severity == Severity::Warning;
        if problems.has_errors() {
            review.denied.inc();
        } else if problems.list().iter().any(warns) {
            review.warned.inc();
        } else {
            review.allowed.inc();
        }
        review.seconds.observe(time.as_secs_f64());
    }

    /// A request got none.
    pub(crate) fn failed(&self) {
        self.failed.inc();
    }
}
