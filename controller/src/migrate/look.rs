//! An object as detectors look at it: its triggers, sources, templates and scripts with their paths.
//! It reads what is there, whether or not the object is valid.

use serde_json::Value;
use tiphys_core::{Path, Problem};

use crate::check::Checked;

/// The members of an EventSource's spec that are no kind of source.
const NOT_SOURCES: [&str; 4] = ["eventBusName", "replicas", "template", "service"];

/// One object.
pub(super) struct Look<'a> {
    pub(super) object: &'a Value,
    pub(super) kind: &'a str,
    /// What it is, where it can be read.
    pub(super) checked: Option<&'a Checked>,
    /// What keeps it from running.
    pub(super) errors: &'a [&'a Problem],
}

/// A part of an object.
#[derive(Clone)]
pub(super) struct Part<'a> {
    pub(super) path: Path,
    pub(super) value: &'a Value,
}

impl<'a> Part<'a> {
    /// A member that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<Part<'a>> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Part {
            path: self.path.key(key),
            value,
        })
    }

    /// A member further down.
    pub(super) fn down(&self, keys: &[&str]) -> Option<Part<'a>> {
        keys.iter()
            .try_fold(self.clone(), |part, key| part.get(key))
    }

    /// The text of a member; nothing where there is none.
    pub(super) fn text(&self, key: &str) -> &'a str {
        let text = self.value.get(key).and_then(Value::as_str);
        text.unwrap_or_default()
    }

    /// Itself as text.
    pub(super) fn as_text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// The elements of a list.
    pub(super) fn items(&self) -> Vec<Part<'a>> {
        let items = self.value.as_array().into_iter().flatten().enumerate();
        let part = |(index, value)| Part {
            path: self.path.index(index),
            value,
        };
        items.map(part).collect()
    }

    /// The members of a map, by key.
    pub(super) fn members(&self) -> Vec<(&'a str, Part<'a>)> {
        let members = self.value.as_object().into_iter().flatten();
        members
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| {
                let path = self.path.key(key);
                (key.as_str(), Part { path, value })
            })
            .collect()
    }
}

/// One trigger, or the dlqTrigger of one.
#[derive(Clone)]
pub(super) struct Trigger<'a> {
    pub(super) part: Part<'a>,
    /// The key under `template` that fires, and what is under it.
    pub(super) action: Option<(&'static str, Part<'a>)>,
}

impl<'a> Look<'a> {
    /// A member of the spec of an object of this kind.
    pub(super) fn spec(&self, kind: &str, keys: &[&str]) -> Option<Part<'a>> {
        let whole = Part {
            path: Path::default(),
            value: self.object,
        };
        let spec = (self.kind == kind).then(|| whole.get("spec"))??;
        spec.down(keys)
    }

    /// An annotation.
    pub(super) fn annotation(&self, name: &str) -> Option<&'a str> {
        self.object
            .get("metadata")?
            .get("annotations")?
            .get(name)?
            .as_str()
    }

    /// The triggers of a Sensor, each followed by its dlqTrigger.
    pub(super) fn triggers(&self) -> Vec<Trigger<'a>> {
        let mut found = Vec::new();
        let listed = self.spec("Sensor", &["triggers"]);
        for part in listed.iter().flat_map(Part::items) {
            let mut next = Some(part);
            while let Some(part) = next {
                next = part.get("dlqTrigger");
                let template = part.get("template");
                let action = template.and_then(|template| {
                    let mut kinds = tiphys_sensor::triggers::KINDS.into_iter();
                    kinds.find_map(|kind| Some((kind, template.get(kind)?)))
                });
                found.push(Trigger { part, action });
            }
        }
        found
    }

    /// The actions of one kind.
    pub(super) fn actions(&self, kind: &str) -> Vec<Part<'a>> {
        let triggers = self.triggers().into_iter();
        triggers
            .filter_map(|trigger| trigger.action.filter(|(key, _)| *key == kind))
            .map(|(_, part)| part)
            .collect()
    }

    /// The dependencies of a Sensor.
    pub(super) fn dependencies(&self) -> Vec<Part<'a>> {
        let listed = self.spec("Sensor", &["dependencies"]);
        listed.iter().flat_map(Part::items).collect()
    }

    /// The events of an EventSource, with their kind.
    pub(super) fn events(&self) -> Vec<(&'a str, Part<'a>)> {
        let spec = self.spec("EventSource", &[]);
        let kinds = spec.iter().flat_map(Part::members);
        kinds
            .filter(|(kind, _)| !NOT_SOURCES.contains(kind))
            .flat_map(|(kind, events)| {
                let events = events.members().into_iter();
                events
                    .map(move |(_, event)| (kind, event))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Every parameter of every trigger, payload items included: the `src` of each.
    pub(super) fn sources(&self) -> Vec<Part<'a>> {
        let mut lists = Vec::new();
        for trigger in self.triggers() {
            lists.extend(trigger.part.get("parameters"));
            if let Some((_, action)) = trigger.action {
                lists.extend(action.get("parameters"));
                lists.extend(action.get("payload"));
            }
        }
        let items = lists.iter().flat_map(Part::items);
        items.filter_map(|item| item.get("src")).collect()
    }

    /// Every Go template.
    pub(super) fn templates(&self) -> Vec<Part<'a>> {
        let of = |part: &Part<'a>, key: &str| {
            let handlebars = part.text("templateEngine") == "handlebars";
            part.get(key).filter(|_| !handlebars)
        };
        let mut found = Vec::new();
        for src in self.sources() {
            found.extend(of(&src, "dataTemplate"));
            found.extend(of(&src, "contextTemplate"));
        }
        for dependency in self.dependencies() {
            let data = dependency.down(&["filters", "data"]);
            for filter in data.iter().flat_map(Part::items) {
                found.extend(of(&filter, "template"));
            }
        }
        found
    }

    /// Every path of values: of parameters and of filters.
    pub(super) fn paths(&self) -> Vec<Part<'a>> {
        let mut found = Vec::new();
        for src in self.sources() {
            found.extend(src.get("dataKey"));
            found.extend(src.get("contextKey"));
        }
        for dependency in self.dependencies() {
            let data = dependency.down(&["filters", "data"]);
            for filter in data.iter().flat_map(Part::items) {
                found.extend(filter.get("path"));
            }
            let exprs = dependency.down(&["filters", "exprs"]);
            for expr in exprs.iter().flat_map(Part::items) {
                let fields = expr.get("fields");
                let fields = fields.iter().flat_map(Part::items);
                found.extend(fields.filter_map(|field| field.get("path")));
            }
        }
        found
    }

    /// Every Lua script.
    pub(super) fn scripts(&self) -> Vec<Part<'a>> {
        let mut found = Vec::new();
        for dependency in self.dependencies() {
            found.extend(dependency.down(&["filters", "script"]));
            found.extend(dependency.down(&["transform", "script"]));
        }
        found
    }
}

