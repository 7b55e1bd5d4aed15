//! What a webhook takes and answers.

use super::super::Level::{Differs, Stops};
use super::super::detect::sources;
use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "empty-method",
        "an empty `method` refuses every request",
        "it stands for POST",
        "nobody means \"refuse everything\"",
    )
    .found(
        Differs,
        "expect requests that were refused until now",
        sources::no_method,
    ),
    row(
        "more-methods",
        "PUT, PATCH and DELETE are refused",
        "they work as POST does",
        "senders use them",
    )
    .found(
        Differs,
        "expect requests that were refused until now",
        sources::other_method,
    ),
    row(
        "status-codes",
        "wrong method 400, too large 400, bus away 500, each as text",
        "405 with `Allow`, 413, 408, 503 with `Retry-After`, each with a short JSON body",
        "senders and people can tell them apart",
    ),
    row(
        "other-bodies",
        "a body that is not JSON is refused",
        "JSON is taken as JSON whatever its type; with another content type the body becomes base64 text with `bodyEncoding: base64` beside it",
        "XML, text and binary senders exist",
    ),
    row(
        "forms",
        "a form type with `; charset` is not taken as a form; `maxPayloadSize` does not bind forms",
        "it is, and it does",
        "",
    ),
    row(
        "cloudevents",
        "an incoming CloudEvent loses its id, type and time",
        "they are kept; the sender's `source` is the extension `cesource`, because the envelope's own names the EventSource",
        "traces and de-duplication need them",
    ),
    row(
        "shared-ports",
        "two kinds cannot share a port; the second event on a path is dead in silence",
        "ports are shared by all objects; the later one of two equal paths is reported on itself and takes over when the first goes",
        "",
    ),
    row(
        "half-tls",
        "only one of certificate and key serves plain HTTP",
        "refused, with the place",
        "nobody means that",
    )
    .found(
        Stops,
        "name both serverCertSecret and serverKeySecret, or neither",
        sources::half_tls,
    ),
    row(
        "constant-time",
        "tokens are compared in a time that depends on them",
        "constant time",
        "",
    ),
    row(
        "time-limits",
        "no time limits on headers and bodies",
        "both are limited",
        "one slow sender must not hold a connection for ever",
    ),
    row(
        "json-depth",
        "JSON may nest without end",
        "499 levels",
        "no document may overflow a stack",
    ),
];
