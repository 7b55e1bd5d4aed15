//! The object from the environment, as the controller's pods have it: base64 of JSON, and Secrets as mounted files.

use std::sync::Arc;

use tiphys_controller::given::{self, Given};
use tiphys_controller::secrets::FileSecrets;
use tiphys_controller::{
    Buses, HostOptions, Kind, Ports, Readiness, Scope, StatusWriting, Tidying,
};
use tiphys_core::metrics::Metrics;

use super::{LINGER_SECS, Object, cluster_client, needs_cluster};
use crate::commands::run::ports;
use crate::known_hosts;

/// The object in the environment, if there is one.
pub(crate) fn given(kind: Kind) -> anyhow::Result<Option<Given>> {
    let name = given::variable(kind);
    let Some(mut object) = variable(name) else {
        return Ok(None);
    };
    // One variable cannot hold a long object: the rest of the text is in further ones.
    for index in 1_u32.. {
        match variable(&format!("{name}_{index}")) {
            Some(piece) => object.push_str(&piece),
            None => break,
        }
    }
    let config = variable("EVENTBUS_CONFIG").unwrap_or_default();
    let given = Given::read(kind, &object, &config)?;
    Ok(Some(given.on_bus(variable(given::BUS_UID))))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how many variables hold the object is only known from the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

pub(super) async fn options(
    args: &Object,
    given: Given,
    metrics: Metrics,
) -> anyhow::Result<HostOptions> {
    let objects = given.hold().await?;
    let target = if needs_cluster(&[&given.document]) {
        cluster_client().await?
    } else {
        objects.clone()
    };
    let secrets = FileSecrets::new([], args.mounts.clone()).with_access(given.access.clone());
    Ok(HostOptions {
        replicas: args.replicas(given.kind, &given.namespace, given.document.name()),
        objects,
        target,
        scope: Scope::All,
        buses: Buses::Cluster,
        ports: Ports::AsSpecified(ports(&args.publish, &args.bind)?),
        secrets: Some(Arc::new(secrets)),
        known_hosts: known_hosts::files().into(),
        data_dir: args.data_dir.clone(),
        metrics,
        status: StatusWriting::Elsewhere,
        tidying: match given.bus_uid {
            Some(bus_uid) => Tidying::Controller {
                bus_uid: Some(bus_uid),
            },
            // Nobody says which EventBus it is.
            None => Tidying::Nobody,
        },
        readiness: Readiness::Each,
        linger: args.linger(LINGER_SECS),
    })
}
