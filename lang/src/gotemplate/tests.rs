//! What the table of cases cannot show: random results, limits, hostile templates.
use super::*;
