//! Every rule of `k8s` triggers and of the sources of objects.

use tiphys_core::Problems;

use super::SensorSpec;
use crate::testing::yaml;

/// What is said of a `k8s` trigger.
fn said(k8s: &str) -> String {
    let spec: SensorSpec = yaml(&format!(
        "dependencies: [{{name: a, eventSourceName: s, eventName: e}}]\n\
         triggers: [{{template: {{name: t, k8s: {k8s}}}}}]"
    ));
    let mut problems = Problems::default();
    spec.validate(&mut problems);
    problems
        .to_string()
        .replace("triggers[0].template.k8s.", "")
}

fn said_of_source(source: &str) -> String {
    said(&format!("{{source: {source}}}"))
}

const MAP: &str = "source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}}";

#[test]
fn operations_and_strategies_are_checked() {
    for (fields, expected) in [
        ("operation: create", ""),
        ("operation: update, liveObject: true", ""),
        ("operation: patch", ""),
        (
            "operation: patch, patchStrategy: application/json-patch+json",
            "",
        ),
        (
            "operation: patch, patchStrategy: application/apply-patch+yaml",
            "",
        ),
        (
            "operation: patch, patchStrategy: application/strategic-merge-patch+json",
            "",
        ),
        ("operation: delete", ""),
        (
            "operation: replace",
            "operation: must be create, update, patch or delete",
        ),
        (
            "operation: patch, patchStrategy: merge",
            "patchStrategy: must be one of application/merge-patch+json, application/json-patch+json",
        ),
        (
            "operation: update, patchStrategy: application/merge-patch+json",
            "warning: patchStrategy: has an effect only with operation: patch",
        ),
        (
            "operation: patch, liveObject: true",
            "warning: liveObject: has an effect only with operation: update",
        ),
    ] {
        let said = said(&format!("{{{MAP}, {fields}}}"));
        assert!(
            if expected.is_empty() {
                said.is_empty()
            } else {
                said.contains(expected)
            },
            "{fields}: {said}"
        );
    }
}

#[test]
fn what_changes_an_object_must_name_it() {
    let prefix =
        "source: {resource: {apiVersion: v1, kind: ConfigMap, metadata: {generateName: c-}}}";
    let named = "parameters: [{src: {dependencyName: a, dataKey: x}, dest: metadata.name}]";
    for (fields, warned) in [
        (format!("{prefix}, operation: update"), true),
        (format!("{prefix}, operation: delete"), true),
        (format!("{prefix}, operation: delete, {named}"), false),
        (
            format!("{prefix}, operation: update, liveObject: true, {named}"),
            true,
        ),
        (format!("{prefix}, operation: create"), false),
    ] {
        let said = said(&format!("{{{fields}}}"));
        assert_eq!(
            said.contains("must have metadata.name"),
            warned,
            "{fields}: {said}"
        );
    }
    let strategic = "{operation: patch, patchStrategy: application/strategic-merge-patch+json, \
        source: {resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: w}}}}";
    assert!(
        said(strategic).contains("works only for Kubernetes' own kinds"),
        "{}",
        said(strategic)
    );
}

#[test]
fn sources_are_confined_before_they_are_read() {
    let keys = "accessKey: {name: s, key: a}, secretKey: {name: s, key: b}";
    for (source, expected) in [
        ("{file: {path: /templates/a.yaml}}".to_owned(), ""),
        (
            "{file: {path: a.yaml}}".to_owned(),
            "source.file.path: must begin with /",
        ),
        (
            "{file: {path: /a/../etc/passwd}}".to_owned(),
            "source.file.path: must not contain `..`",
        ),
        (
            "{file: {path: /proc/self/environ}}".to_owned(),
            "source.file.path: must not be in one of",
        ),
        ("{url: {path: 'https://host/x'}}".to_owned(), ""),
        (
            "{url: {path: 'file:///etc/passwd'}}".to_owned(),
            "source.url.path: must be a whole URL",
        ),
        (
            "{url: {path: host/x}}".to_owned(),
            "source.url.path: must be a whole URL",
        ),
        (
            "{url: {path: 'https://host/x', verifyCert: false}}".to_owned(),
            "warning: source.url.verifyCert: is false",
        ),
        (
            "{git: {url: 'https://host/r', filePath: a.yaml}}".to_owned(),
            "",
        ),
        (
            "{git: {url: 'git@host:o/r', filePath: a.yaml, sshKeySecret: {name: s, key: k}}}"
                .to_owned(),
            "",
        ),
        (
            "{git: {url: 'ssh://git@host:2222/o/r.git', filePath: a.yaml}}".to_owned(),
            "source.git.sshKeySecret: must be set, to a private key in a Secret: the url is of ssh",
        ),
        (
            "{git: {url: 'git@host:o/r', filePath: a.yaml, sshKeySecret: {name: s}}}".to_owned(),
            "source.git.sshKeySecret.key: must be set",
        ),
        (
            "{git: {url: 'git@host:o/r', filePath: a.yaml, creds: {}, sshKeySecret: {name: s, key: k}}}"
                .to_owned(),
            "warning: source.git.creds: has no effect: the url is of ssh",
        ),
        (
            "{git: {url: 'https://host/r', filePath: a, insecureIgnoreHostKey: true}}".to_owned(),
            "warning: source.git.insecureIgnoreHostKey: has no effect: the url is not of ssh",
        ),
        (
            "{git: {url: '/etc', filePath: a.yaml}}".to_owned(),
            "source.git.url: must be a whole URL",
        ),
        (
            "{git: {url: 'https://host/r', filePath: ../a}}".to_owned(),
            "source.git.filePath: must not contain \"..\"",
        ),
        (
            "{git: {url: 'https://host/r', filePath: a, tag: v1, branch: b}}".to_owned(),
            "warning: source.git.branch: has no effect beside tag",
        ),
        (
            "{git: {url: 'https://host/r', filePath: a, sshKeySecret: {name: s, key: k}}}"
                .to_owned(),
            "warning: source.git.sshKeySecret: has no effect",
        ),
        (
            "{git: {url: 'https://host/r', filePath: a, githubApp: {appID: 1}}}".to_owned(),
            "source.git.githubApp.privateKey: must be set",
        ),
        (
            "{git: {url: 'https://host/r', filePath: a, remote: {urls: [x]}}}".to_owned(),
            "source.git.remote.urls[0]: must be a whole URL",
        ),
        (
            format!("{{s3: {{endpoint: 'h:9000', bucket: {{name: b, key: k}}, {keys}}}}}"),
            "",
        ),
        (
            format!("{{s3: {{endpoint: 'https://h', bucket: {{name: b, key: k}}, {keys}}}}}"),
            "source.s3.endpoint: must be host:port",
        ),
        (
            format!("{{s3: {{endpoint: h, bucket: {{name: ../b, key: k}}, {keys}}}}}"),
            "source.s3.bucket.name: must be the name of a bucket",
        ),
        (
            format!("{{s3: {{endpoint: h, bucket: {{name: b, key: a/../../c}}, {keys}}}}}"),
            "source.s3.bucket.key: must not have",
        ),
        (
            "{s3: {endpoint: h, bucket: {name: b, key: k}}}".to_owned(),
            "source.s3.accessKey: must be set",
        ),
    ] {
        let said = said_of_source(&source);
        assert!(
            if expected.is_empty() {
                said.is_empty()
            } else {
                said.contains(expected)
            },
            "{source}: {said}"
        );
    }
}
