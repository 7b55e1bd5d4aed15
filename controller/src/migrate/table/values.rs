//! What becomes of values on their way through templates and scripts.

use super::super::Level::{Differs, Stops};
use super::super::detect::values;
use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "number-digits",
        "JSON numbers are floats in templates: `1000000` prints `1e+06`, `9007199254740993` loses its last digit",
        "numbers keep their digits and answer to both integer and float uses",
        "values are lossless",
    )
    .found(
        Differs,
        "look at what the template makes of a number that has no exponent: `tiphys eval gotemplate TEMPLATE --input FILE`",
        values::numbers,
    ),
    row(
        "template-environment",
        "Sprig's `env`, `expandenv` and `getHostByName`",
        "withheld, with an error that says so",
        "a template must not read the environment of the process or ask the network",
    )
    .found(
        Stops,
        "write the value into the Sensor, or take it from the event",
        values::environment,
    ),
    row(
        "lua-sandbox",
        "Lua scripts have `os`, `io`, `goto` and no limit",
        "sandboxed, with limits on steps and memory, and without `goto`; what a script copies or computes is a float as in Argo, exact up to 2^53, and numbers that it leaves alone keep their digits",
        "one script must not stop the process",
    )
    .found(
        Stops,
        "take times and values from the event",
        values::lua,
    ),
];
