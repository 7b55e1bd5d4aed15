//! A thousand objects: how long they take, and how quiet it is after that.

use std::time::{Duration, Instant};

use futures::{StreamExt as _, stream};

use super::*;

const EACH: usize = 500;

/// All requests that the API server has answered to this program.
async fn requests(scene: &Scene) -> f64 {
    let request = http::Request::get("/metrics").body(Vec::new()).unwrap();
    let text = scene.client.request_text(request).await.unwrap();
    text.lines()
        .filter(|line| line.starts_with("apiserver_request_total{"))
        // Watches count when they end, and reading the metrics is our own doing.
        .filter(|line| !line.contains("verb=\"WATCH\"") && !line.contains("resource=\"leases\""))
        .filter(|line| {
            [
                "argoproj.io",
                "apps",
                "\"services\"",
                "\"secrets\"",
                "\"configmaps\"",
                "\"events\"",
            ]
            .iter()
            .any(|word| line.contains(word))
        })
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum()
}

#[tokio::test]
async fn a_thousand_objects_are_looked_after_and_then_it_is_quiet() {
    // Addresses for more Services than the usual 254.
    let scene = Scene::start_with(ApiServerOptions {
        flags: vec!["--service-cluster-ip-range=10.0.0.0/16".to_owned()],
        ..ApiServerOptions::default()
    })
    .await;
    scene.apply(BUS).await;
    let texts: Vec<String> = (0..EACH)
        .flat_map(|number| {
            [
                webhook(&format!("source-{number}")),
                log_sensor(&format!("sensor-{number}")),
            ]
        })
        .collect();
    let begun = Instant::now();
    stream::iter(texts)
        .for_each_concurrent(16, async |text| scene.apply(&text).await)
        .await;
    let created = begun.elapsed();
    let all =
        ListParams::default().labels("controller in (eventsource-controller, sensor-controller)");
    eventually_ok("a Deployment for each", LIMIT * 10, async || {
        let found = scene
            .deployments()
            .list_metadata(&all)
            .await
            .map_err(|error| error.to_string())?;
        let found = found.items.len();
        (found == 2 * EACH).then_some(()).ok_or(format!("{found}"))
    })
    .await;
    for kind in ["EventSource", "Sensor"] {
        eventually_ok("every status to be written", LIMIT * 10, async || {
            let list = scene
                .objects(kind)
                .list(&ListParams::default())
                .await
                .map_err(|error| error.to_string())?;
            let deployed = list.items.iter().filter(|object| {
                said(object, "Deployed").is_some_and(|said| said["status"] == "True")
            });
            let deployed = deployed.count();
            (deployed == EACH)
                .then_some(())
                .ok_or(format!("{deployed}"))
        })
        .await;
    }
    let done = begun.elapsed();
    // Two looks in a row without a request between them: it has come to rest.
    let quiet = eventually_ok("the controller to be quiet", LIMIT * 5, async || {
        let before = requests(&scene).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let after = requests(&scene).await;
        // A listing that watches do from time to time is no work on objects.
        if after - before <= 2.0 {
            return Ok((after - before) / 2.0);
        }
        Err(format!("{} requests in two seconds", after - before))
    })
    .await;
    println!(
        "{} objects created in {created:.1?}, all deployed after {done:.1?}; at rest {quiet:.2} requests/s beside the lease",
        2 * EACH
    );
    scene.stop().await;
}
