//! The way into a repository behind ssh: the private key of a Secret, and the host keys by which the server is known.

use tiphys_core::SecretError;
use tiphys_core::refs::KeyRef;
use tokio::io::AsyncReadExt as _;

use super::Around;
use super::place::SshPlace;
use super::remote::{Remote, Way};
use super::ssh::{self, Expected, Identity, Ssh};
use crate::triggers::FireError;

/// The key of a Secret that has the host keys of the servers that its ssh key is for.
const KNOWN_HOSTS: &str = "known_hosts";

/// How much of a file of host keys is looked at.
const MOST_KNOWN_HOSTS: u64 = 4 * 1024 * 1024;

/// How an ssh server is entered.
#[derive(Clone)]
pub(super) struct Access {
    /// The private key.
    pub(super) key: KeyRef,
    /// Whoever answers is trusted.
    pub(super) any_host_key: bool,
}

impl Access {
    /// Connects, makes sure of the server, and starts git there.
    pub(super) async fn open(
        &self,
        place: &SshPlace,
        around: &Around<'_>,
        what: String,
    ) -> Result<Remote, FireError> {
        let at = &self.key;
        let secret = around.secrets.secret(at).await;
        let secret = secret.map_err(FireError::from_secret)?;
        let from = format!("key {:?} of secret {:?}", at.key, at.name);
        let key = ssh::read_key(&secret).map_err(|error| {
            FireError::permanent_from(format!("{what}: cannot use {from}"), error)
        })?;
        let expected = self.expected(place, around).await?;
        let SshPlace { host, port, .. } = place;
        let stream = around.network.connect(host, *port, &what).await?;
        let identity = Identity { key, from };
        let opened = Box::pin(Ssh::open(stream, place, identity, expected, &what)).await;
        let (ssh, said) = opened?;
        Remote::new(Way::Ssh(Box::new(ssh)), said, what)
    }

    /// The host keys that a server may show: of the Secret that has the key, of the files that ssh itself looks into,
    /// and of the large forges.
    async fn expected(&self, place: &SshPlace, around: &Around<'_>) -> Result<Expected, FireError> {
        let at = &self.key;
        let line = format!("under the key {KNOWN_HOSTS:?} of the Secret {:?}", at.name);
        let mut expected = Expected::new(&place.host, place.port, line);
        let beside = KeyRef {
            key: KNOWN_HOSTS.to_owned(),
            ..at.clone()
        };
        match around.secrets.secret(&beside).await {
            Ok(text) => {
                let from = format!("key {KNOWN_HOSTS:?} of secret {:?}", at.name);
                expected.learn(&String::from_utf8_lossy(text.expose()), &from);
            }
            Err(SecretError::Absent { .. } | SecretError::Missing { .. }) => {}
            Err(error) => return Err(FireError::from_secret(error)),
        }
        for path in around.known_hosts {
            let mut text = Vec::new();
            // As ssh does: a file that is not there, or not for us, says nothing.
            let read = async {
                let file = tokio::fs::File::open(path).await?;
                file.take(MOST_KNOWN_HOSTS).read_to_end(&mut text).await
            };
            match read.await {
                Ok(_) => {
                    expected.learn(&String::from_utf8_lossy(&text), &path.display().to_string());
                }
                Err(error) => tracing::debug!(path = %path.display(), %error, "no known hosts"),
            }
        }
        expected.learn_forges();
        if self.any_host_key {
            expected.take_any();
        }
        Ok(expected)
    }
}
