//! Objects of triggers that are read from git repositories behind ssh, in a local run: every kind of key and of host
//! key, both versions of git's protocol, and what a user is told where it cannot be.

use std::time::Duration;

use serde_json::{Value, json};
use tiphys_tests::git::{Key, Repository, SshOptions, SshServer};
use tiphys_tests::{eventually_ok, temp_dir};

use crate::scene::plain_source;
use crate::support::{LIMIT, LocalRun, NAMESPACE};

/// A reading is given up after 30 seconds, and then told.
const GIVEN_UP: Duration = Duration::from_secs(180);

/// An object that says where it was read from.
fn object(said: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: none}}\ndata: {{said: {said}}}\n")
}

/// A Sensor that creates an object of its own name, which it reads from git.
fn sensor(name: &str, git: &Value, allow: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Sensor",
        "metadata": {"name": name, "namespace": NAMESPACE,
            "annotations": {"tiphys.dev/allow-private-addresses": allow}},
        "spec": {
            "dependencies": [{"name": "in", "eventSourceName": "in", "eventName": "in"}],
            "triggers": [{"template": {"name": "act", "k8s": {
                "source": {"git": git},
                "parameters": [{"src": {"dependencyName": "in", "value": name}, "dest": "metadata.name"}],
            }}}],
        },
    })
}

/// A Secret with these values.
fn secret(name: &str, values: &[(&str, &str)]) -> String {
    let values: serde_json::Map<_, _> = values
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Value::from(*value)))
        .collect();
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE},
        "stringData": values})
    .to_string()
}

/// What the object says that a Sensor has made.
async fn made(run: &LocalRun, sensor: &str) -> String {
    let url = format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{sensor}");
    eventually_ok(&format!("what {sensor} makes"), LIMIT, async || {
        let request = http::Request::get(&url).body(Vec::new()).unwrap();
        let found: Result<Value, _> = run.client().request(request).await;
        let found = found.map_err(|error| format!("{error}: {}", run.said()))?;
        Ok::<_, String>(found["data"]["said"].as_str().unwrap().to_owned())
    })
    .await
}

/// Why a Sensor has given up.
async fn gave_up(run: &LocalRun, sensor: &str) -> (String, String) {
    eventually_ok(&format!("the dead of {sensor}"), GIVEN_UP, async || {
        let list = run
            .tiphys(&["dead", "list", "--sensor", sensor, "-o", "json"])
            .await;
        let dead: Value = serde_json::from_str(&list.stdout).map_err(|_| list.stderr.clone())?;
        let letter = dead.get(0).ok_or_else(|| run.said())?;
        let text = |key: &str| letter[key].as_str().unwrap().to_owned();
        Ok::<_, String>((text("id"), text("reason")))
    })
    .await
}

/// A source of a server's repository, with some of it said otherwise.
fn git(server: &SshServer, secret: &str, key: &str, more: &Value) -> Value {
    let mut git = json!({"url": server.url("repo.git"), "branch": "main", "filePath": "deep/object.yaml",
        "sshKeySecret": {"name": secret, "key": key}});
    for (key, value) in more.as_object().unwrap() {
        git[key] = value.clone();
    }
    git
}

