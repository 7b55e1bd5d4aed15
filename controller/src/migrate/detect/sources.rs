//! Sources that take requests.

use super::super::Place;
use super::super::look::Look;

/// Kinds that take HTTP requests.
const HOOKS: [&str; 10] = [
    "webhook",
    "github",
    "gitlab",
    "bitbucket",
    "bitbucketserver",
    "gerrit",
    "slack",
    "sns",
    "storageGrid",
    "stripe",
];

pub(in super::super) fn hooks(look: &Look<'_>, places: &mut Vec<Place>) {
    let events = look.events().into_iter();
    let hooks = events.filter(|(kind, _)| HOOKS.contains(kind));
    places.extend(hooks.map(|(_, event)| Place::at(event.path)));
}

fn webhooks<'a>(look: &Look<'a>) -> impl Iterator<Item = super::super::look::Part<'a>> {
    let events = look.events().into_iter();
    events
        .filter(|(kind, _)| *kind == "webhook")
        .map(|(_, event)| event)
}

pub(in super::super) fn no_method(look: &Look<'_>, places: &mut Vec<Place>) {
    let found = webhooks(look).filter(|event| event.text("method").is_empty());
    places.extend(found.map(|event| Place::at(event.path.key("method"))));
}

pub(in super::super) fn other_method(look: &Look<'_>, places: &mut Vec<Place>) {
    let other = ["PUT", "PATCH", "DELETE"];
    let found = webhooks(look).filter(|event| other.contains(&event.text("method")));
    places.extend(found.map(|event| Place::at(event.path.key("method"))));
}

pub(in super::super) fn half_tls(look: &Look<'_>, places: &mut Vec<Place>) {
    for (_, event) in look.events() {
        let context = event.get("webhook").unwrap_or(event);
        let pair = ["serverCertSecret", "serverKeySecret"].map(|key| context.get(key).is_some());
        if let [true, false] | [false, true] = pair {
            places.push(Place::at(context.path));
        }
    }
}
