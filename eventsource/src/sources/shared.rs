//! Pieces that several kinds of source share: watched paths, and the checks that recur. Types and validation only.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::refs::KeyRef;
use tiphys_core::spec::{BasicAuthSpec, TlsSpec};

/// Which files of a directory are watched.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct WatchPathSpec {
    /// The directory, absolute.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// The one file in it; relative.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The files in it, as a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_regexp: String,
}

impl WatchPathSpec {
    /// Reports everything that keeps the files from being watched.
    pub fn validate(&self, problems: &mut Problems) {
        problems.require(
            "directory",
            &self.directory,
            " to an absolute path, as /data/",
        );
        if !self.directory.is_empty() && !self.directory.starts_with('/') {
            problems.at("directory", |problems| {
                problems.error("must be an absolute path, as /data/");
            });
        }
        match (self.path.is_empty(), self.path_regexp.is_empty()) {
            (true, true) => problems.error("must have path, as x.txt, or pathRegexp, as .*[.]txt"),
            (false, false) => problems.error("must have one of path and pathRegexp, not both"),
            _ => {}
        }
        if self.path.starts_with('/') {
            problems.at("path", |problems| {
                problems.error("must be relative to directory, without `/` at its start");
            });
        }
        if let Err(why) = tiphys_lang::re2::compile(&self.path_regexp) {
            problems.at("pathRegexp", |problems| {
                problems.error(format!("must be a regular expression: {why}"));
            });
        }
    }
}

/// Checks a reference that may be absent.
pub(crate) fn check_ref(key: &str, reference: Option<&KeyRef>, problems: &mut Problems) {
    if let Some(reference) = reference {
        problems.at(key, |problems| reference.validate(problems));
    }
}

/// Something with a check of its own.
pub(crate) trait Check {
    fn check(&self, problems: &mut Problems);
}

impl Check for TlsSpec {
    fn check(&self, problems: &mut Problems) {
        self.validate(problems);
    }
}

impl Check for BasicAuthSpec {
    fn check(&self, problems: &mut Problems) {
        self.validate(problems);
    }
}

impl Check for tiphys_core::backoff::BackoffSpec {
    fn check(&self, problems: &mut Problems) {
        self.validate(problems);
    }
}

impl Check for tiphys_core::spec::SaslSpec {
    fn check(&self, problems: &mut Problems) {
        self.validate(problems);
    }
}

/// Checks a part that may be absent.
pub(crate) fn check_optional<C: Check>(key: &str, part: Option<&C>, problems: &mut Problems) {
    if let Some(part) = part {
        problems.at(key, |problems| part.check(problems));
    }
}

/// Reports a list without elements.
pub(crate) fn check_list<T>(key: &str, items: &[T], remedy: &str, problems: &mut Problems) {
    if items.is_empty() {
        problems.at(key, |problems| {
            problems.error(format!("must have at least one element{remedy}"));
        });
    }
}
