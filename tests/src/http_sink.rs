//! An HTTP server that records what it is sent and answers as told: the other
//! end of an `http` trigger.
//!
//! It runs on a thread of its own, so that it answers however busy the test's
//! runtime is. It never answers anything that it has not recorded first.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::ports::loopback;
use crate::wait::eventually;

/// No test sends more to a sink.
const LARGEST_BODY: usize = 256 * 1024 * 1024;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// The method.
    pub method: Method,
    /// The path.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Option<String>,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When it was here.
    pub at: Instant,
}

impl Received {
    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body {:?} is no JSON: {error}", self.body))
    }
}

/// What the sink says to a request.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// Headers beside those every answer has.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// How long the sender waits for it.
    pub delay: Duration,
}

impl Answer {
    /// An empty answer with a status, at once.
    pub fn status(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            delay: Duration::ZERO,
        }
    }

    /// The same answer, later.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The same answer with a body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

#[derive(Debug)]
struct Shared {
    received: Vec<Received>,
    next: VecDeque<Answer>,
    otherwise: Answer,
}

/// See the module.
#[derive(Debug)]
pub struct HttpSink {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl HttpSink {
    /// Starts a sink that answers 200.
    ///
    /// # Panics
    ///
    /// When the system gives it no port or no thread.
    pub fn start() -> Self {
        let listener = TcpListener::bind(loopback(0)).expect("a port is free");
        listener
            .set_nonblocking(true)
            .expect("a listener can be non-blocking");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Mutex::new(Shared {
            received: Vec::new(),
            next: VecDeque::new(),
            otherwise: Answer::status(StatusCode::OK),
        }));
        let stop = CancellationToken::new();
        let router = Router::new().fallback(record).with_state(shared.clone());
        let stopped = stop.clone();
        let thread = std::thread::Builder::new()
            .name("http-sink".to_owned())
            .spawn(move || serve(listener, router, &stopped))
            .expect("a thread can be started");
        Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        }
    }

    /// The address, `http://127.0.0.1:PORT`, without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers every request from now on in this way.
    pub fn answer(&self, answer: Answer) {
        lock(&self.shared).otherwise = answer;
    }

    /// Answers the next requests in these ways, one each, before it goes back
    /// to the usual.
    pub fn answer_next(&self, answers: impl IntoIterator<Item = Answer>) {
        lock(&self.shared).next.extend(answers);
    }

    /// Everything received so far, in order.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared).received.clone()
    }

    /// Waits until `count` requests have arrived, and returns all there are.
    ///
    /// # Panics
    ///
    /// When `limit` has passed.
    pub async fn wait_for(&self, count: usize, limit: Duration) -> Vec<Received> {
        let what = format!("{count} requests at the sink");
        eventually(&what, limit, async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }
}

impl Drop for HttpSink {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed, and the test has what it received.
            drop(thread.join());
        }
    }
}

fn serve(listener: TcpListener, router: Router, stop: &CancellationToken) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be built");
    runtime.block_on(async {
        let listener =
            tokio::net::TcpListener::from_std(listener).expect("the listener is non-blocking");
        // Dropped, not drained: a delayed answer must not delay the test's end.
        tokio::select! {
            () = stop.cancelled() => {}
            served = axum::serve(listener, router).into_future() => {
                served.expect("a sink serves until it is stopped");
            }
        }
    });
}

async fn record(
    State(shared): State<Arc<Mutex<Shared>>>,
    request: Request,
) -> (StatusCode, HeaderMap, Bytes) {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LARGEST_BODY).await else {
        return (StatusCode::BAD_REQUEST, HeaderMap::new(), Bytes::new());
    };
    let answer = {
        let mut shared = lock(&shared);
        shared.received.push(Received {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(str::to_owned),
            headers: parts.headers,
            body,
            at: Instant::now(),
        });
        shared
            .next
            .pop_front()
            .unwrap_or_else(|| shared.otherwise.clone())
    };
    if !answer.delay.is_zero() {
        tokio::time::sleep(answer.delay).await;
    }
    (answer.status, answer.headers, answer.body)
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::http_client;

    #[tokio::test]
    async fn records_in_order_and_answers_as_told() {
        let sink = HttpSink::start();
        sink.answer_next([Answer::status(StatusCode::IM_A_TEAPOT).with_body("short")]);
        let client = http_client(None);
        let mut statuses = Vec::new();
        for body in ["1", "2"] {
            let url = format!("{}/in?n={body}", sink.url());
            let answer = client.post(url).body(body).send().await.unwrap();
            statuses.push(answer.status().as_u16());
        }
        assert_eq!(statuses, [418, 200]);
        let received = sink.wait_for(2, Duration::from_secs(60)).await;
        assert_eq!(received[0].path, "/in");
        assert_eq!(received[1].query.as_deref(), Some("n=2"));
        assert_eq!(received[1].json(), 2);
    }
}
