//! What the stream's limits take from its consumers: counted, told, and where we made the stream, kept from happening.
//!
//! ```text
//! every half minute, one process of all: stream and consumers as they stand ─┬▶ compared with the last time ─▶ lost
//!                                                                            └▶ nearly full? what everyone has goes
//! ```
//!
//! A server tells nobody what it removes. But a consumer's messages add up: what waited, and came since, and was not
//! delivered, must wait still. The last look is kept in the key-value store, so that a loss is found even when nobody
//! ran meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{
    AckPolicy, Consumer, DeliverPolicy, Info as ConsumerInfo, pull,
};
use async_nats::jetstream::stream::{DiscardPolicy, Info, RetentionPolicy, Stream};
use bytes::Bytes;
use futures::TryStreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tiphys_core::tasks::chain;

use super::link::Link;
use super::state::JetStreamState;
use super::stream::{STREAM, is_ours};
use crate::bus::{State as _, StateError};

/// How often somebody looks.
const ROUND: Duration = Duration::from_secs(30);
/// How soon a full stream is looked at again.
const FULL_ROUND: Duration = Duration::from_secs(1);
const BUCKET: &str = "tiphys_bus";
const KEY: &str = "survey";
/// How often others may come between.
const ATTEMPTS: usize = 10;
/// A larger survey does not fit into a message.
const LARGEST: usize = 900_000;

/// The stream and its consumers at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Survey {
    /// When it was made, in seconds.
    at: i64,
    /// When the stream was made, to tell it from one of the same name.
    stream: i64,
    first: u64,
    last: u64,
    consumers: BTreeMap<String, Place>,
    /// How many messages were removed before a consumer had them, since anybody looks.
    lost: BTreeMap<String, u64>,
}

/// Where a consumer is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Place {
    /// When it was made.
    made: i64,
    /// What it wants.
    filters: BTreeSet<String>,
    /// The last message that was delivered.
    seq: u64,
    /// How many deliveries there were.
    deliveries: u64,
    /// How many messages wait for their first delivery.
    pending: u64,
}

/// What must still be asked of the server to judge one consumer.
#[derive(Debug, PartialEq, Eq)]
struct Suspect {
    /// Matching messages came with numbers from here on.
    from: u64,
    /// It wants everything, so that every number is a matching message.
    everything: bool,
}

