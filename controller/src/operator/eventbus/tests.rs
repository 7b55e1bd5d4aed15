//! The plan against the reference's lists: names, labels, ports, Secrets that stay, and what is refused.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expect_test::{expect, expect_file};
use serde_json::{Value, json};
use tiphys_core::problems::Problems;
use tiphys_eventbus::{BusConfig, Durability, EventBusSpec};

use super::*;

/// An EventBus of tests.
pub(super) struct Given {
    name: String,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    spec: EventBusSpec,
}

impl Given {
    pub(super) fn new(spec: Value) -> Self {
        let spec: EventBusSpec = serde_json::from_value(spec).unwrap();
        let mut problems = Problems::default();
        spec.validate(&mut problems);
        assert!(!problems.has_errors(), "{problems}");
        Self {
            name: "default".to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            spec,
        }
    }

    pub(super) fn annotated(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    pub(super) fn bus(&self) -> Bus<'_> {
        Bus {
            namespace: "argo-events",
            name: &self.name,
            labels: &self.labels,
            annotations: &self.annotations,
            spec: &self.spec,
        }
    }

    pub(super) fn plan(&self, existing: &Secrets) -> Result<Plan, Refused> {
        plan(self.bus(), &JetStreamSettings::default(), existing)
    }
}

/// What the plan's Secrets hold, as they are found the next time.
pub(super) fn secrets(plan: &Plan) -> Secrets {
    let secrets = plan
        .wanted
        .iter()
        .filter(|wanted| wanted.made == Made::Secret);
    secrets
        .map(|wanted| {
            let name = wanted.object["metadata"]["name"]
                .as_str()
                .unwrap()
                .to_owned();
            let data = wanted.object["data"].as_object().unwrap().iter();
            let data = data.map(|(key, value)| {
                let value = STANDARD.decode(value.as_str().unwrap()).unwrap();
                (key.clone(), value)
            });
            (name, data.collect())
        })
        .collect()
}

pub(super) fn text(secrets: &Secrets, name: &str, key: &str) -> String {
    String::from_utf8(secrets[name][key].clone()).unwrap()
}

pub(super) fn object(plan: &Plan, made: Made) -> &Value {
    let found = plan.wanted.iter().find(|wanted| wanted.made == made);
    &found.unwrap().object
}

pub(super) fn server_config(plan: &Plan) -> &str {
    object(plan, Made::ConfigMap)["data"]["nats-js"]
        .as_str()
        .unwrap()
}

const SERVER: &str = "eventbus-default-js-server";
const CLIENT: &str = "eventbus-default-js-client-auth";

/// The objects without what is new each time.
fn shown(plan: &Plan) -> String {
    let objects: Vec<Value> = plan
        .wanted
        .iter()
        .map(|wanted| {
            let mut object = wanted.object.clone();
            if let Some(data) = object
                .get_mut("data")
                .filter(|_| wanted.made == Made::Secret)
            {
                for value in data.as_object_mut().unwrap().values_mut() {
                    *value = json!("(fresh)");
                }
            }
            json!({ "kind": wanted.made.as_str(), "reason": wanted.reason, "object": object })
        })
        .collect();
    let status = json!({ "objects": objects, "config": plan.config });
    format!("{status:#}\n")
}

