//! Pods and what is around them.

use super::super::Place;
use super::super::look::Look;

pub(in super::super) fn pull_policy(look: &Look<'_>, places: &mut Vec<Place>) {
    for kind in ["EventSource", "Sensor"] {
        let policy = look.spec(kind, &["template", "container", "imagePullPolicy"]);
        places.extend(policy.map(|part| Place::at(part.path)));
    }
}
