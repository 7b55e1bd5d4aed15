//! The words of git's HTTP protocol (version 2, and the first one where a server knows no other) that lead to one
//! commit: which commit a reference names, and a pack without history. It never sends anything but questions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Buf as _, Bytes, BytesMut};
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use super::Login;
use super::pack::{Oid, Pack};
use crate::artifacts::network;
use crate::triggers::FireError;

/// How large the list of references may be; only servers without version 2 send all.
const MOST_REFS: usize = 32 * 1024 * 1024;

/// How large a pack may be.
const MOST_PACK: usize = 64 * 1024 * 1024;

const AGENT: &str = concat!("agent=tiphys/", env!("CARGO_PKG_VERSION"));

/// A repository on a server.
pub(super) struct Remote {
    client: Client,
    base: Url,
    login: Option<String>,
    what: String,
    speaks: Speaks,
}

/// What the server said about itself.
enum Speaks {
    /// Version 2: references are asked for by name.
    Second { filter: bool, sha1: bool },
    /// Version 0: it has sent all references already.
    First {
        refs: Vec<(Oid, String)>,
        capabilities: String,
    },
}

/// What is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// A commit without its history, and where the server can, without the files' contents.
    Commit,
    /// One file's contents.
    Blob,
}

/// A line of the protocol.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Data(Bytes),
    Flush,
    Delimiter,
}

/// Why an answer cannot be used.
#[derive(Debug, thiserror::Error)]
enum WireError {
    #[error("the server speaks no git there; is it the URL of a repository?")]
    NoGit,
    #[error("the server's answer is damaged")]
    Damaged,
    #[error("the repository's objects are named by {0}; only sha1 is supported")]
    ObjectFormat(String),
    #[error("the repository has no {wanted}{remedy}")]
    NoRef { wanted: String, remedy: String },
    #[error("the server says: {0}")]
    Said(String),
    #[error("the server wants other credentials (it answered {0})")]
    Credentials(u16),
}

impl Remote {
    /// Asks what the server speaks.
    pub(super) async fn open(
        client: Client,
        url: &Url,
        login: Option<Login>,
        what: String,
    ) -> Result<Self, FireError> {
        let mut base = url.clone();
        base.set_query(None);
        base.set_fragment(None);
        let login = login.map(|login| basic(&login)).or_else(|| in_url(url));
        // What is in the URL is sent as a header, and only where it is meant to go.
        let bare = base.set_username("").is_ok() && base.set_password(None).is_ok();
        let asked = bare.then(|| format!("{}/info/refs", base.path().trim_end_matches('/')));
        let Some(path) = asked else {
            return Err(FireError::permanent_from(what, WireError::NoGit));
        };
        base.set_path(&path);
        let mut remote = Self {
            client,
            base,
            login,
            what,
            speaks: Speaks::Second {
                filter: false,
                sha1: false,
            },
        };
        let mut url = remote.base.clone();
        url.set_query(Some("service=git-upload-pack"));
        let asked_at = url.origin();
        let request = remote.client.get(url);
        let response = remote.send(request).await?;
        let kind = response.headers().get("content-type");
        if kind.is_none_or(|kind| kind != "application/x-git-upload-pack-advertisement") {
            return Err(remote.failed(WireError::NoGit));
        }
        // A repository that has moved is spoken to where it is now; credentials stay with the host they are for.
        let mut base = response.url().clone();
        if base.origin() != asked_at {
            remote.login = None;
        }
        base.set_query(None);
        let path = base
            .path()
            .strip_suffix("/info/refs")
            .map(ToOwned::to_owned);
        match path {
            Some(path) => base.set_path(&path),
            None => return Err(remote.failed(WireError::NoGit)),
        }
        remote.base = base;
        let body = network::body(&remote.what, response, MOST_REFS).await?;
        remote.speaks = advertised(body).map_err(|error| remote.failed(error))?;
        Ok(remote)
    }

    fn failed(&self, error: WireError) -> FireError {
        FireError::permanent_from(self.what.clone(), error)
    }

