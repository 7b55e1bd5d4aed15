//! A GitHub app's way into a repository, against a server that hands out tokens as GitHub does.

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use axum::routing::any;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use serde_json::{Value, json};
use tiphys_core::refs::KeyRef;
use tiphys_core::tasks::chain;
use tiphys_core::{Secret, SecretError, Secrets};

use super::Found;
use super::tests::{artifacts, serve};

/// Made for this test; it opens nothing.
const KEY: &[u8] = include_bytes!("github-app.test.pem");

struct AppKey;

#[async_trait]
impl Secrets for AppKey {
    async fn secret(&self, _: &KeyRef) -> Result<Secret, SecretError> {
        Ok(Secret::new(KEY))
    }

    async fn config(&self, _: &KeyRef) -> Result<Bytes, SecretError> {
        Ok(Bytes::new())
    }
}

/// Hands out `issued` to app 5, and answers everybody else by what they lack.
async fn answer(request: Request) -> axum::response::Response {
    let header = |name: &str| {
        let value = request.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let authorization = header("authorization");
    if request.uri().path() == "/api/v3/app/installations/7/access_tokens" {
        let word = authorization.strip_prefix("Bearer ").unwrap();
        let parts: Vec<&str> = word.split('.').collect();
        let read = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        let (head, claims) = (read(parts[0]), read(parts[1]));
        assert_eq!(
            (parts.len(), &head["alg"], &claims["iss"]),
            (3, &json!("RS256"), &json!("5"))
        );
        assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() <= 600);
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        assert_eq!(signature.len(), 256);
        return (StatusCode::CREATED, json!({"token": "issued"}).to_string()).into_response();
    }
    let expected = format!("Basic {}", STANDARD.encode("x-access-token:issued"));
    if authorization == expected {
        // Who gets so far is let in; that there is no repository is another matter.
        return StatusCode::GONE.into_response();
    }
    StatusCode::UNAUTHORIZED.into_response()
}

#[tokio::test]
async fn a_github_app_is_let_in_with_the_token_of_its_installation() {
    let server = serve(Router::new().fallback(any(answer))).await;
    let said = async |installation: i64| {
        let spec = json!({"git": {"url": format!("http://127.0.0.1:{}/o/r.git", server.port), "filePath": "x",
            "githubApp": {"privateKey": {"name": "s", "key": "k"}, "appID": 5, "installationID": installation}}});
        let spec = serde_json::from_value(spec).unwrap();
        let Found::Elsewhere(source) = Found::new(&spec, None).unwrap() else {
            panic!("it is read when the trigger fires");
        };
        let read = artifacts("true").read(&source, &AppKey).await;
        chain(&read.unwrap_err())
    };
    assert!(
        said(7).await.contains("the server answered 410"),
        "{}",
        said(7).await
    );
    assert!(
        said(8)
            .await
            .contains("cannot get a token for the GitHub app: the server answered 401"),
        "{}",
        said(8).await
    );
}
