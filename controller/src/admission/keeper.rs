//! Keeps the webhook's own certificate: in a Secret that all replicas share, renewed in time, known to the API server.
//!
//! ```text
//! Secret usable? ─no─▶ make ─▶ write it (one replica wins, the others read) ─┐
//!      └─yes───────────────────────────────────────────────────────────────┴▶ caBundle ─▶ serve
//! ```
//!
//! The bundle holds the new authority and the one before, so that whichever certificate a replica still serves is
//! trusted. The API server learns a bundle before anything under it is served.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use rustls::sign::CertifiedKey;
use tiphys_core::Tasks;
use tiphys_core::backoff::Backoff;
use tiphys_core::tasks::chain;

use crate::admission::authority::{self, Made};
use crate::admission::registration::{Registered, register};
use crate::admission::serving::{CertificateError, Serving, parse};

/// How often the Secret and the configuration are looked at.
const LOOK: Duration = Duration::from_secs(30);
/// How long API servers get to hear of a new authority before something is served under it.
const HEARD: Duration = Duration::from_secs(5);

const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const BUNDLE: &str = "ca.crt";
const RENEW_AFTER: &str = "tiphys.dev/renew-after";
const NOT_AFTER: &str = "tiphys.dev/not-after";
const HOSTS: &str = "tiphys.dev/hosts";

/// A certificate that the webhook makes itself.
#[derive(Debug, Clone)]
pub struct SelfSigned {
    /// Where the Secret is.
    pub namespace: String,
    /// The Secret's name.
    pub secret: String,
    /// The ValidatingWebhookConfiguration that has to trust it.
    pub configuration: String,
    /// The names and addresses that the webhook is reached under.
    pub hosts: Vec<String>,
    /// How long a certificate is valid; the next is made after two thirds of it.
    pub validity: Duration,
}

