//! Creating an object exactly once: the object's bytes with this firing's parameters, labels and name, then the create.
//! It works on bytes, so that no digit of a number changes, and never overwrites an object that is not its own.

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_lang::sjson;

use super::world::{CreateError, Kind, World};
use super::{Action, BuildContext, Effect, FireError, Fired, Firing};
use crate::document::{REPLAY, identity};
use crate::parameters::{Parameter, apply};
use crate::spec::{ArtifactSpec, ParameterSpec};

/// Names the firing that made an object; what decides whether an existing object is ours.
pub(crate) const FIRING_ANNOTATION: &str = "tiphys.dev/firing";

/// Names the replay that made an object.
const REPLAY_ANNOTATION: &str = "tiphys.dev/replay";

const SENSOR_LABEL: &str = "events.argoproj.io/sensor";
const TRIGGER_LABEL: &str = "events.argoproj.io/trigger";
const TIMESTAMP_LABEL: &str = "events.argoproj.io/action-timestamp";

pub(super) fn validate_source(source: Option<&ArtifactSpec>, problems: &mut Problems) {
    problems.at("source", |problems| match source {
        Some(source) => source.validate(problems),
        None => problems.error("must be set, with the object under resource"),
    });
}

enum Template {
    Fixed(Bytes),
    Config(KeyRef),
}

/// Creates one object per firing.
pub(super) struct ObjectAction {
    template: Template,
    parameters: Vec<Parameter>,
}

impl ObjectAction {
    pub(super) fn new(
        kind: &str,
        source: Option<&ArtifactSpec>,
        parameters: &[ParameterSpec],
        cx: &BuildContext<'_>,
    ) -> Result<Self, FireError> {
        let Some(source) = source else {
            return Err(FireError::permanent(format!(
                "trigger source for {kind} is empty"
            )));
        };
        Ok(Self {
            template: template(source)?,
            parameters: Parameter::list(parameters, cx.engine),
        })
    }
}

fn template(source: &ArtifactSpec) -> Result<Template, FireError> {
    let unsupported = |what: &str| Err(FireError::unsupported(format!("trigger source `{what}`")));
    if source.s3.is_some() {
        return unsupported("s3");
    }
    if let Some(text) = &source.inline {
        return object_bytes(text.as_bytes()).map(Template::Fixed);
    }
    if source.file.is_some() {
        return unsupported("file");
    }
    if source.url.is_some() {
        return unsupported("url");
    }
    if source.git.is_some() {
        return unsupported("git");
    }
    if let Some(config) = &source.configmap {
        return Ok(Template::Config(KeyRef {
            name: config.name.clone(),
            key: config.key.clone(),
            optional: config.optional,
        }));
    }
    match &source.resource {
        Some(object) => Ok(Template::Fixed(object.to_string().into())),
        None => Err(FireError::permanent(
            "unknown artifact location: the source names none",
        )),
    }
}

/// One YAML or JSON document as JSON. What is JSON already stays as it is, digit by digit.
fn object_bytes(text: &[u8]) -> Result<Bytes, FireError> {
    if text.trim_ascii_start().starts_with(b"{") && tiphys_lang::gjson::valid(text) {
        return Ok(Bytes::copy_from_slice(text));
    }
    let text = str::from_utf8(text)
        .map_err(|error| FireError::permanent_from("cannot read the trigger source", error))?;
    let mut documents = tiphys_core::manifest::parse(text)
        .map_err(|error| FireError::permanent_from("cannot read the trigger source", error))?;
    if documents.len() == 1 {
        return Ok(documents.remove(0).object.to_string().into());
    }
    Err(FireError::permanent(format!(
        "cannot read the trigger source: it must hold one object, not {}",
        documents.len()
    )))
}

impl Action for ObjectAction {
    fn config(&self) -> Option<&KeyRef> {
        match &self.template {
            Template::Config(at) => Some(at),
            Template::Fixed(_) => None,
        }
    }

