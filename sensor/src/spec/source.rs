//! Where the object of a `k8s` or `argoWorkflow` trigger is read from. Types and their validation; it opens nothing.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;

use crate::artifacts::{
    GitPlace, NEEDS_SSH_KEY, check_bucket, check_endpoint, check_file, check_http, check_key,
};

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
    /// A private key for ssh; the key `known_hosts` of the same Secret may hold the server's host keys.
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
    /// Takes whatever host key the ssh server shows.
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
                must("path", path, |path| check_file(path).map(drop), problems);
            });
        }
        if let Some(url) = url {
            problems.at("url", |problems| url.validate(problems));
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

/// Reports a text that is set and not as it must be; one that is not set was reported before, or comes later.
fn must(
    key: &str,
    text: &str,
    check: impl FnOnce(&str) -> Result<(), String>,
    problems: &mut Problems,
) {
    if text.is_empty() {
        return;
    }
    if let Err(why) = check(text) {
        problems.at(key, |problems| problems.error(why));
    }
}

impl UrlSourceSpec {
    fn validate(&self, problems: &mut Problems) {
        let Self { path, verify_cert } = self;
        problems.require("path", path, ", as https://host/file.yaml");
        must("path", path, |path| check_http(path).map(drop), problems);
        if *verify_cert == Some(false) {
            problems.at("verifyCert", |problems| {
                problems.warning(
                    "is false, so that anybody between here and the server can send another object",
                );
            });
        }
    }
}

impl S3SourceSpec {
    fn validate(&self, problems: &mut Problems) {
        let insecure = self.insecure;
        problems.require("endpoint", &self.endpoint, ", as host:port");
        let endpoint = |text: &str| check_endpoint(text, insecure).map(drop);
        must("endpoint", &self.endpoint, endpoint, problems);
        match &self.bucket {
            Some(bucket) => problems.at("bucket", |problems| {
                problems.require("name", &bucket.name, " to the bucket's name");
                problems.require("key", &bucket.key, " to the object in it");
                must("name", &bucket.name, check_bucket, problems);
                must("key", &bucket.key, check_key, problems);
            }),
            None => problems.require_some("bucket", None::<&()>, ", as {name, key}"),
        }
        for (key, reference) in [
            ("accessKey", &self.access_key),
            ("secretKey", &self.secret_key),
        ] {
            problems.require_some(key, reference.as_ref(), ", as {name, key} of a Secret");
        }
        for (key, reference) in [
            ("accessKey", &self.access_key),
            ("secretKey", &self.secret_key),
            ("caCertificate", &self.ca_certificate),
        ] {
            validate_reference(key, reference.as_ref(), problems);
        }
        if insecure && self.ca_certificate.is_some() {
            problems.at("caCertificate", |problems| {
                problems.warning("has no effect beside insecure: true");
            });
        }
    }
}

fn validate_reference(key: &str, reference: Option<&KeyRef>, problems: &mut Problems) {
    if let Some(reference) = reference {
        problems.at(key, |problems| reference.validate(problems));
    }
}

impl GitSourceSpec {
    fn validate(&self, problems: &mut Problems) {
        let Self {
            url,
            clone_directory,
            file_path,
            creds,
            github_app,
            ssh_key_secret,
            branch,
            tag,
            reference,
            remote,
            insecure_ignore_host_key,
        } = self;
        let at =
            |text: &str| GitPlace::parse(text).map_or_else(|must| Err(must.to_owned()), |_| Ok(()));
        problems.require("url", url, " to the repository");
        must("url", url, at, problems);
        problems.require("filePath", file_path, " to a file in the repository");
        for (key, path) in [("filePath", file_path), ("cloneDirectory", clone_directory)] {
            if let Some(bad) = ["..", "~", "\\"].iter().find(|bad| path.contains(**bad)) {
                problems.at(key, |problems| {
                    problems.error(format!("must not contain {bad:?}"));
                });
            }
        }
        let chosen = [("ref", reference), ("tag", tag), ("branch", branch)];
        let mut set = chosen.into_iter().filter(|(_, text)| !text.is_empty());
        if let Some((first, _)) = set.next() {
            for (key, _) in set {
                problems.at(key, |problems| {
                    problems.warning(format!("has no effect beside {first}"));
                });
            }
        }
        if let Some(remote) = remote {
            problems.at("remote", |problems| {
                problems.at("urls", |problems| {
                    for (index, url) in remote.urls.iter().enumerate() {
                        problems.at_index(index, |problems| {
                            if let Err(why) = at(url) {
                                problems.error(why);
                            }
                        });
                    }
                });
            });
        }
        if let Some(creds) = creds {
            problems.at("creds", |problems| {
                validate_reference("username", creds.username.as_ref(), problems);
                validate_reference("password", creds.password.as_ref(), problems);
            });
        }
        if let Some(app) = github_app {
            problems.at("githubApp", |problems| {
                let key = app.private_key.as_ref();
                problems.require_some("privateKey", key, ", as {name, key} of a Secret");
                validate_reference("privateKey", key, problems);
                for (name, number) in [
                    ("appID", app.app_id),
                    ("installationID", app.installation_id),
                ] {
                    if number <= 0 {
                        problems.at(name, |problems| problems.error("must be set to its number"));
                    }
                }
                if creds.is_some() {
                    problems.warning("has no effect beside creds");
                }
            });
        }
        validate_reference("sshKeySecret", ssh_key_secret.as_ref(), problems);
        let further = remote.iter().flat_map(|remote| &remote.urls);
        let places: Vec<GitPlace> = further
            .chain([url])
            .filter_map(|text| GitPlace::parse(text).ok())
            .collect();
        if places.iter().any(GitPlace::is_ssh) {
            if ssh_key_secret.is_none() {
                problems.at("sshKeySecret", |problems| problems.error(NEEDS_SSH_KEY));
            }
            let no_http = places.iter().all(GitPlace::is_ssh);
            for (key, set) in [
                ("creds", creds.is_some()),
                ("githubApp", github_app.is_some()),
            ] {
                if set && no_http {
                    problems.at(key, |problems| {
                        problems.warning("has no effect: the url is of ssh");
                    });
                }
            }
        } else if !places.is_empty() {
            for (key, set) in [
                ("sshKeySecret", ssh_key_secret.is_some()),
                ("insecureIgnoreHostKey", *insecure_ignore_host_key),
            ] {
                if set {
                    problems.at(key, |problems| {
                        problems.warning("has no effect: the url is not of ssh");
                    });
                }
            }
        }
    }
}
