//! What the controller counts of its own work, and the webhook of its.

use super::*;

/// The value of a sample; absent is zero.
fn sample(text: &str, name: &str) -> f64 {
    let line = text.lines().find(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(' '))
    });
    let value = line.and_then(|line| line.rsplit_once(' '));
    value.map_or(0.0, |(_, value)| value.parse().unwrap())
}

async fn metrics(admin: u16) -> String {
    let answer = reqwest::get(format!("http://127.0.0.1:{admin}/metrics")).await;
    answer.unwrap().text().await.unwrap()
}

/// Waits until a sample is as it should be.
async fn says(admin: u16, name: &str, check: impl Fn(f64) -> bool) {
    eventually_ok(name, LIMIT, async || {
        let text = metrics(admin).await;
        let value = sample(&text, name);
        check(value).then_some(()).ok_or(format!("{value}\n{text}"))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_counts_its_looks_its_objects_and_its_requests() {
    let (mut server, client) = server().await;
    let (one, two) = (free_port(), free_port());
    let start = |admin: u16| {
        command(&server, admin)
            .args(["--lease-duration", "3s"])
            .start()
    };
    let mut first = start(one);
    says(one, "tiphys_controller_leader", |value| value == 1.0).await;
    let mut second = start(two);
    second
        .wait_until_ready(&format!("http://127.0.0.1:{two}/readyz"), LIMIT)
        .await;
    apply(&client, BUS).await;
    apply(&client, &webhook("good")).await;
    let bad = "kind: EventSource\nmetadata: {name: bad}\nspec: {webhook: {e: {endpoint: /e}}}\n";
    apply(&client, bad).await;
    deployment(&client, NAMESPACE, "EventSource", "good", |_| Ok(())).await;
    let objects = |kind: &str, ready: &str| {
        format!("tiphys_controller_objects{{kind=\"{kind}\",ready=\"{ready}\"}}")
    };
    says(one, &objects("EventBus", "True"), |value| value == 1.0).await;
    says(one, &objects("EventSource", "False"), |value| value == 1.0).await;
    // There is no kubelet, so its pods never start.
    says(one, &objects("EventSource", "Unknown"), |value| {
        value == 1.0
    })
    .await;
    let looks = "tiphys_controller_reconciles_total{kind=\"EventSource\",result=\"done\"}";
    says(one, looks, |value| value >= 2.0).await;
    let times = "tiphys_controller_reconcile_duration_seconds_count{kind=\"EventSource\"}";
    says(one, times, |value| value >= 2.0).await;
    let requests = "tiphys_api_requests_total{code=\"200\",method=\"PATCH\"}";
    says(one, requests, |value| value >= 1.0).await;
    for state in ["ready", "running"] {
        let queue = format!("tiphys_controller_queue_depth{{state=\"{state}\"}}");
        says(one, &queue, |value| value == 0.0).await;
    }
    // The one that waits counts nothing that it does not do.
    let waiting = metrics(two).await;
    assert!(waiting.contains("tiphys_controller_leader 0"), "{waiting}");
    assert_eq!(sample(&waiting, &objects("EventSource", "False")), 0.0);

    server.restart().await;
    let interrupted = "tiphys_controller_watch_interruptions_total{kind=\"EventSource\"}";
    says(one, interrupted, |value| value >= 1.0).await;
    let client = server.client().await;
    apply(&client, &webhook("late")).await;
    let both = |text: &str| {
        sample(text, &objects("EventSource", "Unknown")) + sample(text, "tiphys_controller_leader")
    };
    eventually_ok("one of them to have both", LIMIT, async || {
        let texts = [metrics(one).await, metrics(two).await];
        let found = texts.iter().any(|text| both(text) == 3.0);
        found.then_some(()).ok_or(texts.join("\n"))
    })
    .await;
    for process in [&mut first, &mut second] {
        process.terminate();
        assert!(process.wait_exit(LIMIT).await.success());
    }
}
