//! Ports for servers that cannot be told to choose one themselves, or that
//! must come back on the same one.
//!
//! It never hands out a port of the range that the kernel gives to outgoing
//! connections: a client that keeps dialling a server that is down would in
//! the end be given the server's own port, and connect to itself.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};

/// Above the ports that a pool gives out by itself (10000 to 29999), and below
/// Linux's range for outgoing connections (32768 and up).
const FIRST: u16 = 30_000;
const COUNT: u16 = 2_768;

/// How many ports this process has been given. Tests of one process run side by
/// side, and a port is listened on a while after it was given: were it given
/// twice meanwhile, one test's client would meet the other test's server.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A loopback port that nothing listens on at this moment, and that nobody else
/// in this process is given.
///
/// Another process can take it before the caller does. Each begins at a place
/// that follows from its id, so that is rare, and the server that then fails to
/// start says so.
///
/// # Panics
///
/// When a hundred ports in a row are all taken.
pub fn free_port() -> u16 {
    // A prime apart, so that processes with ids in a row do not follow each other closely.
    let begin = std::process::id() % u32::from(COUNT) * 997;
    (0..100)
        .map(|_| {
            let place = begin.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
            FIRST + u16::try_from(place % u32::from(COUNT)).unwrap_or(0)
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of a hundred ports is free")
}

/// The loopback address of a port.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_port_can_be_listened_on() {
        TcpListener::bind(loopback(free_port())).unwrap();
    }

    #[test]
    fn no_port_is_given_twice() {
        let ports: std::collections::BTreeSet<u16> = (0..500).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 500);
        let pooled = 10_000..=29_999;
        assert!(ports.iter().all(|port| !pooled.contains(port)), "{ports:?}");
    }
}
