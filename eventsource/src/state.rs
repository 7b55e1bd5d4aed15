//! What the runtime tells others about its events: listening where, or why not. Values only.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::error::EventError;
use crate::spec::EventSourceSpec;

/// One EventSource object, as the runtime needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceObject {
    /// The namespace.
    pub namespace: String,
    /// The object's name.
    pub name: String,
    /// The spec.
    pub spec: EventSourceSpec,
}

/// Namespace and name of an EventSource.
pub type ObjectName = (String, String);

/// Whether one event is being listened for.
#[derive(Debug, Clone)]
pub enum EventState {
    /// It is.
    Listening {
        /// Where.
        addr: SocketAddr,
    },
    /// It is not.
    Failed {
        /// Why.
        error: EventError,
    },
}

/// The states of all events, by object and event name.
pub type States = BTreeMap<ObjectName, BTreeMap<String, EventState>>;

/// What became of an EventSource that was applied.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The state of each event.
    pub events: BTreeMap<String, EventState>,
}

impl Applied {
    /// Whether every event is being listened for.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.events
            .values()
            .all(|state| matches!(state, EventState::Listening { .. }))
    }
}

/// Where the ports of specs are really opened.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PortMap {
    bind: Option<IpAddr>,
    published: BTreeMap<u16, u16>,
}

impl PortMap {
    /// Opens ports on this address only, rather than on all.
    #[must_use]
    pub fn bind(mut self, address: IpAddr) -> Self {
        self.bind = Some(address);
        self
    }

    /// Opens `host` where a spec says `spec`, as `--publish HOST:SPEC` asks. 0 stands for any free port.
    #[must_use]
    pub fn publish(mut self, host: u16, spec: u16) -> Self {
        self.published.insert(spec, host);
        self
    }

    /// The port to open for a port of a spec.
    #[must_use]
    pub fn host_port(&self, spec: u16) -> u16 {
        self.published.get(&spec).copied().unwrap_or(spec)
    }

    /// The address to open it on.
    pub(crate) fn address(&self, spec: u16) -> SocketAddr {
        let ip = self.bind.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        SocketAddr::new(ip, self.host_port(spec))
    }

    /// Whether the machine may lack the address only because it has no IPv6.
    pub(crate) fn any_address(&self) -> bool {
        self.bind.is_none()
    }
}
