//! Which port of the pool stands for which port of an EventSource. Pure bookkeeping: statuses are read and written
//! elsewhere.
//!
//! A port is looked for from a place that the names give, so that the same objects get mostly the same ports even where
//! their statuses were lost; what a status says already is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::hosting::ObjectKey;

/// The first port of the pool: those below are for admin ports and what else a pod serves.
const FIRST: u16 = 10_000;
/// The port after the last one: those from here on belong to node ports and outgoing connections.
const END: u16 = 30_000;

/// An EventSource and a port in its spec.
type Owner = (ObjectKey, u16);

/// The ports of all EventSources of the pool.
#[derive(Debug, Default)]
pub(crate) struct PortBook {
    by_target: BTreeMap<u16, Owner>,
    by_owner: BTreeMap<Owner, u16>,
}

impl PortBook {
    /// Takes in what the status of an EventSource says. Of two that say the same, the first one keeps it.
    pub(crate) fn learn(&mut self, key: &ObjectKey, status: &Value) {
        for (port, target) in written(status) {
            let usable = (FIRST..END).contains(&target);
            if usable && !self.by_target.contains_key(&target) {
                self.put((key.clone(), port), target);
            }
        }
    }

    /// The ports that stand for those of a spec; nothing for one that no port is left for.
    pub(crate) fn allot(
        &mut self,
        key: &ObjectKey,
        ports: &BTreeSet<u16>,
        alive: impl Fn(&ObjectKey) -> bool,
    ) -> BTreeMap<u16, u16> {
        let every = (key.clone(), 0)..=(key.clone(), u16::MAX);
        let owned = self.by_owner.range(every);
        let unused: Vec<Owner> = owned
            .filter(|((_, port), _)| !ports.contains(port))
            .map(|(owner, _)| owner.clone())
            .collect();
        for owner in unused {
            self.free(&owner);
        }
        let mut allotted = BTreeMap::new();
        for port in ports {
            let owner = (key.clone(), *port);
            let known = self.by_owner.get(&owner).copied();
            let target = known.or_else(|| self.next(&owner, &alive));
            if let Some(target) = target {
                self.put(owner, target);
                allotted.insert(*port, target);
            }
        }
        allotted
    }

    /// A port that is free, or whose EventSource is gone.
    fn next(&mut self, owner: &Owner, alive: &impl Fn(&ObjectKey) -> bool) -> Option<u16> {
        let first = place(owner);
        let mut candidates = (first..END).chain(FIRST..first);
        let target = candidates.find(|target| {
            let taken = self.by_target.get(target);
            taken.is_none_or(|(key, _)| !alive(key))
        })?;
        if let Some(gone) = self.by_target.get(&target).cloned() {
            self.free(&gone);
        }
        Some(target)
    }

    fn put(&mut self, owner: Owner, target: u16) {
        if let Some(before) = self.by_owner.insert(owner.clone(), target)
            && before != target
        {
            self.by_target.remove(&before);
        }
        self.by_target.insert(target, owner);
    }

    fn free(&mut self, owner: &Owner) {
        if let Some(target) = self.by_owner.remove(owner) {
            self.by_target.remove(&target);
        }
    }
}

/// What a status says: ports of the spec, and what stands for them.
pub(crate) fn written(status: &Value) -> BTreeMap<u16, u16> {
    let ports = status.get("pooledPorts").cloned();
    let ports = ports.and_then(|ports| serde_json::from_value(ports).ok());
    ports.unwrap_or_default()
}

/// Where the search begins.
fn place((key, port): &Owner) -> u16 {
    let text = format!("{}/{}/{port}", key.namespace, key.name);
    let digest = Sha256::digest(text.as_bytes());
    let number = digest
        .iter()
        .take(4)
        .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
    let offset = number % u32::from(END - FIRST);
    FIRST + u16::try_from(offset).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosting::Kind;
    use serde_json::json;

    fn key(name: &str) -> ObjectKey {
        ObjectKey {
            kind: Kind::EventSource,
            namespace: "ns".to_owned(),
            name: name.to_owned(),
        }
    }

    fn ports(ports: &[u16]) -> BTreeSet<u16> {
        ports.iter().copied().collect()
    }

    #[test]
    fn the_same_port_of_two_objects_is_two_ports_of_the_pool() {
        let mut book = PortBook::default();
        let one = book.allot(&key("one"), &ports(&[12000, 13000]), |_| true);
        let two = book.allot(&key("two"), &ports(&[12000]), |_| true);
        let all: BTreeSet<u16> = one.values().chain(two.values()).copied().collect();
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|port| (FIRST..END).contains(port)));
        // Again the same, and by whoever leads next too.
        assert_eq!(
            book.allot(&key("one"), &ports(&[12000, 13000]), |_| true),
            one
        );
        let mut next = PortBook::default();
        assert_eq!(next.allot(&key("two"), &ports(&[12000]), |_| true), two);
    }

    #[test]
    fn what_a_status_says_is_kept_and_of_two_the_first_has_it() {
        let mut book = PortBook::default();
        let status = json!({"pooledPorts": {"12000": 20000}});
        book.learn(&key("one"), &status);
        book.learn(&key("two"), &status);
        book.learn(&key("bad"), &json!({"pooledPorts": {"12000": 7777}}));
        let allotted = |book: &mut PortBook, name| {
            book.allot(&key(name), &ports(&[12000]), |_| true)
                .remove(&12000)
        };
        assert_eq!(allotted(&mut book, "one"), Some(20000));
        assert_ne!(allotted(&mut book, "two"), Some(20000));
        assert_ne!(allotted(&mut book, "bad"), Some(7777));
    }

    #[test]
    fn a_port_that_nobody_says_any_more_is_free_again() {
        let mut book = PortBook::default();
        let first = book.allot(&key("one"), &ports(&[12000, 13000]), |_| true);
        let second = book.allot(&key("one"), &ports(&[13000]), |_| true);
        assert_eq!(second.get(&13000), first.get(&13000));
        assert_eq!(book.by_target.len(), 1);
        // All are taken by objects that are gone.
        for target in FIRST..END {
            if !book.by_target.contains_key(&target) {
                book.put((key(&format!("old-{target}")), 1), target);
            }
        }
        assert!(book.allot(&key("new"), &ports(&[1]), |_| true).is_empty());
        let alive = |key: &ObjectKey| !key.name.starts_with("old-");
        assert_eq!(book.allot(&key("new"), &ports(&[1]), alive).len(), 1);
        assert_eq!(book.by_target.len(), usize::from(END - FIRST));
    }
}
