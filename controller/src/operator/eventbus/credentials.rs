//! Passwords and certificates of a bus's servers: made once, kept for ever, and mended where a part is missing.
//!
//! What is left of a pair tells the other half, so that a Secret that somebody deletes comes back with the values that
//! the running servers and pods have.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rand::Rng as _;
use rand::distr::Alphanumeric;
use rcgen::ExtendedKeyUsagePurpose;
use serde_json::{Map, Value};
use tiphys_core::manifest;

use super::servers::Servers;
use super::{Secrets, server_config};
use crate::admission::authority::{Issued, Request, issue, later};
use crate::operator::wanted::Refused;

/// The key of the client's Secret.
pub(crate) const CLIENT_AUTH: &str = "client-auth";
/// The key of the server's Secret that clients verify the server by.
pub(crate) const CA_CERT: &str = "ca-cert";
/// The annotation of an EventBus that asks for a store encrypted with a key that only the Secret knows.
pub(crate) const ENCRYPTION_ANNOTATION: &str = "tiphys.dev/bus-encryption";

const AUTH: &str = "auth";
const STORE_KEY: &str = "encryption";
/// Key, certificate and authority of the servers towards clients, and towards each other.
const SERVER_SET: [&str; 3] = ["private-key", "cert", CA_CERT];
const CLUSTER_SET: [&str; 3] = ["cluster-private-key", "cluster-cert", "cluster-ca-cert"];
/// What a store key begins with that is really used. A letter comes first, so that nats-server takes it as text.
const OWN_KEY: &str = "tiphys-";

/// How clients show who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Client {
    User { user: String, password: String },
    Token(String),
}

/// The values of both Secrets.
pub(crate) struct Credentials {
    server: BTreeMap<&'static str, String>,
    client: String,
}

impl Credentials {
    /// Keeps what exists and makes what does not.
    pub(crate) fn of(servers: &Servers<'_>, existing: &Secrets) -> Result<Self, Refused> {
        let value = |secret: &str, key: &str| {
            let bytes = existing.get(secret)?.get(key)?;
            let text = std::str::from_utf8(bytes).ok()?;
            (!text.trim().is_empty()).then(|| text.to_owned())
        };
        let (server_name, client_name) = (servers.server_secret(), servers.client_secret());
        let stored = |key: &str| value(&server_name, key);
        let shown = value(&client_name, CLIENT_AUTH);
        let known = shown.as_deref().and_then(Client::read);
        let mut server = BTreeMap::new();

        // The servers' own account of their clients comes first: they run with it.
        let auth = stored(AUTH);
        let accepted = auth.as_deref().and_then(Client::accepted);
        let client = accepted
            .or_else(|| known.clone())
            .filter(|client| matches!(client, Client::Token(_)) == servers.token)
            .unwrap_or_else(|| Client::new(servers.token));
        let auth = auth.filter(|auth| Client::accepted(auth).as_ref() == Some(&client));
        let auth = auth.unwrap_or_else(|| server_config::auth(&client, &random(24)));
        server.insert(AUTH, auth);

        let asked = servers
            .bus
            .annotations
            .get(ENCRYPTION_ANNOTATION)
            .map(String::as_str)
            == Some("secret");
        let key = match (stored(STORE_KEY), asked) {
            (Some(key), _) => key,
            (None, false) => random(12),
            (None, true) if shown.is_none() => format!("{OWN_KEY}{}", random(32)),
            (None, true) => {
                return Err(Refused {
                    reason: "JetStreamAuthSecretsFailed".to_owned(),
                    message: format!(
                        "the Secret {server_name:?} is gone, and with it the key of the encrypted store: restore it, or delete the Secret {client_name:?} and the volumes to begin with an empty store"
                    ),
                });
            }
        };
        server.insert(STORE_KEY, key);

        let host = servers.host();
        let full = format!("{host}.cluster.local");
        let sets = [
            (
                SERVER_SET,
                "clients",
                vec![
                    full.clone(),
                    host.clone(),
                    format!("*.{full}"),
                    format!("*.{host}"),
                ],
                vec![ExtendedKeyUsagePurpose::ServerAuth],
            ),
            (
                CLUSTER_SET,
                "cluster",
                vec![format!("*.{full}"), format!("*.{host}")],
                vec![
                    ExtendedKeyUsagePurpose::ServerAuth,
                    ExtendedKeyUsagePurpose::ClientAuth,
                ],
            ),
        ];
        for (keys, what, hosts, uses) in sets {
            let [key, certificate, authority] = keys;
            let values = match (stored(key), stored(certificate), stored(authority)) {
                (Some(key), Some(certificate), Some(authority)) => [key, certificate, authority],
                _ => {
                    let Issued {
                        authority,
                        certificate,
                        key,
                    } = certificates(&servers.name(), what, &hosts, &uses)?;
                    [key, certificate, authority]
                }
            };
            server.extend(keys.into_iter().zip(values));
        }

        let client = match (shown, known) {
            // As it was written, comments and all.
            (Some(text), Some(known)) if known == client => text,
            _ => client.write(),
        };
        Ok(Self { server, client })
    }

