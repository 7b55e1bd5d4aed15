//! The EventSource resource: what is common to all kinds, and one map of events for each kind. Types and validation only.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServicePort;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::spec::{ConditionedStatus, MetadataSpec, PodTemplateSpec};

use crate::filter::Filter;
use crate::source::{AnySource, HookAt, Replicas, Source, SourceSpec};
use crate::sources::amqp::Amqp;
use crate::sources::azure_events_hub::AzureEventsHub;
use crate::sources::azure_queue_storage::AzureQueueStorage;
use crate::sources::azure_service_bus::AzureServiceBus;
use crate::sources::bitbucket::Bitbucket;
use crate::sources::bitbucketserver::BitbucketServer;
use crate::sources::calendar::Calendar;
use crate::sources::emitter::Emitter;
use crate::sources::file::File;
use crate::sources::generic::Generic;
use crate::sources::gerrit::Gerrit;
use crate::sources::github::Github;
use crate::sources::gitlab::Gitlab;
use crate::sources::hdfs::Hdfs;
use crate::sources::kafka::Kafka;
use crate::sources::minio::Minio;
use crate::sources::mns::Mns;
use crate::sources::mqtt::Mqtt;
use crate::sources::nats::Nats;
use crate::sources::nsq::Nsq;
use crate::sources::pub_sub::PubSub;
use crate::sources::pulsar::Pulsar;
use crate::sources::redis::Redis;
use crate::sources::redis_stream::RedisStream;
use crate::sources::resource::Resource;
use crate::sources::sftp::Sftp;
use crate::sources::slack::Slack;
use crate::sources::sns::Sns;
use crate::sources::sqs::Sqs;
use crate::sources::storage_grid::StorageGrid;
use crate::sources::stripe::Stripe;
use crate::sources::webhook::Webhook;

/// Where events come from.
#[derive(CustomResource, Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[kube(
    group = "argoproj.io",
    version = "v1alpha1",
    kind = "EventSource",
    plural = "eventsources",
    shortname = "es",
    namespaced,
    status = "ConditionedStatus",
    derive = "PartialEq"
)]
#[serde(rename_all = "camelCase", default)]
pub struct EventSourceSpec {
    /// The EventBus in the same namespace. Default `default`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub event_bus_name: String,
    /// How many pods, in the cluster shape. Default 1; less than 1 is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// The pod, in the cluster shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PodTemplateSpec>,
    /// A Service in front of the pods, in the cluster shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceSpec>,
    /// Messages of an AMQP 0-9-1 server, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub amqp: BTreeMap<String, Amqp>,
    /// Events of an Azure Event Hub, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub azure_events_hub: BTreeMap<String, AzureEventsHub>,
    /// Messages of an Azure Storage queue, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub azure_queue_storage: BTreeMap<String, AzureQueueStorage>,
    /// Messages of an Azure Service Bus queue or subscription, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub azure_service_bus: BTreeMap<String, AzureServiceBus>,
    /// Webhooks of Bitbucket Cloud, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bitbucket: BTreeMap<String, Bitbucket>,
    /// Webhooks of Bitbucket Server and Data Center, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bitbucketserver: BTreeMap<String, BitbucketServer>,
    /// Events by the clock, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub calendar: BTreeMap<String, Calendar>,
    /// Messages of an emitter.io channel, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub emitter: BTreeMap<String, Emitter>,
    /// Changes of files in a directory, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub file: BTreeMap<String, File>,
    /// Events of a gRPC server of one's own, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub generic: BTreeMap<String, Generic>,
    /// Webhooks of Gerrit, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gerrit: BTreeMap<String, Gerrit>,
    /// Webhooks of GitHub, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub github: BTreeMap<String, Github>,
    /// Webhooks of GitLab, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub gitlab: BTreeMap<String, Gitlab>,
    /// Changes of files in a Hadoop file system, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub hdfs: BTreeMap<String, Hdfs>,
    /// Records of a Kafka topic, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kafka: BTreeMap<String, Kafka>,
    /// Notifications of a MinIO bucket, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub minio: BTreeMap<String, Minio>,
    /// Messages of an Alibaba Cloud MNS queue, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mns: BTreeMap<String, Mns>,
    /// Messages of an MQTT topic, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mqtt: BTreeMap<String, Mqtt>,
    /// Messages of a subject of core NATS, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nats: BTreeMap<String, Nats>,
    /// Messages of an NSQ topic, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nsq: BTreeMap<String, Nsq>,
    /// Messages of a Google Cloud Pub/Sub subscription, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pub_sub: BTreeMap<String, PubSub>,
    /// Messages of Apache Pulsar topics, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub pulsar: BTreeMap<String, Pulsar>,
    /// Messages of Redis channels, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub redis: BTreeMap<String, Redis>,
    /// Entries of Redis streams, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub redis_stream: BTreeMap<String, RedisStream>,
    /// Changes of Kubernetes objects, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub resource: BTreeMap<String, Resource>,
    /// Changes of files on an SFTP server, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sftp: BTreeMap<String, Sftp>,
    /// Events, interactions and commands of Slack, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub slack: BTreeMap<String, Slack>,
    /// Notifications of an Amazon SNS topic, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sns: BTreeMap<String, Sns>,
    /// Messages of an Amazon SQS queue, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sqs: BTreeMap<String, Sqs>,
    /// Notifications of a NetApp StorageGRID bucket, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub storage_grid: BTreeMap<String, StorageGrid>,
    /// Webhooks of Stripe, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub stripe: BTreeMap<String, Stripe>,
    /// HTTP requests of any sender, by event name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub webhook: BTreeMap<String, Webhook>,
}

