//! The volumes of a pod and where they are mounted: the user's, then ours, no name and no path twice.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::Workload;
use super::references::{self, Holder};

/// Volumes and mounts, as a pod has them.
pub(super) struct Volumes {
    pub(super) volumes: Vec<Value>,
    pub(super) mounts: Vec<Value>,
}

/// One volume of ours.
struct Ours {
    name: String,
    source: (&'static str, Value),
    path: String,
    read_only: bool,
}

pub(super) fn volumes(workload: &Workload<'_>) -> Volumes {
    let none: (&[Volume], &[VolumeMount]) = (&[], &[]);
    let (users, mounted) = workload.template.map_or(none, |template| {
        let mounts = template
            .container
            .as_ref()
            .map_or(none.1, |container| &container.volume_mounts);
        (&template.volumes, mounts)
    });
    // The API server takes a name and a path once; the last one written wins, as it does for the environment.
    let volumes: BTreeMap<&str, &Volume> = users
        .iter()
        .map(|volume| (volume.name.as_str(), volume))
        .collect();
    let mounts: BTreeMap<&str, &VolumeMount> = mounted
        .iter()
        .map(|mount| (mount.mount_path.trim_end_matches('/'), mount))
        .collect();
    let mut names: BTreeSet<String> = volumes.keys().map(|name| (*name).to_owned()).collect();
    let mut all = Volumes {
        volumes: in_order(users, |volume| volume.name.as_str(), &volumes),
        mounts: in_order(
            mounted,
            |mount| mount.mount_path.trim_end_matches('/'),
            &mounts,
        ),
    };
    let mut ours = ours(workload);
    ours.retain(|volume| !mounts.contains_key(volume.path.as_str()));
    ours.sort_by(|a, b| a.name.cmp(&b.name));
    for volume in ours {
        let name = free(&names, &volume.name);
        names.insert(name.clone());
        let (kind, source) = volume.source;
        all.volumes.push(json!({ "name": name, kind: source }));
        let mut mount = json!({ "name": name, "mountPath": volume.path });
        if volume.read_only
            && let Some(members) = mount.as_object_mut()
        {
            members.insert("readOnly".to_owned(), json!(true));
        }
        all.mounts.push(mount);
    }
    all
}

/// The last of each name, in the order in which the names first appear.
fn in_order<'a, T: serde::Serialize>(
    items: &'a [T],
    key: impl Fn(&'a T) -> &'a str,
    last: &BTreeMap<&str, &T>,
) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    items
        .iter()
        .map(key)
        .filter(|key| seen.insert(*key))
        .filter_map(|key| last.get(key))
        .filter_map(|item| serde_json::to_value(item).ok())
        .collect()
}

fn ours(workload: &Workload<'_>) -> Vec<Ours> {
    let mut ours = vec![Ours {
        name: "tmp".to_owned(),
        source: ("emptyDir", json!({})),
        path: "/tmp".to_owned(),
        read_only: false,
    }];
    if let Some(access) = references::access_secret(workload.bus) {
        ours.push(Ours {
            name: "auth-volume".to_owned(),
            source: (
                "secret",
                json!({
                    "secretName": access.name,
                    "items": [{ "key": access.key, "path": "auth.yaml" }],
                }),
            ),
            path: "/etc/eventbus/auth".to_owned(),
            read_only: true,
        });
    }
    for ((holder, name), mounted) in mounted(workload) {
        let (prefix, kind, field, folder) = match holder {
            Holder::Secret => ("secret", "secret", "secretName", "secrets"),
            Holder::ConfigMap => ("cm", "configMap", "name", "config"),
        };
        let mut source = json!({ field: name });
        if let Some(members) = source.as_object_mut() {
            if mounted.optional {
                members.insert("optional".to_owned(), json!(true));
            }
            if !mounted.whole {
                let items = mounted.keys.iter();
                let items: Vec<Value> = items
                    .map(|key| json!({ "key": key, "path": key }))
                    .collect();
                members.insert("items".to_owned(), json!(items));
            }
        }
        ours.push(Ours {
            name: label(&format!("{prefix}-{name}")),
            source: (kind, source),
            path: format!("/argo-events/{folder}/{name}"),
            read_only: true,
        });
    }
    ours
}

/// How one Secret or ConfigMap is mounted.
struct Mounted {
    keys: BTreeSet<String>,
    /// With every key, as users know it.
    whole: bool,
    /// Only where every reference says so.
    optional: bool,
}

/// One mount for each object that is named. Of what the bus names only that key: beside a server's certificate may be
/// its key, which is no business of its clients.
fn mounted(workload: &Workload<'_>) -> BTreeMap<(Holder, String), Mounted> {
    let mut objects: BTreeMap<(Holder, String), Mounted> = BTreeMap::new();
    let users = references::of_spec(workload.spec).into_iter();
    let bus = references::of_bus(workload.bus).into_iter();
    let all = users
        .map(|reference| (reference, true))
        .chain(bus.map(|reference| (reference, false)));
    for (reference, whole) in all.filter(|(reference, _)| reference.mounted) {
        let mounted = objects
            .entry((reference.holder, reference.name))
            .or_insert_with(|| Mounted {
                keys: BTreeSet::new(),
                whole: false,
                optional: true,
            });
        mounted.keys.extend(reference.key);
        mounted.whole |= whole;
        mounted.optional &= reference.optional;
    }
    objects
}

/// The most letters that a volume's name has.
const LONGEST: usize = 63;

/// A name as volumes must have it: small letters, digits and `-`; a hash tells apart what would look the same.
pub(super) fn label(name: &str) -> String {
    let mapped: String = name
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let trimmed = mapped.trim_matches('-');
    // `_` has always become `-`; whatever else is changed could meet another name.
    let faithful = name.replace('_', "-") == trimmed;
    if faithful && trimmed.len() <= LONGEST {
        return trimmed.to_owned();
    }
    let hash: String = Sha256::digest(name.as_bytes())
        .iter()
        .take(4)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let short: String = trimmed.chars().take(LONGEST - 9).collect();
    format!("{}-{hash}", short.trim_end_matches('-'))
}

/// The name, or the name with a number where the user has taken it.
fn free(taken: &BTreeSet<String>, name: &str) -> String {
    let mut found = name.to_owned();
    let mut number = 0_u32;
    while taken.contains(&found) {
        number = number.saturating_add(1);
        let short: String = name.chars().take(LONGEST - 4).collect();
        found = format!("{short}-{number}");
    }
    found
}
