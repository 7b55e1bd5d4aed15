//! The kinds of triggers, one file each, and what they share: a plan made from events, then its effect.
//! A kind never waits, retries, counts or decides whether it fires: the runtime does.
//!
//! ```text
//! TriggerTemplateSpec ──build──▶ Action ──plan(events)──▶ Effect ──perform(world)──▶ Fired
//!                                                            └────show──▶ what a dry run prints
//! ```

mod api;
mod argo_workflow;
mod aws_lambda;
mod azure_event_hubs;
mod azure_service_bus;
mod change;
mod custom;
mod email;
mod error;
mod http;
mod http_client;
mod k8s;
mod kafka;
mod kinds;
mod log;
mod merge;
mod nats;
mod object;
mod openwhisk;
mod operate;
mod pulsar;
#[cfg(test)]
mod scene;
mod slack;
mod template;
mod unsupported;
mod world;

use std::sync::OnceLock;

use async_trait::async_trait;
use jiff::Timestamp;
use tiphys_core::Problems;
use tiphys_core::spec::TlsSpec;

use crate::artifacts::Source;
use crate::document::Events;
use crate::parameters::Notes;
use crate::spec::{ArtifactSpec, PolicySpec, Scope, TemplateEngine, TriggerTemplateSpec};

pub use argo_workflow::ArgoWorkflowSpec;
pub use aws_lambda::AwsLambdaSpec;
pub use azure_event_hubs::AzureEventHubsSpec;
pub use azure_service_bus::AzureServiceBusSpec;
pub use custom::CustomSpec;
pub use email::EmailSpec;
pub use error::{FireError, Fired};
pub use http::{HttpSpec, SecureHeaderSpec, ValueFromSpec};
pub use k8s::K8sSpec;
pub use kafka::{KafkaSpec, SchemaRegistrySpec};
pub use kinds::KINDS;
pub use log::LogSpec;
pub use nats::{NatsAuthSpec, NatsSpec};
pub(crate) use object::digest;
pub use openwhisk::OpenWhiskSpec;
pub use pulsar::PulsarSpec;
pub use slack::{SlackSenderSpec, SlackSpec, SlackThreadSpec};
pub(crate) use unsupported::Unsupported;
pub(crate) use world::{Kind, World};

/// The events of one firing and what it is called by.
pub(crate) struct Firing<'a> {
    /// The sensor's namespace.
    pub(crate) namespace: &'a str,
    /// The sensor.
    pub(crate) sensor: &'a str,
    /// The trigger, by its name in the spec.
    pub(crate) trigger: &'a str,
    /// The events by dependency.
    pub(crate) events: &'a Events,
    /// Names this firing for good.
    pub(crate) id: &'a FiringId<'a>,
    /// Now.
    pub(crate) at: Timestamp,
    /// What parameters resolve to is written down here.
    pub(crate) notes: &'a Notes,
}

/// What names a firing for good: the same for every delivery of the same events. Made when it is first asked for.
pub(crate) struct FiringId<'a> {
    parts: [&'a str; 3],
    events: &'a Events,
    text: OnceLock<String>,
}

impl<'a> FiringId<'a> {
    /// For a trigger of a sensor and its events.
    pub(crate) const fn new(
        namespace: &'a str,
        sensor: &'a str,
        trigger: &'a str,
        events: &'a Events,
    ) -> Self {
        Self {
            parts: [namespace, sensor, trigger],
            events,
            text: OnceLock::new(),
        }
    }

    /// The name.
    pub(crate) fn text(&self) -> &str {
        let [namespace, sensor, trigger] = self.parts;
        self.text
            .get_or_init(|| object::firing_id(namespace, sensor, trigger, self.events))
    }
}

/// What an action is built with.
pub(crate) struct BuildContext<'a> {
    /// The engine of templates that do not name one.
    pub(crate) engine: TemplateEngine,
    /// What the result must be like.
    pub(crate) policy: Option<&'a PolicySpec>,
    /// The source as the spec writes it, before the trigger's parameters changed it.
    pub(crate) written: Option<&'a ArtifactSpec>,
    /// The args as the spec writes them, before the trigger's parameters changed them.
    pub(crate) args: &'a [String],
}

/// A trigger of one kind, ready to plan.
pub(crate) trait Action: Send + Sync {
    /// Where planning needs an object from, when the spec does not hold it.
    fn source(&self) -> Option<&Source> {
        None
    }

    /// Applies this firing's parameters. Pure; `fetched` is what `source` names.
    fn plan(
        &self,
        firing: &Firing<'_>,
        fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError>;

    /// How many effects may be under way at once.
    fn parallel(&self) -> usize {
        64
    }
}

/// What a firing is about to do.
#[async_trait]
pub(crate) trait Effect: Send + Sync {
    /// The object, request or message as JSON, secrets left out.
    fn show(&self) -> Vec<u8>;

    /// What is about to be done, in a few words, as `create ConfigMap ns/name`; empty where `show` says it all.
    fn says(&self) -> String {
        String::new()
    }

    /// Does it once. Doing it again for the same firing must be as harmless as the kind allows.
    async fn perform(&self, world: &World) -> Result<Fired, FireError>;
}

impl TriggerTemplateSpec {
    /// The kinds that are set, in the order in which the first one wins.
    #[must_use]
    pub fn kinds(&self) -> Vec<&'static str> {
        kinds::names(self)
    }

    /// Builds the action of the first kind.
    pub(crate) fn build(&self, cx: &BuildContext<'_>) -> Result<Box<dyn Action>, FireError> {
        kinds::build(self, cx)
    }

    pub(crate) fn validate_kind(&self, scope: &Scope<'_>, problems: &mut Problems) {
        kinds::validate(self, scope, problems);
    }
}

fn validate_tls(tls: Option<&TlsSpec>, problems: &mut Problems) {
    if let Some(tls) = tls {
        problems.at("tls", |problems| tls.validate(problems));
    }
}

#[cfg(test)]
mod tests;
