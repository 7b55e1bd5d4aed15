//! The API as a service: under a client in this process, and on a loopback listener.
//!
//! Guards the listener against web pages: whoever runs a browser on this machine also lets
//! strangers' scripts send requests to loopback.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

use crate::api::handle;
use crate::cluster::Cluster;
use crate::status::ApiError;

/// How long requests in flight may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// A client whose requests never leave this process.
pub(crate) fn client(cluster: &Cluster, default_namespace: &str) -> kube::Client {
    let cluster = cluster.clone();
    let service = service_fn(move |request: http::Request<kube::client::Body>| {
        let cluster = cluster.clone();
        async move {
            let stop = cluster.inner.store.stopped().clone();
            Ok::<_, Infallible>(handle(cluster, stop, request.map(Body::new)).await)
        }
    });
    kube::Client::new(service, default_namespace)
}

/// The API for a listener; watches end at `stop`.
pub(crate) fn router(cluster: &Cluster, stop: &CancellationToken) -> Router {
    let (cluster, stop) = (cluster.clone(), stop.clone());
    Router::new().fallback(move |request: Request| {
        let (cluster, stop) = (cluster.clone(), stop.clone());
        async move { guarded(cluster, stop, request).await }
    })
}

/// Serves until `stop`, then lets requests in flight end.
pub(crate) async fn serve(
    cluster: &Cluster,
    listener: TcpListener,
    stop: CancellationToken,
) -> io::Result<()> {
    if !listener.local_addr()?.ip().is_loopback() {
        let message = "the built-in API has no authentication: listen on 127.0.0.1 or ::1";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
    }
    let app = router(cluster, &stop);
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        outcome = server => outcome,
        () = overdue => Ok(()),
    }
}

async fn guarded(cluster: Cluster, stop: CancellationToken, request: Request) -> Response {
    if from_elsewhere(request.headers()) {
        let message = "the built-in API answers programs on this machine only, not web pages";
        return ApiError::forbidden(message).into_response();
    }
    handle(cluster, stop, request).await
}

/// Whether a browser sent this for a page, or a name that is not ours led here.
fn from_elsewhere(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site") {
        return true;
    }
    let Some(host) = headers.get(header::HOST) else {
        return false;
    };
    let Ok(host) = host.to_str() else { return true };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    };
    let name = name.unwrap_or_default();
    let loopback = name
        .parse::<std::net::IpAddr>()
        .map(|address| address.is_loopback());
    !loopback.unwrap_or(name.eq_ignore_ascii_case("localhost"))
}
