//! Tests of the EventBus resource: what is reported, and what opens.

use std::path::Path;
use std::time::Duration;

use kube::CustomResourceExt as _;
use tiphys_core::manifest;

use super::*;
use crate::embedded::{Discard, EmbeddedConfig};

fn spec(yaml: &str) -> EventBusSpec {
    let document = manifest::parse(yaml).unwrap().remove(0);
    let mut problems = Problems::default();
    let spec = document.typed(&mut problems).unwrap();
    assert!(problems.is_empty(), "{problems}");
    spec
}

fn problems(yaml: &str) -> String {
    let mut problems = Problems::default();
    spec(yaml).validate(&mut problems);
    problems.to_string()
}

#[test]
fn every_problem_is_reported_with_its_path() {
    for (yaml, expected) in [
        (
            "{}",
            "must name a bus: jetstream, jetstreamExotic, nats or kafka",
        ),
        ("jetstream: {version: latest}", ""),
        ("nats: {}", "nats: must have native or exotic"),
        (
            "jetstream: {replicas: 2, maxPayload: big}",
            "jetstream.version: must be set, as latest\n\
             jetstream.replicas: must be 1, or 3 and more for a quorum, not 2\n\
             jetstream.maxPayload: must be a size, as 1MB or 512KB",
        ),
        (
            "nats: {native: {auth: basic, maxAge: 3d, replicas: 1}}",
            "warning: nats.native: NATS Streaming is end-of-life: it is provided as JetStream; write jetstream instead\n\
             nats.native.auth: must be none or token, not \"basic\"\n\
             warning: nats.native.replicas: is 1; 3 are made, for a quorum\n\
             nats.native.maxAge: \"3d\" is not a duration: write it with units, as 10s, 1m30s or 250ms",
        ),
        (
            "nats: {exotic: {auth: token}}",
            "nats.exotic.clusterID: must be set, as Argo demands it; JetStream passes over it\n\
             nats.exotic.url: must be set, as nats://host:4222\n\
             nats.exotic.accessSecret: must be set, as {name, key}\n\
             warning: nats.exotic: NATS Streaming is end-of-life: the server is used with JetStream; write jetstreamExotic instead",
        ),
        (
            "jetstreamExotic: {streamConfig: 'discard: 7'}",
            "jetstreamExotic.url: must be set, as nats://host:4222\n\
             jetstreamExotic.streamConfig.discard: must be 0 (old events go) or 1 (new events are refused)",
        ),
        (
            "jetstream: {version: x}\njetstreamExotic: {url: 'nats://a:4222,b'}",
            "warning: names several buses: jetstream is used, and jetstreamExotic has no effect",
        ),
        (
            "kafka: {}",
            "kafka.url: must be set, as host:9092\n\
             warning: kafka: is not supported yet as a bus; use jetstream or jetstreamExotic",
        ),
    ] {
        assert_eq!(problems(yaml), expected, "{yaml}");
    }
}

#[test]
fn stream_settings_are_read_in_any_case() {
    let text = "discard: 1\nduplicates: 300s\nmaxage: 168h\nmaxbytes: -1\nMaxMsgs: 50000\nreplicas: 3\nretention: 0\n";
    let mut problems = Problems::default();
    let settings = StreamSettings::parse(text, &mut problems);
    assert!(problems.is_empty(), "{problems}");
    let expected = StreamSettings {
        max_msgs: Some(50_000),
        max_age: Some(Duration::from_secs(168 * 3600)),
        max_bytes: Some(-1),
        replicas: Some(3),
        duplicates: Some(Duration::from_secs(300)),
        retention: Some(StreamRetention::Limits),
        discard: Some(Discard::New),
    };
    assert_eq!(settings, expected);
    let nanos = StreamSettings::parse("maxAge: 5000000000\nmaxBytes: 1GB", &mut problems);
    assert_eq!(
        (nanos.max_age, nanos.max_bytes),
        (Some(Duration::from_secs(5)), Some(1 << 30))
    );
    StreamSettings::parse("[", &mut problems);
    StreamSettings::parse("- 1", &mut problems);
    StreamSettings::parse("maxMsgs: many\nshards: 2", &mut problems);
    assert_eq!(problems.list().len(), 4);
}

fn local(yaml: &str) -> Result<BusConfig, String> {
    let config = BusConfig::local(&spec(yaml), "ns", "default", Path::new("data"));
    config.map_err(|problems| problems.errors())
}

