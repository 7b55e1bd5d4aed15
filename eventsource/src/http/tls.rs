//! The certificate of a port, read again now and then so that a rotated one is used without a restart.

use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, SecretError, Secrets};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

/// For how long a certificate that was read is used without looking.
const FRESH: Duration = Duration::from_secs(10);

/// Where a port's certificate comes from; equal ones can share a port.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TlsAt {
    pub(crate) namespace: String,
    pub(crate) cert: KeyRef,
    pub(crate) key: KeyRef,
}

/// Why a port has no certificate.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TlsError {
    /// It cannot be read.
    #[error("cannot read the certificate for HTTPS")]
    Secret(#[source] SecretError),
    /// It does not arrive.
    #[error("cannot read the certificate for HTTPS in time")]
    Slow,
    /// It is not what rustls takes.
    #[error("cannot use the certificate for HTTPS: {0}")]
    Unusable(String),
}

/// Gives the TLS settings for new connections of a port.
pub(crate) struct Tls {
    pub(crate) at: TlsAt,
    secrets: Arc<dyn Secrets>,
    known: Mutex<Option<Known>>,
}

struct Known {
    at: Instant,
    cert: Secret,
    key: Secret,
    config: Arc<ServerConfig>,
}

impl Tls {
    pub(crate) fn new(at: TlsAt, secrets: Arc<dyn Secrets>) -> Self {
        Self {
            at,
            secrets,
            known: Mutex::new(None),
        }
    }

    /// The settings with the newest certificate; the one before it while the newest cannot be used.
    pub(crate) async fn config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let mut known = self.known.lock().await;
        let stale = match known.as_ref() {
            Some(known) if known.at.elapsed() < FRESH => return Ok(known.config.clone()),
            known => {
                known.map(|known| (known.cert.clone(), known.key.clone(), known.config.clone()))
            }
        };
        match self.load(stale.as_ref()).await {
            Ok(fresh) => {
                let config = fresh.config.clone();
                *known = Some(fresh);
                Ok(config)
            }
            Err(error) => {
                let Some((_, _, config)) = stale else {
                    return Err(error);
                };
                tracing::warn!(
                    error = tiphys_core::tasks::chain(&error),
                    "the new certificate cannot be used; the old one stays"
                );
                if let Some(known) = known.as_mut() {
                    known.at = Instant::now();
                }
                Ok(config)
            }
        }
    }

    async fn load(
        &self,
        stale: Option<&(Secret, Secret, Arc<ServerConfig>)>,
    ) -> Result<Known, TlsError> {
        let cert = self
            .secrets
            .secret(&self.at.cert)
            .await
            .map_err(TlsError::Secret)?;
        let key = self
            .secrets
            .secret(&self.at.key)
            .await
            .map_err(TlsError::Secret)?;
        let config = match stale {
            Some((old_cert, old_key, config))
                if old_cert.matches(cert.expose()) && old_key.matches(key.expose()) =>
            {
                config.clone()
            }
            _ => Arc::new(settings(&cert, &key)?),
        };
        Ok(Known {
            at: Instant::now(),
            cert,
            key,
            config,
        })
    }
}

fn settings(cert: &Secret, key: &Secret) -> Result<ServerConfig, TlsError> {
    let unusable = |what: &str, error: String| TlsError::Unusable(format!("{what}: {error}"));
    let chain: Vec<_> = CertificateDer::pem_slice_iter(cert.expose())
        .collect::<Result<_, _>>()
        .map_err(|error| unusable("serverCertSecret is not PEM", error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Unusable(
            "serverCertSecret holds no PEM certificate".to_owned(),
        ));
    }
    let key = PrivateKeyDer::from_pem_slice(key.expose())
        .map_err(|error| unusable("serverKeySecret is not a PEM key", error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable("TLS", error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable("certificate and key", error.to_string()))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}
