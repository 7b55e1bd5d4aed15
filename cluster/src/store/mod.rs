//! The durable store behind the API: objects by kind, namespace and name.
//!
//! One writer thread owns every change; readers see only what is on disk.
//! It knows keys, versions and labels, and never what an object means.
//!
//! ```text
//! request ──op──▶ channel ──▶ writer thread: evaluate a batch of ops over an overlay
//!                                │ one transaction, one fsync
//!                                ▼
//!                             journal (redb)
//!                                │ durable
//!                                ▼
//!                             memory: objects + ring of recent changes ──▶ lists, watches
//!                                │
//!                                ▼
//!                             replies
//! ```

mod journal;
mod object;
mod state;
mod txn;
mod writer;

pub use journal::OpenError;
pub(crate) use journal::{File, Journal, Nowhere};
pub(crate) use object::{Key, Stored};
pub(crate) use state::{Change, Since, State};
pub(crate) use txn::{MAX_OBJECT_BYTES, Txn};
pub(crate) use writer::{Dry, Reply, Store};

#[cfg(test)]
mod tests;
