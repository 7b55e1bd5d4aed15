//! One admission review: its JSON in, its JSON out. The decision itself is in `judge`.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};
use tiphys_core::metrics::Metrics;
use tiphys_core::tasks::chain;
use tiphys_core::{Problem, Problems, Severity};
use tiphys_eventbus::EventBus;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::admission::judge::{self, Judgement, Request, bus_problem};
use crate::admission::tally::Tallies;

/// So many problems are named in one answer; the rest is a number.
const NAMED: usize = 50;
/// Bytes of one problem in an answer: a text of the user may be in it.
const PROBLEM_BYTES: usize = 1000;
/// What the API server passes on of one warning, and of all.
const WARNING_BYTES: usize = 250;
const WARNINGS_BYTES: usize = 3800;
/// Reviews that are judged at one time; more wait until their time is up.
const AT_ONCE: usize = 4;

/// What is said of a Sensor whose EventBus does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingBus {
    /// It is denied, as Argo's webhook does.
    Deny,
    /// It is let in with a warning, and waits for its bus.
    Warn,
}

/// Answers reviews.
pub(crate) struct Reviewer {
    client: Client,
    missing_bus: MissingBus,
    timeout: Duration,
    room: Arc<Semaphore>,
    tallies: Tallies,
}

/// Why there is no answer to a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReviewError {
    /// The body is no review.
    #[error("the body must be an AdmissionReview with a request")]
    NotAReview(#[source] Option<serde_json::Error>),
    /// It took too long, or there was no room.
    #[error("the review took longer than {0:?}")]
    TooLong(Duration),
    /// The check itself failed.
    #[error("the check ended early")]
    Ended,
}

impl ReviewError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotAReview(_) => StatusCode::BAD_REQUEST,
            Self::TooLong(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Ended => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    #[serde(default)]
    api_version: String,
    request: Option<Request>,
}

impl Reviewer {
    pub(crate) fn new(
        client: Client,
        missing_bus: MissingBus,
        timeout: Duration,
        metrics: &Metrics,
    ) -> Self {
        Self {
            client,
            missing_bus,
            timeout,
            room: Arc::new(Semaphore::new(AT_ONCE)),
            tallies: Tallies::new(metrics),
        }
    }

    /// Counts a request that got no answer.
    pub(crate) fn failed(&self) {
        self.tallies.failed();
    }

    /// Answers one review within the time that it may take.
    pub(crate) async fn answer(&self, body: Bytes) -> Result<Value, ReviewError> {
        tokio::time::timeout(self.timeout, self.decide(body))
            .await
            .unwrap_or(Err(ReviewError::TooLong(self.timeout)))
    }

    async fn decide(&self, body: Bytes) -> Result<Value, ReviewError> {
        let began = Instant::now();
        let permit = self.room.clone().acquire_owned().await;
        let permit = permit.map_err(|_| ReviewError::Ended)?;
        // A large object takes a while, and other connections must not wait for it.
        let judged = tokio::task::spawn_blocking(move || {
            let judged = read(&body).map(|(version, request)| {
                let judgement = judge::judge(&request);
                (version, request, judgement)
            });
            drop(permit);
            judged
        });
        let (version, request, judgement) = judged.await.map_err(|_| ReviewError::Ended)??;
        let Judgement {
            mut problems,
            needs_bus,
        } = judgement;
        if let Some(bus) = needs_bus
            && let Some(problem) = self.look_for(&bus, &request.namespace).await
        {
            problems.add(problem);
        }
        let kind = &request.kind.kind;
        self.tallies.answered(kind, &problems, began.elapsed());
        Ok(reply(&version, &request, &problems))
    }

    async fn look_for(&self, bus: &str, namespace: &str) -> Option<Problem> {
        let buses = Api::<EventBus>::namespaced(self.client.clone(), namespace);
        match buses.get_metadata_opt(bus).await {
            Ok(Some(_)) => None,
            Ok(None) => Some(match self.missing_bus {
                MissingBus::Deny => bus_problem(
                    Severity::Error,
                    format!(
                        "must name an EventBus that exists: failed to get EventBus {bus:?} in namespace {namespace:?}, create it first"
                    ),
                ),
                MissingBus::Warn => bus_problem(
                    Severity::Warning,
                    format!(
                        "there is no EventBus {bus:?} in namespace {namespace:?} yet; the Sensor waits for it"
                    ),
                ),
            }),
            Err(error) => {
                tracing::warn!(error = %chain(&error), bus, namespace, "cannot look for an EventBus");
                let message = format!("it could not be found out whether EventBus {bus:?} exists");
                Some(bus_problem(Severity::Warning, message))
            }
        }
    }
}

fn read(body: &[u8]) -> Result<(String, Request), ReviewError> {
    let review: Review =
        serde_json::from_slice(body).map_err(|error| ReviewError::NotAReview(Some(error)))?;
    let request = review.request.ok_or(ReviewError::NotAReview(None))?;
    let version = match review.api_version.as_str() {
        version @ ("admission.k8s.io/v1" | "admission.k8s.io/v1beta1") => version,
        _ => "admission.k8s.io/v1",
    };
    Ok((version.to_owned(), request))
}

