//! The servers that an EventBus asks for, alike from `spec.jetstream` and from `spec.nats.native`. Values only.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tiphys_core::spec::MetadataSpec;
use tiphys_eventbus::{
    DURABILITY_ANNOTATION, Durability, EventBusSpec, JetStreamServers, NatsNative, Persistence,
    ServerContainer,
};

use super::Bus;
use super::stream::Stream;
use crate::operator::settings::{JetStreamSettings, JetStreamVersion};
use crate::operator::wanted::Refused;

/// The servers of one bus.
pub(crate) struct Servers<'a> {
    pub(crate) bus: Bus<'a>,
    kind: Kind<'a>,
    /// How many there are.
    pub(crate) replicas: usize,
    /// Clients show a token instead of a user and a password.
    pub(crate) token: bool,
    pub(crate) persistence: Option<&'a Persistence>,
    pub(crate) main: Option<&'a ServerContainer>,
    pub(crate) reloader: Option<&'a ServerContainer>,
    pub(crate) metrics: Option<&'a ServerContainer>,
    pub(crate) metadata: Option<&'a MetadataSpec>,
    pub(crate) start_args: &'a [String],
    /// The longest message.
    pub(crate) max_payload: &'a str,
}

enum Kind<'a> {
    JetStream(&'a JetStreamServers),
    Native(&'a NatsNative),
}

impl<'a> Servers<'a> {
    /// The servers that must be made, in the order in which Argo takes the members of a spec.
    pub(crate) fn of(bus: Bus<'a>) -> Option<Self> {
        let EventBusSpec {
            nats, jetstream, ..
        } = bus.spec;
        match (nats, jetstream) {
            (Some(nats), _) if nats.exotic.is_some() => None,
            (Some(nats), _) if nats.native.is_some() => {
                nats.native.as_ref().map(|native| Self::native(bus, native))
            }
            (_, Some(jetstream)) => Some(Self::jetstream(bus, jetstream)),
            _ => None,
        }
    }

    fn jetstream(bus: Bus<'a>, spec: &'a JetStreamServers) -> Self {
        Self {
            bus,
            kind: Kind::JetStream(spec),
            replicas: spec.servers(),
            token: false,
            persistence: spec.persistence.as_ref(),
            main: spec.container_template.as_ref(),
            reloader: spec.reloader_container_template.as_ref(),
            metrics: spec.metrics_container_template.as_ref(),
            metadata: spec.metadata.as_ref(),
            start_args: &spec.start_args,
            max_payload: spec.max_payload.as_deref().unwrap_or(MAX_PAYLOAD),
        }
    }

    fn native(bus: Bus<'a>, spec: &'a NatsNative) -> Self {
        Self {
            bus,
            kind: Kind::Native(spec),
            replicas: spec.servers(),
            token: spec.auth.as_deref() == Some("token"),
            persistence: spec.persistence.as_ref(),
            main: spec.container_template.as_ref(),
            reloader: None,
            metrics: spec.metrics_container_template.as_ref(),
            metadata: spec.metadata.as_ref(),
            start_args: &[],
            max_payload: spec.max_payload.as_deref().unwrap_or(MAX_PAYLOAD),
        }
    }

    /// The StatefulSet.
    pub(crate) fn name(&self) -> String {
        format!("eventbus-{}-js", self.bus.name)
    }

    /// The headless Service, which gives each server a name.
    pub(crate) fn service(&self) -> String {
        format!("{}-svc", self.name())
    }

    pub(crate) fn config_map(&self) -> String {
        format!("{}-config", self.name())
    }

    pub(crate) fn server_secret(&self) -> String {
        format!("{}-server", self.name())
    }

    pub(crate) fn client_secret(&self) -> String {
        format!("{}-client-auth", self.name())
    }

    /// The claim of each server's volume.
    pub(crate) fn volume(&self) -> String {
        format!("{}-vol", self.name())
    }

    /// The Service's name inside the cluster.
    pub(crate) fn host(&self) -> String {
        format!("{}.{}.svc", self.service(), self.bus.namespace)
    }

    /// Where clients connect.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}:4222", self.host())
    }

    /// The labels of every object of the bus, by which its pods are found too.
    pub(crate) fn labels(&self) -> Value {
        json!({
            "controller": "eventbus-controller",
            "eventbus-name": self.bus.name,
            "owner-name": self.bus.name,
        })
    }

    /// The sentence of the condition `Deployed`.
    pub(crate) const fn message(&self) -> &'static str {
        match self.kind {
            Kind::JetStream(_) => "JetStream is deployed",
            Kind::Native(_) => {
                "NATS is deployed, as JetStream, because NATS Streaming is end-of-life"
            }
        }
    }

    /// The size of a volume where the spec does not say.
    pub(crate) const fn volume_size(&self) -> &'static str {
        match self.kind {
            Kind::JetStream(_) => "20Gi",
            Kind::Native(_) => "10Gi",
        }
    }

    /// The fields that go into the pod's spec as they stand.
    pub(crate) fn scheduling(&self) -> Value {
        match self.kind {
            Kind::JetStream(spec) => json!({
                "nodeSelector": spec.node_selector,
                "tolerations": spec.tolerations,
                "securityContext": spec.security_context,
                "imagePullSecrets": spec.image_pull_secrets,
                "priorityClassName": spec.priority_class_name,
                "priority": spec.priority,
                "affinity": spec.affinity,
                "serviceAccountName": spec.service_account_name,
            }),
            Kind::Native(spec) => json!({
                "nodeSelector": spec.node_selector,
                "tolerations": spec.tolerations,
                "securityContext": spec.security_context,
                "imagePullSecrets": spec.image_pull_secrets,
                "priorityClassName": spec.priority_class_name,
                "priority": spec.priority,
                "affinity": spec.affinity,
                "serviceAccountName": spec.service_account_name,
            }),
        }
    }

    /// The lines of the server's `jetstream` block that the spec writes.
    pub(crate) fn settings(&self) -> Option<&'a str> {
        match self.kind {
            Kind::JetStream(spec) => spec.settings.as_deref(),
            Kind::Native(_) => None,
        }
    }

    /// What the spec says of the stream, as YAML.
    pub(crate) fn stream_config(&self) -> String {
        match self.kind {
            Kind::JetStream(spec) => spec.stream_config.clone().unwrap_or_default(),
            Kind::Native(spec) => {
                let lines = [
                    ("maxAge", spec.max_age.clone()),
                    ("maxMsgs", spec.max_msgs.map(|most| most.to_string())),
                    ("maxBytes", spec.max_bytes.clone()),
                ];
                lines
                    .into_iter()
                    .filter_map(|(key, value)| value.map(|value| format!("{key}: {value}\n")))
                    .collect()
            }
        }
    }

    /// The version that is installed.
    pub(crate) fn version<'s>(
        &self,
        settings: &'s JetStreamSettings,
    ) -> Result<&'s JetStreamVersion, Refused> {
        let refused = |message: String| Refused {
            reason: "JetStreamStatefulSetFailed".to_owned(),
            message,
        };
        let Kind::JetStream(spec) = self.kind else {
            let versions = &settings.versions;
            let latest = versions.iter().find(|version| version.version == "latest");
            return latest
                .or_else(|| versions.last())
                .ok_or_else(|| refused("the controller's configuration has no version of JetStream: add one under eventBus.jetstream.versions".to_owned()));
        };
        let wanted = &spec.version;
        let found = settings
            .versions
            .iter()
            .find(|version| version.version == *wanted);
        found.ok_or_else(|| {
            let known: Vec<&str> = settings
                .versions
                .iter()
                .map(|version| version.version.as_str())
                .collect();
            refused(format!(
                "failed to get jetstream version, err: unsupported version {wanted:?}, supported versions: {:?}; write one of them as spec.jetstream.version, or add it to the controller's configuration",
                known.join(",")
            ))
        })
    }

    /// What keeps an event that one server has acknowledged: a quorum, its disk, or nothing yet.
    pub(crate) fn keeping(
        &self,
        settings: &JetStreamSettings,
        version: &JetStreamVersion,
        stream: &Stream,
    ) -> Durability {
        let lines = self.settings().unwrap_or(&settings.settings);
        if let Some(written) = sync_interval(lines) {
            return match written {
                "always" => Durability::Disk,
                _ if stream.replicas >= 3 => Durability::Quorum,
                _ => Durability::Memory,
            };
        }
        match annotated_durability(self.bus.annotations) {
            Some(Durability::Memory) if stream.replicas < 3 => Durability::Memory,
            Some(Durability::Disk) if syncs(version) => Durability::Disk,
            _ if stream.replicas >= 3 => Durability::Quorum,
            _ if syncs(version) => Durability::Disk,
            _ => Durability::Memory,
        }
    }
}

