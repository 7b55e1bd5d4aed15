//! One look at one bus: which Sensors have something there, which of those are gone, and what becomes of it. It removes
//! nothing before the API server has said that the Sensor is not there, and nothing that another cluster has there.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use kube::api::DynamicObject;
use kube::{Api, Client};
use serde_json::Value;
use tiphys_core::Tasks;
use tiphys_core::tasks::chain;
use tiphys_eventbus::{Bus, BusConfig, Health, SubscribeError};
use tiphys_sensor::{Cleared, Tenant};

use super::schedule::Found;
use crate::hosting::{Kind, ObjectKey, bus_name};
use crate::secrets::ApiSecrets;

/// How long a bus has to answer at first.
const CONNECT: Duration = Duration::from_secs(15);
/// How long a look may take.
const LOOK: Duration = Duration::from_secs(120);

/// Whether an EventBus that is gone has one of its name after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Successor {
    /// None that can be used.
    None,
    /// On the same servers.
    SamePlace,
    /// On others.
    OtherPlace,
}

/// See the module.
pub(super) struct Visit {
    pub(super) client: Client,
    /// The EventBus.
    pub(super) bus: ObjectKey,
    pub(super) uid: String,
    pub(super) config: BusConfig,
    /// The Sensors that name it, as far as is known.
    pub(super) here: BTreeSet<String>,
    /// Of an EventBus that is gone.
    pub(super) successor: Option<Successor>,
}

/// What is done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    Nothing,
    /// The Sensor is there, and enters the bus under another uid.
    Entry,
    /// The Sensor is gone.
    Everything,
}

impl Visit {
    /// Looks, and lets go of the bus.
    pub(super) async fn run(self) -> Result<Found, String> {
        let tasks = Tasks::new();
        let _stop = tasks.stop_token().drop_guard();
        let secrets = Arc::new(ApiSecrets::new(self.client.clone(), &self.bus.namespace));
        let bus = Bus::visit(self.config.clone(), secrets, &tasks);
        let bus = bus.map_err(|error| chain(&error))?;
        let looked = async {
            connected(&bus).await?;
            self.look(&bus).await
        };
        let looked = tokio::time::timeout(LOOK, looked).await;
        bus.close().await;
        looked.unwrap_or_else(|_| Err("it takes too long to answer".to_owned()))
    }

    async fn look(&self, bus: &Bus) -> Result<Found, String> {
        let all = Tenant::all(bus).await.map_err(told)?;
        let mut found = Found::Nothing;
        for tenant in all.iter().filter(|tenant| tenant.landlord == self.uid) {
            match self.due(tenant).await? {
                Due::Nothing => continue,
                Due::Entry => tenant.leave(bus).await.map_err(told)?,
                Due::Everything => {
                    let cleared = tenant.clear(bus, &all).await.map_err(told)?;
                    if cleared == Cleared::Removed {
                        // The entry goes when another look has shown that it stays away.
                        found = Found::Removed;
                        let Tenant {
                            namespace, sensor, ..
                        } = tenant;
                        let bus = &self.bus.name;
                        tracing::info!(
                            namespace,
                            sensor,
                            bus,
                            "what a Sensor that is gone had left on the event bus is removed"
                        );
                        continue;
                    }
                    tenant.leave(bus).await.map_err(told)?;
                }
            }
        }
        Ok(found)
    }

    async fn due(&self, tenant: &Tenant) -> Result<Due, String> {
        if tenant.namespace != self.bus.namespace || self.here.contains(&tenant.sensor) {
            return Ok(Due::Nothing);
        }
        let sensor = self.sensor(&tenant.sensor).await?;
        let names_it = |sensor: &DynamicObject| {
            let named = sensor.data.pointer("/spec/eventBusName");
            bus_name(named.and_then(Value::as_str).unwrap_or_default()) == self.bus.name
        };
        let goes_on = sensor.as_ref().is_some_and(names_it);
        Ok(match (goes_on, self.successor) {
            (false, _) | (true, Some(Successor::OtherPlace)) => Due::Everything,
            // Its pods go on with what they were given.
            (true, None | Some(Successor::None)) => Due::Nothing,
            (true, Some(Successor::SamePlace)) => Due::Entry,
        })
    }

    /// The Sensor, where the API server knows it. A server that does not know the kind has said nothing of the Sensor.
    async fn sensor(&self, name: &str) -> Result<Option<DynamicObject>, String> {
        let resource = Kind::Sensor.resource();
        let api = Api::<DynamicObject>::namespaced_with(
            self.client.clone(),
            &self.bus.namespace,
            &resource,
        );
        match api.get(name).await {
            Ok(sensor) => Ok(Some(sensor)),
            Err(kube::Error::Api(status))
                if status.code == 404
                    && status
                        .details
                        .as_ref()
                        .is_some_and(|details| details.name == name) =>
            {
                Ok(None)
            }
            Err(error) => Err(format!(
                "the API server does not say whether Sensor {name:?} is there: {}",
                chain(&error)
            )),
        }
    }
}

fn told(error: SubscribeError) -> String {
    chain(&error)
}

async fn connected(bus: &Bus) -> Result<(), String> {
    let mut health = bus.health();
    let connected = health.wait_for(|health| *health == Health::Connected);
    if matches!(tokio::time::timeout(CONNECT, connected).await, Ok(Ok(_))) {
        return Ok(());
    }
    match &*bus.health().borrow() {
        Health::Unavailable { reason } => Err(reason.clone()),
        Health::Connected => Ok(()),
    }
}
