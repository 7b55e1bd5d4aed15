//! A run from its start to its end: what other commands read of it, what it logs, how it stops, and its parts apart.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tiphys_tests::http_sink::Answer;
use tiphys_tests::ports::{free_port, loopback};
use tiphys_tests::tls::http_client;
use tiphys_tests::{HttpSink, Nats, NatsOptions, Tiphys, eventually, temp_dir};

use crate::scene::{forward, plain_source, send};
use crate::support::{LIMIT, LocalRun, NAMESPACE, exotic_bus, post, wait_for_workflows};

#[tokio::test]
async fn workflows_are_read_in_every_form() {
    let mut run = LocalRun::of_tutorial();
    run.start().await;
    let none = run.tiphys(&["list", "-n", NAMESPACE]).await;
    assert_eq!(none.code, Some(0), "{none:?}");
    let none = run.tiphys(&["get", "@latest", "-n", NAMESPACE]).await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""), "{none:?}");
    assert!(
        none.stderr.contains("no workflows in namespace"),
        "{none:?}"
    );

    post(&http_client(None), &run.url(), "hello", "world")
        .await
        .unwrap();
    let made = wait_for_workflows(&run.client(), 1).await;
    let name = made[0]["metadata"]["name"].as_str().unwrap().to_owned();
    let followed = run
        .tiphys(&[
            "logs",
            "@latest",
            "-n",
            NAMESPACE,
            "--follow",
            "--no-prefix",
        ])
        .await;
    assert_eq!(followed.code, Some(0), "{followed:?}");
    assert!(
        followed.stdout.contains("\n< hello world >\n"),
        "{followed:?}"
    );

    let get = async |args: &[&str]| {
        let output = run.tiphys(&[args, &["-n", NAMESPACE]].concat()).await;
        assert_eq!(output.code, Some(0), "{args:?} {output:?}");
        assert_eq!(output.stderr, "", "{args:?}");
        output.stdout
    };
    for named in [name.as_str(), "@latest"] {
        let object: Value =
            serde_json::from_str(&get(&["get", named, "-o", "json"]).await).unwrap();
        assert_eq!(object["metadata"]["name"], name.as_str());
        assert_eq!(object["status"]["phase"], "Succeeded");
        assert_eq!(
            (&object["apiVersion"], &object["kind"]),
            (&"argoproj.io/v1alpha1".into(), &"Workflow".into())
        );
    }
    assert!(
        get(&["get", &name, "-o", "yaml"])
            .await
            .contains(&format!("name: {name}"))
    );
    assert_eq!(
        get(&["get", &name, "-o", "name"]).await,
        format!("{name}\n")
    );
    assert!(
        get(&["get", &name, "-o", "wide"])
            .await
            .contains("Succeeded")
    );
    let list: Value = serde_json::from_str(&get(&["list", "-o", "json"]).await).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert!(get(&["list", "-o", "yaml"]).await.contains(&name));
    assert_eq!(get(&["list", "-o", "name"]).await, format!("{name}\n"));
    assert!(get(&["list", "-o", "wide"]).await.contains("message=hello"));
    assert!(get(&["list", "-A"]).await.contains(NAMESPACE));
    assert_eq!(get(&["list", "--running", "-o", "name"]).await, "");
    assert_eq!(
        get(&["list", "--completed", "-o", "name"]).await,
        format!("{name}\n")
    );
    let selected = "events.argoproj.io/sensor=myproject-start";
    assert_eq!(
        get(&["list", "-l", selected, "-o", "name"]).await,
        format!("{name}\n")
    );
    assert_eq!(get(&["list", "-l", "a=b", "-o", "name"]).await, "");
    assert!(get(&["logs", &name]).await.contains(&format!("{name}: ")));

    for args in [
        ["get", "nosuch", "-n", NAMESPACE].as_slice(),
        ["logs", "nosuch", "-n", NAMESPACE].as_slice(),
        ["logs", "@latest", "nosuch", "-n", NAMESPACE].as_slice(),
        ["get", &name, "-n", "elsewhere"].as_slice(),
    ] {
        let output = run.tiphys(args).await;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(1), ""),
            "{args:?} {output:?}"
        );
        let said = &output.stderr;
        assert!(
            said.starts_with("error: ") && said.contains("no "),
            "{args:?} {said}"
        );
    }
    let data = run.data.path().to_owned();
    run.kill();
    let gone = Tiphys::command(["list", "--data-dir"])
        .args([&data])
        .output(LIMIT)
        .await;
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.stderr.contains("does not answer"), "{gone:?}");
}

