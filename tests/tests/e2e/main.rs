//! The end-to-end tests: the whole program against real servers, in one binary
//! because each further one would be linked anew.
//!
//! They assert on what arrived, never on logs, and never skip: a missing server
//! is a failure that says how to install it.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends where something is not as it must be"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "senders that go on beside a test end with its runtime"
)]
#![expect(
    clippy::print_stdout,
    reason = "how much a test has tried is worth knowing"
)]

mod admission;
mod bad_input;
mod chaos;
mod cli;
mod cluster;
mod cluster_decisions;
mod conformance;
mod crash;
mod crds;
mod decisions;
mod delivery;
mod docs;
mod examples;
mod faults;
mod git_ssh;
mod inside;
mod interop;
mod manifests;
mod migrate;
mod objects;
mod operations;
mod operator;
mod pains;
mod partly;
mod pods;
mod pooled;
mod reload;
mod replicas;
mod restarts;
mod rights;
mod runs;
mod scene;
mod servers;
mod sources;
mod support;
mod tutorial;
