//! placeholder

pub(crate) mod gofmt;
pub(crate) mod layout;
pub(crate) mod re2;