#[tokio::test]
async fn a_start_that_is_refused_says_why_and_leaves_nothing_behind() {
    let run = LocalRun::empty();
    run.write("source.yaml", &plain_source());
    let holder = std::net::TcpListener::bind(loopback(0)).unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let cases: [(&[&str], &str); 5] = [
        (&["--publish", "80"], "must be HOST:PORT, as 30001:80"),
        (&["--publish", "70000:80"], "must be HOST:PORT, as 30001:80"),
        (&["--bind", "nowhere"], "write it as 127.0.0.1 or 0.0.0.0"),
        (&["--api", &taken], "choose another with --api"),
        (&["--admin", &taken], "choose another address with --admin"),
    ];
    for (args, reason) in cases {
        let data = run.data.path().to_str().unwrap();
        let mut all = vec!["run", run.files.path().to_str().unwrap()];
        all.extend(["--data-dir", data]);
        if !args.contains(&"--admin") {
            all.extend(["--admin", "off"]);
        }
        let output = Tiphys::command(all).args(args).output(LIMIT).await;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (Some(1), ""),
            "{output:?}"
        );
        let last = output.stderr.lines().last().unwrap();
        assert!(
            last.starts_with("error: ") && last.contains(reason),
            "{last}"
        );
        assert!(!run.data.path().join("api.json").exists(), "{args:?}");
    }
    let nothing = temp_dir();
    let output = Tiphys::command(["run"])
        .args([nothing.path()])
        .output(LIMIT)
        .await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("no YAML files"), "{output:?}");
}

#[tokio::test]
async fn log_lines_are_json_where_no_one_watches_and_levels_can_be_chosen() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    let command = run.command().args(["--log", "debug"]);
    run.start_unready(command).await;
    run.ready().await;
    run.takes("hello").await;
    let process = run.process.as_mut().unwrap();
    let line = process
        .wait_for_line("Succeeded to publish an event", LIMIT)
        .await;
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "DEBUG");
    assert_eq!(line["eventsource"], "in");
    process.interrupt();
    assert!(
        process.wait_exit(LIMIT).await.success(),
        "{}",
        process.stderr()
    );
    assert_eq!(process.stdout(), "");
    for line in process.stderr().lines() {
        // Notes for people are no log lines.
        if line.starts_with('{') {
            serde_json::from_str::<Value>(line).unwrap();
        } else {
            assert!(
                line.starts_with("ready") || line.starts_with("stopping"),
                "{line}"
            );
        }
    }
    let text = run
        .command()
        .args(["--log-format", "text", "--log", "warn"]);
    run.start_unready(text).await;
    run.ready().await;
    assert_eq!(run.said().replace("ready; Ctrl-C stops\n", ""), "");
}

#[tokio::test]
async fn ctrl_c_finishes_what_is_in_hand_and_a_second_one_does_not() {
    let sink = HttpSink::start();
    let mut run = LocalRun::forwarding(&sink.url());
    run.start().await;
    let slow = Answer::status(http::StatusCode::OK).after(Duration::from_secs(2));
    sink.answer_next([slow]);
    run.send("in hand").await.unwrap();
    sink.wait_for(1, LIMIT).await;
    let process = run.process.as_mut().unwrap();
    process.interrupt();
    process.wait_for_line("stopping", LIMIT).await;
    assert_eq!(
        process.wait_exit(LIMIT).await.code(),
        Some(0),
        "{}",
        process.stderr()
    );
    // It was finished: the next start does not do it again, and does what comes then.
    run.start().await;
    run.send("next").await.unwrap();
    let received = sink.wait_for(2, LIMIT).await;
    assert_eq!(received[1].json()["message"], "next");

    // Sooner than the time that a stop is given by itself.
    const AT_ONCE: Duration = Duration::from_secs(20);
    let endless = Answer::status(http::StatusCode::OK).after(Duration::from_secs(600));
    sink.answer(endless);
    run.send("too slow").await.unwrap();
    sink.wait_for(3, LIMIT).await;
    let process = run.process.as_mut().unwrap();
    process.interrupt();
    process.wait_for_line("stopping", LIMIT).await;
    process.interrupt();
    let code = process.wait_exit(AT_ONCE).await.code();
    assert_eq!(code, Some(1), "{}", process.stderr());
    assert!(
        process
            .stderr()
            .contains("stopped before everything in hand was finished")
    );
    // What was not finished is done again.
    sink.answer(Answer::status(http::StatusCode::OK));
    run.start().await;
    let received = sink.wait_for(4, LIMIT).await;
    assert_eq!(received[3].json()["message"], "too slow");
}

