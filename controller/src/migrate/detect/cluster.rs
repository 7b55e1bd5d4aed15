//! Pods and what is around them.

use serde_json::Value;
use tiphys_core::Path;
use tiphys_eventsource::Replicas;

use super::super::Place;
use super::super::look::Look;
use crate::check::Checked;
use crate::operator::JetStreamSettings;

const ELECTION: &str = "events.argoproj.io/leader-election";

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
