//! Changing or deleting an object that is there: `update`, `patch` and `delete` of the `k8s` trigger, and of what is
//! not there, its creation. Done again for the same events they do no harm; an object is never changed on the base of
//! a state that is no longer its own.

use std::sync::Arc;

use async_trait::async_trait;
use tiphys_lang::{Value, json, sjson};

use super::api::{At, Refused};
use super::merge::{operations, over};
use super::object::{label_value, without_namespace};
use super::template::{Head, ObjectTemplate};
use super::world::{Kind, Place, World};
use super::{Action, Effect, FireError, Fired, Firing};
use crate::artifacts::Source;
use crate::parameters::Change;

/// How often an object that others change at the same time is read and written anew before the firing waits.
const CONFLICTS: u32 = 10;

/// How a patch is read by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Strategy {
    /// All of them by their content types.
    pub(super) const ALL: [(&'static str, Self); 4] = [
        ("application/merge-patch+json", Self::Merge),
        ("application/json-patch+json", Self::Json),
        ("application/strategic-merge-patch+json", Self::Strategic),
        ("application/apply-patch+yaml", Self::Apply),
    ];

    /// By its content type; nothing stands for a merge.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::Merge);
        }
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, strategy)| *strategy)
    }

    fn content_type(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, strategy)| *strategy == self);
        found.map_or("", |(name, _)| name)
    }
}

/// What is done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Ours is put over it.
    Update,
    /// The parameters are applied to it as it is in the cluster.
    UpdateLive,
    /// It is patched.
    Patch(Strategy),
    /// It is deleted.
    Delete,
}

impl Operation {
    const fn word(self) -> &'static str {
        match self {
            Self::Update | Self::UpdateLive => "update",
            Self::Patch(_) => "patch",
            Self::Delete => "delete",
        }
    }
}

/// Changes or deletes one object per firing.
pub(super) struct ChangeAction {
    template: ObjectTemplate,
    operation: Operation,
}

impl ChangeAction {
    pub(super) const fn new(template: ObjectTemplate, operation: Operation) -> Self {
        Self {
            template,
            operation,
        }
    }
}

impl Action for ChangeAction {
    fn source(&self) -> Option<&Source> {
        self.template.source()
    }

    fn plan(
        &self,
        firing: &Firing<'_>,
        fetched: Option<&[u8]>,
    ) -> Result<Box<dyn Effect>, FireError> {
        let (object, changes) = match self.operation {
            Operation::UpdateLive => (
                self.template.object(fetched)?.to_vec(),
                self.template.changes(firing)?,
            ),
            _ => (self.template.filled(firing, fetched)?, Vec::new()),
        };
        plan(object, changes, self.operation, firing).map(|effect| Box::new(effect) as _)
    }
}

fn plan(
    object: Vec<u8>,
    changes: Vec<Change>,
    operation: Operation,
    firing: &Firing<'_>,
) -> Result<Changing, FireError> {
    let head = Head::read(&object)?;
    let Some(name) = head.name else {
        return Err(FireError::permanent(format!(
            "cannot {} {}: the object must have metadata.name, as generateName names none",
            operation.word(),
            head.kind
        )));
    };
    let namespace = head
        .namespace
        .unwrap_or_else(|| firing.namespace.to_owned());
    let unreadable = |error| FireError::permanent_from("cannot read the object", error);
    let object =
        sjson::set_string(&object, "metadata.namespace", &namespace).map_err(unreadable)?;
    let value = json::parse(&object)
        .map_err(|error| FireError::permanent_from("cannot read the object", error))?;
    let pinned = value
        .get("metadata")
        .and_then(|metadata| metadata.get("resourceVersion"))
        .is_some();
    let own = match (operation, value.get("patch")) {
        (Operation::Patch(Strategy::Json), Some(list @ Value::Array(_))) => Some(list.to_json()),
        _ => None,
    };
    let manager = format!(
        "tiphys/{}/{}",
        label_value(firing.sensor),
        label_value(firing.trigger)
            .chars()
            .take(50)
            .collect::<String>()
    );
    Ok(Changing {
        kind: Kind {
            api_version: head.api_version,
            kind: head.kind,
        },
        namespace,
        name,
        object,
        operation,
        changes,
        own,
        manager,
        pinned,
    })
}

/// One change.
struct Changing {
    kind: Kind,
    namespace: String,
    name: String,
    object: Vec<u8>,
    operation: Operation,
    /// What an update of the live object changes in it.
    changes: Vec<Change>,
    /// The operations of a JSON patch, where the source writes them itself.
    own: Option<String>,
    /// Who owns the fields of an apply patch.
    manager: String,
    /// The source says which version of the object it is meant for.
    pinned: bool,
}

impl Changing {
    fn changed(&self, place: &Place, verb: &str) -> Fired {
        Fired::Changed {
            verb: verb.to_owned(),
            api_version: self.kind.api_version.clone(),
            kind: self.kind.kind.clone(),
            namespace: self.shown_namespace(place),
            name: self.name.clone(),
        }
    }

    fn shown_namespace(&self, place: &Place) -> String {
        if place.namespaced {
            self.namespace.clone()
        } else {
            String::new()
        }
    }

