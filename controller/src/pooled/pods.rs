//! Follows the addresses of the pool's pods. It writes nothing.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::IpAddr;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client, ResourceExt as _};
use tiphys_core::Tasks;
use tiphys_core::tasks::chain;
use tokio::sync::watch;

/// Where a pod is, and whether it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) ip: IpAddr,
    pub(crate) ready: bool,
}

/// Starts to follow.
pub(crate) fn follow(
    client: &Client,
    namespace: &str,
    selector: &BTreeMap<String, String>,
    tasks: &Tasks,
) -> watch::Receiver<Vec<Address>> {
    let labels: Vec<String> = selector
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let api = Api::<Pod>::namespaced(client.clone(), namespace);
    let config = watcher::Config::default().labels(&labels.join(","));
    let (told, addresses) = watch::channel(Vec::new());
    let stop = tasks.stop_token();
    tasks.spawn("pods of the pool", async move {
        let mut events = watcher::watcher(api, config).default_backoff().boxed();
        let mut known = BTreeMap::new();
        let mut listing = None;
        let mut trouble = false;
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return Ok::<(), Infallible>(()),
                Some(event) = events.next() => event,
            };
            match event {
                Ok(Event::Init) => listing = Some(BTreeMap::new()),
                Ok(Event::InitApply(pod)) => {
                    if let Some(listing) = &mut listing {
                        listing.insert(pod.name_any(), address(&pod));
                    }
                }
                Ok(Event::InitDone) => known = listing.take().unwrap_or_default(),
                Ok(Event::Apply(pod)) => {
                    known.insert(pod.name_any(), address(&pod));
                }
                Ok(Event::Delete(pod)) => {
                    known.remove(&pod.name_any());
                }
                Err(error) => {
                    if !trouble {
                        tracing::warn!(error = %chain(&error), "the pods of the pool cannot be followed, so Services of other namespaces do not reach them; trying again and again");
                    }
                    trouble = true;
                    continue;
                }
            }
            if listing.is_some() {
                continue;
            }
            trouble = false;
            let mut now: Vec<Address> = known.values().copied().flatten().collect();
            now.sort_unstable();
            told.send_if_modified(|before| {
                let differs = *before != now;
                if differs {
                    *before = now;
                }
                differs
            });
        }
    });
    addresses
}

/// Where a pod is, once it has an address; one that goes away is not ready.
fn address(pod: &Pod) -> Option<Address> {
    let status = pod.status.as_ref()?;
    if matches!(status.phase.as_deref(), Some("Succeeded" | "Failed")) {
        return None;
    }
    let ip = status.pod_ip.as_deref()?.parse().ok()?;
    let conditions = status.conditions.iter().flatten();
    let ready = conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True");
    Some(Address {
        ip,
        ready: ready && pod.metadata.deletion_timestamp.is_none(),
    })
}
