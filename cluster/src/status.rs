//! Failures as the Kubernetes `Status` object that clients expect.
//!
//! Knows reasons and codes; never decides when one applies.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};

use crate::kinds::Resource;

/// Why a request was refused or failed; boxed because it is rare and large.
#[derive(Debug, Clone)]
pub(crate) struct ApiError(Box<Failure>);

#[derive(Debug, Clone)]
struct Failure {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Map<String, Value>,
}

/// One field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) field: String,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Cause {
    /// A field whose value does not keep its rule.
    pub(crate) fn value(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueInvalid",
            message: message.into(),
        }
    }

    /// A field that must be there.
    pub(crate) fn missing(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueRequired",
            message: message.into(),
        }
    }

    /// A field that may not be set or changed.
    pub(crate) fn forbidden(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: "FieldValueForbidden",
            message: message.into(),
        }
    }
}

impl ApiError {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Failure {
            code,
            reason,
            message,
            details: Map::new(),
        }))
    }

    fn about(mut self, resource: &Resource, name: &str) -> Self {
        let details = &mut self.0.details;
        details.insert("name".into(), name.into());
        if !resource.group.is_empty() {
            details.insert("group".into(), resource.group.as_str().into());
        }
        details.insert("kind".into(), resource.plural.as_str().into());
        self
    }

    fn causes(mut self, causes: &[Cause]) -> Self {
        let causes = causes
            .iter()
            .map(|c| json!({"reason": c.reason, "message": c.message, "field": c.field}))
            .collect();
        self.0.details.insert("causes".into(), Value::Array(causes));
        self
    }

    fn retry_after(mut self, secs: u32) -> Self {
        self.0
            .details
            .insert("retryAfterSeconds".into(), secs.into());
        self
    }

    /// The request itself cannot be understood.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    /// No such path.
    pub(crate) fn no_route() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }

    /// No such object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} not found", resource.qualified());
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(resource, name)
    }

    /// The path exists, the verb does not.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// The name is taken.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", resource.qualified());
        Self::new(StatusCode::CONFLICT, "AlreadyExists", message).about(resource, name)
    }

    /// The object is not in the state that the request presumes.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} {name:?}: {why}",
            resource.qualified()
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).about(resource, name)
    }

    /// The object was changed since it was read.
    pub(crate) fn stale(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Self::conflict(resource, name, why)
    }

    /// Fields of an applied object belong to other managers.
    pub(crate) fn apply_conflict(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let count = causes.len();
        let message = format!("Apply failed with {count} conflicts; force takes the fields over");
        Self::new(StatusCode::CONFLICT, "Conflict", message)
            .about(resource, name)
            .causes(causes)
    }

    /// Fields of the object break their rules.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        let list: Vec<String> = causes
            .iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let group = if resource.group.is_empty() {
            resource.kind.clone()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let message = format!("{group} {name:?} is invalid: {}", list.join("; "));
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
            .about(resource, name)
            .causes(causes)
    }

    /// Allowed never, or not in this state.
    pub(crate) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message)
    }

    /// Nothing can be created in a namespace that is going away.
    pub(crate) fn namespace_terminating(resource: &Resource, name: &str, ns: &str) -> Self {
        let message = format!(
            "{} {name:?} is forbidden: namespace {ns} is being terminated",
            resource.qualified()
        );
        let cause = Cause {
            field: "metadata.namespace".into(),
            reason: "NamespaceTerminating",
            message: format!("namespace {ns} is being terminated"),
        };
        Self::forbidden(message)
            .about(resource, name)
            .causes(&[cause])
    }

    /// The version asked for is no longer kept.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(StatusCode::GONE, "Expired", message)
    }

    /// The body is larger than an object may be.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("the request or the object it makes is larger than {limit} bytes");
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            message,
        )
    }

    /// The content type is not one that the verb takes.
    pub(crate) fn media_type(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    /// The server cannot take writes at the moment or any more.
    pub(crate) fn unavailable(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "ServiceUnavailable",
            message,
        )
        .retry_after(1)
    }

    /// The server failed; the object is as it was.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", message)
    }

    /// The disk is full; the object is as it was.
    pub(crate) fn disk_full(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "InternalError", message)
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let Failure {
            code,
            reason,
            message,
            details,
        } = &*self.0;
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
        });
        if let Value::Object(status) = &mut status {
            if !details.is_empty() {
                status.insert("details".into(), Value::Object(details.clone()));
            }
            status.insert("code".into(), code.as_u16().into());
        }
        status
    }

    /// The message alone, for logs.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = json_response(self.0.code, Body::from(self.status().to_string()));
        if let Some(secs) = self
            .0
            .details
            .get("retryAfterSeconds")
            .and_then(Value::as_u64)
        {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(secs));
        }
        response
    }
}

/// The `Status` object of a deletion that left nothing behind.
pub(crate) fn deleted(resource: &Resource, name: &str, uid: &str) -> Value {
    let mut details = Map::new();
    details.insert("name".into(), name.into());
    if !resource.group.is_empty() {
        details.insert("group".into(), resource.group.as_str().into());
    }
    details.insert("kind".into(), resource.plural.as_str().into());
    details.insert("uid".into(), uid.into());
    success(details)
}

/// The `Status` object of anything else that went well.
pub(crate) fn success(details: Map<String, Value>) -> Value {
    json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    })
}

/// A response with a JSON body.
pub(crate) fn json_response(code: StatusCode, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = code;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}
