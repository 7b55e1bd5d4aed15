//! What the controller counts of its own work. It reads what is there and changes nothing.

use std::time::Duration;

use serde_json::Value;
use tiphys_core::metrics::{LookMetrics, Metrics, QueueMetrics, ReadyMetrics};
use tokio::time::Instant;

use super::cache::Cache;
use super::queue::{Job, Next, Queue};
use super::watches::Watched;
use crate::hosting::Kind;

/// While much is going on, objects are counted so often only.
const EVERY: Duration = Duration::from_secs(1);

/// See the module. Of a controller that does not work any more it shows no objects.
pub(super) struct Measures {
    metrics: Metrics,
    orphans: LookMetrics,
    kinds: Vec<(Kind, LookMetrics, ReadyMetrics)>,
    queue: QueueMetrics,
    counted: Option<Instant>,
}

impl Measures {
    pub(super) fn new(metrics: &Metrics) -> Self {
        for watched in Watched::all() {
            // Zero is worth seeing.
            drop(metrics.watch_interruptions(watched.as_str()));
        }
        let kinds = Kind::ALL.into_iter().map(|kind| {
            let word = kind.as_str();
            (kind, metrics.looks(word), metrics.objects(word))
        });
        Self {
            orphans: metrics.looks("Orphan"),
            kinds: kinds.collect(),
            queue: metrics.queue(),
            metrics: metrics.clone(),
            counted: None,
        }
    }

    /// A look has ended.
    pub(super) fn looked(&self, job: &Job, next: Next, time: Duration) {
        let looks = match job {
            Job::Orphan(_) => Some(&self.orphans),
            Job::Object(key) => {
                let mut kinds = self.kinds.iter();
                kinds
                    .find(|(kind, ..)| *kind == key.kind)
                    .map(|(_, looks, _)| looks)
            }
        };
        let Some(looks) = looks else { return };
        match next {
            Next::Wait => looks.done.inc(),
            Next::Retry => looks.retry.inc(),
        }
        looks.seconds.observe(time.as_secs_f64());
    }

    /// A watch has said an error.
    pub(super) fn interrupted(&self, watched: Watched) {
        self.metrics.watch_interruptions(watched.as_str()).inc();
    }

    /// How things stand now; `quiet` says that nothing is in hand.
    pub(super) fn stand(&mut self, cache: &Cache, queue: &Queue, quiet: bool) {
        let (ready, running, later) = queue.depth();
        self.queue.ready.set(number(ready));
        self.queue.running.set(number(running));
        self.queue.later.set(number(later));
        if !quiet && self.counted.is_some_and(|at| at.elapsed() < EVERY) {
            return;
        }
        self.counted = Some(Instant::now());
        for (kind, _, objects) in &self.kinds {
            let (mut yes, mut no, mut unknown) = (0, 0, 0);
            for known in cache.of_kind(*kind) {
                match ready_says(known.status()) {
                    Some("True") => yes += 1,
                    Some("False") => no += 1,
                    _ => unknown += 1,
                }
            }
            objects.yes.set(yes);
            objects.no.set(no);
            objects.unknown.set(unknown);
        }
    }
}

impl Drop for Measures {
    fn drop(&mut self) {
        let Self { kinds, queue, .. } = self;
        for gauge in [&queue.ready, &queue.running, &queue.later] {
            gauge.set(0);
        }
        for (_, _, objects) in kinds {
            for gauge in [&objects.yes, &objects.no, &objects.unknown] {
                gauge.set(0);
            }
        }
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn ready_says(status: &Value) -> Option<&str> {
    let conditions = status.get("conditions")?.as_array()?;
    let ready = conditions
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some("Ready"))?;
    ready.get("status")?.as_str()
}
