//! Which keys an ssh server may show: lines as OpenSSH's `known_hosts` files have them, of a Secret, of files, and of
//! the large forges where neither says anything. It decides, and reads nothing itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use sha1::Sha1;

/// How many lines may be about one host.
const MOST: usize = 256;

/// The host keys that the large forges publish, so that their repositories need no setting. Whoever names one of these
/// hosts in a Secret or a file has the say over it.
const FORGES: &str = "\
github.com,[ssh.github.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl
gitlab.com,[altssh.gitlab.com]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf
bitbucket.org,[altssh.bitbucket.org]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIazEu89wgQZ4bqs3d63QSMzYVa0MuJ2e2gKTKqu+UUO
ssh.dev.azure.com,vs-ssh.visualstudio.com ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7Hr1oTWqNqOlzGJOfGJ4NakVyIzf1rXYd4d7wo6jBlkLvCA4odBlL0mDUyZ0/QUfTTqeu+tm22gOsv+VrVTMk6vwRU75gY/y9ut5Mb3bR5BV58dKXyq9A9UeB5Cakehn5Zgm6x1mKoVyf+FFn26iYqXJRgzIZZcZ5V6hrE0Qg39kZm4az48o0AUbf6Sp4SLdvnuMa2sVNwHBboS7EJkm57XQPVU3/QpyNLHbWDdzwtrlS+ez30S3AdYhLKEOxAG8weOnyrtLJAUen9mTkol8oII1edf7mWWbWVf0nBmly21+nZcmCTISQBtdcyPaEno7fFQMDD26/s0lfKob4Kw8H
";

/// A key that somebody knows of a host.
#[derive(Debug, PartialEq, Eq)]
struct Known {
    kind: String,
    blob: Vec<u8>,
    revoked: bool,
    /// Who says so, for people.
    from: String,
}

/// The keys that one server may show.
#[derive(Debug)]
pub(in super::super) struct Expected {
    /// The server as `known_hosts` files name it.
    host: String,
    known: Vec<Known>,
    /// Where a line is to be added, for people.
    place: String,
    any: bool,
}

/// Why a server is not spoken to.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum HostKeyError {
    #[error(
        "{host} shows the {kind} host key {fingerprint}, which nobody knows here{others}: compare it with what the \
         host's operator publishes, then write the line {line:?} {place}; or set insecureIgnoreHostKey: true, which \
         trusts whoever answers"
    )]
    Unknown {
        host: String,
        kind: String,
        fingerprint: String,
        others: String,
        line: String,
        place: String,
    },
    #[error(
        "{host} shows the {kind} host key {fingerprint}, and {from} has another one: somebody may be in between; if \
         the host's operator has changed the key, put {line:?} in the place of the line there"
    )]
    Changed {
        host: String,
        kind: String,
        fingerprint: String,
        from: String,
        line: String,
    },
    #[error("{host} shows the {kind} host key {fingerprint}, which {from} says is revoked")]
    Revoked {
        host: String,
        kind: String,
        fingerprint: String,
        from: String,
    },
    #[error("the host key cannot be read")]
    Unreadable,
}

impl Expected {
    /// The keys of a server; `place` says where a line about it belongs.
    pub(in super::super) fn new(host: &str, port: u16, place: String) -> Self {
        let host = host.to_ascii_lowercase();
        Self {
            host: match port {
                22 => host,
                port => format!("[{host}]:{port}"),
            },
            known: Vec::new(),
            place,
            any: false,
        }
    }

    /// Takes whatever the server shows.
    pub(in super::super) fn take_any(&mut self) {
        self.any = true;
    }

    /// Takes in the lines of a text that are about the server. Lines that cannot be read are about nobody.
    pub(in super::super) fn learn(&mut self, text: &str, from: &str) {
        let lines = text.lines().filter_map(|line| self.line(line, from));
        let known: Vec<Known> = lines.take(MOST).collect();
        self.known.extend(known);
    }

    /// Takes in what is known of the forges, where nobody has said anything of the server.
    pub(in super::super) fn learn_forges(&mut self) {
        if self.known.is_empty() {
            self.learn(FORGES, "this build of tiphys");
        }
    }

