//! Dependencies, conditions and triggers.

use super::super::Level::{Differs, Safer, Stops};
use super::super::detect::{sensors, triggers, values};
use super::{Difference, row};

pub(super) const ROWS: &[Difference] = &[
    row(
        "read-before-run",
        "a condition with an unusable name, a path or a template that cannot be read: a dead trigger and a log line",
        "refused when the object is read, with the place",
        "a sensor that looks healthy and does nothing is the worst failure",
    )
    .found(Stops, "mend what is named; `tiphys lint` shows it with its line", sensors::errors),
    row(
        "trigger-not-built",
        "a trigger that cannot be built is a log line at each event, and the event is gone",
        "the other triggers of the Sensor run; its status, its log, `lint` and admission name the one and the reason, and what it would fire for is dead with that reason: its `dlqTrigger` fires, or `tiphys dead redrive` brings it to a build that runs the kind. A Sensor of which nothing can run does not start",
        "nothing silent, and nothing lost",
    )
    .found(
        Stops,
        "leave this Sensor with Argo Events, or change the trigger: only the others of the Sensor run",
        sensors::not_built,
    ),
    row(
        "source-not-built",
        "every kind of source runs",
        "the kinds that this build cannot run are read and checked, and their EventSource says so in its status",
        "",
    )
    .found(
        Stops,
        "leave this EventSource with Argo Events; Sensors of either side take its events from the same bus",
        sensors::source_not_built,
    ),
    row(
        "condition-names",
        "names with `-` and `_` are folded in conditions",
        "folded only where no exact name exists",
        "two dependencies must not collide",
    )
    .found(
        Differs,
        "look which of the two dependencies the conditions mean",
        sensors::folded_names,
    ),
    row(
        "or-filters",
        "under `filtersLogicalOperator: or` a filter that errors discards the event",
        "the event passes if another filter passes",
        "the documentation says so",
    )
    .found(
        Differs,
        "expect events that were dropped until now",
        sensors::or_filters,
    ),
    row(
        "join",
        "an AND takes the last event of each dependency, whatever it belongs to",
        "the same, and `join: {key, within}` where events must belong together",
        "pairs that do not belong together are the loudest complaint",
    ),
    row(
        "order-by",
        "events of one subject start in order and end in any",
        "the same, and `orderBy` where the order of a key matters, over all replicas and restarts",
        "",
    ),
    row(
        "wildcards",
        "names of sources and events are exact",
        "`*` stands for every one",
        "one Sensor for a whole source",
    )
    .found(
        Differs,
        "a `*` in a name takes more than the one event now",
        sensors::wildcards,
    ),
    row(
        "start-from",
        "a Sensor sees what comes after its first subscription",
        "the same, and the annotation `tiphys.dev/start-from` chooses",
        "stored events can be used",
    ),
    row(
        "own-consumers",
        "one consumer for each trigger and subject, its name hashed to 32 bits; events held for a condition are kept under Argo's keys",
        "one consumer for each trigger, its name unambiguous, and a state of its own: a Sensor that is moved goes on where Argo's consumers ended, but what Argo's held for a condition is not carried over",
        "names collided, and reordering a condition skipped events",
    )
    .found(
        Differs,
        "move when nothing is held, or send the events again that met no partner yet",
        sensors::held_halves,
    ),
    row(
        "dead-events",
        "an event that is given up is gone",
        "it is kept with its reason: `tiphys dead`",
        "nothing unaccounted",
    ),
    row(
        "decisions",
        "a filtered event is a debug line",
        "a decision with each filter's wish and what it met: `tiphys why`",
        "\"why did my sensor not fire?\" has an answer",
    ),
    row(
        "absent-payload-item",
        "a payload item of an absent dependency crashes the sensor",
        "the item is left out",
        "one event must not stop the process",
    ),
    row(
        "rate-limit",
        "`rateLimit` with `requestsPerUnit: 0` crashes the sensor; 3 per minute lets a burst of 11 through",
        "refused, with the place; exact, over all replicas and restarts, and events wait on the bus",
        "the same",
    )
    .found(
        Differs,
        "raise requestsPerUnit where you rely on the burst after a pause",
        triggers::rate_limit,
    ),
    row(
        "target-away",
        "a target that is away or answers 429 or 5xx costs the event after the attempts",
        "the event is delivered again, 1 to 60 s apart, until the target is back; a `dlqTrigger` bounds that. An answer to `http` counts only where `policy.status` refuses it: without a policy every answer is a success, as before",
        "an outage of the target must lose nothing",
    )
    .found(
        Safer,
        "write a dlqTrigger where an event must not wait",
        triggers::target_away,
    ),
    row(
        "default-operation",
        "`argoWorkflow.operation` must be given",
        "none means `submit`, as the documentation says",
        "",
    ),
    row(
        "no-argo-program",
        "the `argoWorkflow` trigger starts the `argo` program, which `ARGO_…` variables of the pod can redirect",
        "the Workflow is created and changed through the API of the cluster; those variables have no effect",
        "a process for each event is slow, and the image is smaller without it",
    )
    .found(
        Differs,
        "give the service account the rights itself: `tiphys rbac SENSOR.yaml` prints them",
        triggers::argo_environment,
    ),
    row(
        "submit-from",
        "`submit-from` reports a failure after each success, and a policy after `submit` always fails",
        "both look at the Workflow that was made",
        "",
    )
    .found(
        Differs,
        "take out what was written around the failures, such as many attempts",
        triggers::submit_from,
    ),
    row(
        "submit-from-labels",
        "the Workflow of a `submit-from` has no `events.argoproj.io` labels",
        "it has those that `submit` gives",
        "one selector finds all that a Sensor has made",
    ),
    row(
        "operation-args",
        "a flag in `args` that the `argo` program does not know fails at each event",
        "`lint` and admission name it; `--dry-run` and flags that name a server or an account are refused, flags that only print have no effect",
        "what can never work is told before",
    ),
    row(
        "operations-once",
        "a redelivered event retries, resubmits or stops a second time",
        "a new Workflow has a name of the events, and a changed one remembers the firing in the annotation `tiphys.dev/operations`",
        "at least once must not do twice",
    ),
    row(
        "retry-all",
        "`retry` leaves a step that waited and was stopped, and one that could not begin, as failed",
        "they run again",
        "a retry that changes nothing helps nobody",
    ),
    row(
        "discovery",
        "the plural of a kind is guessed and five kinds are known to be in no namespace; JSON patches and apply patches cannot work",
        "the API server is asked; every `patchStrategy` works",
        "",
    ),
    row(
        "url-certificate",
        "a `url` source takes any certificate unless `verifyCert: true`",
        "certificates are checked unless `verifyCert: false` is written out",
        "what comes from there is created in the cluster",
    )
    .found(
        Differs,
        "write verifyCert: false where the server's certificate cannot be checked",
        triggers::url_certificate,
    ),
    row(
        "private-addresses",
        "`url`, `git` and `s3` sources may be anywhere, redirects included",
        "at a private address only where the annotation `tiphys.dev/allow-private-addresses` allows it, or the spec itself names the bucket's host",
        "a source must not read what only the cluster may see",
    )
    .found(
        Differs,
        "name the host in the annotation tiphys.dev/allow-private-addresses",
        triggers::private_source,
    ),
    row(
        "source-size",
        "a source of more than 512 KiB (`url`) or 1.2 MB (`s3`) is cut there",
        "refused above 1.5 MiB",
        "half an object is none",
    ),
    row(
        "git-ssh",
        "a `git` source over ssh logs in as `git`, and knows a server by the files of `SSH_KNOWN_HOSTS`, or by `~/.ssh/known_hosts` and `/etc/ssh/ssh_known_hosts`",
        "as the user that the URL names, else as `git`; by the key `known_hosts` of the same Secret too, and GitHub, GitLab, Bitbucket and Azure DevOps by the keys that they publish",
        "a host key belongs beside the key that is shown to the host, and pods have neither file",
    ),
    row(
        "git-no-clone",
        "a `git` source is cloned into a folder, with its submodules",
        "only what leads to the file is fetched, into memory: `cloneDirectory` has no effect, submodules are not read",
        "a folder of a pod fills up and is shared by firings",
    ),
    row(
        "file-confined",
        "a `file` source may be any file of the pod",
        "an absolute path, links that stay in its folder, nothing of `/proc`, `/dev` or the pod's credentials; a parameter chooses within the folder that the spec names",
        "an event must not choose what is read",
    ),
    row(
        "consumers-removed",
        "a `Sensor` that is deleted, renamed or moved to another `EventBus` leaves its consumers and state on the bus",
        "they are removed, also where nobody ran at that moment: by the controller, a minute later (`--forget-after`)",
        "what nobody reads any more keeps a full stream from making room",
    ),
    row(
        "no-subscription-503",
        "a source accepts events while a Sensor of the same bus cannot subscribe yet",
        "the source answers 503 until the subscription stands",
        "the events before it would never reach that Sensor",
    ),
    row(
        "handlebars",
        "handlebars templates do not exist",
        "`templateEngine: handlebars` beside a template, or the annotation `tiphys.dev/template-engine`",
        "chosen, never guessed",
    ),
    row(
        "jsonpath",
        "paths are gjson",
        "a path that starts with `$.` or `$[` is RFC 9535 JSONPath",
        "",
    )
    .found(
        Differs,
        "escape the first character, as \\$, where a member's name really begins with $",
        values::jsonpath,
    ),
];
