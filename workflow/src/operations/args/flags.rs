//! The flags that each verb takes, and what each is for. Tables only.

use super::Verb;

/// What a flag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    Name,
    GenerateName,
    Entrypoint,
    Parameter,
    ParameterFile,
    ServiceAccount,
    Labels,
    Priority,
    ScheduledTime,
    Strict,
    Wait,
    Memoized,
    Selector,
    FieldSelector,
    RestartSuccessful,
    Nodes,
    Message,
    Namespace,
    InstanceId,
    /// Prints or logs, and nobody sees it here.
    Nothing,
    /// Known, and not to be had here.
    Never(&'static str),
}

pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) short: Option<char>,
    /// Whether it stands alone.
    pub(super) alone: bool,
    pub(super) does: Does,
}

const fn text(name: &'static str, does: Does) -> Flag {
    Flag {
        name,
        short: None,
        alone: false,
        does,
    }
}

const fn short(short: char, name: &'static str, does: Does) -> Flag {
    Flag {
        name,
        short: Some(short),
        alone: false,
        does,
    }
}

const fn switch(name: &'static str, does: Does) -> Flag {
    Flag {
        name,
        short: None,
        alone: true,
        does,
    }
}

const fn short_switch(short: char, name: &'static str, does: Does) -> Flag {
    Flag {
        name,
        short: Some(short),
        alone: true,
        does,
    }
}

const DRY: Does =
    Does::Never("with it nothing would be done; `tiphys render` is the dry run of a sensor");
const SERVER: Does = Does::Never("the trigger speaks to the Kubernetes API, not to an Argo Server");
const ACCOUNT: Does =
    Does::Never("the trigger speaks to the API with the sensor's own service account");

const SUBMIT: &[Flag] = &[
    text("name", Does::Name),
    text("generate-name", Does::GenerateName),
    text("entrypoint", Does::Entrypoint),
    short('p', "parameter", Does::Parameter),
    short('f', "parameter-file", Does::ParameterFile),
    text("serviceaccount", Does::ServiceAccount),
    short('l', "labels", Does::Labels),
    switch("strict", Does::Strict),
    switch("dry-run", DRY),
    switch("server-dry-run", DRY),
    text("status", Does::Nothing),
    text("node-field-selector", Does::Nothing),
];
const WAITING: &[Flag] = &[
    short_switch('w', "wait", Does::Wait),
    switch("watch", Does::Nothing),
    switch("log", Does::Nothing),
    short('o', "output", Does::Nothing),
];
const FILE_ONLY: &[Flag] = &[text("priority", Does::Priority)];
const FROM_ONLY: &[Flag] = &[text("scheduled-time", Does::ScheduledTime)];
const RESUBMIT: &[Flag] = &[
    short('p', "parameter", Does::Parameter),
    switch("memoized", Does::Memoized),
    text("priority", Does::Nothing),
];
const RETRY: &[Flag] = &[
    short('p', "parameter", Does::Parameter),
    switch("restart-successful", Does::RestartSuccessful),
];
const NODES: &[Flag] = &[text("node-field-selector", Does::Nodes)];
const MESSAGE: &[Flag] = &[text("message", Does::Message)];
const SELECT: &[Flag] = &[
    short('l', "selector", Does::Selector),
    text("field-selector", Does::FieldSelector),
];
const NO_DRY: &[Flag] = &[switch("dry-run", DRY)];
const GLOBAL: &[Flag] = &[
    text("instanceid", Does::InstanceId),
    short('n', "namespace", Does::Namespace),
    text("loglevel", Does::Nothing),
    text("log-format", Does::Nothing),
    text("gloglevel", Does::Nothing),
    short_switch('v', "verbose", Does::Nothing),
    switch("no-color", Does::Nothing),
    switch("no-utf8", Does::Nothing),
    short('s', "argo-server", SERVER),
    text("argo-base-href", SERVER),
    switch("argo-http1", SERVER),
    short_switch('e', "secure", SERVER),
    short_switch('k', "insecure-skip-verify", SERVER),
    short('H', "header", SERVER),
    text("kubeconfig", ACCOUNT),
    text("context", ACCOUNT),
    text("cluster", ACCOUNT),
    text("user", ACCOUNT),
    text("server", ACCOUNT),
    text("token", ACCOUNT),
    text("username", ACCOUNT),
    text("password", ACCOUNT),
    text("as", ACCOUNT),
    text("as-group", ACCOUNT),
    text("as-uid", ACCOUNT),
    text("certificate-authority", ACCOUNT),
    text("client-certificate", ACCOUNT),
    text("client-key", ACCOUNT),
    text("tls-server-name", ACCOUNT),
    text("proxy-url", ACCOUNT),
    text("request-timeout", ACCOUNT),
    switch("insecure-skip-tls-verify", ACCOUNT),
    switch("disable-compression", ACCOUNT),
];

pub(super) const fn flags(verb: Verb) -> &'static [&'static [Flag]] {
    match verb {
        Verb::Submit => &[SUBMIT, WAITING, FILE_ONLY, GLOBAL],
        Verb::SubmitFrom => &[SUBMIT, WAITING, FROM_ONLY, GLOBAL],
        Verb::Resubmit => &[RESUBMIT, WAITING, SELECT, GLOBAL],
        Verb::Retry => &[RETRY, WAITING, NODES, SELECT, GLOBAL],
        Verb::Resume => &[NODES, GLOBAL],
        Verb::Suspend => &[GLOBAL],
        Verb::Stop => &[MESSAGE, NODES, SELECT, NO_DRY, GLOBAL],
        Verb::Terminate => &[SELECT, NO_DRY, GLOBAL],
    }
}

/// The flags that do something, for people.
pub(super) fn known(verb: Verb) -> String {
    let names = flags(verb)
        .iter()
        .copied()
        .flatten()
        .filter(|flag| !matches!(flag.does, Does::Nothing | Does::Never(_)));
    let names: Vec<_> = names.map(|flag| format!("--{}", flag.name)).collect();
    names.join(", ")
}
