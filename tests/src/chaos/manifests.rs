//! The objects of a fault run as YAML: three events, one trigger for each event of the first, one for pairs of the others.
//! It writes no files.

/// Of every object here.
pub(super) const NAMESPACE: &str = "argo-events";

/// The port that the EventSource says.
pub(super) const PORT: u16 = 12000;

/// The trigger that fires for each event.
pub(super) const ONE: &str = "one";

/// The trigger that fires for pairs.
pub(super) const PAIR: &str = "pair";

/// A webhook with three endpoints.
pub(super) const SOURCE: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: EventSource
metadata: {name: chaos, namespace: argo-events}
spec:
  webhook:
    one: {endpoint: /one, method: POST, port: \"12000\"}
    left: {endpoint: /left, method: POST, port: \"12000\"}
    right: {endpoint: /right, method: POST, port: \"12000\"}
";

/// A bus in the process.
pub(super) const EMBEDDED_BUS: &str = "\
apiVersion: argoproj.io/v1alpha1
kind: EventBus
metadata: {name: default, namespace: argo-events}
spec: {nats: {native: {replicas: 3, auth: token}}}
";

/// A bus on servers that are there already.
pub(super) fn bus_on(urls: &[String], replicas: usize) -> String {
    let urls = urls.join(",");
    format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: EventBus\nmetadata: {{name: default, namespace: {NAMESPACE}}}\n\
         spec: {{jetstreamExotic: {{url: \"{urls}\", streamConfig: \"replicas: {replicas}\"}}}}\n"
    )
}

/// One filter, two triggers. A Workflow where nobody runs it, a ConfigMap where the built-in engine would.
pub(super) fn sensor(workflows: bool) -> String {
    let (version, kind, rest, at) = if workflows {
        (
            "argoproj.io/v1alpha1",
            "Workflow",
            WORKFLOW,
            "spec.arguments.parameters.0.value",
        )
    } else {
        ("v1", "ConfigMap", "data: {n: ''}", "data.n")
    };
    let template = |name: &str, conditions: &str, from: &str| {
        format!(
            "
    - template:
        name: {name}
        conditions: {conditions}
        k8s:
          operation: create
          source:
            resource:
              apiVersion: {version}
              kind: {kind}
              metadata: {{generateName: {name}-}}
              {rest}
          parameters:
            - src: {{dependencyName: {from}, dataKey: body.n}}
              dest: {at}"
        )
    };
    let (one, pair) = (
        template(ONE, "one", "one"),
        template(PAIR, "left && right", "left"),
    );
    format!(
        "\
apiVersion: argoproj.io/v1alpha1
kind: Sensor
metadata: {{name: chaos, namespace: {NAMESPACE}}}
spec:
  dependencies:
    - name: one
      eventSourceName: chaos
      eventName: one
      filters:
        data:
          - {{path: body.kind, type: string, value: [wanted]}}
    - {{name: left, eventSourceName: chaos, eventName: left}}
    - {{name: right, eventSourceName: chaos, eventName: right}}
  triggers:{one}{pair}
"
    )
}

const WORKFLOW: &str = "spec:
                entrypoint: main
                arguments: {parameters: [{name: n, value: ''}]}
                templates: [{name: main, container: {image: busybox, args: ['{{workflow.parameters.n}}']}}]";
