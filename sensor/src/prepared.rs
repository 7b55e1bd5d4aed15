//! Triggers made ready once per spec: condition, dependencies and action compiled. It fires nothing by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tiphys_core::backoff::Backoff;
use tiphys_lang::condition::Condition;

use crate::changed;
use crate::cron::Schedule;
use crate::dependency::Dependency;
use crate::document::Events;
use crate::join::Join;
use crate::parameters::{Notes, Parameter, apply};
use crate::spec::{
    ArtifactSpec, DependencySpec, JoinSpec, PolicySpec, SensorSpec, TemplateEngine, TriggerSpec,
    TriggerTemplateSpec,
};
use crate::triggers::{
    Action, BuildContext, Effect, FireError, Firing, FiringId, Unsupported, World, digest,
};

/// How many changed templates are kept built.
const KEPT_ACTIONS: usize = 64;

/// Whose trigger it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) namespace: String,
    pub(crate) sensor: String,
}

/// A trigger ready to fire.
pub(crate) struct Prepared {
    pub(crate) name: String,
    pub(crate) condition: Condition,
    /// The condition's dependencies, in order of first appearance.
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) launcher: Launcher,
    pub(crate) dlq: Option<Launcher>,
    pub(crate) join: Option<Join>,
    pub(crate) resets: Vec<Schedule>,
    /// Names what the held events of the trigger depend on.
    pub(crate) version: String,
}

/// A template ready to be planned, with how often it is tried.
pub(crate) struct Launcher {
    owner: Owner,
    pub(crate) name: String,
    engine: TemplateEngine,
    pub(crate) policy: Option<PolicySpec>,
    pub(crate) attempts: Backoff,
    /// The action, where no parameter changes the template.
    built: Option<Arc<dyn Action>>,
    parameters: Vec<Parameter>,
    template: Vec<u8>,
    /// The source of the object before any parameter has changed it.
    written: Option<ArtifactSpec>,
    /// The args of an operation before any parameter has changed them.
    args: Vec<String>,
    changed: Mutex<HashMap<Vec<u8>, Arc<dyn Action>>>,
    pub(crate) parallel: usize,
    /// What this build does not do; each firing fails with that.
    pub(crate) unsupported: Option<String>,
}

impl Prepared {
    /// Compiles a trigger. What is wrong with its action is the error; the rest was validated.
    pub(crate) fn new(
        sensor: &SensorSpec,
        trigger: &TriggerSpec,
        owner: &Owner,
        engine: TemplateEngine,
    ) -> Result<Self, FireError> {
        let template = trigger.template.clone().unwrap_or_default();
        let names: Vec<&str> = sensor
            .dependencies
            .iter()
            .map(|spec| spec.name.as_str())
            .collect();
        let condition = if template.conditions.trim().is_empty() {
            Condition::all(&names)
        } else {
            Condition::compile(&template.conditions, &names)
                .map_err(|error| FireError::permanent_from("cannot read the condition", error))?
        };
        let spec_of = |name: &String| sensor.dependencies.iter().find(|spec| spec.name == *name);
        let specs: Vec<&DependencySpec> = condition
            .dependencies()
            .iter()
            .filter_map(spec_of)
            .collect();
        let version = version(&condition, &specs, template.join.as_ref());
        let resets = template.conditions_reset.iter().filter_map(|reset| {
            let by_time = reset.by_time.as_ref()?;
            Schedule::parse(&by_time.cron, &by_time.timezone).ok()
        });
        Ok(Self {
            name: template.name.clone(),
            dependencies: specs
                .iter()
                .map(|spec| Dependency::new(spec, engine))
                .collect(),
            resets: resets.collect(),
            join: template.join.as_ref().map(Join::new),
            condition,
            version,
            launcher: Launcher::new(trigger, owner, engine)?,
            dlq: match &trigger.dlq_trigger {
                Some(dlq) => Some(Launcher::new(dlq, owner, engine)?),
                None => None,
            },
        })
    }
}

impl Prepared {
    /// The first trigger and why it does not run, where none of them does: nobody should think that such a Sensor works.
    pub(crate) fn none_runs<'a>(
        triggers: impl Iterator<Item = &'a Self>,
    ) -> Option<(String, FireError)> {
        let mut first = None;
        for made in triggers {
            let what = made.launcher.unsupported.clone()?;
            first.get_or_insert_with(|| (made.name.clone(), FireError::unsupported(what)));
        }
        first
    }

    /// What this build does not run of it, for people.
    pub(crate) fn cannot_run(&self) -> Vec<String> {
        let name = &self.name;
        let told = |what: &String| FireError::unsupported(what.clone()).to_string();
        let own = self.launcher.unsupported.as_ref().map(|what| {
            let end = match &self.dlq {
                Some(dlq) if dlq.unsupported.is_none() => "its dlqTrigger fires instead",
                _ => "what it would fire for is kept as dead",
            };
            format!("trigger {name:?}: {}; {end}", told(what))
        });
        let dlq = self.dlq.as_ref().and_then(|dlq| dlq.unsupported.as_ref());
        let dlq = dlq.map(|what| format!("dlqTrigger of trigger {name:?}: {}", told(what)));
        own.into_iter().chain(dlq).collect()
    }
}

