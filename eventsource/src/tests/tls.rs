//! HTTPS: certificates from secrets, rotation, and ports that cannot speak both.

use reqwest::Certificate;

use super::*;
use crate::http::tls::{Tls, TlsAt};

/// A self-signed certificate for 127.0.0.1 and its key, PEM.
fn pair() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn reference(key: &str) -> KeyRef {
    KeyRef {
        name: "tls".to_owned(),
        key: key.to_owned(),
        optional: None,
    }
}

const SECURE: &str =
    "serverCertSecret: {name: tls, key: cert}, serverKeySecret: {name: tls, key: key}";

#[tokio::test]
async fn https_is_served_with_http_1_and_2() {
    let world = World::new(Limits::default());
    let (cert, key) = pair();
    world.secrets.set("tls/cert", &cert);
    world.secrets.set("tls/key", &key);
    let at = world.example(&format!(", {SECURE}")).await;
    let root = Certificate::from_pem(cert.as_bytes()).unwrap();
    for http1 in [true, false] {
        let builder = Client::builder().no_proxy().tls_certs_only([root.clone()]);
        let client = if http1 { builder.http1_only() } else { builder };
        let reply = client
            .build()
            .unwrap()
            .post(format!("https://{at}/example"))
            .body("{}");
        let reply = reply.send().await.unwrap();
        assert_eq!(reply.status(), 200);
        let version = if http1 {
            ::http::Version::HTTP_11
        } else {
            ::http::Version::HTTP_2
        };
        assert_eq!(reply.version(), version);
    }
    assert_eq!(world.stored().len(), 2);
}

#[tokio::test]
async fn one_port_speaks_either_http_or_https() {
    let world = World::new(Limits::default());
    let (cert, key) = pair();
    world.secrets.set("tls/cert", &cert);
    world.secrets.set("tls/key", &key);
    let at = world.example("").await;
    let later = world
        .apply(
            "later",
            &format!("{{a: {{port: \"1\", endpoint: /a, {SECURE}}}}}"),
        )
        .await;
    let expected = "port 1 is already used by EventSource ns/es with HTTP: use the same serverCertSecret and serverKeySecret, or another port";
    assert_eq!(failure(&later, "a"), expected);
    assert_eq!(
        world
            .post(at, "/example")
            .body("{}")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn a_missing_certificate_is_named_and_used_once_it_is_there() {
    let world = World::new(Limits::default());
    let applied = world
        .apply(
            "es",
            &format!("{{ev: {{port: \"1\", endpoint: /a, {SECURE}}}}}"),
        )
        .await;
    let expected = "cannot read the certificate for HTTPS: secret \"tls\" has no key \"cert\": create it, or mend the reference";
    assert_eq!(failure(&applied, "ev"), expected);
    let (cert, key) = pair();
    world.secrets.set("tls/key", &key);
    world.secrets.set("tls/cert", &cert);
    let mut states = world.runtime.states();
    let name = ("ns".to_owned(), "es".to_owned());
    let open = |states: &crate::States| matches!(states[&name]["ev"], EventState::Listening { .. });
    states.wait_for(open).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_rotated_certificate_is_used_and_a_broken_one_is_not() {
    let secrets = Arc::new(FakeSecrets::default());
    let tls = Tls::new(
        TlsAt {
            namespace: "ns".to_owned(),
            cert: reference("cert"),
            key: reference("key"),
        },
        secrets.clone(),
    );
    secrets.set("tls/cert", "no certificate");
    secrets.set("tls/key", "");
    let error = tls.config().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot use the certificate for HTTPS: serverCertSecret holds no PEM certificate"
    );
    let install = |(cert, key): (String, String)| {
        secrets.set("tls/cert", &cert);
        secrets.set("tls/key", &key);
    };
    install(pair());
    let first = tls.config().await.unwrap();
    let later = async || {
        tokio::time::advance(Duration::from_secs(11)).await;
        tls.config().await.unwrap()
    };
    assert!(Arc::ptr_eq(&first, &later().await));
    secrets.set("tls/key", "broken");
    assert!(Arc::ptr_eq(&first, &later().await));
    install(pair());
    let second = later().await;
    assert!(!Arc::ptr_eq(&first, &second));
    assert!(Arc::ptr_eq(&second, &tls.config().await.unwrap()));
}

#[tokio::test(start_paused = true)]
async fn a_rotated_token_is_believed_within_a_second_and_an_old_one_while_the_store_is_away() {
    let secrets = Arc::new(FakeSecrets::default());
    let bearer = crate::http::auth::Bearer::new(reference("token"), secrets.clone());
    let check = async |token: &str| {
        let mut headers = ::http::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {token}").parse().unwrap());
        bearer.check(&headers).await.is_ok()
    };
    secrets.set("tls/token", "old");
    assert!(check("old").await);
    secrets.set("tls/token", "new");
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(check("new").await);
    assert!(!check("old").await);
    // A store that is away changes nothing.
    secrets.away.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(check("new").await);
    assert!(!check("old").await);
    secrets.away.store(false, Ordering::Relaxed);
    // An empty secret opens nothing.
    secrets.set("tls/token", "");
    tokio::time::advance(Duration::from_secs(6)).await;
    assert!(!check("").await);
}
