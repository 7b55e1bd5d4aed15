//! Everything that is wrong with a Sensor, found without a cluster (reference `bus-and-sensor.md`, sections 6.5 and 14).
//! It compiles every template, path, expression, pattern, condition and script, and changes nothing.

use std::collections::BTreeMap;

use tiphys_core::Problems;
use tiphys_core::manifest::Document;
use tiphys_lang::condition::Condition;

use super::misplaced::misplaced;
use super::scope::check_path;
use super::{
    JoinSpec, ParameterSpec, START_FROM_ANNOTATION, Scope, Sensor, SensorSpec, StartFrom,
    TEMPLATE_ENGINE_ANNOTATION, TemplateEngine, TriggerSpec, template_engine,
};
use crate::artifacts::{PRIVATE_ADDRESSES_ANNOTATION, PrivateAddresses};
use crate::cron;

impl Sensor {
    /// Reads a document and reports everything wrong with it, with the path from the object's root.
    ///
    /// `None` means that it is beyond reading.
    #[must_use]
    pub fn read(document: &Document, problems: &mut Problems) -> Option<Self> {
        let sensor: Self = document.typed(problems)?;
        problems.reword(misplaced);
        sensor.validate(problems);
        Some(sensor)
    }

    /// Reports everything wrong.
    pub fn validate(&self, problems: &mut Problems) {
        let none = BTreeMap::new();
        let annotations = self.metadata.annotations.as_ref().unwrap_or(&none);
        let engine = template_engine(annotations).unwrap_or_else(|_| {
            problems.at("metadata", |problems| {
                problems.at("annotations", |problems| {
                    problems.at(TEMPLATE_ENGINE_ANNOTATION, |problems| {
                        problems.error("must be go or handlebars");
                    });
                });
            });
            TemplateEngine::Go
        });
        problems.at("metadata", |problems| {
            let name = self.metadata.name.as_deref().unwrap_or_default();
            problems.require("name", name, " to the sensor's name");
            bus_word("name", name, problems);
        });
        if let Err(said) = StartFrom::new(annotations) {
            problems.at("metadata", |problems| {
                problems.at("annotations", |problems| {
                    problems.at(START_FROM_ANNOTATION, |problems| problems.error(said));
                });
            });
        }
        if let Err(said) = PrivateAddresses::new(annotations) {
            problems.at("metadata", |problems| {
                problems.at("annotations", |problems| {
                    problems.at(PRIVATE_ADDRESSES_ANNOTATION, |problems| {
                        problems.error(said);
                    });
                });
            });
        }
        problems.at("spec", |problems| self.spec.validate_with(engine, problems));
    }
}

impl SensorSpec {
    /// Reports everything wrong, with paths from `spec`'s members on. Templates are Go's.
    pub fn validate(&self, problems: &mut Problems) {
        self.validate_with(TemplateEngine::Go, problems);
    }

    /// Reports everything wrong; templates that name no engine are of this one.
    pub fn validate_with(&self, engine: TemplateEngine, problems: &mut Problems) {
        if self.dependencies.is_empty() {
            problems.at("dependencies", |problems| {
                problems.error("must name at least one event that is waited for");
            });
        }
        let mut seen: Vec<&str> = Vec::new();
        problems.at("dependencies", |problems| {
            for (index, dependency) in self.dependencies.iter().enumerate() {
                problems.at_index(index, |problems| {
                    dependency.validate(engine, problems);
                    unique(&mut seen, &dependency.name, problems);
                });
            }
        });
        if self.triggers.is_empty() {
            problems.at("triggers", |problems| {
                problems.error("must name at least one thing to do");
            });
        }
        let scope = Scope {
            dependencies: &seen,
            engine,
            matched: &[],
            args_change: false,
        };
        let mut names: Vec<&str> = Vec::new();
        problems.at("triggers", |problems| {
            for (index, trigger) in self.triggers.iter().enumerate() {
                problems.at_index(index, |problems| {
                    trigger.validate(&scope, problems);
                    if let Some(template) = &trigger.template {
                        problems.at("template", |problems| {
                            unique(&mut names, &template.name, problems);
                        });
                    }
                });
            }
        });
    }
}

fn unique<'a>(seen: &mut Vec<&'a str>, name: &'a str, problems: &mut Problems) {
    if !name.is_empty() && seen.contains(&name) {
        problems.at("name", |problems| {
            problems.error(format!("must be unique; {name:?} is there before"));
        });
    }
    seen.push(name);
}

/// Names travel in subjects of the bus, where these characters have a meaning.
pub(super) fn bus_word(key: &str, name: &str, problems: &mut Problems) {
    let special = |c: char| matches!(c, '.' | '>' | '*') || c.is_whitespace();
    if name != "*" && name.contains(special) {
        problems.at(key, |problems| {
            problems.error("must not contain dots, blanks, `*` or `>`: it is a word on the bus");
        });
    }
}

impl JoinSpec {
    fn validate(&self, problems: &mut Problems) {
        if self.keys.is_empty() {
            problems.require("key", &self.key, ", as body.sha");
        }
        if !self.key.is_empty() {
            problems.at("key", |problems| check_path(&self.key, false, problems));
        }
        problems.at("keys", |problems| {
            for (name, path) in &self.keys {
                problems.at(name, |problems| check_path(path, false, problems));
            }
        });
        problems.at("within", |problems| {
            match tiphys_core::duration::parse(&self.within) {
                Ok(within) if within.is_zero() => problems.error("must be more than 0, as 30m"),
                Ok(_) => {}
                Err(_) => problems.error("must be set to a duration, as 30m"),
            }
        });
    }
}

