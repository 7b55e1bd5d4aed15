//! What an EventSource needs: to watch what it reports.

use tiphys_eventsource::EventSourceSpec;

use super::{Need, Where};

pub(super) fn needs(spec: &EventSourceSpec, needs: &mut Vec<Need>) {
    for resource in spec.resource.values() {
        let at = if resource.namespace.is_empty() {
            Where::Cluster
        } else {
            Where::Namespace(resource.namespace.clone())
        };
        for verb in ["list", "watch"] {
            needs.push(Need {
                at: at.clone(),
                group: resource.group.clone(),
                resource: resource.resource.to_lowercase(),
                name: None,
                verb,
            });
        }
    }
}
