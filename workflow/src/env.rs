//! The environment of a leaf: what the Workflow says, and nothing of the environment that Tiphys itself was given,
//! because that holds the user's credentials.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use tiphys_core::refs::KeyRef;

use crate::resource::EnvVar;

/// Why a variable has no value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EnvError {
    /// The reference points at nothing.
    #[error("env {variable:?}: {kind} {name:?} has no key {key:?}")]
    Missing {
        variable: String,
        kind: &'static str,
        name: String,
        key: String,
    },
    /// The API did not answer.
    #[error("env {variable:?}: cannot read {kind} {name:?}")]
    Api {
        variable: String,
        kind: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
}

/// The variables of a container, references resolved.
pub(crate) async fn resolve(
    client: &Client,
    namespace: &str,
    vars: &[EnvVar],
) -> Result<BTreeMap<String, String>, EnvError> {
    let mut env = BTreeMap::new();
    for var in vars {
        let value = match (&var.value, &var.value_from) {
            (_, Some(from)) => {
                if let Some(at) = &from.secret_key_ref {
                    secret(client, namespace, &var.name, at).await?
                } else if let Some(at) = &from.config_map_key_ref {
                    config(client, namespace, &var.name, at).await?
                } else {
                    String::new()
                }
            }
            (Some(value), None) => value.0.clone(),
            (None, None) => String::new(),
        };
        env.insert(var.name.clone(), value);
    }
    Ok(env)
}

async fn secret(
    client: &Client,
    namespace: &str,
    variable: &str,
    at: &KeyRef,
) -> Result<String, EnvError> {
    let kind = "secret";
    let found = Api::<Secret>::namespaced(client.clone(), namespace)
        .get_opt(&at.name)
        .await;
    let found = found.map_err(|error| api_error(variable, kind, at, error))?;
    let value = found.and_then(|secret| secret.data?.remove(&at.key));
    value
        .map(|value| String::from_utf8_lossy(&value.0).into_owned())
        .ok_or_else(|| missing(variable, kind, at))
}

async fn config(
    client: &Client,
    namespace: &str,
    variable: &str,
    at: &KeyRef,
) -> Result<String, EnvError> {
    let kind = "config map";
    let found = Api::<ConfigMap>::namespaced(client.clone(), namespace)
        .get_opt(&at.name)
        .await;
    let found = found.map_err(|error| api_error(variable, kind, at, error))?;
    found
        .and_then(|map| map.data?.remove(&at.key))
        .ok_or_else(|| missing(variable, kind, at))
}

fn missing(variable: &str, kind: &'static str, at: &KeyRef) -> EnvError {
    EnvError::Missing {
        variable: variable.to_owned(),
        kind,
        name: at.name.clone(),
        key: at.key.clone(),
    }
}

fn api_error(variable: &str, kind: &'static str, at: &KeyRef, source: kube::Error) -> EnvError {
    EnvError::Api {
        variable: variable.to_owned(),
        kind,
        name: at.name.clone(),
        source: Box::new(source),
    }
}
