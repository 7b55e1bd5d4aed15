//! What the watches have seen, and who must be looked at because of it. It asks nobody.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use kube::api::DynamicObject;
use kube::runtime::watcher::Event;
use serde_json::Value;

use super::child::{Child, ChildKey, Settled, Settlement};
use super::holders::{Contents, HolderKey, Holders};
use super::known::Known;
use super::queue::Job;
use super::wanted::Made;
use super::watches::Watched;
use super::workload::references::Holder;
use crate::hosting::{Kind, ObjectKey};

/// See the module.
#[derive(Default)]
pub(crate) struct Cache {
    objects: HashMap<ObjectKey, Arc<Known>>,
    /// Who is there, by uid.
    living: HashMap<String, ObjectKey>,
    children: HashMap<ChildKey, Child>,
    by_owner: HashMap<String, BTreeSet<ChildKey>>,
    settled: HashMap<ChildKey, Settled>,
    /// The uids of what has ended while somebody may be at work on it.
    dead: HashSet<String>,
    holders: Holders,
    /// What a listing in progress has not shown yet.
    missing: HashMap<Watched, HashSet<(String, String)>>,
    listed: HashSet<Watched>,
    /// Watches that the API server refuses: their objects count as absent.
    refused: HashSet<Watched>,
    /// The EventBuses that a Sensor does not name any more.
    left: BTreeSet<ObjectKey>,
}

impl Cache {
    /// Whether everything has been listed that decisions are made from.
    pub(crate) fn is_synced(&self) -> bool {
        self.waiting_for().is_empty()
    }

    /// What has not been listed yet.
    pub(crate) fn waiting_for(&self) -> Vec<Watched> {
        Watched::all()
            .into_iter()
            .filter(|watched| !self.listed.contains(watched) && !self.refused.contains(watched))
            .collect()
    }

    /// Notes that the API server refuses a watch, or does so no more.
    pub(crate) fn refuse(&mut self, watched: Watched) {
        self.refused.insert(watched);
    }

    /// Takes in what a watch has seen, and gives what must be looked at.
    pub(crate) fn learn(&mut self, watched: Watched, event: Event<DynamicObject>) -> Vec<Job> {
        match event {
            Event::Init => {
                let here = self.here(watched);
                self.missing.insert(watched, here);
                Vec::new()
            }
            Event::InitApply(object) => {
                let name = name_of(&object);
                if let Some(missing) = self.missing.get_mut(&watched) {
                    missing.remove(&name);
                }
                self.apply(watched, &object)
            }
            Event::InitDone => {
                self.refused.remove(&watched);
                let first = self.listed.insert(watched);
                let gone = self.missing.remove(&watched).unwrap_or_default();
                let mut jobs: Vec<Job> = gone
                    .into_iter()
                    .flat_map(|(namespace, name)| self.remove(watched, &namespace, &name))
                    .collect();
                if first {
                    jobs.extend(self.everything());
                }
                jobs
            }
            Event::Apply(object) => self.apply(watched, &object),
            Event::Delete(object) => {
                let (namespace, name) = name_of(&object);
                self.remove(watched, &namespace, &name)
            }
        }
    }

    /// Everything there is to look at, for the start and for new settings.
    pub(crate) fn everything(&self) -> Vec<Job> {
        let objects = self.objects.keys().cloned().map(Job::Object);
        objects.chain(self.orphans().map(Job::Orphan)).collect()
    }

