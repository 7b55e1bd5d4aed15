//! A client of the API server that counts its requests. It changes none of them.

use std::task;

use axum::http::{Method, Request, Response};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};
use tiphys_core::metrics::Metrics;
use tower::{Service, layer};

/// A client whose requests are in `metrics`, by method and answer.
///
/// # Errors
/// As `Client::try_from`.
pub fn client(config: Config, metrics: &Metrics) -> Result<Client, kube::Error> {
    let metrics = metrics.clone();
    let counted = layer::layer_fn(move |inner| Counted {
        inner,
        metrics: metrics.clone(),
    });
    Ok(ClientBuilder::try_from(config)?
        .with_layer(&counted)
        .build())
}

#[derive(Clone)]
struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, B> Service<Request<Body>> for Counted<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> task::Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = word(request.method());
        let metrics = self.metrics.clone();
        let answer = self.inner.call(request);
        answer
            .inspect(move |answer| {
                let code = match answer {
                    Ok(response) => metrics.api_requests(method, response.status().as_str()),
                    Err(_) => metrics.api_requests(method, "none"),
                };
                code.inc();
            })
            .boxed()
    }
}

/// Only methods that are known: a label has few values.
fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn requests_are_counted_by_method_and_answer() {
        let metrics = Metrics::try_new("0").unwrap();
        let answers = |request: Request<Body>| async move {
            if request.uri().path() == "/away" {
                return Err(std::io::Error::other("nobody there"));
            }
            let absent = request.uri().path() == "/absent";
            let status = if absent { 404 } else { 200 };
            Ok(Response::builder().status(status).body(()).unwrap())
        };
        let counted = Counted {
            inner: tower::service_fn(answers),
            metrics: metrics.clone(),
        };
        for (method, path) in [
            ("GET", "/"),
            ("GET", "/"),
            ("PATCH", "/absent"),
            ("BREW", "/away"),
        ] {
            let request = Request::builder().method(method).uri(path);
            let request = request.body(Body::empty()).unwrap();
            let answer = counted.clone().oneshot(request).await;
            assert_eq!(answer.is_err(), path == "/away");
        }
        let count = |method, code| metrics.api_requests(method, code).get();
        assert_eq!(count("GET", "200"), 2);
        assert_eq!(count("PATCH", "404"), 1);
        assert_eq!(count("other", "none"), 1);
    }
}
