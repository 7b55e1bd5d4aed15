//! The certificate that is served now. It can be exchanged while connections are open; it makes and stores none.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tokio::sync::watch;

use crate::hosting::Snapshot;

/// Why a certificate cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The text is no certificate or key.
    #[error("cannot read the {what} as PEM")]
    NotPem {
        /// Which of the two.
        what: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// Certificate and key do not belong together, or are of a kind that is not supported.
    #[error("the certificate cannot be served with its key")]
    Unfit(#[source] rustls::Error),
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A certificate cannot be made, for example for a name that cannot stand in one.
    #[error("cannot make a certificate")]
    Unmade(#[source] rcgen::Error),
}

/// Hands out the certificate of the moment.
#[derive(Debug)]
pub(crate) struct Serving {
    current: RwLock<Option<Arc<CertifiedKey>>>,
    ready: watch::Sender<Snapshot>,
}

impl Serving {
    /// Without a certificate yet.
    pub(crate) fn new() -> Self {
        let waiting = Snapshot {
            unread: vec!["there is no certificate yet".to_owned()],
            ..Snapshot::default()
        };
        Self {
            current: RwLock::default(),
            ready: watch::Sender::new(waiting),
        }
    }

    /// Serves another certificate from the next handshake on.
    pub(crate) fn set(&self, certificate: Arc<CertifiedKey>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(certificate);
        self.ready.send_modify(|state| state.synced = true);
    }

    /// Whether there is a certificate, for the admin port.
    pub(crate) fn state(&self) -> watch::Receiver<Snapshot> {
        self.ready.subscribe()
    }

    /// What is served.
    pub(crate) fn current(&self) -> Option<Arc<CertifiedKey>> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether just this certificate is served.
    pub(crate) fn serves(&self, other: &CertifiedKey) -> bool {
        self.current()
            .is_some_and(|current| current.cert == other.cert)
    }
}

impl ResolvesServerCert for Serving {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current()
    }
}

/// Reads a chain and its key, and makes sure that they fit.
pub(crate) fn parse(certificate: &[u8], key: &[u8]) -> Result<Arc<CertifiedKey>, CertificateError> {
    let not_pem = |what| move |source| CertificateError::NotPem { what, source };
    let chain = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<Vec<_>, _>>()
        .map_err(not_pem("certificate"))?;
    if chain.is_empty() {
        return Err(CertificateError::NotPem {
            what: "certificate",
            source: pem::Error::NoItemsFound,
        });
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(not_pem("key"))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map(Arc::new)
        .map_err(CertificateError::Unfit)
}

/// TLS as the API server speaks it.
pub(crate) fn config(serving: Arc<Serving>) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(serving);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
