//! How often, and under which name.

use serde_json::Value;
use tiphys_core::Problems;
use tiphys_eventbus::StreamSettings;

use super::super::Place;
use super::super::look::Look;

/// Actions that meet the object of their first attempt, or only say something.
const HARMLESS_TWICE: [&str; 3] = ["k8s", "argoWorkflow", "log"];

pub(in super::super) fn at_least_once(look: &Look<'_>, places: &mut Vec<Place>) {
    for trigger in look.triggers() {
        let Some((kind, _)) = trigger.action else {
            continue;
        };
        if trigger.part.get("atLeastOnce").is_none() && !HARMLESS_TWICE.contains(&kind) {
            let detail = format!("a crash can make the {kind} trigger act twice for an event");
            places.push(Place::with(trigger.part.path, detail));
        }
    }
}

pub(in super::super) fn retries(look: &Look<'_>, places: &mut Vec<Place>) {
    for trigger in look.triggers() {
        let part = trigger.part;
        if part
            .get("atLeastOnce")
            .is_some_and(|set| *set.value == Value::Bool(true))
        {
            continue;
        }
        for key in ["retryStrategy", "dlqTrigger"] {
            places.extend(part.get(key).map(|part| Place::at(part.path)));
        }
    }
}

pub(in super::super) fn derived_names(look: &Look<'_>, places: &mut Vec<Place>) {
    for (_, action) in ["k8s", "argoWorkflow"]
        .iter()
        .flat_map(|kind| look.actions(kind).into_iter().map(move |part| (kind, part)))
    {
        let metadata = action.down(&["source", "resource", "metadata"]);
        if let Some(generated) = metadata.and_then(|metadata| metadata.get("generateName")) {
            places.push(Place::at(generated.path));
        }
    }
}

pub(in super::super) fn discard(look: &Look<'_>, places: &mut Vec<Place>) {
    for key in ["jetstream", "jetstreamExotic"] {
        let Some(bus) = look.spec("EventBus", &[key]) else {
            continue;
        };
        let settings = StreamSettings::parse(bus.text("streamConfig"), &mut Problems::default());
        if settings.discard.is_none() {
            places.push(Place::at(bus.path.key("streamConfig")));
        }
    }
}
