//! `amqp` receives the messages of an exchange of an AMQP 0-9-1 server, such as RabbitMQ.
//!
//! ```yaml
//! amqp:
//!   example:
//!     url: amqp://rabbitmq:5672
//!     exchangeName: test
//!     exchangeType: fanout
//!     routingKey: hello
//!     jsonBody: true
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::backoff::BackoffSpec;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::{BasicAuthSpec, TlsSpec};

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{check_optional, check_ref};
use crate::spec::FilterSpec;

/// Messages of an AMQP 0-9-1 server.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Amqp {
    /// The server, as amqp://host:5672. One of `url` and `urlSecret`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Where the server is kept as a secret, because a URL may hold a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_secret: Option<KeyRef>,
    /// The exchange.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub exchange_name: String,
    /// `fanout`, `direct`, `topic` or `headers`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub exchange_type: String,
    /// The key that binds the queue to the exchange.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub routing_key: String,
    /// How the exchange is declared. Default: durable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchange_declare: Option<AmqpExchange>,
    /// How the queue is declared. Default: exclusive, named by the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_declare: Option<AmqpQueue>,
    /// How the queue is bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_bind: Option<AmqpBind>,
    /// How messages are consumed. Default: acknowledged automatically.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consume: Option<AmqpConsume>,
    /// The user, in place of the one in the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth: Option<BasicAuthSpec>,
    /// How often and how far apart connecting is tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_backoff: Option<BackoffSpec>,
    /// Messages are JSON and become JSON in the event; otherwise base64.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub json_body: bool,
    /// TLS towards the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

/// How an exchange is declared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AmqpExchange {
    /// It survives a restart of the server.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub durable: bool,
    /// It goes with its last queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_delete: bool,
    /// Nobody can publish to it directly.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub internal: bool,
    /// Do not wait for the server to confirm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_wait: bool,
}

/// How a queue is declared.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AmqpQueue {
    /// Its name; empty for one that the server chooses.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// It survives a restart of the server.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub durable: bool,
    /// It goes with its last consumer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_delete: bool,
    /// Only this connection may use it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
    /// Do not wait for the server to confirm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_wait: bool,
    /// Further arguments, a YAML mapping as text.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub arguments: String,
}

/// How a queue is bound.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AmqpBind {
    /// Do not wait for the server to confirm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_wait: bool,
}

/// How messages are consumed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AmqpConsume {
    /// The name of the consumer.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub consumer_tag: String,
    /// The server takes a message as acknowledged once it is sent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub auto_ack: bool,
    /// No other consumer may use the queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
    /// Not the messages of this connection itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_local: bool,
    /// Do not wait for the server to confirm.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_wait: bool,
}

impl SourceSpec for Amqp {
    const KIND: &'static str = "amqp";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        match (self.url.is_empty(), self.url_secret.is_none()) {
            (true, true) => problems.error("must have url, as amqp://host:5672, or urlSecret"),
            (false, false) => problems.error("must have one of url and urlSecret, not both"),
            _ => {}
        }
        check_ref("urlSecret", self.url_secret.as_ref(), problems);
        problems.require("routingKey", &self.routing_key, ", as hello");
        problems.require(
            "exchangeType",
            &self.exchange_type,
            " to fanout, direct, topic or headers",
        );
        check_optional("tls", self.tls.as_ref(), problems);
        check_optional("auth", self.auth.as_ref(), problems);
        check_optional(
            "connectionBackoff",
            self.connection_backoff.as_ref(),
            problems,
        );
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
