//! Whole objects: the rules across kinds, every kind's page, and Argo's own examples.

use serde_json::Value;
use tiphys_core::manifest;

use super::*;

/// An EventSource as files have it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Manifest {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "metadata")]
    _metadata: Value,
    spec: EventSourceSpec,
}

pub(crate) fn problems_of(text: &str) -> Problems {
    let mut problems = Problems::default();
    for document in manifest::parse(text).unwrap() {
        let object: Manifest = document.typed(&mut problems).unwrap();
        problems.at("spec", |problems| object.spec.validate(problems));
    }
    problems
}

fn spec(yaml: &str) -> String {
    problems_of(&format!("spec: {yaml}")).to_string()
}

const HOOK: &str = "{port: \"1\", endpoint: /a}";
const OTHER: &str = "{port: \"1\", endpoint: /b}";
const KAFKA: &str = "{url: k:9092, topic: t, partition: \"0\"}";
const MQTT: &str = "{url: tcp://m, topic: t, clientId: c}";

#[test]
fn rules_across_kinds_are_reported_together() {
    for (yaml, expected) in [
        (format!("{{webhook: {{a: {HOOK}, b: {OTHER}}}}}"), ""),
        (
            format!("{{kafka: {{a: {KAFKA}}}, mqtt: {{b: {MQTT}}}}}"),
            "",
        ),
        (
            format!("{{kafka: {{a: {KAFKA}}}, mqtt: {{a: {MQTT}}}}}"),
            "spec.mqtt.a: must have a name that no other event of the object has: kafka has one of this name too",
        ),
        (
            format!("{{kafka: {{a: {KAFKA}}}, webhook: {{b: {HOOK}}}}}"),
            "spec: must not mix webhook, which runs on every replica, with kafka, which runs on one: put them into two EventSources",
        ),
        (
            format!(
                "{{webhook: {{a: {HOOK}, b: {HOOK}, c: {{port: \"1\", endpoint: /c, serverCertSecret: {{name: t, key: c}}, serverKeySecret: {{name: t, key: k}}}}}}}}"
            ),
            "spec.webhook.b: must have another endpoint, method or port than \"a\", which takes its requests\n\
             spec.webhook.c: must have the serverCertSecret and serverKeySecret of \"b\", which has the same port",
        ),
        (
            "{}".to_owned(),
            "spec: must have a source, as webhook: {example: {port: \"12000\", endpoint: /example, method: POST}}",
        ),
        (
            format!("{{webhook: {{a.b: {HOOK}, \"a b\": {OTHER}}}}}"),
            "spec.webhook.\"a b\": must have a name without `*`, `>` and spaces, which mean something else on the event bus\n\
             warning: spec.webhook.\"a.b\": has a `.` in its name, which separates names on the event bus; `-` is safer",
        ),
        (
            "{webhook: {a: {port: \"1\", endpoint: /a, filter: {}}}}".to_owned(),
            "spec.webhook.a.filter.expression: must be set, as body.action == \"opened\", or leave filter out: without one every event is dropped",
        ),
    ] {
        assert_eq!(spec(&yaml), expected, "{yaml}");
    }
}

