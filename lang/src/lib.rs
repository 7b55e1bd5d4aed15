//! The small languages of Argo's YAML, one module each behind one function.
//!
//! ```text
//!  text of the spec ──compile──▶ program ──eval(input)──▶ value or text, or a typed error with its position
//! ```
//!
//! | Module | Dialect | Where it stands in the YAML |
//! |---|---|---|
//! | [`path`] | [`gjson`], or [`jsonpath`] after `$.` and `$[` | `dataKey`, `contextKey`, paths of filters |
//! | [`sjson`] | sjson | `dest` of parameters |
//! | [`gotemplate`] | Go templates with Sprig | `dataTemplate`, `contextTemplate`, templates of filters |
//! | [`handlebars`] | Handlebars | the same, with `templateEngine: handlebars` |
//! | [`expr`] | expr-lang | `filter.expression` of event sources |
//! | [`govaluate`] | govaluate | `filters.exprs` of sensors |
//! | [`condition`] | boolean words over dependencies | `conditions` of triggers |
//! | [`jq`] | jq | `transform.jq` of dependencies |
//! | [`lua`] | Lua 5.1 | `transform.script` and `filters.script` |
//!
//! They share [`Value`], whose numbers keep their digits, [`json`], and the private module `go`, which does
//! what Go's own library does.
//!
//! Each dialect compiles once, evaluates many times, never panics, and is bounded in depth, steps and output.
//! This crate is pure: no files, no network, no environment, no clock but the one that a template asks for.

pub mod condition;
pub mod expr;
pub mod gjson;
mod go;
pub mod gotemplate;
pub mod govaluate;
pub mod handlebars;
pub mod jq;
pub mod json;
pub mod jsonpath;
pub mod lua;
pub mod pages;
pub mod path;
pub mod sjson;
pub mod value;

pub use go::re2;
pub use value::{Map, Number, Value};
