//! Values from Secret and ConfigMap documents, else from the files that a pod has mounted, as Argo's pods have them.
//!
//! ```text
//! /argo-events/secrets/<name>/<key>    every Secret that the object refers to
//! /argo-events/config/<name>/<key>     every ConfigMap
//! /etc/eventbus/auth/auth.yaml         the credentials of the bus
//! ```
//!
//! It writes nothing, and asks no API.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tiphys_core::manifest::Document;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, SecretError, Secrets};

use super::{CONFIG, Name, SECRET, pick};

/// Values from Secret and ConfigMap documents beside the object, else from the files that a pod has mounted.
pub struct FileSecrets {
    documents: HashMap<Name, HashMap<String, Bytes>>,
    /// What a pod has as `/`.
    root: PathBuf,
    /// The reference whose value is mounted for the bus alone.
    access: Option<KeyRef>,
}

impl FileSecrets {
    /// Takes the Secrets and ConfigMaps among `documents`; `root` is the folder that pods have as `/`.
    #[must_use]
    pub fn new<'a>(documents: impl IntoIterator<Item = &'a Document>, root: PathBuf) -> Self {
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
                        STANDARD.decode(text.trim()).unwrap_or_default().into()
                    } else {
                        Bytes::from(text.to_owned())
                    };
                    data.insert(key.clone(), bytes);
                }
            }
        }
        Self {
            documents: all,
            root,
            access: None,
        }
    }

    /// Reads the value of this reference where pods find the credentials of their bus.
    #[must_use]
    pub fn with_access(mut self, access: Option<KeyRef>) -> Self {
        self.access = access;
        self
    }

    async fn value(&self, secret: bool, at: &KeyRef) -> Result<Bytes, SecretError> {
        let (kind, folder) = if secret {
            (SECRET, "argo-events/secrets")
        } else {
            (CONFIG, "argo-events/config")
        };
        let document = self.documents.get(&(secret, at.name.clone()));
        if document.is_some_and(|data| data.contains_key(&at.key)) {
            return pick(document, kind, at);
        }
        let absent = document.is_none();
        let plain =
            |name: &str| !name.is_empty() && !name.contains('/') && name != "." && name != "..";
        if !plain(&at.name) || !plain(&at.key) {
            return pick(document, kind, at);
        }
        let folder = self.root.join(folder).join(&at.name);
        if let Some(value) = read(&folder.join(&at.key), kind, at).await? {
            return Ok(value);
        }
        if secret && self.access.as_ref() == Some(at) {
            let path = self.root.join("etc/eventbus/auth/auth.yaml");
            if let Some(value) = read(&path, kind, at).await? {
                return Ok(value);
            }
        }
        let (name, key) = (at.name.clone(), at.key.clone());
        let mounted = tokio::fs::try_exists(&folder).await.unwrap_or(false);
        Err(if absent && !mounted {
            SecretError::Absent { kind, name, key }
        } else {
            SecretError::Missing { kind, name, key }
        })
    }
}

/// What a file holds; nothing where it is not there.
async fn read(path: &Path, kind: &'static str, at: &KeyRef) -> Result<Option<Bytes>, SecretError> {
    match tokio::fs::read(path).await {
        Ok(value) => Ok(Some(value.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SecretError::Unavailable {
            kind,
            name: at.name.clone(),
            source: Arc::new(source),
        }),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(name: &str, key: &str) -> KeyRef {
        KeyRef {
            name: name.to_owned(),
            key: key.to_owned(),
            optional: None,
        }
    }

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[tokio::test]
    async fn values_are_read_where_a_pod_has_them() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "argo-events/secrets/tokens/hook", "one\n");
        write(root.path(), "argo-events/config/words/greeting", "hello\n");
        write(root.path(), "etc/eventbus/auth/auth.yaml", "token: t\n");
        let secrets = FileSecrets::new([], root.path().to_owned())
            .with_access(Some(at("eventbus-default-client", "client-auth")));
        let found = secrets.secret(&at("tokens", "hook")).await;
        assert_eq!(found.ok().unwrap().expose(), b"one");
        let found = secrets.config(&at("words", "greeting")).await;
        assert_eq!(found.unwrap(), "hello\n");
        let access = at("eventbus-default-client", "client-auth");
        let found = secrets.secret(&access).await;
        assert_eq!(found.ok().unwrap().expose(), b"token: t");
    }

    #[tokio::test]
    async fn an_absent_object_and_an_absent_key_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "argo-events/secrets/tokens/hook", "one");
        let documents = tiphys_core::manifest::parse(
            "{kind: Secret, metadata: {name: beside}, stringData: {a: b}}",
        )
        .unwrap();
        let secrets = FileSecrets::new(&documents, root.path().to_owned());
        for (name, key, expected) in [
            ("tokens", "other", "secret \"tokens\" has no key \"other\""),
            ("beside", "other", "secret \"beside\" has no key \"other\""),
            (
                "none",
                "k",
                "secret \"none\" does not exist (its key \"k\" is needed)",
            ),
            ("..", "k", "secret \"..\" does not exist"),
        ] {
            let error = secrets.secret(&at(name, key)).await.err().unwrap();
            assert!(error.to_string().starts_with(expected), "{error}");
        }
    }
}