/// The answer, as the API server wants it.
fn reply(version: &str, request: &Request, problems: &Problems) -> Value {
    let of = |severity: Severity| {
        problems
            .list()
            .iter()
            .filter(move |problem| problem.severity == severity)
    };
    let errors: Vec<&Problem> = of(Severity::Error).collect();
    let mut response = json!({ "uid": request.uid, "allowed": errors.is_empty() });
    let warnings = warnings(of(Severity::Warning));
    if let Some(members) = response.as_object_mut() {
        if !warnings.is_empty() {
            members.insert("warnings".to_owned(), json!(warnings));
        }
        if !errors.is_empty() {
            members.insert("status".to_owned(), denial(&request.kind.kind, &errors));
        }
    }
    json!({ "apiVersion": version, "kind": "AdmissionReview", "response": response })
}

/// Every error in one message: people see nothing else of it.
fn denial(kind: &str, errors: &[&Problem]) -> Value {
    let mut message = match errors {
        [only] => format!(
            "invalid {kind}: {}",
            short(&only.to_string(), PROBLEM_BYTES)
        ),
        all => format!("invalid {kind}: {} problems", all.len()),
    };
    if errors.len() > 1 {
        for error in errors.iter().take(NAMED) {
            message.push_str("\n- ");
            message.push_str(&short(&error.to_string(), PROBLEM_BYTES));
        }
        if let Some(more) = errors.len().checked_sub(NAMED).filter(|more| *more > 0) {
            message.push_str(&format!("\n- and {more} more"));
        }
    }
    let causes: Vec<Value> = errors
        .iter()
        .take(NAMED)
        .map(|error| {
            json!({
                "reason": "FieldValueInvalid",
                "field": error.path.to_string(),
                "message": short(&error.message, PROBLEM_BYTES),
            })
        })
        .collect();
    json!({
        "status": "Failure",
        "code": 400,
        "reason": "BadRequest",
        "message": message,
        "details": { "causes": causes },
    })
}

fn warnings<'p>(problems: impl Iterator<Item = &'p Problem>) -> Vec<String> {
    let mut all = Vec::new();
    let mut bytes = 0;
    for problem in problems {
        // A header line has no line breaks.
        let text = problem.to_string().replace(['\n', '\r'], " ");
        let text = short(&text, WARNING_BYTES);
        bytes += text.len();
        if bytes > WARNINGS_BYTES {
            all.push("there are more warnings; `tiphys lint` prints all".to_owned());
            break;
        }
        all.push(text);
    }
    all
}

/// The text, or as much of it as fits.
fn short(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let mut out = String::new();
    for letter in text.chars() {
        if out.len() + letter.len_utf8() + '…'.len_utf8() > bytes {
            break;
        }
        out.push(letter);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use tiphys_core::Path;

    use super::*;

    fn problem(severity: Severity, field: &str, message: &str) -> Problem {
        Problem {
            severity,
            path: Path::default().key("spec").key(field),
            message: message.to_owned(),
            inner: None,
        }
    }

    fn request() -> Request {
        read(br#"{"request": {"uid": "7", "kind": {"group": "argoproj.io", "kind": "Sensor"}, "operation": "CREATE", "object": {}}}"#)
            .unwrap()
            .1
    }

    #[test]
    fn a_denial_names_every_problem_and_warnings_come_along() {
        let mut problems = Problems::default();
        problems.add(problem(Severity::Error, "a", "must be set"));
        problems.add(problem(Severity::Warning, "b", "is not\nknown"));
        problems.add(problem(Severity::Error, "c", "must be a number"));
        let reply = reply("admission.k8s.io/v1beta1", &request(), &problems);
        assert_eq!(reply["apiVersion"], "admission.k8s.io/v1beta1");
        let response = &reply["response"];
        assert_eq!(response["uid"], "7");
        assert_eq!(response["allowed"], false);
        assert_eq!(response["warnings"], json!(["spec.b: is not known"]));
        assert_eq!(
            response["status"]["message"],
            "invalid Sensor: 2 problems\n- spec.a: must be set\n- spec.c: must be a number"
        );
        assert_eq!(
            response["status"]["details"]["causes"][1]["field"],
            "spec.c"
        );
    }

    #[test]
    fn an_answer_is_never_longer_than_the_api_server_takes() {
        let mut problems = Problems::default();
        for _ in 0..1000 {
            problems.add(problem(Severity::Error, "a", &"é".repeat(5000)));
            problems.add(problem(Severity::Warning, "a", &"é".repeat(5000)));
        }
        let reply = reply("admission.k8s.io/v1", &request(), &problems);
        let warnings = reply["response"]["warnings"].as_array().unwrap();
        let bytes: usize = warnings.iter().map(|one| one.as_str().unwrap().len()).sum();
        assert!(
            bytes < 4096
                && warnings
                    .iter()
                    .all(|one| one.as_str().unwrap().len() <= 256)
        );
        let message = reply["response"]["status"]["message"].as_str().unwrap();
        assert!(
            message.len() < 64 << 10 && message.ends_with("and 950 more"),
            "{message}"
        );
    }

    #[test]
    fn what_is_no_review_is_told_so() {
        for body in [
            "",
            "[]",
            "{}",
            r#"{"request": {}}"#,
            r#"{"request": {"uid": 1}}"#,
        ] {
            let error = read(body.as_bytes()).unwrap_err();
            assert_eq!(error.status(), StatusCode::BAD_REQUEST, "{body}");
        }
    }
}
