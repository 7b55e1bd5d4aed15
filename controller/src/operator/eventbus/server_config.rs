//! What nats-server reads: `nats-js.conf` and `auth.conf`, in its own language.

use std::fmt::Write as _;

use tiphys_eventbus::Durability;

use super::credentials::{Client, Credentials};
use super::servers::{Servers, sync_interval};
use super::stream::Stream;
use crate::operator::settings::JetStreamSettings;

/// The key of the ConfigMap.
pub(crate) const KEY: &str = "nats-js";
/// Where the pods have the configuration.
pub(crate) const FOLDER: &str = "/etc/nats-config";
/// Where the pods have the store.
pub(crate) const STORE: &str = "/data/jetstream";

/// The server's configuration, the same for each server.
pub(crate) fn server(
    servers: &Servers<'_>,
    settings: &JetStreamSettings,
    stream: &Stream,
    credentials: &Credentials,
    keeping: Durability,
) -> String {
    let lines = servers.settings().unwrap_or(&settings.settings);
    let sync = match (keeping, sync_interval(lines)) {
        // What the lines say stands.
        (Durability::Disk, None) => Some("always"),
        _ => None,
    };
    debug_assert!(stream.replicas <= servers.replicas);
    // Quoted, it is no variable: the key is these letters. Argo's controller writes it so, and what is on a volume
    // that it made can be read in no other way.
    let key = if credentials.own_store_key() {
        "$JS_KEY"
    } else {
        "\"$JS_KEY\""
    };
    let mut text = String::new();
    let mut line = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    line(&format!("max_payload: {}", servers.max_payload.trim()));
    line("port: 4222");
    line("pid_file: \"/var/run/nats/nats.pid\"");
    line("http: 8222");
    line("server_name: $POD_NAME");
    line("jetstream {");
    line(&format!("  key: {key}"));
    line(&format!("  store_dir: \"{STORE}/store\""));
    for setting in lines.lines().map(str::trim) {
        if !setting.is_empty() {
            line(&format!("  {setting}"));
        }
    }
    if let Some(interval) = sync {
        line(&format!("  sync_interval: {interval}"));
    }
    line("}");
    if servers.replicas >= 3 {
        let host = servers.host();
        let routes: Vec<String> = (0..servers.replicas)
            .map(|index| format!("nats://{}-{index}.{host}:6222", servers.name()))
            .collect();
        line("cluster {");
        line("  port: 6222");
        line(&format!("  name: \"{}\"", servers.bus.name));
        line(&format!("  routes: [{}]", routes.join(", ")));
        line("  cluster_advertise: $CLUSTER_ADVERTISE");
        line("  connect_retries: 120");
        // Clients find all servers by the Service; the addresses of pods would fit no certificate.
        line("  no_advertise: true");
        line(&tls("  ", "cluster-server", "cluster-ca"));
        line("}");
    }
    line("lame_duck_duration: 30s");
    line("include ./auth.conf");
    text
}

/// Who may connect, and the certificate that clients see.
pub(crate) fn auth(client: &Client, system_password: &str) -> String {
    let mut text = String::new();
    match client {
        Client::User { user, password } => {
            text.push_str("system_account: sys\naccounts: {\n");
            writeln!(
                text,
                "  \"js\": {{\n    \"jetstream\": true,\n    users: [{{user: {user:?}, password: {password:?}}}]\n  }}"
            )
            .unwrap_or_default();
            writeln!(
                text,
                "  \"sys\": {{\n    users: [{{user: \"sys\", password: {system_password:?}}}]\n  }}\n}}"
            )
            .unwrap_or_default();
        }
        Client::Token(token) => {
            writeln!(text, "authorization: {{ token: {token:?} }}").unwrap_or_default();
        }
    }
    text.push_str(&tls("", "server", "ca"));
    text.push('\n');
    text
}

fn tls(indent: &str, own: &str, authority: &str) -> String {
    format!(
        "{indent}tls {{\n{indent}  cert_file: \"{FOLDER}/{own}-cert.pem\"\n{indent}  key_file: \"{FOLDER}/{own}-key.pem\"\n{indent}  ca_file: \"{FOLDER}/{authority}-cert.pem\"\n{indent}}}"
    )
}

/// What the annotation of a server says that keeps its events for itself; a number follows.
pub(crate) const ALONE: &str = "alone-";
/// What the annotation of a server in a cluster says; a number follows.
const CLUSTERED: &str = "cluster-";

/// Changes when a server must be started anew for the configuration to hold.
///
/// New routes are taken by a running server; whether it is in a cluster, and how it stores, is not.
pub(crate) fn start_hash(servers: &Servers<'_>, text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("routes:"));
    // FNV-1a: it only has to differ when the text does.
    let hash = lines
        .flat_map(|line| line.bytes().chain([b'\n']))
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let kind = if servers.replicas >= 3 {
        CLUSTERED
    } else {
        ALONE
    };
    format!("{kind}{hash:016x}")
}