#[tokio::test]
async fn every_kind_of_key_opens_a_repository_and_every_kind_of_host_key_is_known() {
    let repository = Repository::new();
    let old = repository.commit("deep/object.yaml", &object("one"));
    repository.git(&["tag", "-a", "v1", "-m", "one"]);
    repository.git(&["branch", "side"]);
    repository.commit("deep/object.yaml", &object("two"));

    let keys: Vec<(String, Key)> = [
        ("ed25519", "openssh"),
        ("ed25519", "pkcs8"),
        ("ecdsa256", "openssh"),
        ("ecdsa256", "sec1"),
        ("ecdsa384", "pkcs8"),
        ("ecdsa521", "sec1"),
        ("rsa", "openssh"),
        ("rsa", "pkcs1"),
        ("rsa", "pkcs8"),
    ]
    .into_iter()
    .map(|(kind, format)| (format!("{kind}-{format}"), Key::new(kind, format)))
    .collect();
    let authorized: Vec<Key> = keys.iter().map(|(_, key)| key.clone()).collect();
    let serve = |options| SshServer::start(&repository, &authorized, options);
    let plain = serve(SshOptions::default());
    let first = serve(SshOptions {
        host_keys: &["ecdsa256"],
        newest: false,
        ..SshOptions::default()
    });
    let rsa = serve(SshOptions {
        host_keys: &["rsa"],
        ..SshOptions::default()
    });
    let both = serve(SshOptions {
        host_keys: &["ed25519", "ecdsa521", "rsa"],
        ..SshOptions::default()
    });

    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    // Of a server with several host keys one is known, and not the one that it likes best.
    let known = [
        plain.known_hosts(),
        rsa.known_hosts(),
        both.known_as(&both.host_keys()[2].public),
    ]
    .concat();
    let mut values: Vec<(&str, &str)> = keys
        .iter()
        .map(|(name, key)| (name.as_str(), key.private.as_str()))
        .collect();
    run.write("bare.yaml", &secret("bare", &values));
    values.push(("known_hosts", &known));
    run.write("deploy.yaml", &secret("deploy", &values));

    let one = "ed25519-openssh";
    let mut cases: Vec<(String, Value, &str)> = Vec::new();
    for (name, _) in &keys {
        let source = git(&plain, "deploy", name, &json!({}));
        cases.push((name.clone(), source, "two"));
    }
    for (name, server, secret, key, more, expected) in [
        ("tag", &plain, "deploy", one, json!({"tag": "v1"}), "one"),
        (
            "side",
            &plain,
            "deploy",
            one,
            json!({"branch": "side"}),
            "one",
        ),
        ("commit", &plain, "deploy", one, json!({"ref": old}), "one"),
        ("rsa-host", &rsa, "deploy", "rsa-pkcs1", json!({}), "two"),
        ("both", &both, "deploy", one, json!({}), "two"),
        // Known by the file in the user's home.
        ("first", &first, "bare", one, json!({}), "two"),
        (
            "first-tag",
            &first,
            "bare",
            one,
            json!({"tag": "v1"}),
            "one",
        ),
        (
            "any",
            &plain,
            "bare",
            one,
            json!({"insecureIgnoreHostKey": true}),
            "two",
        ),
    ] {
        cases.push((name.to_owned(), git(server, secret, key, &more), expected));
    }
    for (name, source, _) in &cases {
        let sensor = sensor(name, source, "127.0.0.1");
        run.write(&format!("{name}.yaml"), &sensor.to_string());
    }
    let home = temp_dir();
    std::fs::create_dir(home.path().join(".ssh")).unwrap();
    std::fs::write(home.path().join(".ssh/known_hosts"), first.known_hosts()).unwrap();
    run.start_unready(run.command().env("HOME", home.path()))
        .await;
    run.ready().await;
    run.send("go").await.unwrap();
    for (name, _, expected) in &cases {
        assert_eq!(made(&run, name).await, *expected, "{name}");
    }
}

