//! What referenced Secrets and ConfigMaps hold, as hashes: enough to see a change, nothing that could leak.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use sha2::{Digest as _, Sha256};

use super::apply::hex;
use super::holders::{Contents, HolderKey};
use super::workload::references::{Holder, Reference};

/// What references come to.
pub(crate) struct Seen {
    /// One hash of all values; none where nothing is referenced.
    pub(crate) hash: Option<String>,
    /// What is not there, in words.
    pub(crate) missing: Vec<String>,
    /// What had to be read.
    pub(crate) read: Vec<(HolderKey, Contents)>,
}

/// The Secrets and ConfigMaps of references.
pub(crate) fn holders(namespace: &str, references: &BTreeSet<Reference>) -> BTreeSet<HolderKey> {
    let keys = references.iter();
    keys.map(|reference| {
        (
            reference.holder,
            namespace.to_owned(),
            reference.name.clone(),
        )
    })
    .collect()
}

/// Looks at every reference; what is known already is not read again.
pub(crate) async fn look(
    client: &Client,
    namespace: &str,
    references: &BTreeSet<Reference>,
    known: &HashMap<HolderKey, Contents>,
) -> Result<Seen, kube::Error> {
    let mut all: HashMap<HolderKey, Contents> = known.clone();
    let mut read = Vec::new();
    for holder in holders(namespace, references) {
        if let Entry::Vacant(entry) = all.entry(holder) {
            let contents = get(client, entry.key()).await?;
            read.push((entry.key().clone(), contents.clone()));
            entry.insert(contents);
        }
    }
    let mut digest = Sha256::new();
    let mut missing = Vec::new();
    for reference in references {
        let Reference {
            holder,
            name,
            key,
            mounted: _,
            optional,
        } = reference;
        let kind = match holder {
            Holder::Secret => "Secret",
            Holder::ConfigMap => "ConfigMap",
        };
        let contents = all
            .get(&(*holder, namespace.to_owned(), name.clone()))
            .and_then(Option::as_ref);
        let value = match (contents, key) {
            (None, _) => {
                if !optional {
                    missing.push(format!("{kind} {name:?} does not exist"));
                }
                String::new()
            }
            (Some(contents), Some(key)) => {
                let value = contents.get(key);
                if value.is_none() && !optional {
                    missing.push(format!("{kind} {name:?} has no key {key:?}"));
                }
                value.cloned().unwrap_or_default()
            }
            (Some(contents), None) => format!("{contents:?}"),
        };
        digest.update(format!("{kind} {name:?} {key:?} {value}\n").as_bytes());
    }
    missing.dedup();
    Ok(Seen {
        hash: (!references.is_empty()).then(|| hex(&digest.finalize())),
        missing,
        read,
    })
}

async fn get(
    client: &Client,
    (holder, namespace, name): &HolderKey,
) -> Result<Contents, kube::Error> {
    let hash = |bytes: &[u8]| hex(&Sha256::digest(bytes));
    let found: Option<BTreeMap<String, String>> = match holder {
        Holder::Secret => {
            let api = Api::<Secret>::namespaced(client.clone(), namespace);
            api.get_opt(name).await?.map(|secret| {
                let data = secret.data.unwrap_or_default().into_iter();
                data.map(|(key, value)| (key, hash(&value.0))).collect()
            })
        }
        Holder::ConfigMap => {
            let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
            api.get_opt(name).await?.map(|map| {
                let text = map.data.unwrap_or_default().into_iter();
                let binary = map.binary_data.unwrap_or_default().into_iter();
                text.map(|(key, value)| (key, hash(value.as_bytes())))
                    .chain(binary.map(|(key, value)| (key, hash(&value.0))))
                    .collect()
            })
        }
    };
    Ok(found.map(Arc::new))
}
