//! The objects that are measured, as YAML: the tutorial's, and small ones of the same shape. It writes no files.

use std::path::{Path, PathBuf};

/// Of every object here.
pub(crate) const NAMESPACE: &str = "argo-events";

/// The port that the EventSources say; the real one is chosen with `--publish`.
pub(crate) const PORT: u16 = 12000;

/// The endpoint of [`SOURCE`].
pub(crate) const ENDPOINT: &str = "/bench";

/// The subject of the events that [`SENSOR`] waits for.
pub(crate) const SUBJECT: &str = "default.bench.event";

/// A webhook.
pub(crate) const SOURCE: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: bench, namespace: argo-events}
spec:
  webhook:
    event: {endpoint: /bench, method: POST, port: \"12000\"}
";

/// One data filter, one parameter, one line in the log.
pub(crate) const SENSOR: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: bench, namespace: argo-events}
spec:
  dependencies:
    - name: event
      eventSourceName: bench
      eventName: event
      filters:
        data:
          - {path: body.kind, type: string, value: [wanted]}
  triggers:
    - template:
        name: log
        log: {intervalSeconds: 0}
      parameters:
        - src: {dependencyName: event, dataKey: body.interval, useRawData: true}
          dest: log.intervalSeconds
";

/// One small object for each event, as the tutorial's Sensor makes a Workflow.
pub(crate) const TO_OBJECTS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {name: bench, namespace: argo-events}
spec:
  dependencies:
    - {name: event, eventSourceName: bench, eventName: event}
  triggers:
    - template:
        name: object
        k8s:
          operation: create
          source:
            resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: bench-}, data: {who: nobody}}
          parameters:
            - src: {dependencyName: event, dataKey: body.who}
              dest: data.who
";

/// [`SENSOR`] under another name.
pub(crate) fn sensor_called(name: &str) -> String {
    SENSOR.replace("{name: bench,", &format!("{{name: {name},"))
}

/// The same, and it begins with the oldest event that the bus keeps.
pub(crate) fn sensor_from_oldest(name: &str) -> String {
    let annotations = "annotations: {tiphys.dev/start-from: oldest}, namespace:";
    sensor_called(name).replacen("namespace:", annotations, 1)
}

/// A bus in the process.
pub(crate) const EMBEDDED_BUS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default, namespace: argo-events}
spec: {nats: {native: {replicas: 3, auth: token}}}
";

/// A bus on a server that is there already.
pub(crate) fn bus_on(url: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default, namespace: {NAMESPACE}}}\n\
         spec: {{jetstreamExotic: {{url: \"{url}\"}}}}\n"
    )
}

/// One file of the tutorial.
pub(crate) fn tutorial(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples/tutorial")
        .join(file)
}

/// So many EventSources and Sensors of the shape above, each of which waits for its own event; a file each, as people
/// keep them.
pub(crate) fn many(count: usize) -> Vec<(String, String)> {
    let bus = ("bus.yaml".to_owned(), EMBEDDED_BUS.to_owned());
    let pair = |index: usize| {
        let objects = [SOURCE, SENSOR].map(|object| {
            object
                .replace("name: bench", &format!("name: bench-{index}"))
                .replace(
                    "eventSourceName: bench",
                    &format!("eventSourceName: bench-{index}"),
                )
                .replace(ENDPOINT, &format!("{ENDPOINT}-{index}"))
        });
        (format!("bench-{index}.yaml"), objects.join("---\n"))
    };
    std::iter::once(bus).chain((0..count).map(pair)).collect()
}

/// A body of one KiB that the filter of [`SENSOR`] lets through.
pub(crate) fn body() -> String {
    const REST: usize = 1024 - r#"{"kind":"wanted","interval":0,"text":""}"#.len();
    format!(
        r#"{{"kind":"wanted","interval":0,"text":"{}"}}"#,
        "x".repeat(REST)
    )
}

/// A small body that the filter of [`SENSOR`] lets through.
pub(crate) fn small_body() -> String {
    r#"{"kind":"wanted","interval":0,"message":"hello","who":"world"}"#.to_owned()
}

/// The body of the tutorial's event.
pub(crate) const TUTORIAL_BODY: &str = r#"{"message":"hello","who":"world"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_one_kib_of_json() {
        assert_eq!(body().len(), 1024);
        serde_json::from_str::<serde_json::Value>(&body()).unwrap();
    }

    #[test]
    fn each_of_many_has_a_name_and_an_endpoint_of_its_own() {
        let files = many(3);
        assert_eq!(files.len(), 4);
        let (_, text) = &files[3];
        assert_eq!(text.matches("\n---\n").count(), 1);
        for part in [
            "metadata: {name: bench-2,",
            "eventSourceName: bench-2\n",
            "endpoint: /bench-2,",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("bench-2-2"));
    }
}