/// The Service that is made for an EventSource.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// The ports; without any there is no Service.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<ServicePort>,
    /// The address inside the cluster; `None` for a headless Service.
    #[serde(rename = "clusterIP", skip_serializing_if = "String::is_empty")]
    pub cluster_ip: String,
    /// Labels and annotations of the Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<MetadataSpec>,
}

/// A condition that the events of a source must meet.
#[derive(Serialize, Deserialize, Clone, Debug, Default, PartialEq, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FilterSpec {
    /// An expression in expr-lang over the event data, such as `body.action == "opened"`. It must be true or false.
    pub expression: String,
}

impl FilterSpec {
    /// Reports an expression that cannot be compiled.
    pub(crate) fn validate(filter: Option<&Self>, problems: &mut Problems) {
        let Some(filter) = filter else {
            return;
        };
        problems.at("filter", |problems| {
            if filter.expression.trim().is_empty() {
                problems.require(
                    "expression",
                    "",
                    ", as body.action == \"opened\", or leave filter out: without one every event is dropped",
                );
            } else {
                problems.at("expression", |problems| Filter::check(&filter.expression, problems));
            }
        });
    }
}

/// One event of an EventSource, whatever its kind.
pub(crate) struct Entry<'a> {
    /// The event's name.
    pub(crate) name: &'a str,
    /// Its spec.
    pub(crate) source: &'a dyn AnySource,
}

fn collect<'a, S: SourceSpec>(entries: &mut Vec<Entry<'a>>, events: &'a BTreeMap<String, S>) {
    entries.extend(events.iter().map(|(name, source)| Entry { name, source }));
}

impl EventSourceSpec {
    /// The names of all events, of every kind.
    #[must_use]
    pub fn event_names(&self) -> Vec<String> {
        self.entries()
            .into_iter()
            .map(|entry| entry.name.to_owned())
            .collect()
    }

    /// The events that this build cannot run: their kind, their name and the reason.
    #[must_use]
    pub fn cannot_run(&self) -> Vec<(&'static str, String, String)> {
        let mut found = Vec::new();
        for entry in self.entries() {
            if let Err(error) = entry.source.build() {
                found.push((
                    entry.source.kind(),
                    entry.name.to_owned(),
                    error.to_string(),
                ));
            }
        }
        found
    }

    /// How many pods may run it at once: one, where any of its kinds would send every event from each of them.
    #[must_use]
    pub fn replicas_of_kinds(&self) -> Replicas {
        let mut kinds = self.entries().into_iter();
        if kinds.any(|entry| entry.source.replicas() == Replicas::One) {
            Replicas::One
        } else {
            Replicas::Many
        }
    }

