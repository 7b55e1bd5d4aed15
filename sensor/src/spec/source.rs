//! Where the object of a `k8s` or `argoWorkflow` trigger is read from. Types and their validation; it opens nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

/// Where an object is read from; of several the first in the order s3, inline, file, url, git, configmap, resource.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ArtifactSpec {
    /// An S3 bucket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<S3SourceSpec>,
    /// YAML or JSON as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// A file of the sensor's pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSourceSpec>,
    /// A web server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<UrlSourceSpec>,
    /// A git repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub git: Option<GitSourceSpec>,
    /// A ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configmap: Option<ConfigMapSourceSpec>,
    /// The object itself; its members keep their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub resource: Option<Value>,
}

/// The schema of a member that may be any object.
pub(crate) fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct S3SourceSpec {
    /// The server, as `host:port`.
    pub endpoint: String,
    /// The bucket and the key in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketSpec>,
    /// The region.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub region: String,
    /// Plain HTTP.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// The access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<KeyRef>,
    /// The secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<KeyRef>,
    /// Of the shared type; not used by a trigger.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Of the shared type; not used by a trigger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub filter: Option<Value>,
    /// Of the shared type; not used by a trigger.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// A PEM bundle that the server's certificate is checked against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_certificate: Option<KeyRef>,
}

/// A bucket and a key in it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct BucketSpec {
    /// The bucket.
    pub name: String,
    /// The key.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// A file of the sensor's pod.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FileSourceSpec {
    /// Its path.
    pub path: String,
}

/// A file on a web server.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct UrlSourceSpec {
    /// The whole URL.
    pub path: String,
    /// Whether the server's certificate is checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verify_cert: Option<bool>,
}

/// One key of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ConfigMapSourceSpec {
    /// The ConfigMap.
    pub name: String,
    /// The key in it.
    pub key: String,
    /// Kept for Argo's YAML; a missing value is an error all the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

/// A file in a git repository.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GitSourceSpec {
    /// The repository.
    pub url: String,
    /// Where it is cloned to.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub clone_directory: String,
    /// The file in it.
    pub file_path: String,
    /// A user and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creds: Option<GitCredsSpec>,
    /// The private key of a GitHub app.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_app: Option<GithubAppSpec>,
    /// A private key for ssh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssh_key_secret: Option<KeyRef>,
    /// A branch; `master` where nothing is said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub branch: String,
    /// A tag; wins over `branch`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub tag: String,
    /// A full reference name; wins over `tag`.
    #[serde(rename = "ref", skip_serializing_if = "String::is_empty")]
    pub reference: String,
    /// A further remote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<GitRemoteSpec>,
    /// Does not check the ssh server's key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure_ignore_host_key: bool,
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GitCredsSpec {
    /// The user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<KeyRef>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<KeyRef>,
}

/// A GitHub app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GithubAppSpec {
    /// Its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<KeyRef>,
    /// Its number.
    #[serde(rename = "appID")]
    pub app_id: i64,
    /// The number of its installation.
    #[serde(rename = "installationID")]
    pub installation_id: i64,
}

/// A git remote.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GitRemoteSpec {
    /// Its name.
    pub name: String,
    /// Its addresses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

impl ArtifactSpec {
    /// Reports a source that names nothing, several, or an object that cannot be one.
    pub(crate) fn validate(&self, problems: &mut Problems) {
        let Self {
            s3,
            inline,
            file,
            url,
            git,
            configmap,
            resource,
        } = self;
        let set: Vec<&str> = [
            ("s3", s3.is_some()),
            ("inline", inline.is_some()),
            ("file", file.is_some()),
            ("url", url.is_some()),
            ("git", git.is_some()),
            ("configmap", configmap.is_some()),
            ("resource", resource.is_some()),
        ]
        .into_iter()
        .filter_map(|(name, present)| present.then_some(name))
        .collect();
        match set.as_slice() {
            [] => problems.error(
                "must say where the object is: resource, inline, configmap, url, git, s3 or file",
            ),
            [_] => {}
            [first, ..] => {
                problems.warning(format!("names {}; only {first} is used", set.join(" and ")));
            }
        }
        if let Some(s3) = s3 {
            problems.at("s3", |problems| s3.validate(problems));
        }
        if let Some(text) = inline {
            problems.at("inline", |problems| inline_object(text, problems));
        }
        if let Some(FileSourceSpec { path }) = file {
            problems.at("file", |problems| {
                problems.require("path", path, " to a file of the sensor's pod");
            });
        }
        if let Some(UrlSourceSpec { path, .. }) = url {
            problems.at("url", |problems| {
                problems.require("path", path, ", as https://host/file.yaml");
            });
        }
        if let Some(git) = git {
            problems.at("git", |problems| git.validate(problems));
        }
        if let Some(ConfigMapSourceSpec { name, key, .. }) = configmap {
            problems.at("configmap", |problems| {
                problems.require("name", name, " to the name of the ConfigMap");
                problems.require("key", key, " to a key in it");
            });
        }
        if let Some(object) = resource {
            problems.at("resource", |problems| object_shape(object, problems));
        }
    }
}

fn inline_object(text: &str, problems: &mut Problems) {
    match tiphys_core::manifest::parse(text) {
        Err(error) => {
            let (line, column) = error.position.map_or((1, 1), |at| (at.line, at.column));
            problems.error_inside(line, column, format!("must be YAML: {}", error.message));
        }
        Ok(documents) => match documents.as_slice() {
            [document] => object_shape(&document.object, problems),
            [] => problems.error("must hold an object"),
            _ => problems.error("must hold one object, not several documents"),
        },
    }
}

/// Parameters can still change the rest of the object, so only what makes it an object is asked for.
fn object_shape(object: &Value, problems: &mut Problems) {
    if !object.is_object() {
        problems.error("must be a Kubernetes object with apiVersion and kind");
        return;
    }
    for key in ["apiVersion", "kind"] {
        let text = object.get(key).and_then(Value::as_str).unwrap_or_default();
        problems.require(key, text, ", as in every Kubernetes object");
    }
}

impl S3SourceSpec {
    fn validate(&self, problems: &mut Problems) {
        problems.require("endpoint", &self.endpoint, ", as host:port");
        match &self.bucket {
            Some(bucket) => problems.at("bucket", |problems| {
                problems.require("name", &bucket.name, " to the bucket's name");
                problems.require("key", &bucket.key, " to the object in it");
            }),
            None => problems.require_some("bucket", None::<&()>, ", as {name, key}"),
        }
        for (key, reference) in [
            ("accessKey", &self.access_key),
            ("secretKey", &self.secret_key),
        ] {
            problems.require_some(key, reference.as_ref(), ", as {name, key} of a Secret");
            if let Some(reference) = reference {
                problems.at(key, |problems| reference.validate(problems));
            }
        }
    }
}

impl GitSourceSpec {
    fn validate(&self, problems: &mut Problems) {
        problems.require("url", &self.url, " to the repository");
        problems.require("filePath", &self.file_path, " to a file in the repository");
        for (key, path) in [
            ("filePath", &self.file_path),
            ("cloneDirectory", &self.clone_directory),
        ] {
            if let Some(bad) = ["..", "~", "\\"].iter().find(|bad| path.contains(**bad)) {
                problems.at(key, |problems| {
                    problems.error(format!("must not contain {bad:?}"));
                });
            }
        }
    }
}
