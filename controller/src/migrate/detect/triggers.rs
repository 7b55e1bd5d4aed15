//! Actions and their limits.

use super::super::Place;
use super::super::look::{Look, Part};

pub(in super::super) fn rate_limit(look: &Look<'_>, places: &mut Vec<Place>) {
    for trigger in look.triggers() {
        if let Some(limit) = trigger.part.get("rateLimit") {
            places.push(Place::at(limit.path));
        }
    }
}

pub(in super::super) fn target_away(look: &Look<'_>, places: &mut Vec<Place>) {
    for trigger in look.triggers() {
        let waits = trigger.part.get("dlqTrigger").is_none();
        if let Some((kind, part)) = trigger.action
            && kind != "log"
            && waits
        {
            places.push(Place::at(part.path));
        }
    }
}

pub(in super::super) fn argo_environment(look: &Look<'_>, places: &mut Vec<Place>) {
    if look.actions("argoWorkflow").is_empty() {
        return;
    }
    let env = look.spec("Sensor", &["template", "container", "env"]);
    for variable in env.iter().flat_map(Part::items) {
        let name = variable.text("name");
        if name.starts_with("ARGO_") {
            places.push(Place::with(variable.path, format!("sets {name}")));
        }
    }
}
