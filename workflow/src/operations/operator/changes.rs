//! Changes of objects that are there: read, changed by a pure function, written by the smallest patch.
//! It tries again only where another has changed the object in between.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use serde_json::{Value, json};

use super::super::change::{self, Done, top};
use super::super::labels::{annotation, belongs_to, edit};
use super::super::retry::{self, RetryOptions};
use super::super::{NodeSelector, OperationError, Shutdown, stored};
use super::{Operator, Outcome, failed, name_of};

/// The firings that have operated on a Workflow, the last ones.
const MARKS: &str = "tiphys.dev/operations";

/// How many firings an object remembers.
const KEPT_MARKS: usize = 16;

/// How often a change is tried where others change the object too, and the first wait between.
const ATTEMPTS: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(10);

impl Operator {
    /// Lets a Workflow go on from what went wrong.
    ///
    /// # Errors
    /// When it is not there or has not failed, and when the API does not do it.
    pub async fn retry(
        &self,
        name: &str,
        options: &RetryOptions,
    ) -> Result<Outcome, OperationError> {
        self.change(name, |workflow| {
            let pods = retry::retry(workflow, options, &self.actor, Timestamp::now())?;
            Ok((Done::Changed, pods))
        })
        .await
    }

    /// Holds a Workflow.
    ///
    /// # Errors
    /// When it is not there or has ended, and when the API does not do it.
    pub async fn suspend(&self, name: &str) -> Result<Outcome, OperationError> {
        self.change(name, |workflow| {
            Ok((change::suspend(workflow, &self.actor)?, Vec::new()))
        })
        .await
    }

    /// Lets a Workflow go on; with a selector, only the steps that wait and match.
    ///
    /// # Errors
    /// When it is not there, when nothing matches, and when the API does not do it.
    pub async fn resume(
        &self,
        name: &str,
        nodes: Option<&NodeSelector>,
    ) -> Result<Outcome, OperationError> {
        self.change(name, |workflow| {
            let done = change::resume(workflow, nodes, &self.actor, Timestamp::now())?;
            Ok((done, Vec::new()))
        })
        .await
    }

    /// Ends a Workflow; with a selector, only the steps that wait and match, which fail with the message.
    ///
    /// # Errors
    /// When it is not there or has ended, when nothing matches, and when the API does not do it.
    pub async fn shut_down(
        &self,
        name: &str,
        how: Shutdown,
        nodes: Option<&NodeSelector>,
        message: &str,
    ) -> Result<Outcome, OperationError> {
        self.change(name, |workflow| {
            let now = Timestamp::now();
            let done = change::shut_down(workflow, how, nodes, message, &self.actor, now)?;
            Ok((done, Vec::new()))
        })
        .await
    }

