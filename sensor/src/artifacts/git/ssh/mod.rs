//! A repository behind ssh: one connection, and in it `git upload-pack`, which answers question after question. The
//! server is known by its host key before anything is said to it, and a key is never sent, only used for signing.

mod bounded;
mod checker;
mod key;
mod known_hosts;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::client::{self, AuthResult, Config, Handle, Msg};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg};
use russh::{Channel, ChannelMsg, Disconnect, Preferred, SshId};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::lines::{Come, Ending, WireError, line, short};
use super::place::SshPlace;
use super::remote::{MOST_PACK, MOST_REFS};
use crate::triggers::FireError;
use bounded::Bounded;
use checker::{Checker, SshError};

pub(super) use key::read as read_key;
pub(super) use known_hosts::Expected;

/// How much one connection may bring in all: the references, the way to a file, and the file.
const MOST: usize = MOST_REFS + 2 * MOST_PACK + 1024 * 1024;

/// How much of what a server complains is kept.
const MOST_SAID: usize = 4096;

/// A connection on which nothing happens is given up; whoever waits gives up before.
const SILENT: Duration = Duration::from_secs(60);

/// A server that takes no more words is left without any.
const GOODBYE: Duration = Duration::from_secs(1);

/// Where an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With the last of its lines; the connection stays.
    Flush,
    /// With the server's last word.
    Closed,
}

/// Who somebody is for a server.
pub(super) struct Identity {
    pub(super) key: PrivateKey,
    /// Where the key is from, for people.
    pub(super) from: String,
}

/// `git upload-pack` on an ssh server.
pub(super) struct Ssh {
    handle: Handle<Checker>,
    channel: Channel<Msg>,
    alive: DropGuard,
    what: String,
    complaint: Vec<u8>,
    status: Option<u32>,
}

/// Why the server's git does not answer.
#[derive(Debug, thiserror::Error)]
enum GitError {
    #[error(
        "the server refuses user {user:?} with the key of {from}: give it the public key to {fingerprint}, with the \
         right to read this repository"
    )]
    Refused {
        user: String,
        from: String,
        fingerprint: String,
    },
    #[error("the server runs no git-upload-pack for user {0:?}")]
    NoGit(String),
    #[error("the server has closed the connection without an answer{0}")]
    Closed(String),
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Ssh {
    /// Lets the server show its key, shows who we are, and starts git there; returned with its first answer.
    pub(super) async fn open(
        stream: TcpStream,
        place: &SshPlace,
        identity: Identity,
        expected: Expected,
        what: &str,
    ) -> Result<(Self, Bytes), FireError> {
        let failed = |error| failed(what, error);
        let alive = CancellationToken::new();
        let stream = Bounded::new(stream, MOST, alive.clone());
        let alive = alive.drop_guard();
        let config = Arc::new(config(&expected));
        let connected = client::connect_stream(config, stream, Checker(expected)).await;
        let mut handle = connected.map_err(failed)?;
        let SshPlace { user, path, .. } = place;
        authenticate(&mut handle, user, identity, what).await?;
        let opened = handle.channel_open_session().await;
        let channel = opened.map_err(|error| failed(error.into()))?;
        let mut ssh = Self {
            handle,
            channel,
            alive,
            what: what.to_owned(),
            complaint: Vec::new(),
            status: None,
        };
        ssh.start(path)
            .await
            .map_err(|error| failed(error.into()))?;
        let said = ssh.answer(End::Flush, MOST_REFS, user).await?;
        Ok((ssh, said))
    }

    async fn start(&self, path: &str) -> Result<(), russh::Error> {
        // A server that does not know the word answers in the first version of the protocol.
        let (name, version) = ("GIT_PROTOCOL", "version=2");
        self.channel.set_env(false, name, version).await?;
        let command = format!("git-upload-pack {}", quoted(path));
        self.channel.exec(true, command).await
    }

    /// Sends a question, and reads the answer.
    pub(super) async fn ask(
        &mut self,
        body: Vec<u8>,
        end: End,
        most: usize,
    ) -> Result<Bytes, FireError> {
        let sent = self.channel.data_bytes(body).await;
        sent.map_err(|error| failed(&self.what, error.into()))?;
        self.answer(end, most, "").await
    }

    async fn answer(&mut self, end: End, most: usize, user: &str) -> Result<Bytes, FireError> {
        let mut came = BytesMut::new();
        let mut ending = Ending::default();
        while let Some(message) = self.channel.wait().await {
            match message {
                ChannelMsg::Data { data } if came.len() + data.len() > most => {
                    return Err(self.permanent(GitError::TooLarge(most)));
                }
                ChannelMsg::Data { data } => {
                    came.extend_from_slice(&data);
                    if end == End::Flush {
                        match ending.look(&came) {
                            Come::Partly => {}
                            Come::Whole => return Ok(came.freeze()),
                            Come::NoLine => return Err(self.permanent(told(&came))),
                        }
                    }
                }
                ChannelMsg::ExtendedData { data, .. } => {
                    let room = MOST_SAID.saturating_sub(self.complaint.len());
                    self.complaint.extend(data.iter().take(room));
                }
                ChannelMsg::ExitStatus { exit_status } => self.status = Some(exit_status),
                ChannelMsg::Failure => {
                    return Err(self.permanent(GitError::NoGit(user.to_owned())));
                }
                ChannelMsg::Close => break,
                _ => {}
            }
        }
        let good = self.status.is_none_or(|status| status == 0);
        if end == End::Closed && good && !came.is_empty() {
            return Ok(came.freeze());
        }
        Err(self.why(came.freeze()))
    }

    /// Why an answer ended before its end.
    fn why(&self, mut came: Bytes) -> FireError {
        loop {
            match line(&mut came) {
                Ok(Some(_)) => {}
                Err(error @ WireError::Said(_)) => return self.permanent(error),
                _ => break,
            }
        }
        if !self.complaint.is_empty() {
            return self.permanent(told(&self.complaint));
        }
        match self.status {
            Some(status) => {
                let status = format!(", with exit code {status}");
                self.permanent(GitError::Closed(status))
            }
            None => FireError::transient(self.what.clone(), GitError::Closed(String::new())),
        }
    }

    fn permanent(&self, error: impl std::error::Error + Send + Sync + 'static) -> FireError {
        FireError::permanent_from(self.what.clone(), error)
    }

    /// Says goodbye, so that the server does not have to wonder. What was read is good without it.
    pub(super) async fn close(self) {
        let goodbye = async {
            self.channel.data_bytes(Bytes::from_static(b"0000")).await?;
            let reason = Disconnect::ByApplication;
            self.handle.disconnect(reason, "", "").await
        };
        let said = tokio::time::timeout(GOODBYE, goodbye).await;
        if matches!(said, Ok(Ok(()))) {
            // It is sent after this. A connection that hangs then is silent, and ends for that.
            self.alive.disarm();
        }
    }
}

