//! Kinds of buses.

use serde_json::json;

use super::super::Place;
use super::super::look::Look;

fn there(look: &Look<'_>, keys: &[&str], places: &mut Vec<Place>) {
    places.extend(look.spec("EventBus", keys).map(|part| Place::at(part.path)));
}

pub(in super::super) fn one_replica(look: &Look<'_>, places: &mut Vec<Place>) {
    let replicas = look.spec("EventBus", &["jetstream", "replicas"]);
    let one = replicas.filter(|replicas| *replicas.value == json!(1));
    places.extend(one.map(|part| Place::at(part.path)));
}

pub(in super::super) fn stan(look: &Look<'_>, places: &mut Vec<Place>) {
    there(look, &["nats", "native"], places);
}

pub(in super::super) fn stan_exotic(look: &Look<'_>, places: &mut Vec<Place>) {
    there(look, &["nats", "exotic"], places);
}

pub(in super::super) fn kafka(look: &Look<'_>, places: &mut Vec<Place>) {
    there(look, &["kafka"], places);
}
