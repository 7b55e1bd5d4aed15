//! Who has something on a bus: an entry for each Sensor, beside the state of conditions, so that what a Sensor leaves can
//! be removed by somebody who never ran it. Which Sensors are gone is for the caller to know.
//!
//! ```text
//! namespace/sensor/landlord    landlord: the uid of the EventBus object through which the Sensor came
//! ```
//!
//! Several clusters may share one server, and then Sensors of the same name share one place on it: it goes with the
//! last of them.

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::json;
use tiphys_eventbus::{Bus, StateError, SubscribeError};

use super::SensorRuntime;

/// Where the entries are.
const BUCKET: &str = "tiphys-tenants";

/// A Sensor that has something on a bus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenant {
    /// The Sensor's namespace.
    pub namespace: String,
    /// Its name.
    pub sensor: String,
    /// Who knows when it is gone: the uid of an EventBus object, as a rule.
    pub landlord: String,
}

/// What there was of a Sensor that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleared {
    /// Something, which is removed. A process that is late to hear of it may bring some of it back.
    Removed,
    /// Nothing.
    Nothing,
    /// Somebody else's Sensor of the same name goes on in the same place.
    Shared,
}

impl Tenant {
    fn key(&self) -> String {
        format!("{}/{}/{}", self.namespace, self.sensor, self.landlord)
    }

    fn parse(key: &str) -> Option<Self> {
        let mut parts = key.split('/').map(str::to_owned);
        let tenant = Self {
            namespace: parts.next()?,
            sensor: parts.next()?,
            landlord: parts.next()?,
        };
        parts.next().is_none().then_some(tenant)
    }