    /// Every event. A kind that is missing here does not compile.
    pub(crate) fn entries(&self) -> Vec<Entry<'_>> {
        let Self {
            event_bus_name: _,
            replicas: _,
            template: _,
            service: _,
            amqp,
            azure_events_hub,
            azure_queue_storage,
            azure_service_bus,
            bitbucket,
            bitbucketserver,
            calendar,
            emitter,
            file,
            generic,
            gerrit,
            github,
            gitlab,
            hdfs,
            kafka,
            minio,
            mns,
            mqtt,
            nats,
            nsq,
            pub_sub,
            pulsar,
            redis,
            redis_stream,
            resource,
            sftp,
            slack,
            sns,
            sqs,
            storage_grid,
            stripe,
            webhook,
        } = self;
        let mut entries = Vec::new();
        collect(&mut entries, amqp);
        collect(&mut entries, azure_events_hub);
        collect(&mut entries, azure_queue_storage);
        collect(&mut entries, azure_service_bus);
        collect(&mut entries, bitbucket);
        collect(&mut entries, bitbucketserver);
        collect(&mut entries, calendar);
        collect(&mut entries, emitter);
        collect(&mut entries, file);
        collect(&mut entries, generic);
        collect(&mut entries, gerrit);
        collect(&mut entries, github);
        collect(&mut entries, gitlab);
        collect(&mut entries, hdfs);
        collect(&mut entries, kafka);
        collect(&mut entries, minio);
        collect(&mut entries, mns);
        collect(&mut entries, mqtt);
        collect(&mut entries, nats);
        collect(&mut entries, nsq);
        collect(&mut entries, pub_sub);
        collect(&mut entries, pulsar);
        collect(&mut entries, redis);
        collect(&mut entries, redis_stream);
        collect(&mut entries, resource);
        collect(&mut entries, sftp);
        collect(&mut entries, slack);
        collect(&mut entries, sns);
        collect(&mut entries, sqs);
        collect(&mut entries, storage_grid);
        collect(&mut entries, stripe);
        collect(&mut entries, webhook);
        entries
    }

    /// The EventBus that takes the events.
    #[must_use]
    pub fn bus_name(&self) -> &str {
        match self.event_bus_name.as_str() {
            "" => "default",
            name => name,
        }
    }

    /// Reports everything that keeps the object, or one of its events, from running.
    pub fn validate(&self, problems: &mut Problems) {
        let entries = self.entries();
        if entries.is_empty() {
            problems.error("must have a source, as webhook: {example: {port: \"12000\", endpoint: /example, method: POST}}");
        }
        let mut seen: BTreeMap<&str, &'static str> = BTreeMap::new();
        for entry in &entries {
            let kind = entry.source.kind();
            problems.at(kind, |problems| {
                problems.at(entry.name, |problems| {
                    name(entry.name, problems);
                    if let Some(other) = seen.insert(entry.name, kind) {
                        problems.error(format!(
                            "must have a name that no other event of the object has: {other} has one of this name too"
                        ));
                    }
                    entry.source.validate(problems);
                });
            });
        }
        clashes(&entries, problems);
        let of = |wanted| {
            let mut kinds = entries.iter().map(|entry| entry.source);
            kinds
                .find(|source| source.replicas() == wanted)
                .map(AnySource::kind)
        };
        if let (Some(many), Some(one)) = (of(Replicas::Many), of(Replicas::One)) {
            problems.error(format!(
                "must not mix {many}, which runs on every replica, with {one}, which runs on one: \
                 put them into two EventSources"
            ));
        }
    }
}

/// Reports events of the object that ask for the same requests, or for one port with and without HTTPS.
fn clashes(entries: &[Entry<'_>], problems: &mut Problems) {
    let mut hooks: Vec<(&str, HookAt)> = Vec::new();
    for entry in entries {
        let Ok(Source::Hook { at, .. }) = entry.source.build() else {
            continue;
        };
        let neighbours = hooks.iter().filter(|(_, other)| other.port == at.port);
        let mut found = None;
        for (name, other) in neighbours {
            if other.tls != at.tls {
                found = Some(format!(
                    "must have the serverCertSecret and serverKeySecret of {name:?}, which has the same port"
                ));
            } else if other.takes_the_same(&at) {
                found = Some(format!(
                    "must have another endpoint, method or port than {name:?}, which takes its requests"
                ));
            }
        }
        if let Some(message) = found {
            problems.at(entry.source.kind(), |problems| {
                problems.at(entry.name, |problems| problems.error(message));
            });
        }
        hooks.push((entry.name, at));
    }
}

/// An event's name is a part of its subject on the bus.
fn name(name: &str, problems: &mut Problems) {
    let forbidden =
        |char: char| char == '*' || char == '>' || char.is_whitespace() || char.is_control();
    if name.is_empty() {
        problems.error("must have a name");
    } else if name.contains(forbidden) {
        problems.error("must have a name without `*`, `>` and spaces, which mean something else on the event bus");
    } else if name.contains('.') {
        problems
            .warning("has a `.` in its name, which separates names on the event bus; `-` is safer");
    }
}

#[cfg(test)]
pub(crate) mod tests;
