//! Ports for servers that cannot be told to choose one themselves, or that
//! must come back on the same one.
//!
//! It never hands out a port of the range that the kernel gives to outgoing
//! connections: a client that keeps dialling a server that is down would in
//! the end be given the server's own port, and connect to itself.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below Linux's range for outgoing connections (32768 and up).
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A loopback port that nothing listens on at this moment.
///
/// Another process can take it before the caller does; with random choice out
/// of twenty thousand that is rare, and the server that then fails to start
/// says so.
///
/// # Panics
///
/// When a hundred random ports are all taken.
pub fn free_port() -> u16 {
    (0..100)
        .map(|_| {
            let random = RandomState::new().build_hasher().finish() % u64::from(COUNT);
            FIRST + u16::try_from(random).unwrap_or(0)
        })
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("one of a hundred random ports is free")
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
}