    async fn send(&self, request: RequestBuilder) -> Result<reqwest::Response, FireError> {
        let mut request = request.header("git-protocol", "version=2");
        if let Some(login) = &self.login {
            request = request.header("authorization", login);
        }
        let response = request.send().await;
        let response = response.map_err(|error| network::failed(self.what.clone(), error))?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(self.failed(WireError::Credentials(status.as_u16())))
            }
            status => Err(network::refused(self.what.clone(), status)),
        }
    }

    async fn ask(&self, body: Vec<u8>, most: usize) -> Result<Bytes, FireError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/git-upload-pack", self.base.path()));
        let request = self
            .client
            .post(url)
            .header("content-type", "application/x-git-upload-pack-request")
            .header("accept", "application/x-git-upload-pack-result")
            .body(body);
        let response = self.send(request).await?;
        network::body(&self.what, response, most).await
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
    pub(super) async fn fetch(&self, oid: Oid, want: Want) -> Result<Pack, FireError> {
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

fn basic(login: &Login) -> String {
    let text = [login.user.expose(), b":", login.password.expose()].concat();
    format!("Basic {}", STANDARD.encode(text))
}

fn in_url(url: &Url) -> Option<String> {
    let decoded = |text: &str| {
        let decoded = percent_encoding::percent_decode_str(text);
        decoded.decode_utf8_lossy().into_owned()
    };
    let (user, password) = (url.username(), url.password());
    if user.is_empty() && password.is_none() {
        return None;
    }
    let text = format!(
        "{}:{}",
        decoded(user),
        decoded(password.unwrap_or_default())
    );
    Some(format!("Basic {}", STANDARD.encode(text)))
}

fn packet(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
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

/// Takes the next line off an answer; nothing where it is over.
fn line(rest: &mut Bytes) -> Result<Option<Line>, WireError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let length = rest
        .get(..4)
        .and_then(|digits| str::from_utf8(digits).ok())
        .and_then(|digits| usize::from_str_radix(digits, 16).ok())
        .ok_or(WireError::Damaged)?;
    match length {
        0 | 2 => rest.advance(4),
        1 => {
            rest.advance(4);
            return Ok(Some(Line::Delimiter));
        }
        3 => return Err(WireError::Damaged),
        length if length > rest.len() => return Err(WireError::Damaged),
        length => {
            let mut data = rest.split_to(length);
            data.advance(4);
            if let Some(said) = data.strip_prefix(b"ERR ") {
                return Err(WireError::Said(short(said)));
            }
            return Ok(Some(Line::Data(data)));
        }
    }
    Ok(Some(Line::Flush))
}

/// A text of the server, as much of it as a person reads.
fn short(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let plain = text.chars().filter(|c| !c.is_control()).take(200);
    plain.collect::<String>().trim().to_owned()
}

fn text(data: &Bytes) -> Result<&str, WireError> {
    let text = str::from_utf8(data).map_err(|_| WireError::Damaged)?;
    Ok(text.trim_end_matches('\n'))
}

/// What the first answer says.
fn advertised(mut rest: Bytes) -> Result<Speaks, WireError> {
    let mut refs = Vec::new();
    let mut capabilities: Option<String> = None;
    let mut second = None;
    while let Some(line) = line(&mut rest)? {
        let Line::Data(data) = line else { continue };
        let (first, more) = match data.iter().position(|byte| *byte == 0) {
            Some(zero) => (data.slice(..zero), Some(data.slice(zero + 1..))),
            None => (data.clone(), None),
        };
        let Ok(said) = text(&first) else {
            // A name that is no text is none that a spec can ask for.
            continue;
        };
        if said.starts_with("# service=") {
            continue;
        }
        if said == "version 2" {
            second = Some((false, false));
            continue;
        }
        if let Some((filter, sha1)) = &mut second {
            if let Some(features) = said.strip_prefix("fetch=") {
                *filter = features.split(' ').any(|feature| feature == "filter");
            } else if let Some(format) = said.strip_prefix("object-format=") {
                named_by(format)?;
                *sha1 = true;
            }
            continue;
        }
        if let (None, Some(more)) = (&capabilities, &more) {
            let more = text(more)?;
            for word in more.split(' ') {
                if let Some(format) = word.strip_prefix("object-format=") {
                    named_by(format)?;
                } else if let Some(head) = word.strip_prefix("symref=HEAD:") {
                    // Kept as version 2 writes it.
                    refs.extend(
                        Oid::parse(&"0".repeat(40)).map(|oid| (oid, format!("HEAD {head}"))),
                    );
                }
            }
            capabilities = Some(more.to_owned());
        }
        let (oid, name) = said.split_once(' ').ok_or(WireError::NoGit)?;
        refs.push((Oid::parse(oid).ok_or(WireError::NoGit)?, name.to_owned()));
    }
    match (second, capabilities) {
        (Some((filter, sha1)), _) => Ok(Speaks::Second { filter, sha1 }),
        (None, Some(capabilities)) => Ok(Speaks::First { refs, capabilities }),
        (None, None) => Err(WireError::NoGit),
    }
}

fn named_by(format: &str) -> Result<(), WireError> {
    if format == "sha1" {
        return Ok(());
    }
    Err(WireError::ObjectFormat(short(format.as_bytes())))
}

/// References as version 2 lists them; where HEAD leads is kept as `HEAD NAME`.
fn listing(mut rest: Bytes) -> Result<Vec<(Oid, String)>, WireError> {
    let mut refs = Vec::new();
    while let Some(line) = line(&mut rest)? {
        let Line::Data(data) = line else { continue };
        let Ok(said) = text(&data) else { continue };
        let mut words = said.split(' ');
        let (Some(oid), Some(name)) = (words.next(), words.next()) else {
            return Err(WireError::Damaged);
        };
        // A branch without a commit is listed as `unborn`.
        let Some(oid) = Oid::parse(oid) else { continue };
        refs.push((oid, name.to_owned()));
        if name == "HEAD" {
            let target = words.find_map(|word| word.strip_prefix("symref-target:"));
            refs.extend(target.map(|target| (oid, format!("HEAD {target}"))));
        }
    }
    Ok(refs)
}

/// The pack in the answer to a fetch, of either version.
fn packed(mut rest: Bytes) -> Result<Bytes, WireError> {
    let mut pack = BytesMut::new();
    loop {
        // Servers of version 0 that know no side bands send the pack as it is.
        if pack.is_empty() && rest.starts_with(b"PACK") {
            return Ok(rest);
        }
        let Some(line) = line(&mut rest)? else { break };
        let Line::Data(mut data) = line else { continue };
        match data.first() {
            Some(1) => {
                data.advance(1);
                pack.extend_from_slice(&data);
            }
            Some(2) => {}
            Some(3) => {
                data.advance(1);
                return Err(WireError::Said(short(&data)));
            }
            // The names of sections, shallow commits, NAK.
            _ => {}
        }
    }
    if pack.is_empty() {
        return Err(WireError::Damaged);
    }
    Ok(pack.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OID: &str = "0123456789abcdef0123456789abcdef01234567";

    fn answer(lines: &[&str]) -> Bytes {
        let mut out = Vec::new();
        for line in lines {
            match *line {
                "0000" | "0001" => out.extend_from_slice(line.as_bytes()),
                text => packet(&mut out, text),
            }
        }
        out.into()
    }

    #[test]
    fn both_versions_introduce_themselves() {
        let second = answer(&[
            "# service=git-upload-pack\n",
            "0000",
            "version 2\n",
            "ls-refs=unborn\n",
            "fetch=shallow wait-for-done filter\n",
            "object-format=sha1\n",
            "0000",
        ]);
        let spoken = advertised(second).unwrap();
        assert!(matches!(
            spoken,
            Speaks::Second {
                filter: true,
                sha1: true
            }
        ));
        let first = answer(&[
            "# service=git-upload-pack\n",
            "0000",
            &format!("{OID} HEAD\0side-band-64k shallow symref=HEAD:refs/heads/main\n"),
            &format!("{OID} refs/heads/main\n"),
            "0000",
        ]);
        let Speaks::First { refs, capabilities } = advertised(first).unwrap() else {
            panic!("version 0");
        };
        let names: Vec<&str> = refs.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["HEAD refs/heads/main", "HEAD", "refs/heads/main"]);
        assert!(capabilities.contains("shallow"));
    }

    #[test]
    fn answers_that_are_none_are_errors_and_never_worse() {
        for bytes in [
            "",
            "0",
            "0000",
            "zzzz",
            "0003",
            "ffff",
            "0005",
            "<html></html>",
            "0008PACK",
            "000eERR no way",
            "0009hello",
            "0011# service=x\n0000",
        ] {
            assert!(advertised(Bytes::from(bytes)).is_err(), "{bytes}");
        }
        assert!(packed(answer(&["NAK\n", "\u{3}out of memory"])).is_err());
        assert!(packed(answer(&["NAK\n"])).is_err());
        assert!(advertised(answer(&["version 2\n", "object-format=sha256\n"])).is_err());
    }

    #[test]
    fn credentials_are_taken_from_the_url_where_the_spec_names_none() {
        let url = Url::parse("https://us%40er:p%3Aw@host/r").unwrap();
        let expected = format!("Basic {}", STANDARD.encode("us@er:p:w"));
        assert_eq!(in_url(&url), Some(expected));
        assert_eq!(in_url(&Url::parse("https://host/r").unwrap()), None);
    }
}
