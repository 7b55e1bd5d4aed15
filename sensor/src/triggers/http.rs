//! The `http` trigger: sends one request per firing.
//!
//! ```yaml
//! http:
//!   url: https://example.com/hello
//!   method: POST
//!   headers: {Content-Type: application/json}
//!   payload:
//!     - src: {dependencyName: hook, dataKey: body.message}
//!       dest: message
//! ```
//!
//! Without `policy.status` every answer of the server is a success, as in Argo. A server that cannot be reached is tried
//! again later, and the event is kept until then; a request can therefore arrive twice.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::{BasicAuthSpec, TlsSpec};
use tiphys_core::{Problems, Secrets};

use super::http_client::sendable;
use super::{Action, BuildContext, Effect, FireError, Fired, Firing, World};
use crate::changed;
use crate::parameters::{Dest, Parameter, apply};
use crate::payload;
use crate::spec::{ParameterSpec, Scope, TemplateEngine};

/// Sends an HTTP request.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct HttpSpec {
    /// Where to.
    pub url: String,
    /// The body; none where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<Vec<ParameterSpec>>,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsSpec>,
    /// GET, DELETE, PATCH, POST (default) or PUT.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// Changes this block for each firing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<ParameterSpec>,
    /// How long a request may take, in seconds; 60 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// A user and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuthSpec>,
    /// Headers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Headers from Secrets and ConfigMaps; they win over `headers`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secure_headers: Vec<SecureHeaderSpec>,
    /// Headers from the event; `dest` is the name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dynamic_headers: Vec<ParameterSpec>,
    /// The Host header.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub host: String,
}

/// A header from a Secret or ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SecureHeaderSpec {
    /// Its name.
    pub name: String,
    /// Where its value is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<ValueFromSpec>,
}

/// Where a value is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ValueFromSpec {
    /// A key of a Secret; wins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

impl SecureHeaderSpec {
    /// Reports everything wrong.
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.require("name", &self.name, " to the header's name");
        let source = self.value_from.as_ref();
        let secret = source.and_then(|from| from.secret_key_ref.as_ref());
        match secret.or(source.and_then(|from| from.config_map_key_ref.as_ref())) {
            Some(reference) => problems.at("valueFrom", |problems| reference.validate(problems)),
            None => problems.require_some("valueFrom", None::<&()>, ", with secretKeyRef"),
        }
    }
}

impl HttpSpec {
    /// Reports everything wrong.
    pub(crate) fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require("url", &self.url, ", as https://host/path");
        let web = |url: reqwest::Url| matches!(url.scheme(), "http" | "https");
        if !self.url.is_empty() && !reqwest::Url::parse(&self.url).is_ok_and(web) {
            problems.at("url", |problems| {
                problems
                    .warning("is no URL, unless a parameter changes it; write https://host/path");
            });
        }
        if self.timeout.is_some_and(|seconds| seconds < 0) {
            problems.at("timeout", |problems| {
                problems.error("must be 0 or more, in seconds; 0 stands for 60");
            });
        }
        problems.at("headers", |problems| {
            for (name, value) in &self.headers {
                problems.at(name, |problems| check_header(name, value, problems));
            }
        });
        let methods = ["", "GET", "DELETE", "PATCH", "POST", "PUT"];
        if !methods.contains(&self.method.as_str()) {
            problems.at("method", |problems| {
                problems.error("must be GET, DELETE, PATCH, POST or PUT");
            });
        }
        if let Some(payload) = &self.payload {
            scope.payload("payload", Some(payload), Dest::Optional, problems);
        }
        scope.parameters("parameters", &self.parameters, problems);
        scope.parameters("dynamicHeaders", &self.dynamic_headers, problems);
        problems.each(
            "secureHeaders",
            &self.secure_headers,
            SecureHeaderSpec::validate,
        );
        super::validate_tls(self.tls.as_ref(), problems);
        if let Some(basic) = &self.basic_auth {
            problems.at("basicAuth", |problems| {
                for (key, reference) in
                    [("username", &basic.username), ("password", &basic.password)]
                {
                    if let Some(reference) = reference {
                        problems.at(key, |problems| reference.validate(problems));
                    }
                }
            });
        }
    }

    pub(super) fn build(&self, cx: &BuildContext<'_>) -> Result<Box<dyn Action>, FireError> {
        let block = serde_json::to_vec(self)
            .map_err(|error| FireError::permanent_from("cannot write the http block", error))?;
        Ok(Box::new(HttpAction {
            block,
            parameters: Parameter::list(&self.parameters, cx.engine),
            prepared: Prepared::new(self.clone(), cx.engine),
            engine: cx.engine,
            allow: cx
                .policy
                .and_then(|policy| policy.status.as_ref())
                .and_then(|status| status.allow.clone()),
        }))
    }
}