    /// Deletes a Workflow and gives its name. With `force` its finalizers are taken away before.
    ///
    /// # Errors
    /// When it is not there, and when the API does not do it.
    pub async fn delete(&self, name: &str, force: bool) -> Result<String, OperationError> {
        let (_, workflow) = self.read(name).await?;
        let name = name_of(&workflow).to_owned();
        let what = || format!("cannot delete Workflow {}/{name}", self.namespace);
        if force && workflow.pointer("/metadata/finalizers").is_some() {
            let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
            let request = self
                .workflows()
                .patch(&name, &PatchParams::default(), &patch)
                .map_err(|error| failed(what(), kube::Error::BuildRequest(error)))?;
            let _: Value = self
                .client
                .request(request)
                .await
                .map_err(|error| failed(what(), error))?;
        }
        let uid = workflow.pointer("/metadata/uid").and_then(Value::as_str);
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: uid.map(str::to_owned),
                resource_version: None,
            }),
            ..DeleteParams::background()
        };
        let request = self
            .workflows()
            .delete(&name, &params)
            .map_err(|error| failed(what(), kube::Error::BuildRequest(error)))?;
        match self.client.request_text(request).await {
            Ok(_) => Ok(name),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(name),
            Err(error) => Err(failed(what(), error)),
        }
    }

    pub(super) fn ours(&self, workflow: &Value) -> Result<(), OperationError> {
        if belongs_to(workflow, &self.instance_id) {
            return Ok(());
        }
        Err(OperationError::refused(format!(
            "'{}' is not managed by the current Argo Server: its label workflows.argoproj.io/controller-instanceid is not {:?}; name it with --instanceid",
            name_of(workflow),
            self.instance_id
        )))
    }

    /// Reads, changes and writes; again where another has written in between. Pods go before the object is written.
    async fn change(
        &self,
        name: &str,
        change: impl Fn(&mut Value) -> Result<(Done, Vec<String>), OperationError>,
    ) -> Result<Outcome, OperationError> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let (_, before) = self.read(name).await?;
            self.ours(&before)?;
            let marks = annotation(&before, MARKS).unwrap_or_default();
            let marked = |mark: &String| marks.split(',').any(|known| known == mark);
            let mut after = before.clone();
            stored::expand(&mut after)?;
            if self.mark.as_ref().is_some_and(marked) {
                // An earlier delivery of the same events has done it.
                return Ok(Outcome {
                    workflow: after,
                    changed: false,
                });
            }
            let (done, pods) = change(&mut after)?;
            if done == Done::Nothing {
                return Ok(Outcome {
                    workflow: after,
                    changed: false,
                });
            }
            if let Some(mark) = &self.mark {
                let marks = remembered(marks, mark);
                top(&mut after, "metadata", |metadata| {
                    edit(metadata, "annotations", |annotations| {
                        annotations.insert(MARKS.to_owned(), marks.into());
                    });
                });
            }
            stored::compress(&mut after)?;
            for pod in pods {
                self.delete_pod(&pod).await?;
            }
            let error = match self.write(&before, &after).await {
                Ok(mut workflow) => {
                    stored::expand(&mut workflow)?;
                    return Ok(Outcome {
                        workflow,
                        changed: true,
                    });
                }
                Err(error) => error,
            };
            let conflict = matches!(&error, kube::Error::Api(status) if status.code == 409);
            let name = name_of(&before).to_owned();
            if !conflict {
                let what = format!("cannot change Workflow {}/{name}", self.namespace);
                return Err(failed(what, error));
            }
            if attempt == ATTEMPTS {
                let source = Box::new(error);
                return Err(OperationError::Contended { name, source });
            }
            attempt += 1;
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
    }

    async fn write(&self, before: &Value, after: &Value) -> Result<Value, kube::Error> {
        let mut patch = stored::difference(before, after).unwrap_or_else(|| json!({}));
        // Only if nobody has written since it was read.
        for key in ["resourceVersion", "uid"] {
            if let Some(value) = before.pointer(&format!("/metadata/{key}")) {
                top(&mut patch, "metadata", |metadata| {
                    metadata.insert(key.to_owned(), value.clone());
                });
            }
        }
        let request = self
            .workflows()
            .patch(
                name_of(before),
                &PatchParams::default(),
                &Patch::Merge(patch),
            )
            .map_err(kube::Error::BuildRequest)?;
        self.client.request(request).await
    }

    async fn delete_pod(&self, name: &str) -> Result<(), OperationError> {
        let what = || format!("cannot delete pod {}/{name}", self.namespace);
        let path = format!("/api/v1/namespaces/{}/pods", self.namespace);
        let request = Request::new(path)
            .delete(name, &DeleteParams::default())
            .map_err(|error| failed(what(), kube::Error::BuildRequest(error)))?;
        match self.client.request_text(request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(failed(what(), error)),
        }
    }
}

/// The marks of an object with one more, the oldest left out.
fn remembered(marks: &str, mark: &str) -> String {
    let mut marks: Vec<&str> = marks.split(',').filter(|mark| !mark.is_empty()).collect();
    marks.push(mark);
    let from = marks.len().saturating_sub(KEPT_MARKS);
    marks.split_off(from).join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_remembers_the_last_firings() {
        assert_eq!(remembered("", "a"), "a");
        let many = (0..20).fold(String::new(), |marks, n| remembered(&marks, &n.to_string()));
        assert_eq!(many, "4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19");
    }
}