/// Looks every now and then, until the tasks stop.
pub(crate) async fn run(link: Arc<Link>) -> Result<(), std::convert::Infallible> {
    let stop = link.tasks.stop_token();
    let rounds = async {
        loop {
            link.connected().await;
            if let Err(reason) = look(&link, false).await {
                tracing::debug!(reason, "what the event bus removes cannot be counted now");
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                () = link.full.notified() => {
                    let made = make_room(&link).await;
                    if let Err(reason) = made {
                        tracing::debug!(reason, "no room can be made on the event bus");
                    }
                    tokio::time::sleep(FULL_ROUND).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = rounds => Ok(()),
    }
}

/// Counts what is lost and makes room; `now` also when somebody looked a moment ago.
pub(crate) async fn look(link: &Arc<Link>, now: bool) -> Result<u64, String> {
    for _ in 0..ATTEMPTS {
        if let Some(total) = attempt(link, now).await? {
            return Ok(total);
        }
    }
    Err("others look at the event bus all the time".to_owned())
}

/// One look; nothing when somebody else looked meanwhile.
async fn attempt(link: &Arc<Link>, now: bool) -> Result<Option<u64>, String> {
    let told = |error: StateError| chain(&error);
    let store = JetStreamState::open(link.clone(), BUCKET)
        .await
        .map_err(told)?;
    let found = store.get(KEY).await.map_err(told)?;
    let before: Survey = found
        .as_ref()
        .and_then(|entry| serde_json::from_slice(&entry.value).ok())
        .unwrap_or_default();
    let age = Timestamp::now().as_second().saturating_sub(before.at);
    if !now && (0..ROUND.as_secs().cast_signed() - 5).contains(&age) {
        return Ok(Some(link.losses(before.lost.values().sum())));
    }
    let context = link.ready()?;
    let (mut survey, news) = compare(&context, &before).await?;
    survey.lost = before.lost;
    for (consumer, lost) in &news {
        *survey.lost.entry(consumer.clone()).or_default() += lost;
    }
    let total = survey.lost.values().sum();
    let text = serde_json::to_vec(&survey).map_err(|error| error.to_string())?;
    if text.len() > LARGEST {
        return Err("there are too many consumers to look after".to_owned());
    }
    let revision = found.map(|entry| entry.revision);
    match store.put(KEY, Bytes::from(text), revision).await {
        Ok(_) => {}
        Err(StateError::Conflict) => return Ok(None),
        Err(error) => return Err(told(error)),
    }
    for (consumer, lost) in news {
        tracing::warn!(
            consumer,
            lost,
            total,
            "the stream's limits removed events that this consumer had not taken: raise maxMsgs, maxBytes or maxAge of the stream, or set discard: 1 to have new events refused instead"
        );
    }
    Ok(Some(link.losses(total)))
}

/// Makes room on a stream that is ours and nearly full.
async fn make_room(link: &Arc<Link>) -> Result<(), String> {
    let context = link.ready()?;
    let stream = context
        .get_stream(STREAM)
        .await
        .map_err(|error| chain(&error))?;
    let info = stream.cached_info().clone();
    if !trims(&info) {
        return Ok(());
    }
    let consumers = consumers(&stream).await?;
    trim(&stream, &info, &consumers).await
}

async fn consumers(stream: &Stream) -> Result<Vec<ConsumerInfo>, String> {
    let listed = stream.consumers().try_collect::<Vec<ConsumerInfo>>().await;
    listed.map_err(|error| chain(&error))
}

/// The stream as it stands and what each consumer lost since `before`.
async fn compare(
    context: &Context,
    before: &Survey,
) -> Result<(Survey, Vec<(String, u64)>), String> {
    let told = |error: &dyn std::error::Error| error.to_string();
    let mut stream = context
        .get_stream(STREAM)
        .await
        .map_err(|error| chain(&error))?;
    let start = stream.cached_info().clone();
    let listed = consumers(&stream).await?;
    if trims(&start) {
        trim(&stream, &start, &listed).await?;
    }
    let end = stream.info().await.map_err(|error| told(&error))?.clone();
    let mut survey = Survey {
        at: Timestamp::now().as_second(),
        stream: start.created.unix_timestamp(),
        first: start.state.first_sequence,
        // Messages of the time between count for neither look: what is counted is really lost.
        last: start.state.last_sequence,
        consumers: listed
            .iter()
            .filter(|info| info.config.durable_name.is_some())
            .map(|info| (info.name.clone(), Place::of(info)))
            .collect(),
        lost: BTreeMap::new(),
    };
    let mut news = Vec::new();
    for (name, place) in &survey.consumers {
        let Some(suspect) = survey.suspect(before, name) else {
            continue;
        };
        let came = came(&stream, &survey, &suspect, place).await?;
        let lost = place.lost(before.consumers.get(name), came);
        if lost > 0 {
            news.push((name.clone(), lost));
        }
    }
    survey.last = end.state.last_sequence;
    Ok((survey, news))
}

/// How many matching messages came since the last look.
async fn came(
    stream: &Stream,
    survey: &Survey,
    suspect: &Suspect,
    place: &Place,
) -> Result<u64, String> {
    let all = (survey.last + 1).saturating_sub(suspect.from);
    if suspect.everything {
        return Ok(all);
    }
    let from = suspect.from.max(survey.first);
    let there = (survey.last + 1).saturating_sub(from);
    if there == 0 {
        return Ok(0);
    }
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: from,
        },
        ack_policy: AckPolicy::None,
        filter_subjects: place.filters.iter().cloned().collect(),
        inactive_threshold: Duration::from_secs(5),
        headers_only: true,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let made: Result<Consumer<pull::Config>, _> = stream.create_consumer(config).await;
    let counting = made.map_err(|error| chain(&error))?;
    let matching = counting.cached_info().num_pending.min(there);
    // It goes by itself in any case.
    drop(stream.delete_consumer(&counting.cached_info().name).await);
    // Of what came and went between two looks nobody knows the subjects: as many as of what is there.
    let unseen = u128::from(all - there) * u128::from(matching) / u128::from(there);
    Ok(matching + u64::try_from(unseen).unwrap_or(0))
}

impl Survey {
    /// Whether a consumer may have lost something since `before`.
    fn suspect(&self, before: &Self, name: &str) -> Option<Suspect> {
        let (then, now) = (before.consumers.get(name)?, self.consumers.get(name)?);
        if before.stream != self.stream || then.made != now.made || then.filters != now.filters {
            return None;
        }
        let from = before.last + 1;
        let all = (self.last + 1).saturating_sub(from);
        // The front of the stream must have passed what was delivered, and something must be missing.
        let passed = self.first > before.first && self.first > then.seq + 1;
        (passed && now.lost(Some(then), all) > 0).then(|| Suspect {
            from,
            everything: now
                .filters
                .iter()
                .all(|filter| matches!(filter.as_str(), "default.*.*" | "default.>" | ">")),
        })
    }
}

impl Place {
    fn of(info: &ConsumerInfo) -> Self {
        let one = Some(info.config.filter_subject.clone()).filter(|one| !one.is_empty());
        Self {
            made: info.created.unix_timestamp(),
            filters: info
                .config
                .filter_subjects
                .iter()
                .cloned()
                .chain(one)
                .collect(),
            seq: info.delivered.stream_sequence,
            deliveries: info.delivered.consumer_sequence,
            pending: info.num_pending,
        }
    }

    /// What waited, and came, and was not delivered, and does not wait.
    fn lost(&self, then: Option<&Self>, came: u64) -> u64 {
        let Some(then) = then else { return 0 };
        // While nothing new is delivered all deliveries are repeats.
        let delivered = if self.seq == then.seq {
            0
        } else {
            self.deliveries.saturating_sub(then.deliveries)
        };
        (then.pending + came).saturating_sub(delivered + self.pending)
    }
}

/// Whether consumed messages may be removed: a stream that we made, that refuses when it is full, and that nothing
/// else empties.
fn trims(info: &Info) -> bool {
    let config = &info.config;
    is_ours(info)
        && config.discard == DiscardPolicy::New
        && config.retention == RetentionPolicy::Limits
        && (config.max_messages > 0 || config.max_bytes > 0)
}

/// Removes what every consumer has acknowledged once a stream is nearly full, and no more than makes room.
async fn trim(stream: &Stream, info: &Info, consumers: &[ConsumerInfo]) -> Result<(), String> {
    let Some(target) = surplus(
        (info.state.messages, info.config.max_messages),
        (info.state.bytes, info.config.max_bytes),
    ) else {
        return Ok(());
    };
    let last = info.state.last_sequence;
    let settled = consumers
        .iter()
        .map(|consumer| {
            if consumer.num_pending == 0 && consumer.num_ack_pending == 0 {
                last
            } else {
                consumer.ack_floor.stream_sequence
            }
        })
        .fold(last, u64::min);
    let until = settled.min(info.state.first_sequence.saturating_add(target)) + 1;
    if until <= info.state.first_sequence {
        return Ok(());
    }
    let purged = stream.purge().sequence(until).await;
    let purged = purged.map_err(|error| chain(&error))?;
    tracing::info!(
        removed = purged.purged,
        "the stream was nearly full, so events that every consumer has acknowledged were removed"
    );
    Ok(())
}

/// How many messages must go so that a stream that is filled by more than four fifths is filled by three.
fn surplus(messages: (u64, i64), bytes: (u64, i64)) -> Option<u64> {
    let share = |(there, most): (u64, i64)| {
        let most = u64::try_from(most).ok().filter(|most| *most > 0)?;
        let (there, most) = (u128::from(there), u128::from(most));
        // Of what is there, so many in a thousand.
        (there * 5 > most * 4).then(|| 1000 - (most * 600 / there).min(1000))
    };
    let share = [share(messages), share(bytes)]
        .into_iter()
        .flatten()
        .max()?;
    let surplus = u128::from(messages.0) * share / 1000;
    u64::try_from(surplus).ok().map(|surplus| surplus.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(first: u64, last: u64, place: Place) -> Survey {
        Survey {
            first,
            last,
            consumers: BTreeMap::from([("c".to_owned(), place)]),
            ..Survey::default()
        }
    }

    fn place(seq: u64, deliveries: u64, pending: u64) -> Place {
        Place {
            seq,
            deliveries,
            pending,
            ..Place::default()
        }
    }

    #[test]
    fn what_is_missing_was_lost_and_what_adds_up_was_not() {
        for (what, before, now, lost) in [
            (
                "nobody took anything and the front went on",
                survey(1, 10, place(0, 0, 10)),
                survey(16, 25, place(0, 0, 10)),
                15,
            ),
            (
                "the same, after some were delivered",
                survey(1, 10, place(4, 4, 6)),
                survey(16, 25, place(4, 4, 10)),
                11,
            ),
            (
                "repeated deliveries are none",
                survey(1, 10, place(4, 4, 6)),
                survey(16, 25, place(4, 9, 10)),
                11,
            ),
            (
                "everything was delivered before it went",
                survey(1, 10, place(10, 10, 0)),
                survey(16, 25, place(25, 25, 0)),
                0,
            ),
            (
                "a rare subject, far behind the front, and nothing came for it",
                survey(1, 10, place(2, 1, 0)),
                survey(16, 25, place(2, 1, 0)),
                // By the bound; the server is asked how many really came.
                15,
            ),
            (
                "the front stands",
                survey(1, 10, place(0, 0, 10)),
                survey(1, 20, place(0, 0, 10)),
                0,
            ),
        ] {
            let suspect = now.suspect(&before, "c");
            let bound = suspect.map_or(0, |suspect| {
                assert_eq!(suspect.from, before.last + 1);
                let came = now.last - before.last;
                now.consumers["c"].lost(before.consumers.get("c"), came)
            });
            assert_eq!(bound, lost, "{what}");
        }
    }

    #[test]
    fn another_stream_or_consumer_of_the_name_is_not_compared() {
        let before = survey(1, 10, place(0, 0, 10));
        let mut other = survey(16, 25, place(0, 0, 10));
        other.stream = 7;
        assert_eq!(other.suspect(&before, "c"), None);
        let mut other = survey(16, 25, place(0, 0, 10));
        other.consumers.get_mut("c").unwrap().made = 7;
        assert_eq!(other.suspect(&before, "c"), None);
        let mut other = survey(16, 25, place(0, 0, 10));
        let filters = &mut other.consumers.get_mut("c").unwrap().filters;
        filters.insert("default.a.b".to_owned());
        assert_eq!(other.suspect(&before, "c"), None);
        assert_eq!(other.suspect(&before, "d"), None);
    }

    #[test]
    fn room_is_made_for_the_tighter_limit_only_when_it_is_needed() {
        for (messages, bytes, gone) in [
            ((80, 100), (0, -1), None),
            ((81, 100), (0, -1), Some(21)),
            ((100, 100), (0, -1), Some(40)),
            ((10, 100), (95, 100), Some(3)),
            ((100, 100), (95, 100), Some(40)),
            ((100, -1), (100, 0), None),
            ((1, 1), (0, -1), Some(1)),
        ] {
            assert_eq!(surplus(messages, bytes), gone, "{messages:?} {bytes:?}");
        }
    }
}