const MAX_PAYLOAD: &str = "1MB";

/// What the annotation of the EventBus asks for.
pub(crate) fn annotated_durability(annotations: &BTreeMap<String, String>) -> Option<Durability> {
    match annotations.get(DURABILITY_ANNOTATION)?.as_str() {
        "disk" => Some(Durability::Disk),
        "memory" => Some(Durability::Memory),
        _ => None,
    }
}

/// The value of a setting among lines of the server's configuration.
pub(crate) fn setting<'t>(lines: &'t str, name: &str) -> Option<&'t str> {
    lines
        .split(['\n', ';', ','])
        .filter_map(|line| line.split('#').next())
        .find_map(|line| {
            let value = line.trim().strip_prefix(name)?;
            let value = value.trim_start_matches([' ', '\t', ':', '=']);
            Some(value.trim().trim_matches(['"', '\'']))
        })
}

/// When the store is synced, where the lines say so.
pub(crate) fn sync_interval(lines: &str) -> Option<&str> {
    setting(lines, "sync_interval")
}

/// Whether a version can sync before it acknowledges: 2.10 and later.
fn syncs(version: &JetStreamVersion) -> bool {
    let numbers = |text: &str| {
        let mut parts = text.split(['.', '-']);
        let major: u32 = parts.next()?.trim_start_matches('v').parse().ok()?;
        let minor: u32 = parts.next()?.parse().ok()?;
        Some((major, minor))
    };
    let tag = version.nats_image.rsplit_once(':').map(|(_, tag)| tag);
    let known = numbers(&version.version).or_else(|| numbers(tag?));
    // A tag without a number is somebody's own build of today.
    known.is_none_or(|known| known >= (2, 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_when_the_store_is_synced() {
        for (lines, interval) in [
            ("max_file_store: 1TB\n", None),
            (
                "max_file_store: 1TB\nsync_interval: always\n",
                Some("always"),
            ),
            ("sync_interval=\"10s\"", Some("10s")),
            ("# sync_interval: always\n", None),
            ("a: 1, sync_interval 2m", Some("2m")),
        ] {
            assert_eq!(sync_interval(lines), interval, "{lines}");
        }
    }

    #[test]
    fn servers_before_2_10_are_not_told_to_sync() {
        for (version, image, known) in [
            ("latest", "nats:2.10.29", true),
            ("latest", "nats:2.9.1", false),
            ("2.9.16", "nats:2.9.16", false),
            ("2.8.1-alpine", "nats:2.8.1-alpine", false),
            ("2.11.0", "mirror.example/nats:x", true),
            ("ours", "mirror.example:5000/nats", true),
            ("3.0.0", "nats:3.0.0", true),
        ] {
            let version = JetStreamVersion {
                version: version.to_owned(),
                nats_image: image.to_owned(),
                ..JetStreamVersion::default()
            };
            assert_eq!(syncs(&version), known, "{version:?}");
        }
    }
}
