//! Fields without a value, as charts leave them behind: whatever way they are applied, they are no fields.

use super::*;
use crate::crds::{kubectl, said as text_of};

/// Every kind, with something of every shape left empty: a text, a number, an object, a list, a map, a closed value.
pub(crate) const EMPTY: &str = include_str!("nulls.yaml");

#[tokio::test]
async fn fields_without_a_value_are_no_fields_however_they_are_applied() {
    let scene = Scene::start().await;
    let ways: [(&str, &[&str]); 4] = [
        ("created", &["create"]),
        ("applied", &["apply"]),
        ("served", &["apply", "--server-side"]),
        (
            "again",
            &[
                "apply",
                "--server-side",
                "--force-conflicts",
                "--field-manager=other",
            ],
        ),
    ];
    for (name, words) in ways {
        let mut args = words.to_vec();
        args.extend(["-n", NAMESPACE, "-f", "-"]);
        let made = kubectl(&scene.server, &args, &EMPTY.replace("NAME", name));
        assert!(made.status.success(), "{words:?}: {}", text_of(&made));
        if words.contains(&"apply") {
            let again = kubectl(&scene.server, &args, &EMPTY.replace("NAME", name));
            assert!(again.status.success(), "{words:?}: {}", text_of(&again));
        }
        scene
            .condition("EventBus", name, "Deployed", &["True"])
            .await;
        for kind in ["EventSource", "Sensor"] {
            scene.condition(kind, name, "Deployed", &["True"]).await;
            scene.deployment(kind, name).await;
        }
    }
    scene.stop().await;
}
