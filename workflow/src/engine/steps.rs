//! Steps: groups one after the other, the steps of a group side by side (reference `workflow-engine.md`, section 2.6).
//! It never runs a command itself.

use std::sync::Arc;

use kube::ResourceExt as _;

use super::scope::Scope;
use super::{Call, NodeEnd, Run, Unwind};
use crate::names::node_id;
use crate::resource::{Arguments, NodePhase, Step, Template};
use crate::substitute::{self, Variables};

impl Run {
    /// Runs a steps template.
    pub(super) async fn steps(
        self: &Arc<Self>,
        id: &str,
        call: &Call<'_>,
        template: &Template,
        inputs: Arguments,
        variables: &Variables,
    ) -> Result<NodeEnd, Unwind> {
        self.record
            .open(id, "Steps", call, NodePhase::Running, |node| {
                node.inputs = inputs;
            });
        let mut variables = variables.clone();
        let mut hang = vec![id.to_owned()];
        let groups = template.steps.as_deref().unwrap_or_default();
        for (index, steps) in groups.iter().enumerate() {
            let group = self
                .group(id, call, template, index, steps, &hang, &variables)
                .await?;
            if group.phase != NodePhase::Succeeded {
                self.record.close(id, NodePhase::Failed, &group.message);
                self.record.save().await?;
                return Ok(NodeEnd {
                    id: id.to_owned(),
                    phase: NodePhase::Failed,
                    message: group.message,
                    outbound: group.outbound,
                });
            }
            for step in steps {
                self.expose(&call.name, index, step, &mut variables);
            }
            hang = group.outbound;
        }
        self.record
            .with(id, |node| node.outbound_nodes.clone_from(&hang));
        self.record.close(id, NodePhase::Succeeded, "");
        self.record.save().await?;
        Ok(NodeEnd {
            id: id.to_owned(),
            phase: NodePhase::Succeeded,
            message: String::new(),
            outbound: hang,
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one group needs all of its surroundings, and nothing else does"
    )]
    async fn group(
        self: &Arc<Self>,
        boundary: &str,
        call: &Call<'_>,
        template: &Template,
        index: usize,
        steps: &[Step],
        hang: &[String],
        variables: &Variables,
    ) -> Result<NodeEnd, Unwind> {
        let name = format!("{}[{index}]", call.name);
        let id = node_id(&self.workflow.name_any(), &name);
        let node = Call {
            name: name.clone(),
            display_name: format!("[{index}]"),
            boundary,
            scope: call.scope.clone(),
            template: "",
            template_ref: None,
            arguments: Arguments::default(),
            capture: false,
            depth: call.depth,
        };
        let failed = |phase, message: String| NodeEnd {
            id: id.clone(),
            phase,
            message,
            outbound: vec![id.clone()],
        };
        // What went well in an earlier run of the same object stays as it is.
        let settled = self.record.done(&id);
        let settled = settled.is_some_and(|end| end.phase == NodePhase::Succeeded);
        if !settled {
            self.record
                .open(&id, "StepGroup", &node, NodePhase::Running, |_| {});
        }
        self.record.link(hang, &id);
        let mut resolved = Vec::with_capacity(steps.len());
        for step in steps {
            match substitute::apply(step, variables) {
                Ok(step) => resolved.push(step),
                Err(error) => {
                    let message = error.to_string();
                    self.record.close(&id, NodePhase::Error, &message);
                    return Ok(failed(NodePhase::Error, message));
                }
            }
        }
        let calls = resolved.iter().map(|step| {
            let reference = step.template_ref.as_ref();
            let step_name = format!("{name}.{}", step.name);
            let step_id = node_id(&self.workflow.name_any(), &step_name);
            let group = id.clone();
            let call = Call {
                name: step_name,
                display_name: step.name.clone(),
                boundary,
                scope: reference.map_or_else(|| call.scope.clone(), Scope::of),
                template: reference.map_or(step.template.as_str(), |reference| {
                    reference.template.as_str()
                }),
                template_ref: reference,
                arguments: step.arguments.clone(),
                capture: substitute::mentions(
                    template,
                    &format!("steps.{}.outputs.result", step.name),
                ),
                depth: call.depth + 1,
            };
            self.record.link(&[group], &step_id);
            self.call(call)
        });
        // Siblings are never cut off when one fails, so all are waited for.
        let ends = futures::future::join_all(calls).await;
        let ends = ends.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Some(bad) = ends
            .iter()
            .find(|end| matches!(end.phase, NodePhase::Failed | NodePhase::Error))
        {
            let message = format!("child '{}' failed", bad.id);
            self.record.close(&id, NodePhase::Failed, &message);
            return Ok(failed(NodePhase::Failed, message));
        }
        if !settled {
            self.record.close(&id, NodePhase::Succeeded, "");
        }
        let mut outbound: Vec<_> = ends.into_iter().flat_map(|end| end.outbound).collect();
        if outbound.is_empty() {
            outbound.push(id.clone());
        }
        Ok(NodeEnd {
            id,
            phase: NodePhase::Succeeded,
            message: String::new(),
            outbound,
        })
    }

    /// Makes what a finished step gave known to later groups.
    fn expose(&self, parent: &str, group: usize, step: &Step, variables: &mut Variables) {
        let name = format!("{parent}[{group}].{}", step.name);
        let id = node_id(&self.workflow.name_any(), &name);
        let Some(node) = self.record.node(&id) else {
            return;
        };
        let mut set = |key: &str, value: String| {
            variables.insert(format!("steps.{}.{key}", step.name), value)
        };
        set("id", node.id.clone());
        set("status", node.phase.as_str().to_owned());
        set("startedAt", node.started_at.clone().unwrap_or_default());
        set("finishedAt", node.finished_at.clone().unwrap_or_default());
        if let Some(outputs) = node.outputs {
            if let Some(code) = outputs.exit_code {
                set("exitCode", code);
            }
            if let Some(result) = outputs.result {
                set("outputs.result", result);
            }
            for parameter in outputs.parameters {
                if let Some(value) = parameter.value {
                    set(&format!("outputs.parameters.{}", parameter.name), value.0);
                }
            }
        }
    }
}
