//! How much of anything one sender may take. Values only.

use std::time::Duration;

/// Bounds of the HTTP listeners.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// From the start of a connection, or the first byte of a request, to the end of its headers.
    pub header_read: Duration,
    /// For how long a connection may be kept without a request; more than load balancers do, so that they close first.
    pub idle: Duration,
    /// From the end of the headers to the end of the body.
    pub body_read: Duration,
    /// How long the bus may take to store an event before its sender is told to try again.
    pub publish: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long requests in hand may take when a listener closes.
    pub drain: Duration,
    /// Open connections of one port; more wait to be accepted.
    pub connections: usize,
    /// Bytes of the line and headers of one request.
    pub header_bytes: usize,
    /// Bytes of all longer bodies that are being read at once; more wait.
    pub body_memory: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_read: Duration::from_secs(30),
            idle: Duration::from_secs(90),
            body_read: Duration::from_secs(60),
            publish: Duration::from_secs(2),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(20),
            connections: 4096,
            header_bytes: 64 << 10,
            body_memory: 256 << 20,
        }
    }
}
