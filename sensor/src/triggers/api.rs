//! Requests to the Kubernetes API and what their refusals mean, by what can be done about them.
//! It neither retries nor decides what is written.

use bytes::Bytes;
use http::{Method, Request, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::FireError;
use super::world::{Place, World};

/// What a name may hold that a path may not.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'/')
    .add(b'?')
    .add(b'#')
    .add(b'%')
    .add(b'\\')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// Where one object is.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) place: &'a Place,
    /// Not looked at where the kind is cluster-wide.
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
}

/// Why a request was refused.
pub(crate) enum Refused {
    /// There is an object of that name already.
    Exists(FireError),
    /// There is no such object.
    Gone(FireError),
    /// The object has changed since it was read.
    Conflict(FireError),
    /// The cluster serves no such kind, or not where it was.
    Unserved(FireError),
    /// Anything else.
    Failed(FireError),
}

impl From<Refused> for FireError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Exists(error)
            | Refused::Gone(error)
            | Refused::Conflict(error)
            | Refused::Unserved(error)
            | Refused::Failed(error) => error,
        }
    }
}

/// What an API server said, without the rest of its status.
#[derive(Debug, thiserror::Error)]
#[error("{said}")]
struct Said {
    said: String,
}

impl At<'_> {
    fn object(&self) -> String {
        let name = utf8_percent_encode(self.name, SEGMENT);
        format!("{}/{name}", self.place.path(self.namespace))
    }

    /// The object for people.
    fn shown(&self) -> String {
        if self.place.namespaced {
            format!("{} {}/{}", self.place.kind, self.namespace, self.name)
        } else {
            format!("{} {}", self.place.kind, self.name)
        }
    }
}

/// A request, in the words of RBAC and of people.
struct Ask<'a> {
    verb: &'static str,
    at: At<'a>,
}

impl World {
    /// Reads an object.
    pub(crate) async fn get(&self, at: At<'_>) -> Result<Bytes, Refused> {
        let request = Request::get(at.object());
        self.ask(Ask { verb: "get", at }, request, Vec::new()).await
    }

    /// Posts an object; `query` begins with `?` where it is not empty.
    pub(crate) async fn post(
        &self,
        at: At<'_>,
        query: &str,
        object: Vec<u8>,
    ) -> Result<Bytes, Refused> {
        let request = Request::post(format!("{}{query}", at.place.path(at.namespace)))
            .header(header::CONTENT_TYPE, "application/json");
        self.ask(Ask { verb: "create", at }, request, object).await
    }

    /// Puts an object in place of the one that is there.
    pub(crate) async fn put(&self, at: At<'_>, object: Vec<u8>) -> Result<Bytes, Refused> {
        let request = Request::put(at.object()).header(header::CONTENT_TYPE, "application/json");
        self.ask(Ask { verb: "update", at }, request, object).await
    }

    /// Patches an object; `query` begins with `?` where it is not empty.
    pub(crate) async fn patch(
        &self,
        at: At<'_>,
        content_type: &str,
        query: &str,
        body: Vec<u8>,
    ) -> Result<Bytes, Refused> {
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(format!("{}{query}", at.object()))
            .header(header::CONTENT_TYPE, content_type);
        self.ask(Ask { verb: "patch", at }, request, body).await
    }

    /// Deletes an object, with the options that the server takes by itself.
    pub(crate) async fn delete(&self, at: At<'_>) -> Result<Bytes, Refused> {
        let request = Request::delete(at.object());
        self.ask(Ask { verb: "delete", at }, request, Vec::new())
            .await
    }

    async fn ask(
        &self,
        ask: Ask<'_>,
        request: http::request::Builder,
        body: Vec<u8>,
    ) -> Result<Bytes, Refused> {
        let request = request
            .header(header::ACCEPT, "application/json")
            .body(body)
            .map_err(|error| Refused::Failed(FireError::permanent_from(ask.what(), error)))?;
        match self.client.request_text(request).await {
            Ok(text) => Ok(text.into()),
            Err(error) => Err(ask.refused(error)),
        }
    }

    /// Sorts an API error by what can be done: an API server that is away, busy or failing is tried again.
    /// Of a right that is missing it says which.
    pub(crate) fn failed(mut what: String, source: kube::Error) -> FireError {
        if let kube::Error::Api(status) = &source
            && status.code == 403
        {
            what.push_str(&missing_right(&status.message));
        }
        let permanent = match &source {
            kube::Error::Api(status) => permanent(status),
            kube::Error::BuildRequest(_)
            | kube::Error::HttpError(_)
            | kube::Error::SerdeError(_)
            | kube::Error::Discovery(_) => true,
            _ => false,
        };
        let source: Box<dyn std::error::Error + Send + Sync> = match source {
            kube::Error::Api(status) => Box::new(Said {
                said: said(&status),
            }),
            other => Box::new(other),
        };
        if permanent {
            FireError::permanent_from(what, source)
        } else {
            FireError::transient(what, source)
        }
    }
}