    /// Whether the store's key is the one in the Secret.
    pub(crate) fn own_store_key(&self) -> bool {
        self.server
            .get(STORE_KEY)
            .is_some_and(|key| key.starts_with(OWN_KEY))
    }

    /// The data of the servers' Secret.
    pub(crate) fn server_data(&self) -> Value {
        let members: Map<String, Value> = self
            .server
            .iter()
            .map(|(key, text)| ((*key).to_owned(), encoded(text)))
            .collect();
        Value::Object(members)
    }

    /// The data of the clients' Secret.
    pub(crate) fn client_data(&self) -> Value {
        Value::Object(Map::from_iter([(
            CLIENT_AUTH.to_owned(),
            encoded(&self.client),
        )]))
    }
}

impl Client {
    fn new(token: bool) -> Self {
        if token {
            Self::Token(random(64))
        } else {
            Self::User {
                user: random(8),
                password: random(16),
            }
        }
    }

    /// As clients read it.
    fn write(&self) -> String {
        match self {
            Self::User { user, password } => format!("username: {user}\npassword: {password}"),
            Self::Token(token) => format!("token: {token}"),
        }
    }

    fn read(text: &str) -> Option<Self> {
        let document = manifest::parse(text).ok()?.into_iter().next()?;
        let field = |key: &str| {
            // As it stands: a password of digits is no number.
            let members = document.object.as_object()?;
            match members.get(key)? {
                Value::String(text) => Some(text.clone()),
                Value::Null => None,
                _ => text.lines().find_map(|line| {
                    let value = line.trim().strip_prefix(key)?.trim_start();
                    Some(value.strip_prefix(':')?.trim().to_owned())
                }),
            }
        };
        match (field("token"), field("username"), field("password")) {
            (Some(token), _, _) => Some(Self::Token(token)),
            (None, Some(user), Some(password)) => Some(Self::User { user, password }),
            _ => None,
        }
    }

    /// The client that an `auth.conf` lets in, ours or Argo's: the token, or the first user that is not the system's.
    fn accepted(auth: &str) -> Option<Self> {
        let words: Vec<&str> = auth
            .split(|c: char| {
                c.is_whitespace()
                    || matches!(c, '"' | '\'' | ':' | ',' | '{' | '}' | '[' | ']' | '=')
            })
            .filter(|word| !word.is_empty())
            .collect();
        let after = |key: &str, from: usize| {
            let rest = words.get(from..)?;
            let at = rest.iter().position(|word| *word == key)?;
            Some((from + at + 1, (*rest.get(at + 1)?).to_owned()))
        };
        if let Some((_, token)) = after("token", 0) {
            return Some(Self::Token(token));
        }
        let mut from = 0;
        while let Some((at, user)) = after("user", from) {
            let (end, password) = after("password", at)?;
            if user != "sys" {
                return Some(Self::User { user, password });
            }
            from = end;
        }
        None
    }
}

/// Certificates of servers: for ten years, because nobody is there to renew them.
fn certificates(
    name: &str,
    what: &str,
    hosts: &[String],
    uses: &[ExtendedKeyUsagePurpose],
) -> Result<Issued, Refused> {
    const TEN_YEARS: std::time::Duration = std::time::Duration::from_secs(3650 * 24 * 3600);
    let now = Timestamp::now();
    let issued = issue(Request {
        authority: format!("{name} {what} authority"),
        subject: name,
        hosts,
        uses,
        from: now,
        until: later(now, TEN_YEARS),
    });
    issued.map_err(|error| Refused {
        reason: "JetStreamAuthSecretsFailed".to_owned(),
        message: tiphys_core::tasks::chain(&error),
    })
}

/// Letters and digits, a letter first, so that no reader takes it for a number.
fn random(length: usize) -> String {
    let mut rng = rand::rng();
    let first = std::iter::from_fn(|| Some(char::from(rng.sample(Alphanumeric))))
        .find(char::is_ascii_alphabetic)
        .unwrap_or('x');
    let rest = rand::rng()
        .sample_iter(Alphanumeric)
        .take(length.saturating_sub(1))
        .map(char::from);
    std::iter::once(first).chain(rest).collect()
}

fn encoded(text: &str) -> Value {
    Value::String(STANDARD.encode(text))
}
