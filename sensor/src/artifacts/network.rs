//! HTTP and bare connections for sources, confined: the address that is connected to is the one that was checked, on every redirect too;
//! bodies are bounded; certificates are checked unless the spec says otherwise. Proxies of the environment are not used.

use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use tokio::net::TcpStream;

use super::private::{PRIVATE_ADDRESSES_ANNOTATION, PrivateAddresses};
use crate::triggers::FireError;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How many redirects are followed.
const REDIRECTS: usize = 10;

/// An address that a source may not be read from.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "{host:?} is at the private address {address}; allow it with the annotation {PRIVATE_ADDRESSES_ANNOTATION} on the Sensor"
)]
struct NotAllowed {
    host: String,
    address: IpAddr,
}

/// A redirect that is not followed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NotFollowed(&'static str);

/// How a server is spoken to.
#[derive(Debug, Clone, Default)]
pub(super) struct Trust {
    /// Takes any certificate.
    pub(super) any_certificate: bool,
    /// A PEM bundle that takes the place of the system's roots.
    pub(super) roots: Option<Bytes>,
    /// The spec itself names the host, so that it may be a private one.
    pub(super) named_host: bool,
    /// Follows no redirect.
    pub(super) no_redirect: bool,
}

/// The network as the sources of one sensor see it.
pub(super) struct Network {
    private: Arc<PrivateAddresses>,
    /// Clients by what they are opened with, so that connections are used again.
    open: Mutex<HashMap<(bool, bool, bool), Client>>,
}

impl Network {
    /// With these private addresses allowed.
    pub(super) fn new(private: PrivateAddresses) -> Self {
        Self {
            private: Arc::new(private),
            open: Mutex::default(),
        }
    }

    /// A client for a URL. The URL is checked where it names an address; names are checked when they are resolved.
    pub(super) fn client(&self, url: &Url, trust: &Trust) -> Result<Client, FireError> {
        let allowed = if trust.named_host {
            Arc::new(PrivateAddresses::all())
        } else {
            Arc::clone(&self.private)
        };
        check(url, &allowed).map_err(|error| {
            FireError::permanent_from(format!("cannot read from {}", shown(url)), error)
        })?;
        let key = (trust.any_certificate, trust.named_host, trust.no_redirect);
        if trust.roots.is_none()
            && let Some(client) = self.clients().get(&key)
        {
            return Ok(client.clone());
        }
        let client = open(&allowed, trust)
            .map_err(|error| FireError::permanent_from("cannot open an HTTP client", error))?;
        if trust.roots.is_none() {
            self.clients().insert(key, client.clone());
        }
        Ok(client)
    }

    /// A connection to a host, at an address that was checked.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        what: &str,
    ) -> Result<TcpStream, FireError> {
        let connect = async || -> Result<TcpStream, Box<dyn Error + Send + Sync>> {
            let found = resolve(host, port, &self.private).await?;
            Ok(TcpStream::connect(&*found).await?)
        };
        match tokio::time::timeout(CONNECT, connect()).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => match error.downcast::<NotAllowed>() {
                Ok(refused) => Err(FireError::permanent_from(what, *refused)),
                Err(error) => Err(FireError::transient(what, error)),
            },
            Err(elapsed) => Err(FireError::transient(what, elapsed)),
        }
    }

    fn clients(&self) -> std::sync::MutexGuard<'_, HashMap<(bool, bool, bool), Client>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(allowed: &Arc<PrivateAddresses>, trust: &Trust) -> Result<Client, reqwest::Error> {
    // The HTTP client takes the process's provider; one that is there already is kept.
    drop(rustls::crypto::ring::default_provider().install_default());
    let redirects = if trust.no_redirect {
        Policy::none()
    } else {
        let allowed = Arc::clone(allowed);
        Policy::custom(move |attempt| {
            let downgrade = attempt.previous().iter().any(|url| url.scheme() == "https")
                && attempt.url().scheme() != "https";
            if attempt.previous().len() > REDIRECTS {
                return attempt.error(NotFollowed("too many redirects"));
            }
            if downgrade {
                return attempt.error(NotFollowed("a redirect leads from https to http"));
            }
            match check(attempt.url(), &allowed) {
                Ok(()) => attempt.follow(),
                Err(error) => attempt.error(error),
            }
        })
    };
    let mut builder = Client::builder()
        .no_proxy()
        .user_agent(concat!("tiphys/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .redirect(redirects)
        .dns_resolver(Arc::new(Checked(Arc::clone(allowed))));
    if trust.any_certificate {
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(roots) = &trust.roots {
        builder = builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(roots)?);
    }
    builder.build()
}

/// An address in the URL itself is connected to without being resolved.
fn check(url: &Url, allowed: &PrivateAddresses) -> Result<(), NotAllowed> {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse::<IpAddr>() {
        Ok(address) if !allowed.allows(literal, address) => Err(NotAllowed {
            host: literal.to_owned(),
            address,
        }),
        _ => Ok(()),
    }
}

/// Resolves names to the addresses that are allowed; what it answers is what is connected to.
struct Checked(Arc<PrivateAddresses>);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = Arc::clone(&self.0);
        Box::pin(async move {
            let found = resolve(name.as_str(), 0, &allowed).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The addresses of a host that are allowed, in the order in which they are tried.
async fn resolve(
    host: &str,
    port: u16,
    allowed: &PrivateAddresses,
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let found: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    let refused = found.iter().find(|at| !allowed.allows(host, at.ip()));
    let good: Vec<_> = found
        .iter()
        .filter(|at| allowed.allows(host, at.ip()))
        .copied()
        .collect();
    match (good.is_empty(), refused) {
        (true, Some(at)) => Err(Box::new(NotAllowed {
            host: host.to_owned(),
            address: at.ip(),
        })),
        _ => Ok(good),
    }
}

/// A URL for people: no credentials, no query.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// Sorts a failure: what the network does may pass, what is not allowed stays so.
pub(super) fn failed(what: String, error: reqwest::Error) -> FireError {
    // The URL may hold credentials.
    let error = error.without_url();
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        if let Some(refused) = found.downcast_ref::<NotAllowed>() {
            return FireError::permanent_from(what, refused.clone());
        }
        if let Some(NotFollowed(why)) = found.downcast_ref::<NotFollowed>() {
            return FireError::permanent_from(what, NotFollowed(why));
        }
        cause = found.source();
    }
    if error.is_builder() || error.is_redirect() {
        return FireError::permanent_from(what, error);
    }
    FireError::transient(what, error)
}

/// Sorts an answer that is not a success.
pub(super) fn refused(what: String, status: reqwest::StatusCode) -> FireError {
    let said = NotSuccess(status.as_u16());
    if status.is_server_error() || [408, 425, 429].contains(&status.as_u16()) {
        FireError::transient(what, said)
    } else {
        FireError::permanent_from(what, said)
    }
}

/// The server's answer to a request that it did not fulfil.
#[derive(Debug, thiserror::Error)]
#[error("the server answered {0}")]
struct NotSuccess(u16);

/// A body up to a limit; more is an error and no cut.
pub(super) async fn body(
    what: &str,
    mut response: Response,
    most: usize,
) -> Result<Bytes, FireError> {
    let mut body = BytesMut::new();
    let too_large = || FireError::permanent(format!("{what}: it is larger than {most} bytes"));
    let announced = response
        .content_length()
        .and_then(|size| usize::try_from(size).ok());
    if announced.is_some_and(|size| size > most) {
        return Err(too_large());
    }
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > most => return Err(too_large()),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body.freeze()),
            Err(error) => return Err(failed(what.to_owned(), error)),
        }
    }
}