/// Credentials expire and conflicts pass; what is not allowed, not valid or not there stays so.
fn permanent(status: &kube::core::Status) -> bool {
    (400..500).contains(&status.code) && ![401, 408, 409, 425, 429].contains(&status.code)
}

/// The right that a refusal is about, in the words that people look for in a Role; nothing where it names none.
pub(super) fn missing_right(message: &str) -> String {
    right(message).map_or_else(String::new, |right| {
        format!(
            ": the sensor's service account needs {right}; `tiphys rbac` prints all that it needs"
        )
    })
}

fn right(message: &str) -> Option<String> {
    if message.contains("cannot set blockOwnerDeletion") {
        return Some("the verb \"update\" on the finalizers of the object's owner".to_owned());
    }
    let (_, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, rest) = rest.split_once('"')?;
    let place = match rest.split_once(" in the namespace \"") {
        Some((_, rest)) => format!(" in namespace {:?}", rest.split('"').next()?),
        None => ", by a ClusterRole".to_owned(),
    };
    Some(format!(
        "the verb {verb:?} on {resource:?} of API group {group:?}{place}"
    ))
}

fn said(status: &kube::core::Status) -> String {
    if !status.message.is_empty() {
        return status.message.clone();
    }
    if status.reason.is_empty() {
        return format!("the API server answered {}", status.code);
    }
    format!("the API server answered {} {}", status.code, status.reason)
}

impl Ask<'_> {
    fn what(&self) -> String {
        let verb = match self.verb {
            "get" => "read",
            other => other,
        };
        format!("cannot {verb} {}", self.at.shown())
    }

    fn refused(&self, error: kube::Error) -> Refused {
        let kube::Error::Api(status) = &error else {
            return Refused::Failed(World::failed(self.what(), error));
        };
        let place = self.at.place;
        match status.code {
            404 => {
                let details = status.details.as_ref();
                let named = details.is_some_and(|details| !details.name.is_empty());
                let namespace = details.is_some_and(|details| details.kind == "namespaces");
                if named && namespace && place.plural != "namespaces" {
                    let what = format!(
                        "{}: there is no namespace {:?}",
                        self.what(),
                        self.at.namespace
                    );
                    return Refused::Failed(World::failed(what, error));
                }
                if named {
                    return Refused::Gone(World::failed(self.what(), error));
                }
                let what = format!(
                    "{}: the cluster serves no kind {} of {}; install its CustomResourceDefinition, or mend \
                     apiVersion and kind",
                    self.what(),
                    place.kind,
                    place.api_version
                );
                Refused::Unserved(World::failed(what, error))
            }
            // Where a kind had no namespaces and now has, or the other way round, its old path takes nothing any more.
            405 => Refused::Unserved(World::failed(self.what(), error)),
            409 if status.reason == "AlreadyExists" => {
                let source = Said { said: said(status) };
                Refused::Exists(FireError::permanent_from(self.what(), source))
            }
            409 => Refused::Conflict(World::failed(self.what(), error)),
            415 if self.verb == "patch" => {
                let what = format!(
                    "{}: {} takes no patch of this patchStrategy; application/merge-patch+json works for every kind",
                    self.what(),
                    place.kind
                );
                Refused::Failed(World::failed(what, error))
            }
            _ => Refused::Failed(World::failed(self.what(), error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_refusal_names_the_right_that_is_missing() {
        for (message, right) in [
            (
                r#"workflows.argoproj.io "a" is forbidden: User "u" cannot get resource "workflows" in API group "argoproj.io" in the namespace "ns""#,
                Some(
                    r#"the verb "get" on "workflows" of API group "argoproj.io" in namespace "ns""#,
                ),
            ),
            (
                r#"nodes "a" is forbidden: User "u" cannot delete resource "nodes" in API group "" at the cluster scope"#,
                Some(r#"the verb "delete" on "nodes" of API group "", by a ClusterRole"#),
            ),
            (
                r#"workflows.argoproj.io "a" is forbidden: cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>"#,
                Some(r#"the verb "update" on the finalizers of the object's owner"#),
            ),
            ("admission webhook denied it: you cannot do that", None),
            ("", None),
        ] {
            assert_eq!(super::right(message).as_deref(), right, "{message}");
        }
    }
}
