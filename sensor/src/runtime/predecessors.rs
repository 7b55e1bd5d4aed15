//! The consumers that Argo's sensor has for the same Sensor, whose place ours take over when a pod is exchanged. Names
//! only: whether there are any, the bus finds out.

use tiphys_eventbus::{Predecessor, SubjectPattern};

use crate::prepared::Prepared;
use crate::spec::argos_durable;

/// One for each dependency of a trigger.
pub(super) fn predecessors(sensor: &str, prepared: &Prepared) -> Vec<Predecessor> {
    prepared
        .dependencies
        .iter()
        .map(|dependency| Predecessor {
            durable: argos_durable(sensor, &prepared.name, &dependency.name),
            subject: SubjectPattern {
                source: dependency.source.clone(),
                event: dependency.event.clone(),
            },
        })
        .collect()
}
