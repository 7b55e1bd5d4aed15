//! Detectors: each finds the places of an object that meet one difference. They decide nothing about what that means.

pub(super) mod bus;
pub(super) mod cluster;
pub(super) mod delivery;
pub(super) mod sensors;
pub(super) mod sources;
pub(super) mod triggers;
pub(super) mod values;
