//! The stream `default`: made when it is absent, never changed when it is there, and judged for what it loses in a power cut.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamError, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use tiphys_core::tasks::chain;

use crate::bus::Durability;
use crate::embedded::Discard;
use crate::resource::{JetStreamConfig, StreamRetention};

/// The stream's name on every JetStream bus.
pub const STREAM: &str = "default";
/// What the stream takes.
pub(crate) const SUBJECTS: &str = "default.*.*";
/// The mark of a stream that we made: what every consumer has acknowledged may be removed from it.
const OURS: &str = "tiphys.dev/made-by";
const DUPLICATES: Duration = Duration::from_secs(300);

/// The stream as the spec wants it.
fn wanted(config: &JetStreamConfig) -> Config {
    let settings = &config.stream;
    let limit = |most: Option<i64>| most.filter(|most| *most > 0).unwrap_or(-1);
    let max_age = settings.max_age.unwrap_or_default();
    let mut duplicates = settings.duplicates.unwrap_or(DUPLICATES);
    if !max_age.is_zero() {
        // The server refuses a longer window.
        duplicates = duplicates.min(max_age);
    }
    let servers = config.servers.unwrap_or(usize::MAX);
    Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECTS.to_owned()],
        max_messages: limit(settings.max_msgs),
        max_bytes: limit(settings.max_bytes),
        max_age,
        num_replicas: settings.replicas.unwrap_or(1).min(servers).max(1),
        duplicate_window: duplicates,
        retention: match settings.retention {
            None | Some(StreamRetention::Limits) => RetentionPolicy::Limits,
            Some(StreamRetention::Interest) => RetentionPolicy::Interest,
            Some(StreamRetention::WorkQueue) => RetentionPolicy::WorkQueue,
        },
        // Where the spec does not choose, a full stream refuses: a backlog is never eaten in silence.
        discard: match settings.discard {
            None | Some(Discard::New) => DiscardPolicy::New,
            Some(Discard::Old) => DiscardPolicy::Old,
        },
        storage: StorageType::File,
        metadata: HashMap::from([(OURS.to_owned(), "tiphys".to_owned())]),
        ..Config::default()
    }
}

/// Whether the server says that there is no stream of that name.
pub(super) fn is_absent(error: &GetStreamError) -> bool {
    match error.kind() {
        GetStreamErrorKind::JetStream(reason) => reason.error_code() == ErrorCode::STREAM_NOT_FOUND,
        _ => false,
    }
}

/// Finds or makes the stream.
pub(crate) async fn ensure(context: &Context, config: &JetStreamConfig) -> Result<Info, String> {
    let error = match context.get_stream(STREAM).await {
        Ok(stream) => return Ok(stream.cached_info().clone()),
        Err(error) => error,
    };
    match error.kind() {
        _ if is_absent(&error) => {}
        GetStreamErrorKind::JetStream(reason) if no_jetstream(reason.error_code()) => {
            return Err(NO_JETSTREAM.to_owned());
        }
        _ => {
            return Err(format!(
                "the stream {STREAM:?} cannot be looked up: {}",
                chain(&error)
            ));
        }
    }
    let mut wanted = wanted(config);
    loop {
        let error = match context.create_stream(wanted.clone()).await {
            Ok(stream) => {
                tracing::info!(
                    stream = STREAM,
                    replicas = wanted.num_replicas,
                    "made the event bus's stream"
                );
                return Ok(stream.cached_info().clone());
            }
            Err(error) => error,
        };
        match error.kind() {
            CreateStreamErrorKind::JetStream(reason)
                if reason.error_code() == ErrorCode::STREAM_REPLICAS_NOT_SUPPORTED
                    && wanted.num_replicas > 1 =>
            {
                tracing::warn!(
                    replicas = wanted.num_replicas,
                    "the server is no cluster: the stream is made with one replica"
                );
                wanted.num_replicas = 1;
            }
            CreateStreamErrorKind::JetStream(reason) if no_jetstream(reason.error_code()) => {
                return Err(NO_JETSTREAM.to_owned());
            }
            _ => {
                return Err(format!(
                    "the stream {STREAM:?} cannot be made: {}",
                    chain(&error)
                ));
            }
        }
    }
}

pub(crate) const NO_JETSTREAM: &str = "the server has no JetStream for this account: start it with -js, or enable JetStream for the account";

fn no_jetstream(code: ErrorCode) -> bool {
    code == ErrorCode::JETSTREAM_NOT_ENABLED || code == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT
}

/// Says once how a stream that was there differs from the spec, and what it may lose.
pub(crate) fn report(info: &Info, config: &JetStreamConfig) {
    let (there, wanted) = (&info.config, wanted(config));
    let mut differences = Vec::new();
    let settings = &config.stream;
    let mut differ = |name: &str, set: bool, there: String, wanted: String| {
        if set && there != wanted {
            differences.push(format!("{name} is {there}, not {wanted}"));
        }
    };
    differ(
        "maxMsgs",
        settings.max_msgs.is_some(),
        there.max_messages.to_string(),
        wanted.max_messages.to_string(),
    );
    differ(
        "maxBytes",
        settings.max_bytes.is_some(),
        there.max_bytes.to_string(),
        wanted.max_bytes.to_string(),
    );
    differ(
        "maxAge",
        settings.max_age.is_some(),
        format!("{:?}", there.max_age),
        format!("{:?}", wanted.max_age),
    );
    differ(
        "replicas",
        settings.replicas.is_some(),
        there.num_replicas.to_string(),
        wanted.num_replicas.to_string(),
    );
    differ(
        "duplicates",
        settings.duplicates.is_some(),
        format!("{:?}", there.duplicate_window),
        format!("{:?}", wanted.duplicate_window),
    );
    differ(
        "retention",
        settings.retention.is_some(),
        format!("{:?}", there.retention),
        format!("{:?}", wanted.retention),
    );
    differ(
        "discard",
        settings.discard.is_some(),
        format!("{:?}", there.discard),
        format!("{:?}", wanted.discard),
    );
    if !differences.is_empty() {
        tracing::warn!(
            stream = STREAM,
            differences = differences.join("; "),
            "the stream exists with other settings than streamConfig; it is used as it is"
        );
    }
    let limited = there.max_messages > 0 || there.max_bytes > 0;
    if there.discard == DiscardPolicy::Old && limited {
        tracing::warn!(
            stream = STREAM,
            "a full stream removes events that no consumer has acknowledged, which is counted and told; set discard: 1 when the stream is made to have new ones refused"
        );
    }
}

/// Whether we made the stream.
pub(crate) fn is_ours(info: &Info) -> bool {
    info.config.metadata.contains_key(OURS)
}

/// Whether the stream takes our subjects.
pub(crate) fn check(info: &Info) -> Result<(), String> {
    let taken = info
        .config
        .subjects
        .iter()
        .any(|subject| matches!(subject.as_str(), SUBJECTS | "default.>" | ">"));
    if taken {
        return Ok(());
    }
    Err(format!(
        "the stream {STREAM:?} takes {:?}, not {SUBJECTS:?}: add that subject to it",
        info.config.subjects
    ))
}

/// What a stored event survives, as far as a client can know.
pub(crate) fn durability(info: &Info, config: &JetStreamConfig) -> Durability {
    if info.config.storage == StorageType::Memory {
        return Durability::Memory;
    }
    if info.config.num_replicas >= 3 {
        return Durability::Quorum;
    }
    config.durability.unwrap_or(Durability::Memory)
}
