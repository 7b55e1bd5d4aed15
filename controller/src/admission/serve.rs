//! HTTPS for the webhook: connections, limits, health. What is answered comes from `review`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tiphys_core::Tasks;
use tiphys_core::tasks::chain;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::admission::review::Reviewer;
use crate::admission::serving::{self, Serving};

/// Connections that are open at one time; the API server needs one or two.
const CONNECTIONS: usize = 256;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// From the first byte of a request to the end of its headers.
const HEADERS: Duration = Duration::from_secs(10);
/// From there to the end of the body.
const BODY: Duration = Duration::from_secs(10);
const IDLE: Duration = Duration::from_secs(120);
/// How long reviews in hand may take when the webhook stops.
const DRAIN: Duration = Duration::from_secs(15);
/// The wait after a failure to accept, for example without free file descriptors.
const NO_ROOM: Duration = Duration::from_millis(50);

/// Serves until `tasks` stops.
pub(crate) fn spawn(
    listener: TcpListener,
    reviewer: Reviewer,
    max_body: usize,
    serving: &Arc<Serving>,
    tasks: &Tasks,
) {
    let app = router(reviewer, max_body);
    let config = serving::config(serving.clone());
    let (stop, connections) = (tasks.stop_token(), tasks.clone());
    tasks.spawn("webhook listener", async move {
        let acceptor = TlsAcceptor::from(Arc::new(config?));
        accept(&listener, &acceptor, &app, &stop, &connections).await;
        Ok::<(), rustls::Error>(())
    });
}

fn router(reviewer: Reviewer, max_body: usize) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        // A handshake needs a certificate, so whoever gets here finds it ready.
        .route("/readyz", get(|| async { "ok" }))
        .fallback(post(review))
        .layer(DefaultBodyLimit::max(max_body))
        .layer(CatchPanicLayer::new())
        .with_state(Arc::new(reviewer))
}

async fn review(
    State(reviewer): State<Arc<Reviewer>>,
    headers: HeaderMap,
    request: axum::extract::Request,
) -> Response {
    match answer(&reviewer, &headers, request).await {
        Ok(answer) => answer,
        Err(answer) => {
            reviewer.failed();
            answer
        }
    }
}

async fn answer(
    reviewer: &Reviewer,
    headers: &HeaderMap,
    request: axum::extract::Request,
) -> Result<Response, Response> {
    let json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    if !json {
        let text = "the Content-Type must be application/json";
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response());
    }
    let body = <Bytes as axum::extract::FromRequest<_>>::from_request(request, &());
    let body = match timeout(BODY, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(rejection)) => return Err(rejection.into_response()),
        Err(_) => {
            let text = "the body took too long to arrive";
            return Err((StatusCode::REQUEST_TIMEOUT, text).into_response());
        }
    };
    match reviewer.answer(body).await {
        Ok(answer) => Ok(axum::Json(answer).into_response()),
        Err(error) => {
            let text = chain(&error);
            tracing::warn!(error = text, "a review is not answered");
            Err((error.status(), text).into_response())
        }
    }
}

async fn accept(
    listener: &TcpListener,
    acceptor: &TlsAcceptor,
    app: &Router,
    stop: &CancellationToken,
    tasks: &Tasks,
) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let (acceptor, app, stop) = (acceptor.clone(), app.clone(), stop.clone());
                tasks.spawn_job("webhook connection", async move {
                    connection(stream, acceptor, app, stop).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "a connection cannot be accepted");
                tokio::time::sleep(NO_ROOM).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    app: Router,
    stop: CancellationToken,
) {
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "a TLS handshake failed");
            return;
        }
        Err(_) => return,
    };
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(IDLE)
        .keep_alive_timeout(HEADERS)
        .max_concurrent_streams(64)
        .max_header_list_size(64 << 10);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            match timeout(DRAIN, connection).await {
                Ok(ended) => ended,
                Err(_) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::http::Request;
    use tiphys_core::metrics::Metrics;
    use tower::ServiceExt as _;

    use super::*;
    use crate::admission::review::MissingBus;

    /// An API server with nothing in it.
    fn app(metrics: &Metrics) -> Router {
        let nothing = tower::service_fn(|_: Request<kube::client::Body>| async {
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404});
            let response = axum::http::Response::builder().status(404);
            Ok::<_, Infallible>(response.body(Body::from(status.to_string())).unwrap())
        });
        let client = kube::Client::new(nothing, "default");
        let reviewer = Reviewer::new(client, MissingBus::Deny, Duration::from_secs(10), metrics);
        router(reviewer, 4096)
    }

    async fn post(kind: &str, body: String) -> (StatusCode, String) {
        let request = Request::post("/").header("content-type", kind);
        let metrics = Metrics::try_new("0").unwrap();
        let response = app(&metrics)
            .oneshot(request.body(Body::from(body)).unwrap())
            .await
            .unwrap();
        let status = response.status();
        let failed = metrics.reviews_failed().get();
        assert_eq!(failed, u64::from(status != StatusCode::OK));
        let body = axum::body::to_bytes(response.into_body(), 1 << 20)
            .await
            .unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn only_reviews_in_json_are_answered() {
        for (kind, body, status) in [
            ("text/plain", "{}".to_owned(), 415),
            ("application/json", "{".to_owned(), 400),
            ("application/json", "{}".to_owned(), 400),
            ("application/json", " ".repeat(5000), 413),
        ] {
            let (answered, text) = post(kind, body).await;
            assert_eq!(answered.as_u16(), status, "{kind} {text}");
        }
    }

    #[tokio::test]
    async fn a_sensor_without_its_bus_is_denied() {
        let review = serde_json::json!({"request": {
            "uid": "1", "operation": "CREATE", "namespace": "n",
            "kind": {"group": "argoproj.io", "version": "v1alpha1", "kind": "Sensor"},
            "object": {
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Sensor", "metadata": {"name": "s"},
                "spec": {
                    "dependencies": [{"name": "d", "eventSourceName": "s", "eventName": "e"}],
                    "triggers": [{"template": {"name": "t", "log": {}}}],
                },
            },
        }});
        let (status, text) = post("application/json; charset=utf-8", review.to_string()).await;
        assert_eq!(status, 200);
        assert!(text.contains("failed to get EventBus"), "{text}");
        assert!(text.contains("\"allowed\":false"), "{text}");
    }
}
