//! The small languages of Argo's YAML, one module each behind one function.
//!
//! ```text
//!  text of the spec ──compile──▶ program ──eval(input)──▶ value or text, or a typed error with its position
//! ```
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
pub mod path;
pub mod sjson;
pub mod value;

pub use value::{Map, Number, Value};
