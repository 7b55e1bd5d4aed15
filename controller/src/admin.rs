//! The admin port: metrics, liveness, readiness, log level. It serves and never changes what runs.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, put};
use tiphys_core::Tasks;
use tiphys_core::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::hosting::Snapshot;

/// Changes the log level; the text of an error is for the caller.
pub type SetLogLevel = dyn Fn(&str) -> Result<(), String> + Send + Sync;

#[derive(Clone)]
struct Admin {
    metrics: Metrics,
    state: watch::Receiver<Snapshot>,
    set_log_level: Arc<SetLogLevel>,
}

/// Serves the admin port until `tasks` stops.
pub fn spawn(
    listener: TcpListener,
    metrics: Metrics,
    state: watch::Receiver<Snapshot>,
    set_log_level: Arc<SetLogLevel>,
    tasks: &Tasks,
) {
    let stop = tasks.stop_token();
    let app = router(metrics, state, set_log_level);
    tasks.spawn("admin port", async move {
        // A broken connection ends itself; only the listener could fail here, and it retries.
        drop(
            axum::serve(listener, app)
                .with_graceful_shutdown(stop.cancelled_owned())
                .await,
        );
        Ok::<(), Infallible>(())
    });
}

fn router(
    metrics: Metrics,
    state: watch::Receiver<Snapshot>,
    set_log_level: Arc<SetLogLevel>,
) -> Router {
    Router::new()
        .route("/metrics", get(metrics_text))
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/log-level", put(log_level))
        .with_state(Admin {
            metrics,
            state,
            set_log_level,
        })
}

async fn metrics_text(State(admin): State<Admin>) -> impl IntoResponse {
    match admin.metrics.text() {
        Ok(text) => (
            StatusCode::OK,
            [("content-type", "text/plain; version=0.0.4")],
            text,
        ),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [("content-type", "text/plain")],
            error.to_string(),
        ),
    }
}

async fn ready(State(admin): State<Admin>) -> impl IntoResponse {
    let not_ready = admin.state.borrow().not_ready();
    if not_ready.is_empty() {
        return (StatusCode::OK, "ok".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, not_ready.join("\n"))
}

async fn log_level(State(admin): State<Admin>, level: String) -> impl IntoResponse {
    match (admin.set_log_level)(level.trim()) {
        Ok(()) => (StatusCode::OK, format!("log level is {}\n", level.trim())),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}
