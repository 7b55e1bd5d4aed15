//! The open ports of the process. It opens, retries and closes them; what they serve is decided in `claims`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tiphys_core::Tasks;
use tiphys_core::backoff::Backoff;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::{EventError, ListenError};
use crate::http::limits::Limits;
use crate::http::port::Port;
use crate::http::serve;
use crate::runtime::Inner;
use crate::state::PortMap;

/// How long reading a certificate may take before the port counts as failed for now.
const CERTIFICATE: Duration = Duration::from_secs(5);

/// `EAFNOSUPPORT` on Linux, which `io::ErrorKind` has no name for.
const NO_SUCH_FAMILY: i32 = 97;

/// One port and its state.
pub(crate) struct Listener {
    pub(crate) shared: Arc<Port>,
    pub(crate) state: Result<SocketAddr, EventError>,
    tasks: Tasks,
    /// Cancelled once the socket is closed.
    closed: CancellationToken,
}

impl Listener {
    /// Makes a port that is not open yet.
    pub(crate) fn new(limits: Limits, tasks: &Tasks, spec: u16) -> Self {
        let error = ListenError::new(std::io::ErrorKind::NotConnected.into(), spec, spec);
        Self {
            shared: Arc::new(Port::new(limits)),
            state: Err(error.into()),
            tasks: tasks.child(),
            closed: CancellationToken::new(),
        }
    }

    /// Opens the port once, and leaves it to a task to go on trying where that fails.
    pub(crate) async fn open(&mut self, spec: u16, ports: &PortMap, inner: &Weak<Inner>) {
        match try_open(spec, ports, &self.shared).await {
            Ok((listener, addr)) => {
                self.state = Ok(addr);
                let guard = self.closed.clone().drop_guard();
                let (shared, tasks) = (self.shared.clone(), self.tasks.clone());
                self.tasks
                    .spawn_job(format!("listener of port {spec}"), async move {
                        serve::accept(listener, shared, tasks).await;
                        drop(guard);
                    });
            }
            Err(error) => {
                tracing::error!(
                    port = spec,
                    error = tiphys_core::tasks::chain(&error),
                    "a port cannot be served; it is tried again"
                );
                self.state = Err(error);
                let retry = Retry {
                    spec,
                    ports: ports.clone(),
                    shared: self.shared.clone(),
                    tasks: self.tasks.clone(),
                    inner: inner.clone(),
                };
                let guard = self.closed.clone().drop_guard();
                self.tasks
                    .spawn_job(format!("listener of port {spec}"), async move {
                        retry.run().await;
                        drop(guard);
                    });
            }
        }
    }

    /// Stops accepting and returns once the socket is closed; requests in hand go on.
    pub(crate) async fn close(&self) {
        self.tasks.stop_token().cancel();
        self.closed.cancelled().await;
    }

    /// Waits for the requests in hand after [`Listener::close`].
    pub(crate) async fn finish(&self, grace: Duration) {
        if let Err(error) = self.tasks.stop(grace).await {
            tracing::warn!(%error, "connections are cut");
        }
    }
}

/// Goes on trying to open a port.
struct Retry {
    spec: u16,
    ports: PortMap,
    shared: Arc<Port>,
    tasks: Tasks,
    inner: Weak<Inner>,
}

impl Retry {
    async fn run(self) {
        let stop = self.tasks.stop_token();
        let opened = tokio::select! {
            () = stop.cancelled() => return,
            opened = self.until_open() => opened,
        };
        let (listener, addr) = opened;
        let Some(inner) = self.inner.upgrade() else {
            return;
        };
        // Whoever closes this port holds the lock and waits for this task: it must not wait for both.
        tokio::select! {
            () = stop.cancelled() => return,
            () = inner.opened(self.spec, addr) => {}
        }
        drop(inner);
        serve::accept(listener, self.shared, self.tasks).await;
    }

    async fn until_open(&self) -> (TcpListener, SocketAddr) {
        let backoff = Backoff::reconnect();
        let mut attempt = 1;
        loop {
            sleep(backoff.wait_after(attempt).unwrap_or(backoff.longest)).await;
            attempt = attempt.saturating_add(1);
            match try_open(self.spec, &self.ports, &self.shared).await {
                Ok(opened) => return opened,
                Err(error) => tracing::debug!(
                    port = self.spec,
                    error = tiphys_core::tasks::chain(&error),
                    "a port still cannot be served"
                ),
            }
        }
    }
}

async fn try_open(
    spec: u16,
    ports: &PortMap,
    shared: &Port,
) -> Result<(TcpListener, SocketAddr), EventError> {
    if let Some(tls) = shared.tls() {
        let read = timeout(CERTIFICATE, tls.config()).await;
        read.map_err(|_| crate::error::TlsError::Slow)??;
    }
    let wanted = ports.address(spec);
    let mut listener = TcpListener::bind(wanted).await;
    let no_ipv6 = |error: &std::io::Error| {
        use std::io::ErrorKind as Kind;
        matches!(error.kind(), Kind::AddrNotAvailable | Kind::Unsupported)
            || error.raw_os_error() == Some(NO_SUCH_FAMILY)
    };
    if ports.any_address() && listener.as_ref().is_err_and(no_ipv6) {
        listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, wanted.port())).await;
    }
    let failed = |error| EventError::from(ListenError::new(error, wanted.port(), spec));
    let listener = listener.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let scheme = if shared.tls().is_some() {
        "https"
    } else {
        "http"
    };
    tracing::info!(port = spec, %addr, scheme, "Eventing server started.");
    Ok((listener, addr))
}
