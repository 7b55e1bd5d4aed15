//! The end-to-end tests: the whole program against real servers, in one binary
//! because each further one would be linked anew.
//!
//! They assert on what arrived, never on logs, and never skip: a missing server
//! is a failure that says how to install it.

mod servers;
