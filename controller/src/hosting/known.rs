//! What is known of the objects that are watched, and what each event of a watch changes in that. It hosts nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use kube::ResourceExt as _;
use kube::api::{DynamicObject, TypeMeta};
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use tiphys_core::tasks::chain;

use super::state::{Kind, ObjectKey};

/// What `kubectl apply` remembers; as long as the object itself.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// An object as the host needs it.
struct Known {
    /// As JSON text: thousands of objects are kept, and each is read only when something changes.
    object: Box<str>,
    generation: Option<i64>,
    /// A hash of the parts whose change matters, for telling a new spec from a written status.
    version: u64,
}

/// What an event of a watch means.
pub(crate) enum News {
    /// Nothing that matters.
    Nothing,
    /// An object is new or has changed.
    Changed(ObjectKey),
    /// Objects are gone.
    Gone(Vec<ObjectKey>),
    /// Every kind has been listed.
    Listed,
}

pub(crate) struct KnownObjects {
    objects: BTreeMap<ObjectKey, Known>,
    kinds: Vec<Kind>,
    /// Kinds whose first listing is complete.
    listed: BTreeSet<Kind>,
    /// What a listing after an interruption has shown so far: what it does not show is gone.
    shown: BTreeMap<Kind, BTreeSet<ObjectKey>>,
    /// Why a kind cannot be watched now.
    trouble: BTreeMap<Kind, String>,
}

impl KnownObjects {
    pub(crate) fn new(kinds: Vec<Kind>) -> Self {
        Self {
            objects: BTreeMap::new(),
            kinds,
            listed: BTreeSet::new(),
            shown: BTreeMap::new(),
            trouble: BTreeMap::new(),
        }
    }

    /// Takes in an event of a watch.
    pub(crate) fn take(
        &mut self,
        kind: Kind,
        event: Result<Event<DynamicObject>, watcher::Error>,
    ) -> News {
        // `Init` only says that it is tried.
        let answered = matches!(&event, Ok(event) if !matches!(event, Event::Init));
        if answered && self.trouble.remove(&kind).is_some() {
            tracing::info!(kind = kind.as_str(), "objects can be read again");
        }
        match event {
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let key = key_of(kind, &object);
                if let Some(shown) = self.shown.get_mut(&kind) {
                    shown.insert(key.clone());
                }
                if self.learn(&key, object) {
                    News::Changed(key)
                } else {
                    News::Nothing
                }
            }
            Ok(Event::Delete(object)) => self.gone(vec![key_of(kind, &object)]),
            Ok(Event::Init) => {
                if self.listed.contains(&kind) {
                    self.shown.insert(kind, BTreeSet::new());
                }
                News::Nothing
            }
            Ok(Event::InitDone) => {
                let first = self.listed.insert(kind);
                if let Some(shown) = self.shown.remove(&kind) {
                    let hidden = |key: &&ObjectKey| key.kind == kind && !shown.contains(key);
                    return self.gone(self.objects.keys().filter(hidden).cloned().collect());
                }
                if first && self.listed.len() == self.kinds.len() {
                    return News::Listed;
                }
                News::Nothing
            }
            // The watcher tries again by itself; a server that is away is not a reason to stop what runs.
            Err(error) => {
                let why = chain(&error);
                if !self.trouble.contains_key(&kind) {
                    tracing::warn!(kind = kind.as_str(), error = %why, "objects cannot be read; trying again and again");
                }
                self.trouble.insert(kind, why);
                News::Nothing
            }
        }
    }

    fn gone(&mut self, mut keys: Vec<ObjectKey>) -> News {
        keys.retain(|key| self.objects.remove(key).is_some());
        if keys.is_empty() {
            News::Nothing
        } else {
            News::Gone(keys)
        }
    }

    /// Takes in an object; false where nothing that matters has changed.
    fn learn(&mut self, key: &ObjectKey, mut object: DynamicObject) -> bool {
        let generation = object.metadata.generation;
        object.metadata.managed_fields = None;
        object.annotations_mut().remove(LAST_APPLIED);
        // Items of a list may come without.
        let resource = key.kind.resource();
        object.types.get_or_insert(TypeMeta {
            api_version: resource.api_version,
            kind: resource.kind,
        });
        let Ok(mut object) = serde_json::to_value(&object) else {
            return false;
        };
        keep_what_matters(key.kind, &mut object);
        let relevant = json!({
            "uid": object.pointer("/metadata/uid"),
            "annotations": object.pointer("/metadata/annotations"),
            "spec": object.get("spec"),
            "status": object.get("status"),
        });
        let mut hasher = DefaultHasher::new();
        relevant.to_string().hash(&mut hasher);
        let version = hasher.finish();
        let same = |known: &Known| known.version == version;
        if self.objects.get(key).is_some_and(same) {
            return false;
        }
        let known = Known {
            object: object.to_string().into(),
            generation,
            version,
        };
        self.objects.insert(key.clone(), known);
        true
    }

    /// The object itself.
    pub(crate) fn object(&self, key: &ObjectKey) -> Option<Value> {
        let known = self.objects.get(key)?;
        // It was written from a value when it came.
        Some(serde_json::from_str(&known.object).unwrap_or_default())
    }

    pub(crate) fn generation(&self, key: &ObjectKey) -> Option<i64> {
        self.objects.get(key)?.generation
    }

    pub(crate) fn contains(&self, key: &ObjectKey) -> bool {
        self.objects.contains_key(key)
    }

    /// Every object, in the order in which they are started.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &ObjectKey> {
        self.objects.keys()
    }

    /// Why not every kind has been read yet.
    pub(crate) fn unread(&self) -> Vec<String> {
        let waiting = self.kinds.iter().filter(|kind| !self.listed.contains(kind));
        waiting
            .map(|kind| match self.trouble.get(kind) {
                Some(why) => format!("{} objects cannot be read: {why}", kind.as_str()),
                None => format!("{} objects are still being read", kind.as_str()),
            })
            .collect()
    }
}

