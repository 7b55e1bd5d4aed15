//! The harness of the end-to-end tests: real servers, the real program and a
//! place for it to send requests to, each started by one call and gone when
//! dropped.
//!
//! It never skips a test: a server that is missing or does not start fails the
//! test with what to do about it. It never decides what is right either; that
//! is the tests' business.

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "the harness ends a test by a panic that says why: no caller could go on"
)]

pub mod argo_crds;
pub mod artifacts;
pub mod chaos;
pub mod ends;
pub mod git;
pub mod http_sink;
pub mod kubelet;
pub mod kubernetes;
pub mod nats;
pub mod pods;
pub mod ports;
pub mod process;
pub mod servers;
pub mod tiphys;
pub mod tls;
pub mod wait;

pub use artifacts::{Bucket, GitServer};
pub use http_sink::{Answer, HttpSink, Received};
pub use kubelet::Kubelet;
pub use kubernetes::{ApiServer, ApiServerOptions, Authorization};
pub use nats::{Nats, NatsAuth, NatsCluster, NatsOptions};
pub use tiphys::{Tiphys, TiphysCommand};
pub use wait::{eventually, eventually_ok};

use tempfile::TempDir;

/// A folder of the test's own, removed when dropped.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new()
        .prefix("tiphys-test-")
        .tempdir()
        .expect("the system's folder for temporary files can be written")
}
