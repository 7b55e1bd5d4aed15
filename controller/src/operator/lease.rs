//! Who of several controllers does the work: whoever holds a Lease. It knows nothing of the work.
//!
//! A holder that cannot renew stops before anybody else may begin, by its own clock alone; so clocks need not agree.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tiphys_core::tasks::chain;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How a Lease is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who we are: no two processes are called the same.
    pub identity: String,
    /// How long a holder that is silent keeps it.
    pub duration: Duration,
}

impl LeaseOptions {
    /// After so long without a renewal the holder stops by itself.
    fn deadline(&self) -> Duration {
        self.duration * 2 / 3
    }

    /// Between two renewals, and between two looks of those who wait.
    fn pause(&self) -> Duration {
        (self.duration / 5).max(Duration::from_millis(50))
    }
}

/// A Lease, as one process sees it.
pub(crate) struct Election {
    api: Api<Lease>,
    options: LeaseOptions,
    /// The last holder's mark that was seen, and when by our own clock.
    seen: Option<(String, Instant)>,
    /// What a failure said, so that it is logged once.
    trouble: Option<String>,
}

impl Election {
    pub(crate) fn new(client: Client, options: LeaseOptions) -> Self {
        Self {
            api: Api::namespaced(client, &options.namespace),
            options,
            seen: None,
            trouble: None,
        }
    }

    /// Waits until we hold it. Dropping the future is safe.
    pub(crate) async fn won(&mut self) {
        loop {
            let begun = Instant::now();
            match self.take().await {
                Ok(true) => {
                    self.trouble = None;
                    tracing::info!(
                        lease = self.options.name,
                        identity = self.options.identity,
                        "leading"
                    );
                    return;
                }
                Ok(false) => self.trouble = None,
                Err(error) => self.note(&error),
            }
            sleep_until(begun + self.options.pause()).await;
        }
    }

    /// Renews it until that fails for too long. Dropping the future is safe.
    pub(crate) async fn lost(&mut self) {
        let mut renewed = Instant::now();
        loop {
            sleep_until(Instant::now() + self.options.pause()).await;
            let begun = Instant::now();
            let deadline = renewed + self.options.deadline();
            match timeout_at(deadline, self.take()).await {
                Ok(Ok(true)) => {
                    self.trouble = None;
                    renewed = begun;
                }
                Ok(Ok(false)) => {
                    tracing::warn!(lease = self.options.name, "somebody else leads now");
                    return;
                }
                Ok(Err(error)) => self.note(&error),
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                tracing::warn!(
                    lease = self.options.name,
                    "cannot renew the lease in time, so the work stops"
                );
                return;
            }
        }
    }

    /// Gives it up, so that another need not wait.
    pub(crate) async fn release(&self) {
        let Ok(Some(mut lease)) = self.api.get_opt(&self.options.name).await else {
            return;
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(self.options.identity.as_str()) {
            return;
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        if let Err(error) = self
            .api
            .replace(&self.options.name, &PostParams::default(), &lease)
            .await
        {
            tracing::debug!(error = %chain(&error), "cannot release the lease; it runs out by itself");
        }
    }

    /// Takes or renews it; false where somebody else holds it.
    async fn take(&mut self) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.options.name).await?;
        let now = MicroTime(Timestamp::now());
        let Some(mut lease) = found else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.options.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(None, now)),
            };
            return won(self.api.create(&PostParams::default(), &lease).await);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        let holder = spec.holder_identity.clone().unwrap_or_default();
        let ours = holder == self.options.identity;
        if !ours && !holder.is_empty() && !self.has_run_out(&spec) {
            return Ok(false);
        }
        lease.spec = Some(self.spec(Some((ours, spec)), now));
        // The version of the object keeps two from taking it at once.
        won(self
            .api
            .replace(&self.options.name, &PostParams::default(), &lease)
            .await)
    }

    fn spec(&self, before: Option<(bool, LeaseSpec)>, now: MicroTime) -> LeaseSpec {
        let (ours, before) = before.unwrap_or_default();
        let transitions = before.lease_transitions.unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.options.identity.clone()),
            lease_duration_seconds: Some(
                i32::try_from(self.options.duration.as_secs().max(1)).unwrap_or(i32::MAX),
            ),
            acquire_time: if ours {
                before.acquire_time
            } else {
                Some(now.clone())
            },
            renew_time: Some(now),
            lease_transitions: Some(if ours {
                transitions
            } else {
                transitions.saturating_add(1)
            }),
            ..LeaseSpec::default()
        }
    }

    /// Whether the holder's mark has stood still for as long as it may, by our clock.
    fn has_run_out(&mut self, spec: &LeaseSpec) -> bool {
        let mark = format!("{:?} {:?}", spec.holder_identity, spec.renew_time);
        let lasts = spec
            .lease_duration_seconds
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(self.options.duration, Duration::from_secs);
        match &self.seen {
            Some((seen, since)) if *seen == mark => since.elapsed() >= lasts,
            _ => {
                self.seen = Some((mark, Instant::now()));
                false
            }
        }
    }

    fn note(&mut self, error: &kube::Error) {
        let text = chain(error);
        if self.trouble.as_ref() != Some(&text) {
            tracing::warn!(
                lease = self.options.name,
                error = text,
                "cannot take the lease, trying again"
            );
            self.trouble = Some(text);
        }
    }
}

fn won(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        // Somebody else was faster.
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
        Err(error) => Err(error),
    }
}