    fn plan(
        &self,
        firing: &Firing<'_>,
        fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError> {
        let template = match (&self.template, fetched) {
            (Template::Fixed(bytes), _) => bytes.clone(),
            (Template::Config(_), Some(bytes)) => object_bytes(bytes)?,
            (Template::Config(at), None) => {
                return Err(FireError::permanent(format!(
                    "the object is in config map {:?}, which is not read here",
                    at.name
                )));
            }
        };
        let applied = apply(&self.parameters, &template, firing.events, firing.notes)
            .map_err(|error| FireError::permanent_from("cannot apply the parameters", error))?;
        for dest in &applied.without_effect {
            tracing::warn!(
                trigger = firing.trigger,
                dest,
                "a parameter's destination matches nothing and sets nothing"
            );
        }
        create(applied.document, firing).map(|create| Box::new(create) as Box<dyn Effect>)
    }
}

/// What is read of an object to place it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Head {
    api_version: String,
    kind: String,
    metadata: Metadata,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
}

fn create(mut object: Vec<u8>, firing: &Firing<'_>) -> Result<Create, FireError> {
    let head: Head = serde_json::from_slice(&object)
        .map_err(|error| FireError::permanent_from("cannot read the object", error))?;
    if head.kind.is_empty() || head.api_version.is_empty() {
        return Err(FireError::permanent(
            "the object must have apiVersion and kind",
        ));
    }
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let name = match (
        given(head.metadata.name),
        given(head.metadata.generate_name),
    ) {
        (Some(name), _) => name,
        (None, Some(prefix)) => derived_name(&prefix, firing.id.text()),
        (None, None) => {
            return Err(FireError::permanent(
                "failed to trigger the object, neither name nor generateName is given",
            ));
        }
    };
    let namespace = given(head.metadata.namespace).unwrap_or_else(|| firing.namespace.to_owned());
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
    })
}

fn escaped(key: &str) -> String {
    key.replace('.', "\\.")
}

/// A text as a label's value: at most 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends.
fn label_value(text: &str) -> String {
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
struct Create {
    kind: Kind,
    namespace: String,
    name: String,
    object: Vec<u8>,
    firing: String,
}

impl Create {
    fn what(&self) -> String {
        let Self {
            kind,
            namespace,
            name,
            ..
        } = self;
        format!("cannot create {} {namespace}/{name}", kind.kind)
    }

    fn done(&self, cluster_wide: bool, existed: bool) -> Fired {
        let namespace = if cluster_wide { "" } else { &self.namespace };
        Fired::Created {
            api_version: self.kind.api_version.clone(),
            kind: self.kind.kind.clone(),
            namespace: namespace.to_owned(),
            name: self.name.clone(),
            existed,
        }
    }
}

#[async_trait]
impl Effect for Create {
    fn show(&self) -> Vec<u8> {
        self.object.clone()
    }

    async fn perform(&self, world: &World) -> Result<Fired, FireError> {
        let place = world.place(&self.kind).await?;
        let object = if place.namespaced {
            self.object.clone()
        } else {
            sjson::delete(&self.object, "metadata.namespace")
                .map_err(|error| FireError::permanent_from(self.what(), error))?
        };
        match world.create(&place, &self.namespace, object).await {
            Ok(()) => Ok(self.done(!place.namespaced, false)),
            Err(CreateError::Exists(source)) => {
                // Somebody was faster: ourselves, before a crash or on another replica, or somebody else.
                let found =
                    world.annotation(&place, &self.namespace, &self.name, FIRING_ANNOTATION);
                match found.await? {
                    Some(firing) if firing == self.firing => Ok(self.done(!place.namespaced, true)),
                    _ => Err(FireError::permanent_from(self.what(), source)),
                }
            }
            Err(CreateError::Failed(source)) => Err(World::failed(self.what(), source)),
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
