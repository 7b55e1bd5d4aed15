//! Holds events back while a Sensor of the same bus waits for its first subscription: what is accepted before
//! it would never reach that Sensor. It never holds them for a Sensor that the bus itself turns away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tiphys_core::Event;
use tiphys_eventbus::{Bus, Publish, PublishError, Stored};

/// So often a subscription may fail on a bus that can be reached; one bad Sensor must not stop all sources.
const PATIENCE: u32 = 3;

type BusName = (String, String);

/// The gates of all buses.
#[derive(Default)]
pub(crate) struct Gates {
    open: BTreeMap<BusName, Arc<AtomicBool>>,
    /// Sensors that wait, and how often they failed although the bus was there.
    waiting: BTreeMap<BusName, BTreeMap<String, u32>>,
}

impl Gates {
    /// A publisher that takes events only while no Sensor waits.
    pub(crate) fn publisher(&mut self, namespace: &str, bus_name: &str, bus: Bus) -> Gated {
        Gated {
            bus,
            open: self.gate((namespace.to_owned(), bus_name.to_owned())),
        }
    }

    fn gate(&mut self, bus: BusName) -> Arc<AtomicBool> {
        let open = self.waits(&bus);
        let gate = self.open.entry(bus).or_default();
        gate.store(!open, Ordering::Relaxed);
        gate.clone()
    }

    fn waits(&self, bus: &BusName) -> bool {
        let waiting = self.waiting.get(bus).into_iter();
        waiting
            .flat_map(BTreeMap::values)
            .any(|failures| *failures < PATIENCE)
    }

    /// A Sensor could not subscribe.
    pub(crate) fn failed(&mut self, namespace: &str, bus: &str, sensor: &str, connected: bool) {
        let bus = (namespace.to_owned(), bus.to_owned());
        let waiting = self.waiting.entry(bus.clone()).or_default();
        let failures = waiting.entry(sensor.to_owned()).or_default();
        *failures = if connected {
            failures.saturating_add(1)
        } else {
            0
        };
        self.gate(bus);
    }

    /// A Sensor is subscribed, or will not be.
    pub(crate) fn settled(&mut self, namespace: &str, sensor: &str) {
        let buses: Vec<BusName> = self
            .waiting
            .iter_mut()
            .filter(|(bus, _)| bus.0 == namespace)
            .filter_map(|(bus, waiting)| waiting.remove(sensor).map(|_| bus.clone()))
            .collect();
        for bus in buses {
            self.gate(bus);
        }
    }
}

/// See [`Gates::publisher`].
pub(crate) struct Gated {
    bus: Bus,
    open: Arc<AtomicBool>,
}

#[async_trait]
impl Publish for Gated {
    async fn publish(&self, event: &Event) -> Result<Stored, PublishError> {
        if self.open.load(Ordering::Relaxed) {
            return self.bus.publish(event).await;
        }
        Err(PublishError::Unavailable {
            reason: "a sensor is not subscribed yet".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(gates: &mut Gates) -> bool {
        gates
            .gate(("ns".to_owned(), "default".to_owned()))
            .load(Ordering::Relaxed)
    }

    #[test]
    fn events_wait_for_a_sensor_that_cannot_reach_the_bus() {
        let mut gates = Gates::default();
        assert!(open(&mut gates));
        for _ in 0..10 {
            gates.failed("ns", "default", "a", false);
            assert!(!open(&mut gates));
        }
        gates.settled("other", "a");
        assert!(!open(&mut gates));
        gates.settled("ns", "a");
        assert!(open(&mut gates));
    }

    #[test]
    fn events_do_not_wait_for_a_sensor_that_the_bus_turns_away() {
        let mut gates = Gates::default();
        gates.failed("ns", "default", "a", true);
        assert!(!open(&mut gates));
        for _ in 1..PATIENCE {
            gates.failed("ns", "default", "a", true);
        }
        assert!(open(&mut gates));
    }
}
