//! The HTTP load: keep-alive connections that each send one request after another, prepared once, and read the answers.
//!
//! It is as small as it can be, because it shares the machine with what it measures. It speaks only as much HTTP/1.1 as
//! the answers here need: a status and a content length.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tiphys_tests::ports::loopback;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Connections of one load, as in the budgets.
pub(crate) const CONNECTIONS: usize = 64;

/// An answer that takes longer means that something has failed.
const ANSWER: Duration = Duration::from_secs(30);

/// When a load ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// After this time.
    Time(Duration),
    /// After so many requests.
    Count(usize),
}

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    address: SocketAddr,
    bytes: Arc<[u8]>,
}

impl Request {
    /// A POST of JSON to a port of this machine.
    pub(crate) fn post(port: u16, path: &str, body: &str) -> Self {
        let length = body.len();
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: bench\r\naccept: */*\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        Self {
            address: loopback(port),
            bytes: text.into_bytes().into(),
        }
    }

    /// Sends it once, over a connection of its own.
    pub(crate) async fn send(&self) -> anyhow::Result<()> {
        Connection::open(self.address)
            .await?
            .exchange(&self.bytes)
            .await
    }
}

/// What a load has seen. Every request was answered with 200.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How many requests.
    pub(crate) requests: usize,
    seconds: f64,
    /// Of each request, in microseconds, in order of size.
    latencies: Vec<u32>,
}

impl Outcome {
    pub(crate) fn rate(&self) -> f64 {
        count(self.requests) / self.seconds
    }

    /// The latency in milliseconds that so many percent of the requests did not exceed.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let index =
            (self.latencies.len() * percent / 100).min(self.latencies.len().saturating_sub(1));
        self.latencies
            .get(index)
            .map_or(0.0, |micros| f64::from(*micros) / 1000.0)
    }
}

/// A count as a number to reckon with.
pub(crate) fn count(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::MAX, f64::from)
}

/// Sends the request over and over on so many connections.
pub(crate) async fn run(
    request: &Request,
    connections: usize,
    until: Until,
) -> anyhow::Result<Outcome> {
    let mut open = Vec::with_capacity(connections);
    for _ in 0..connections {
        open.push(Connection::open(request.address).await?);
    }
    let begun = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut workers = JoinSet::new();
    for connection in open {
        let (request, begun) = (request.clone(), Arc::clone(&begun));
        workers.spawn(async move { worker(connection, request, until, start, &begun).await });
    }
    let mut latencies = Vec::new();
    while let Some(worker) = workers.join_next().await {
        latencies.extend(worker.context("a connection of the load ended")??);
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    ensure!(!latencies.is_empty(), "the load sent nothing");
    Ok(Outcome {
        requests: latencies.len(),
        seconds,
        latencies,
    })
}

async fn worker(
    mut connection: Connection,
    request: Request,
    until: Until,
    start: Instant,
    begun: &AtomicUsize,
) -> anyhow::Result<Vec<u32>> {
    let mut latencies = Vec::new();
    let mut now = Instant::now();
    loop {
        let more = match until {
            Until::Time(time) => now.duration_since(start) < time,
            Until::Count(count) => begun.fetch_add(1, Ordering::Relaxed) < count,
        };
        if !more {
            return Ok(latencies);
        }
        connection.exchange(&request.bytes).await?;
        let then = Instant::now();
        latencies.push(u32::try_from(then.duration_since(now).as_micros()).unwrap_or(u32::MAX));
        now = then;
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(1024),
        })
    }

    /// One request and its answer, which must be 200.
    async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            let read = tokio::time::timeout(ANSWER, self.stream.read_buf(&mut self.buffer));
            let read = read.await.context("no answer in time")??;
            ensure!(read > 0, "the connection was closed instead of an answer");
            if let Some(answer) = Answer::read(&self.buffer)? {
                if answer.status != 200 {
                    bail!("the answer is {}", String::from_utf8_lossy(&self.buffer));
                }
                return Ok(());
            }
        }
    }
}

struct Answer {
    status: u16,
}

impl Answer {
    /// The answer, once all of it is there.
    fn read(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = str::from_utf8(bytes.get(..end).unwrap_or_default())?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.with_context(|| format!("an answer without a status: {head:?}"))?;
        let length: usize = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, value)| value.trim().parse().ok())
            .with_context(|| format!("an answer without a length: {head:?}"))?;
        Ok((bytes.len() >= end + 4 + length).then_some(Self { status }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_the_last_byte_of_its_body() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert!(Answer::read(&whole[..whole.len() - 1]).unwrap().is_none());
        assert_eq!(Answer::read(whole).unwrap().unwrap().status, 200);
    }

    #[test]
    fn percentiles_are_taken_from_the_ordered_latencies() {
        let latencies = (1..=100).map(|millis| millis * 1000).collect();
        let outcome = Outcome {
            requests: 100,
            seconds: 2.0,
            latencies,
        };
        assert_eq!(
            (outcome.percentile(50), outcome.percentile(99)),
            (51.0, 100.0)
        );
        assert_eq!(outcome.rate(), 50.0);
    }
}