/// Why the certificate could not be seen to; it is tried again.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("cannot {doing}")]
    Api {
        doing: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A Secret as it was found.
struct Stored {
    version: Option<String>,
    pair: Option<Arc<CertifiedKey>>,
    bundle: String,
    renew_after: Option<Timestamp>,
    not_after: Option<Timestamp>,
    hosts: String,
}

struct Keeper {
    client: Client,
    own: SelfSigned,
    serving: Arc<Serving>,
    absent_told: bool,
}

/// Looks after the certificate until `tasks` stops.
pub(crate) fn spawn(client: Client, own: SelfSigned, serving: Arc<Serving>, tasks: &Tasks) {
    let stop = tasks.stop_token();
    let mut keeper = Keeper {
        client,
        own,
        serving,
        absent_told: false,
    };
    tasks.spawn("webhook certificate", async move {
        let kept = async {
            let backoff = Backoff::reconnect();
            let mut attempt = 0;
            loop {
                let wait = match keeper.pass().await {
                    Ok(()) => {
                        attempt = 0;
                        keeper.own.look()
                    }
                    Err(error) => {
                        tracing::warn!(error = %chain(&error), "the webhook's certificate cannot be looked after now");
                        attempt += 1;
                        backoff.wait_after(attempt).unwrap_or(LOOK)
                    }
                };
                tokio::time::sleep(wait).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => Ok::<(), Infallible>(()),
            never = kept => never,
        }
    });
}

impl SelfSigned {
    /// Short-lived certificates are looked at more often.
    fn look(&self) -> Duration {
        LOOK.min(self.validity / 10)
    }

    fn joined_hosts(&self) -> String {
        self.hosts.join(",")
    }
}

impl Keeper {
    async fn pass(&mut self) -> Result<(), KeepError> {
        let (pair, bundle) = self.pair().await?;
        let own = &self.own;
        let registered = register(&self.client, &own.configuration, &bundle).await;
        let registered = registered.map_err(api(|| {
            format!(
                "write the caBundle of the ValidatingWebhookConfiguration {:?}",
                own.configuration
            )
        }))?;
        if registered == Registered::Absent && !self.absent_told {
            tracing::warn!(
                configuration = own.configuration,
                "there is no such ValidatingWebhookConfiguration yet, so nothing is sent here"
            );
        }
        self.absent_told = registered == Registered::Absent;
        if self.serving.serves(&pair) {
            return Ok(());
        }
        if self.serving.current().is_some() {
            tokio::time::sleep(HEARD.min(own.validity / 10)).await;
        }
        self.serving.set(pair);
        tracing::info!(
            hosts = own.joined_hosts(),
            "serving a certificate of its own"
        );
        Ok(())
    }

    /// The certificate to serve and the authorities to trust.
    async fn pair(&self) -> Result<(Arc<CertifiedKey>, String), KeepError> {
        loop {
            let found = self.found().await?;
            let now = Timestamp::now();
            if let Some(stored) = &found
                && let Some(pair) = &stored.pair
                && stored.renew_after.is_some_and(|renew| now < renew)
                && stored.hosts == self.own.joined_hosts()
            {
                return Ok((pair.clone(), stored.bundle.clone()));
            }
            let made = authority::make(&self.own.hosts, now, self.own.validity)?;
            let pair = parse(made.certificate.as_bytes(), made.key.as_bytes())?;
            let mut bundle = made.authority.clone();
            let before = found.as_ref().filter(|stored| {
                stored.pair.is_some() && stored.not_after.is_some_and(|end| now < end)
            });
            if let Some(before) = before.and_then(|stored| authority::first(&stored.bundle)) {
                bundle.push_str(before);
                bundle.push('\n');
            }
            if self.write(found.as_ref(), &made, &bundle).await? {
                tracing::info!(until = %made.not_after, "made a new certificate");
                return Ok((pair, bundle));
            }
            // Another replica was first; its certificate is as good.
        }
    }

    async fn found(&self) -> Result<Option<Stored>, KeepError> {
        let own = &self.own;
        let found = self.secrets().get_opt(&own.secret).await;
        let found = found.map_err(api(|| {
            format!("read the Secret {:?} in {:?}", own.secret, own.namespace)
        }))?;
        Ok(found.map(|secret| Stored::read(&secret)))
    }

    /// Writes the Secret; false where somebody else did meanwhile.
    async fn write(
        &self,
        found: Option<&Stored>,
        made: &Made,
        bundle: &str,
    ) -> Result<bool, KeepError> {
        let own = &self.own;
        let text = |text: &str| ByteString(text.as_bytes().to_vec());
        let secret = Secret {
            metadata: ObjectMeta {
                name: Some(own.secret.clone()),
                namespace: Some(own.namespace.clone()),
                resource_version: found.and_then(|stored| stored.version.clone()),
                labels: Some(BTreeMap::from([(
                    "app.kubernetes.io/part-of".to_owned(),
                    "tiphys".to_owned(),
                )])),
                annotations: Some(BTreeMap::from([
                    (RENEW_AFTER.to_owned(), made.renew_after.to_string()),
                    (NOT_AFTER.to_owned(), made.not_after.to_string()),
                    (HOSTS.to_owned(), own.joined_hosts()),
                ])),
                ..ObjectMeta::default()
            },
            type_: Some("kubernetes.io/tls".to_owned()),
            data: Some(BTreeMap::from([
                (CERTIFICATE.to_owned(), text(&made.certificate)),
                (KEY.to_owned(), text(&made.key)),
                (BUNDLE.to_owned(), text(bundle)),
            ])),
            ..Secret::default()
        };
        let (secrets, how) = (self.secrets(), PostParams::default());
        let written = match found {
            None => secrets.create(&how, &secret).await,
            Some(_) => secrets.replace(&own.secret, &how, &secret).await,
        };
        match written {
            Ok(_) => Ok(true),
            // Changed, made or removed since it was read.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(kube::Error::Api(status)) if found.is_some() && status.code == 404 => Ok(false),
            Err(error) => Err(api(|| {
                format!("write the Secret {:?} in {:?}", own.secret, own.namespace)
            })(error)),
        }
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.own.namespace)
    }
}

impl Stored {
    fn read(secret: &Secret) -> Self {
        let data = |key: &str| {
            let data = secret.data.as_ref().and_then(|data| data.get(key));
            data.map(|bytes| bytes.0.as_slice()).unwrap_or_default()
        };
        let note = |key: &str| {
            let notes = secret.metadata.annotations.as_ref();
            notes.and_then(|notes| notes.get(key)).cloned()
        };
        let moment = |key: &str| note(key).and_then(|text| text.parse().ok());
        Self {
            version: secret.metadata.resource_version.clone(),
            pair: parse(data(CERTIFICATE), data(KEY)).ok(),
            bundle: String::from_utf8_lossy(data(BUNDLE)).into_owned(),
            renew_after: moment(RENEW_AFTER),
            not_after: moment(NOT_AFTER),
            hosts: note(HOSTS).unwrap_or_default(),
        }
    }
}

fn api(doing: impl Fn() -> String) -> impl Fn(kube::Error) -> KeepError {
    move |source| KeepError::Api {
        doing: doing(),
        source: Box::new(source),
    }
}
