//! The `email` trigger: one mail per firing and recipient. Its spec and validation; this build does not send yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::spec::{ParameterSpec, Scope};

/// Sends mail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct EmailSpec {
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// The user at the server.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub username: String,
    /// The password at the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp_password: Option<KeyRef>,
    /// The server.
    pub host: String,
    /// Its port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<i32>,
    /// To whom.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
    /// From whom.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// The subject.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    /// The text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
}

impl EmailSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("host", &self.host, " to the mail server");
        if self.port.is_some_and(|port| !(0..=65535).contains(&port)) {
            problems.at("port", |problems| {
                problems.error("must be between 0 and 65535");
            });
        }
        if let Some(reference) = &self.smtp_password {
            problems.at("smtpPassword", |problems| reference.validate(problems));
        }
        scope.parameters("parameters", &self.parameters, problems);
    }
}
