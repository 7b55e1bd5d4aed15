//! One file for each command.

pub(crate) mod again;
pub(crate) mod controller;
pub(crate) mod crds;
pub(crate) mod dead;
pub(crate) mod demo;
pub(crate) mod eval;
pub(crate) mod events;
pub(crate) mod get;
pub(crate) mod lint;
pub(crate) mod list;
pub(crate) mod logs;
pub(crate) mod migrate;
pub(crate) mod object;
pub(crate) mod operator;
pub(crate) mod place;
pub(crate) mod pooled;
pub(crate) mod rbac;
pub(crate) mod render;
pub(crate) mod replay;
pub(crate) mod run;
pub(crate) mod submit;
pub(crate) mod test;
pub(crate) mod verbs;
pub(crate) mod wait;
pub(crate) mod webhook;
pub(crate) mod why;