    /// `[@marker] host[,host...] kind key [comment]`.
    fn line(&self, line: &str, from: &str) -> Option<Known> {
        let mut words = line.split_ascii_whitespace();
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (revoked, hosts) = match first {
            "@revoked" => (true, words.next()?),
            // An authority signs certificates, and none are asked for.
            marked if marked.starts_with('@') => return None,
            hosts => (false, hosts),
        };
        let kind = words.next()?;
        if !self.is_among(hosts) {
            return None;
        }
        Some(Known {
            kind: kind.to_owned(),
            blob: STANDARD.decode(words.next()?).ok()?,
            revoked,
            from: from.to_owned(),
        })
    }

    /// Whether the server is one of the hosts of a line, and none of those that it leaves out.
    fn is_among(&self, hosts: &str) -> bool {
        if let Some(hashed) = hosts.strip_prefix("|1|") {
            return self.has_hash(hashed);
        }
        let mut among = false;
        for pattern in hosts.split(',') {
            match pattern.strip_prefix('!') {
                Some(pattern) if matches(pattern, &self.host) => return false,
                None if matches(pattern, &self.host) => among = true,
                _ => {}
            }
        }
        among
    }

    fn has_hash(&self, hashed: &str) -> bool {
        let Some((salt, sum)) = hashed.split_once('|') else {
            return false;
        };
        let (Ok(salt), Ok(sum)) = (STANDARD.decode(salt), STANDARD.decode(sum)) else {
            return false;
        };
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&salt) else {
            return false;
        };
        mac.update(self.host.as_bytes());
        mac.verify_slice(&sum).is_ok()
    }

    /// The kinds of host keys in the order in which they are asked for: first those that can be recognized.
    pub(in super::super) fn kinds(&self) -> Vec<Algorithm> {
        let ecdsa = |curve| Algorithm::Ecdsa { curve };
        let mut kinds = vec![
            Algorithm::Ed25519,
            ecdsa(EcdsaCurve::NistP256),
            ecdsa(EcdsaCurve::NistP384),
            ecdsa(EcdsaCurve::NistP521),
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha512),
            },
            Algorithm::Rsa {
                hash: Some(HashAlg::Sha256),
            },
        ];
        let known = |kind: &Algorithm| {
            let plain = plain(kind);
            let is_it = |known: &Known| known.kind == plain && !known.revoked;
            self.known.iter().any(is_it)
        };
        kinds.sort_by_key(|kind| !known(kind));
        kinds
    }

    /// Whether the server may be spoken to, as it shows this key.
    pub(in super::super) fn check(&self, key: &PublicKey) -> Result<(), HostKeyError> {
        let blob = key.to_bytes().map_err(|_| HostKeyError::Unreadable)?;
        let kind = plain(&key.algorithm());
        let host = self.host.clone();
        let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
        let mut same = self.known.iter().filter(|known| known.blob == blob);
        if let Some(Known { from, .. }) = same.clone().find(|known| known.revoked) {
            let from = from.clone();
            return Err(HostKeyError::Revoked {
                host,
                kind,
                fingerprint,
                from,
            });
        }
        if self.any || same.next().is_some() {
            return Ok(());
        }
        let line = format!("{host} {kind} {}", STANDARD.encode(&blob));
        let good = || self.known.iter().filter(|known| !known.revoked);
        if let Some(Known { from, .. }) = good().find(|known| known.kind == kind) {
            let from = from.clone();
            return Err(HostKeyError::Changed {
                host,
                kind,
                fingerprint,
                from,
                line,
            });
        }
        let mut others: Vec<&str> = good().map(|known| known.kind.as_str()).collect();
        others.sort_unstable();
        others.dedup();
        let others = match others.is_empty() {
            true => String::new(),
            false => format!(" (its key of {} is known)", others.join(" and ")),
        };
        Err(HostKeyError::Unknown {
            host,
            kind,
            fingerprint,
            others,
            line,
            place: self.place.clone(),
        })
    }
}

/// The kind as keys name it: signatures of RSA keys have several names.
fn plain(kind: &Algorithm) -> String {
    match kind {
        Algorithm::Rsa { .. } => "ssh-rsa".to_owned(),
        kind => kind.as_str().to_owned(),
    }
}

/// Whether a pattern with `*` and `?` is of a name; the time it takes grows with both lengths only.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Where the last star was, and how much of the name it stands for.
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(byte) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, taken)) = star else {
                    return false;
                };
                star = Some((place, taken + 1));
                at = place + 1;
                seen = taken + 1;
            }
        }
    }
    let rest = pattern.get(at..).unwrap_or_default();
    rest.iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
