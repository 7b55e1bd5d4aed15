//! Where decisions go in a cluster: a journal of the event bus, bounded by size and age, which every replica writes to.
//! An entry is one decision where they are few, so that it is found by its event, and many lines where they come fast.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tiphys_eventbus::{Bus, Health, Journal, JournalEntry, JournalLimits};

use super::writer::{Batch, RecordLimits};
use super::{Draft, alike};

/// The journal's name.
const NAME: &str = "tiphys-decisions";
/// With more decisions in a batch, entries hold many.
const FEW: usize = 64;
/// How many bytes an entry of many lines has at most, about.
const ENTRY_BYTES: usize = 64 << 10;
/// How long a bus that is away is waited for.
const AWAY: Duration = Duration::from_secs(10);

/// The journal of a bus; `None` where the bus has none.
pub(super) fn journal(bus: &Bus, limits: RecordLimits) -> Option<Arc<dyn Journal>> {
    let limits = JournalLimits {
        bytes: limits.bytes,
        age: limits.age,
    };
    bus.journal(NAME, limits)
}

/// The writing end.
pub(super) struct OnBus {
    pub(super) bus: Bus,
    pub(super) journal: Arc<dyn Journal>,
}

impl OnBus {
    pub(super) async fn write(&self, batch: Batch) -> Result<(), String> {
        let mut health = self.bus.health();
        let back = health.wait_for(|health| *health == Health::Connected);
        // Where it does not come back, the journal says why.
        drop(tokio::time::timeout(AWAY, back).await);
        let entries = entries(&batch);
        let most = self.journal.most();
        let whole = entries.len();
        let fitting: Vec<JournalEntry> = entries
            .into_iter()
            .filter(|entry| entry.body.len() <= most)
            .collect();
        let fits = fitting.len() == whole;
        let appended = self.journal.append(fitting).await;
        appended.map_err(|error| error.to_string())?;
        if fits {
            Ok(())
        } else {
            Err(format!("a decision has more than {most} bytes"))
        }
    }
}

fn entries(batch: &Batch) -> Vec<JournalEntry> {
    let mut entries = Vec::new();
    if let Some(dropped) = batch.dropped() {
        entries.push(JournalEntry {
            labels: [None, None, None],
            body: serde_json::to_vec(&dropped).unwrap_or_default().into(),
        });
    }
    let few = batch.drafts.len() <= FEW;
    let together = |a: &Draft, b: &Draft| !few && Arc::ptr_eq(&a.labels, &b.labels);
    for run in batch.drafts.chunk_by(together) {
        let mut rest = run.iter().peekable();
        while let Some(first) = rest.peek() {
            let [namespace, sensor] = [&first.labels.namespace, &first.labels.sensor];
            let event = first.event.as_ref();
            let event = event.map(|event| event.id.clone()).unwrap_or_default();
            let labels = [
                Some(namespace.clone()),
                Some(sensor.clone()),
                (run.len() == 1).then_some(event),
            ];
            let mut body = Vec::new();
            while body.len() < ENTRY_BYTES
                && let Some(draft) = rest.next()
            {
                draft.write(&mut body);
            }
            let body = body.into();
            entries.push(JournalEntry { labels, body });
        }
    }
    for run in alike::runs(&batch.plain) {
        let mut body = Vec::new();
        alike::write(run, Timestamp::now(), &mut body);
        let labels = run.first().map(|one| &one.labels);
        entries.push(JournalEntry {
            labels: [
                labels.map(|labels| labels.namespace.clone()),
                labels.map(|labels| labels.sensor.clone()),
                None,
            ],
            body: body.into(),
        });
    }
    entries
}
