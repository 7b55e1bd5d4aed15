//! The validating admission webhook: objects are looked at before the API server keeps them.
//!
//! ```text
//! API server ─HTTPS─▶ serve ─▶ review (reads, answers) ─▶ judge (pure: check::check, update rules)
//!                       ▲                 └─ is there the Sensor's EventBus? ─▶ kube::Client
//!                     Serving ◀── keeper: Secret ⇄ certificate, caBundle of the webhook configuration
//! ```
//!
//! Entry point: [`spawn`]. It changes no object, and knows no rule of its own that `lint` would not know too,
//! except those that compare an object with what is there already.

pub(crate) mod authority;
mod files;
mod judge;
mod keeper;
mod registration;
mod review;
mod serve;
pub(crate) mod serving;
mod tally;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tiphys_core::Tasks;
use tiphys_core::metrics::Metrics;
use tokio::net::TcpListener;
use tokio::sync::watch;

pub use files::CertificateFiles;
pub use keeper::SelfSigned;
pub use review::MissingBus;
pub use serving::CertificateError;

use crate::admission::review::Reviewer;
use crate::admission::serving::Serving;
use crate::hosting::Snapshot;

/// Where the serving certificate comes from.
#[derive(Debug, Clone)]
pub enum Certificate {
    /// Made by the webhook, shared with its other replicas through a Secret, and renewed in time.
    SelfSigned(SelfSigned),
    /// Kept up by someone else; the files are read again when they change.
    Files(CertificateFiles),
}

/// What a webhook needs.
pub struct Options {
    /// The API server: EventBuses are looked up there, and the certificate is kept there.
    pub client: Client,
    /// The serving certificate.
    pub certificate: Certificate,
    /// What is said of a Sensor whose EventBus does not exist.
    pub missing_bus: MissingBus,
    /// How long one review may take.
    pub timeout: Duration,
    /// The largest request, in bytes; an update carries the object twice.
    pub max_body: usize,
    /// Where reviews are counted.
    pub metrics: Metrics,
}

/// Serves reviews until `tasks` stops. The answer says whether there is a certificate, for the admin port.
///
/// # Errors
/// Where the certificate of files cannot be used. One that the webhook makes itself is made in the background,
/// and until it is there no connection is taken.
pub fn spawn(
    listener: TcpListener,
    options: Options,
    tasks: &Tasks,
) -> Result<watch::Receiver<Snapshot>, CertificateError> {
    let serving = Arc::new(Serving::new());
    let state = serving.state();
    match options.certificate {
        Certificate::SelfSigned(own) => {
            keeper::spawn(options.client.clone(), own, serving.clone(), tasks);
        }
        Certificate::Files(files) => {
            files::spawn(files, &options.client, serving.clone(), tasks)?;
        }
    }
    let reviewer = Reviewer::new(
        options.client,
        options.missing_bus,
        options.timeout,
        &options.metrics,
    );
    serve::spawn(listener, reviewer, options.max_body, &serving, tasks);
    Ok(state)
}
