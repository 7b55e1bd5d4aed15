//! Random sensors, and random events for them. What they must do is not known here.

use std::sync::Arc;

use rand::Rng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use serde_json::{Value, json};
use tiphys_core::Event;

use crate::spec::SensorSpec;

const NAMES: [&str; 4] = ["a", "b", "c-d", "4th"];

/// One dependency as the test chose it.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) name: &'static str,
    /// The event's name; two dependencies may want the same.
    pub(super) event: String,
    /// Passes events with a greater number; nothing is filtered where there is none.
    pub(super) above: Option<i64>,
}

/// A message on the bus.
pub(super) struct Message {
    pub(super) event: Arc<Event>,
    pub(super) number: i64,
    pub(super) acked: bool,
}

fn condition(random: &mut StdRng, names: &[&str]) -> String {
    let shuffled: Vec<&&str> = names.choose_multiple(random, names.len()).collect();
    let mut text = String::new();
    for (index, name) in shuffled.iter().enumerate() {
        let operator = if random.random_bool(0.6) { "&&" } else { "||" };
        text = match index {
            0 => (**name).to_owned(),
            _ if random.random_bool(0.4) => format!("({text}) {operator} {name}"),
            _ => format!("{text} {operator} {name}"),
        };
    }
    text
}

pub(super) fn sensor(random: &mut StdRng) -> (SensorSpec, Vec<Wanted>) {
    let count = random.random_range(1..=NAMES.len());
    let wanted: Vec<Wanted> = NAMES
        .iter()
        .take(count)
        .map(|name| Wanted {
            name,
            event: format!("e{}", random.random_range(0..count)),
            above: random.random_bool(0.5).then(|| random.random_range(0..6)),
        })
        .collect();
    let dependencies: Vec<Value> = wanted
        .iter()
        .map(|wanted| {
            let mut spec = json!({"name": wanted.name, "eventSourceName": "s", "eventName": wanted.event});
            if let Some(above) = wanted.above {
                let filter = json!({"path": "k", "type": "number", "comparator": ">", "value": [above.to_string()]});
                spec["filters"] = json!({"data": [filter]});
            }
            spec
        })
        .collect();
    let triggers: Vec<Value> = (0..random.random_range(1..=3))
        .map(|index| {
            let some = random.random_range(1..=count);
            let names: Vec<&str> = NAMES[..count]
                .choose_multiple(random, some)
                .copied()
                .collect();
            // Sometimes none is written, which asks for all.
            let text = if random.random_bool(0.1) {
                String::new()
            } else {
                condition(random, &names)
            };
            json!({"template": {"name": format!("t{index}"), "conditions": text, "log": {}}})
        })
        .collect();
    let spec = json!({"dependencies": dependencies, "triggers": triggers});
    (serde_json::from_value(spec).unwrap(), wanted)
}

pub(super) fn messages(random: &mut StdRng, wanted: &[Wanted]) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for index in 0..random.random_range(1..24) {
        if !messages.is_empty() && random.random_bool(0.15) {
            // Sent again after the bus has forgotten it.
            let twin = messages.choose(random).unwrap();
            let (event, number) = (Arc::clone(&twin.event), twin.number);
            messages.push(Message {
                event,
                number,
                acked: false,
            });
            continue;
        }
        let number = random.random_range(0..8);
        let name = wanted.choose(random).unwrap().event.clone();
        let mut event = Event::new("s", "webhook", &name, format!("{{\"k\":{number}}}").into());
        event.id = format!("id-{index}");
        messages.push(Message {
            event: Arc::new(event),
            number,
            acked: false,
        });
    }
    messages
}