/// A text of the server, as an error.
fn told(said: &[u8]) -> WireError {
    WireError::Said(short(said))
}

fn config(expected: &Expected) -> Config {
    Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-tiphys_",
            env!("CARGO_PKG_VERSION")
        ))),
        preferred: Preferred {
            key: Cow::Owned(expected.kinds()),
            ..Preferred::DEFAULT
        },
        inactivity_timeout: Some(SILENT),
        nodelay: true,
        ..Config::default()
    }
}

async fn authenticate(
    handle: &mut Handle<Checker>,
    user: &str,
    identity: Identity,
    what: &str,
) -> Result<(), FireError> {
    let Identity { key, from } = identity;
    let fingerprint = key.public_key().fingerprint(HashAlg::Sha256).to_string();
    let key = Arc::new(key);
    // SHA-1, which the oldest servers ask for, is not used.
    let hashes: &[Option<HashAlg>] = match key.algorithm().is_rsa() {
        true => &[Some(HashAlg::Sha512), Some(HashAlg::Sha256)],
        false => &[None],
    };
    for hash in hashes {
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&key), *hash);
        let asked = handle.authenticate_publickey(user, key).await;
        match asked.map_err(|error| failed(what, error.into()))? {
            AuthResult::Success => return Ok(()),
            // A connection that breaks is reported as a refusal that leaves nothing to try.
            AuthResult::Failure {
                remaining_methods, ..
            } if remaining_methods.is_empty() && handle.is_closed() => {
                return Err(failed(what, russh::Error::Disconnect.into()));
            }
            AuthResult::Failure { .. } => {}
        }
    }
    let refused = GitError::Refused {
        user: user.to_owned(),
        from,
        fingerprint,
    };
    Err(FireError::permanent_from(what, refused))
}

/// Sorts a failure: what the network does may pass, what the two sides are stays so.
fn failed(what: &str, error: SshError) -> FireError {
    use russh::Error as E;
    let passes = match &error {
        SshError::HostKey(_) | SshError::Unasked => false,
        SshError::Protocol(error) => matches!(
            error,
            E::IO(_)
                | E::HUP
                | E::Disconnect
                | E::SendError
                | E::ConnectionTimeout
                | E::InactivityTimeout
                | E::Elapsed(_)
                | E::Join(_)
        ),
    };
    if passes {
        return FireError::transient(what, error);
    }
    FireError::permanent_from(what, error)
}

/// A path as one word of the shell that the server may hand it to.
fn quoted(path: &str) -> String {
    let mut out = String::from("'");
    for c in path.chars() {
        match c {
            '\'' | '!' => out.extend(["'\\", c.encode_utf8(&mut [0; 4]), "'"]),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_for_a_shell() {
        for path in [
            "/o/r.git",
            "o/it's!.git",
            "~me/$(touch x)`y`;z",
            "a b\\c\"d",
        ] {
            let script = format!("printf %s {}", quoted(path));
            let mut shell = std::process::Command::new("sh");
            let output = shell.args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), path);
        }
    }
}
