//! The HTTP face: a method, a path and a body become a verb on objects.
//!
//! Reads bodies within their limit and picks the verb; the verbs themselves are elsewhere.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cluster::Cluster;
use crate::discovery;
use crate::list::list;
use crate::objects::{self, DeleteOptions, Scope, namespace_name};
use crate::openapi;
use crate::patch::{Patch, yaml};
use crate::request::{ObjectPath, Params, Route, Target, dry_run};
use crate::selector::Selector;
use crate::status::{ApiError, Cause, json_response};
use crate::store::{Dry, Key, MAX_OBJECT_BYTES, Reply, Txn};
use crate::watch::watch;

/// Answers one request; watches end at `stop`.
pub(crate) async fn handle(
    cluster: Cluster,
    stop: CancellationToken,
    request: Request,
) -> Response {
    match answer(&cluster, stop, request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::debug!(
                status = error.message(),
                "request on the built-in API refused"
            );
            error.into_response()
        }
    }
}

async fn answer(
    cluster: &Cluster,
    stop: CancellationToken,
    request: Request,
) -> Result<Response, ApiError> {
    let route = Route::parse(request.uri().path()).ok_or_else(ApiError::no_route)?;
    let registry = &cluster.inner.registry;
    let found = match route {
        Route::Objects(path) => return objects(cluster, stop, path, request).await,
        _ if request.method() != Method::GET && request.method() != Method::HEAD => {
            return Err(ApiError::method_not_allowed());
        }
        Route::Health => return Ok("ok".into_response()),
        Route::Version => Some(discovery::version()),
        Route::OpenApi => Some(openapi::index(registry)),
        Route::OpenApiDocument(root) => openapi::document(registry, &root),
        Route::CoreVersions => Some(discovery::core_versions()),
        Route::Groups => Some(discovery::groups(registry)),
        Route::Group(group) => discovery::group(registry, &group),
        Route::Resources { group, version } => discovery::resources(registry, &group, &version),
    };
    let found = found.ok_or_else(ApiError::no_route)?;
    Ok(json_response(StatusCode::OK, found.to_string()))
}

async fn objects(
    cluster: &Cluster,
    stop: CancellationToken,
    path: ObjectPath,
    request: Request,
) -> Result<Response, ApiError> {
    let ObjectPath {
        group,
        version,
        namespace,
        plural,
        name,
        subresource,
    } = path;
    let resource = cluster.inner.registry.find(&group, &version, &plural);
    let resource = resource.ok_or_else(ApiError::no_route)?;
    if namespace.is_some() && !resource.namespaced {
        return Err(ApiError::no_route());
    }
    if let Some(namespace) = &namespace {
        namespace_name(namespace).map_err(|why| {
            let cause = Cause::value("metadata.namespace", format!("{namespace:?} {why}"));
            ApiError::invalid(&resource, name.as_deref().unwrap_or_default(), &[cause])
        })?;
    }
    let params = Params::parse(request.uri())?;
    let target = Target {
        resource,
        namespace,
    };
    let verb = Verb {
        cluster,
        target,
        params,
        stop,
    };
    match (name, subresource.as_deref()) {
        (None, _) => verb.collection(request).await,
        (Some(name), _) if verb.target.resource.namespaced && verb.target.namespace.is_none() => {
            Err(ApiError::not_found(&verb.target.resource, &name))
        }
        (Some(name), None) => verb.object(name, Scope::Object, request).await,
        (Some(name), Some("status")) if verb.target.resource.status => {
            verb.object(name, Scope::Status, request).await
        }
        (Some(name), Some("finalize")) if verb.target.resource.is_core("Namespace") => {
            verb.object(name, Scope::Object, request).await
        }
        (Some(name), Some("log")) if verb.target.resource.is_core("Pod") => {
            verb.log(&name, request.method()).await
        }
        _ => Err(ApiError::no_route()),
    }
}

/// A request whose path is understood.
struct Verb<'a> {
    cluster: &'a Cluster,
    target: Target,
    params: Params,
    stop: CancellationToken,
}

