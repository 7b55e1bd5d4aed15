//! The `nats` trigger: one message per firing. Its spec and validation; this build does not publish yet.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::{BasicAuthSpec, TlsSpec};

use crate::parameters::Dest;
use crate::spec::{ParameterSpec, Scope};

/// Publishes a NATS message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsSpec {
    /// The server.
    pub url: String,
    /// The subject.
    pub subject: String,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<NatsAuthSpec>,
}

/// Credentials towards NATS; of several the first in this order.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsAuthSpec {
    /// A user and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic: Option<BasicAuthSpec>,
    /// A token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<KeyRef>,
    /// A seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nkey: Option<KeyRef>,
    /// A credentials file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<KeyRef>,
}

impl NatsSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("url", &self.url, ", as nats://host:4222");
        problems.require("subject", &self.subject, " to the subject");
        scope.payload("payload", self.payload.as_deref(), Dest::Required, problems);
        scope.parameters("parameters", &self.parameters, problems);
        super::validate_tls(self.tls.as_ref(), problems);
        if let Some(auth) = &self.auth {
            problems.at("auth", |problems| {
                if let Some(basic) = &auth.basic {
                    problems.at("basic", |problems| basic.validate(problems));
                }
                for (key, reference) in [
                    ("token", &auth.token),
                    ("nkey", &auth.nkey),
                    ("credential", &auth.credential),
                ] {
                    if let Some(reference) = reference {
                        problems.at(key, |problems| reference.validate(problems));
                    }
                }
            });
        }
    }
}
