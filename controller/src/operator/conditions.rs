//! What is said of an object in its status: conditions with a sentence each, and `Ready` from all of them. Pure.

use serde_json::{Value, json};

use super::child::Rollout;
use crate::hosting::Kind;

/// The reason of pods that wait for a Secret or a ConfigMap.
pub(crate) const MISSING: &str = "MissingReferences";

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Truth {
    /// It does.
    True,
    /// It does not.
    False,
    /// It cannot be said yet.
    Unknown,
}

impl Truth {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// One condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// Whether it holds.
    pub(crate) truth: Truth,
    /// One word for programs.
    pub(crate) reason: String,
    /// One sentence for people.
    pub(crate) message: String,
}

impl Said {
    pub(crate) fn yes(reason: &str, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::True,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn no(reason: &str, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::False,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }

    pub(crate) fn unknown(reason: &str, message: impl Into<String>) -> Self {
        Self {
            truth: Truth::Unknown,
            reason: reason.to_owned(),
            message: message.into(),
        }
    }
}

/// The conditions of one object but `Ready`, by type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conditions {
    list: Vec<(&'static str, Said)>,
}

impl Conditions {
    /// The types that a kind has, of which nothing is known yet; causes before what they lead to.
    pub(crate) fn new(kind: Kind) -> Self {
        let types: &[&'static str] = match kind {
            Kind::EventBus => &["Configured", "Deployed"],
            Kind::EventSource => &["SourcesProvided", "Deployed"],
            Kind::Sensor => &["DependenciesProvided", "TriggersProvided", "Deployed"],
        };
        let list = types
            .iter()
            .map(|kind| (*kind, Said::unknown("Waiting", "not looked at yet")))
            .collect();
        Self { list }
    }

    /// Says something of one type.
    pub(crate) fn say(&mut self, kind: &str, said: Said) {
        for (known, old) in &mut self.list {
            if *known == kind {
                *old = said;
                return;
            }
        }
    }

    /// The first that does not hold, else the first of which nothing is known.
    fn worst(&self) -> Option<&Said> {
        let with = |truth| {
            self.list
                .iter()
                .map(|(_, said)| said)
                .find(move |said| said.truth == truth)
        };
        with(Truth::False).or_else(|| with(Truth::Unknown))
    }

    /// `Ready`: what does not hold, else what the pods say. What is missing is said in any case: no pod starts before it
    /// is there.
    pub(crate) fn ready(&self, pods: Said) -> Said {
        let Some(mut worst) = self.worst().cloned() else {
            return pods;
        };
        if worst.truth == Truth::False && pods.reason == MISSING {
            worst.message = format!("{}; {}", worst.message, pods.message);
        }
        worst
    }

    /// What was said before is said again.
    pub(crate) fn as_before(&mut self, old: &Value) {
        for (kind, said) in &mut self.list {
            let Some(condition) = condition(old, kind) else {
                continue;
            };
            let text = |key: &str| condition.get(key).and_then(Value::as_str).unwrap_or("");
            *said = Said {
                truth: match text("status") {
                    "True" => Truth::True,
                    "False" => Truth::False,
                    _ => Truth::Unknown,
                },
                reason: text("reason").to_owned(),
                message: text("message").to_owned(),
            };
        }
    }

    /// All of them with `Ready`, sorted by type, as a status has them. What is said again keeps its time.
    pub(crate) fn written(&self, ready: &Said, old: &Value, now: &str) -> Value {
        let mut all: Vec<(&str, &Said)> =
            self.list.iter().map(|(kind, said)| (*kind, said)).collect();
        all.push(("Ready", ready));
        all.sort_by_key(|(kind, _)| *kind);
        all.into_iter()
            .map(|(kind, said)| {
                let status = said.truth.as_str();
                let since = condition(old, kind)
                    .filter(|old| old.get("status").and_then(Value::as_str) == Some(status))
                    .and_then(|old| old.get("lastTransitionTime")?.as_str())
                    .unwrap_or(now);
                json!({
                    "type": kind,
                    "status": status,
                    "reason": said.reason,
                    "message": said.message,
                    "lastTransitionTime": since,
                })
            })
            .collect()
    }
}

/// What a status says of one type.
pub(crate) fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    status
        .get("conditions")?
        .as_array()?
        .iter()
        .find(|condition| condition.get("type").and_then(Value::as_str) == Some(kind))
}

/// Whether a status says that a condition holds.
pub(crate) fn holds(status: &Value, kind: &str) -> bool {
    let status = condition(status, kind).and_then(|condition| condition.get("status"));
    status.and_then(Value::as_str) == Some("True")
}

