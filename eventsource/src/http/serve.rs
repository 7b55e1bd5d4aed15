//! The accept loop of a port and the connections it makes. It ends every connection in order and knows no route.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tiphys_core::Tasks;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::port::Port;
use super::watch::{Expired, Heard, Watch};

/// How long the loop rests when the system has no room for another connection.
const NO_ROOM: Duration = Duration::from_millis(50);

/// hyper takes no smaller buffer.
const LEAST_BUFFER: usize = 8192;

/// Accepts until the tasks of the port are asked to stop; connections finish what they have in hand.
pub(crate) async fn accept(listener: TcpListener, port: Arc<Port>, tasks: Tasks) {
    let stop = tasks.stop_token();
    let mut failing = false;
    loop {
        let next = async {
            let permit = port.connections.clone().acquire_owned().await;
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            next = next => next,
        };
        match (permit, accepted) {
            (Ok(permit), Ok((stream, _))) => {
                failing = false;
                let port = port.clone();
                let stop = stop.clone();
                tasks.spawn_job("http connection", connection(stream, port, stop, permit));
            }
            (Err(_), _) => return,
            (Ok(_), Err(error)) if only_that_connection(&error) => {}
            (Ok(_), Err(error)) => {
                if !failing {
                    tracing::warn!(%error, "connections cannot be accepted now");
                }
                failing = true;
                sleep(NO_ROOM).await;
            }
        }
    }
}

/// The client went away between its connect and our accept.
fn only_that_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

async fn connection(
    stream: TcpStream,
    port: Arc<Port>,
    stop: CancellationToken,
    permit: OwnedSemaphorePermit,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot send small packets at once");
    }
    match port.tls() {
        None => http_1(stream, port, stop).await,
        Some(tls) => {
            let config = match tls.config().await {
                Ok(config) => config,
                Err(error) => {
                    let error = tiphys_core::tasks::chain(&error);
                    tracing::warn!(error, "a connection is refused");
                    return;
                }
            };
            let handshake = TlsAcceptor::from(config).accept(stream);
            match timeout(port.limits.handshake, handshake).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
                    http_2(stream, port, stop).await;
                }
                Ok(Ok(stream)) => http_1(stream, port, stop).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }
    drop(permit);
}

async fn http_1<S>(stream: S, port: Arc<Port>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Watch::new();
    let service = service_fn(|request| {
        let (port, in_hand) = (&port, watch.begin());
        async move {
            let reply = port.answer(request).await;
            drop(in_hand);
            Ok::<_, Infallible>(reply)
        }
    });
    let heard = Heard {
        stream,
        watch: watch.clone(),
    };
    let connection = http1::Builder::new()
        .max_buf_size(port.limits.header_bytes.max(LEAST_BUFFER))
        // The watch sees slow headers, without a timer for each request.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(heard), service);
    conduct(connection, &watch, &port, &stop).await;
}

async fn http_2<S>(stream: S, port: Arc<Port>, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let watch = Watch::new();
    let idle = port.limits.idle;
    let header_bytes = u32::try_from(port.limits.header_bytes).unwrap_or(u32::MAX);
    let (answering, watching) = (port.clone(), watch.clone());
    let service = service_fn(move |request| {
        let (port, watch) = (answering.clone(), watching.clone());
        async move {
            let in_hand = watch.begin();
            let reply = port.answer(request).await;
            drop(in_hand);
            Ok::<_, Infallible>(reply)
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(idle)
        .keep_alive_timeout(idle)
        .max_concurrent_streams(128)
        .max_header_list_size(header_bytes)
        .serve_connection(TokioIo::new(stream), service);
    conduct(connection, &watch, &port, &stop).await;
}

/// Runs a connection to its end: the sender's, the listener's, or that of its patience.
async fn conduct<C>(connection: C, watch: &Watch, port: &Port, stop: &CancellationToken)
where
    C: GracefulConnection<Error = hyper::Error>,
{
    tokio::pin!(connection);
    let limits = &port.limits;
    let ended = tokio::select! {
        // After a standstill of the process, what has come meanwhile is read before anybody is cut off.
        biased;
        ended = connection.as_mut() => Some(ended),
        () = stop.cancelled() => None,
        expired = watch.expired(limits) => match expired {
            Expired::Idle => None,
            Expired::Stalled => {
                tracing::debug!("a connection is closed: its request does not arrive");
                return;
            }
        },
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                ended = connection.as_mut() => ended,
                _ = watch.expired(limits) => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
