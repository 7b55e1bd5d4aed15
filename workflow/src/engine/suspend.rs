//! A step that waits: until it is resumed, until its time is over, or until the Workflow ends.
//! It never runs a command.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::leaf::seconds;
use super::orders::{Gate, LATE};
use super::{Call, NodeEnd, Run, Unwind};
use crate::resource::{Arguments, NodePhase, Outputs, Parameter, Template};
use crate::substitute::{self, Variables};

impl Run {
    /// Runs a suspend template.
    pub(super) async fn suspend(
        self: &Arc<Self>,
        id: &str,
        call: &Call<'_>,
        template: &Template,
        inputs: Arguments,
        variables: &Variables,
    ) -> Result<NodeEnd, Unwind> {
        let declared = &template.inputs.parameters;
        let outputs = template.outputs.parameters.iter();
        let outputs: Vec<Parameter> = outputs.map(|output| supplied(output, declared)).collect();
        let template = match substitute::apply(template, variables) {
            Ok(template) => template,
            Err(error) => return self.record.errored(id, call, &error.to_string()).await,
        };
        let duration = template
            .suspend
            .as_ref()
            .and_then(|suspend| suspend.duration.as_ref());
        let duration = match duration.map(|text| (text, seconds(text))) {
            Some((_, Some(duration))) => Some(duration),
            Some((text, None)) => {
                let why = format!(
                    "suspend.duration {:?} is not a duration, as 30 or 10m",
                    text.0
                );
                return self.record.errored(id, call, &why).await;
            }
            None => None,
        };
        self.record
            .open(id, "Suspend", call, NodePhase::Running, |node| {
                node.inputs = inputs;
                if node.outputs.is_none() && !outputs.is_empty() {
                    node.outputs = Some(Outputs {
                        parameters: outputs,
                        ..Outputs::default()
                    });
                }
            });
        self.record.save().await?;
        if let Gate::Shut(why) = self.gate().await? {
            return self.waited(id, NodePhase::Failed, &why).await;
        }
        let over = async {
            match duration {
                Some(duration) => tokio::time::sleep(self.left(id, duration)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = self.until_ended(id) => match ended? {
                Ok(told) => {
                    self.record.with(id, |node| node.outputs = told.outputs);
                    self.waited(id, told.phase, &told.message).await
                }
                Err(why) => self.waited(id, NodePhase::Failed, &why).await,
            },
            () = over => match self.defaults(id) {
                Ok(()) => self.waited(id, NodePhase::Succeeded, "").await,
                Err(why) => self.waited(id, NodePhase::Error, &why).await,
            },
            () = self.until_late() => self.waited(id, NodePhase::Failed, LATE).await,
            () = self.control.stop.cancelled() => Err(Unwind::Stopped),
        }
    }

    /// What is left of the time that the step waits, by when it began.
    fn left(&self, id: &str, duration: Duration) -> Duration {
        let node = self.record.node(id);
        let began = node.and_then(|node| node.started_at?.parse::<Timestamp>().ok());
        let waited = began.map(|began| Timestamp::now().duration_since(began));
        let waited = waited.and_then(|waited| Duration::try_from(waited).ok());
        duration.saturating_sub(waited.unwrap_or_default())
    }

    /// Gives each output that nobody supplied its default.
    fn defaults(&self, id: &str) -> Result<(), String> {
        let Some(mut outputs) = self.record.node(id).and_then(|node| node.outputs) else {
            return Ok(());
        };
        for parameter in outputs
            .parameters
            .iter_mut()
            .filter(|parameter| parameter.value.is_none())
        {
            let default = parameter
                .value_from
                .as_ref()
                .and_then(|from| from.get("default"));
            let Some(default) = default.filter(|default| !default.is_null()) else {
                return Err(format!(
                    "raw output parameter '{}' has not been set and does not have a default value",
                    parameter.name
                ));
            };
            parameter.value = serde_json::from_value(default.clone()).ok();
            parameter.value_from = None;
        }
        self.record.with(id, |node| node.outputs = Some(outputs));
        Ok(())
    }

    async fn waited(&self, id: &str, phase: NodePhase, message: &str) -> Result<NodeEnd, Unwind> {
        self.record.close(id, phase, message);
        self.record.save().await?;
        Ok(NodeEnd {
            id: id.to_owned(),
            phase,
            message: message.to_owned(),
            outbound: vec![id.to_owned()],
        })
    }
}

/// An output that is to be supplied; its default may be that of the input of its name.
fn supplied(output: &Parameter, inputs: &[Parameter]) -> Parameter {
    let mut output = output.clone();
    let input = inputs.iter().find(|input| input.name == output.name);
    let default = input.and_then(|input| input.default.clone());
    if let (Some(serde_json::Value::Object(from)), Some(default)) =
        (&mut output.value_from, default)
    {
        from.entry("default").or_insert_with(|| default.0.into());
    }
    output
}