#[test]
fn three_servers_are_as_the_reference_lists_them() {
    let mut given = Given::new(json!({ "jetstream": { "version": "latest" } }));
    given.labels.insert("team".to_owned(), "a".to_owned());
    given
        .labels
        .insert("controller".to_owned(), "mine".to_owned());
    let plan = given.plan(&Secrets::new()).unwrap();
    expect_file!["snapshots/three.json"].assert_eq(&shown(&plan));
    expect![[r#"
        max_payload: 1MB
        port: 4222
        pid_file: "/var/run/nats/nats.pid"
        http: 8222
        server_name: $POD_NAME
        jetstream {
          key: "$JS_KEY"
          store_dir: "/data/jetstream/store"
          max_memory_store: -1
          max_file_store: 1TB
        }
        cluster {
          port: 6222
          name: "default"
          routes: [nats://eventbus-default-js-0.eventbus-default-js-svc.argo-events.svc:6222, nats://eventbus-default-js-1.eventbus-default-js-svc.argo-events.svc:6222, nats://eventbus-default-js-2.eventbus-default-js-svc.argo-events.svc:6222]
          cluster_advertise: $CLUSTER_ADVERTISE
          connect_retries: 120
          no_advertise: true
          tls {
            cert_file: "/etc/nats-config/cluster-server-cert.pem"
            key_file: "/etc/nats-config/cluster-server-key.pem"
            ca_file: "/etc/nats-config/cluster-ca-cert.pem"
          }
        }
        lame_duck_duration: 30s
        include ./auth.conf
    "#]]
    .assert_eq(server_config(&plan));
}

#[test]
fn every_field_of_the_spec_has_its_place() {
    let given = Given::new(json!({ "jetstream": {
        "version": "2.10.29",
        "replicas": 1,
        "containerTemplate": { "resources": { "requests": { "cpu": "1" } }, "imagePullPolicy": "Always", "securityContext": { "runAsUser": 1 } },
        "reloaderContainerTemplate": { "imagePullPolicy": "Never" },
        "metricsContainerTemplate": { "securityContext": { "readOnlyRootFilesystem": true } },
        "persistence": { "storageClassName": "fast", "volumeSize": "8Gi" },
        "metadata": { "labels": { "a": "", "owner-name": "x" }, "annotations": { "b": "c" } },
        "nodeSelector": { "node-role.kubernetes.io/worker": "" },
        "tolerations": [{ "key": "k", "operator": "Exists" }],
        "securityContext": { "fsGroup": 2 },
        "imagePullSecrets": [{ "name": "pull" }],
        "priorityClassName": "high",
        "priority": 7,
        "affinity": { "nodeAffinity": {} },
        "serviceAccountName": "sa",
        "settings": "max_file_store: 4GB\nsync_interval: 10s\n",
        "startArgs": ["-D"],
        "streamConfig": "maxAge: 24h\nreplicas: 5\nMaxBytes: 1GB\n",
        "maxPayload": "8MB",
    } }));
    let plan = given.plan(&Secrets::new()).unwrap();
    expect_file!["snapshots/one.json"].assert_eq(&shown(&plan));
    let text = server_config(&plan);
    for line in [
        "max_payload: 8MB\n",
        "  max_file_store: 4GB\n  sync_interval: 10s\n}\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(!text.contains("cluster"), "{text}");
}

#[test]
fn secrets_stay_and_what_is_left_mends_the_rest() {
    let given = Given::new(json!({ "jetstream": { "version": "latest", "replicas": 1 } }));
    let first = given.plan(&Secrets::new()).unwrap();
    let whole = secrets(&first);
    assert_eq!(whole[SERVER].len(), 8);
    assert_eq!(given.plan(&whole).unwrap(), first);
    let auth = text(&whole, CLIENT, "client-auth");
    let (user, password) = auth.split_once('\n').unwrap();
    assert_eq!(user.len(), "username: ".len() + 8);
    assert_eq!(password.len(), "password: ".len() + 16);
    assert_eq!(text(&whole, SERVER, "encryption").len(), 12);

    let mut lost = whole.clone();
    lost.remove(CLIENT);
    assert_eq!(given.plan(&lost).unwrap(), first);

    let mut lost = whole.clone();
    lost.remove(SERVER);
    let mended = secrets(&given.plan(&lost).unwrap());
    assert_eq!(mended[CLIENT], whole[CLIENT]);
    let user = user.trim_start_matches("username: ");
    assert!(text(&mended, SERVER, "auth").contains(&format!("user: \"{user}\"")));

    let mut lost = whole.clone();
    lost.get_mut(SERVER).unwrap().remove("cert");
    let mended = secrets(&given.plan(&lost).unwrap());
    for key in ["auth", "encryption", "cluster-cert", "cluster-ca-cert"] {
        assert_eq!(mended[SERVER][key], whole[SERVER][key], "{key}");
    }
    assert_ne!(mended[SERVER]["ca-cert"], whole[SERVER]["ca-cert"]);

    // What the servers accept comes before what clients were told.
    let mut changed = whole.clone();
    let told = changed.get_mut(CLIENT).unwrap();
    told.insert(
        "client-auth".to_owned(),
        b"username: a\npassword: b".to_vec(),
    );
    assert_eq!(given.plan(&changed).unwrap(), first);
}

#[test]
fn secrets_of_argos_controller_stay_as_they_are() {
    let given = Given::new(json!({ "jetstream": { "version": "latest" } }));
    let data = |entries: &[(&str, &str)]| -> BTreeMap<String, Vec<u8>> {
        let entries = entries.iter();
        entries
            .map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec()))
            .collect()
    };
    let auth = "system_account: sys\naccounts: {\n  \"js\": {\n    \"jetstream\": true,\n    \"users\": [\n      {\"user\": \"AbCdEf12\", \"password\": \"0123456789abcdef\"}\n    ]\n  },\n  \"sys\": {\n    \"users\": [\n      {\"user\": \"sys\", \"password\": \"x\"}\n    ]\n  }\n}\ntls {\n}\n";
    let existing = Secrets::from([
        (
            SERVER.to_owned(),
            data(&[
                ("auth", auth),
                ("encryption", "123456789012"),
                ("private-key", "-----BEGIN RSA PRIVATE KEY-----"),
                ("cert", "a"),
                ("ca-cert", "b"),
                ("cluster-private-key", "c"),
                ("cluster-cert", "d"),
                ("cluster-ca-cert", "e"),
            ]),
        ),
        (
            CLIENT.to_owned(),
            data(&[(
                "client-auth",
                "username: AbCdEf12\npassword: 0123456789abcdef",
            )]),
        ),
    ]);
    let plan = given.plan(&existing).unwrap();
    assert_eq!(secrets(&plan), existing);
    assert!(server_config(&plan).contains("key: \"$JS_KEY\"\n"));
    let mut lost = existing.clone();
    lost.remove(CLIENT);
    assert_eq!(secrets(&given.plan(&lost).unwrap()), existing);
}

#[test]
fn a_store_is_encrypted_by_a_key_of_its_own_where_that_is_asked_for() {
    let spec = json!({ "jetstream": { "version": "latest" } });
    let given = Given::new(spec.clone()).annotated("tiphys.dev/bus-encryption", "secret");
    let plan = given.plan(&Secrets::new()).unwrap();
    assert!(server_config(&plan).contains("key: $JS_KEY\n"));
    let found = secrets(&plan);
    assert!(text(&found, SERVER, "encryption").len() > 32);
    // The store is what it is, whatever the annotation says later.
    let later = Given::new(spec).plan(&found).unwrap();
    assert_eq!(server_config(&later), server_config(&plan));
    let mut lost = found;
    lost.remove(SERVER);
    let refused = given.plan(&lost).unwrap_err();
    assert_eq!(refused.reason, "JetStreamAuthSecretsFailed");
    assert!(
        refused.message.contains("restore it"),
        "{}",
        refused.message
    );
}

#[test]
fn nats_streaming_becomes_jetstream_with_its_replicas_auth_and_limits() {
    let given = Given::new(json!({ "nats": { "native": {
        "replicas": 1, "auth": "token", "persistence": {}, "maxAge": "48h", "maxBytes": "2GB",
        "affinity": { "podAntiAffinity": {} }, "maxSubs": 5, "raftCommitTimeout": "5ms",
    } } }));
    let plan = given.plan(&Secrets::new()).unwrap();
    let set = object(&plan, Made::StatefulSet);
    assert_eq!(set["spec"]["replicas"], 3);
    let claim = &set["spec"]["volumeClaimTemplates"][0];
    assert_eq!(claim["metadata"]["name"], "eventbus-default-js-vol");
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "10Gi");
    assert_eq!(
        set["spec"]["template"]["spec"]["affinity"],
        json!({ "podAntiAffinity": {} })
    );
    let found = secrets(&plan);
    let told = text(&found, CLIENT, "client-auth");
    let token = told.strip_prefix("token: ").unwrap();
    assert_eq!(token.len(), 64);
    let auth = text(&found, SERVER, "auth");
    assert!(
        auth.contains(&format!("authorization: {{ token: \"{token}\" }}")),
        "{auth}"
    );
    assert_eq!(given.plan(&found).unwrap(), plan);
    let config = plan.config.jetstream.unwrap();
    for line in ["maxage: 48h\n", "maxbytes: 2GB\n", "replicas: 3\n"] {
        assert!(
            config.stream_config.contains(line),
            "{}",
            config.stream_config
        );
    }
    // Without a token clients get a user all the same.
    let given = Given::new(json!({ "nats": { "native": {} } }));
    let found = secrets(&given.plan(&found).unwrap());
    assert!(text(&found, CLIENT, "client-auth").starts_with("username: "));
    assert!(text(&found, SERVER, "auth").contains("accounts"));
}

#[test]
fn buses_that_exist_already_are_only_written_down() {
    for (spec, config) in [
        (
            json!({ "jetstreamExotic": { "url": "nats://a:4222", "streamConfig": "maxAge: 1h\n", "accessSecret": { "name": "s", "key": "k" }, "tls": { "enabled": true } } }),
            json!({ "jetstream": { "url": "nats://a:4222", "streamConfig": "maxAge: 1h\n", "accessSecret": { "name": "s", "key": "k" }, "tls": { "enabled": true } } }),
        ),
        (
            json!({ "nats": { "exotic": { "url": "nats://a:4222", "clusterID": "c", "auth": "token", "accessSecret": { "name": "s", "key": "k" } } }, "jetstream": { "version": "latest" } }),
            json!({ "nats": { "url": "nats://a:4222", "clusterID": "c", "auth": "token", "accessSecret": { "name": "s", "key": "k" } } }),
        ),
        (
            json!({ "kafka": { "url": "a:9092" }, "jetstreamExotic": { "url": "nats://a:4222" } }),
            json!({ "kafka": { "url": "a:9092", "topic": "argo-events-default" } }),
        ),
        (
            json!({ "kafka": { "url": "a:9092", "topic": "t" } }),
            json!({ "kafka": { "url": "a:9092", "topic": "t" } }),
        ),
    ] {
        let plan = Given::new(spec.clone()).plan(&Secrets::new()).unwrap();
        assert_eq!(plan.wanted, Vec::new(), "{spec}");
        assert_eq!(plan.reason, "Skipped");
        assert_eq!(serde_json::to_value(&plan.config).unwrap(), config);
    }
}

#[test]
fn one_server_syncs_and_three_are_a_quorum_unless_somebody_says_otherwise() {
    let jetstream = |more: Value| {
        let mut spec = json!({ "version": "latest" });
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        Given::new(json!({ "jetstream": spec }))
    };
    let one = || jetstream(json!({ "replicas": 1 }));
    let annotated = |given: Given, value| given.annotated("tiphys.dev/bus-durability", value);
    for (what, given, syncs, known) in [
        ("one", one(), true, Some(Durability::Disk)),
        ("three", jetstream(json!({})), false, None),
        ("one for speed", annotated(one(), "memory"), false, None),
        (
            "three for a power cut of all",
            annotated(jetstream(json!({})), "disk"),
            true,
            Some(Durability::Disk),
        ),
        (
            "three servers, one copy",
            jetstream(json!({ "streamConfig": "replicas: 1" })),
            true,
            Some(Durability::Disk),
        ),
        (
            "own settings",
            jetstream(json!({ "replicas": 1, "settings": "max_file_store: 1GB" })),
            true,
            Some(Durability::Disk),
        ),
        (
            "own interval",
            jetstream(json!({ "replicas": 1, "settings": "sync_interval: 1s" })),
            false,
            None,
        ),
    ] {
        let plan = given.plan(&Secrets::new()).unwrap();
        let text = server_config(&plan);
        assert_eq!(
            text.contains("sync_interval: always"),
            syncs,
            "{what}: {text}"
        );
        let BusConfig::JetStream(config) = BusConfig::from_status(&plan.config).unwrap() else {
            panic!("{what}");
        };
        assert_eq!(config.durability, known, "{what}");
    }
}

#[test]
fn what_cannot_be_made_says_so() {
    let unknown = Given::new(json!({ "jetstream": { "version": "1.0" } }));
    let refused = unknown.plan(&Secrets::new()).unwrap_err();
    assert_eq!(refused.reason, "JetStreamStatefulSetFailed");
    expect![[r#"failed to get jetstream version, err: unsupported version "1.0", supported versions: "latest,2.10.29"; write one of them as spec.jetstream.version, or add it to the controller's configuration"#]].assert_eq(&refused.message);
}

#[test]
fn readiness_is_what_the_servers_say() {
    let given = Given::new(json!({ "jetstream": { "version": "latest" } }));
    let set = |ready: u64, updated: u64| {
        json!({
            "metadata": { "generation": 2 },
            "status": { "observedGeneration": 2, "readyReplicas": ready, "updatedReplicas": updated },
        })
    };
    for (set, ready, reason, message) in [
        (None, false, "NotCreated", "does not exist yet"),
        (
            Some(json!({})),
            false,
            "ServersNotReady",
            "0 of 3 servers ready, and 2 must be",
        ),
        (Some(set(1, 3)), false, "ServersNotReady", "1 of 3 servers"),
        (
            Some(set(2, 3)),
            true,
            "SomeServersNotReady",
            "2 of 3 servers ready, which is enough",
        ),
        (Some(set(3, 1)), true, "RollingOut", "all of 3 servers"),
        (Some(set(3, 3)), true, "Running", "all of 3 servers ready"),
    ] {
        let said = readiness(given.bus(), set.as_ref()).unwrap();
        assert_eq!((said.ready, said.reason), (ready, reason), "{set:?}");
        assert!(said.message.contains(message), "{}", said.message);
    }
    let exotic = Given::new(json!({ "jetstreamExotic": { "url": "nats://a:4222" } }));
    assert_eq!(readiness(exotic.bus(), None), None);
}

#[test]
fn a_server_alone_does_not_join_a_cluster_and_none_of_a_cluster_is_left_alone() {
    let one = Given::new(json!({ "jetstream": { "version": "latest", "replicas": 1 } }));
    let three = Given::new(json!({ "jetstream": { "version": "latest" } }));
    let set =
        |given: &Given| object(&given.plan(&Secrets::new()).unwrap(), Made::StatefulSet).clone();
    let refused = refused_change(three.bus(), &set(&one)).unwrap();
    assert!(
        refused.message.contains("replicas must stay 1"),
        "{}",
        refused.message
    );
    assert_eq!(refused_change(one.bus(), &set(&one)), None);
    let refused = refused_change(one.bus(), &set(&three)).unwrap();
    assert!(
        refused.message.contains("must be 3 or more"),
        "{}",
        refused.message
    );
    // Somebody scaled it by hand; that is put right.
    let mut scaled = set(&three);
    scaled["spec"]["replicas"] = json!(1);
    assert_eq!(refused_change(three.bus(), &scaled), None);
    let argos = json!({ "spec": { "replicas": 1 } });
    assert!(refused_change(three.bus(), &argos).is_some());
}

#[test]
fn servers_that_may_have_most_copies_are_not_taken_away() {
    let of = |replicas: u32| {
        Given::new(json!({ "jetstream": { "version": "latest", "replicas": replicas } }))
    };
    let (three, five) = (of(3), of(5));
    let set =
        |given: &Given| object(&given.plan(&Secrets::new()).unwrap(), Made::StatefulSet).clone();
    let refused = refused_change(three.bus(), &set(&five)).unwrap();
    for part in [
        "replicas must stay 5 or become more",
        "make another EventBus with replicas 3",
        "delete the StatefulSet \"eventbus-default-js\"",
    ] {
        assert!(refused.message.contains(part), "{}", refused.message);
    }
    assert_eq!(refused_change(five.bus(), &set(&three)), None);
    // Somebody scaled it up by hand; that is put right.
    let mut scaled = set(&three);
    scaled["spec"]["replicas"] = json!(5);
    assert_eq!(refused_change(three.bus(), &scaled), None);
    // Made before servers were counted, or by Argo's controller: what is there is what was made.
    let mut older = set(&five);
    older["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("annotations");
    assert!(refused_change(three.bus(), &older).is_some());
    let argos = json!({ "spec": { "replicas": 5 } });
    assert!(refused_change(three.bus(), &argos).is_some());
    assert_eq!(refused_change(five.bus(), &argos), None);
}
