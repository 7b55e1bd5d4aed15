//! Parameters: a value of an event, by template, key or default, written to a path of a JSON document
//! (reference `bus-and-sensor.md`, section 10). On bytes, so that no digit is lost; pure.

use std::sync::{Mutex, PoisonError};

use tiphys_core::envelope;
use tiphys_lang::gjson::{self, Kind};
use tiphys_lang::sjson::{self, SetError};

use crate::dialect::{Flaw, Selector, Template, meant, text_form};
use crate::document::{DocumentError, Events, Input};
use crate::record::{self, hides, shown};
use crate::spec::{ParameterSourceSpec, ParameterSpec, TemplateEngine};

/// How many resolved parameters a decision shows.
const NOTED: usize = 64;

/// Why a parameter has no value or no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParameterError {
    /// Neither template nor key nor default gives a value.
    #[error("unable to resolve '{dependency}' parameter value. err: {reason}")]
    Unresolved {
        /// The dependency.
        dependency: String,
        /// Why the last of them does not.
        reason: String,
    },
    /// The payload cannot be looked into, and there is no default.
    #[error("unable to resolve '{dependency}' parameter value")]
    Document {
        /// The dependency.
        dependency: String,
        /// Why.
        #[source]
        source: DocumentError,
    },
    /// The path cannot be set.
    #[error("cannot set {dest:?}")]
    Set {
        /// The path.
        dest: String,
        /// Why.
        #[source]
        source: SetError,
    },
    /// The operation is none.
    #[error("unsupported trigger parameter operation: {0:?}; write overwrite, append or prepend")]
    Operation(String),
}

/// A resolved value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Its text form.
    pub text: String,
    /// The JSON as it was written, for everything but strings.
    pub raw: Option<Vec<u8>>,
}

impl Resolved {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            raw: None,
        }
    }
}

/// Whether a destination may be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dest {
    /// It must be given.
    Required,
    /// Empty means the whole payload.
    Optional,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Overwrite,
    Append,
    Prepend,
}

/// A parameter with its value: what is written where, whatever the document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) dest: String,
    operation: Operation,
    value: Resolved,
    use_raw_data: bool,
}

/// What parameters resolved to, for the decision record.
#[derive(Debug, Default)]
pub(crate) struct Notes(Option<Mutex<Vec<record::Parameter>>>);

impl Notes {
    /// Writes nothing down.
    pub(crate) const OFF: Self = Self(None);

    /// Writes down what is resolved.
    pub(crate) fn on() -> Self {
        Self(Some(Mutex::default()))
    }

    /// What was written down; it is taken.
    pub(crate) fn take(&self) -> Vec<record::Parameter> {
        let Some(notes) = &self.0 else {
            return Vec::new();
        };
        std::mem::take(&mut *notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, parameter: &Parameter, text: &str) {
        let Some(notes) = &self.0 else { return };
        let value = match (parameter.hidden, &parameter.source.pick) {
            (true, _) => "***".to_owned(),
            // Its payload is base64, in which a credential cannot be told.
            (false, Pick::Whole) if parameter.source.value.is_none() => {
                "(the whole event)".to_owned()
            }
            (false, _) => shown(text),
        };
        let note = record::Parameter {
            dest: parameter.dest.clone(),
            value,
        };
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NOTED {
            notes.push(note);
        }
    }
}

/// A compiled parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    source: Source,
    pub(crate) dest: String,
    /// Whether it speaks of a credential.
    hidden: bool,
    operation: Result<Operation, String>,
}

/// A compiled source of a value.
#[derive(Debug)]
pub(crate) struct Source {
    dependency: String,
    pick: Pick,
    value: Option<String>,
    use_raw_data: bool,
}

#[derive(Debug)]
enum Pick {
    /// The default, else the whole event.
    Whole,
    Data(Steps),
    Context(Steps),
}

/// A flaw is kept, because the next step stands in for a step that fails.
#[derive(Debug)]
struct Steps {
    template: Option<Result<Template, Flaw>>,
    key: Option<(String, Option<Selector>)>,
}

