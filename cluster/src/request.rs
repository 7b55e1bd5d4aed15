//! What a request asks for: the path and the query, taken apart.
//!
//! Looks at the URL only; never at the body or the store.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Query;
use http::Uri;
use percent_encoding::percent_decode_str;

use crate::kinds::Resource;
use crate::status::ApiError;
use crate::store::Dry;

/// A path that names objects: a collection, an object, or a part of an object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ObjectPath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: Option<String>,
    pub(crate) plural: String,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// Everything that the server has a path for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `/healthz` and its like.
    Health,
    /// `/version`.
    Version,
    /// `/openapi/v3`.
    OpenApi,
    /// A document below `/openapi/v3`.
    OpenApiDocument(String),
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` and `/apis/GROUP/VERSION`.
    Resources {
        /// Empty for the core group.
        group: String,
        /// The version.
        version: String,
    },
    /// Anything below.
    Objects(ObjectPath),
}

impl Route {
    /// Takes a path apart; `None` if nothing is served there.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8().map(Into::into))
            .collect::<Result<_, _>>()
            .ok()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        match segments.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => Some(Self::Health),
            ["version"] => Some(Self::Version),
            ["openapi", "v3"] => Some(Self::OpenApi),
            ["openapi", "v3", root @ ..] => Some(Self::OpenApiDocument(root.join("/"))),
            ["api"] => Some(Self::CoreVersions),
            ["apis"] => Some(Self::Groups),
            ["api", version] => Some(Self::Resources {
                group: String::new(),
                version: (*version).into(),
            }),
            ["apis", group] => Some(Self::Group((*group).into())),
            ["apis", group, version] => Some(Self::Resources {
                group: (*group).into(),
                version: (*version).into(),
            }),
            ["api", version, rest @ ..] => ObjectPath::parse("", version, rest).map(Self::Objects),
            ["apis", group, version, rest @ ..] => {
                ObjectPath::parse(group, version, rest).map(Self::Objects)
            }
            _ => None,
        }
    }
}

impl ObjectPath {
    fn parse(group: &str, version: &str, rest: &[&str]) -> Option<Self> {
        if rest.iter().any(|segment| segment.is_empty()) {
            return None;
        }
        let core = group.is_empty();
        let (namespace, rest) = match rest {
            // A namespace is itself an object, and has parts of its own.
            ["namespaces", _] | ["namespaces", _, "status" | "finalize"] if core => (None, rest),
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, None, None),
            [plural, name] => (*plural, Some(*name), None),
            [plural, name, subresource] => (*plural, Some(*name), Some(*subresource)),
            _ => return None,
        };
        Some(Self {
            group: group.into(),
            version: version.into(),
            namespace: namespace.map(Into::into),
            plural: plural.into(),
            name: name.map(Into::into),
            subresource: subresource.map(Into::into),
        })
    }
}

/// The parameters behind the question mark.
#[derive(Debug, Default)]
pub(crate) struct Params(HashMap<String, String>);

impl Params {
    /// Reads the query of a URL.
    pub(crate) fn parse(uri: &Uri) -> Result<Self, ApiError> {
        // Duplicate parameters exist in the wild; the last one counts.
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| ApiError::bad_request(format!("cannot read the query: {error}")))?;
        Ok(Self(pairs.into_iter().collect()))
    }

    /// A parameter that is there and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// A parameter that is a yes or no; absent is no.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.0.get(name).map(String::as_str) {
            None | Some("" | "0" | "false" | "False" | "f" | "F" | "FALSE") => {
                // `?watch` alone is a yes, as with every other server.
                Ok(self.0.get(name).is_some_and(String::is_empty))
            }
            Some("1" | "true" | "True" | "t" | "T" | "TRUE") => Ok(true),
            Some(other) => Err(ApiError::bad_request(format!(
                "{name} must be true or false, not {other:?}"
            ))),
        }
    }

    /// A parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        self.text(name)
            .map(|text| {
                text.parse().map_err(|_| {
                    ApiError::bad_request(format!("{name} must be a number, not {text:?}"))
                })
            })
            .transpose()
    }

    /// How long a watch may last.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, ApiError> {
        let secs = self.number("timeoutSeconds")?.filter(|&secs| secs > 0);
        Ok(secs.map(|secs| Duration::from_secs(secs.min(24 * 60 * 60))))
    }

    /// Whether the change is only tried.
    pub(crate) fn dry_run(&self) -> Result<Dry, ApiError> {
        dry_run(self.text("dryRun"))
    }
}

/// Reads a `dryRun` directive.
pub(crate) fn dry_run(directive: Option<&str>) -> Result<Dry, ApiError> {
    match directive {
        None => Ok(Dry::No),
        Some("All") => Ok(Dry::Run),
        Some(other) => Err(ApiError::bad_request(format!(
            "dryRun must be All or absent, not {other:?}"
        ))),
    }
}

/// A request for objects of a kind that is served.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) resource: Arc<Resource>,
    pub(crate) namespace: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{ObjectPath, Route};

    fn objects(path: &str) -> Option<String> {
        let Some(Route::Objects(path)) = Route::parse(path) else {
            return None;
        };
        let ObjectPath {
            group,
            version,
            namespace,
            plural,
            name,
            subresource,
        } = path;
        let show = |part: Option<String>| part.unwrap_or_else(|| "-".into());
        let (namespace, name, subresource) = (show(namespace), show(name), show(subresource));
        Some(format!(
            "{group}|{version}|{namespace}|{plural}|{name}|{subresource}"
        ))
    }

    #[test]
    fn object_paths_are_taken_apart() {
        let table = [
            ("/api/v1/pods", Some("|v1|-|pods|-|-")),
            ("/api/v1/namespaces", Some("|v1|-|namespaces|-|-")),
            ("/api/v1/namespaces/a", Some("|v1|-|namespaces|a|-")),
            (
                "/api/v1/namespaces/a/status",
                Some("|v1|-|namespaces|a|status"),
            ),
            ("/api/v1/namespaces/a/pods", Some("|v1|a|pods|-|-")),
            ("/api/v1/namespaces/a/pods/b/log", Some("|v1|a|pods|b|log")),
            (
                "/apis/argoproj.io/v1alpha1/workflows",
                Some("argoproj.io|v1alpha1|-|workflows|-|-"),
            ),
            (
                "/apis/argoproj.io/v1alpha1/namespaces/a/workflows/w%3Ax/",
                Some("argoproj.io|v1alpha1|a|workflows|w:x|-"),
            ),
            ("/apis/g/v/namespaces/a/b/c/d/e", None),
            ("/api/v1/namespaces/a//x", None),
            ("/api/v1/pods/%ff", None),
            ("/nothing", None),
        ];
        for (path, expected) in table {
            assert_eq!(objects(path).as_deref(), expected, "{path}");
        }
    }
}
