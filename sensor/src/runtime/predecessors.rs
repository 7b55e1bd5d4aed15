//! The consumers that Argo's sensor has for the same Sensor, whose place ours take over when a pod is exchanged. Names
//! only: whether there are any, the bus finds out.

use tiphys_eventbus::{Predecessor, SubjectPattern};

use crate::prepared::Prepared;

/// One for each dependency of a trigger.
pub(super) fn predecessors(sensor: &str, prepared: &Prepared) -> Vec<Predecessor> {
    prepared
        .dependencies
        .iter()
        .map(|dependency| Predecessor {
            durable: argos_name(sensor, &prepared.name, &dependency.name),
            subject: SubjectPattern {
                source: dependency.source.clone(),
                event: dependency.event.clone(),
            },
        })
        .collect()
}

/// `group-` and the decimal FNV-1a of the three names.
fn argos_name(sensor: &str, trigger: &str, dependency: &str) -> String {
    let hash = format!("{sensor}-{trigger}-{dependency}")
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    format!("group-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_one_that_argo_gives() {
        assert_eq!(argos_name("s", "t", "d"), "group-2871341474");
    }
}