    fn orphans(&self) -> impl Iterator<Item = ChildKey> + '_ {
        self.children
            .values()
            .filter(|child| !self.living.contains_key(&child.owner.uid))
            .map(|child| child.key.clone())
    }

    /// The names that are known of a watch. Of Secrets and ConfigMaps only those count that matter to somebody.
    fn here(&self, watched: Watched) -> HashSet<(String, String)> {
        match watched {
            Watched::Objects(kind) => self
                .objects
                .keys()
                .filter(|key| key.kind == kind)
                .map(|key| (key.namespace.clone(), key.name.clone()))
                .collect(),
            Watched::Made(made) => {
                let children = self
                    .children
                    .keys()
                    .filter(|key| key.made == made)
                    .map(|key| (key.namespace.clone(), key.name.clone()));
                let referred = self
                    .holders
                    .named()
                    .filter(|(holder, ..)| Some(*holder) == holder_of(made))
                    .map(|(_, namespace, name)| (namespace.clone(), name.clone()));
                children.chain(referred).collect()
            }
        }
    }

    fn apply(&mut self, watched: Watched, object: &DynamicObject) -> Vec<Job> {
        match watched {
            Watched::Objects(kind) => self.apply_object(kind, object),
            Watched::Made(made) => {
                let (namespace, name) = name_of(object);
                let mut jobs = self.touched(made, &namespace, &name);
                jobs.extend(self.apply_child(made, object));
                jobs
            }
        }
    }

    fn apply_object(&mut self, kind: Kind, object: &DynamicObject) -> Vec<Job> {
        let Some(known) = Known::read(kind, object) else {
            return Vec::new();
        };
        let key = known.key.clone();
        let before = self.objects.get(&key);
        if before.is_some_and(|before| before.version == known.version && before.uid == known.uid) {
            return Vec::new();
        }
        let bus_matters = kind == Kind::EventBus
            && before.is_none_or(|before| {
                before.uid != known.uid
                    || before.status() != known.status()
                    || before.annotations != known.annotations
            });
        if let Some(before) = before
            && kind == Kind::Sensor
            && before.bus_name() != known.bus_name()
        {
            self.left.insert(before.bus());
        }
        let mut jobs = vec![Job::Object(key.clone())];
        if let Some(before) = before.cloned()
            && before.uid != known.uid
        {
            self.living.remove(&before.uid);
            jobs.extend(self.left_by(&before.uid));
        }
        self.living.insert(known.uid.clone(), key.clone());
        self.objects.insert(key.clone(), Arc::new(known));
        if bus_matters {
            jobs.extend(self.on_bus(&key));
        }
        jobs
    }

    fn apply_child(&mut self, made: Made, object: &DynamicObject) -> Vec<Job> {
        let Some(child) = Child::read(made, object) else {
            // It may have been one until now.
            let (namespace, name) = name_of(object);
            return self.remove_child(made, &namespace, &name);
        };
        let owner = child.owner.clone();
        let key = child.key.clone();
        if self.children.get(&key) == Some(&child) {
            return Vec::new();
        }
        self.put_child(child);
        match self.living.get(&owner.uid) {
            Some(owner) => vec![Job::Object(owner.clone())],
            None => vec![Job::Orphan(key)],
        }
    }

    fn put_child(&mut self, child: Child) {
        let key = child.key.clone();
        let uid = child.owner.uid.clone();
        if let Some(before) = self.children.insert(key.clone(), child)
            && before.owner.uid != uid
            && let Some(children) = self.by_owner.get_mut(&before.owner.uid)
        {
            children.remove(&key);
        }
        self.by_owner.entry(uid).or_default().insert(key);
    }

    fn remove(&mut self, watched: Watched, namespace: &str, name: &str) -> Vec<Job> {
        match watched {
            Watched::Objects(kind) => self.remove_object(&ObjectKey {
                kind,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            Watched::Made(made) => {
                let mut jobs = self.touched(made, namespace, name);
                jobs.extend(self.remove_child(made, namespace, name));
                jobs
            }
        }
    }

    fn remove_object(&mut self, key: &ObjectKey) -> Vec<Job> {
        let Some(known) = self.objects.remove(key) else {
            return Vec::new();
        };
        self.living.remove(&known.uid);
        self.refer(key, BTreeSet::new());
        let mut jobs = self.left_by(&known.uid);
        if key.kind == Kind::EventBus {
            jobs.extend(self.on_bus(key));
        } else {
            if key.kind == Kind::Sensor {
                self.left.insert(known.bus());
            }
            // Its bus may be waiting to be deleted.
            jobs.extend(self.bus_of(&known).map(|bus| Job::Object(bus.key.clone())));
        }
        jobs
    }

    fn remove_child(&mut self, made: Made, namespace: &str, name: &str) -> Vec<Job> {
        let key = ChildKey {
            made,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        self.settled.remove(&key);
        let Some(child) = self.children.remove(&key) else {
            return Vec::new();
        };
        self.dead.insert(child.uid.clone());
        if let Some(children) = self.by_owner.get_mut(&child.owner.uid) {
            children.remove(&key);
            if children.is_empty() {
                self.by_owner.remove(&child.owner.uid);
            }
        }
        let owner = self.living.get(&child.owner.uid);
        owner.cloned().map(Job::Object).into_iter().collect()
    }

    fn left_by(&self, uid: &str) -> Vec<Job> {
        let children = self.by_owner.get(uid).into_iter().flatten();
        children.cloned().map(Job::Orphan).collect()
    }

    /// Those who name a bus.
    fn on_bus(&self, bus: &ObjectKey) -> Vec<Job> {
        self.on(bus)
            .map(|known| Job::Object(known.key.clone()))
            .collect()
    }

    /// Everybody who names a bus.
    pub(crate) fn on<'a>(&'a self, bus: &'a ObjectKey) -> impl Iterator<Item = &'a Arc<Known>> {
        self.objects.values().filter(move |known| {
            known.key.kind != Kind::EventBus
                && known.key.namespace == bus.namespace
                && known.bus_name() == bus.name
        })
    }

    /// How many EventSources and Sensors name a bus.
    pub(crate) fn connected(&self, bus: &ObjectKey) -> (usize, usize) {
        let (sources, sensors): (Vec<_>, Vec<_>) = self
            .on(bus)
            .partition(|known| known.key.kind == Kind::EventSource);
        (sources.len(), sensors.len())
    }

    /// Who refers to a Secret or ConfigMap that has changed.
    fn touched(&mut self, made: Made, namespace: &str, name: &str) -> Vec<Job> {
        let Some(holder) = holder_of(made) else {
            return Vec::new();
        };
        let users = self
            .holders
            .touched((holder, namespace.to_owned(), name.to_owned()));
        users.into_iter().map(Job::Object).collect()
    }

    /// Notes what an object refers to, so that a change of that wakes it.
    pub(crate) fn refer(&mut self, key: &ObjectKey, holders: BTreeSet<HolderKey>) {
        self.holders.refer(key, holders);
    }

    /// What is known of the Secrets and ConfigMaps that an object refers to.
    pub(crate) fn contents_for(&self, key: &ObjectKey) -> HashMap<HolderKey, Contents> {
        // What the API server does not let us watch may have changed at any time.
        let trusted = |holder: Holder| {
            let made = match holder {
                Holder::Secret => Made::Secret,
                Holder::ConfigMap => Made::ConfigMap,
            };
            !self.refused.contains(&Watched::Made(made))
        };
        let mut known = self.holders.contents_for(key);
        known.retain(|(holder, ..), _| trusted(*holder));
        known
    }

    /// The moment, for telling what changes after it.
    pub(crate) const fn turn(&self) -> u64 {
        self.holders.turn()
    }

    /// Takes in what somebody has read since `turn`, unless it has changed after that.
    pub(crate) fn read(
        &mut self,
        turn: u64,
        read: impl IntoIterator<Item = (HolderKey, Contents)>,
    ) {
        self.holders.read(turn, read);
    }

    /// Every object of a kind.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Known>> {
        let objects = self.objects.values();
        objects.filter(move |known| known.key.kind == kind)
    }

    /// An object.
    pub(crate) fn object(&self, key: &ObjectKey) -> Option<Arc<Known>> {
        self.objects.get(key).cloned()
    }

    /// The bus that an EventSource or Sensor names.
    pub(crate) fn bus_of(&self, known: &Known) -> Option<Arc<Known>> {
        self.object(&known.bus())
    }

    /// The EventBuses that a Sensor has left since this was asked last.
    pub(crate) fn left(&mut self) -> BTreeSet<ObjectKey> {
        std::mem::take(&mut self.left)
    }

    /// What has been made for an object.
    pub(crate) fn children_of(&self, uid: &str) -> Vec<(Child, Option<Settled>)> {
        let keys = self.by_owner.get(uid).into_iter().flatten();
        keys.filter_map(|key| {
            Some((
                self.children.get(key)?.clone(),
                self.settled.get(key).copied(),
            ))
        })
        .collect()
    }

    /// A child whose owner is not there.
    pub(crate) fn orphan(&self, key: &ChildKey) -> Option<Child> {
        let child = self.children.get(key)?;
        let orphan = !self.living.contains_key(&child.owner.uid);
        orphan.then(|| child.clone())
    }

    /// Takes in what an apply has left behind; the watch will say the same a moment later. What it has said since, which
    /// may be somebody else's change or the object's end, is newer.
    pub(crate) fn settle(&mut self, applied: Settlement) {
        let Settlement {
            child,
            settled,
            before,
        } = applied;
        let here = self.children.get(&child.key);
        let newer = here.map(|here| &here.version) != before.as_ref();
        if !self.living.contains_key(&child.owner.uid) || self.dead.contains(&child.uid) {
            return;
        }
        if here.is_some() || before.is_none() {
            self.settled.insert(child.key.clone(), settled);
        }
        if !newer {
            self.put_child(child);
        }
    }

    /// Forgets which objects have ended: nobody is at work who could speak of them.
    pub(crate) fn at_rest(&mut self) {
        self.dead.clear();
    }

    /// Takes in a status that has been written, and gives who waits for it; the watch will say the same a moment later.
    pub(crate) fn wrote_status(&mut self, seen: &Known, status: Value) -> Vec<Job> {
        let key = &seen.key;
        let found = self.objects.get_mut(key);
        let Some(known) =
            found.filter(|known| known.uid == seen.uid && known.version == seen.version)
        else {
            return Vec::new();
        };
        if let Some(object) = Arc::make_mut(known).object.as_object_mut() {
            object.insert("status".to_owned(), status);
        }
        if key.kind == Kind::EventBus {
            return self.on_bus(key);
        }
        Vec::new()
    }

    /// How many objects of a kind there are.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.objects.keys().filter(|key| key.kind == kind).count()
    }
}

fn name_of(object: &DynamicObject) -> (String, String) {
    let metadata = &object.metadata;
    (
        metadata.namespace.clone().unwrap_or_default(),
        metadata.name.clone().unwrap_or_default(),
    )
}

const fn holder_of(made: Made) -> Option<Holder> {
    match made {
        Made::Secret => Some(Holder::Secret),
        Made::ConfigMap => Some(Holder::ConfigMap),
        _ => None,
    }
}
