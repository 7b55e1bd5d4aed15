//! The end-to-end tests: the whole program against real servers, in one binary
//! because each further one would be linked anew.
//!
//! They assert on what arrived, never on logs, and never skip: a missing server
//! is a failure that says how to install it.

#![expect(
    clippy::unwrap_used,
    reason = "a test ends where something is not as it must be"
)]

mod crash;
mod servers;
mod support;
mod tutorial;
