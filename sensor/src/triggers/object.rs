//! Creating an object exactly once: the object's bytes with this firing's parameters, labels and name, then the create.
//! It works on bytes, so that no digit of a number changes, and never overwrites an object that is not its own.

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};
use tiphys_lang::sjson;

use super::api::{At, Refused};
use super::template::{Head, ObjectTemplate};
use super::world::{Kind, Place, World};
use super::{Action, BuildContext, Effect, FireError, Fired, Firing};
use crate::artifacts::Source;
use crate::document::{REPLAY, identity};
use crate::spec::{ArtifactSpec, ParameterSpec};

/// Names the firing that made an object; what decides whether an existing object is ours.
pub(crate) const FIRING_ANNOTATION: &str = "tiphys.dev/firing";

/// Names the replay that made an object.
const REPLAY_ANNOTATION: &str = "tiphys.dev/replay";

const SENSOR_LABEL: &str = "events.argoproj.io/sensor";
const TRIGGER_LABEL: &str = "events.argoproj.io/trigger";
const TIMESTAMP_LABEL: &str = "events.argoproj.io/action-timestamp";

/// Creates one object per firing.
pub(super) struct ObjectAction(ObjectTemplate);

impl ObjectAction {
    pub(super) fn new(
        kind: &str,
        source: Option<&ArtifactSpec>,
        parameters: &[ParameterSpec],
        cx: &BuildContext<'_>,
    ) -> Result<Self, FireError> {
        ObjectTemplate::new(kind, source, parameters, cx).map(Self)
    }
}

impl Action for ObjectAction {
    fn source(&self) -> Option<&Source> {
        self.0.source()
    }

    fn plan(
        &self,
        firing: &Firing<'_>,
        fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError> {
        let object = self.0.filled(firing, fetched)?;
        Ok(Box::new(create(object, firing)?))
    }
}

/// The creation of an object, exactly once for a firing.
pub(super) fn create(mut object: Vec<u8>, firing: &Firing<'_>) -> Result<Create, FireError> {
    let head = Head::read(&object)?;
    let name = match (head.name, head.generate_name) {
        (Some(name), _) => name,
        (None, Some(prefix)) => derived_name(&prefix, firing.id.text()),
        (None, None) => {
            return Err(FireError::permanent(
                "failed to trigger the object, neither name nor generateName is given",
            ));
        }
    };
    let namespace = head
        .namespace
        .unwrap_or_else(|| firing.namespace.to_owned());
    let mut set = |path: &str, value: &str| -> Result<(), FireError> {
        object = sjson::set_string(&object, path, value)
            .map_err(|error| FireError::permanent_from("cannot label the object", error))?;
        Ok(())
    };
    set("metadata.name", &name)?;
    set("metadata.namespace", &namespace)?;
    for (key, value) in [
        (SENSOR_LABEL, firing.sensor),
        (TRIGGER_LABEL, firing.trigger),
        (TIMESTAMP_LABEL, &firing.at.as_millisecond().to_string()),
    ] {
        set(
            &format!("metadata.labels.{}", escaped(key)),
            &label_value(value),
        )?;
    }
    let ids: Vec<&str> = firing
        .events
        .values()
        .map(|input| input.event().id.as_str())
        .collect();
    for (key, value) in [
        ("tiphys.dev/sensor", firing.sensor),
        ("tiphys.dev/trigger", firing.trigger),
        ("tiphys.dev/event-ids", &ids.join(",")),
        (FIRING_ANNOTATION, firing.id.text()),
    ] {
        set(&format!("metadata.annotations.{}", escaped(key)), value)?;
    }
    let mut inputs = firing.events.values();
    if let Some(replay) = inputs.find_map(|input| input.event().extensions.get(REPLAY)) {
        set(
            &format!("metadata.annotations.{}", escaped(REPLAY_ANNOTATION)),
            replay,
        )?;
    }
    Ok(Create {
        kind: Kind {
            api_version: head.api_version,
            kind: head.kind,
        },
        namespace,
        name,
        object,
        firing: firing.id.text().to_owned(),
        query: "",
    })
}

fn escaped(key: &str) -> String {
    key.replace('.', "\\.")
}

/// A text as a label's value: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
pub(super) fn label_value(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_.".contains(c) {
            c
        } else {
            '-'
        }
    };
    let text: String = text.chars().map(plain).take(63).collect();
    text.trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}

/// What names a firing for good: sensor, trigger and the events by dependency, whatever their order.
pub(super) fn firing_id(
    namespace: &str,
    sensor: &str,
    trigger: &str,
    events: &crate::document::Events,
) -> String {
    let identities: Vec<(&str, String)> = events
        .iter()
        .map(|(dependency, input)| (dependency.as_str(), identity(input.event())))
        .collect();
    let mut parts = vec![namespace, sensor, trigger];
    for (dependency, identity) in &identities {
        parts.extend([dependency, identity.as_str()]);
    }
    digest(&parts)
}

/// A hash of texts as letters and digits that fit into any name.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length before each part keeps ("a", "bc") and ("ab", "c") apart.
        hash.update(part.len().to_be_bytes());
        hash.update(part.as_bytes());
    }
    base32(&hash.finalize())
}

fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut out = String::new();
    let (mut buffer, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let index = usize::try_from(buffer >> bits & 31).unwrap_or(0);
            out.extend(ALPHABET.get(index).map(|byte| char::from(*byte)));
        }
        buffer &= (1 << bits) - 1;
    }
    out
}

