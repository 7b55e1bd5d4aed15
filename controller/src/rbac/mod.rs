//! The rights that the service account of a Sensor or EventSource needs, derived from the object alone. Pure: what a
//! cluster serves can be told by a function; without it plurals are those that Kubernetes itself would guess.
//!
//! ```text
//! Document ─▶ sensor / source ─▶ Need {where, what, verbs} ─▶ objects: Role + RoleBinding, ClusterRole + binding
//! ```

mod kinds;
mod objects;
mod sensor;
mod source;

use serde_json::Value;
use tiphys_core::Problems;
use tiphys_core::manifest::Document;

use crate::check::{self, Checked};
pub use kinds::Resource;

/// Finds the place of a kind (apiVersion, kind) in a cluster; `None` where it is not known.
pub type Lookup<'a> = &'a dyn Fn(&str, &str) -> Option<Resource>;

/// How rights are printed.
pub struct Options<'a> {
    /// The namespace of objects that name none.
    pub namespace: &'a str,
    /// The account that gets the rights (namespace, name), instead of the one that each object names.
    pub account: Option<(String, String)>,
    /// Asked before anything is guessed.
    pub lookup: Lookup<'a>,
}

/// What was derived.
#[derive(Debug, Default)]
pub struct Derived {
    /// Roles and bindings, in the order of the documents.
    pub objects: Vec<Value>,
    /// What could not be known, and what is worth knowing.
    pub notes: Vec<String>,
    /// What is wrong with objects, one text each: nothing is derived from those.
    pub wrong: Vec<String>,
    /// Who needs no rights at all.
    pub without: Vec<String>,
    /// How many Sensors and EventSources were looked at, wrong ones among them.
    pub looked_at: usize,
}

/// Where a right is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    /// In one namespace.
    Namespace(String),
    /// In all of them, or outside of any.
    Cluster,
}

/// One right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Need {
    at: Where,
    group: String,
    resource: String,
    /// The only object that it is about.
    name: Option<String>,
    verb: &'static str,
}

/// The rights of every Sensor and EventSource among the documents; other kinds need none. A wrong object harms no other.
#[must_use]
pub fn derive(documents: &[Document], options: &Options<'_>) -> Derived {
    let mut derived = Derived::default();
    for document in documents {
        let kind = document.kind();
        if document.api_version() != check::API_VERSION
            || !["Sensor", "EventSource"].contains(&kind)
        {
            continue;
        }
        derived.looked_at += 1;
        let mut problems = Problems::default();
        let checked = check::check(document, &mut problems);
        let name = document.name();
        let namespace = match document.namespace() {
            "" => options.namespace,
            namespace => namespace,
        };
        if problems.has_errors() {
            let errors = problems.errors();
            let wrong = format!(
                "{kind} {namespace}/{name} is wrong, so its rights are not known:\n{errors}"
            );
            derived.wrong.push(wrong);
            continue;
        }
        let mut needs = Vec::new();
        let mut notes = Vec::new();
        let template = match &checked {
            Some(Checked::Sensor(sensor)) => {
                let around = sensor::Around {
                    namespace,
                    lookup: options.lookup,
                };
                sensor::needs(&sensor.spec, &around, &mut needs, &mut notes);
                sensor.spec.template.as_ref()
            }
            Some(Checked::EventSource(spec)) => {
                source::needs(spec, &mut needs);
                spec.template.as_ref()
            }
            _ => None,
        };
        let account = options.account.clone().unwrap_or_else(|| {
            let own = template.map(|template| template.service_account_name.clone());
            let own = own.filter(|name| !name.is_empty());
            if own.is_none() && !needs.is_empty() {
                notes.push("has the account `default`, which every pod of the namespace shares: give it one of its own in spec.template.serviceAccountName".to_owned());
            }
            (namespace.to_owned(), own.unwrap_or_else(|| "default".to_owned()))
        });
        if needs.is_empty() && notes.is_empty() {
            derived.without.push(format!("{kind} {namespace}/{name}"));
        }
        let subject = objects::Subject {
            kind,
            name,
            namespace,
            account: &account,
        };
        objects::write(&subject, needs, &mut derived.objects);
        let said = notes.into_iter();
        derived
            .notes
            .extend(said.map(|note| format!("{kind} {namespace}/{name} {note}")));
    }
    derived
}

#[cfg(test)]
mod tests;
