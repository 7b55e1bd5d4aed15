//! A bus for a short look: for whoever hosts nothing on it and wants to see, or remove, what others have there. It makes
//! no stream and no store, and says nothing in the log: the caller knows best what a failure means.

use std::sync::Arc;

use tiphys_core::{Secrets, Tasks};

use crate::bus::{Bus, OpenError, State, StateError};
use crate::resource::BusConfig;

impl Bus {
    /// As [`Bus::open`], for a look: it neither makes nor judges the stream, and reports nothing.
    ///
    /// # Errors
    /// As [`Bus::open`].
    pub fn visit(
        config: BusConfig,
        secrets: Arc<dyn Secrets>,
        tasks: &Tasks,
    ) -> Result<Self, OpenError> {
        match config {
            BusConfig::Embedded(config) => Self::embedded(config),
            BusConfig::JetStream(config) => Self::visit_jetstream(config, secrets, tasks),
        }
    }

    /// As [`Bus::state`], where somebody has made the store.
    ///
    /// # Errors
    /// [`StateError::Unavailable`].
    pub async fn known_state(&self, bucket: &str) -> Result<Option<Arc<dyn State>>, StateError> {
        self.backend.known_state(bucket).await
    }
}
