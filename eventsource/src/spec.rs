//! The EventSource resource: what is common to all kinds, and one map of events for each kind. Types and validation only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServicePort;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::spec::{ConditionedStatus, MetadataSpec, PodTemplateSpec};

use crate::filter::Filter;
use crate::source::{AnySource, Replicas, SourceSpec};
use crate::sources::webhook::Webhook;

/// Where events come from.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "EventSource",
    plural = "eventsources",
    shortname = "es",
    namespaced,
    status = "ConditionedStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct EventSourceSpec {
    /// The EventBus in the same namespace. Default `default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event_bus_name: String,
    /// How many pods, in the cluster shape. Default 1; less than 1 is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// The pod, in the cluster shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplateSpec>,
    /// A Service in front of the pods, in the cluster shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,
    /// HTTP requests of any sender, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub webhook: BTreeMap<String, Webhook>,
}

/// The Service that is made for an EventSource.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// The ports; without any there is no Service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// The address inside the cluster; `None` for a headless Service.
    #[serde(rename = "clusterIP", skip_serializing_if = "String::is_empty")]
    pub cluster_ip: String,
    /// Labels and annotations of the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSpec>,
}

/// A condition that the events of a source must meet.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterSpec {
    /// An expression in expr-lang over the event data, such as `body.action == "opened"`. It must be true or false.
    pub expression: String,
}

impl FilterSpec {
    /// Reports an expression that cannot be compiled.
    pub(crate) fn validate(filter: Option<&Self>, problems: &mut Problems) {
        let Some(filter) = filter else {
            return;
        };
        problems.at("filter", |problems| {
            if filter.expression.trim().is_empty() {
                problems.require(
                    "expression",
                    "",
                    ", as body.action == \"opened\", or leave filter out: without one every event is dropped",
                );
            } else if let Err(error) = Filter::compile(&filter.expression) {
                problems.at("expression", |problems| error.report(problems));
            }
        });
    }
}

/// One event of an EventSource, whatever its kind.
pub(crate) struct Entry<'a> {
    /// The event's name.
    pub(crate) name: &'a str,
    /// Its spec.
    pub(crate) source: &'a dyn AnySource,
}

fn collect<'a, S: SourceSpec>(entries: &mut Vec<Entry<'a>>, events: &'a BTreeMap<String, S>) {
    entries.extend(events.iter().map(|(name, source)| Entry { name, source }));
}

impl EventSourceSpec {
    /// Every event. A kind that is missing here does not compile.
    pub(crate) fn entries(&self) -> Vec<Entry<'_>> {
        let Self {
            event_bus_name: _,
            replicas: _,
            template: _,
            service: _,
            webhook,
        } = self;
        let mut entries = Vec::new();
        collect(&mut entries, webhook);
        entries
    }

    /// The EventBus that takes the events.
    #[must_use]
    pub fn bus_name(&self) -> &str {
        match self.event_bus_name.as_str() {
            "" => "default",
            name => name,
        }
    }

    /// Reports everything that keeps the object, or one of its events, from running.
    pub fn validate(&self, problems: &mut Problems) {
        let entries = self.entries();
        if entries.is_empty() {
            problems.error("must have a source, as webhook: {example: {port: \"12000\", endpoint: /example, method: POST}}");
        }
        let mut seen: BTreeMap<&str, &'static str> = BTreeMap::new();
        for entry in &entries {
            let kind = entry.source.kind();
            problems.at(kind, |problems| {
                problems.at(entry.name, |problems| {
                    name(entry.name, problems);
                    if let Some(other) = seen.insert(entry.name, kind) {
                        problems.error(format!(
                            "must have a name that no other event of the object has: {other} has one of this name too"
                        ));
                    }
                    entry.source.validate(problems);
                });
            });
        }
        let of = |wanted| {
            let mut kinds = entries.iter().map(|entry| entry.source);
            kinds
                .find(|source| source.replicas() == wanted)
                .map(AnySource::kind)
        };
        if let (Some(many), Some(one)) = (of(Replicas::Many), of(Replicas::One)) {
            problems.error(format!(
                "must not mix {many}, which runs on every replica, with {one}, which runs on one: \
                 put them into two EventSources"
            ));
        }
    }
}

/// An event's name is a part of its subject on the bus.
fn name(name: &str, problems: &mut Problems) {
    let forbidden =
        |char: char| char == '*' || char == '>' || char.is_whitespace() || char.is_control();
    if name.is_empty() {
        problems.error("must have a name");
    } else if name.contains(forbidden) {
        problems.error("must have a name without `*`, `>` and spaces, which mean something else on the event bus");
    } else if name.contains('.') {
        problems
            .warning("has a `.` in its name, which separates names on the event bus; `-` is safer");
    }
}

#[cfg(test)]
mod tests;
