//! `webhook` receives HTTP requests of any sender and makes an event of each.
//!
//! ```yaml
//! apiVersion: argoproj.io/v1alpha1
//! kind: EventSource
//! metadata:
//!   name: webhook
//! spec:
//!   service:
//!     ports:
//!     - port: 12000
//!       targetPort: 12000
//!   webhook:
//!     example:
//!       port: "12000"
//!       endpoint: /example
//!       method: POST
//! ```
//!
//! **Delivery**: status 200, with the id of the event in `X-Event-Id`, means that the bus has stored it.
//! Any other status means that it is not known to be stored: send it again.
//! Replicas: many, because each request reaches one of them.
//!
//! | status | meaning |
//! | --- | --- |
//! | 200 `success` | stored; without `X-Event-Id`: dropped by `filter`, or a batch |
//! | 400 | the body cannot be read; the answer says where |
//! | 401 | `authSecret` is set, and the request shows no token or another one |
//! | 404, 405 | no event has this path, or none has this method (`Allow` names the others) |
//! | 408, 413 | the body came too slowly, or is longer than `maxPayloadSize` |
//! | 415 | JSON or a form arrives compressed |
//! | 500 | the bus refuses this event for good |
//! | 503 | the bus is away or full, or the token cannot be looked up: try again after `Retry-After` |
//!
//! Every answer but 200 is JSON, `{"error": "…"}`. `GET /health` answers 200 on every port.
//!
//! **Security**: with `serverCertSecret` and `serverKeySecret` the port speaks HTTPS, HTTP/2 included.
//! `authSecret` asks for `Authorization: Bearer <token>`. Certificates and tokens are read again while the source
//! runs, so rotation needs no restart. The value of `Authorization` is masked in the event.
//!
//! **Ports** are shared by all events of the process that name them. Of two events that ask for the same requests
//! the earlier object's is served, and the other one reports that.
//!
//! **Event data**: `{"header": {"Name": ["value"]}, "body": …}`, and `metadata` where the spec has it.
//! What `body` is depends on the request:
//!
//! | request | `body` |
//! | --- | --- |
//! | method GET | the query, an object of lists of strings |
//! | `Content-Type: application/x-www-form-urlencoded` | the fields, an object of lists of strings |
//! | a body that is JSON, whatever its content type says | that JSON, digits and key order kept |
//! | no content type or a JSON one, and the body is not JSON | none: status 400 with the place of the mistake |
//! | any other content type | the bytes as a base64 string, and `"bodyEncoding": "base64"` beside it |
//!
//! JSON may nest 499 levels deep.
//!
//! **CloudEvents** keep id, type and time, in binary (`ce-*` headers), structured (`application/cloudevents+json`)
//! and batch mode (`application/cloudevents-batch+json`); `body` is the data of the CloudEvent, `null` without any.
//! The event's source and subject stay the names of EventSource and event, because sensors select by them:
//! the sender's own go to the extensions `cesource` and `cesubject`, a data schema to `cedataschema`.
//! An event that is sent again with the same source and id is stored once.

mod body;
mod cloudevents;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Request};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::context::WebhookContext;
use crate::headers;
use crate::json;
use crate::source::{Accepted, BuildError, Draft, Hook, Rejection, Replicas, Source, SourceSpec};
use crate::spec::FilterSpec;

/// An event that any HTTP client can send.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Webhook {
    /// The path: `/example`, or with parameters, `/{project}/start` or `/{id:[0-9]+}`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub endpoint: String,
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`. Default `POST`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The port to listen on, in quotes. Events may share a port.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub port: String,
    /// The URL under which senders reach this endpoint; for people only.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// The certificate chain for HTTPS, PEM; needs `serverKeySecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_cert_secret: Option<KeyRef>,
    /// The private key for HTTPS, PEM; needs `serverCertSecret`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_key_secret: Option<KeyRef>,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The token that a sender must show as `Authorization: Bearer <token>`. It is read at use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_secret: Option<KeyRef>,
    /// The longest body in bytes. Default 1048576.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_payload_size: Option<i64>,
    /// Drops events that do not meet a condition; their senders get success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl Webhook {
    fn context(&self) -> WebhookContext {
        let Self {
            endpoint,
            method,
            port,
            url,
            server_cert_secret,
            server_key_secret,
            metadata: _,
            auth_secret,
            max_payload_size,
            filter: _,
        } = self.clone();
        WebhookContext {
            endpoint,
            method,
            port,
            url,
            server_cert_secret,
            server_key_secret,
            metadata: BTreeMap::new(),
            auth_secret,
            max_payload_size,
        }
    }

    fn method(&self, problems: &mut Problems) -> Option<Method> {
        let method = match self.method.to_ascii_uppercase().as_str() {
            "" | "POST" => Method::POST,
            "GET" => Method::GET,
            "PUT" => Method::PUT,
            "PATCH" => Method::PATCH,
            "DELETE" => Method::DELETE,
            _ => {
                problems.error("must be one of GET, POST, PUT, PATCH, DELETE");
                return None;
            }
        };
        if !self.method.is_empty() && self.method != method.as_str() {
            problems.warning(format!(
                "must be in capitals for Argo Events; write {method}"
            ));
        }
        Some(method)
    }
}

