//! The short form of `make chaos`: two thousand events while processes, bus and API server die and stand still.

use std::time::Duration;

use tiphys_tests::chaos::{Fault, Plan, Shape, run};

/// Fixed, so that a failure can be repeated; `make chaos` takes new ones.
const SEED: u64 = 20_261_121;

/// A minute as a rule; a slow machine needs a few.
const LIMIT: Duration = Duration::from_secs(900);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_accepted_event_has_exactly_one_workflow_whatever_dies_on_its_way() {
    let plan = Plan {
        shape: Shape::JetStream,
        events: 2000,
        moments: 8,
        faults: vec![
            Fault::SourceKilled,
            Fault::SensorKilled,
            Fault::SensorsKilled,
            Fault::SensorRolled,
            Fault::SensorPaused,
            Fault::BusKilled,
            Fault::BusPaused,
            Fault::ApiKilled,
        ],
        seed: SEED,
        limit: LIMIT,
        talk: false,
    };
    let verdict = run(plan).await;
    println!("{verdict}");
    assert!(verdict.problems.is_empty(), "{verdict}");
    assert_eq!(verdict.accepted, 2000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_accepted_event_has_exactly_one_object_however_often_a_local_run_dies() {
    let plan = Plan {
        shape: Shape::Embedded,
        events: 2000,
        moments: 8,
        faults: vec![Fault::LocalKilled, Fault::LocalRolled, Fault::LocalPaused],
        seed: SEED,
        limit: LIMIT,
        talk: false,
    };
    let verdict = run(plan).await;
    println!("{verdict}");
    assert!(verdict.problems.is_empty(), "{verdict}");
    assert_eq!(verdict.accepted, 2000);
}
