//! The settings of the stream that goes into a bus's status: the controller's, the spec's over them, and no more copies
//! than there are servers. The keys are in small letters and sorted, as Argo writes them.

use std::collections::BTreeMap;

use serde_json::Value;
use tiphys_core::manifest;

use super::servers::Servers;
use crate::operator::settings::JetStreamSettings;
use crate::operator::wanted::Refused;

/// The merged settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stream {
    lines: BTreeMap<String, String>,
    /// How many servers keep each event.
    pub(crate) replicas: usize,
}

/// JetStream keeps no more copies.
const MOST_COPIES: usize = 5;
const REPLICAS: &str = "replicas";

/// Merges key by key.
pub(crate) fn merged(
    servers: &Servers<'_>,
    settings: &JetStreamSettings,
) -> Result<Stream, Refused> {
    let mut lines = read(
        &settings.stream_config,
        "eventBus.jetstream.streamConfig in the controller's configuration",
    )?;
    lines.extend(read(
        &servers.stream_config(),
        "spec.jetstream.streamConfig",
    )?);
    let most = servers.replicas.min(MOST_COPIES);
    let asked = lines.get(REPLICAS).and_then(|text| text.parse().ok());
    let replicas = asked.unwrap_or(most).clamp(1, most);
    lines.insert(REPLICAS.to_owned(), replicas.to_string());
    Ok(Stream { lines, replicas })
}

fn read(text: &str, place: &str) -> Result<BTreeMap<String, String>, Refused> {
    let refused = |what: String| Refused {
        reason: "InvalidSpec".to_owned(),
        message: format!("{place} must be a map as YAML, as maxAge: 168h; {what}"),
    };
    let documents = manifest::parse(text).map_err(|error| refused(error.to_string()))?;
    let Some(document) = documents.into_iter().next() else {
        return Ok(BTreeMap::new());
    };
    let Value::Object(members) = document.object else {
        return Err(refused("it is none".to_owned()));
    };
    let lines = members.into_iter().filter_map(|(key, value)| {
        let text = match value {
            Value::Null => return None,
            Value::String(text) if plain(&text) => text,
            other => other.to_string(),
        };
        Some((key.to_lowercase(), text))
    });
    Ok(lines.collect())
}

/// Whether text stands in YAML as it is and stays text or a number.
fn plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.')
}

impl Stream {
    /// As YAML.
    pub(crate) fn text(&self) -> String {
        self.lines
            .iter()
            .map(|(key, value)| format!("{key}: {value}\n"))
            .collect()
    }
}