impl Steps {
    fn new(template: &str, key: &str, engine: TemplateEngine) -> Option<Self> {
        let steps = Self {
            template: (!template.is_empty()).then(|| Template::compile(template, engine)),
            key: (!key.is_empty()).then(|| (key.to_owned(), Selector::compile(key).ok())),
        };
        (steps.template.is_some() || steps.key.is_some()).then_some(steps)
    }
}

impl Source {
    /// Compiles a source.
    pub(crate) fn new(spec: &ParameterSourceSpec, engine: TemplateEngine) -> Self {
        let engine = spec.template_engine.unwrap_or(engine);
        let data = Steps::new(&spec.data_template, &spec.data_key, engine);
        let pick = match data {
            Some(steps) => Pick::Data(steps),
            None => Steps::new(&spec.context_template, &spec.context_key, engine)
                .map_or(Pick::Whole, Pick::Context),
        };
        Self {
            dependency: spec.dependency_name.clone(),
            pick,
            value: spec.value.clone(),
            use_raw_data: spec.use_raw_data,
        }
    }

    /// The value, or nothing where the dependency took no part and there is no default.
    pub(crate) fn resolve(&self, events: &Events) -> Result<Option<Resolved>, ParameterError> {
        let default = || self.value.clone().map(Resolved::text);
        let Some(input) = events.get(&self.dependency) else {
            return Ok(default());
        };
        let (steps, data) = match &self.pick {
            Pick::Whole => {
                let whole = || Resolved::text(envelope::whole_event(input.event()));
                return Ok(Some(default().unwrap_or_else(whole)));
            }
            Pick::Data(steps) => (steps, true),
            Pick::Context(steps) => (steps, false),
        };
        let document = if data {
            match input.document() {
                Ok(document) => document,
                Err(source) => {
                    return default().map(Some).ok_or_else(|| ParameterError::Document {
                        dependency: self.dependency.clone(),
                        source,
                    });
                }
            }
        } else {
            input.context().as_bytes()
        };
        let mut reason = String::new();
        if let Some(template) = &steps.template {
            match render(template, input, data) {
                Ok(text) => return Ok(Some(Resolved::text(text))),
                Err(error) => reason = error,
            }
        }
        if let Some((path, selector)) = &steps.key {
            let found = selector.as_ref().and_then(|path| path.get(document));
            match found {
                Some(found) => return Ok(Some(resolved(&found))),
                None => {
                    let place = if data { "payload" } else { "context" };
                    let meant = meant(path, document)
                        .map_or_else(String::new, |meant| format!("; {meant:?} does"));
                    reason = format!("key {path:?} does not exist in the event's {place}{meant}");
                }
            }
        }
        default()
            .map(Some)
            .ok_or_else(|| ParameterError::Unresolved {
                dependency: self.dependency.clone(),
                reason,
            })
    }
}

fn speaks_of_credentials(src: &ParameterSourceSpec) -> bool {
    [
        &src.data_key,
        &src.data_template,
        &src.context_key,
        &src.context_template,
    ]
    .into_iter()
    .any(|text| hides(text))
}

fn render(template: &Result<Template, Flaw>, input: &Input, data: bool) -> Result<String, String> {
    let template = template.as_ref().map_err(ToString::to_string)?;
    if data {
        let value = input.value().map_err(|error| error.to_string())?;
        template.render(value)
    } else {
        template.render(input.context_value())
    }
}

fn resolved(found: &gjson::Found<'_>) -> Resolved {
    let text = match found.kind {
        Kind::Null => "null".to_owned(),
        _ => text_form(found).into_owned(),
    };
    let raw = (found.kind != Kind::String).then(|| found.raw.to_vec());
    Resolved { text, raw }
}

impl Parameter {
    /// Compiles a parameter; one without `src` has no value.
    pub(crate) fn new(spec: &ParameterSpec, engine: TemplateEngine) -> Self {
        let none = ParameterSourceSpec::default();
        Self {
            hidden: hides(&spec.dest) || spec.src.as_ref().is_some_and(speaks_of_credentials),
            source: Source::new(spec.src.as_ref().unwrap_or(&none), engine),
            dest: spec.dest.clone(),
            operation: match spec.operation.as_str() {
                "" | "overwrite" => Ok(Operation::Overwrite),
                "append" => Ok(Operation::Append),
                "prepend" => Ok(Operation::Prepend),
                other => Err(other.to_owned()),
            },
        }
    }

