//! What differs from Go and Sprig, and why: the documentation is made of it.
//! It never lists what is merely unfinished.

/// Where a template behaves otherwise than in Argo, and the reason.
pub const DIFFERENCES: &[(&str, &str)] = &[
    (
        "a JSON number keeps its digits",
        "Go makes every JSON number a float64, so that 1234567 prints as 1.234567e+06 and large ids lose digits",
    ),
    (
        "a whole JSON number is accepted where Go wants an integer (`printf \"%d\"`, `until`, `index`, `eq .x 1`)",
        "in Go each of these is an error until the number is passed through `int`",
    ),
    (
        "`date` and `duration` take a JSON number as seconds",
        "in Go a float is no date, and the current time is printed instead",
    ),
    (
        "`keys` and `values` are sorted",
        "Go gives them in a random order",
    ),
    (
        "`env`, `expandenv` and `getHostByName` are withheld",
        "a template is no place to read secrets or the network from",
    ),
    (
        "`genPrivateKey` makes ECDSA and Ed25519 keys only, and certificates get an ECDSA P-256 key",
        "making RSA and DSA keys takes seconds, which a trigger cannot wait for",
    ),
    (
        "complex numbers and `%p` are refused",
        "they have no use in a trigger",
    ),
    (
        "a regular expression does not match bytes that are not UTF-8",
        "in Go such a byte matches like U+FFFD; the texts of JSON never hold one",
    ),
    (
        "depth, steps, memory and output of a template are bounded",
        "in Go a template can exhaust the stack or the memory of its process",
    ),
    (
        "`Local` is the zone of the limits, UTC unless it is set",
        "the result does not depend on the machine",
    ),
];

/// The names of all functions that a template can call, sorted.
#[must_use]
pub fn function_names() -> Vec<&'static str> {
    let mut names: Vec<_> = super::funcs::names().collect();
    names.sort_unstable();
    // Sprig's `slice` hides the built-in one.
    names.dedup();
    names
}
