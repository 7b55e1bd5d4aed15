//! The settings of the stream that goes into a bus's status: the controller's, the spec's over them, and no more copies
//! than there are servers. The keys are in small letters and sorted, as Argo writes them.

use std::collections::BTreeMap;

use serde_json::Value;
use tiphys_core::manifest;
use tiphys_core::problems::Problems;
use tiphys_eventbus::StreamSettings;

use super::servers::{Servers, setting};
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
const MAX_BYTES: &str = "maxbytes";
/// What a pod's own disk is taken for: nobody says how large it is.
const UNKNOWN_VOLUME: u64 = 4 << 30;

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
    let limited = lines.get(MAX_BYTES).and_then(|text| bytes(text)).is_some();
    if !limited {
        // A server whose disk is full stops; a stream that is full only refuses.
        lines.insert(MAX_BYTES.to_owned(), room(servers, settings).to_string());
    }
    Ok(Stream { lines, replicas })
}

/// How many bytes the stream may have where nobody says: a part of what the server has.
fn room(servers: &Servers<'_>, settings: &JetStreamSettings) -> u64 {
    let volume = match servers.persistence {
        Some(persistence) => {
            let size = persistence.volume_size.as_deref();
            quantity(size.unwrap_or(servers.volume_size())).unwrap_or(UNKNOWN_VOLUME)
        }
        None => UNKNOWN_VOLUME,
    };
    let lines = servers.settings().unwrap_or(&settings.settings);
    let store = setting(lines, "max_file_store").and_then(bytes);
    // Beside the events there are indexes, the sensors' state, and what is being removed.
    volume.min(store.unwrap_or(u64::MAX)) / 4 * 3
}

/// A size as NATS writes it, if it is a limit.
fn bytes(text: &str) -> Option<u64> {
    let parsed = StreamSettings::parse(&format!("{MAX_BYTES}: {text}"), &mut Problems::default());
    u64::try_from(parsed.max_bytes?)
        .ok()
        .filter(|bytes| *bytes > 0)
}

/// A quantity as Kubernetes writes it.
fn quantity(text: &str) -> Option<u64> {
    const UNITS: [(&str, u32); 11] = [
        ("Ki", 10),
        ("Mi", 20),
        ("Gi", 30),
        ("Ti", 40),
        ("Pi", 50),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("", 0),
    ];
    let text = text.trim();
    let (number, unit, power) = UNITS
        .into_iter()
        .find_map(|(unit, power)| Some((text.strip_suffix(unit)?, unit, power)))?;
    let number: f64 = number.parse().ok()?;
    let base: f64 = if unit.ends_with('i') { 2.0 } else { 10.0 };
    let bytes = number * base.powi(i32::try_from(power).ok()?);
    // Whole bytes: what is too large or no number says so here.
    format!("{bytes:.0}").parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, bytes) in [
            ("20Gi", Some(20 << 30)),
            ("1.5Gi", Some(3 << 29)),
            ("10G", Some(10_000_000_000)),
            ("100k", Some(100_000)),
            ("123", Some(123)),
            ("1e9", Some(1_000_000_000)),
            ("", None),
            ("Gi", None),
            ("-1Gi", None),
            ("NaN", None),
        ] {
            assert_eq!(quantity(text), bytes, "{text}");
        }
    }
}