/// Held events of another version were chosen by other rules.
fn version(condition: &Condition, specs: &[&DependencySpec], join: Option<&JoinSpec>) -> String {
    let mut texts: Vec<String> = specs
        .iter()
        .map(|spec| serde_json::to_string(spec).unwrap_or_default())
        .collect();
    texts.extend(join.and_then(|join| serde_json::to_string(join).ok()));
    let condition = condition.to_string();
    let mut parts = vec![condition.as_str()];
    parts.extend(texts.iter().map(String::as_str));
    digest(&parts)
}

impl Launcher {
    fn new(
        trigger: &TriggerSpec,
        owner: &Owner,
        engine: TemplateEngine,
    ) -> Result<Self, FireError> {
        let template = trigger.template.clone().unwrap_or_default();
        let bytes = serde_json::to_vec(&template)
            .map_err(|error| FireError::permanent_from("cannot write the template", error))?;
        let mut launcher = Self {
            owner: owner.clone(),
            name: template.name.clone(),
            engine,
            policy: trigger.policy.clone(),
            attempts: trigger
                .retry_strategy
                .as_ref()
                .map_or_else(Backoff::once, tiphys_core::backoff::BackoffSpec::backoff),
            built: None,
            parameters: Parameter::list(&trigger.parameters, engine),
            template: bytes,
            written: template.source().cloned(),
            args: template
                .argo_workflow
                .as_ref()
                .map_or_else(Vec::new, |workflow| workflow.args.clone()),
            changed: Mutex::default(),
            parallel: 64,
            unsupported: None,
        };
        match launcher.build(&template) {
            Ok(action) => {
                launcher.parallel = action.parallel();
                launcher.built = launcher.parameters.is_empty().then_some(action);
            }
            // A parameter may give the template what it lacks, but no parameter teaches this build a kind.
            Err(FireError::Unsupported { what }) => {
                launcher.unsupported = Some(what.clone());
                launcher.built = Some(Arc::new(Unsupported::new(what)));
            }
            Err(error) if launcher.parameters.is_empty() => return Err(error),
            Err(_) => {}
        }
        Ok(launcher)
    }

    fn build(&self, template: &TriggerTemplateSpec) -> Result<Arc<dyn Action>, FireError> {
        let cx = BuildContext {
            engine: self.engine,
            policy: self.policy.as_ref(),
            written: self.written.as_ref(),
            args: &self.args,
        };
        template.build(&cx).map(Arc::from)
    }

    /// The action for these events.
    fn action(&self, events: &Events, notes: &Notes) -> Result<Arc<dyn Action>, FireError> {
        if let Some(action) = &self.built {
            return Ok(Arc::clone(action));
        }
        let applied = apply(&self.parameters, &self.template, events, notes).map_err(|error| {
            FireError::permanent_from("cannot apply the trigger's parameters", error)
        })?;
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(action) = changed.get(&applied.document) {
            return Ok(Arc::clone(action));
        }
        let template: TriggerTemplateSpec = changed::read(&applied.document)
            .map_err(|said| FireError::permanent_from("cannot read the changed template", said))?;
        let action = self.build(&template)?;
        if changed.len() >= KEPT_ACTIONS {
            changed.clear();
        }
        changed.insert(applied.document, Arc::clone(&action));
        Ok(action)
    }

    /// What names a firing of these events.
    pub(crate) fn firing_id<'a>(&'a self, events: &'a Events) -> FiringId<'a> {
        FiringId::new(
            &self.owner.namespace,
            &self.owner.sensor,
            &self.name,
            events,
        )
    }

    /// Everything but the effect.
    pub(crate) async fn plan(
        &self,
        events: &Events,
        id: &FiringId<'_>,
        world: &World,
        notes: &Notes,
    ) -> Result<Box<dyn Effect>, FireError> {
        let action = self.action(events, notes)?;
        let fetched = match action.source() {
            // Boxed: every event's future would have room for all that reading may ever need.
            Some(source) => {
                let read = world.artifacts.read(source, world.secrets.as_ref());
                Some(Box::pin(read).await?)
            }
            None => None,
        };
        self.finish(action.as_ref(), events, id, fetched.as_deref(), notes)
    }

    /// Everything but the effect, with nothing read from outside.
    pub(crate) fn plan_dry(
        &self,
        events: &Events,
        id: &FiringId<'_>,
    ) -> Result<Box<dyn Effect>, FireError> {
        let action = self.action(events, &Notes::OFF)?;
        self.finish(action.as_ref(), events, id, None, &Notes::OFF)
    }

    fn finish(
        &self,
        action: &dyn Action,
        events: &Events,
        id: &FiringId<'_>,
        fetched: Option<&[u8]>,
        notes: &Notes,
    ) -> Result<Box<dyn Effect>, FireError> {
        let firing = Firing {
            namespace: &self.owner.namespace,
            sensor: &self.owner.sensor,
            trigger: &self.name,
            events,
            id,
            at: Timestamp::now(),
            notes,
        };
        action.plan(&firing, fetched)
    }
}
