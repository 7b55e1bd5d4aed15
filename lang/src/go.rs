//! What Go's own library does and several dialects show: times, regular expressions, printed numbers and text.
//! It knows no dialect and never decides what one of them allows.

pub(crate) mod float;
pub(crate) mod layout;
pub(crate) mod print;
pub(crate) mod quote;
pub mod re2;
pub(crate) mod time;
