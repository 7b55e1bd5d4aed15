//! What the controller, the admission webhook and clients of the API server count of their own work.
//! Families as those beside them: nothing here knows what is counted, or serves it.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::Metrics;
use super::register::Register;

/// The families of this file.
#[derive(Clone)]
pub(super) struct Families {
    looks: IntCounterVec,
    look: HistogramVec,
    queue: IntGaugeVec,
    objects: IntGaugeVec,
    leader: IntGaugeVec,
    interrupted: IntCounterVec,
    reviews: IntCounterVec,
    review: HistogramVec,
    requests: IntCounterVec,
}

/// Counters of the controller's looks at objects of one kind.
#[derive(Clone)]
pub struct LookMetrics {
    /// Looks after which nothing is left to do until something changes.
    pub done: IntCounter,
    /// Looks that failed and come again.
    pub retry: IntCounter,
    /// Seconds of one look.
    pub seconds: Histogram,
}

/// How many objects the controller has to look at.
#[derive(Clone)]
pub struct QueueMetrics {
    /// As soon as there is room.
    pub ready: IntGauge,
    /// Being looked at now.
    pub running: IntGauge,
    /// After a pause, because the last look failed.
    pub later: IntGauge,
}

/// How many objects of one kind say `Ready` with each status.
#[derive(Clone)]
pub struct ReadyMetrics {
    /// Those that do their work.
    pub yes: IntGauge,
    /// Those that do not.
    pub no: IntGauge,
    /// Those of which it cannot be said yet.
    pub unknown: IntGauge,
}

/// Counters of the webhook's reviews of one kind.
#[derive(Clone)]
pub struct ReviewMetrics {
    /// Objects that were let in.
    pub allowed: IntCounter,
    /// Objects that were let in with a warning.
    pub warned: IntCounter,
    /// Objects that were denied.
    pub denied: IntCounter,
    /// Seconds of one review.
    pub seconds: Histogram,
}

impl Families {
    pub(super) fn try_new(register: &Register<'_>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            looks: register.counter(
                "tiphys_controller_reconciles_total",
                "Looks of the controller at an object, by how they ended; what is left of an object that is gone counts as Orphan.",
                &["kind", "result"],
            )?,
            look: register.histogram(
                "tiphys_controller_reconcile_duration_seconds",
                "Time of one look of the controller at an object.",
                &["kind"],
            )?,
            queue: register.gauge(
                "tiphys_controller_queue_depth",
                "Objects that the controller is to look at: ready, running now, or later because the last look failed.",
                &["state"],
            )?,
            objects: register.gauge(
                "tiphys_controller_objects",
                "Objects by what their condition Ready says; of the controller that leads.",
                &["kind", "ready"],
            )?,
            leader: register.gauge(
                "tiphys_controller_leader",
                "1 in the controller that works, 0 in one that waits for the Lease.",
                &[],
            )?,
            interrupted: register.counter(
                "tiphys_controller_watch_interruptions_total",
                "Errors of the controller's watches; each is tried again.",
                &["kind"],
            )?,
            reviews: register.counter(
                "tiphys_webhook_requests_total",
                "Admission reviews by verdict: allowed, warned, denied, or failed where there was no answer.",
                &["kind", "verdict"],
            )?,
            review: register.histogram(
                "tiphys_webhook_request_duration_seconds",
                "Time of one admission review.",
                &["kind"],
            )?,
            requests: register.counter(
                "tiphys_api_requests_total",
                "Requests of the controller and the webhook to the API server, by the status of the answer; none where there was no answer.",
                &["method", "code"],
            )?,
        })
    }
}

impl Metrics {
    /// The counters of looks at objects of one kind, visible at zero from now on.
    #[must_use]
    pub fn looks(&self, kind: &str) -> LookMetrics {
        let ended = |result| self.control.looks.with_label_values(&[kind, result]);
        LookMetrics {
            done: ended("done"),
            retry: ended("retry"),
            seconds: self.control.look.with_label_values(&[kind]),
        }
    }

    /// How many objects the controller has to look at.
    #[must_use]
    pub fn queue(&self) -> QueueMetrics {
        let state = |state| self.control.queue.with_label_values(&[state]);
        QueueMetrics {
            ready: state("ready"),
            running: state("running"),
            later: state("later"),
        }
    }

    /// How many objects of one kind are ready.
    #[must_use]
    pub fn objects(&self, kind: &str) -> ReadyMetrics {
        let ready = |ready| self.control.objects.with_label_values(&[kind, ready]);
        ReadyMetrics {
            yes: ready("True"),
            no: ready("False"),
            unknown: ready("Unknown"),
        }
    }

    /// 1 in the controller that works.
    #[must_use]
    pub fn leader(&self) -> IntGauge {
        self.control.leader.with_label_values::<&str>(&[])
    }

    /// Errors of one of the controller's watches.
    #[must_use]
    pub fn watch_interruptions(&self, kind: &str) -> IntCounter {
        self.control.interrupted.with_label_values(&[kind])
    }

    /// The counters of reviews of one kind, visible at zero from now on.
    #[must_use]
    pub fn reviews(&self, kind: &str) -> ReviewMetrics {
        let verdict = |verdict| self.control.reviews.with_label_values(&[kind, verdict]);
        ReviewMetrics {
            allowed: verdict("allowed"),
            warned: verdict("warned"),
            denied: verdict("denied"),
            seconds: self.control.review.with_label_values(&[kind]),
        }
    }

    /// Reviews that were not answered, for example because they could not be read.
    #[must_use]
    pub fn reviews_failed(&self) -> IntCounter {
        let labels = ["unknown", "failed"];
        self.control.reviews.with_label_values(&labels)
    }

    /// Requests to the API server with one method and one answer.
    #[must_use]
    pub fn api_requests(&self, method: &str, code: &str) -> IntCounter {
        self.control.requests.with_label_values(&[method, code])
    }
}
