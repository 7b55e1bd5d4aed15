//! The decision record of a running sensor, its dead events, and events that come again, on real parts.

use tiphys_core::Event;
use tiphys_eventbus::Publish as _;

use super::again::{AgainError, Replay};
use super::tests::{BOTH, World};
use super::tests_sink::Sink;
use super::tests_turns::sends;
use crate::filters::Verdict;
use crate::record::End;
use crate::testing::event;
use crate::triggers::Fired;

const RECORDED: &str = r#"
dependencies:
  - name: hook
    eventSourceName: webhook
    eventName: start
    filters:
      data:
        - {path: body.level, type: number, comparator: ">", value: ["3"]}
        - {path: header.Authorization, type: string, value: ["."]}
triggers:
  - template:
      name: submit
      k8s:
        source:
          resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: w-}, spec: {}}
        parameters:
          - {src: {dependencyName: hook, dataKey: body.level}, dest: spec.level}
          - {src: {dependencyName: hook, dataKey: header.Authorization}, dest: spec.who}
          - {src: {dependencyName: hook}, dest: spec.whole}
"#;

#[tokio::test]
async fn each_event_has_a_decision_with_every_filter_every_parameter_and_no_credential() {
    let world = World::new();
    let sensor = world.start(RECORDED).await.unwrap();
    let payload = |level: u32| {
        format!(r#"{{"body":{{"level":{level}}},"header":{{"Authorization":"Bearer hunter2"}}}}"#)
    };
    world.publish("start", "low", &payload(2)).await;
    world.publish("start", "high", &payload(5)).await;
    world.reaches("submit", [2, 1, 1, 0, 0]).await;
    sensor.stop().await;

    let all = world.decisions("").await;
    assert_eq!(all[0].end, End::Waiting);
    assert_eq!(all[0].missing, [["hook"]]);
    let of = |id: &str| {
        let mut found = all
            .iter()
            .filter(|decision| decision.event.as_ref().is_some_and(|event| event.id == id));
        let decision = found.next().unwrap().clone();
        assert!(found.next().is_none());
        decision
    };
    let low = of("low");
    assert_eq!(low.end, End::Filtered);
    assert_eq!(
        low.reason.as_deref(),
        Some("hook: filters.data[0] wants body.level > 3, has 2")
    );
    let high = of("high");
    assert_eq!(high.end, End::Fired);
    let part = &high.parts[0];
    assert_eq!(part.verdict, Verdict::Passed);
    let leaves: Vec<_> = part
        .leaves
        .iter()
        .map(|leaf| leaf.actual.as_str())
        .collect();
    assert_eq!(leaves, ["5", "***"]);
    let firing = part.firing.as_ref().unwrap();
    let values: Vec<_> = firing
        .parameters
        .iter()
        .map(|parameter| parameter.value.as_str())
        .collect();
    assert_eq!(values, ["5", "***", "(the whole event)"]);
    assert_eq!(firing.attempts, 1);
    let Some(Fired::Created { name, .. }) = &firing.effect else {
        panic!()
    };
    assert_eq!(
        Some(name),
        world.workflows().await[0].metadata.name.as_ref()
    );
    assert!(world.decisions("hunter2").await.is_empty());
}

#[tokio::test]
async fn a_condition_says_what_it_holds_what_it_waits_for_and_what_it_gave_up() {
    let world = World::new();
    let sensor = world.start(BOTH).await.unwrap();
    for (name, id) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
        world.publish(name, id, "{}").await;
    }
    world.reaches("both", [3, 2, 0, 1, 0]).await;
    sensor.stop().await;
    let all = world.decisions("").await;
    let ends: Vec<_> = all.iter().map(|decision| decision.end).collect();
    let wanted = [
        End::Waiting,
        End::Pending,
        End::Dead,
        End::Pending,
        End::Fired,
    ];
    assert_eq!(ends, wanted);
    assert_eq!(all[1].missing, [["b"]]);
    // What a newer event replaces has an end of its own.
    assert_eq!(all[2].event.as_ref().unwrap().id, "a1");
    assert_eq!(
        all[2].reason.as_deref(),
        Some("event a2 has come for the same dependency")
    );
    assert_eq!(all[3].held["a"], "a2");
    assert_eq!(
        all[3].reason.as_deref(),
        Some("waits for b; event a1 is given up for it")
    );
    assert_eq!(all[4].parts[0].firing.as_ref().unwrap().events["a"], "a2");
    assert!(all[4].held.is_empty());
    // The event that was held is found in the firing that used it.
    assert_eq!(world.decisions("\"a2\"").await.len(), 2);
}

