//! Dependencies as the spec writes them: which event, its transform and its filters. Types only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TemplateEngine;

/// One event that is waited for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DependencySpec {
    /// Its name in conditions and parameters.
    pub name: String,
    /// The EventSource's name; `*` stands for every one.
    pub event_source_name: String,
    /// The event's name in the EventSource; `*` stands for every one.
    pub event_name: String,
    /// What an event must be like to count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filters: Option<FiltersSpec>,
    /// How the filter kinds combine: `and` (default) or `or`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filters_logical_operator: String,
    /// Changes the payload before it is filtered and used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transform: Option<TransformSpec>,
}

/// Changes a payload. `jq` wins where both are set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TransformSpec {
    /// A jq filter from object to object.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub jq: String,
    /// A Lua script that gets `event` and returns a table.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub script: String,
}

/// What an event must be like to count.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FiltersSpec {
    /// When it must have happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeFilterSpec>,
    /// What its context must say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextFilterSpec>,
    /// What its payload must hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<DataFilterSpec>,
    /// Expressions over its payload.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exprs: Vec<ExprFilterSpec>,
    /// How the data filters combine: `and` (default) or `or`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data_logical_operator: String,
    /// How the expressions combine: `and` (default) or `or`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub expr_logical_operator: String,
    /// A Lua script that gets `event` and returns true to let it pass.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub script: String,
}

/// A span of the day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TimeFilterSpec {
    /// From when on, `HH:MM:SS`.
    pub start: String,
    /// Until when, `HH:MM:SS`; before `start` it is the next day's.
    pub stop: String,
    /// The time zone by its IANA name; UTC where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone: String,
}

/// What the context of an event must say; what is empty may be anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ContextFilterSpec {
    /// Not compared.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The EventSource's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// Not compared.
    #[serde(rename = "specversion", skip_serializing_if = "String::is_empty")]
    pub spec_version: String,
    /// The kind of source, such as `webhook`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The media type of the payload.
    #[serde(rename = "datacontenttype", skip_serializing_if = "String::is_empty")]
    pub content_type: String,
    /// The event's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// Not compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
}

/// What one place of the payload must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DataFilterSpec {
    /// The place: a gjson path, or JSONPath where it starts with `$.` or `$[`.
    pub path: String,
    /// How it is compared: `bool`, `number` or `string`.
    #[serde(rename = "type")]
    pub kind: String,
    /// One of these must fit. For `string` each is an unanchored regular expression.
    pub value: Vec<String>,
    /// `=` (default), `!=`, `<`, `<=`, `>` or `>=`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub comparator: String,
    /// Changes the value before it is compared; `.Input` is its text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub template: String,
    /// The engine of `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_engine: Option<TemplateEngine>,
}

/// An expression over named places of the payload.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExprFilterSpec {
    /// The expression; the event passes when it is true.
    pub expr: String,
    /// The names in it.
    pub fields: Vec<ExprFieldSpec>,
}

/// A name in an expression.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ExprFieldSpec {
    /// The place in the payload.
    pub path: String,
    /// The name.
    pub name: String,
}
