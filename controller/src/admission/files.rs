//! A certificate that somebody else keeps up, as files: read at the start and again when they change.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use rustls::sign::CertifiedKey;
use tiphys_core::Tasks;
use tiphys_core::tasks::chain;

use crate::admission::registration::register;
use crate::admission::serving::{CertificateError, Serving, parse};

/// How often the files are read.
const LOOK: Duration = Duration::from_secs(10);

/// Where a certificate is.
#[derive(Debug, Clone)]
pub struct CertificateFiles {
    /// The chain, PEM, the server's own first.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The authority, PEM, and the ValidatingWebhookConfiguration that gets it as `caBundle`.
    pub authority: Option<(PathBuf, String)>,
}

/// Serves the files, and looks for changes until `tasks` stops.
pub(crate) fn spawn(
    files: CertificateFiles,
    client: &Client,
    serving: Arc<Serving>,
    tasks: &Tasks,
) -> Result<(), CertificateError> {
    serving.set(files.read()?.0);
    let (client, stop) = (client.clone(), tasks.stop_token());
    tasks.spawn("webhook certificate", async move {
        loop {
            if let Err(error) = files.pass(&client, &serving).await {
                tracing::warn!(error, "the webhook's certificate is not renewed");
            }
            tokio::select! {
                () = stop.cancelled() => return Ok::<(), Infallible>(()),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    });
    Ok(())
}

impl CertificateFiles {
    fn read(&self) -> Result<(Arc<CertifiedKey>, Option<String>), CertificateError> {
        let read = |path: &PathBuf| {
            std::fs::read(path).map_err(|source| CertificateError::Unreadable {
                path: path.display().to_string(),
                source,
            })
        };
        let pair = parse(&read(&self.certificate)?, &read(&self.key)?)?;
        let authority = match &self.authority {
            Some((path, _)) => Some(String::from_utf8_lossy(&read(path)?).into_owned()),
            None => None,
        };
        Ok((pair, authority))
    }

    async fn pass(&self, client: &Client, serving: &Serving) -> Result<(), String> {
        let files = self.clone();
        let read = tokio::task::spawn_blocking(move || files.read()).await;
        let (pair, authority) = read
            .map_err(|error| error.to_string())?
            .map_err(|error| chain(&error))?;
        if let (Some(bundle), Some((_, configuration))) = (authority, &self.authority) {
            register(client, configuration, &bundle)
                .await
                .map_err(|error| chain(&error))?;
        }
        if !serving.serves(&pair) {
            serving.set(pair);
            tracing::info!("serving a renewed certificate");
        }
        Ok(())
    }
}
