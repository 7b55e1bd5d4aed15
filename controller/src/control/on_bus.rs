//! What people ask of the sensors of a cluster: the same requests, over the event bus of the sensor. Whoever may read the
//! bus's credentials may ask.

use std::pin::pin;
use std::time::Duration;

use tiphys_core::Tasks;
use tiphys_core::tasks::chain;
use tiphys_eventbus::{AskError, Bus, Question, Turn};
use tokio_util::sync::CancellationToken;

use super::{Reply, Request, Running};

/// How often whoever asks hears that an answer takes longer.
const SIGN: Duration = Duration::from_secs(5);
/// Between two tries to serve a bus that is away.
const AGAIN: Duration = Duration::from_secs(5);

/// Answers for the sensor of a namespace and name, until `stop`, and only in its turn: what is fired again counts in the
/// limit and in the order of what else is fired.
pub(crate) fn spawn(
    (bus, turn): (Bus, Turn),
    [namespace, sensor]: [&str; 2],
    running: Running,
    stop: &CancellationToken,
    tasks: &Tasks,
) {
    let names = [namespace.to_owned(), sensor.to_owned()];
    let (stop, jobs) = (stop.clone(), tasks.clone());
    tasks.spawn_job(
        format!("questions to sensor {namespace}/{sensor}"),
        async move {
            let answered = async {
                loop {
                    turn.begins().await;
                    tokio::select! {
                        () = turn.ends() => {}
                        () = serve(&bus, &names, &running, &jobs) => tokio::time::sleep(AGAIN).await,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = answered => {}
            }
        },
    );
}

/// Answers until the bus is closed.
async fn serve(bus: &Bus, [namespace, sensor]: &[String; 2], running: &Running, jobs: &Tasks) {
    let mut questions = match bus.serve(&[namespace, sensor]).await {
        Ok(questions) => questions,
        Err(error) => {
            tracing::debug!(error = chain(&error), "`tiphys replay` is not answered yet");
            return;
        }
    };
    while let Some(question) = questions.next().await {
        let running = running.clone();
        jobs.spawn_job("answer to a question", answer(question, running));
    }
}

async fn answer(question: Question, running: Running) {
    let reply = match serde_json::from_slice::<Request>(&question.body) {
        Err(error) => Reply::Failed(format!("this version cannot read the request: {error}")),
        Ok(request) => {
            let mut work = pin!(running.answer(request));
            loop {
                tokio::select! {
                    reply = &mut work => break reply,
                    () = tokio::time::sleep(SIGN) => question.working().await,
                }
            }
        }
    };
    let body = serde_json::to_vec(&reply).unwrap_or_default();
    question.answer(body.into()).await;
}

/// Asks a sensor of a cluster over its bus.
///
/// # Errors
/// [`AskError`]; [`AskError::Nobody`] where the sensor does not run.
pub async fn ask_on_bus(
    bus: &Bus,
    namespace: &str,
    sensor: &str,
    request: &Request,
) -> Result<Reply, AskError> {
    let unreadable = |error: serde_json::Error| AskError::Unavailable {
        reason: error.to_string(),
    };
    let body = serde_json::to_vec(request).map_err(unreadable)?;
    let reply = bus.ask(&[namespace, sensor], body.into()).await?;
    serde_json::from_slice(&reply).map_err(unreadable)
}
