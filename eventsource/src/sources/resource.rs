//! `resource` watches Kubernetes objects.
//!
//! ```yaml
//! resource:
//!   example:
//!     namespace: argo-events
//!     group: argoproj.io
//!     version: v1alpha1
//!     resource: workflows
//!     eventTypes:
//!     - ADD
//!     filter:
//!       afterStart: true
//!       labels:
//!       - key: app
//!         operation: "=="
//!         value: my-workflow
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::check_list;

/// Changes of Kubernetes objects.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    /// The namespace; empty for all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// Which objects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<ResourceFilter>,
    /// The API group; empty for the core group.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// The API version, as v1.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The plural name, as pods.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub resource: String,
    /// `ADD`, `UPDATE` and `DELETE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub event_types: Vec<String>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Which objects are watched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceFilter {
    /// How their names begin.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// What their labels are; all must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<ResourceSelector>,
    /// What their fields are; all must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ResourceSelector>,
    /// Not those created after this time, RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Only what happens after the source has started.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub after_start: bool,
}

/// A condition on a label or field.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceSelector {
    /// The label, or the path of the field.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
    /// `==` (default), `!=`; for labels also in, notin, exists, !, gt, lt.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
    /// What it is compared with; for fields a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub value: String,
}

impl SourceSpec for Resource {
    const KIND: &'static str = "resource";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require("version", &self.version, ", as v1");
        problems.require("resource", &self.resource, " to the plural name, as pods");
        check_list(
            "eventTypes",
            &self.event_types,
            " of ADD, UPDATE and DELETE",
            problems,
        );
        problems.each("eventTypes", &self.event_types, |event, problems| {
            if !matches!(event.as_str(), "ADD" | "UPDATE" | "DELETE") {
                problems.error(format!("must be ADD, UPDATE or DELETE, not {event:?}"));
            }
        });
        if let Some(filter) = &self.filter {
            problems.at("filter", |problems| filter.validate(problems));
        }
    }
}

impl ResourceFilter {
    fn validate(&self, problems: &mut Problems) {
        let labels = [
            "", "=", "==", "!=", "in", "notin", "exists", "!", "gt", "lt",
        ];
        problems.each("labels", &self.labels, |label, problems| {
            label.validate(&labels, problems);
        });
        problems.each("fields", &self.fields, |field, problems| {
            field.validate(&["", "=", "==", "!="], problems);
            if let Err(why) = tiphys_lang::re2::compile(&field.value) {
                problems.at("value", |problems| {
                    problems.error(format!("must be a regular expression: {why}"));
                });
            }
        });
        if !self.created_by.is_empty() && self.created_by.parse::<jiff::Timestamp>().is_err() {
            problems.at("createdBy", |problems| {
                problems.error("must be a time, as 2019-04-06T12:52:11Z");
            });
        }
    }
}

impl ResourceSelector {
    fn validate(&self, operations: &[&str], problems: &mut Problems) {
        problems.require("key", &self.key, ", as app");
        if !operations.contains(&self.operation.as_str()) {
            problems.at("operation", |problems| {
                let known: Vec<&str> = operations.iter().copied().skip(1).collect();
                problems.error(format!("must be one of {}", known.join(", ")));
            });
        }
    }
}
