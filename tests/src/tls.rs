//! A certificate authority of the test's own, server certificates for the
//! loopback address under it, and an HTTP client that trusts it.
//!
//! It never leaves the test's folder and is worth nothing outside it.

use std::fs;
use std::path::{Path, PathBuf};

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// The files of one server, in PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The authority's certificate, for clients.
    pub ca: PathBuf,
    /// The server's certificate for `localhost` and `127.0.0.1`.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Writes a fresh authority and a certificate under it into `folder`.
    ///
    /// # Panics
    ///
    /// When the folder cannot be written.
    pub fn create(folder: &Path) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, key()).expect("an authority can sign itself");
        let server_key = key();
        let server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .and_then(|params| params.signed_by(&server_key, &authority))
            .expect("the authority can sign a certificate for the loopback names");
        Self {
            ca: write(folder, "ca.crt", &authority.pem()),
            certificate: write(folder, "server.crt", &server.pem()),
            key: write(folder, "server.key", &server_key.serialize_pem()),
        }
    }
}

/// Writes a fresh key pair into `folder`: the private and the public key.
///
/// # Panics
///
/// When the folder cannot be written.
pub fn write_key_pair(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
    let key = key();
    (
        write(folder, &format!("{name}.key"), &key.serialize_pem()),
        write(folder, &format!("{name}.pub"), &key.public_key_pem()),
    )
}

/// An HTTP client that trusts the authority in the PEM file `ca`, and no other.
///
/// # Panics
///
/// When the file holds no certificate.
pub fn http_client(ca: Option<&Path>) -> reqwest::Client {
    let mut roots = RootCertStore::empty();
    if let Some(ca) = ca {
        let certificate = CertificateDer::from_pem_file(ca)
            .unwrap_or_else(|error| panic!("read {}: {error}", ca.display()));
        roots.add(certificate).expect("the certificate is one");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider speaks the default versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .no_proxy()
        .build()
        .expect("the client can be built")
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key can be generated")
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    path
}
