//! `hdfs` watches files of a Hadoop file system.
//!
//! ```yaml
//! hdfs:
//!   example:
//!     directory: /tmp/
//!     path: x.txt
//!     type: CREATE
//!     addresses:
//!     - namenode:8020
//!     hdfsUser: root
//! ```
//!
//! This kind is read and checked; running it is not supported yet.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tiphys_core::Problems;
use tiphys_core::duration;
use tiphys_core::refs::KeyRef;

use crate::source::{Replicas, SourceSpec};
use crate::sources::shared::{WatchPathSpec, check_list, check_ref};
use crate::spec::FilterSpec;

/// Changes of files in a Hadoop file system.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Hdfs {
    /// The directory, absolute.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub directory: String,
    /// The one file in it; relative.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The files in it, as a regular expression.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path_regexp: String,
    /// `CREATE`, `WRITE`, `REMOVE`, `RENAME` or `CHMOD`, or several joined by `|`.
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// How often the directory is listed. Default 1m.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub check_interval: String,
    /// The name nodes, as host:8020.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// The user, without Kerberos.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hdfs_user: String,
    /// A Kerberos ticket cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub krb_c_cache_secret: Option<KeyRef>,
    /// A Kerberos key table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub krb_keytab_secret: Option<KeyRef>,
    /// The Kerberos user; with a key table.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub krb_username: String,
    /// The Kerberos realm; with a key table.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub krb_realm: String,
    /// The Kerberos configuration, in a ConfigMap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub krb_config_config_map: Option<KeyRef>,
    /// The Kerberos principal of the name nodes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub krb_service_principal_name: String,
    /// Copied into the event data.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Drops events that do not meet a condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<FilterSpec>,
}

impl SourceSpec for Hdfs {
    const KIND: &'static str = "hdfs";
    const REPLICAS: Replicas = Replicas::One;

    fn validate(&self, problems: &mut Problems) {
        problems.require(
            "type",
            &self.kind,
            " to CREATE, WRITE, REMOVE, RENAME or CHMOD",
        );
        let known = |word: &str| {
            matches!(
                word.trim(),
                "CREATE" | "WRITE" | "REMOVE" | "RENAME" | "CHMOD"
            )
        };
        if !self.kind.is_empty() && !self.kind.split('|').any(known) {
            problems.at("type", |problems| {
                problems.error(
                    "must be CREATE, WRITE, REMOVE, RENAME or CHMOD, or several joined by |",
                );
            });
        }
        if !self.check_interval.is_empty()
            && let Err(error) = duration::parse(&self.check_interval)
        {
            problems.at("checkInterval", |problems| {
                problems.error(error.to_string());
            });
        }
        let watched = WatchPathSpec {
            directory: self.directory.clone(),
            path: self.path.clone(),
            path_regexp: self.path_regexp.clone(),
        };
        watched.validate(problems);
        check_list("addresses", &self.addresses, ", as namenode:8020", problems);
        let keytab = self.krb_keytab_secret.is_some();
        let ticket = self.krb_c_cache_secret.is_some();
        if self.hdfs_user.is_empty() && !keytab && !ticket {
            problems.error("must have hdfsUser, krbCCacheSecret or krbKeytabSecret");
        }
        let principal =
            !self.krb_service_principal_name.is_empty() && self.krb_config_config_map.is_some();
        let user = !self.krb_username.is_empty() && !self.krb_realm.is_empty();
        if keytab && !(principal && user) {
            problems.error(
                "must have krbServicePrincipalName, krbConfigConfigMap, krbUsername and krbRealm with krbKeytabSecret",
            );
        } else if ticket && !principal {
            problems.error(
                "must have krbServicePrincipalName and krbConfigConfigMap with krbCCacheSecret",
            );
        }
        check_ref(
            "krbCCacheSecret",
            self.krb_c_cache_secret.as_ref(),
            problems,
        );
        check_ref("krbKeytabSecret", self.krb_keytab_secret.as_ref(), problems);
        check_ref(
            "krbConfigConfigMap",
            self.krb_config_config_map.as_ref(),
            problems,
        );
        FilterSpec::validate(self.filter.as_ref(), problems);
    }

    fn filter(&self) -> Option<&str> {
        self.filter
            .as_ref()
            .map(|filter| filter.expression.as_str())
    }
}
