//! Actions and their limits.

use std::net::IpAddr;

use super::super::Place;
use super::super::look::{Look, Part};

/// See the sensor's sources.
const PRIVATE_ADDRESSES_ANNOTATION: &str = "tiphys.dev/allow-private-addresses";

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

pub(in super::super) fn submit_from(look: &Look<'_>, places: &mut Vec<Place>) {
    let workflows = look.actions("argoWorkflow").into_iter();
    let found = workflows.filter(|action| action.text("operation") == "submit-from");
    places.extend(found.map(|action| Place::at(action.path.key("operation"))));
}

/// The `source` of every trigger that makes or changes an object.
fn artifacts<'a>(look: &Look<'a>) -> Vec<Part<'a>> {
    let kinds = ["k8s", "argoWorkflow"].into_iter();
    let actions = kinds.flat_map(|kind| look.actions(kind));
    actions.filter_map(|action| action.get("source")).collect()
}

pub(in super::super) fn url_certificate(look: &Look<'_>, places: &mut Vec<Place>) {
    for source in artifacts(look) {
        let Some(url) = source.get("url") else {
            continue;
        };
        if url.get("verifyCert").is_none() && url.text("path").starts_with("https:") {
            places.push(Place::at(url.path));
        }
    }
}

pub(in super::super) fn private_source(look: &Look<'_>, places: &mut Vec<Place>) {
    if look.annotation(PRIVATE_ADDRESSES_ANNOTATION).is_some() {
        return;
    }
    for source in artifacts(look) {
        for (kind, key) in [("url", "path"), ("git", "url")] {
            let Some(part) = source.get(kind) else {
                continue;
            };
            let host = host(part.text(key));
            if is_of_the_cluster(host) {
                places.push(Place::with(part.path.key(key), host));
            }
        }
    }
}

/// The host of a URL, without user and port.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    match host.strip_prefix('[') {
        Some(six) => six.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

/// Whether a host is most probably at a private address. Only a resolver knows.
fn is_of_the_cluster(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(four)) => four.is_private() || four.is_loopback() || four.is_link_local(),
        Ok(IpAddr::V6(six)) => six.is_loopback() || six.is_unique_local(),
        Err(_) => {
            let inside = [".svc", ".local", ".internal", ".lan"];
            !host.is_empty()
                && (!host.contains('.') || inside.iter().any(|end| host.ends_with(end)))
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