impl SourceSpec for Webhook {
    const KIND: &'static str = "webhook";
    const REPLICAS: Replicas = Replicas::Many;

    fn validate(&self, problems: &mut Problems) {
        let method = problems.at("method", |problems| self.method(problems));
        self.context().at(method, problems);
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }

    fn build(&self) -> Result<Source, BuildError> {
        let mut problems = Problems::default();
        let method = self.method(&mut problems);
        let at = self.context().at(method, &mut problems);
        match at {
            Some(at) if !problems.has_errors() => Ok(Source::Hook {
                at,
                hook: Box::new(GenericHook::new(&self.metadata)),
            }),
            _ => Err(BuildError::Spec(problems.errors())),
        }
    }
}

/// Makes the event data of any request.
struct GenericHook {
    /// `,"metadata":{…}}` or `}`: how each event's data ends.
    tail: Vec<u8>,
}

impl GenericHook {
    fn new(metadata: &BTreeMap<String, String>) -> Self {
        let mut tail = Vec::new();
        if !metadata.is_empty() {
            tail.extend_from_slice(b",\"metadata\":{");
            for (index, (key, value)) in metadata.iter().enumerate() {
                if index > 0 {
                    tail.push(b',');
                }
                json::write_string(key.as_bytes(), &mut tail);
                tail.push(b':');
                json::write_string(value.as_bytes(), &mut tail);
            }
            tail.push(b'}');
        }
        tail.push(b'}');
        Self { tail }
    }

    /// The event data around what `body` appends for its member.
    fn data<E>(
        &self,
        request: &Request<Bytes>,
        size: usize,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let mut out = Vec::with_capacity(512 + size + self.tail.len());
        out.extend_from_slice(b"{\"header\":");
        headers::write(request.headers(), &mut out);
        out.extend_from_slice(b",\"body\":");
        body(&mut out)?;
        out.extend_from_slice(&self.tail);
        Ok(out.into())
    }
}

impl Hook for GenericHook {
    fn accept(&self, request: &Request<Bytes>) -> Result<Accepted, Rejection> {
        body::check_encoding(request)?;
        let size = request.body().len();
        match cloudevents::Mode::of(request.headers()) {
            None => {
                let data = self.data(request, size, |out| body::write(request, out))?;
                Ok(Accepted::One(Draft { data, sender: None }))
            }
            Some(cloudevents::Mode::Binary) => {
                let sender = cloudevents::from_headers(request.headers())?;
                let data = self.data(request, size, |out| body::write_data(request, out))?;
                Ok(Accepted::One(Draft {
                    data,
                    sender: Some(Box::new(sender)),
                }))
            }
            Some(cloudevents::Mode::Structured) => {
                let event = cloudevents::from_json(body::text(request.body())?)?;
                Ok(Accepted::One(self.structured(request, event)?))
            }
            Some(cloudevents::Mode::Batch) => {
                let events = cloudevents::batch(body::text(request.body())?)?;
                let drafts = events
                    .into_iter()
                    .map(|event| self.structured(request, event));
                Ok(Accepted::Many(drafts.collect::<Result<_, _>>()?))
            }
        }
    }
}

impl GenericHook {
    fn structured(
        &self,
        request: &Request<Bytes>,
        event: cloudevents::Structured<'_>,
    ) -> Result<Draft, Rejection> {
        let size = event.data.size();
        let data = self.data(request, size, |out| event.data.write(out))?;
        Ok(Draft {
            data,
            sender: Some(Box::new(event.attributes)),
        })
    }
}

#[cfg(test)]
mod tests;
