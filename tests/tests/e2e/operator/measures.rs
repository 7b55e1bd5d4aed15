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

const LEADS: &str = "tiphys_controller_leader";

/// Waits until a sample of the one that leads is as it should be. Which of them that is may change where the machine
/// stands still for longer than a lease lasts.
async fn says(admins: &[u16], name: &str, check: impl Fn(f64) -> bool) {
    eventually_ok(name, LIMIT, async || {
        let mut seen = String::new();
        for admin in admins {
            let text = metrics(*admin).await;
            let value = sample(&text, name);
            if sample(&text, LEADS) == 1.0 && check(value) {
                return Ok(());
            }
            seen.push_str(&format!("{value}\n{text}"));
        }
        Err(seen)
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
    let url = format!("http://127.0.0.1:{one}/livez");
    first.wait_for_http(&url, LIMIT).await;
    says(&[one], LEADS, |value| value == 1.0).await;
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
    let both = [one, two];
    says(&both, &objects("EventBus", "True"), |value| value == 1.0).await;
    says(&both, &objects("EventSource", "False"), |value| {
        value == 1.0
    })
    .await;
    // There is no kubelet, so its pods never start.
    says(&both, &objects("EventSource", "Unknown"), |value| {
        value == 1.0
    })
    .await;
    let looks = "tiphys_controller_reconciles_total{kind=\"EventSource\",result=\"done\"}";
    says(&both, looks, |value| value >= 2.0).await;
    let times = "tiphys_controller_reconcile_duration_seconds_count{kind=\"EventSource\"}";
    says(&both, times, |value| value >= 2.0).await;
    let requests = "tiphys_api_requests_total{code=\"200\",method=\"PATCH\"}";
    says(&both, requests, |value| value >= 1.0).await;
    for state in ["ready", "running"] {
        let queue = format!("tiphys_controller_queue_depth{{state=\"{state}\"}}");
        says(&both, &queue, |value| value == 0.0).await;
    }
    // The one that waits counts nothing that it does not do.
    eventually_ok("one of them to wait", LIMIT, async || {
        let texts = [metrics(one).await, metrics(two).await];
        let waits = |text: &&String| {
            text.contains("tiphys_controller_leader 0")
                && sample(text, &objects("EventSource", "False")) == 0.0
        };
        let waiting = texts.iter().filter(waits).count();
        (waiting == 1).then_some(()).ok_or(texts.join("\n"))
    })
    .await;

    server.restart().await;
    let interrupted = "tiphys_controller_watch_interruptions_total{kind=\"EventSource\"}";
    eventually_ok("a watch to be made anew", LIMIT, async || {
        let texts = [metrics(one).await, metrics(two).await];
        let mut counts = texts.iter().map(|text| sample(text, interrupted));
        let found = counts.any(|count| count >= 1.0);
        found.then_some(()).ok_or(texts.join("\n"))
    })
    .await;
    let client = server.client().await;
    apply(&client, &webhook("late")).await;
    says(&both, &objects("EventSource", "Unknown"), |value| {
        value == 2.0
    })
    .await;
    for process in [&mut first, &mut second] {
        process.terminate();
        assert!(process.wait_exit(LIMIT).await.success());
    }
}
