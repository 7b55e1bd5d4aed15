//! Where the object of a trigger is read from when the spec does not hold it: a config map, a file, a web server, a
//! git repository, a bucket. Each is confined: bounded in size and time, and to the places that the spec allows.
//!
//! ```text
//! ArtifactSpec ──Found::new──▶ Here(text) │ Elsewhere(Source) ──Artifacts::read──▶ bytes
//! ```
//!
//! It never looks into what it reads.

mod file;
mod git;
mod github_app;
mod network;
mod private;
mod s3;
mod url;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tiphys_core::Secrets;
use tiphys_core::refs::KeyRef;

use crate::spec::ArtifactSpec;
use crate::triggers::FireError;
use file::File;
use git::{Around, Git, Kept};
use network::Network;
use s3::S3;
use url::Url;

pub(crate) use file::check as check_file;
pub(crate) use git::{NEEDS_KEY as NEEDS_SSH_KEY, Place as GitPlace};
pub(crate) use private::{PRIVATE_ADDRESSES_ANNOTATION, PrivateAddresses};
pub(crate) use s3::{check_bucket, check_key, endpoint as check_endpoint};
pub(crate) use url::check as check_http;

/// No Kubernetes object is larger than this, whatever brings it.
const LARGEST: usize = 1_572_864;

/// How long one reading may take in all.
const LIMIT: Duration = Duration::from_secs(30);

/// Where an object is.
pub(crate) enum Found {
    /// In the spec.
    Here(Bytes),
    /// It is read when the trigger fires.
    Elsewhere(Source),
}

/// A place outside of the spec.
#[derive(Clone)]
pub(crate) enum Source {
    /// A key of a ConfigMap.
    Config(KeyRef),
    /// A file beside the process.
    File(File),
    /// A file on a web server.
    Url(Url),
    /// A file in a git repository.
    Git(Box<Git>),
    /// An object in a bucket.
    S3(Box<S3>),
}

impl Found {
    /// Of several places the first wins, in this order. `written` is the source before parameters changed it: what an
    /// event says is trusted less than what the spec says.
    pub(crate) fn new(
        source: &ArtifactSpec,
        written: Option<&ArtifactSpec>,
    ) -> Result<Self, FireError> {
        let ArtifactSpec {
            s3,
            inline,
            file,
            url,
            git,
            configmap,
            resource,
        } = source;
        if let Some(s3) = s3 {
            let written = written.and_then(|written| written.s3.as_ref());
            let s3 = S3::new(s3, written)?;
            return Ok(Self::Elsewhere(Source::S3(Box::new(s3))));
        }
        if let Some(text) = inline {
            return Ok(Self::Here(Bytes::copy_from_slice(text.as_bytes())));
        }
        if let Some(file) = file {
            let written = written.and_then(|written| written.file.as_ref());
            return File::new(file, written).map(|file| Self::Elsewhere(Source::File(file)));
        }
        if let Some(url) = url {
            return Url::new(url).map(|url| Self::Elsewhere(Source::Url(url)));
        }
        if let Some(git) = git {
            return Git::new(git).map(|git| Self::Elsewhere(Source::Git(Box::new(git))));
        }
        if let Some(config) = configmap {
            return Ok(Self::Elsewhere(Source::Config(KeyRef {
                name: config.name.clone(),
                key: config.key.clone(),
                optional: config.optional,
            })));
        }
        match resource {
            Some(object) => Ok(Self::Here(object.to_string().into())),
            None => Err(FireError::permanent(
                "unknown artifact location: the source names none",
            )),
        }
    }
}

impl Source {
    /// The place for people.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Config(at) => format!("key {:?} of config map {:?}", at.key, at.name),
            Self::File(file) => file.shown(),
            Self::Url(url) => url.shown(),
            Self::Git(git) => git.shown(),
            Self::S3(s3) => s3.shown(),
        }
    }
}

/// Reads sources for one sensor.
pub(crate) struct Artifacts {
    network: Network,
    kept: Kept,
    known_hosts: Arc<[PathBuf]>,
}

impl Artifacts {
    /// With these private addresses allowed, and ssh servers known by these files.
    pub(crate) fn new(private: PrivateAddresses, known_hosts: Arc<[PathBuf]>) -> Self {
        Self {
            network: Network::new(private),
            kept: Kept::default(),
            known_hosts,
        }
    }

    /// The bytes of a source, read now.
    pub(crate) async fn read(
        &self,
        source: &Source,
        secrets: &dyn Secrets,
    ) -> Result<Bytes, FireError> {
        let read = async {
            match source {
                Source::Config(at) => secrets.config(at).await.map_err(FireError::from_secret),
                Source::File(file) => file.read().await,
                Source::Url(url) => url.read(&self.network).await,
                Source::Git(git) => {
                    git.read(&Around {
                        network: &self.network,
                        kept: &self.kept,
                        secrets,
                        known_hosts: &self.known_hosts,
                    })
                    .await
                }
                Source::S3(s3) => s3.read(&self.network, secrets).await,
            }
        };
        let read = tokio::time::timeout(LIMIT, read).await;
        read.unwrap_or_else(|elapsed| {
            Err(FireError::transient(cannot_read(source.shown()), elapsed))
        })
    }
}

fn cannot_read(shown: impl std::fmt::Display) -> String {
    format!("cannot read the trigger source from {shown}")
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_app;
#[cfg(test)]
mod tests_git;
#[cfg(test)]
mod tests_ssh;
