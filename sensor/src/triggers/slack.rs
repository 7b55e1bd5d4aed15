//! The `slack` trigger: one message per firing. Its spec and validation; this build does not post yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use super::kafka::require_ref;
use crate::spec::{ParameterSpec, Scope};

/// Posts to Slack.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SlackSpec {
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// The bot's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack_token: Option<KeyRef>,
    /// The channel, with or without `#`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub channel: String,
    /// The text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Attachments, as a JSON array in text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub attachments: String,
    /// Blocks, as a JSON array in text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub blocks: String,
    /// Puts messages that belong together into one thread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<SlackThreadSpec>,
    /// Who seems to write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<SlackSenderSpec>,
}

/// A thread.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SlackThreadSpec {
    /// Messages with the same key go to the same thread.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message_aggregation_key: String,
    /// Shows the message in the channel too.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub broadcast_message_to_channel: bool,
}

/// A sender.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SlackSenderSpec {
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// `:emoji:` or the URL of a picture.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub icon: String,
}

impl SlackSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        require_ref("slackToken", self.slack_token.as_ref(), problems);
        scope.parameters("parameters", &self.parameters, problems);
        for (key, text) in [("attachments", &self.attachments), ("blocks", &self.blocks)] {
            let array = serde_json::from_str::<Vec<serde::de::IgnoredAny>>(text).is_ok();
            if !text.is_empty() && !text.contains("{{") && !array {
                problems.at(key, |problems| {
                    problems.warning("should be a JSON array in text");
                });
            }
        }
    }
}
