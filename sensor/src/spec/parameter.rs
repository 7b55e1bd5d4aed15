//! Parameters as the spec writes them: where a value comes from and where it goes. Types only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The language of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TemplateEngine {
    /// Go's `text/template` with the Sprig functions.
    #[default]
    Go,
    /// Handlebars, strict and without HTML escaping.
    Handlebars,
}

/// Puts a value of an event somewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ParameterSpec {
    /// Where the value comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub src: Option<ParameterSourceSpec>,
    /// Where it goes: an sjson path.
    pub dest: String,
    /// `overwrite` (default), `append` or `prepend`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub operation: String,
}

/// Where a value comes from: template first, then key, then `value`; with none of them the whole event.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ParameterSourceSpec {
    /// The dependency whose event is meant.
    pub dependency_name: String,
    /// A path in the event's context.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context_key: String,
    /// A template over the event's context.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context_template: String,
    /// A path in the event's payload.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data_key: String,
    /// A template over the event's payload.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data_template: String,
    /// Used where nothing else gives a value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Keeps numbers, booleans, objects and arrays as such instead of turning them into text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_raw_data: bool,
    /// The engine of the template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_engine: Option<TemplateEngine>,
}
