//! An EventSource or a Sensor of the pool: its ports are written down, its Service is made, and its status says how it
//! does where it is hosted. It makes no pods, and removes those that it had before it was hosted.

use std::collections::BTreeMap;

use kube::Api;
use kube::api::{DynamicObject, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tiphys_core::tasks::chain;
use tiphys_eventbus::BusStatusConfig;
use tiphys_eventsource::ServiceSpec;

use super::report::report;
use super::workload::{Checkup, check, usable_bus};
use super::{Context, ObjectView, Outcome, bring};
use crate::hosting::{Kind, ObjectKey};
use crate::operator::apply::{self, MANAGER};
use crate::operator::conditions::{Conditions, Said};
use crate::operator::known::Known;
use crate::operator::queue::Next;
use crate::operator::wanted::{Made, Wanted};
use crate::operator::workload::{Workload, service_of};
use crate::pooled::{Pool, ports, service};

pub(super) async fn look(context: &Context, pool: &Pool, view: &ObjectView, outcome: &mut Outcome) {
    let mut known = Known::clone(&view.known);
    let mut conditions = Conditions::new(known.key.kind);
    let state = pool.state(&known.key);
    let hosted = match &state {
        None => Said::unknown("Starting", "the pool has not taken it up yet"),
        Some(state) if state.ready => Said::yes(&state.reason, &state.message),
        Some(state) => Said::no(&state.reason, &state.message),
    };
    // Whoever sends to the Service must find somebody: it leads here once somebody listens.
    let listens = state.is_some_and(|state| state.reason != "NoPort");
    let said = match check(&known, &mut conditions) {
        Checkup::Runs(runnable) => {
            let service = runnable.service;
            deploy(context, pool, view, listens, service, &mut known, outcome).await
        }
        Checkup::Unsupported => Said::no(
            "NotSupported",
            "nothing of it can run, so nothing is hosted",
        ),
        Checkup::Wrong => Said::unknown("Waiting", "the spec has problems, so nothing is hosted"),
    };
    conditions.say("Deployed", said);
    let ready = conditions.ready(hosted);
    report(context, &known, &conditions, ready, None, outcome).await;
}

/// Writes down its ports, and makes its Service where somebody listens.
async fn deploy(
    context: &Context,
    pool: &Pool,
    view: &ObjectView,
    listens: bool,
    service: Option<ServiceSpec>,
    known: &mut Known,
    outcome: &mut Outcome,
) -> Said {
    let config = match usable_bus(view) {
        Ok(config) => config,
        Err(said) => return said,
    };
    match write_ports(context, &view.known, &view.pool_ports).await {
        Ok(written) => *known = written,
        Err(error) => {
            outcome.next = Next::Retry;
            let message = format!("cannot write down its ports: {}", sentence(&error));
            return Said::no("PortsFailed", message);
        }
    }
    if listens {
        make(context, pool, view, service, &config, outcome).await
    } else {
        Said::unknown("Starting", "the pool is taking it up")
    }
}

/// Makes its Service, and takes away what the pods before the pool needed.
async fn make(
    context: &Context,
    pool: &Pool,
    view: &ObjectView,
    service: Option<ServiceSpec>,
    config: &BusStatusConfig,
    outcome: &mut Outcome,
) -> Said {
    let known = &view.known;
    let wanted = wanted(pool, known, &view.pool_ports, service, config);
    if let Err((reason, error)) = bring(context, view, wanted.as_slice(), outcome).await {
        outcome.next = Next::Retry;
        return Said::no(reason, apply::sentence(&error));
    }
    if let Some(wanted) = wanted
        .first()
        .filter(|_| known.key.namespace != pool.namespace)
    {
        let pods = pool.pods.borrow().clone();
        for slice in service::slices(&wanted.object, &pods) {
            if let Err(error) = write_slice(context, known, slice).await {
                outcome.next = Next::Retry;
                let message = format!("cannot lead its Service to the pool: {}", sentence(&error));
                return Said::no("EndpointsFailed", message);
            }
        }
    }
    Said::yes("Hosted", "the pool hosts it")
}

/// The Service of an EventSource; a Sensor has none.
fn wanted(
    pool: &Pool,
    known: &Known,
    ports: &BTreeMap<u16, u16>,
    service: Option<ServiceSpec>,
    config: &BusStatusConfig,
) -> Vec<Wanted> {
    if known.key.kind != Kind::EventSource || ports.is_empty() {
        return Vec::new();
    }
    let given = service.filter(|service| !service.ports.is_empty());
    let spec = given.unwrap_or_else(|| service::of_ports(ports));
    let workload = Workload {
        kind: known.key.kind,
        namespace: &known.key.namespace,
        name: &known.key.name,
        labels: &known.labels,
        annotations: &known.annotations,
        spec: known.spec(),
        template: None,
        replicas: None,
        revision_history_limit: None,
        service: Some(&spec),
        single: false,
        bus: config,
        bus_uid: "",
        deployment: "",
        contents: None,
    };
    let mut object = service_of(&workload, &spec);
    let near = known.key.namespace == pool.namespace;
    service::lead(&mut object, ports, near.then_some(&pool.selector));
    vec![Wanted {
        made: Made::Service,
        reason: "CreateServiceFailed",
        object,
    }]
}

/// Writes down the ports of the pool that stand for those of the spec, where that is news.
async fn write_ports(
    context: &Context,
    known: &Known,
    allotted: &BTreeMap<u16, u16>,
) -> Result<Known, kube::Error> {
    let before = ports::written(known.status());
    if before == *allotted {
        return Ok(known.clone());
    }
    let mut patch: BTreeMap<String, Value> = allotted
        .iter()
        .map(|(port, target)| (port.to_string(), json!(target)))
        .collect();
    let mut written = known.clone();
    if let Some(object) = written.object.as_object_mut() {
        let status = object.entry("status").or_insert_with(|| json!({}));
        if let Some(status) = status.as_object_mut() {
            status.insert("pooledPorts".to_owned(), json!(patch));
        }
    }
    for gone in before.keys().filter(|port| !allotted.contains_key(port)) {
        patch.insert(gone.to_string(), Value::Null);
    }
    // The uid keeps the ports from another object of the same name.
    let patch = json!({"metadata": {"uid": known.uid}, "status": {"pooledPorts": patch}});
    let resource = known.key.kind.resource();
    let api = Api::<DynamicObject>::namespaced_with(
        context.client.clone(),
        &known.key.namespace,
        &resource,
    );
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    api.patch_status(&known.key.name, &params, &Patch::Merge(&patch))
        .await?;
    Ok(written)
}

async fn write_slice(
    context: &Context,
    known: &Known,
    mut slice: Value,
) -> Result<(), kube::Error> {
    let ObjectKey {
        kind,
        namespace,
        name,
    } = &known.key;
    if let Some(metadata) = slice.get_mut("metadata").and_then(Value::as_object_mut) {
        let owner = json!([{
            "apiVersion": crate::check::API_VERSION,
            "kind": kind.as_str(),
            "name": name,
            "uid": known.uid,
            "controller": true,
        }]);
        metadata.insert("ownerReferences".to_owned(), owner);
    }
    if let Some(members) = slice.as_object_mut() {
        members.insert("apiVersion".to_owned(), json!("discovery.k8s.io/v1"));
        members.insert("kind".to_owned(), json!("EndpointSlice"));
    }
    let gvk = GroupVersionKind::gvk("discovery.k8s.io", "v1", "EndpointSlice");
    let resource = ApiResource::from_gvk_with_plural(&gvk, "endpointslices");
    let api = Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &resource);
    let own = slice.pointer("/metadata/name").and_then(Value::as_str);
    let own = own.unwrap_or_default().to_owned();
    let params = PatchParams::apply(MANAGER).force();
    api.patch(&own, &params, &Patch::Apply(&slice))
        .await
        .map(drop)
}

/// What the server says; the client's own text of it repeats the whole answer.
fn sentence(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => chain(error),
    }
}
