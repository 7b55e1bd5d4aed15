//! A file in a git repository, over HTTP or ssh: the newest commit of a branch or tag, and of it only what leads to the
//! file. It keeps no clone on disk and runs no program.
//!
//! ```text
//! Place ──http │ ssh──▶ Remote ──resolve──▶ commit ──fetch──▶ Pack ──walk──▶ the file
//! ```

mod access;
mod answers;
mod http;
mod lines;
mod oid;
mod pack;
mod place;
mod remote;
mod ssh;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use reqwest::Url;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, Secrets};

use super::github_app::{GithubApp, Tokens};
use super::network::{Network, Trust};
use super::{LARGEST, cannot_read};
use crate::spec::GitSourceSpec;
use crate::triggers::FireError;
use access::Access;
use http::Http;
use oid::Oid;
use pack::{Found, Pack, PackError};
use remote::{MOST_REFS, Remote, Want, Way};

pub(crate) use place::Place;

/// How many files are kept by their commit.
const KEPT: usize = 32;

/// What a repository behind ssh must have.
pub(crate) const NEEDS_KEY: &str = "must be set, to a private key in a Secret: the url is of ssh";

/// A file in a git repository.
#[derive(Clone)]
pub(crate) struct Git {
    places: Vec<Place>,
    wanted: String,
    path: Vec<String>,
    auth: Auth,
    ssh: Option<Access>,
}

#[derive(Clone)]
enum Auth {
    None,
    Basic {
        username: Option<KeyRef>,
        password: Option<KeyRef>,
    },
    App(GithubApp),
}

/// A user and a password, read.
pub(super) struct Login {
    pub(super) user: Secret,
    pub(super) password: Secret,
}

/// Files by repository and path, with the commit that they are of: a commit that has not changed is not fetched again.
#[derive(Default)]
pub(super) struct Kept {
    files: Mutex<HashMap<(String, String), (Oid, Bytes)>>,
    tokens: Tokens,
}

/// What a repository is read with.
pub(super) struct Around<'a> {
    pub(super) network: &'a Network,
    pub(super) kept: &'a Kept,
    pub(super) secrets: &'a dyn Secrets,
    /// Files of host keys, as ssh has them.
    pub(super) known_hosts: &'a [PathBuf],
}

impl Git {
    pub(super) fn new(spec: &GitSourceSpec) -> Result<Self, FireError> {
        let further = spec.remote.iter().flat_map(|remote| &remote.urls);
        let places = further.chain([&spec.url]).map(|text| Place::parse(text));
        let places = places
            .collect::<Result<Vec<Place>, _>>()
            .map_err(|must| FireError::permanent(format!("git.url {must}")))?;
        if places.iter().any(Place::is_ssh) && spec.ssh_key_secret.is_none() {
            return Err(needs_key());
        }
        let path = check_path(&spec.file_path)
            .map_err(|why| FireError::permanent(format!("git.filePath {why}")))?;
        let auth = if let Some(creds) = &spec.creds {
            Auth::Basic {
                username: creds.username.clone(),
                password: creds.password.clone(),
            }
        } else if let Some(app) = &spec.github_app {
            let Some(private_key) = app.private_key.clone() else {
                return Err(FireError::permanent("git.githubApp.privateKey must be set"));
            };
            Auth::App(GithubApp {
                private_key,
                app_id: app.app_id,
                installation_id: app.installation_id,
            })
        } else {
            Auth::None
        };
        Ok(Self {
            places,
            wanted: wanted(spec),
            path,
            auth,
            ssh: spec.ssh_key_secret.clone().map(|key| Access {
                key,
                any_host_key: spec.insecure_ignore_host_key,
            }),
        })
    }

    pub(super) fn shown(&self) -> String {
        let place = self.places.first().map(Place::shown).unwrap_or_default();
        format!("{} at {} of {place}", self.path.join("/"), self.wanted)
    }

    pub(super) async fn read(&self, around: &Around<'_>) -> Result<Bytes, FireError> {
        let mut last = None;
        for place in &self.places {
            match self.read_from(place, around).await {
                Ok(bytes) => return Ok(bytes),
                // The first place that says no for good must not hide one that may be back.
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => last = last.or(Some(error)),
            }
        }
        Err(last.unwrap_or_else(|| FireError::permanent("git.url must be set")))
    }

    async fn read_from(&self, place: &Place, around: &Around<'_>) -> Result<Bytes, FireError> {
        let what = cannot_read(self.shown());
        let mut remote = match place {
            Place::Http(url) => self.over_http(url, around, what.clone()).await?,
            Place::Ssh(place) => {
                let access = self.ssh.as_ref().ok_or_else(needs_key)?;
                access.open(place, around, what.clone()).await?
            }
        };
        let file = self.file(&mut remote, place, around.kept, &what).await;
        remote.close().await;
        file
    }

