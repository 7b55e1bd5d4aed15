//! Secret and config map values: from the API, or from files where there is no API.
//! Values are never logged and are kept for seconds only.

mod files;
pub(crate) mod references;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::core::v1::{ConfigMap, Secret as SecretObject};
use kube::{Api, Client};
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, SecretError, Secrets};
use tokio::time::Instant;

pub use files::FileSecrets;

/// A rotated value is seen after so long at the latest; a busy source asks once in that time.
const FRESH: Duration = Duration::from_secs(5);

const SECRET: &str = "secret";
const CONFIG: &str = "config map";

/// Whether it is a Secret, and the object's name.
type Name = (bool, String);

/// When an object was read, and what it held; `None` where there is none.
type Read = (Instant, Option<HashMap<String, Bytes>>);

/// Values of one namespace, read through the API.
pub struct ApiSecrets {
    client: Client,
    namespace: String,
    cache: Mutex<HashMap<Name, Read>>,
}

impl ApiSecrets {
    /// Values of `namespace`.
    #[must_use]
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
            cache: Mutex::default(),
        }
    }

    async fn value(&self, secret: bool, at: &KeyRef) -> Result<Bytes, SecretError> {
        let kind = if secret { SECRET } else { CONFIG };
        let key = (secret, at.name.clone());
        let cached = {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            let fresh = cache.get(&key);
            fresh
                .filter(|(read, _)| read.elapsed() < FRESH)
                .map(|(_, data)| pick(data.as_ref(), kind, at))
        };
        if let Some(cached) = cached {
            return cached;
        }
        let data =
            self.read(secret, &at.name)
                .await
                .map_err(|source| SecretError::Unavailable {
                    kind,
                    name: at.name.clone(),
                    source: Arc::new(source),
                })?;
        let value = pick(data.as_ref(), kind, at);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, (read, _)| read.elapsed() < FRESH);
        cache.insert(key, (Instant::now(), data));
        value
    }

    async fn read(
        &self,
        secret: bool,
        name: &str,
    ) -> Result<Option<HashMap<String, Bytes>>, kube::Error> {
        if secret {
            let api = Api::<SecretObject>::namespaced(self.client.clone(), &self.namespace);
            let found = api.get_opt(name).await?;
            return Ok(found.map(|object| {
                let mut data: HashMap<_, _> = object
                    .data
                    .unwrap_or_default()
                    .into_iter()
                    .map(|(key, value)| (key, Bytes::from(value.0)))
                    .collect();
                // A real API server folds `stringData` into `data`.
                data.extend(
                    object
                        .string_data
                        .unwrap_or_default()
                        .into_iter()
                        .map(|(key, text)| (key, Bytes::from(text))),
                );
                data
            }));
        }
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), &self.namespace);
        let found = api.get_opt(name).await?;
        Ok(found.map(|object| {
            let text = object
                .data
                .unwrap_or_default()
                .into_iter()
                .map(|(key, text)| (key, Bytes::from(text)));
            let binary = object
                .binary_data
                .unwrap_or_default()
                .into_iter()
                .map(|(key, value)| (key, Bytes::from(value.0)));
            text.chain(binary).collect()
        }))
    }
}

/// One key of an object that was read, or which of the two is missing.
fn pick(
    data: Option<&HashMap<String, Bytes>>,
    kind: &'static str,
    at: &KeyRef,
) -> Result<Bytes, SecretError> {
    let (name, key) = (at.name.clone(), at.key.clone());
    match data.map(|data| data.get(&at.key)) {
        None => Err(SecretError::Absent { kind, name, key }),
        Some(None) => Err(SecretError::Missing { kind, name, key }),
        Some(Some(value)) => Ok(value.clone()),
    }
}

#[async_trait]
impl Secrets for ApiSecrets {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(self.value(true, at).await?))
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        self.value(false, at).await
    }
}
