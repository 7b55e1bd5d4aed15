//! HTTP clients of the `http` trigger: opened once for equal settings, so that connections are used again.
//! It sends nothing by itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tiphys_core::Secrets;
use tiphys_core::spec::TlsSpec;

use super::FireError;

/// How many are kept open.
const KEPT: usize = 32;

/// Clients by what they are opened with, so that triggers with equal settings share connections.
#[derive(Default)]
pub(crate) struct Clients {
    open: Mutex<HashMap<String, reqwest::Client>>,
}

impl Clients {
    /// A client for a timeout and TLS settings.
    pub(super) async fn client(
        &self,
        timeout_secs: Option<i64>,
        tls: Option<&TlsSpec>,
        secrets: &dyn Secrets,
    ) -> Result<reqwest::Client, FireError> {
        let failed = |error| FireError::permanent_from("cannot open an HTTP client", error);
        let seconds = timeout_secs
            .and_then(|secs| u64::try_from(secs).ok())
            .filter(|secs| *secs > 0);
        let timeout = Duration::from_secs(seconds.unwrap_or(60));
        let settings = serde_json::to_string(&tls)
            .map_err(|error| FireError::permanent_from("cannot open an HTTP client", error))?;
        let key = format!("{} {settings}", timeout.as_secs());
        if let Some(client) = self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&key)
        {
            return Ok(client.clone());
        }
        // The HTTP client takes the process's provider; one that is there already is kept.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut builder = reqwest::Client::builder().timeout(timeout);
        if let Some(tls) = tls {
            builder = configure(builder, tls, secrets).await?;
        }
        let client = builder.build().map_err(failed)?;
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Settings that change with every event must not pile up clients.
        if open.len() >= KEPT {
            open.clear();
        }
        open.insert(key, client.clone());
        Ok(client)
    }
}

async fn configure(
    mut builder: reqwest::ClientBuilder,
    tls: &TlsSpec,
    secrets: &dyn Secrets,
) -> Result<reqwest::ClientBuilder, FireError> {
    let failed = |error| FireError::permanent_from("cannot read the TLS settings", error);
    if tls.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(at) = &tls.ca_cert_secret {
        let bundle = secrets.secret(at).await.map_err(FireError::from_secret)?;
        let roots = reqwest::Certificate::from_pem_bundle(bundle.expose()).map_err(failed)?;
        builder = builder.tls_certs_only(roots);
    }
    if let (Some(cert), Some(key)) = (&tls.client_cert_secret, &tls.client_key_secret) {
        let cert = secrets.secret(cert).await.map_err(FireError::from_secret)?;
        let key = secrets.secret(key).await.map_err(FireError::from_secret)?;
        let pem = [key.expose(), b"\n", cert.expose()].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&pem).map_err(failed)?);
    }
    Ok(builder)
}

/// What no server would ever get is told before anything is sent, by a dry run too.
pub(super) fn sendable<'a>(
    url: &str,
    headers: impl Iterator<Item = &'a (String, String)>,
) -> Result<(), FireError> {
    let cannot = |why: String| Err(FireError::permanent_from("cannot build the request", why));
    match reqwest::Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => {}
        // It may hold a password.
        _ => return cannot("its url is no http or https URL".to_owned()),
    }
    for (name, value) in headers {
        if http::HeaderName::try_from(name).is_err() {
            return cannot(format!("{name:?} is no name of a header"));
        }
        if http::HeaderValue::try_from(value).is_err() {
            return cannot(format!("the header {name:?} cannot hold its value"));
        }
    }
    Ok(())
}