    /// Compiles a list.
    pub(crate) fn list(specs: &[ParameterSpec], engine: TemplateEngine) -> Vec<Self> {
        specs.iter().map(|spec| Self::new(spec, engine)).collect()
    }

    /// The value.
    pub(crate) fn resolve(
        &self,
        events: &Events,
        notes: &Notes,
    ) -> Result<Option<Resolved>, ParameterError> {
        let value = self.source.resolve(events)?;
        if let Some(value) = &value {
            notes.add(self, &value.text);
        }
        Ok(value)
    }

    /// Writes a value to its place, whatever is there.
    pub(crate) fn set(&self, document: &[u8], value: &Resolved) -> Result<Vec<u8>, ParameterError> {
        set(document, &self.dest, value, self.source.use_raw_data)
    }

    fn change(&self, events: &Events, notes: &Notes) -> Result<Option<Change>, ParameterError> {
        let Some(value) = self.resolve(events, notes)? else {
            return Ok(None);
        };
        match &self.operation {
            Ok(operation) => Ok(Some(Change {
                dest: self.dest.clone(),
                operation: *operation,
                value,
                use_raw_data: self.source.use_raw_data,
            })),
            Err(other) => Err(ParameterError::Operation(other.clone())),
        }
    }
}

fn set(
    document: &[u8],
    dest: &str,
    value: &Resolved,
    use_raw_data: bool,
) -> Result<Vec<u8>, ParameterError> {
    let result = match &value.raw {
        Some(raw) if use_raw_data => sjson::set_raw(document, dest, raw),
        _ => sjson::set_string(document, dest, &value.text),
    };
    result.map_err(|source| ParameterError::Set {
        dest: dest.to_owned(),
        source,
    })
}

impl Change {
    /// Writes the value into a document.
    pub(crate) fn apply(&self, document: &[u8]) -> Result<Vec<u8>, ParameterError> {
        if self.operation != Operation::Overwrite
            && let Some(current) = gjson::get(document, &self.dest)
        {
            let (current, text) = (text_form(&current), &self.value.text);
            let joined = Resolved::text(match self.operation {
                Operation::Append => format!("{current}{text}"),
                Operation::Overwrite | Operation::Prepend => format!("{text}{current}"),
            });
            return set(document, &self.dest, &joined, self.use_raw_data);
        }
        set(document, &self.dest, &self.value, self.use_raw_data)
    }
}

/// The values of a list of parameters, for documents that are not there yet.
pub(crate) fn changes(
    parameters: &[Parameter],
    events: &Events,
    notes: &Notes,
) -> Result<Vec<Change>, ParameterError> {
    let mut changes = Vec::new();
    for parameter in parameters {
        changes.extend(parameter.change(events, notes)?);
    }
    Ok(changes)
}

/// A document with a list of parameters applied, and the destinations that changed nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The document.
    pub document: Vec<u8>,
    /// Paths with wildcards or queries that matched nothing, which is seldom meant.
    pub without_effect: Vec<String>,
}

/// Applies parameters in order; each sees what the ones before it wrote.
pub(crate) fn apply(
    parameters: &[Parameter],
    document: &[u8],
    events: &Events,
    notes: &Notes,
) -> Result<Applied, ParameterError> {
    let mut applied = Applied {
        document: document.to_vec(),
        without_effect: Vec::new(),
    };
    for parameter in parameters {
        let Some(change) = parameter.change(events, notes)? else {
            continue;
        };
        let next = change.apply(&applied.document)?;
        let special = parameter.dest.contains(['@', '#', '*', '?', '|']);
        if special && next == applied.document {
            applied.without_effect.push(parameter.dest.clone());
        }
        applied.document = next;
    }
    Ok(applied)
}

#[cfg(test)]
mod tests;