    async fn attempt(&self, world: &World, place: &Place) -> Result<Fired, Refused> {
        let at = At {
            place,
            namespace: &self.namespace,
            name: &self.name,
        };
        match self.operation {
            Operation::Update => self.update(world, at).await,
            Operation::UpdateLive => self.update_live(world, at).await,
            Operation::Patch(Strategy::Json) => self.patch_json(world, at).await,
            Operation::Patch(strategy) => self.patch(world, at, strategy).await,
            Operation::Delete => match world.delete(at).await {
                Ok(_) => Ok(self.changed(place, "deleted")),
                Err(Refused::Gone(_)) => Ok(self.changed(place, "found already deleted")),
                Err(other) => Err(other),
            },
        }
    }

    async fn update(&self, world: &World, at: At<'_>) -> Result<Fired, Refused> {
        let live = match world.get(at).await {
            Ok(live) => live,
            Err(Refused::Gone(_)) => return self.create(world, at).await,
            Err(other) => return Err(other),
        };
        let mut merged = value(&live)?;
        over(&mut merged, &value(&self.body(at.place)?)?);
        world.put(at, merged.to_json().into_bytes()).await?;
        Ok(self.changed(at.place, "updated"))
    }

    async fn update_live(&self, world: &World, at: At<'_>) -> Result<Fired, Refused> {
        let mut live = world.get(at).await?.to_vec();
        for change in &self.changes {
            live = change.apply(&live).map_err(|error| {
                let what = "cannot apply the parameters to the live object";
                Refused::Failed(FireError::permanent_from(what, error))
            })?;
        }
        world.put(at, live).await?;
        Ok(self.changed(at.place, "updated"))
    }

    async fn patch_json(&self, world: &World, at: At<'_>) -> Result<Fired, Refused> {
        let content_type = Strategy::Json.content_type();
        if let Some(own) = &self.own {
            let body = own.clone().into_bytes();
            world.patch(at, content_type, "", body).await?;
            return Ok(self.changed(at.place, "patched"));
        }
        let live = match world.get(at).await {
            Ok(live) => live,
            Err(Refused::Gone(_)) => return self.create(world, at).await,
            Err(other) => return Err(other),
        };
        let list = operations(&value(&live)?, &value(&self.body(at.place)?)?);
        let body = Value::Array(list).to_json().into_bytes();
        world.patch(at, content_type, "", body).await?;
        Ok(self.changed(at.place, "patched"))
    }

    async fn patch(&self, world: &World, at: At<'_>, strategy: Strategy) -> Result<Fired, Refused> {
        let query = match strategy {
            // As a controller does: what the Sensor says is what it means.
            Strategy::Apply => format!("?force=true&fieldManager={}", self.manager),
            _ => String::new(),
        };
        let body = self.body(at.place)?;
        match world.patch(at, strategy.content_type(), &query, body).await {
            Ok(_) => Ok(self.changed(at.place, "patched")),
            Err(Refused::Gone(_)) => self.create(world, at).await,
            Err(other) => Err(other),
        }
    }

    /// Of what is not there yet: as the source says it, without the labels of a `create`.
    async fn create(&self, world: &World, at: At<'_>) -> Result<Fired, Refused> {
        world.post(at, "", self.body(at.place)?).await?;
        Ok(Fired::Created {
            api_version: self.kind.api_version.clone(),
            kind: self.kind.kind.clone(),
            namespace: self.shown_namespace(at.place),
            name: self.name.clone(),
            existed: false,
        })
    }

    fn body(&self, place: &Place) -> Result<Vec<u8>, Refused> {
        without_namespace(&self.object, place)
    }

    /// Whether reading and writing anew can help.
    fn again(&self, refused: &Refused) -> bool {
        let raced = matches!(refused, Refused::Conflict(_) | Refused::Exists(_))
            || matches!(refused, Refused::Gone(_)) && self.operation == Operation::Update;
        raced && !self.pinned
    }
}

fn value(object: &[u8]) -> Result<Value, Refused> {
    json::parse(object).map_err(|error| {
        Refused::Failed(FireError::permanent_from("cannot read the object", error))
    })
}

#[async_trait]
impl Effect for Changing {
    fn show(&self) -> Vec<u8> {
        let mut shown = self.object.clone();
        for change in &self.changes {
            // What the cluster holds is not known here, so what cannot be written into the source is left out.
            if let Ok(next) = change.apply(&shown) {
                shown = next;
            }
        }
        shown
    }

    fn says(&self) -> String {
        let what = format!("{} {}/{}", self.kind.kind, self.namespace, self.name);
        match self.operation {
            Operation::Update => format!("update {what}"),
            Operation::UpdateLive => format!("update {what} as it is in the cluster"),
            Operation::Patch(strategy) => format!("patch {what} by {}", strategy.content_type()),
            Operation::Delete => format!("delete {what}"),
        }
    }

    async fn perform(&self, world: &World) -> Result<Fired, FireError> {
        let mut place: Arc<Place> = world.place(&self.kind).await?;
        let (mut asked_again, mut conflicts) = (false, 0);
        loop {
            let refused = match self.attempt(world, &place).await {
                Ok(fired) => return Ok(fired),
                Err(refused) => refused,
            };
            match refused {
                Refused::Unserved(error) if !asked_again => {
                    asked_again = true;
                    place = world.place_again(&self.kind, &place).await?.ok_or(error)?;
                }
                refused if self.again(&refused) && conflicts < CONFLICTS => conflicts += 1,
                Refused::Conflict(error) if self.pinned => {
                    let what = "the object is not of the metadata.resourceVersion in the source";
                    return Err(FireError::permanent_from(what, error));
                }
                refused => return Err(refused.into()),
            }
        }
    }
}
