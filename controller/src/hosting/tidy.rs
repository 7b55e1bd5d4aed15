//! That Sensors leave nothing on buses: an entry for each that runs here, what is removed with one that goes, and, where
//! this host is all there is, what those have left that went while nobody ran. What a Sensor has there is the crate
//! `sensor`'s work.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;
use tiphys_core::backoff::Backoff;
use tiphys_core::tasks::chain;
use tiphys_eventbus::{Bus, SubscribeError};
use tiphys_sensor::{Cleared, Tenant};
use tokio_util::sync::CancellationToken;

use super::act::bus_name;
use super::host::Tidying;
use super::reconciler::Reconciler;
use super::state::{Kind, ObjectKey};

/// The landlord of embedded buses: nobody else opens their folders.
const HERE: &str = "local";

/// A bus that cannot be written to for so many attempts is told of.
const TOLD: u32 = 5;

/// How long looking after one bus may take.
const LOOK: Duration = Duration::from_secs(10);

/// Writes down that a Sensor is on a bus, again and again until that has worked.
pub(crate) async fn enter(bus: Bus, tenant: Tenant, stop: CancellationToken) {
    let backoff = Backoff {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(300),
        ..Backoff::reconnect()
    };
    let mut attempt = 0_u32;
    loop {
        let entered = tokio::select! {
            () = stop.cancelled() => return,
            entered = tenant.enter(&bus) => entered,
        };
        let Err(error) = entered else {
            return;
        };
        attempt = attempt.saturating_add(1);
        if attempt == TOLD {
            let Tenant {
                namespace, sensor, ..
            } = &tenant;
            let error = chain(&error);
            tracing::warn!(
                namespace,
                sensor,
                error,
                "the event bus takes no note of the sensor: what it leaves there is not removed where it goes while nobody runs"
            );
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(backoff.wait_after(attempt).unwrap_or(backoff.longest)) => {}
        }
    }
}

/// Removes what a Sensor that has ended here has on a bus.
pub(crate) async fn clear(bus: &Bus, tenant: &Tenant) -> Result<Cleared, SubscribeError> {
    let all = Tenant::all(bus).await?;
    tenant.clear(bus, &all).await
}

impl Tidying {
    /// Whether the entry of a Sensor goes with it: nobody looks at it later.
    pub(crate) const fn is_last(&self) -> bool {
        !matches!(self, Self::Controller { .. })
    }
}

impl Reconciler {
    /// By whom a Sensor on a bus is known.
    pub(super) fn landlord(&self, namespace: &str, bus_name: &str, bus: &Bus) -> Option<String> {
        match &self.options.tidying {
            Tidying::Nobody => return None,
            Tidying::Controller { bus_uid: Some(uid) } => return Some(uid.clone()),
            Tidying::Host if bus.kind() == "embedded" => return Some(HERE.to_owned()),
            Tidying::Host | Tidying::Controller { bus_uid: None } => {}
        }
        let object = self.known.object(&ObjectKey {
            kind: Kind::EventBus,
            namespace: namespace.to_owned(),
            name: bus_name.to_owned(),
        })?;
        let uid = object.pointer("/metadata/uid").and_then(Value::as_str);
        uid.filter(|uid| !uid.is_empty()).map(str::to_owned)
    }

    /// Removes what Sensors that are gone have left on the buses of a namespace, or of all.
    pub(super) async fn tidy(&mut self, namespace: Option<&str>) {
        if self.options.tidying != Tidying::Host {
            return;
        }
        for ((in_namespace, name), bus) in self.buses.all() {
            if namespace.is_some_and(|namespace| namespace != in_namespace) {
                continue;
            }
            let Some(landlord) = self.landlord(&in_namespace, &name, &bus) else {
                continue;
            };
            let here = self.sensors_on(&in_namespace, &name);
            let look = tidy_bus(&bus, &landlord, &in_namespace, &here);
            let looked = match tokio::time::timeout(LOOK, look).await {
                Ok(looked) => looked.map_err(|error| chain(&error)),
                Err(_) => Err("it has not answered in time".to_owned()),
            };
            if let Err(error) = looked {
                // It is looked at again when it is there again.
                tracing::debug!(
                    namespace = in_namespace,
                    name,
                    error,
                    "cannot look at what sensors have left on an event bus"
                );
            }
        }
    }

    /// The Sensors of a namespace that name a bus.
    fn sensors_on(&self, namespace: &str, bus: &str) -> BTreeSet<String> {
        let sensors = self
            .known
            .keys()
            .filter(|key| key.kind == Kind::Sensor && key.namespace == namespace);
        let names_it = |key: &&ObjectKey| {
            let object = self.known.object(key).unwrap_or_default();
            let named = object.pointer("/spec/eventBusName").and_then(Value::as_str);
            bus_name(named.unwrap_or_default()) == bus
        };
        sensors
            .filter(names_it)
            .map(|key| key.name.clone())
            .collect()
    }
}

async fn tidy_bus(
    bus: &Bus,
    landlord: &str,
    namespace: &str,
    here: &BTreeSet<String>,
) -> Result<(), SubscribeError> {
    let all = Tenant::all(bus).await?;
    let gone = all.iter().filter(|tenant| {
        tenant.landlord == landlord
            && tenant.namespace == namespace
            && !here.contains(&tenant.sensor)
    });
    for tenant in gone {
        let cleared = tenant.clear(bus, &all).await?;
        tenant.leave(bus).await?;
        if cleared == Cleared::Removed {
            let sensor = &tenant.sensor;
            tracing::info!(
                namespace,
                sensor,
                "what a sensor that is gone had left on the event bus is removed"
            );
        }
    }
    Ok(())
}
