//! What is asked of a git server, whichever way it is reached: which commit a reference names, and a pack without
//! history. Version 2 of the protocol, and the first one where a server knows no other. It never sends anything but
//! questions.

use bytes::Bytes;

use super::answers::{Speaks, advertised, listing, packed};
use super::http::Http;
use super::lines::{WireError, packet};
use super::oid::Oid;
use super::pack::Pack;
use super::ssh::{End, Ssh};
use crate::triggers::FireError;

/// How large the list of references may be; only servers without version 2 send all.
pub(super) const MOST_REFS: usize = 32 * 1024 * 1024;

/// How large a pack may be.
pub(super) const MOST_PACK: usize = 64 * 1024 * 1024;

const AGENT: &str = concat!("agent=tiphys/", env!("CARGO_PKG_VERSION"));

/// How a server is reached.
pub(super) enum Way {
    /// By requests.
    Http(Http),
    /// By a connection that stays open.
    Ssh(Box<Ssh>),
}

/// A repository on a server.
pub(super) struct Remote {
    way: Way,
    what: String,
    speaks: Speaks,
}

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// A commit without its history, and where the server can, without the files' contents.
    Commit,
    /// One file's contents.
    Blob,
}

impl Remote {
    /// A server that has said what it speaks.
    pub(super) fn new(way: Way, said: Bytes, what: String) -> Result<Self, FireError> {
        match advertised(said) {
            Ok(speaks) => Ok(Self { way, what, speaks }),
            Err(error) => Err(FireError::permanent_from(what, error)),
        }
    }

    /// Leaves the server.
    pub(super) async fn close(self) {
        match self.way {
            Way::Http(_) => {}
            Way::Ssh(ssh) => ssh.close().await,
        }
    }

    fn failed(&self, error: WireError) -> FireError {
        FireError::permanent_from(self.what.clone(), error)
    }

    async fn ask(&mut self, body: Vec<u8>, most: usize) -> Result<Bytes, FireError> {
        match &mut self.way {
            Way::Http(http) => http.ask(body, most).await,
            Way::Ssh(ssh) => {
                let end = match self.speaks {
                    Speaks::Second { .. } => End::Flush,
                    // The pack may come as it is, and is the last thing that comes.
                    Speaks::First { .. } => End::Closed,
                };
                ssh.ask(body, end, most).await
            }
        }
    }

    /// The commit, or the tag of one, that a reference names.
    pub(super) async fn resolve(&mut self, wanted: &str) -> Result<Oid, FireError> {
        let listed;
        let refs = match &self.speaks {
            Speaks::First { refs, .. } => refs,
            Speaks::Second { sha1, .. } => {
                let prefix = format!("ref-prefix {wanted}\n");
                let mut body = command("ls-refs", *sha1);
                for line in ["symrefs\n", &prefix, "ref-prefix HEAD\n"] {
                    packet(&mut body, line);
                }
                body.extend_from_slice(b"0000");
                let answer = self.ask(body, MOST_REFS).await?;
                listed = listing(answer).map_err(|error| self.failed(error))?;
                &listed
            }
        };
        let named = |name: &str| refs.iter().find(|(_, found)| found == name);
        if let Some((oid, _)) = named(wanted) {
            return Ok(*oid);
        }
        let remedy = refs
            .iter()
            .find_map(|(_, name)| name.strip_prefix("HEAD refs/heads/"))
            .map(|head| format!("; its default branch is {head:?}: set branch to it"))
            .unwrap_or_default();
        Err(self.failed(WireError::NoRef {
            wanted: wanted.to_owned(),
            remedy,
        }))
    }

    /// A pack with an object.
    pub(super) async fn fetch(&mut self, oid: Oid, want: Want) -> Result<Pack, FireError> {
        let mut body;
        match &self.speaks {
            Speaks::Second { filter, sha1 } => {
                body = command("fetch", *sha1);
                packet(&mut body, "no-progress\n");
                packet(&mut body, &format!("want {oid}\n"));
                if want == Want::Commit {
                    packet(&mut body, "deepen 1\n");
                    if *filter {
                        packet(&mut body, "filter blob:none\n");
                    }
                }
                packet(&mut body, "done\n");
                body.extend_from_slice(b"0000");
            }
            Speaks::First { capabilities, .. } => {
                let offered = |name: &&str| capabilities.split(' ').any(|has| has == *name);
                let wished = [
                    "multi_ack_detailed",
                    "side-band-64k",
                    "shallow",
                    "no-progress",
                ];
                let chosen: Vec<&str> = wished.into_iter().filter(|name| offered(name)).collect();
                body = Vec::new();
                packet(
                    &mut body,
                    &format!("want {oid} {} {AGENT}\n", chosen.join(" ")),
                );
                if chosen.contains(&"shallow") {
                    packet(&mut body, "deepen 1\n");
                }
                body.extend_from_slice(b"0000");
                packet(&mut body, "done\n");
            }
        }
        let answer = self.ask(body, MOST_PACK).await?;
        let pack = packed(answer).map_err(|error| self.failed(error))?;
        let what = self.what.clone();
        super::blocking(what, move || Pack::read(pack)).await
    }
}

fn command(name: &str, sha1: bool) -> Vec<u8> {
    let mut body = Vec::new();
    packet(&mut body, &format!("command={name}\n"));
    packet(&mut body, &format!("{AGENT}\n"));
    if sha1 {
        packet(&mut body, "object-format=sha1\n");
    }
    body.extend_from_slice(b"0001");
    body
}
