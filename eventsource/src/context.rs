//! Where an event of the webhook family is received: port, endpoint, method, certificate, token. Types and validation only.

use std::collections::BTreeMap;

use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::http::pattern::Pattern;
use crate::source::HookAt;

/// The longest body where `maxPayloadSize` says nothing: 1 MiB.
pub const DEFAULT_MAX_PAYLOAD: u64 = 1 << 20;

/// The HTTP endpoint of an event of the webhook family.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WebhookContext {
    /// The path: `/example`, or with parameters, `/{project}/start` or `/{id:[0-9]+}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// The HTTP method.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The port to listen on, in quotes. Events may share a port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub port: String,
    /// The URL under which the sender reaches this endpoint, for registering it there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The certificate chain for HTTPS, PEM; needs `serverKeySecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cert_secret: Option<KeyRef>,
    /// The private key for HTTPS, PEM; needs `serverCertSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_key_secret: Option<KeyRef>,
    /// Copied into the event data of the generic webhook; other kinds have their own `metadata`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The token that a sender must show as `Authorization: Bearer <token>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<KeyRef>,
    /// The longest body in bytes. Default 1048576.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_payload_size: Option<i64>,
}

impl WebhookContext {
    /// Reports everything that keeps the endpoint from being served.
    pub fn validate(&self, problems: &mut Problems) {
        self.at(None, problems);
        if !self.metadata.is_empty() {
            problems.at("metadata", |problems| {
                problems.warning("has no effect here; write it beside `webhook`");
            });
        }
    }

    /// Where the hook is served, if nothing keeps it from that.
    pub(crate) fn at(&self, method: Option<Method>, problems: &mut Problems) -> Option<HookAt> {
        let pattern = problems.at("endpoint", |problems| match self.endpoint.as_str() {
            "" => {
                problems.error("must be set to the path that senders use, as /example");
                None
            }
            endpoint => Pattern::parse(endpoint)
                .map_err(|error| problems.error(error.to_string()))
                .ok(),
        });
        if self.endpoint == "/health" {
            problems.at("endpoint", |problems| {
                problems.warning("takes the place of the health check; use another path");
            });
        }
        let port = problems.at("port", |problems| self.port(problems));
        let tls = match (&self.server_cert_secret, &self.server_key_secret) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            _ => {
                problems.error(
                    "must have both serverCertSecret and serverKeySecret for HTTPS, or neither for HTTP",
                );
                None
            }
        };
        let refs = [
            ("serverCertSecret", &self.server_cert_secret),
            ("serverKeySecret", &self.server_key_secret),
            ("authSecret", &self.auth_secret),
        ];
        for (key, reference) in refs {
            if let Some(reference) = reference {
                problems.at(key, |problems| reference.validate(problems));
            }
        }
        let max_payload = match self.max_payload_size {
            None => DEFAULT_MAX_PAYLOAD,
            Some(bytes) => u64::try_from(bytes).unwrap_or_default(),
        };
        if max_payload == 0 {
            problems.at("maxPayloadSize", |problems| {
                problems.error("must be a number of bytes above 0, as 1048576");
            });
        }
        Some(HookAt {
            port: port?,
            pattern: pattern?,
            method,
            tls,
            auth: self.auth_secret.clone(),
            max_payload,
        })
    }

    fn port(&self, problems: &mut Problems) -> Option<u16> {
        if self.port.is_empty() {
            problems.error("must be set to a port number in quotes, as \"12000\"");
            return None;
        }
        let port = self.port.parse().ok().filter(|port| *port > 0);
        if port.is_none() {
            problems.error(format!(
                "must be a port number from 1 to 65535, not {:?}",
                self.port
            ));
        }
        port
    }
}

/// The check that every kind with a `webhook` makes.
pub(crate) fn validate(context: Option<&WebhookContext>, problems: &mut Problems) {
    match context {
        Some(context) => problems.at("webhook", |problems| context.validate(problems)),
        None => problems.at("webhook", |problems| {
            problems.error("must be set, with endpoint and port");
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(yaml: &str) -> String {
        let documents = tiphys_core::manifest::parse(yaml).unwrap();
        let mut problems = Problems::default();
        let context: WebhookContext = documents[0].typed(&mut problems).unwrap();
        context.validate(&mut problems);
        problems.to_string()
    }

    #[test]
    fn every_problem_is_reported_with_its_remedy() {
        for (yaml, expected) in [
            ("{endpoint: /a, port: \"12000\"}", ""),
            (
                "{}",
                "endpoint: must be set to the path that senders use, as /example\n\
                 port: must be set to a port number in quotes, as \"12000\"",
            ),
            (
                "{endpoint: a, port: \"1\"}",
                "endpoint: must start with `/`, as /example",
            ),
            (
                "{endpoint: /a, port: http}",
                "port: must be a port number from 1 to 65535, not \"http\"",
            ),
            (
                "{endpoint: /a, port: \"70000\"}",
                "port: must be a port number from 1 to 65535, not \"70000\"",
            ),
            (
                "{endpoint: /a, port: \"1\", serverCertSecret: {name: x, key: k}}",
                "must have both serverCertSecret and serverKeySecret for HTTPS, or neither for HTTP",
            ),
            (
                "{endpoint: /a, port: \"1\", authSecret: {name: x}}",
                "authSecret.key: must be set to a key in it",
            ),
            (
                "{endpoint: /a, port: \"1\", maxPayloadSize: -1}",
                "maxPayloadSize: must be a number of bytes above 0, as 1048576",
            ),
            (
                "{endpoint: /health, port: \"1\", metadata: {a: b}}",
                "warning: endpoint: takes the place of the health check; use another path\n\
                 warning: metadata: has no effect here; write it beside `webhook`",
            ),
        ] {
            assert_eq!(found(yaml), expected, "{yaml}");
        }
    }
}
