//! Pods and what is around them.

use serde_json::Value;
use tiphys_core::Path;
use tiphys_eventsource::Replicas;

use super::super::Place;
use super::super::look::{Look, Part};
use crate::check::Checked;
use crate::operator::JetStreamSettings;

const ELECTION: &str = "events.argoproj.io/leader-election";
/// Volumes whose files have owners of their own.
const OWNED_VOLUMES: [&str; 4] = ["hostPath", "persistentVolumeClaim", "nfs", "csi"];

pub(in super::super) fn pull_policy(look: &Look<'_>, places: &mut Vec<Place>) {
    for kind in ["EventSource", "Sensor"] {
        let policy = look.spec(kind, &["template", "container", "imagePullPolicy"]);
        places.extend(policy.map(|part| Place::at(part.path)));
    }
}

pub(in super::super) fn one_pod(look: &Look<'_>, places: &mut Vec<Place>) {
    let Some(Checked::EventSource(spec)) = look.checked else {
        return;
    };
    let several = look
        .spec("EventSource", &["replicas"])
        .filter(|replicas| replicas.value.as_i64().is_some_and(|number| number > 1));
    if spec.replicas_of_kinds() == Replicas::One {
        places.extend(several.map(|part| Place::at(part.path)));
    }
}

pub(in super::super) fn election(look: &Look<'_>, places: &mut Vec<Place>) {
    if look.annotation(ELECTION).is_some() {
        let path = Path::default().key("metadata").key("annotations");
        places.push(Place::at(path.key(ELECTION)));
    }
}

/// Several pods of a Sensor, of which one worked.
pub(in super::super) fn shared_work(look: &Look<'_>, places: &mut Vec<Place>) {
    let replicas = look.spec("Sensor", &["replicas"]);
    let several = replicas.filter(|part| part.value.as_i64().is_some_and(|number| number > 1));
    places.extend(several.map(|part| Place::at(part.path)));
}

/// Volumes that belong to somebody, in pods that say of nobody who they are.
pub(in super::super) fn volumes(look: &Look<'_>, places: &mut Vec<Place>) {
    for kind in ["EventSource", "Sensor"] {
        let Some(template) = look.spec(kind, &["template"]) else {
            continue;
        };
        let own = template.down(&["container", "securityContext"]);
        if own.or_else(|| template.get("securityContext")).is_some() {
            continue;
        }
        let volumes = template.get("volumes");
        for volume in volumes.iter().flat_map(Part::items) {
            let found = OWNED_VOLUMES
                .into_iter()
                .filter_map(|kind| volume.get(kind));
            places.extend(found.map(|part| Place::at(part.path)));
        }
    }
}

pub(in super::super) fn bus_version(look: &Look<'_>, places: &mut Vec<Place>) {
    let version = look.spec("EventBus", &["jetstream", "version"]);
    let Some(version) =
        version.filter(|part| part.value.as_str().is_some_and(|text| !text.is_empty()))
    else {
        return;
    };
    let known = JetStreamSettings::default().versions;
    let built_in = |name: &Value| {
        known
            .iter()
            .any(|one| Some(one.version.as_str()) == name.as_str())
    };
    if !built_in(version.value) {
        places.push(Place::with(
            version.path,
            version.value.as_str().unwrap_or_default(),
        ));
    }
}
