//! Which ports an EventSource is received on. It reads the spec and opens nothing.

use std::collections::BTreeSet;

use crate::source::Source;
use crate::spec::EventSourceSpec;

impl EventSourceSpec {
    /// The ports that its events are received on, as the spec says them.
    #[must_use]
    pub fn ports(&self) -> BTreeSet<u16> {
        let entries = self.entries();
        let hooks = entries.iter().filter_map(|entry| entry.source.build().ok());
        hooks.map(|Source::Hook { at, .. }| at.port).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(yaml: &str) -> EventSourceSpec {
        let documents = tiphys_core::manifest::parse(yaml).unwrap();
        documents[0]
            .typed(&mut tiphys_core::Problems::default())
            .unwrap()
    }

    #[test]
    fn every_port_is_told_once() {
        let hooks = spec(
            "webhook: {a: {endpoint: /a, port: \"12000\"}, b: {endpoint: /b, port: \"12000\"}, c: {endpoint: /c, port: \"13000\"}}",
        );
        assert_eq!(hooks.ports(), BTreeSet::from([12000, 13000]));
        let clock = spec("calendar: {tick: {interval: 10s}}");
        assert_eq!(clock.ports(), BTreeSet::new());
    }
}
