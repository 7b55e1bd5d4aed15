//! The Service of an EventSource in the pool, and what stands behind it where it cannot select the pods. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tiphys_eventsource::ServiceSpec;

use super::pods::Address;

/// The ports of an EventSource that says nothing of a Service: without one nobody would find it among all others.
pub(crate) fn of_ports(ports: &BTreeMap<u16, u16>) -> ServiceSpec {
    let list: Vec<Value> = ports
        .keys()
        .map(|port| json!({"name": format!("port-{port}"), "port": port, "protocol": "TCP"}))
        .collect();
    serde_json::from_value(json!({ "ports": list })).unwrap_or_default()
}

/// Leads a Service to the pool: to the ports that stand for those of the spec, and to `selector`, where that can reach
/// the pods.
pub(crate) fn lead(
    service: &mut Value,
    ports: &BTreeMap<u16, u16>,
    selector: Option<&BTreeMap<String, String>>,
) {
    let Some(spec) = service.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    match selector {
        Some(selector) => spec.insert("selector".to_owned(), json!(selector)),
        None => spec.remove("selector"),
    };
    let list = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in list.into_iter().flatten() {
        if let Some(target) = target(port, ports)
            && let Some(members) = port.as_object_mut()
        {
            members.insert("targetPort".to_owned(), json!(target));
        }
    }
}

/// Where a port of a Service leads.
fn target(port: &Value, ports: &BTreeMap<u16, u16>) -> Option<u16> {
    let number = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let meant = match port.get("targetPort") {
        None | Some(Value::Null) => number(port.get("port")?),
        // A name of a port of pods that there are none of: there is only one that it can mean, or none.
        Some(Value::String(text)) => text
            .parse()
            .ok()
            .or_else(|| ports.keys().next().copied().filter(|_| ports.len() == 1)),
        Some(port) => number(port),
    };
    ports.get(&meant?).copied()
}

/// The EndpointSlices behind a Service of another namespace than the pool's: one for each family of addresses.
pub(crate) fn slices(service: &Value, pods: &[Address]) -> Vec<Value> {
    let name = service.pointer("/metadata/name").and_then(Value::as_str);
    let name = name.unwrap_or_default();
    let ports = service.pointer("/spec/ports").and_then(Value::as_array);
    let ports: Vec<Value> = ports
        .into_iter()
        .flatten()
        .map(|port| {
            json!({
                "name": port.get("name").and_then(Value::as_str).unwrap_or_default(),
                "port": port.get("targetPort").or_else(|| port.get("port")),
                "protocol": port.get("protocol").and_then(Value::as_str).unwrap_or("TCP"),
            })
        })
        .collect();
    let of = |family: &str, suffix: &str, six: bool| {
        let endpoints: Vec<Value> = pods
            .iter()
            .filter(|pod| pod.ip.is_ipv6() == six)
            .map(|pod| {
                json!({
                    "addresses": [pod.ip],
                    "conditions": {"ready": pod.ready, "serving": pod.ready, "terminating": false},
                })
            })
            .collect();
        json!({
            "metadata": {
                "name": format!("{name}-{suffix}"),
                "labels": {
                    "kubernetes.io/service-name": name,
                    "endpointslice.kubernetes.io/managed-by": "pool.tiphys.dev",
                },
            },
            "addressType": family,
            "endpoints": endpoints,
            "ports": ports,
        })
    };
    let mut slices = vec![of("IPv4", "pool", false)];
    if pods.iter().any(|pod| pod.ip.is_ipv6()) {
        slices.push(of("IPv6", "pool-ipv6", true));
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> Value {
        json!({
            "metadata": {"name": "in-eventsource-svc"},
            "spec": {
                "selector": {"eventsource-name": "in"},
                "ports": [
                    {"name": "a", "port": 12000, "protocol": "TCP"},
                    {"name": "b", "port": 80, "targetPort": 13000, "protocol": "TCP"},
                    {"name": "c", "port": 81, "targetPort": "13000", "protocol": "TCP"},
                    {"name": "d", "port": 9, "protocol": "TCP"},
                ],
            },
        })
    }

    #[test]
    fn a_service_leads_to_the_ports_and_pods_of_the_pool() {
        let ports = BTreeMap::from([(12000, 20001), (13000, 20002)]);
        let selector = BTreeMap::from([("app".to_owned(), "pool".to_owned())]);
        let mut near = service();
        lead(&mut near, &ports, Some(&selector));
        assert_eq!(near["spec"]["selector"], json!({"app": "pool"}));
        let targets: Vec<&Value> = near["spec"]["ports"]
            .as_array()
            .unwrap()
            .iter()
            .map(|port| &port["targetPort"])
            .collect();
        assert_eq!(
            targets,
            [&json!(20001), &json!(20002), &json!(20002), &Value::Null]
        );
        let mut far = service();
        lead(&mut far, &ports, None);
        assert_eq!(far["spec"].get("selector"), None);
        let pods = [Address {
            ip: "10.0.0.7".parse().unwrap(),
            ready: true,
        }];
        let slices = slices(&far, &pods);
        assert_eq!(slices.len(), 1);
        assert_eq!(slices[0]["endpoints"][0]["addresses"], json!(["10.0.0.7"]));
        assert_eq!(slices[0]["ports"][1]["port"], 20002);
        assert_eq!(
            slices[0]["metadata"]["labels"]["kubernetes.io/service-name"],
            "in-eventsource-svc"
        );
    }

    #[test]
    fn an_event_source_without_a_service_gets_one_for_its_ports() {
        let spec = of_ports(&BTreeMap::from([(12000, 20001)]));
        assert_eq!(spec.ports.len(), 1);
    }
}