#[test]
fn the_local_shape_keeps_an_embedded_log_where_a_cluster_would_make_servers() {
    for yaml in ["{}", "nats: {native: {}}", "jetstream: {version: latest}"] {
        let Ok(BusConfig::Embedded(config)) = local(yaml) else {
            panic!("{yaml}")
        };
        assert_eq!(config, EmbeddedConfig::new("data/bus/ns/default"), "{yaml}");
    }
    let limited =
        "jetstream: {version: x, streamConfig: 'maxMsgs: 10\n\n  duplicates: 1s\n\n  discard: 0'}";
    let Ok(BusConfig::Embedded(config)) = local(limited) else {
        panic!()
    };
    assert_eq!(
        (config.limits.max_msgs, config.limits.discard),
        (Some(10), Discard::Old)
    );
    assert_eq!(config.dedup_window, Duration::from_secs(1));
    let Ok(BusConfig::JetStream(config)) =
        local("jetstreamExotic: {url: 'nats://a:1', accessSecret: {name: bus, key: auth}}")
    else {
        panic!()
    };
    assert_eq!(
        (config.url.as_str(), config.access_secret.is_some()),
        ("nats://a:1", true)
    );
    assert!(
        local("kafka: {url: a}")
            .unwrap_err()
            .contains("not supported yet")
    );
    let outside = BusConfig::local(&EventBusSpec::default(), "..", "a/b", Path::new("data"));
    assert_eq!(outside.unwrap_err().list().len(), 2);
}

#[test]
fn an_update_keeps_the_kind_and_the_stream() {
    let check = |from: &str, to: &str| {
        let mut problems = Problems::default();
        spec(to).validate_update(&spec(from), &mut problems);
        problems.to_string()
    };
    assert_eq!(
        check("nats: {native: {}}", "nats: {native: {auth: none}}"),
        ""
    );
    assert!(
        check("nats: {native: {}}", "jetstream: {version: x}").contains("must stay nats.native")
    );
    assert!(
        check("nats: {native: {}}", "nats: {native: {auth: token}}").contains("auth must stay")
    );
    assert!(
        check(
            "jetstream: {version: x}",
            "jetstream: {version: x, streamConfig: 'replicas: 1'}"
        )
        .contains("jetstream.streamConfig")
    );
}

#[test]
fn an_update_keeps_the_servers_that_may_have_most_copies() {
    let bus = |kind: &str, replicas: &str| match kind {
        "native" => format!("nats: {{native: {{replicas: {replicas}}}}}"),
        _ => format!("jetstream: {{version: x, replicas: {replicas}}}"),
    };
    for (from, to, refused) in [
        ("5", "3", "must stay 5 or become more"),
        ("5", "4", "must stay 5 or become more"),
        ("4", "3", "must stay 4 or become more"),
        ("5", "null", "must stay 5 or become more"),
        ("3", "5", ""),
        ("null", "3", ""),
        ("3", "3", ""),
    ] {
        for (kind, path) in [("jetstream", "jetstream"), ("native", "nats.native")] {
            let mut problems = Problems::default();
            spec(&bus(kind, to)).validate_update(&spec(&bus(kind, from)), &mut problems);
            let said = problems.to_string();
            assert_eq!(
                said.is_empty(),
                refused.is_empty(),
                "{kind} {from} {to}: {said}"
            );
            if !refused.is_empty() {
                assert!(
                    said.starts_with(&format!("{path}.replicas: {refused}")),
                    "{said}"
                );
                assert!(
                    said.contains("make another EventBus with replicas"),
                    "{said}"
                );
            }
        }
    }
    for (from, to, refused) in [
        ("1", "3", "jetstream.replicas: must stay 1"),
        ("3", "1", "jetstream.replicas: must be 3 or more"),
        ("1", "1", ""),
    ] {
        let mut problems = Problems::default();
        spec(&bus("", to)).validate_update(&spec(&bus("", from)), &mut problems);
        let said = problems.to_string();
        assert!(
            said.starts_with(refused) && said.is_empty() == refused.is_empty(),
            "{said}"
        );
    }
}

#[test]
fn the_spec_goes_through_yaml_unchanged_and_has_a_schema() {
    let yaml = "nats: {exotic: {url: 'nats://a:1', clusterID: c, auth: token, accessSecret: {name: bus, key: auth}}}";
    let value = serde_json::to_value(spec(yaml)).unwrap();
    assert_eq!(value, manifest::parse(yaml).unwrap().remove(0).object);
    let crd = EventBus::crd();
    assert_eq!(crd.spec.names.short_names, Some(vec!["eb".to_owned()]));
    let text = serde_json::to_string(&crd).unwrap();
    assert!(text.contains("jetstreamExotic") && text.contains("raftHeartbeatTimeout"));
}

