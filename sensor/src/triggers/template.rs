//! The object of a `k8s` or `argoWorkflow` trigger before anything is done with it: read, and changed by parameters.
//! It never speaks to the cluster.

use bytes::Bytes;
use serde::Deserialize;
use tiphys_core::Problems;

use super::{BuildContext, FireError, Firing};
use crate::artifacts::{Found, Source};
use crate::parameters::{Change, Parameter, apply, changes};
use crate::spec::{ArtifactSpec, ParameterSpec};

/// Reports a source that is missing or wrong.
pub(super) fn validate_source(source: Option<&ArtifactSpec>, problems: &mut Problems) {
    problems.at("source", |problems| match source {
        Some(source) => source.validate(problems),
        None => problems.error("must be set, with the object under resource"),
    });
}

/// An object and what each firing changes in it.
pub(super) struct ObjectTemplate {
    found: Found,
    parameters: Vec<Parameter>,
}

impl ObjectTemplate {
    /// For a trigger of this kind.
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
        let found = match Found::new(source, cx.written)? {
            Found::Here(text) => Found::Here(object_bytes(&text)?),
            elsewhere @ Found::Elsewhere(_) => elsewhere,
        };
        Ok(Self {
            found,
            parameters: Parameter::list(parameters, cx.engine),
        })
    }

    /// Where the object is, when the spec does not hold it.
    pub(super) fn source(&self) -> Option<&Source> {
        match &self.found {
            Found::Elsewhere(source) => Some(source),
            Found::Here(_) => None,
        }
    }

    /// The object as JSON, before parameters.
    pub(super) fn object(&self, fetched: Option<&[u8]>) -> Result<Bytes, FireError> {
        match (&self.found, fetched) {
            (Found::Here(object), _) => Ok(object.clone()),
            (Found::Elsewhere(_), Some(bytes)) => object_bytes(bytes),
            (Found::Elsewhere(source), None) => Err(FireError::permanent(format!(
                "the object is read from {} when the trigger fires, not here",
                source.shown()
            ))),
        }
    }

    /// The object with this firing's parameters applied.
    pub(super) fn filled(
        &self,
        firing: &Firing<'_>,
        fetched: Option<&[u8]>,
    ) -> Result<Vec<u8>, FireError> {
        let object = self.object(fetched)?;
        let applied = apply(&self.parameters, &object, firing.events, firing.notes)
            .map_err(|error| FireError::permanent_from("cannot apply the parameters", error))?;
        for dest in &applied.without_effect {
            tracing::warn!(
                trigger = firing.trigger,
                dest,
                "a parameter's destination matches nothing and sets nothing"
            );
        }
        Ok(applied.document)
    }

    /// This firing's parameters, for an object that is read later.
    pub(super) fn changes(&self, firing: &Firing<'_>) -> Result<Vec<Change>, FireError> {
        changes(&self.parameters, firing.events, firing.notes)
            .map_err(|error| FireError::permanent_from("cannot apply the parameters", error))
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
    if documents.len() != 1 {
        return Err(FireError::permanent(format!(
            "cannot read the trigger source: it must hold one object, not {}",
            documents.len()
        )));
    }
    let object = documents.remove(0).object;
    if !object.is_object() {
        return Err(FireError::permanent(
            "cannot read the trigger source: it holds no object",
        ));
    }
    Ok(object.to_string().into())
}

/// What is read of an object to place it.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<RawMetadata>,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct RawMetadata {
    name: Option<String>,
    generate_name: Option<String>,
    namespace: Option<String>,
}

/// What an object says of itself; empty texts count as absent.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) generate_name: Option<String>,
    pub(super) namespace: Option<String>,
}

impl Head {
    /// Of an object's JSON.
    pub(super) fn read(object: &[u8]) -> Result<Self, FireError> {
        let raw: Raw = serde_json::from_slice(object)
            .map_err(|error| FireError::permanent_from("cannot read the object", error))?;
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (Some(api_version), Some(kind)) = (given(raw.api_version), given(raw.kind)) else {
            return Err(FireError::permanent(
                "the object must have apiVersion and kind",
            ));
        };
        let metadata = raw.metadata.unwrap_or_default();
        Ok(Self {
            api_version,
            kind,
            name: given(metadata.name),
            generate_name: given(metadata.generate_name),
            namespace: given(metadata.namespace),
        })
    }
}