#[tokio::test]
async fn source_and_sensor_run_apart_on_one_bus() {
    let nats = Nats::start(NatsOptions::default()).await;
    let sink = HttpSink::start();
    let files = temp_dir();
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let bus = write("bus.yaml", &exotic_bus(&nats.url()));
    let source = write("source.yaml", &plain_source());
    let sensor = write(
        "sensor.yaml",
        &forward("out", &sink.url(), "{{ .Input.body.message }}"),
    );
    let start = async |kind: &str, file: &Path, more: &[&str]| {
        let admin = free_port();
        let mut process = Tiphys::command([kind, "--file"])
            .args([file, &bus])
            .args(["--admin", &format!("127.0.0.1:{admin}")])
            .args(more)
            .start();
        let url = format!("http://127.0.0.1:{admin}/readyz");
        process.wait_until_ready(&url, LIMIT).await;
        process
    };
    let webhook = free_port();
    let published = format!("{webhook}:12000");
    let mut sensor_process = start("sensor", &sensor, &[]).await;
    let more = ["--bind", "127.0.0.1", "--publish", published.as_str()];
    let mut source_process = start("eventsource", &source, &more).await;
    let url = format!("http://127.0.0.1:{webhook}/in");
    let http = http_client(None);
    assert_eq!(send(&http, &url, "one").await.unwrap().0, 200);
    sink.wait_for(1, LIMIT).await;
    // While the sensor is away the bus keeps what comes.
    sensor_process.terminate();
    assert!(sensor_process.wait_exit(LIMIT).await.success());
    assert_eq!(send(&http, &url, "two").await.unwrap().0, 200);
    let mut sensor_process = start("sensor", &sensor, &[]).await;
    let received = sink.wait_for(2, LIMIT).await;
    assert_eq!(received[1].json()["message"], "two");
    for process in [&mut sensor_process, &mut source_process] {
        process.terminate();
        assert!(
            process.wait_exit(LIMIT).await.success(),
            "{}",
            process.stderr()
        );
        assert_eq!(process.stdout(), "");
    }

    let none = Tiphys::command(["sensor", "--file"])
        .args([&source])
        .output(LIMIT)
        .await;
    assert_eq!((none.code, none.stdout.as_str()), (Some(1), ""), "{none:?}");
    assert!(
        none.stderr
            .contains("the files have no Sensor that can run"),
        "{none:?}"
    );
    eventually("the port to be free", LIMIT, async || {
        send(&http, &url, "gone").await.is_none().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_run_in_its_default_folder_runs_scripts() {
    let folder = temp_dir();
    let workflow = r#"
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: scripts}
spec:
  entrypoint: main
  templates:
    - name: main
      steps:
        - - {name: one, template: say, arguments: {parameters: [{name: m, value: hi}]}}
        - - {name: two, template: say, arguments: {parameters: [{name: m, value: "{{steps.one.outputs.result}} again"}]}}
    - name: say
      inputs: {parameters: [{name: m}]}
      script: {image: "alpine:3", command: [sh], source: "echo {{inputs.parameters.m}}"}
"#;
    std::fs::write(folder.path().join("workflow.yaml"), workflow).unwrap();
    let admin = format!("127.0.0.1:{}", free_port());
    let mut process = Tiphys::command(["run", "workflow.yaml", "--admin", &admin])
        .in_folder(folder.path())
        .start();
    let ready = format!("http://{admin}/readyz");
    process.wait_until_ready(&ready, LIMIT).await;
    let said = async |args: &[&str]| {
        let command = Tiphys::command(args).in_folder(folder.path());
        command.output(LIMIT).await
    };
    let waited = said(&["wait", "scripts"]).await;
    assert_eq!(waited.code, Some(0), "{waited:?}");
    let logs = said(&["logs", "scripts", "--no-prefix"]).await;
    assert_eq!(logs.stdout, "hi\nhi again\n", "{logs:?}");
    process.terminate();
    assert!(process.wait_exit(LIMIT).await.success());
}
