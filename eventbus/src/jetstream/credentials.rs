//! How the servers come to trust us and we them: the access secret and TLS. It reads secrets by reference and keeps none in a log.

use std::sync::Arc;

use async_nats::ConnectOptions;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use serde_json::Value;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::TlsSpec;
use tiphys_core::tasks::chain;
use tiphys_core::{Secret, Secrets, manifest};

use crate::resource::server_list;

/// What a server is told about us.
#[derive(Clone, Default)]
pub(crate) struct Credentials {
    pub(crate) token: Option<String>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
}

impl Credentials {
    /// Reads the secret anew, so that a changed one works at the next connection.
    pub(crate) async fn read(secrets: &dyn Secrets, at: &KeyRef) -> Result<Self, String> {
        let secret = secrets.secret(at).await.map_err(|error| chain(&error))?;
        Self::parse(&secret).ok_or_else(|| {
            format!(
                "key {:?} of secret {:?} must be YAML with username and password, or token, or a token alone",
                at.key, at.name
            )
        })
    }

    /// A mapping by its keys in any case; anything else is a token (reference `bus-and-sensor.md`, B21).
    pub(crate) fn parse(secret: &Secret) -> Option<Self> {
        let text = secret.expose_str()?.trim();
        let members = match manifest::parse(text).map(|documents| documents.into_iter().next()) {
            Ok(Some(document)) => match document.object {
                Value::Object(members) => members,
                _ => serde_json::Map::new(),
            },
            _ => serde_json::Map::new(),
        };
        let mut found = Self::default();
        for (key, value) in &members {
            let value = match value {
                Value::String(value) => value.clone(),
                Value::Null => continue,
                // A password of digits is the digits as they stand, with their leading zeros.
                other => written(text, key).unwrap_or_else(|| other.to_string()),
            };
            match key.to_lowercase().as_str() {
                "token" => found.token = Some(value),
                "username" | "user" => found.username = Some(value),
                "password" => found.password = Some(value),
                _ => {}
            }
        }
        if found.token.is_none() && found.username.is_none() && found.password.is_none() {
            if text.is_empty() || !members.is_empty() {
                return None;
            }
            found.token = Some(text.to_owned());
        } else if found.username.is_none() && found.token.is_none() {
            // A password without a user is how Argo's documentation names a token.
            found.token = found.password.take();
        }
        Some(found)
    }
}

fn written(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| {
        line.trim()
            .strip_prefix(key)?
            .trim_start()
            .strip_prefix(':')
    })?;
    let value = value.split(" #").next().unwrap_or(value).trim();
    (!value.is_empty()).then(|| value.to_owned())
}

/// Adds TLS as the spec says; without a spec the client follows the server's wish.
pub(crate) async fn with_tls(
    options: ConnectOptions,
    tls: Option<&TlsSpec>,
    secrets: &dyn Secrets,
) -> Result<ConnectOptions, String> {
    let Some(tls) = tls else { return Ok(options) };
    let config = client_config(tls, secrets).await?;
    Ok(options.require_tls(true).tls_client_config(config))
}

/// Whether servers were made by Argo's controller, by the name that it gives their Service.
///
/// They demand TLS, sign their certificates themselves, and the bus's status does not say by what to verify them, so
/// that every client of theirs goes unverified. Our own controller names the CA.
pub(crate) fn made_by_argo(url: &str) -> bool {
    server_list(url).all(|server| {
        let host = server.split_once("://").map_or(server, |(_, host)| host);
        let service = host.split(['.', ':']).next().unwrap_or(host);
        service.starts_with("eventbus-") && service.ends_with("-js-svc")
    })
}

/// TLS where the server demands it, whoever it is.
pub(crate) fn unverified(options: ConnectOptions) -> Result<ConnectOptions, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        .with_no_client_auth();
    Ok(options.tls_client_config(config))
}

async fn client_config(tls: &TlsSpec, secrets: &dyn Secrets) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = if tls.insecure_skip_verify {
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    } else {
        let roots = roots(tls.ca_cert_secret.as_ref(), secrets).await?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|error| format!("TLS cannot be set up: {error}"))?;
        builder
            .dangerous()
            .with_custom_certificate_verifier(verifier)
    };
    let (Some(cert), Some(key)) = (&tls.client_cert_secret, &tls.client_key_secret) else {
        return Ok(builder.with_no_client_auth());
    };
    let certs = certificates(cert, secrets).await?;
    let secret = secrets.secret(key).await.map_err(|error| chain(&error))?;
    let key = PrivateKeyDer::from_pem_slice(secret.expose()).map_err(|error| {
        format!(
            "key {:?} of secret {:?} is not a PEM private key: {error}",
            key.key, key.name
        )
    })?;
    builder
        .with_client_auth_cert(certs, key)
        .map_err(|error| format!("the client certificate does not fit its key: {error}"))
}

async fn roots(ca: Option<&KeyRef>, secrets: &dyn Secrets) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(ca) => {
            for cert in certificates(ca, secrets).await? {
                roots.add(cert).map_err(|error| {
                    format!(
                        "key {:?} of secret {:?} is not a CA: {error}",
                        ca.key, ca.name
                    )
                })?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                return Err(
                    "this system has no root certificates: install them, or name caCertSecret"
                        .to_owned(),
                );
            }
        }
    }
    Ok(roots)
}

async fn certificates(
    at: &KeyRef,
    secrets: &dyn Secrets,
) -> Result<Vec<CertificateDer<'static>>, String> {
    let secret = secrets.secret(at).await.map_err(|error| chain(&error))?;
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(secret.expose()).collect();
    match certs {
        Ok(certs) if !certs.is_empty() => Ok(certs),
        Ok(_) => Err(format!(
            "key {:?} of secret {:?} holds no PEM certificate",
            at.key, at.name
        )),
        Err(error) => Err(format!(
            "key {:?} of secret {:?} is not a PEM certificate: {error}",
            at.key, at.name
        )),
    }
}

/// Trusts every server, as `insecureSkipVerify` asks; signatures are checked all the same.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_mapping_or_a_token() {
        let own = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        for (text, token, username, password) in [
            ("token: abc\n", "abc", "", ""),
            ("Username: joe\npassword: 00123\n", "", "joe", "00123"),
            ("username: joe\npassword: 'a: b'\n", "", "joe", "a: b"),
            ("plain-token\n", "plain-token", "", ""),
            ("12345", "12345", "", ""),
            ("password: x", "x", "", ""),
        ] {
            let found = Credentials::parse(&Secret::new(text)).unwrap();
            assert_eq!(
                (found.token, found.username, found.password),
                (own(token), own(username), own(password)),
                "{text}"
            );
        }
        assert!(Credentials::parse(&Secret::new("other: x")).is_none());
        assert!(Credentials::parse(&Secret::new("")).is_none());
    }

    #[test]
    fn only_the_services_of_argos_controller_go_unverified() {
        for (url, argos) in [
            ("nats://eventbus-default-js-svc.argo-events.svc:4222", true),
            ("eventbus-a-b-js-svc.ns.svc:4222", true),
            (
                "nats://eventbus-default-js-svc.ns.svc:4222,nats://other:4222",
                false,
            ),
            ("nats://nats.example.com:4222", false),
            ("nats://eventbus-default-js-svc-x.ns:4222", false),
            ("nats://my.eventbus-default-js-svc.ns:4222", false),
        ] {
            assert_eq!(made_by_argo(url), argos, "{url}");
        }
    }
}