/// A name for `generateName`, no longer than a name may be.
fn derived_name(prefix: &str, firing: &str) -> String {
    const HASH: usize = 10;
    let prefix: String = prefix.chars().take(253 - HASH).collect();
    let hash: String = firing.chars().take(HASH).collect();
    format!("{prefix}{hash}")
}

/// One create.
pub(super) struct Create {
    kind: Kind,
    namespace: String,
    name: String,
    object: Vec<u8>,
    firing: String,
    query: &'static str,
}

impl Create {
    /// The object as it is created.
    pub(super) fn object(&self) -> &[u8] {
        &self.object
    }

    /// The kind, namespace and name of the object.
    pub(super) fn target(&self) -> (&str, &str, &str) {
        (&self.kind.kind, &self.namespace, &self.name)
    }

    /// The same creation of another object, which has a name of its own in its own namespace.
    pub(super) fn instead(
        &self,
        object: Vec<u8>,
        namespace: &str,
        name: &str,
        query: &'static str,
    ) -> Self {
        Self {
            kind: self.kind.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            object,
            firing: self.firing.clone(),
            query,
        }
    }

    fn done(&self, place: &Place, existed: bool) -> Fired {
        let namespace = if place.namespaced {
            self.namespace.clone()
        } else {
            String::new()
        };
        Fired::Created {
            api_version: self.kind.api_version.clone(),
            kind: self.kind.kind.clone(),
            namespace,
            name: self.name.clone(),
            existed,
        }
    }

    async fn create(&self, world: &World, place: &Place) -> Result<Fired, Refused> {
        let at = At {
            place,
            namespace: &self.namespace,
            name: &self.name,
        };
        let object = without_namespace(&self.object, place)?;
        match world.post(at, self.query, object).await {
            Ok(_) => Ok(self.done(place, false)),
            Err(Refused::Exists(error)) => {
                // Somebody was faster: ourselves, before a crash or on another replica, or somebody else.
                let found = world.annotation(at, FIRING_ANNOTATION).await;
                match found.map_err(Refused::Failed)? {
                    Some(firing) if firing == self.firing => Ok(self.done(place, true)),
                    _ => Err(Refused::Failed(error)),
                }
            }
            Err(other) => Err(other),
        }
    }
}

/// An object for where it goes: one of a cluster-wide kind names no namespace.
pub(super) fn without_namespace(object: &[u8], place: &Place) -> Result<Vec<u8>, Refused> {
    if place.namespaced {
        return Ok(object.to_vec());
    }
    sjson::delete(object, "metadata.namespace").map_err(|error| {
        Refused::Failed(FireError::permanent_from("cannot read the object", error))
    })
}

#[async_trait]
impl Effect for Create {
    fn show(&self) -> Vec<u8> {
        self.object.clone()
    }

    fn says(&self) -> String {
        let Self {
            kind,
            namespace,
            name,
            ..
        } = self;
        format!("create {} {namespace}/{name}", kind.kind)
    }

    async fn perform(&self, world: &World) -> Result<Fired, FireError> {
        let place = world.place(&self.kind).await?;
        let error = match self.create(world, &place).await {
            Err(Refused::Unserved(error)) => error,
            other => return Ok(other?),
        };
        match world.place_again(&self.kind, &place).await? {
            Some(place) => Ok(self.create(world, &place).await?),
            None => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::events;
    use crate::triggers::FiringId;

    #[test]
    fn names_depend_on_the_events_and_nothing_else() {
        let one = events(&[("a", "{}"), ("b", "{}")]);
        let id = firing_id("ns", "s", "t", &one);
        assert_eq!(id, firing_id("ns", "s", "t", &one));
        assert_ne!(id, firing_id("ns", "st", "", &one));
        let other = events(&[("a", "{}")]);
        assert_ne!(id, firing_id("ns", "s", "t", &other));
        let name = derived_name("webhook-", &id);
        assert_eq!(name.len(), "webhook-".len() + 10);
        assert_eq!(derived_name(&"x".repeat(300), &id).len(), 253);
    }

    #[test]
    fn labels_fit_whatever_the_name_is() {
        for (text, value) in [
            ("plain-1", "plain-1"),
            ("with spaces/and ünicode", "with-spaces-and--nicode"),
            ("-edge-", "edge"),
        ] {
            assert_eq!(label_value(text), value);
        }
        assert_eq!(label_value(&"x".repeat(80)).len(), 63);
    }

    #[test]
    fn an_object_keeps_its_digits_and_gets_its_name_and_labels() {
        let events = events(&[("d", r#"{"n":9007199254740993}"#)]);
        let id = FiringId::new("ns", "s", "t", &events);
        let firing = Firing {
            namespace: "ns",
            sensor: "s",
            trigger: "t",
            events: &events,
            id: &id,
            at: jiff::Timestamp::UNIX_EPOCH,
            notes: &crate::parameters::Notes::OFF,
        };
        let object = br#"{"apiVersion":"v1","kind":"X","metadata":{"generateName":"x-"},"n":9007199254740993.10}"#;
        let create = create(object.to_vec(), &firing).unwrap();
        let name = format!("x-{}", id.text().get(..10).unwrap());
        assert_eq!(
            (create.name.as_str(), create.namespace.as_str()),
            (name.as_str(), "ns")
        );
        let text = String::from_utf8(create.object).unwrap();
        for part in [
            r#""n":9007199254740993.10"#,
            r#""events.argoproj.io/sensor":"s""#,
            &format!(r#""tiphys.dev/firing":"{}""#, id.text()),
            &format!(r#""name":"{name}""#),
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
