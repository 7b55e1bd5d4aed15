//! Secret and config map values: from the API, or from files where there is no API.
//! Values are never logged and are kept for seconds only.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use bytes::Bytes;
use k8s_openapi::api::core::v1::{ConfigMap, Secret as SecretObject};
use kube::{Api, Client};
use tiphys_core::manifest::Document;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, SecretError, Secrets};
use tokio::time::Instant;

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
        let missing = || SecretError::Missing {
            kind,
            name: at.name.clone(),
            key: at.key.clone(),
        };
        let key = (secret, at.name.clone());
        let cached = {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache
                .get(&key)
                .filter(|(read, _)| read.elapsed() < FRESH)
                .map(|(_, data)| data.as_ref().and_then(|data| data.get(&at.key)).cloned())
        };
        if let Some(cached) = cached {
            return cached.ok_or_else(missing);
        }
        let data =
            self.read(secret, &at.name)
                .await
                .map_err(|source| SecretError::Unavailable {
                    kind,
                    name: at.name.clone(),
                    source: Arc::new(source),
                })?;
        let value = data.as_ref().and_then(|data| data.get(&at.key)).cloned();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|_, (read, _)| read.elapsed() < FRESH);
        cache.insert(key, (Instant::now(), data));
        value.ok_or_else(missing)
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

#[async_trait]
impl Secrets for ApiSecrets {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(self.value(true, at).await?))
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        self.value(false, at).await
    }
}

/// Values from Secret and ConfigMap documents beside the object, else from the files that a pod has mounted.
pub struct FileSecrets {
    documents: HashMap<Name, HashMap<String, Bytes>>,
    mounts: PathBuf,
}

impl FileSecrets {
    /// Takes the Secrets and ConfigMaps among `documents`; `mounts` is where pods find theirs, `/argo-events`.
    #[must_use]
    pub fn new<'a>(documents: impl IntoIterator<Item = &'a Document>, mounts: PathBuf) -> Self {
        let mut all = HashMap::new();
        for document in documents {
            let secret = match document.kind() {
                "Secret" => true,
                "ConfigMap" => false,
                _ => continue,
            };
            let data: &mut HashMap<String, Bytes> =
                all.entry((secret, document.name().to_owned())).or_default();
            for (member, encoded) in [
                ("data", secret),
                ("binaryData", true),
                ("stringData", false),
            ] {
                let Some(map) = document.object.get(member).and_then(|map| map.as_object()) else {
                    continue;
                };
                for (key, value) in map {
                    let text = value.as_str().unwrap_or_default();
                    let bytes = if encoded {
                        base64::engine::general_purpose::STANDARD
                            .decode(text.trim())
                            .unwrap_or_default()
                            .into()
                    } else {
                        Bytes::from(text.to_owned())
                    };
                    data.insert(key.clone(), bytes);
                }
            }
        }
        Self {
            documents: all,
            mounts,
        }
    }

    async fn value(&self, secret: bool, at: &KeyRef) -> Result<Bytes, SecretError> {
        if let Some(value) = self
            .documents
            .get(&(secret, at.name.clone()))
            .and_then(|data| data.get(&at.key))
        {
            return Ok(value.clone());
        }
        let (kind, folder) = if secret {
            (SECRET, "secrets")
        } else {
            (CONFIG, "config")
        };
        let plain =
            |name: &str| !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        let missing = || SecretError::Missing {
            kind,
            name: at.name.clone(),
            key: at.key.clone(),
        };
        if !plain(&at.name) || !plain(&at.key) {
            return Err(missing());
        }
        let read = tokio::fs::read(self.mounts.join(folder).join(&at.name).join(&at.key)).await;
        match read {
            Ok(value) => Ok(value.into()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(missing()),
            Err(source) => Err(SecretError::Unavailable {
                kind,
                name: at.name.clone(),
                source: Arc::new(source),
            }),
        }
    }
}

#[async_trait]
impl Secrets for FileSecrets {
    async fn secret(&self, at: &KeyRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(self.value(true, at).await?))
    }

    async fn config(&self, at: &KeyRef) -> Result<Bytes, SecretError> {
        self.value(false, at).await
    }
}