/// A configuration as a pod is given it, decoded.
fn given(json: &str) -> Result<JetStreamConfig, String> {
    let status: BusStatusConfig = serde_json::from_str(json).unwrap();
    match BusConfig::from_status(&status) {
        Ok(BusConfig::JetStream(config)) => Ok(config),
        Ok(other) => panic!("{other:?}"),
        Err(problems) => Err(problems.errors()),
    }
}

fn key_of(name: &str, key: &str) -> Option<KeyRef> {
    Some(KeyRef {
        name: name.to_owned(),
        key: key.to_owned(),
        optional: None,
    })
}

#[test]
fn the_configuration_of_a_bus_that_argo_made_is_read() {
    // As Argo's controller writes it: keys in small letters, a map and a selector as Go has them.
    let config = given(
        r#"{"jetstream":{"url":"nats://eventbus-default-js-svc.argo-events.svc:4222","accessSecret":{"name":"eventbus-default-js-client-auth","key":"client-auth"},"streamConfig":"discard: 0\nduplicates: 300s\nmaxage: 168h\nmaxbytes: -1\nmaxmsgs: 50000\nreplicas: 3\nretention: 0\n"}}"#,
    );
    let wanted = JetStreamConfig {
        url: "nats://eventbus-default-js-svc.argo-events.svc:4222".to_owned(),
        access_secret: key_of("eventbus-default-js-client-auth", "client-auth"),
        stream: StreamSettings {
            max_msgs: Some(50_000),
            max_age: Some(Duration::from_secs(168 * 3600)),
            max_bytes: Some(-1),
            replicas: Some(3),
            duplicates: Some(Duration::from_secs(300)),
            retention: Some(StreamRetention::Limits),
            discard: Some(Discard::Old),
        },
        ..JetStreamConfig::default()
    };
    assert_eq!(config, Ok(wanted));
}

#[test]
fn the_configuration_of_every_other_bus_is_read_or_says_why_not() {
    // Later versions of Argo say of their own servers that they go unverified.
    let own = given(
        r#"{"jetstream":{"url":"nats://a:4222","accessSecret":null,"streamConfig":"","tls":{"insecureSkipVerify":true}}}"#,
    )
    .unwrap();
    assert!(own.tls.unwrap().insecure_skip_verify);
    assert_eq!(
        (own.access_secret, own.stream),
        (None, StreamSettings::default())
    );

    let exotic = given(
        r#"{"jetstream":{"url":"nats://a:4222, nats://b:4222","accessSecret":{"name":"s","key":"k","optional":true},"streamConfig":"maxAge: 3600000000000\nREPLICAS: 1","tls":{"caCertSecret":{"name":"secret-0","key":"ca"},"clientCertSecret":{"name":"secret-1","key":"cert"},"clientKeySecret":{"name":"secret-1","key":"key"}},"unknown":{}}}"#,
    )
    .unwrap();
    assert_eq!(exotic.stream.max_age, Some(Duration::from_secs(3600)));
    assert_eq!(exotic.stream.replicas, Some(1));
    let tls = exotic.tls.unwrap();
    assert_eq!(
        (tls.ca_cert_secret, tls.client_key_secret),
        (key_of("secret-0", "ca"), key_of("secret-1", "key"))
    );

    // NATS Streaming: first in order, with a token or without.
    let token = given(
        r#"{"nats":{"url":"nats://eventbus-default-stan-svc:4222","clusterID":"eventbus-default","auth":"token","accessSecret":{"name":"eventbus-default-client","key":"client-auth"}},"jetstream":{"url":"nats://b"}}"#,
    )
    .unwrap();
    assert_eq!(token.url, "nats://eventbus-default-stan-svc:4222");
    assert_eq!(token.auth, NatsAuth::Detect);
    assert_eq!(
        token.access_secret,
        key_of("eventbus-default-client", "client-auth")
    );
    let none = given(r#"{"nats":{"url":"nats://a","clusterID":"c","auth":"none"}}"#).unwrap();
    assert_eq!(none.auth, NatsAuth::None);

    let kafka = given(r#"{"kafka":{"url":"a:9092","topic":"ns-default"}}"#).unwrap_err();
    assert!(
        kafka.contains("status.config.kafka: is not supported yet"),
        "{kafka}"
    );
    for empty in ["{}", r#"{"nats":null,"jetstream":null}"#] {
        let error = given(empty).unwrap_err();
        assert!(error.contains("names no bus yet"), "{error}");
    }
    // What our own controller knows of its servers.
    let disk = given(r#"{"jetstream":{"url":"nats://a","durability":"disk"}}"#).unwrap();
    assert_eq!(disk.durability, Some(crate::bus::Durability::Disk));
}