#[test]
fn unknown_kinds_and_wrong_types_are_named() {
    let text = spec("{webhok: {a: {}}, webhook: {a: {port: 1, endpoint: /a, ednpoint: /a}, b: 1}}");
    for part in [
        "spec.webhook.a.port: must be text, not",
        "spec.webhook.b: must be a map of fields, not",
        "warning: spec.webhok: is not a known field",
        "warning: spec.webhook.a.ednpoint: is not a known field",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn rules_of_each_kind_are_reported() {
    for (yaml, expected) in [
        (
            "{amqp: {a: {}}}",
            &[
                "amqp.a: must have url",
                "amqp.a.routingKey: must be set",
                "amqp.a.exchangeType: must be set",
            ][..],
        ),
        (
            "{azureEventsHub: {a: {sharedAccessKey: {name: a, key: b}}}}",
            &[
                "fqdn: must be set",
                "hubName: must be set",
                "must have both sharedAccessKeyName and sharedAccessKey",
            ],
        ),
        (
            "{azureQueueStorage: {a: {}}}",
            &[
                "must have connectionString or storageAccountName",
                "queueName: must be set",
            ],
        ),
        (
            "{azureServiceBus: {a: {topicName: t}}}",
            &[
                "must have connectionString or fullyQualifiedNamespace",
                "must have queueName, or topicName and subscriptionName",
            ],
        ),
        (
            "{bitbucket: {a: {}}}",
            &[
                "repositories: must have at least one element",
                "auth: must be set",
                "webhook: must be set",
            ],
        ),
        (
            "{bitbucketserver: {a: {checkInterval: x}}}",
            &[
                "bitbucketserverBaseURL: must be set",
                "checkInterval: \"x\" is not a duration",
            ],
        ),
        (
            "{calendar: {a: {}, b: {schedule: \"60 * * * *\", timezone: Nowhere}}}",
            &[
                "a: must have schedule",
                "b.schedule: must have 0 to 59 as minute",
                "b.timezone: must be a time zone",
            ],
        ),
        (
            "{emitter: {a: {}}}",
            &[
                "broker: must be set",
                "channelName: must be set",
                "channelKey: must be set",
            ],
        ),
        (
            "{file: {a: {watchPathConfig: {directory: x, path: /y, pathRegexp: \"][\"}}}}",
            &[
                "eventType: must be set",
                "directory: must be an absolute path",
                "not both",
                "path: must be relative",
                "pathRegexp: must be a regular expression",
            ],
        ),
        (
            "{generic: {a: {}}}",
            &["url: must be set", "config: must be set"],
        ),
        (
            "{gerrit: {a: {}}}",
            &[
                "projects: must have",
                "events: must have",
                "gerritBaseURL: must be set",
                "auth: must be set",
            ],
        ),
        (
            "{github: {a: {contentType: xml, githubUploadURL: u}}}",
            &[
                "must have repositories",
                "contentType: must be json or form",
                "githubBaseURL: must be set",
            ],
        ),
        (
            "{gitlab: {a: {}}}",
            &[
                "events: must have",
                "gitlabBaseURL: must be set",
                "accessToken: must be set",
            ],
        ),
        (
            "{hdfs: {a: {type: X, krbKeytabSecret: {name: a, key: b}}}}",
            &[
                "type: must be CREATE",
                "addresses: must have",
                "krbServicePrincipalName, krbConfigConfigMap, krbUsername and krbRealm",
            ],
        ),
        (
            "{kafka: {a: {tls: {}, sasl: {mechanism: X}, awsMskIamAuth: {}}}}",
            &[
                "url: must be set",
                "topic: must be set",
                "must have consumerGroup",
                "tls: must name",
                "sasl.mechanism: must be one of",
                "sasl.userSecret: must be set",
                "awsMskIamAuth.region: must be set",
            ],
        ),
        (
            "{minio: {a: {events: [\"\"]}}}",
            &[
                "accessKey: must be set",
                "endpoint: must be set",
                "bucket.name: must be set",
                "events[0]: must be the name",
            ],
        ),
        (
            "{mns: {a: {}}}",
            &["queue: must be set", "endpoint: must be set"],
        ),
        (
            "{mqtt: {a: {auth: {}}}}",
            &[
                "url: must be set",
                "topic: must be set",
                "clientId: must be set",
                "auth.username: must be set",
            ],
        ),
        (
            "{nats: {a: {queue: \"\"}}}",
            &[
                "url: must be set",
                "subject: must be set",
                "queue: must have a name",
            ],
        ),
        (
            "{nsq: {a: {}}}",
            &[
                "hostAddress: must be set",
                "topic: must be set",
                "channel: must be set",
            ],
        ),
        (
            "{pubSub: {a: {}, b: {topicProjectID: p}}}",
            &[
                "a: must have topic or subscriptionID",
                "b.topic: must be set",
            ],
        ),
        (
            "{pulsar: {a: {}}}",
            &[
                "topics: must have",
                "url: must be set",
                "type: must be exclusive or shared",
            ],
        ),
        (
            "{redis: {a: {password: {name: a, key: b}}}}",
            &[
                "hostAddress: must be set",
                "channels: must have",
                "namespace: must be set",
            ],
        ),
        (
            "{redisStream: {a: {}}}",
            &["hostAddress: must be set", "streams: must have"],
        ),
        (
            "{resource: {a: {eventTypes: [MOVE], filter: {labels: [{operation: \"<=\"}], createdBy: x}}}}",
            &[
                "version: must be set",
                "resource: must be set",
                "eventTypes[0]: must be ADD",
                "labels[0].key: must be set",
                "labels[0].operation: must be one of",
                "createdBy: must be a time",
            ],
        ),
        (
            "{sftp: {a: {}}}",
            &[
                "eventType: must be set",
                "address: must be set",
                "username: must be set",
                "must have password or sshKeySecret",
            ],
        ),
        (
            "{slack: {a: {}}}",
            &[
                "token: must be set",
                "signingSecret: must be set",
                "webhook: must be set",
            ],
        ),
        (
            "{sns: {a: {accessKey: {name: a, key: b}}}}",
            &[
                "topicArn: must be set",
                "region: must be set",
                "must have both accessKey and secretKey",
            ],
        ),
        (
            "{sqs: {a: {}}}",
            &["region: must be set", "queue: must be set"],
        ),
        (
            "{storageGrid: {a: {}}}",
            &[
                "topicArn: must be set",
                "apiURL: must be set",
                "authToken: must be set",
                "bucket: must be set",
                "events: must have",
            ],
        ),
        (
            "{stripe: {a: {createWebhook: true}}}",
            &["apiKey: must be set", "webhook: must be set"],
        ),
        (
            "{webhook: {a: {}}}",
            &["endpoint: must be set", "port: must be set"],
        ),
    ] {
        let found = spec(yaml);
        for part in expected {
            assert!(found.contains(part), "{yaml}\n{part}\n{found}");
        }
    }
}

#[test]
fn a_spec_is_written_as_it_was_read() {
    let text = "spec: {eventBusName: b, replicas: 2, service: {ports: [{port: 80, targetPort: 80}], clusterIP: None},\
        pubSub: {p: {projectID: x, topic: t, credentialSecret: {name: a, key: b}}},\
        bitbucketserver: {b: {bitbucketserverBaseURL: u, skipBranchRefsChangedOnOpenPR: true}},\
        hdfs: {h: {type: CREATE, krbCCacheSecret: {name: a, key: b}, krbConfigConfigMap: {name: a, key: b}}},\
        gitlab: {g: {projectID: \"1\", enableSSLVerification: true, gitlabBaseURL: u}},\
        github: {h: {githubApp: {appID: 1, installationID: 2}}}, kafka: {k: {awsMskIamAuth: {region: r}}}}";
    let document = manifest::parse(text).unwrap().remove(0);
    let mut problems = Problems::default();
    let object: Manifest = document.typed(&mut problems).unwrap();
    assert!(problems.is_empty(), "{problems}");
    let written = serde_json::to_value(&object.spec).unwrap();
    let mut expected = document.object["spec"].clone();
    // `watchPathConfig` aside, nothing is added that was not there.
    expected.sort_all_objects();
    let mut written = written;
    written.sort_all_objects();
    assert_eq!(written, expected);
}

#[test]
fn the_crd_can_be_made() {
    use kube::CustomResourceExt as _;
    let crd = serde_json::to_value(EventSource::crd()).unwrap();
    assert_eq!(crd["metadata"]["name"], "eventsources.argoproj.io");
    assert_eq!(crd["spec"]["names"]["shortNames"][0], "es");
}