/// The names that a Go template uses as functions: words in its actions that are no field, variable, text or comment.
pub(super) fn words_of_template(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some((_, action)) = rest.split_once("{{") {
        let action = action.trim_start_matches('-').trim_start();
        if let Some(comment) = action.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, after)| after);
            continue;
        }
        rest = words_of_action(action, &mut words);
    }
    words
}

/// Reads up to the end of an action and gives what follows it.
fn words_of_action<'t>(mut rest: &'t str, words: &mut Vec<&'t str>) -> &'t str {
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("}}") {
            return after;
        }
        let (token, after) = match next {
            '"' | '\'' | '`' => split_quoted(rest, next),
            _ if next.is_alphabetic() || next == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                rest.split_at(end.unwrap_or(rest.len()))
            }
            _ => rest.split_at(next.len_utf8()),
        };
        if (next.is_alphabetic() || next == '_') && before != '.' && before != '$' {
            words.push(token);
        }
        before = token.chars().next_back().unwrap_or(' ');
        rest = after;
    }
    rest
}

/// A quoted text and what follows it; a quote that is not closed goes to the end.
fn split_quoted(text: &str, quote: char) -> (&str, &str) {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            escaped = true;
        } else if c == quote {
            return text.split_at(at + c.len_utf8());
        }
    }
    (text, "")
}

/// The names that a Lua script uses as globals: words that are no field, text or comment.
pub(super) fn words_of_script(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(next) = rest.chars().next() {
        let (token, after) = if let Some(comment) = rest.strip_prefix("--") {
            let end = if comment.starts_with("[[") {
                "]]"
            } else {
                "\n"
            };
            (" ", comment.split_once(end).map_or("", |(_, after)| after))
        } else if let Some(long) = rest.strip_prefix("[[") {
            ("]", long.split_once("]]").map_or("", |(_, after)| after))
        } else if next == '"' || next == '\'' {
            split_quoted(rest, next)
        } else if next.is_alphanumeric() || next == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            rest.split_at(end.unwrap_or(rest.len()))
        } else {
            rest.split_at(next.len_utf8())
        };
        if (next.is_alphabetic() || next == '_') && before != '.' && before != ':' {
            words.push(token);
        }
        if !next.is_whitespace() {
            before = token.chars().next_back().unwrap_or(' ');
        }
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_templates_are_functions_and_nothing_else() {
        for (text, words) in [
            ("{{ env \"HOME\" }}", vec!["env"]),
            ("{{ .env }} env {{ $env }}", vec![]),
            (
                "{{- /* env \"X\" */ -}}{{ .a | default (expandenv `$X`) -}}",
                vec!["default", "expandenv"],
            ),
            ("{{ \"env \\\" env\" | upper }}{{ 'e' }}", vec!["upper"]),
            (
                "{{ if eq .Input.env \"env\" }}x{{end}}",
                vec!["if", "eq", "end"],
            ),
            ("{{ env", vec!["env"]),
            ("{{ \"open", vec![]),
            ("{{ ä \"ö", vec!["ä"]),
        ] {
            assert_eq!(words_of_template(text), words, "{text}");
        }
    }

    #[test]
    fn words_of_scripts_are_globals_and_nothing_else() {
        for (text, words) in [
            ("return os.getenv('X')", vec!["return", "os"]),
            (
                "event.os = 1 -- os.time()\nreturn event",
                vec!["event", "return", "event"],
            ),
            ("--[[ os ]] x = \"io.open\" .. [[ io ]]", vec!["x"]),
            ("s:io()", vec!["s"]),
            ("return 'open", vec!["return"]),
        ] {
            assert_eq!(words_of_script(text), words, "{text}");
        }
    }
}