    /// Writes down that the Sensor has something on the bus.
    ///
    /// # Errors
    /// When the bus cannot be reached; it can be done again.
    pub async fn enter(&self, bus: &Bus) -> Result<(), SubscribeError> {
        let store = bus.state(BUCKET).await.map_err(unavailable)?;
        let key = self.key();
        if store.get(&key).await.map_err(unavailable)?.is_some() {
            return Ok(());
        }
        let entry = json!({ "since": Timestamp::now() });
        match store.put(&key, Bytes::from(entry.to_string()), None).await {
            // Another replica was faster.
            Ok(_) | Err(StateError::Conflict) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Everybody who has something on the bus, sorted.
    ///
    /// # Errors
    /// When the bus cannot be reached.
    pub async fn all(bus: &Bus) -> Result<Vec<Self>, SubscribeError> {
        let Some(store) = bus.known_state(BUCKET).await.map_err(unavailable)? else {
            return Ok(Vec::new());
        };
        let keys = store.keys("").await.map_err(unavailable)?;
        Ok(keys.iter().filter_map(|key| Self::parse(key)).collect())
    }

    /// Removes what the Sensor has left, where `all` has nobody else in the same place. The entry stays.
    ///
    /// # Errors
    /// When the bus cannot be reached; it can be done again.
    pub async fn clear(&self, bus: &Bus, all: &[Self]) -> Result<Cleared, SubscribeError> {
        if self.shares(all) {
            return Ok(Cleared::Shared);
        }
        let there = SensorRuntime::forget(bus, &self.namespace, &self.sensor).await?;
        Ok(if there {
            Cleared::Removed
        } else {
            Cleared::Nothing
        })
    }

    /// Removes the entry.
    ///
    /// # Errors
    /// When the bus cannot be reached; it can be done again.
    pub async fn leave(&self, bus: &Bus) -> Result<(), SubscribeError> {
        match bus.known_state(BUCKET).await.map_err(unavailable)? {
            Some(store) => store.delete(&self.key()).await.map_err(unavailable),
            None => Ok(()),
        }
    }

    fn shares(&self, all: &[Self]) -> bool {
        all.iter().any(|other| {
            other.namespace == self.namespace
                && other.sensor == self.sensor
                && other.landlord != self.landlord
        })
    }
}

pub(super) fn unavailable(error: StateError) -> SubscribeError {
    SubscribeError::Unavailable {
        reason: match error {
            StateError::Unavailable { reason } => reason,
            StateError::Conflict => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use tiphys_eventbus::{EmbeddedConfig, Start, SubjectPattern, Subscription};

    use super::*;
    use crate::prepared::Owner;
    use crate::runtime::store::{BUCKET as STATE, Store};
    use crate::runtime::{ACK_WAIT, durable_prefix};

    fn tenant(sensor: &str, landlord: &str) -> Tenant {
        Tenant {
            namespace: "ns".to_owned(),
            sensor: sensor.to_owned(),
            landlord: landlord.to_owned(),
        }
    }

    /// Leaves a consumer and state with pieces on a bus, as a Sensor does.
    async fn settle(bus: &Bus, tenant: &Tenant) {
        tenant.enter(bus).await.unwrap();
        let owner = Owner {
            namespace: tenant.namespace.clone(),
            sensor: tenant.sensor.clone(),
        };
        let prefix = durable_prefix(&owner);
        let subscription = Subscription {
            durable: format!("{prefix}t"),
            subjects: vec![SubjectPattern {
                source: "*".to_owned(),
                event: "*".to_owned(),
            }],
            start: Start::New,
            ack_wait: ACK_WAIT,
            max_in_flight: 1,
        };
        bus.subscribe(subscription).await.unwrap();
        let store = Store::open(bus).await.unwrap();
        // That of a trigger whose consumer somebody has deleted as well.
        for key in ["t", "t/a", "u"] {
            let value = Bytes::from_static(b"{}");
            store
                .put(&format!("{prefix}{key}"), value, None)
                .await
                .unwrap();
        }
    }

    /// How many consumers, entries of conditions and tenants there are.
    async fn left(bus: &Bus) -> (usize, usize, Vec<Tenant>) {
        let state = bus.state(STATE).await.unwrap();
        (
            bus.durables("").await.unwrap().len(),
            state.keys("").await.unwrap().len(),
            Tenant::all(bus).await.unwrap(),
        )
    }

    #[tokio::test]
    async fn what_a_sensor_leaves_is_removed_and_then_its_entry() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let (gone, other) = (tenant("gone", "bus"), tenant("other", "bus"));
        assert_eq!(Tenant::all(&bus).await.unwrap(), []);
        settle(&bus, &gone).await;
        settle(&bus, &other).await;
        gone.enter(&bus).await.unwrap();
        let all = Tenant::all(&bus).await.unwrap();
        assert_eq!(all, [gone.clone(), other.clone()]);
        assert_eq!(gone.clear(&bus, &all).await.unwrap(), Cleared::Removed);
        assert_eq!(left(&bus).await, (1, 3, all.clone()));
        assert_eq!(gone.clear(&bus, &all).await.unwrap(), Cleared::Nothing);
        gone.leave(&bus).await.unwrap();
        assert_eq!(left(&bus).await, (1, 3, vec![other]));
    }

    #[tokio::test]
    async fn a_place_that_two_clusters_share_goes_with_the_last_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let bus = Bus::embedded(EmbeddedConfig::new(folder.path())).unwrap();
        let (here, there) = (tenant("s", "here"), tenant("s", "there"));
        settle(&bus, &here).await;
        there.enter(&bus).await.unwrap();
        let all = Tenant::all(&bus).await.unwrap();
        assert_eq!(here.clear(&bus, &all).await.unwrap(), Cleared::Shared);
        here.leave(&bus).await.unwrap();
        assert_eq!(left(&bus).await, (1, 3, vec![there.clone()]));
        let all = Tenant::all(&bus).await.unwrap();
        assert_eq!(there.clear(&bus, &all).await.unwrap(), Cleared::Removed);
        there.leave(&bus).await.unwrap();
        assert_eq!(left(&bus).await, (0, 0, vec![]));
    }

    #[test]
    fn a_key_that_somebody_else_has_written_is_nobodys() {
        for key in ["", "ns", "ns/s", "ns/s/u/more"] {
            assert_eq!(Tenant::parse(key), None, "{key}");
        }
        let one = tenant("a.b", "u-1");
        assert_eq!(Tenant::parse(&one.key()), Some(one));
    }
}