const UNNAMED: &str = r#"
dependencies: [{name: a, eventSourceName: webhook, eventName: a}]
triggers:
  - template:
      name: submit
      k8s:
        source:
          resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {name: ""}, spec: {}}
        parameters:
          - {src: {dependencyName: a, dataKey: name}, dest: metadata.name}
"#;

#[tokio::test]
async fn a_dead_event_is_kept_with_its_reason_and_fires_once_when_it_is_driven_again() {
    let world = World::new();
    let sensor = world.start(UNNAMED).await.unwrap();
    world.publish("a", "e1", r#"{"name":""}"#).await;
    world.reaches("submit", [1, 0, 0, 1, 0]).await;
    let letters = sensor.dead().list().await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(
        letters[0].reason.contains("neither name nor generateName"),
        "{}",
        letters[0].reason
    );
    assert_eq!(
        (letters[0].events[0].id.as_str(), letters[0].attempts),
        ("e1", 1)
    );

    let error = sensor.redrive(&letters[0]).await.unwrap_err();
    assert!(matches!(error, AgainError::Failed(_)), "{error}");
    assert_eq!(
        sensor.dead().list().await.unwrap().len(),
        1,
        "one letter for one firing"
    );
    sensor.stop().await;

    // The sensor is mended, and the same event makes its object once however often it is driven.
    let mended = UNNAMED.replace("name: \"\"", "generateName: w-").replace(
        "          - {src: {dependencyName: a, dataKey: name}, dest: metadata.name}\n",
        "          - {src: {dependencyName: a, contextKey: id}, dest: spec.id}\n",
    );
    let sensor = world.start(&mended).await.unwrap();
    sensor.redrive(&letters[0]).await.unwrap();
    sensor.redrive(&letters[0]).await.unwrap();
    assert_eq!(world.workflows().await.len(), 1);
    assert!(sensor.dead().list().await.unwrap().is_empty());
    world.reaches("submit", [4, 2, 0, 2, 0]).await;
    sensor.stop().await;
}

#[tokio::test]
async fn a_replay_doubles_nothing_unless_it_is_told_to_and_disturbs_nobody() {
    let world = World::new();
    let sensor = world.start(BOTH).await.unwrap();
    for (name, id) in [
        ("a", "a1"),
        ("b", "b1"),
        ("a", "a2"),
        ("b", "b2"),
        ("a", "a3"),
    ] {
        world.publish(name, id, "{}").await;
    }
    world.reaches("both", [5, 4, 0, 0, 1]).await;
    let other = Event {
        subject: "other".to_owned(),
        ..event("x", "{}")
    };
    world.bus.publish(&other).await.unwrap();

    let replayed = sensor.replay(&Replay::default()).await.unwrap();
    assert_eq!(
        (
            replayed.read,
            replayed.matched,
            replayed.fired,
            replayed.existed,
            replayed.unmet
        ),
        (6, 5, 2, 2, 1)
    );
    assert_eq!(world.workflows().await.len(), 2);

    let new = Replay {
        force_new: true,
        ..Replay::default()
    };
    let replayed = sensor.replay(&new).await.unwrap();
    assert_eq!((replayed.fired, replayed.existed), (2, 0));
    let workflows = world.workflows().await;
    assert_eq!(workflows.len(), 4);
    let marked = |mark: &&kube::api::DynamicObject| {
        let annotations = mark.metadata.annotations.as_ref();
        annotations.is_some_and(|all| all.get("tiphys.dev/replay") == Some(&replayed.id))
    };
    assert_eq!(workflows.iter().filter(marked).count(), 2);

    let one = Replay {
        events: vec!["a1".to_owned()],
        ..Replay::default()
    };
    assert_eq!(sensor.replay(&one).await.unwrap().unmet, 1);
    assert!(
        world
            .bus
            .durables("tiphys-replay")
            .await
            .unwrap()
            .is_empty()
    );
    // The event that was held before the replays still waits for its own partner.
    world.publish("b", "b3", "{}").await;
    world.reaches("both", [14, 14, 0, 0, 0]).await;
    assert_eq!(world.workflows().await.len(), 5);
    let marked = world.decisions(&replayed.id).await;
    assert!(
        marked
            .iter()
            .all(|decision| decision.replay.as_deref() == Some(replayed.id.as_str()))
    );
    assert_eq!(marked.len(), 5);
    sensor.stop().await;
}

const JOINED: &str = r#"
dependencies:
  - {name: a, eventSourceName: webhook, eventName: a}
  - {name: b, eventSourceName: webhook, eventName: b}
triggers:
  - template:
      name: both
      conditions: a && b
      join: {key: sha, within: 10s}
      k8s:
        source:
          resource: {apiVersion: argoproj.io/v1alpha1, kind: Workflow, metadata: {generateName: both-}, spec: {}}
        parameters:
          - {src: {dependencyName: a, contextKey: id}, dest: spec.a}
          - {src: {dependencyName: b, contextKey: id}, dest: spec.b}
"#;

#[tokio::test]
async fn a_join_pairs_events_by_key_and_reports_what_met_nobody() {
    let world = World::new();
    let sensor = world.start(JOINED).await.unwrap();
    for (name, id, sha) in [
        ("a", "a1", "x"),
        ("a", "a2", "y"),
        ("b", "b2", "y"),
        ("b", "b1", "x"),
        ("a", "a3", "z"),
    ] {
        world
            .publish(name, id, &format!(r#"{{"sha":"{sha}"}}"#))
            .await;
    }
    world.publish("a", "a4", "{}").await;
    // The last one of key z is given up once nothing has come for a while.
    world.reaches("both", [6, 4, 1, 1, 0]).await;
    let workflows = world.workflows().await;
    let mut pairs: Vec<_> = workflows
        .iter()
        .map(|made| format!("{}{}", made.data["spec"]["a"], made.data["spec"]["b"]))
        .collect();
    pairs.sort();
    assert_eq!(pairs, [r#""a1""b1""#, r#""a2""b2""#]);
    sensor.stop().await;
    let unmet = world.decisions("\"a3\"").await;
    assert_eq!(unmet.last().unwrap().end, End::Dead);
    assert_eq!(
        unmet.last().unwrap().reason.as_deref(),
        Some("met no other event of key z within 10s")
    );
    let without = world.decisions("\"a4\"").await;
    assert_eq!(
        without[0].reason.as_deref(),
        Some("join.key is not in the event")
    );
}

#[tokio::test]
async fn events_of_one_key_fire_in_order_and_a_key_that_waits_holds_up_no_other() {
    let world = World::new();
    // x1 is refused until the other key is through, however long that takes.
    let sink = Sink::start(|asked| {
        let through = asked.iter().any(|asked| asked.id() == "y2");
        if !through && asked.last().is_some_and(|last| last.id() == "x1") {
            http::StatusCode::SERVICE_UNAVAILABLE
        } else {
            http::StatusCode::OK
        }
    })
    .await;
    let spec = sends(&sink, "orderBy: repo");
    let sensor = world.start(&spec).await.unwrap();
    for (id, repo) in [
        ("x1", "x"),
        ("x2", "x"),
        ("y1", "y"),
        ("x3", "x"),
        ("y2", "y"),
    ] {
        world
            .publish("a", id, &format!(r#"{{"repo":"{repo}"}}"#))
            .await;
    }
    world.reaches("send", [5, 5, 0, 0, 0]).await;
    sensor.stop().await;
    let seen = sink.ids();
    let of = |key: &str| {
        seen.iter()
            .filter(|id| id.starts_with(key))
            .cloned()
            .collect::<Vec<_>>()
    };
    let mut of_x = of("x");
    of_x.dedup();
    assert_eq!(of_x, ["x1", "x2", "x3"]);
    assert_eq!(of("y"), ["y1", "y2"]);
    let last_y = seen.iter().position(|id| id == "y2").unwrap();
    let first_x2 = seen.iter().position(|id| id == "x2").unwrap();
    assert!(last_y < first_x2, "{seen:?}");
}

#[tokio::test]
async fn a_sensor_begins_where_its_annotation_says() {
    let world = World::new();
    world.publish("a", "e1", "{}").await;
    let between = jiff::Timestamp::now().to_string();
    world.publish("a", "e2", "{}").await;
    for (from, name, count) in [
        ("oldest", "all", 3),
        (between.as_str(), "some", 3),
        ("new", "none", 1),
    ] {
        let spec = UNNAMED
            .replace("name: submit", &format!("name: {name}"))
            .replace("dataKey: name", "contextTemplate: '{{ .Input.id }}-X'")
            .replace("-X", &format!("-{name}"));
        let sensor = world.start_from(&spec, from).await.unwrap();
        world.publish("a", &format!("after-{name}"), "{}").await;
        world.reaches(name, [count, count, 0, 0, 0]).await;
        sensor.stop().await;
    }
    let error = world.start_from(UNNAMED, "yesterday").await.err().unwrap();
    assert!(
        error.to_string().contains("must be new, oldest or a time"),
        "{error}"
    );
}