/// Leaves of the status only what the host acts on: conditions come and go without a change of meaning.
fn keep_what_matters(kind: Kind, object: &mut Value) {
    let Some(object) = object.as_object_mut() else {
        return;
    };
    let Some(status) = object.remove("status") else {
        return;
    };
    let kept = match kind {
        Kind::EventBus => match status.get("config") {
            Some(config) if !config.is_null() => json!({"config": config}),
            // Whoever waits for the bus is told why.
            _ => json!({"conditions": status.get("conditions").map(sentences)}),
        },
        Kind::EventSource => match status.get("pooledPorts") {
            Some(ports) => json!({"pooledPorts": ports}),
            None => return,
        },
        Kind::Sensor => return,
    };
    object.insert("status".to_owned(), kept);
}

/// Conditions without their times.
fn sentences(conditions: &Value) -> Value {
    let conditions = conditions.as_array().into_iter().flatten();
    let wanted = conditions.filter(|condition| condition["status"] == "False");
    wanted
        .map(|condition| {
            json!({
                "type": condition["type"],
                "status": condition["status"],
                "message": condition["message"],
            })
        })
        .collect()
}

fn key_of(kind: Kind, object: &DynamicObject) -> ObjectKey {
    ObjectKey {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, spec: &Value) -> DynamicObject {
        let object = json!({
            "metadata": {"name": name, "namespace": "ns"},
            "spec": spec,
            "status": {"conditions": [{"type": "Ready", "lastTransitionTime": "now"}]},
        });
        serde_json::from_value(object).unwrap()
    }

    fn told(news: &News) -> String {
        match news {
            News::Nothing => "nothing".to_owned(),
            News::Changed(key) => format!("changed {}", key.name),
            News::Gone(keys) => {
                let names: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
                format!("gone {}", names.join(" "))
            }
            News::Listed => "listed".to_owned(),
        }
    }

    #[test]
    fn what_a_listing_after_an_interruption_does_not_show_is_gone() {
        let mut known = KnownObjects::new(vec![Kind::Sensor]);
        let (one, two) = (object("a", &json!({"n": 1})), object("b", &json!({"n": 1})));
        for (event, expected) in [
            (Event::Init, "nothing"),
            (Event::InitApply(one.clone()), "changed a"),
            (Event::InitApply(two), "changed b"),
            (Event::InitDone, "listed"),
            (Event::Apply(one.clone()), "nothing"),
            (Event::Init, "nothing"),
            (Event::InitApply(one), "nothing"),
            (Event::InitApply(object("c", &json!({}))), "changed c"),
            (Event::InitDone, "gone b"),
            (Event::Delete(object("b", &json!({}))), "nothing"),
            (Event::Apply(object("a", &json!({"n": 2}))), "changed a"),
            (Event::Delete(object("a", &json!({}))), "gone a"),
        ] {
            assert_eq!(told(&known.take(Kind::Sensor, Ok(event))), expected);
        }
    }

    #[test]
    fn only_what_the_host_acts_on_is_kept_of_a_status() {
        for (kind, status, expected) in [
            (
                Kind::Sensor,
                json!({"conditions": [{"type": "Ready"}]}),
                Value::Null,
            ),
            (
                Kind::EventSource,
                json!({"conditions": [], "pooledPorts": {"1": 2}}),
                json!({"pooledPorts": {"1": 2}}),
            ),
            (
                Kind::EventBus,
                json!({"conditions": [], "config": {"jetstream": {}}}),
                json!({"config": {"jetstream": {}}}),
            ),
            (
                Kind::EventBus,
                json!({"conditions": [
                    {"type": "Configured", "status": "True"},
                    {"type": "Deployed", "status": "False", "message": "no", "lastTransitionTime": "x"},
                ]}),
                json!({"conditions": [{"type": "Deployed", "status": "False", "message": "no"}]}),
            ),
        ] {
            let mut object = json!({ "status": status });
            keep_what_matters(kind, &mut object);
            assert_eq!(object["status"], expected, "{kind:?}");
        }
    }
}