impl Verb<'_> {
    async fn collection(self, request: Request) -> Result<Response, ApiError> {
        let Self {
            cluster,
            target,
            params,
            stop,
        } = self;
        let store = &cluster.inner.store;
        match *request.method() {
            Method::GET | Method::HEAD => {
                let selector = selector(&params)?;
                if params.flag("watch")? {
                    watch(&cluster.inner, &target, selector, &params, stop)
                } else {
                    list(store, &target, &selector, &params)
                }
            }
            Method::POST => {
                if target.resource.namespaced && target.namespace.is_none() {
                    return Err(ApiError::method_not_allowed());
                }
                let dry = params.dry_run()?;
                let object = document(request).await?;
                let op = move |txn: &mut Txn<'_>| objects::create(txn, &target, object);
                Ok(respond(store.write(dry, op).await?))
            }
            Method::DELETE => {
                let selector = selector(&params)?;
                let (options, dry) = delete_options(&params, request).await?;
                let op =
                    move |txn: &mut Txn<'_>| objects::delete_all(txn, &target, &selector, &options);
                Ok(respond(store.write(dry, op).await?))
            }
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    async fn object(
        self,
        name: String,
        scope: Scope,
        request: Request,
    ) -> Result<Response, ApiError> {
        let Self {
            cluster,
            target,
            params,
            stop: _,
        } = self;
        let store = &cluster.inner.store;
        match *request.method() {
            Method::GET | Method::HEAD => {
                let key = Key::new(target.namespace.as_deref().unwrap_or_default(), name);
                let found = store
                    .read()
                    .get(&target.resource.table, &key)
                    .map(Arc::clone);
                let found =
                    found.ok_or_else(|| ApiError::not_found(&target.resource, &key.name))?;
                Ok(json_response(StatusCode::OK, found.bytes.clone()))
            }
            Method::PUT => {
                let dry = params.dry_run()?;
                let object = document(request).await?;
                let op =
                    move |txn: &mut Txn<'_>| objects::replace(txn, &target, &name, scope, object);
                Ok(respond(store.write(dry, op).await?))
            }
            Method::PATCH => {
                let dry = params.dry_run()?;
                let media_type = media_type(request.headers()).unwrap_or_default();
                let body = body(request).await?;
                let patch = Patch::parse(&target.resource, &media_type, &body, &params)?;
                let op =
                    move |txn: &mut Txn<'_>| objects::patch(txn, &target, &name, scope, &patch);
                Ok(respond(store.write(dry, op).await?))
            }
            Method::DELETE if scope == Scope::Object => {
                let (options, dry) = delete_options(&params, request).await?;
                let op = move |txn: &mut Txn<'_>| objects::delete(txn, &target, &name, &options);
                Ok(respond(store.write(dry, op).await?))
            }
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    async fn log(self, pod: &str, method: &Method) -> Result<Response, ApiError> {
        if method != Method::GET {
            return Err(ApiError::method_not_allowed());
        }
        let namespace = self.target.namespace.as_deref().unwrap_or_default();
        let container = self.params.text("container");
        let text = match &self.cluster.logs {
            Some(logs) => logs.read(namespace, pod, container).await,
            None => None,
        };
        let text = text.ok_or_else(|| ApiError::not_found(&self.target.resource, pod))?;
        let mut response = Response::new(Body::from(text));
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, plain);
        Ok(response)
    }
}

fn respond(reply: Reply) -> Response {
    json_response(reply.code, reply.body)
}

fn selector(params: &Params) -> Result<Selector, ApiError> {
    Selector::parse(params.text("labelSelector"), params.text("fieldSelector"))
        .map_err(|why| ApiError::bad_request(format!("cannot read the selector: {why}")))
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase(),
    )
}

async fn body(request: Request) -> Result<Bytes, ApiError> {
    let body = Limited::new(request.into_body(), MAX_OBJECT_BYTES);
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::too_large(MAX_OBJECT_BYTES)),
        Err(error) => Err(ApiError::bad_request(format!(
            "cannot read the body: {error}"
        ))),
    }
}

/// The body as an object, in JSON or YAML as its type says.
async fn document(request: Request) -> Result<Value, ApiError> {
    let media_type = media_type(request.headers());
    let body = body(request).await?;
    match media_type.as_deref() {
        None | Some("application/json") => {
            let value = serde_json::from_slice(&body).map_err(|error| {
                ApiError::bad_request(format!("cannot read the body as JSON: {error}"))
            })?;
            objects::check_depth(&value)?;
            Ok(value)
        }
        Some("application/yaml") => yaml(&body),
        Some(other) => Err(ApiError::media_type(format!(
            "the content type must be application/json or application/yaml, not {other:?}"
        ))),
    }
}

async fn delete_options(
    params: &Params,
    request: Request,
) -> Result<(DeleteOptions, Dry), ApiError> {
    let body = body(request).await?;
    let mut options = DeleteOptions::default();
    if !body.is_empty() {
        options = serde_json::from_slice(&body)
            .map_err(|error| ApiError::bad_request(format!("cannot read the options: {error}")))?;
    }
    if let Some(policy) = params.text("propagationPolicy") {
        options.propagation_policy = Some(policy.to_owned());
    }
    let mut dry = params.dry_run()?;
    for directive in options.dry_run.iter().flatten() {
        dry = dry_run(Some(directive))?;
    }
    Ok((options, dry))
}
