//! HTTP for every hook of the process: one listener for each port, shared by all events that name it.
//!
//! ```text
//! accept ─▶ connection ─▶ Port::answer ─▶ Table::find ─▶ Route: token, body, hook, filter, publish ─▶ reply
//! ```
//!
//! It decides nothing about an event's content: the hooks do.

pub(crate) mod auth;
pub(crate) mod body;
pub(crate) mod limits;
pub(crate) mod pattern;
pub(crate) mod port;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod serve;
pub(crate) mod table;
pub(crate) mod tls;
pub(crate) mod watch;
