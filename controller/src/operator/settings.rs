//! What the controller is told beside the objects: images, versions, namespaces. It reads text and never a file.

use serde::Deserialize;
use serde_json::Value;
use tiphys_core::manifest;

/// Which namespaces are looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of them.
    Cluster,
    /// One.
    Namespace(String),
}

/// Images, versions and namespaces.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The image of EventSource and Sensor pods: this program.
    pub image: String,
    /// When that image is pulled, where the object does not say; the cluster's default without it.
    pub image_pull_policy: Option<String>,
    /// Which namespaces are looked after.
    pub scope: Scope,
    /// The JetStream servers that are made.
    pub jetstream: JetStreamSettings,
}

/// How JetStream servers are made where the EventBus does not say.
#[derive(Debug, Clone, PartialEq)]
pub struct JetStreamSettings {
    /// Lines of the server's `jetstream` block.
    pub settings: String,
    /// The stream's settings as YAML; an EventBus's are merged over it.
    pub stream_config: String,
    /// The versions that an EventBus can name.
    pub versions: Vec<JetStreamVersion>,
}

/// The images of one version of JetStream.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "lowercase")]
pub struct JetStreamVersion {
    /// What an EventBus writes in `spec.jetstream.version`.
    pub version: String,
    /// The server.
    #[serde(rename = "natsimage")]
    pub nats_image: String,
    /// The exporter of its metrics.
    #[serde(rename = "metricsexporterimage")]
    pub metrics_exporter_image: String,
    /// The container that tells the server of a new configuration.
    #[serde(rename = "configreloaderimage")]
    pub config_reloader_image: String,
    /// The server's program in its image.
    #[serde(rename = "startcommand")]
    pub start_command: String,
}

/// Why a configuration cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It is not YAML.
    #[error("the configuration cannot be read: {0}")]
    Yaml(String),
    /// It says something that it must not.
    #[error("{path}: {message}")]
    Field {
        /// Where.
        path: String,
        /// What must hold.
        message: String,
    },
}

impl Default for JetStreamVersion {
    fn default() -> Self {
        Self {
            version: String::new(),
            nats_image: String::new(),
            metrics_exporter_image: "natsio/prometheus-nats-exporter:0.14.0".to_owned(),
            config_reloader_image: "natsio/nats-server-config-reloader:0.14.0".to_owned(),
            start_command: "/nats-server".to_owned(),
        }
    }
}

impl Default for JetStreamSettings {
    fn default() -> Self {
        let version = |version: &str, image: &str| JetStreamVersion {
            version: version.to_owned(),
            nats_image: format!("nats:{image}"),
            ..JetStreamVersion::default()
        };
        Self {
            settings: "max_memory_store: -1\nmax_file_store: 1TB\n".to_owned(),
            stream_config: "maxMsgs: -1\nmaxAge: 168h\nmaxBytes: -1\nreplicas: 3\nduplicates: 300s\nretention: 0\ndiscard: 1\n".to_owned(),
            versions: vec![version("latest", "2.10.29"), version("2.10.29", "2.10.29")],
        }
    }
}

impl Settings {
    /// The defaults, for pods of this image.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            image_pull_policy: None,
            scope: Scope::Cluster,
            jetstream: JetStreamSettings::default(),
        }
    }

    /// Takes what a `controller-config.yaml` says over the defaults. Keys are read as Argo reads them, in any case.
    ///
    /// # Errors
    /// What is wrong with the text, with its path.
    pub fn configured(mut self, text: &str) -> Result<Self, SettingsError> {
        let documents =
            manifest::parse(text).map_err(|error| SettingsError::Yaml(error.to_string()))?;
        let Some(document) = documents.into_iter().next() else {
            return Ok(self);
        };
        let file: File = serde_json::from_value(lower(document.object))
            .map_err(|error| SettingsError::Yaml(error.to_string()))?;
        let jetstream = file.eventbus.jetstream;
        if let Some(settings) = jetstream.settings {
            self.jetstream.settings = settings;
        }
        if let Some(config) = jetstream.streamconfig {
            self.jetstream.stream_config = config;
        }
        if let Some(versions) = jetstream.versions {
            if versions.is_empty() {
                return Err(SettingsError::Field {
                    path: "eventBus.jetstream.versions".to_owned(),
                    message: "must have a version, or be left out for the built-in ones".to_owned(),
                });
            }
            for (index, version) in versions.iter().enumerate() {
                for (key, value) in [
                    ("version", &version.version),
                    ("natsImage", &version.nats_image),
                ] {
                    if value.is_empty() {
                        return Err(SettingsError::Field {
                            path: format!("eventBus.jetstream.versions[{index}].{key}"),
                            message: "must be set".to_owned(),
                        });
                    }
                }
            }
            self.jetstream.versions = versions;
        }
        Ok(self)
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct File {
    eventbus: EventBusPart,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventBusPart {
    jetstream: JetStreamPart,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct JetStreamPart {
    settings: Option<String>,
    streamconfig: Option<String>,
    versions: Option<Vec<JetStreamVersion>>,
}

/// The same value with every key in small letters.
fn lower(value: Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(key, value)| (key.to_lowercase(), lower(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(lower).collect()),
        other => other,
    }
}
