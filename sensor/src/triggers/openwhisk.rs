//! The `openWhisk` trigger: one invocation per firing. Its spec and validation; this build does not invoke yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Invokes an OpenWhisk action.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OpenWhiskSpec {
    /// The server.
    pub host: String,
    /// The version of its API; `v1` where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// The namespace; `_` where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// The token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_token: Option<KeyRef>,
    /// The action.
    pub action_name: String,
    /// What the action gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
}

impl OpenWhiskSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("host", &self.host, " to the server");
        problems.require("actionName", &self.action_name, " to the action");
        if let Some(reference) = &self.auth_token {
            problems.at("authToken", |problems| reference.validate(problems));
        }
        scope.payload("payload", self.payload.as_deref(), Dest::Required, problems);
        scope.parameters("parameters", &self.parameters, problems);
    }
}