/// What the pods say.
pub(crate) fn pods(rollout: Option<&Rollout>) -> Said {
    let Some(rollout) = rollout else {
        return Said::unknown("PodsStarting", "the pods are being made");
    };
    let Rollout {
        current,
        wanted,
        updated,
        ready,
        settled,
        failing,
    } = rollout;
    let pods = if *wanted == 1 { "pod is" } else { "pods are" };
    let count = format!("{ready} of {wanted} {pods} ready");
    if let Some(failing) = failing {
        return Said::no("PodsFailing", format!("{count}: {failing}"));
    }
    if !current || updated < wanted {
        return Said::unknown(
            "PodsStarting",
            format!("{updated} of {wanted} {pods} of the newest kind, {ready} ready"),
        );
    }
    if ready >= wanted {
        return Said::yes("PodsReady", count);
    }
    if *settled {
        return Said::no("PodsNotReady", format!("{count}; they have been before"));
    }
    Said::unknown("PodsStarting", count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Rollout {
        Rollout {
            current: true,
            wanted: 2,
            updated: 2,
            ready: 2,
            settled: true,
            failing: None,
        }
    }

    #[test]
    fn ready_is_what_the_pods_say_once_everything_else_holds() {
        let cases = [
            (None, Truth::Unknown, "the pods are being made"),
            (Some(rollout()), Truth::True, "2 of 2 pods are ready"),
            (
                Some(Rollout {
                    ready: 1,
                    ..rollout()
                }),
                Truth::False,
                "1 of 2 pods are ready; they have been before",
            ),
            (
                Some(Rollout {
                    ready: 1,
                    settled: false,
                    ..rollout()
                }),
                Truth::Unknown,
                "1 of 2 pods are ready",
            ),
            (
                Some(Rollout {
                    current: false,
                    ..rollout()
                }),
                Truth::Unknown,
                "2 of 2 pods are of the newest kind, 2 ready",
            ),
            (
                Some(Rollout {
                    ready: 0,
                    failing: Some("exceeded its deadline".to_owned()),
                    ..rollout()
                }),
                Truth::False,
                "0 of 2 pods are ready: exceeded its deadline",
            ),
        ];
        for (rollout, truth, message) in cases {
            let said = pods(rollout.as_ref());
            assert_eq!((said.truth, said.message.as_str()), (truth, message));
        }
    }

    #[test]
    fn a_condition_that_does_not_hold_is_the_reason_for_not_being_ready() {
        let mut conditions = Conditions::new(Kind::Sensor);
        conditions.say("DependenciesProvided", Said::yes("Valid", ""));
        conditions.say(
            "TriggersProvided",
            Said::no("InvalidTriggers", "spec.triggers: must be set"),
        );
        let ready = conditions.ready(Said::yes("PodsReady", "1 of 1 pod is ready"));
        assert_eq!(
            (ready.truth, ready.reason.as_str()),
            (Truth::False, "InvalidTriggers")
        );
    }

    #[test]
    fn what_is_missing_is_said_beside_what_does_not_hold() {
        let mut conditions = Conditions::new(Kind::EventSource);
        conditions.say("SourcesProvided", Said::no("UnsupportedSources", "no hdfs"));
        conditions.say("Deployed", Said::yes("Succeeded", ""));
        let ready = conditions.ready(Said::no(MISSING, "the pods wait: Secret \"a\""));
        assert_eq!(
            (ready.reason.as_str(), ready.message.as_str()),
            ("UnsupportedSources", "no hdfs; the pods wait: Secret \"a\"")
        );
    }

    #[test]
    fn what_was_said_before_can_be_said_again() {
        let mut conditions = Conditions::new(Kind::EventBus);
        conditions.say("Configured", Said::no("InvalidSpec", "spec: must be set"));
        let ready = conditions.ready(Said::yes("Running", ""));
        let old = json!({ "conditions": conditions.written(&ready, &Value::Null, "1") });
        let mut again = Conditions::new(Kind::EventBus);
        again.as_before(&old);
        assert_eq!(again, conditions);
        again.as_before(&Value::Null);
        assert_eq!(again, conditions, "nothing was said then");
    }

    #[test]
    fn a_time_stays_as_long_as_the_status_does() {
        let mut conditions = Conditions::new(Kind::EventBus);
        conditions.say("Configured", Said::yes("Valid", ""));
        conditions.say("Deployed", Said::yes("Succeeded", "JetStream is deployed"));
        let ready = Said::unknown("PodsStarting", "0 of 1 pod is ready");
        let first = conditions.written(&ready, &Value::Null, "1");
        let old = json!({ "conditions": first });
        let again = conditions.written(&ready, &old, "2");
        assert_eq!(first, again);
        let later = conditions.written(&Said::yes("PodsReady", ""), &old, "3");
        let times: Vec<_> = later
            .as_array()
            .unwrap()
            .iter()
            .map(|condition| condition["lastTransitionTime"].as_str().unwrap())
            .collect();
        assert_eq!(times, ["1", "1", "3"]);
    }
}
