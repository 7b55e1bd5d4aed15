//! A GitHub app's way into a repository: a signed word that it is the app, exchanged for a token of an installation.
//! The private key never leaves this module.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::Url;
use rustls::SignatureScheme;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use serde_json::json;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, Secrets};
use tokio::time::Instant;

use super::network::{self, Network, Trust};
use crate::triggers::FireError;

/// A token lasts an hour; one that is older than this is not used again.
const FRESH: Duration = Duration::from_secs(40 * 60);

/// A GitHub app.
#[derive(Clone)]
pub(super) struct GithubApp {
    pub(super) private_key: KeyRef,
    pub(super) app_id: i64,
    pub(super) installation_id: i64,
}

/// Where a token is asked for, the app, and the installation.
type Asked = (String, i64, i64);

/// Tokens by what was asked, with when they came.
type Made = HashMap<Asked, (Instant, Secret)>;

/// Tokens that are good for a while.
#[derive(Default)]
pub(super) struct Tokens(Mutex<Made>);

#[derive(Deserialize)]
struct Answer {
    token: String,
}

impl GithubApp {
    /// The password of user `x-access-token`.
    pub(super) async fn token(
        &self,
        repository: &Url,
        tokens: &Tokens,
        network: &Network,
        secrets: &dyn Secrets,
    ) -> Result<Secret, FireError> {
        let what = "cannot get a token for the GitHub app".to_owned();
        let installation = self.installation_id;
        let url = api(repository).and_then(|base| {
            let path = format!("app/installations/{installation}/access_tokens");
            base.join(&path).ok()
        });
        let Some(url) = url else {
            return Err(FireError::permanent(format!(
                "{what}: the repository has no host"
            )));
        };
        let key = (url.to_string(), self.app_id, installation);
        if let Some((made, token)) = tokens.lock().get(&key)
            && made.elapsed() < FRESH
        {
            return Ok(token.clone());
        }
        let secret = secrets.secret(&self.private_key).await;
        let word = self.word(&secret.map_err(FireError::from_secret)?, Timestamp::now())?;
        let trust = Trust {
            no_redirect: true,
            ..Trust::default()
        };
        let request = network.client(&url, &trust)?.post(url);
        let request = request
            .bearer_auth(word)
            .header("accept", "application/vnd.github+json");
        let response = request.send().await;
        let response = response.map_err(|error| network::failed(what.clone(), error))?;
        if !response.status().is_success() {
            return Err(network::refused(what, response.status()));
        }
        let body = network::body(&what, response, 64 * 1024).await?;
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|error| FireError::permanent_from(what, error))?;
        let token = Secret::new(answer.token);
        tokens.lock().insert(key, (Instant::now(), token.clone()));
        Ok(token)
    }

    /// A JSON Web Token that says which app it is, good for some minutes.
    fn word(&self, key: &Secret, now: Timestamp) -> Result<String, FireError> {
        let what = "cannot sign with the private key of the GitHub app";
        let key = PrivateKeyDer::from_pem_slice(key.expose())
            .map_err(|error| FireError::permanent_from(what, error))?;
        let key =
            any_supported_type(&key).map_err(|error| FireError::permanent_from(what, error))?;
        let signer = key
            .choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256])
            .ok_or_else(|| FireError::permanent(format!("{what}: it must be an RSA key")))?;
        let now = now.as_second();
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({"alg": "RS256", "typ": "JWT"}));
        // The minute before allows for clocks that differ.
        let claims =
            part(json!({"iat": now - 60, "exp": now + 8 * 60, "iss": self.app_id.to_string()}));
        let text = format!("{head}.{claims}");
        let signature = signer
            .sign(text.as_bytes())
            .map_err(|error| FireError::permanent_from(what, error))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl Tokens {
    fn lock(&self) -> MutexGuard<'_, Made> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The API of a GitHub, by the place of a repository.
fn api(repository: &Url) -> Option<Url> {
    let mut base = repository.clone();
    base.set_query(None);
    base.set_username("").ok()?;
    base.set_password(None).ok()?;
    if repository.host_str() == Some("github.com") {
        base.set_host(Some("api.github.com")).ok()?;
        base.set_path("/");
    } else {
        base.set_path("/api/v3/");
    }
    Some(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_beside_the_repository() {
        for (repository, expected) in [
            ("https://github.com/org/repo.git", "https://api.github.com/"),
            (
                "https://u:p@git.company.com:8443/org/repo",
                "https://git.company.com:8443/api/v3/",
            ),
        ] {
            let url = Url::parse(repository).unwrap();
            assert_eq!(api(&url).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn a_key_that_is_none_is_an_error() {
        let app = GithubApp {
            private_key: KeyRef::default(),
            app_id: 1,
            installation_id: 2,
        };
        for text in [
            "",
            "no key",
            "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
        ] {
            assert!(
                app.word(&Secret::new(text), Timestamp::UNIX_EPOCH).is_err(),
                "{text}"
            );
        }
    }
}
