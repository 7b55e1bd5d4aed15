//! Dependencies, conditions, and what keeps an object from running at all.

use tiphys_core::Path;

use super::super::Place;
use super::super::look::{Look, Part};
use super::{bus, sources};
use crate::check::Checked;

pub(in super::super) fn errors(look: &Look<'_>, places: &mut Vec<Place>) {
    // What has a row of its own is said there.
    let (mut buses, mut said) = (Vec::new(), Vec::new());
    bus::kafka(look, &mut buses);
    sources::half_tls(look, &mut said);
    for problem in look.errors {
        let below = |place: &Place| problem.path.segments().starts_with(place.path.segments());
        let here = |place: &Place| problem.path == place.path;
        if !buses.iter().any(below) && !said.iter().any(here) {
            places.push(Place::with(problem.path.clone(), problem.message.clone()));
        }
    }
}

pub(in super::super) fn not_built(look: &Look<'_>, places: &mut Vec<Place>) {
    if let (Some(Checked::Sensor(sensor)), []) = (look.checked, look.errors) {
        let found = tiphys_sensor::cannot_run(sensor).triggers.into_iter();
        places.extend(found.map(|(path, why)| Place::with(path, why)));
    }
}

pub(in super::super) fn source_not_built(look: &Look<'_>, places: &mut Vec<Place>) {
    if let (Some(Checked::EventSource(spec)), []) = (look.checked, look.errors) {
        for (kind, event, why) in spec.cannot_run() {
            let path = Path::default().key("spec").key(kind).key(&event);
            places.push(Place::with(path, why));
        }
    }
}

pub(in super::super) fn folded_names(look: &Look<'_>, places: &mut Vec<Place>) {
    let dependencies = look.dependencies();
    let folded = |part: &Part<'_>| part.text("name").replace('-', "_");
    for (at, dependency) in dependencies.iter().enumerate() {
        let before = dependencies.iter().take(at);
        let twin = before
            .filter(|other| other.text("name") != dependency.text("name"))
            .find(|other| folded(other) == folded(dependency));
        if let Some(twin) = twin {
            let detail = format!("reads as {:?} in Argo's conditions", twin.text("name"));
            places.push(Place::with(dependency.path.key("name"), detail));
        }
    }
}

pub(in super::super) fn or_filters(look: &Look<'_>, places: &mut Vec<Place>) {
    for dependency in look.dependencies() {
        if dependency.text("filtersLogicalOperator") == "or" {
            places.push(Place::at(dependency.path.key("filtersLogicalOperator")));
        }
    }
}

pub(in super::super) fn wildcards(look: &Look<'_>, places: &mut Vec<Place>) {
    for dependency in look.dependencies() {
        for key in ["eventSourceName", "eventName"] {
            if dependency.text(key).contains('*') {
                places.push(Place::at(dependency.path.key(key)));
            }
        }
    }
}

/// Triggers that wait for several dependencies, and so hold the events of some.
pub(in super::super) fn held_halves(look: &Look<'_>, places: &mut Vec<Place>) {
    let several = look.dependencies().len() > 1;
    for trigger in look
        .spec("Sensor", &["triggers"])
        .iter()
        .flat_map(Part::items)
    {
        let Some(template) = trigger.get("template").filter(|_| several) else {
            continue;
        };
        let conditions = template.text("conditions");
        if conditions.is_empty() {
            let detail = "waits for all dependencies";
            places.push(Place::with(template.path, detail));
        } else if conditions.contains("&&") {
            let path = template.path.key("conditions");
            places.push(Place::with(path, conditions));
        }
    }
}
