//! The kinds that are served now: those given at the start, and those defined since.
//!
//! Learns from `CustomResourceDefinition` objects; never stores anything itself.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use serde_json::Value;

use crate::kinds::{Kind, Names, Resource, table};
use crate::store::Stored;

/// Kinds by group and plural.
#[derive(Debug, Default)]
pub(crate) struct Registry(RwLock<BTreeMap<(String, String), Entry>>);

#[derive(Debug, Clone)]
struct Entry {
    resource: Arc<Resource>,
    /// Given at the start; no definition changes or removes it.
    fixed: bool,
}

impl Registry {
    /// The kinds given at the start.
    pub(crate) fn new(kinds: &[Kind]) -> Self {
        let entries = kinds.iter().map(|kind| {
            let entry = Entry {
                resource: Arc::new(Resource::from(kind)),
                fixed: true,
            };
            ((kind.group.to_owned(), kind.plural.to_owned()), entry)
        });
        Self(RwLock::new(entries.collect()))
    }

    /// The kind behind a path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(&(group.to_owned(), plural.to_owned()))?;
        (entry.resource.version == version).then(|| Arc::clone(&entry.resource))
    }

    /// Everything that is served, by group and plural.
    pub(crate) fn all(&self) -> Vec<Arc<Resource>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        entries
            .values()
            .map(|entry| Arc::clone(&entry.resource))
            .collect()
    }

    /// Takes a definition in; the table of its objects if it is a new one.
    pub(crate) fn learn(&self, definition: &Stored) -> Option<Arc<str>> {
        let resource = read(&definition.value().ok()?)?;
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let place = (resource.group.clone(), resource.plural.clone());
        if entries.get(&place).is_some_and(|entry| entry.fixed) {
            return None;
        }
        let table = Arc::clone(&resource.table);
        entries.insert(
            place,
            Entry {
                resource: Arc::new(resource),
                fixed: false,
            },
        );
        Some(table)
    }

    /// Stops serving what a definition defined.
    pub(crate) fn forget(&self, definition: &Stored) {
        let Some(resource) = definition.value().ok().as_ref().and_then(read) else {
            return;
        };
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let place = (resource.group, resource.plural);
        if entries.get(&place).is_some_and(|entry| !entry.fixed) {
            entries.remove(&place);
        }
    }
}

fn read(definition: &Value) -> Option<Resource> {
    let spec = definition.get("spec")?;
    let names = spec.get("names")?;
    let text = |value: &Value, field: &str| Some(value.get(field)?.as_str()?.to_owned());
    let group = text(spec, "group").filter(|group| !group.is_empty())?;
    let plural = text(names, "plural")?;
    let kind = text(names, "kind")?;
    let versions = spec.get("versions")?.as_array()?;
    let stored = |version: &&Value| version.get("storage").and_then(Value::as_bool) == Some(true);
    let version = versions.iter().find(stored).or_else(|| versions.first())?;
    let short_names = names
        .get("shortNames")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    Some(Resource {
        table: table(&group, &plural),
        singular: text(names, "singular").unwrap_or_else(|| kind.to_lowercase()),
        short_names: short_names
            .filter_map(Value::as_str)
            .map(Into::into)
            .collect(),
        namespaced: spec.get("scope").and_then(Value::as_str) != Some("Cluster"),
        status: version
            .get("subresources")
            .and_then(|sub| sub.get("status"))
            .is_some(),
        version: text(version, "name")?,
        names: Names::Subdomain,
        group,
        kind,
        plural,
    })
}