#[tokio::test]
async fn who_is_not_let_in_and_who_is_not_known_is_told_what_to_do() {
    let repository = Repository::new();
    repository.commit("deep/object.yaml", &object("one"));
    let friend = Key::new("ed25519", "openssh");
    let (stranger, old_stranger) = (Key::new("ed25519", "openssh"), Key::new("rsa", "pkcs1"));
    let encrypted = Key::new("ed25519", "encrypted");
    let serve = |options| SshServer::start(&repository, std::slice::from_ref(&friend), options);
    let server = serve(SshOptions::default());
    let hanging = serve(SshOptions {
        hangs: true,
        ..SshOptions::default()
    });

    let mut run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let known = server.known_hosts() + &hanging.known_hosts();
    let changed = server.known_as(&Key::new("ed25519", "openssh").public);
    run.write(
        "deploy.yaml",
        &secret(
            "deploy",
            &[
                ("friend", &friend.private),
                ("stranger", &stranger.private),
                ("old-stranger", &old_stranger.private),
                ("encrypted", &encrypted.private),
                ("public", &friend.public),
                ("known_hosts", &known),
            ],
        ),
    );
    let stale = [
        ("friend", friend.private.as_str()),
        ("known_hosts", &changed),
    ];
    run.write("stale.yaml", &secret("stale", &stale));
    run.write("bare.yaml", &secret("bare", &stale[..1]));

    let other_user = server.url("repo.git").replace("git@", "other@");
    let cases = [
        (
            "stranger",
            &server,
            "deploy",
            "stranger",
            json!({}),
            "refuses user \"git\" with the key of key \"stranger\" of secret \"deploy\": give it the public key to SHA256:",
        ),
        (
            "old-stranger",
            &server,
            "deploy",
            "old-stranger",
            json!({}),
            "refuses user \"git\"",
        ),
        (
            "user",
            &server,
            "deploy",
            "friend",
            json!({"url": other_user}),
            "refuses user \"other\"",
        ),
        (
            "encrypted",
            &server,
            "deploy",
            "encrypted",
            json!({}),
            "the ssh key is encrypted",
        ),
        (
            "public",
            &server,
            "deploy",
            "public",
            json!({}),
            "it is a public key",
        ),
        (
            "no-key",
            &server,
            "deploy",
            "none",
            json!({}),
            "has no key \"none\"",
        ),
        (
            "changed",
            &server,
            "stale",
            "friend",
            json!({}),
            "and key \"known_hosts\" of secret \"stale\" has another one: somebody may be in between",
        ),
        (
            "unknown",
            &server,
            "bare",
            "friend",
            json!({}),
            "which nobody knows here",
        ),
        (
            "no-file",
            &server,
            "deploy",
            "friend",
            json!({"filePath": "none.yaml"}),
            "there is no \"none.yaml\"",
        ),
        (
            "no-branch",
            &server,
            "deploy",
            "friend",
            json!({"branch": "none"}),
            "its default branch is \"main\"",
        ),
        (
            "no-repository",
            &server,
            "deploy",
            "friend",
            json!({"url": server.url("none.git")}),
            "ERROR: Repository not found.",
        ),
        (
            "hanging",
            &hanging,
            "deploy",
            "friend",
            json!({}),
            "deadline has elapsed",
        ),
    ];
    for (name, server, secret, key, more, _) in &cases {
        let source = git(server, secret, key, more);
        let mut sensor = sensor(name, &source, "127.0.0.1");
        // What may pass is tried again and again; this one shows why it did not.
        sensor["spec"]["triggers"][0]["atLeastOnce"] = json!(*name != "hanging");
        run.write(&format!("{name}.yaml"), &sensor.to_string());
    }
    let source = git(&server, "deploy", "friend", &json!({}));
    let closed = sensor("private", &source, "false");
    run.write("private.yaml", &closed.to_string());
    run.start().await;
    run.send("go").await.unwrap();
    for (name, .., expected) in &cases {
        let (_, reason) = gave_up(&run, name).await;
        assert!(reason.contains(expected), "{name}: {reason}");
        assert!(!reason.contains("PRIVATE KEY"), "{name}: {reason}");
    }
    let (_, reason) = gave_up(&run, "private").await;
    let refused = "\"127.0.0.1\" is at the private address 127.0.0.1";
    assert!(reason.contains(refused), "{reason}");

    // Whoever does as they are told has it mended: the line of the message makes the server known.
    let (letter, reason) = gave_up(&run, "unknown").await;
    let line = reason.split("write the line \"").nth(1).unwrap();
    let line = line.split('"').next().unwrap();
    assert_eq!(format!("{line}\n"), server.known_hosts());
    let values = [("friend", friend.private.as_str()), ("known_hosts", line)];
    run.write("bare.yaml", &secret("bare", &values));
    eventually_ok("the letter to be sent again", LIMIT, async || {
        let again = run.tiphys(&["dead", "redrive", &letter]).await;
        (again.code == Some(0)).then_some(()).ok_or(again.stderr)
    })
    .await;
    assert_eq!(made(&run, "unknown").await, "one");
}
