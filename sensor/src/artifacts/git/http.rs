//! A repository behind HTTP: each question is a request of its own. Credentials go as a header, and only to the host
//! that they are for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::{Client, RequestBuilder, StatusCode, Url};

use super::Login;
use super::lines::WireError;
use crate::artifacts::network;
use crate::triggers::FireError;

/// A repository on a web server.
pub(super) struct Http {
    client: Client,
    base: Url,
    login: Option<String>,
    what: String,
}

impl Http {
    /// Asks what the server speaks; the answer may be so large.
    pub(super) async fn open(
        client: Client,
        url: &Url,
        login: Option<Login>,
        what: &str,
        most: usize,
    ) -> Result<(Self, Bytes), FireError> {
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
        let mut http = Self {
            client,
            base,
            login,
            what: what.to_owned(),
        };
        let mut url = http.base.clone();
        url.set_query(Some("service=git-upload-pack"));
        let asked_at = url.origin();
        let request = http.client.get(url);
        let response = http.send(request).await?;
        let kind = response.headers().get("content-type");
        if kind.is_none_or(|kind| kind != "application/x-git-upload-pack-advertisement") {
            return Err(http.failed(WireError::NoGit));
        }
        // A repository that has moved is spoken to where it is now; credentials stay with the host they are for.
        let mut base = response.url().clone();
        if base.origin() != asked_at {
            http.login = None;
        }
        base.set_query(None);
        let path = base
            .path()
            .strip_suffix("/info/refs")
            .map(ToOwned::to_owned);
        match path {
            Some(path) => base.set_path(&path),
            None => return Err(http.failed(WireError::NoGit)),
        }
        http.base = base;
        let body = network::body(&http.what, response, most).await?;
        Ok((http, body))
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

    /// Sends a question, and reads the answer.
    pub(super) async fn ask(&self, body: Vec<u8>, most: usize) -> Result<Bytes, FireError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_from_the_url_where_the_spec_names_none() {
        let url = Url::parse("https://us%40er:p%3Aw@host/r").unwrap();
        let expected = format!("Basic {}", STANDARD.encode("us@er:p:w"));
        assert_eq!(in_url(&url), Some(expected));
        assert_eq!(in_url(&Url::parse("https://host/r").unwrap()), None);
    }
}
