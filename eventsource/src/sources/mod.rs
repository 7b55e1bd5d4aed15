//! One file for each kind of source: its page, its fields, its rules, its running half.

pub(crate) mod webhook;