impl TriggerSpec {
    fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        let Some(template) = &self.template else {
            problems.at("template", |problems| {
                problems.error("must be set, with a name and one kind of trigger");
            });
            return;
        };
        let args = |parameter: &ParameterSpec| parameter.dest.starts_with("argoWorkflow.args");
        let condition = Condition::compile(&template.conditions, scope.dependencies).ok();
        let own: Vec<&str> = condition
            .iter()
            .flat_map(Condition::dependencies)
            .map(String::as_str)
            .collect();
        let scope = &Scope {
            // A dlqTrigger fires with the events of its trigger, whatever condition it writes.
            matched: if scope.matched.is_empty() {
                &own
            } else {
                scope.matched
            },
            args_change: self.parameters.iter().any(args),
            ..*scope
        };
        problems.at("template", |problems| {
            template.validate(scope, problems);
            scope.condition(&template.conditions, problems);
            if let Some(join) = &template.join {
                problems.at("join", |problems| join.validate(problems));
            }
        });
        if !self.order_by.is_empty() {
            problems.at("orderBy", |problems| {
                check_path(&self.order_by, false, problems);
            });
        }
        scope.parameters("parameters", &self.parameters, problems);
        super::dest::check(template, &self.parameters, problems);
        if let Some(retry) = &self.retry_strategy {
            problems.at("retryStrategy", |problems| {
                retry.validate(problems);
                if retry.steps == Some(1) {
                    problems.warning("has one step, so nothing is tried again; write 2 or more");
                }
            });
        }
        if let Some(limit) = &self.rate_limit {
            problems.at("rateLimit", |problems| {
                if limit.requests_per_unit <= 0 {
                    problems.at("requestsPerUnit", |problems| {
                        problems.error("must be 1 or more");
                    });
                }
                if !["", "Second", "Minute", "Hour"].contains(&limit.unit.as_str()) {
                    problems.at("unit", |problems| {
                        problems.error("must be Second, Minute or Hour");
                    });
                }
            });
        }
        self.validate_policy(problems);
        if let Some(dlq) = &self.dlq_trigger {
            if self.at_least_once == Some(false) {
                problems.at("atLeastOnce", |problems| {
                    problems.error("must not be false beside a dlqTrigger");
                });
            }
            problems.at("dlqTrigger", |problems| {
                if dlq.at_least_once == Some(false) {
                    problems.at("atLeastOnce", |problems| {
                        problems.error("must not be false in a dlqTrigger");
                    });
                }
                if dlq.dlq_trigger.is_some() {
                    problems.at("dlqTrigger", |problems| {
                        problems.warning("has no effect in a dlqTrigger");
                    });
                }
                dlq.validate(scope, problems);
            });
        }
    }

    fn validate_policy(&self, problems: &mut Problems) {
        let Some(policy) = &self.policy else { return };
        problems.at("policy", |problems| {
            if let Some(k8s) = &policy.k8s {
                problems.at("k8s", |problems| {
                    problems.require_some("labels", k8s.labels.as_ref(), ", as {name: value}");
                    if let Some(backoff) = &k8s.backoff {
                        problems.at("backoff", |problems| backoff.validate(problems));
                    }
                });
            }
            if let Some(status) = &policy.status {
                problems.at("status", |problems| {
                    problems.require_some("allow", status.allow.as_ref(), ", as [200, 201]");
                    if status.allow.as_ref().is_some_and(Vec::is_empty) {
                        problems.at("allow", |problems| {
                            problems.warning(
                                "refuses every answer; name those that are good, as [200, 201]",
                            );
                        });
                    }
                });
            }
            let template = self.template.as_ref();
            let object =
                template.is_some_and(|spec| spec.k8s.is_some() || spec.argo_workflow.is_some());
            if policy.k8s.is_some() && !object {
                problems.at("k8s", |problems| {
                    problems.warning("has an effect only for k8s and argoWorkflow triggers");
                });
            }
            let status = template.is_some_and(|spec| {
                spec.http.is_some() || spec.aws_lambda.is_some() || spec.open_whisk.is_some()
            });
            if policy.status.is_some() && !status {
                problems.at("status", |problems| {
                    problems
                        .warning("has an effect only for http, awsLambda and openWhisk triggers");
                });
            }
        });
    }
}

impl super::TriggerTemplateSpec {
    fn validate(&self, scope: &Scope<'_>, problems: &mut Problems) {
        problems.require(
            "name",
            &self.name,
            " to a name that is unique in the sensor",
        );
        problems.each(
            "conditionsReset",
            &self.conditions_reset,
            |reset, problems| {
                let Some(by_time) = &reset.by_time else {
                    problems.at("byTime", |problems| {
                        problems.error("must be set, as {cron: ...}");
                    });
                    return;
                };
                problems.at("byTime", |problems| {
                    if let Err(error) = cron::Schedule::parse(&by_time.cron, &by_time.timezone) {
                        let key = match error {
                            cron::CronError::Zone(_) => "timezone",
                            cron::CronError::Fields | cron::CronError::Field { .. } => "cron",
                        };
                        problems.at(key, |problems| problems.error(error.to_string()));
                    }
                });
            },
        );
        self.validate_kind(scope, problems);
    }
}
