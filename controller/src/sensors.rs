//! The Sensors of this process: from object to running Sensor. What a Sensor does is the crate `sensor`'s work.

use std::collections::BTreeMap;
use std::sync::Arc;

use kube::Client;
use serde_json::Value;
use tiphys_core::metrics::Metrics;
use tiphys_core::{Secrets, Tasks};
use tiphys_eventbus::Bus;
use tiphys_sensor::SensorSpec;

use crate::host::ObjectState;

pub(crate) struct HostedSensors {
    client: Client,
    metrics: Metrics,
    tasks: Tasks,
    running: BTreeMap<(String, String), ()>,
}

impl HostedSensors {
    pub(crate) fn new(client: Client, metrics: Metrics, tasks: Tasks) -> Self {
        Self {
            client,
            metrics,
            tasks,
            running: BTreeMap::new(),
        }
    }

    pub(crate) async fn apply(
        &mut self,
        _namespace: &str,
        _name: &str,
        _spec: SensorSpec,
        _object: &Value,
        _bus: (&str, Bus),
        _secrets: Arc<dyn Secrets>,
    ) -> Result<ObjectState, ObjectState> {
        drop((&self.client, &self.metrics, &self.tasks, &self.running));
        Err(ObjectState::not_ready("NotSupported", "not yet"))
    }

    pub(crate) async fn remove(&mut self, _namespace: &str, _name: &str) {}
    pub(crate) async fn stop(&mut self, _namespace: &str, _name: &str) {}
    pub(crate) async fn stop_on_bus(&mut self, _namespace: &str, _bus: &str) {}
    pub(crate) async fn stop_all(&mut self) {}
}
