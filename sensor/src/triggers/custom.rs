//! The `custom` trigger: a gRPC server of the user's acts. Its spec and validation; this build does not call yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use super::kafka::require_ref;
use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Calls a gRPC server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct CustomSpec {
    /// The server, as `host:port`.
    #[serde(rename = "serverURL")]
    pub server_url: String,
    /// TLS.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub secure: bool,
    /// A PEM bundle that the server's certificate is checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_secret: Option<KeyRef>,
    /// The name that the certificate must be for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub server_name_override: String,
    /// What the server gets to fetch its resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spec: Option<BTreeMap<String, String>>,
    /// Changes the resource for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// What the server gets to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
}

impl CustomSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("serverURL", &self.server_url, ", as host:port");
        problems.require_some("spec", self.spec.as_ref(), ", as a map of texts");
        if self.secure {
            require_ref("certSecret", self.cert_secret.as_ref(), problems);
        }
        scope.parameters("parameters", &self.parameters, problems);
        if let Some(payload) = &self.payload {
            scope.payload("payload", Some(payload), Dest::Required, problems);
        }
    }
}