/// What no request can carry is told before one is sent; what the connection tells by itself is passed over.
fn check_header(name: &str, value: &str, problems: &mut Problems) {
    if http::HeaderName::try_from(name).is_err() {
        problems.error("must be the name of a header: letters, digits and -");
    } else if http::HeaderValue::try_from(value).is_err() {
        problems.error("must be one line of text without control characters");
    } else if of_the_connection(name) {
        problems.warning("has no effect: host, payload and the connection tell it");
    }
}

/// Headers that follow from the request itself.
fn of_the_connection(name: &str) -> bool {
    ["host", "content-length", "transfer-encoding", "trailer"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

struct HttpAction {
    block: Vec<u8>,
    parameters: Vec<Parameter>,
    prepared: Prepared,
    engine: TemplateEngine,
    allow: Option<Vec<i32>>,
}

/// An http block and its compiled payload.
struct Prepared {
    spec: HttpSpec,
    payload: Vec<Parameter>,
    dynamic: Vec<Parameter>,
}

impl Prepared {
    fn new(spec: HttpSpec, engine: TemplateEngine) -> Self {
        let list = |list: &[ParameterSpec]| Parameter::list(list, engine);
        Self {
            payload: list(spec.payload.as_deref().unwrap_or_default()),
            dynamic: list(&spec.dynamic_headers),
            spec,
        }
    }

    fn request(&self, firing: &Firing<'_>, allow: Option<Vec<i32>>) -> Result<Send, FireError> {
        let Self {
            spec,
            payload,
            dynamic,
        } = self;
        let failed = |error| FireError::permanent_from("cannot build the request", error);
        let body = payload::build(payload, firing.events, firing.notes).map_err(failed)?;
        let mut headers: Vec<(String, String)> = spec
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        for header in dynamic {
            if let Some(value) = header
                .resolve(firing.events, firing.notes)
                .map_err(failed)?
            {
                put(&mut headers, &header.dest, value.text);
            }
        }
        let method = match spec.method.as_str() {
            "" => Method::POST,
            text => Method::from_bytes(text.as_bytes())
                .map_err(|error| FireError::permanent_from("cannot build the request", error))?,
        };
        let sent = headers.iter().filter(|(name, _)| !of_the_connection(name));
        sendable(&spec.url, sent)?;
        Ok(Send {
            method,
            spec: spec.clone(),
            headers,
            body,
            allow,
        })
    }
}

/// A later header replaces an earlier one of the same spelling.
fn put(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    match headers.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => headers.push((name.to_owned(), value)),
    }
}

impl Action for HttpAction {
    fn plan(
        &self,
        firing: &Firing<'_>,
        _fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError> {
        if self.parameters.is_empty() {
            return Ok(Box::new(self.prepared.request(firing, self.allow.clone())?));
        }
        let applied = apply(&self.parameters, &self.block, firing.events, firing.notes)
            .map_err(|error| FireError::permanent_from("cannot apply the parameters", error))?;
        let spec: HttpSpec = changed::read(&applied.document).map_err(|said| {
            FireError::permanent_from("cannot read the changed http block", said)
        })?;
        let prepared = Prepared::new(spec, self.engine);
        Ok(Box::new(prepared.request(firing, self.allow.clone())?))
    }
}

/// One request.
struct Send {
    method: Method,
    spec: HttpSpec,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    allow: Option<Vec<i32>>,
}

impl Send {
    async fn request(&self, world: &World) -> Result<reqwest::RequestBuilder, FireError> {
        let secrets = world.secrets.as_ref();
        let tls = self.spec.tls.as_ref();
        let client = world.http.client(self.spec.timeout, tls, secrets).await?;
        let mut headers = self.headers.clone();
        for header in &self.spec.secure_headers {
            let value = secure_value(header, world.secrets.as_ref()).await?;
            put(&mut headers, &header.name, value);
        }
        let mut request = client.request(self.method.clone(), &self.spec.url);
        for (name, value) in headers {
            // A user and a password replace what else speaks of authorization.
            let replaced =
                self.spec.basic_auth.is_some() && name.eq_ignore_ascii_case("authorization");
            if !of_the_connection(&name) && !replaced {
                request = request.header(name, value);
            }
        }
        if !self.spec.host.is_empty() {
            request = request.header(http::header::HOST, &self.spec.host);
        }
        if let Some(basic) = &self.spec.basic_auth {
            let user = secret_text(basic.username.as_ref(), world.secrets.as_ref()).await?;
            let password = secret_text(basic.password.as_ref(), world.secrets.as_ref()).await?;
            let token = STANDARD.encode(format!("{user}:{password}"));
            let mut value = http::HeaderValue::try_from(format!("Basic {token}"))
                .map_err(|error| FireError::permanent_from("cannot send the password", error))?;
            value.set_sensitive(true);
            request = request.header(http::header::AUTHORIZATION, value);
        }
        if self.spec.payload.is_some() {
            request = request.body(self.body.clone());
        }
        Ok(request)
    }
}

async fn secret_text(at: Option<&KeyRef>, secrets: &dyn Secrets) -> Result<String, FireError> {
    let Some(at) = at else {
        return Ok(String::new());
    };
    let secret = secrets.secret(at).await.map_err(FireError::from_secret)?;
    let text = secret.expose_str();
    text.map(str::to_owned)
        .ok_or_else(|| FireError::permanent(format!("secret {:?} is no text", at.name)))
}

async fn secure_value(
    header: &SecureHeaderSpec,
    secrets: &dyn Secrets,
) -> Result<String, FireError> {
    let source = header.value_from.clone().unwrap_or_default();
    if let Some(at) = &source.secret_key_ref {
        return secret_text(Some(at), secrets).await;
    }
    let Some(at) = &source.config_map_key_ref else {
        return Err(FireError::permanent(format!(
            "header {:?} has no value",
            header.name
        )));
    };
    let value = secrets.config(at).await.map_err(FireError::from_secret)?;
    String::from_utf8(value.to_vec())
        .map_err(|error| FireError::permanent_from("cannot send a header", error))
}

#[async_trait]
impl Effect for Send {
    fn show(&self) -> Vec<u8> {
        let mut headers: BTreeMap<&str, &str> = BTreeMap::new();
        headers.extend(
            self.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        headers.extend(
            self.spec
                .secure_headers
                .iter()
                .map(|header| (header.name.as_str(), "***")),
        );
        let shown = serde_json::json!({
            "method": self.method.as_str(),
            "url": self.spec.url,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
        });
        shown.to_string().into_bytes()
    }

    async fn perform(&self, world: &World) -> Result<Fired, FireError> {
        let url = &self.spec.url;
        tracing::info!(url = without_secrets(url), "Making a http request...");
        let request = self.request(world).await?;
        let response = request.send().await.map_err(|error| {
            let what = format!("cannot send the request to {}", without_secrets(url));
            let error = error.without_url();
            if error.is_builder() || error.is_redirect() {
                FireError::permanent_from(what, error)
            } else {
                FireError::transient(what, error)
            }
        })?;
        let status = response.status().as_u16();
        drain(response).await;
        match &self.allow {
            Some(allow) if !allow.contains(&i32::from(status)) => Err(refused(status)),
            _ => Ok(Fired::Responded { status }),
        }
    }
}

/// A server that is busy or failing is tried again later; another answer stays the same.
fn refused(status: u16) -> FireError {
    let what = "policy application resulted in failure".to_owned();
    let source = format!("http response status {status} is not allowed");
    match status {
        408 | 429 | 500..=599 => FireError::transient(what, source),
        _ => FireError::permanent_from(what, source),
    }
}

/// Reads a short answer to its end, so that the connection can be used again.
async fn drain(mut response: reqwest::Response) {
    let mut left = 64 << 10;
    while let Ok(Some(chunk)) = response.chunk().await {
        left -= chunk.len().min(left);
        if left == 0 {
            break;
        }
    }
}

fn without_secrets(url: &str) -> String {
    match reqwest::Url::parse(url) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => "an address that is no URL".to_owned(),
    }
}
