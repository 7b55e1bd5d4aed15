//! Running sensors.
