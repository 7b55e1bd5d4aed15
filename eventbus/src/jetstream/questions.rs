//! Questions over the connection of the bus: a subject for each name, of whose servers one answers each question. An
//! empty answer means that somebody is still at work.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, StatusCode, Subject};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;

use super::link::{Link, round_trip};
use super::state::escape;
use crate::bus::SubscribeError;
use crate::journal::{AskError, Question, Questions, Reply};

/// What every subject begins with.
const PREFIX: &str = "tiphys-control";
/// Those who serve a name share its questions.
const GROUP: &str = "control";
/// How long whoever asks waits for a sign.
const SILENCE: Duration = Duration::from_secs(30);

struct Inbox {
    client: Client,
    reply: Subject,
}

#[async_trait]
impl Reply for Inbox {
    async fn send(&self, body: Bytes) {
        if let Err(error) = self.client.publish(self.reply.clone(), body).await {
            tracing::debug!(%error, "an answer is lost");
        }
    }
}

fn subject(name: &[&str]) -> String {
    let tokens: Vec<String> = name.iter().map(|part| escape(part)).collect();
    format!("{PREFIX}.{}", tokens.join("."))
}

/// Serves a name.
pub(super) async fn serve(link: &Arc<Link>, name: &[&str]) -> Result<Questions, SubscribeError> {
    let unavailable = |reason| SubscribeError::Unavailable { reason };
    let client = link.ready().map_err(unavailable)?.client();
    let subscribed = client
        .queue_subscribe(subject(name), GROUP.to_owned())
        .await;
    let subscriber = subscribed.map_err(|error| unavailable(error.to_string()))?;
    // Whoever hears that it is served may ask at once, also over another connection.
    let known = tokio::time::timeout(SILENCE, round_trip(&client)).await;
    known
        .unwrap_or_else(|_| Err(silent()))
        .map_err(unavailable)?;
    let questions = subscriber.filter_map(move |message| {
        let reply = message.reply.map(|reply| Inbox {
            client: client.clone(),
            reply,
        });
        std::future::ready(reply.map(|reply| Question {
            body: message.payload,
            reply: Box::new(reply),
        }))
    });
    Ok(Questions {
        stream: questions.boxed(),
    })
}

fn silent() -> String {
    format!("nothing was heard for {} s", SILENCE.as_secs())
}

/// Asks whoever serves a name.
pub(super) async fn ask(link: &Arc<Link>, name: &[&str], body: Bytes) -> Result<Bytes, AskError> {
    let unavailable = |reason: String| AskError::Unavailable { reason };
    let client = link.ready().map_err(unavailable)?.client();
    let inbox = client.new_inbox();
    let lost = |error: &dyn std::error::Error| unavailable(error.to_string());
    let subscribed = client.subscribe(inbox.clone()).await;
    let mut answers = subscribed.map_err(|error| lost(&error))?;
    let sent = client.publish_with_reply(subject(name), inbox, body).await;
    sent.map_err(|error| lost(&error))?;
    loop {
        let answer = tokio::time::timeout(SILENCE, answers.next()).await;
        let answer = answer.map_err(|_| unavailable(silent()))?;
        let Some(answer) = answer else {
            return Err(unavailable("the connection is lost".to_owned()));
        };
        if answer.status == Some(StatusCode::NO_RESPONDERS) {
            return Err(AskError::Nobody);
        }
        if !answer.payload.is_empty() {
            return Ok(answer.payload);
        }
    }
}
