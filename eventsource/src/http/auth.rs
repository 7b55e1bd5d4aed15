//! The bearer token of a route. It compares in constant time and never logs or returns a token.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use tiphys_core::refs::KeyRef;
use tiphys_core::{Secret, SecretError, Secrets};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::{Instant, timeout};

/// For how long a token that was read is believed.
const FRESH: Duration = Duration::from_secs(5);
/// A token that does not match may have been replaced; how often that is looked up at most.
const RECHECK: Duration = Duration::from_secs(1);
/// How long reading it may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Knows the token that senders must show.
pub(crate) struct Bearer {
    at: KeyRef,
    secrets: Arc<dyn Secrets>,
    read: Mutex<Option<(Instant, Result<Secret, SecretError>)>>,
    reading: AsyncMutex<()>,
    /// Whether it has been said that the token cannot be read.
    told: AtomicBool,
}

/// Why a request may not pass.
#[derive(Debug)]
pub(crate) enum Denied {
    /// It shows no token.
    Missing,
    /// It shows another token.
    Wrong,
    /// The token to compare with cannot be read.
    Unknown {
        /// Why.
        error: SecretError,
        /// Whether the request before was denied for that too.
        told: bool,
    },
}

impl Bearer {
    pub(crate) fn new(at: KeyRef, secrets: Arc<dyn Secrets>) -> Self {
        Self {
            at,
            secrets,
            read: Mutex::new(None),
            reading: AsyncMutex::new(()),
            told: AtomicBool::new(false),
        }
    }

    /// Lets a request pass that shows the token.
    pub(crate) async fn check(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let shown = headers
            .get(AUTHORIZATION)
            .and_then(|value| token(value.as_bytes()));
        let Some(shown) = shown else {
            return Err(Denied::Missing);
        };
        for oldest in [FRESH, RECHECK] {
            let read = self.secret(oldest).await;
            let told = self.told.swap(read.is_err(), Ordering::Relaxed);
            let secret = read.map_err(|error| Denied::Unknown { error, told })?;
            // An empty secret would let everybody in who sends `Bearer `.
            if !secret.expose().is_empty() && secret.matches(shown) {
                return Ok(());
            }
        }
        Err(Denied::Wrong)
    }

    async fn secret(&self, oldest: Duration) -> Result<Secret, SecretError> {
        if let Some(known) = self.known(oldest) {
            return known;
        }
        // One reads while the others wait for what it finds.
        let _reading = self.reading.lock().await;
        if let Some(known) = self.known(oldest) {
            return known;
        }
        let read = timeout(PATIENCE, self.secrets.secret(&self.at)).await;
        let read = read.unwrap_or_else(|_| {
            Err(SecretError::Unavailable {
                kind: "secret",
                name: self.at.name.clone(),
                source: Arc::new(io::Error::from(io::ErrorKind::TimedOut)),
            })
        });
        let mut known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let result = match (read, known.take()) {
            // A store that is away for a moment must not close every webhook.
            (Err(SecretError::Unavailable { .. }), Some((_, Ok(secret)))) => Ok(secret),
            (read, _) => read,
        };
        *known = Some((Instant::now(), result.clone()));
        result
    }

    /// What was read less than `oldest` ago.
    fn known(&self, oldest: Duration) -> Option<Result<Secret, SecretError>> {
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, result) = known.as_ref()?;
        // A failure is not kept for long: the missing secret may be created any moment.
        let oldest = if result.is_ok() { oldest } else { RECHECK };
        (at.elapsed() < oldest).then(|| result.clone())
    }
}

/// The token behind `Bearer`, whose case does not matter.
fn token(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}