    async fn file(
        &self,
        remote: &mut Remote,
        place: &Place,
        kept: &Kept,
        what: &str,
    ) -> Result<Bytes, FireError> {
        let commit = match Oid::parse(&self.wanted) {
            Some(commit) => commit,
            None => remote.resolve(&self.wanted).await?,
        };
        let key = (place.shown(), self.path.join("/"));
        if let Some((of, file)) = kept.lock().get(&key)
            && *of == commit
        {
            return Ok(file.clone());
        }
        let pack = remote.fetch(commit, Want::Commit).await?;
        let file = match self.look(pack, commit, what).await? {
            Found::File(file) => file,
            // The repository sends files one by one: what came was the way to this one.
            Found::Absent(blob) => {
                let pack = remote.fetch(blob, Want::Blob).await?;
                blocking(what.to_owned(), move || pack.into_blob(blob, LARGEST)).await?
            }
        };
        let mut files = kept.lock();
        if files.len() >= KEPT {
            files.clear();
        }
        files.insert(key, (commit, file.clone()));
        Ok(file)
    }

    async fn over_http(
        &self,
        url: &Url,
        around: &Around<'_>,
        what: String,
    ) -> Result<Remote, FireError> {
        let login = self.login(url, around).await?;
        let client = around.network.client(url, &Trust::default())?;
        let (http, said) = Http::open(client, url, login, &what, MOST_REFS).await?;
        Remote::new(Way::Http(http), said, what)
    }

    async fn look(&self, pack: Pack, commit: Oid, what: &str) -> Result<Found, FireError> {
        let path = self.path.clone();
        blocking(what.to_owned(), move || pack.walk(commit, &path, LARGEST)).await
    }

    async fn login(&self, url: &Url, around: &Around<'_>) -> Result<Option<Login>, FireError> {
        let Around {
            network,
            kept,
            secrets,
            ..
        } = around;
        match &self.auth {
            Auth::None => Ok(None),
            Auth::Basic { username, password } => {
                let read = async |at: &Option<KeyRef>| match at {
                    Some(at) => secrets.secret(at).await.map_err(FireError::from_secret),
                    None => Ok(Secret::new("")),
                };
                Ok(Some(Login {
                    user: read(username).await?,
                    password: read(password).await?,
                }))
            }
            Auth::App(app) => Ok(Some(Login {
                user: Secret::new("x-access-token"),
                password: app.token(url, &kept.tokens, network, *secrets).await?,
            })),
        }
    }
}

fn needs_key() -> FireError {
    FireError::permanent(format!("git.sshKeySecret {NEEDS_KEY}"))
}

impl Kept {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), (Oid, Bytes)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Packs are unpacked beside the tasks that must not wait.
async fn blocking<T: Send + 'static>(
    what: String,
    work: impl FnOnce() -> Result<T, PackError> + Send + 'static,
) -> Result<T, FireError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(FireError::permanent_from(what, error)),
        Err(error) => Err(FireError::transient(what, error)),
    }
}

/// The reference that is read, or the commit itself.
fn wanted(spec: &GitSourceSpec) -> String {
    let GitSourceSpec {
        reference,
        tag,
        branch,
        ..
    } = spec;
    if !reference.is_empty() {
        return reference.clone();
    }
    if !tag.is_empty() {
        return format!("refs/tags/{tag}");
    }
    if !branch.is_empty() {
        return format!("refs/heads/{branch}");
    }
    "refs/heads/master".to_owned()
}

/// The steps of a path in a repository, or what must hold.
fn check_path(text: &str) -> Result<Vec<String>, String> {
    for bad in ["..", "~", "\\"] {
        if text.contains(bad) {
            return Err(format!("must not contain {bad:?}"));
        }
    }
    let steps: Vec<String> = text
        .split('/')
        .filter(|step| !step.is_empty() && *step != ".")
        .map(ToOwned::to_owned)
        .collect();
    if steps.is_empty() {
        return Err("must be set to a file in the repository".to_owned());
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_ref_then_tag_then_branch_then_master() {
        let spec = |reference: &str, tag: &str, branch: &str| {
            wanted(&GitSourceSpec {
                reference: reference.to_owned(),
                tag: tag.to_owned(),
                branch: branch.to_owned(),
                ..GitSourceSpec::default()
            })
        };
        for (asked, expected) in [
            (("", "", ""), "refs/heads/master"),
            (("", "", "main"), "refs/heads/main"),
            (("", "v1", "main"), "refs/tags/v1"),
            (("refs/pull/1/head", "v1", "main"), "refs/pull/1/head"),
        ] {
            let (reference, tag, branch) = asked;
            assert_eq!(spec(reference, tag, branch), expected);
        }
    }

    #[test]
    fn paths_stay_in_the_repository() {
        assert_eq!(check_path("/a//./b.yaml").unwrap(), ["a", "b.yaml"]);
        for path in ["../x", "a/../../x", "~/x", "a\\b", "", "/", "."] {
            assert!(check_path(path).is_err(), "{path}");
        }
    }
}
