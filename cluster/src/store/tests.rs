//! The store when the disk fails and when an operation misbehaves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use crate::status::ApiError;
use crate::store::journal::{CommitError, Journal, Write};
use crate::store::{Dry, Key, Reply, State, Store};

/// What a disk may do with a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Fine,
    /// Nothing of the batch arrives.
    Full,
    /// All of the batch arrives, and an error is reported all the same.
    Lying,
}

type Content = BTreeMap<(String, Key), Bytes>;

#[derive(Clone)]
struct Disk(Arc<Mutex<(Mood, Content)>>);

impl Journal for Disk {
    fn commit(&mut self, writes: &[Write<'_>], _: u64) -> Result<(), CommitError> {
        let (mood, content) = &mut *self.0.lock().unwrap();
        if *mood == Mood::Full {
            return Err(CommitError::Full("no space".into()));
        }
        for (table, key, object) in writes {
            let place = ((*table).to_owned(), (*key).clone());
            match object {
                Some(object) => content.insert(place, Bytes::copy_from_slice(object)),
                None => content.remove(&place),
            };
        }
        match mood {
            Mood::Lying => Err(CommitError::Failed("fsync said no".into())),
            _ => Ok(()),
        }
    }
}

impl Disk {
    fn feels(&self, mood: Mood) {
        self.0.lock().unwrap().0 = mood;
    }

    fn names(&self) -> Vec<String> {
        self.0
            .lock()
            .unwrap()
            .1
            .keys()
            .map(|(_, key)| key.name.clone())
            .collect()
    }
}

fn start() -> (Disk, Store) {
    let disk = Disk(Arc::new(Mutex::new((Mood::Fine, Content::new()))));
    let store = Store::start(Box::new(disk.clone()), State::at(0), Box::new(|_| vec![]));
    (disk, store.unwrap())
}

async fn put(store: &Store, name: &str) -> Result<Reply, ApiError> {
    let key = Key::new("ns", name);
    let op = move |txn: &mut crate::store::Txn<'_>| {
        let stored = txn.put(&"t".into(), &key, json!({"metadata": {}}))?;
        Ok(Reply::new(StatusCode::OK, stored.bytes.clone()))
    };
    store.write(Dry::No, op).await
}

fn names(store: &Store) -> Vec<String> {
    store
        .read()
        .list("t", None, None)
        .map(|(key, _)| key.name.clone())
        .collect()
}

fn code(outcome: Result<Reply, ApiError>) -> Value {
    outcome.unwrap_err().status()["code"].clone()
}

#[tokio::test]
async fn memory_never_runs_ahead_of_a_full_disk() {
    let (disk, store) = start();
    put(&store, "a").await.unwrap();
    disk.feels(Mood::Full);
    assert_eq!(code(put(&store, "b").await), 507);
    assert_eq!(code(put(&store, "a").await), 507);
    assert_eq!((names(&store), store.read().version), (vec!["a".into()], 1));
    disk.feels(Mood::Fine);
    put(&store, "c").await.unwrap();
    assert_eq!(names(&store), ["a", "c"]);
    assert_eq!(disk.names(), names(&store));
}

#[tokio::test]
async fn what_a_failed_commit_left_behind_is_set_right() {
    let (disk, store) = start();
    put(&store, "a").await.unwrap();
    disk.feels(Mood::Lying);
    assert_eq!(code(put(&store, "b").await), 500);
    assert_eq!(disk.names(), ["a", "b"]);
    disk.feels(Mood::Fine);
    put(&store, "c").await.unwrap();
    assert_eq!(
        (disk.names(), names(&store)),
        (vec!["a".into(), "c".into()], names(&store))
    );
    assert_eq!(names(&store), ["a", "c"]);
}

#[tokio::test]
async fn an_operation_that_panics_or_refuses_leaves_no_trace() {
    let (disk, store) = start();
    let bad = |txn: &mut crate::store::Txn<'_>| -> Result<Reply, ApiError> {
        txn.put(&"t".into(), &Key::new("ns", "bad"), json!({"metadata": {}}))?;
        panic!("a bug")
    };
    assert_eq!(code(store.write(Dry::No, bad).await), 500);
    let refused = |txn: &mut crate::store::Txn<'_>| {
        txn.put(&"t".into(), &Key::new("ns", "bad"), json!({"metadata": {}}))?;
        Err(ApiError::bad_request("no"))
    };
    assert_eq!(code(store.write(Dry::No, refused).await), 400);
    put(&store, "a").await.unwrap();
    assert_eq!(
        (names(&store), disk.names()),
        (vec!["a".into()], vec!["a".into()])
    );
}
