//! A file in a git repository over HTTP: the newest commit of a branch or tag, and of it only what leads to the file.
//! It keeps no clone on disk and runs no program.
//!
//! ```text
//! reference ──wire::refs──▶ commit ──wire::fetch──▶ pack ──tree walk──▶ the file
//! ```

mod pack;
mod wire;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use reqwest::Url;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, Secrets};

use super::github_app::{GithubApp, Tokens};
use super::network::{self, Network, Trust};
use super::{LARGEST, cannot_read};
use crate::spec::GitSourceSpec;
use crate::triggers::FireError;
use pack::{Found, Oid, Pack, PackError};
use wire::{Remote, Want};

/// How many files are kept by their commit.
const KEPT: usize = 32;

/// A file in a git repository.
#[derive(Clone)]
pub(crate) struct Git {
    urls: Vec<Url>,
    wanted: String,
    path: Vec<String>,
    auth: Auth,
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

impl Git {
    pub(super) fn new(spec: &GitSourceSpec) -> Result<Self, FireError> {
        let further = spec.remote.iter().flat_map(|remote| &remote.urls);
        let mut urls = Vec::new();
        for text in further.chain([&spec.url]) {
            match check_url(text) {
                Ok(url) => urls.push(url),
                Err(UrlProblem::Ssh) => {
                    return Err(FireError::unsupported(format!(
                        "git over ssh, as {text:?} (use https:// with creds or githubApp)",
                    )));
                }
                Err(UrlProblem::Other) => {
                    return Err(FireError::permanent(format!(
                        "git.url {}",
                        UrlProblem::Other.must()
                    )));
                }
            }
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
            urls,
            wanted: wanted(spec),
            path,
            auth,
        })
    }

    pub(super) fn shown(&self) -> String {
        let url = self.urls.first().map(network::shown).unwrap_or_default();
        format!("{} at {} of {url}", self.path.join("/"), self.wanted)
    }

    pub(super) async fn read(
        &self,
        network: &Network,
        kept: &Kept,
        secrets: &dyn Secrets,
    ) -> Result<Bytes, FireError> {
        let mut last = None;
        for url in &self.urls {
            match self.read_from(url, network, kept, secrets).await {
                Ok(bytes) => return Ok(bytes),
                // The first place that says no for good must not hide one that may be back.
                Err(error) if error.is_transient() => return Err(error),
                Err(error) => last = last.or(Some(error)),
            }
        }
        Err(last.unwrap_or_else(|| FireError::permanent("git.url must be set")))
    }

    async fn read_from(
        &self,
        url: &Url,
        network: &Network,
        kept: &Kept,
        secrets: &dyn Secrets,
    ) -> Result<Bytes, FireError> {
        let what = cannot_read(self.shown());
        let login = self.login(url, network, kept, secrets).await?;
        let client = network.client(url, &Trust::default())?;
        let mut remote = Remote::open(client, url, login, what.clone()).await?;
        let commit = match Oid::parse(&self.wanted) {
            Some(commit) => commit,
            None => remote.resolve(&self.wanted).await?,
        };
        let key = (network::shown(url), self.path.join("/"));
        if let Some((of, file)) = kept.lock().get(&key)
            && *of == commit
        {
            return Ok(file.clone());
        }
        let pack = remote.fetch(commit, Want::Commit).await?;
        let file = match self.look(pack, commit, &what).await? {
            Found::File(file) => file,
            // The repository sends files one by one: what came was the way to this one.
            Found::Absent(blob) => {
                let pack = remote.fetch(blob, Want::Blob).await?;
                blocking(what.clone(), move || pack.into_blob(blob, LARGEST)).await?
            }
        };
        let mut files = kept.lock();
        if files.len() >= KEPT {
            files.clear();
        }
        files.insert(key, (commit, file.clone()));
        Ok(file)
    }

    async fn look(&self, pack: Pack, commit: Oid, what: &str) -> Result<Found, FireError> {
        let path = self.path.clone();
        blocking(what.to_owned(), move || pack.walk(commit, &path, LARGEST)).await
    }

    async fn login(
        &self,
        url: &Url,
        network: &Network,
        kept: &Kept,
        secrets: &dyn Secrets,
    ) -> Result<Option<Login>, FireError> {
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
                password: app.token(url, &kept.tokens, network, secrets).await?,
            })),
        }
    }
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

/// Why a repository's URL cannot be read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UrlProblem {
    /// It needs ssh.
    Ssh,
    /// It is nothing that is known.
    Other,
}

impl UrlProblem {
    /// What must hold.
    pub(crate) const fn must(self) -> &'static str {
        match self {
            Self::Ssh => "must begin with https://",
            Self::Other => "must be a whole URL, as https://host/repository.git",
        }
    }
}

/// A URL that can be read from.
pub(crate) fn check_url(text: &str) -> Result<Url, UrlProblem> {
    match Url::parse(text) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => Ok(url),
        Ok(url) if ["ssh", "git+ssh", "ssh+git"].contains(&url.scheme()) => Err(UrlProblem::Ssh),
        // The short form of ssh: user@host:path.
        Err(_) if text.contains('@') && text.contains(':') => Err(UrlProblem::Ssh),
        _ => Err(UrlProblem::Other),
    }
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
    fn only_http_is_read_from_and_ssh_is_named() {
        for (text, expected) in [
            ("https://github.com/o/r.git", None),
            ("http://host:3000/o/r", None),
            ("git@github.com:o/r.git", Some(UrlProblem::Ssh)),
            ("ssh://git@github.com/o/r.git", Some(UrlProblem::Ssh)),
            ("git://host/r", Some(UrlProblem::Other)),
            ("file:///etc", Some(UrlProblem::Other)),
            ("/etc", Some(UrlProblem::Other)),
            ("../r", Some(UrlProblem::Other)),
            ("ext::sh -c touch% /tmp/x", Some(UrlProblem::Other)),
            ("", Some(UrlProblem::Other)),
        ] {
            assert_eq!(check_url(text).err(), expected, "{text}");
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
