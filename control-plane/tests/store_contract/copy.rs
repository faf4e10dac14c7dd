//! A cluster moves from one store into another.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use nodeplane_control_plane::store::{
    Store, StoreError,
    copy::{CopyError, Summary, into_file, into_store},
    embedded::{EmbeddedStore, OpenError},
    keys::Keys,
};
use tempfile::TempDir;

use crate::bed::{self, Bed, next, text, watch_error};

const OBJECTS: usize = 2500;

fn keys() -> Keys {
    Keys::new("/r")
}

/// A cluster with a past: objects of which some were changed and some are gone, claims, keys that
/// go by themselves, and something of somebody else.
async fn fill(store: &Arc<dyn Store>) {
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..OBJECTS {
        let store = store.clone();
        writers.spawn(async move {
            let key = format!("/r/objects/pods/default/p{number:05}");
            let first = store.create(&key, text(format!("{{\"n\":{number}}}"))).await.unwrap();
            match number % 5 {
                0 => drop(store.update(&key, text(format!("{{\"n\":{number},\"again\":1}}")), first).await.unwrap()),
                1 => drop(store.delete(&key, first).await.unwrap()),
                _ => {}
            }
        });
    }
    writers.join_all().await;
    store.create("/r/claims/ips/10.96.0.1", text("{}")).await.unwrap();
    store.create("/r/claims/ports/30000", text("{}")).await.unwrap();
    for number in 0..3 {
        let key = format!("/r/objects/events/default/e{number}");
        store.create_for(&key, text("{}"), Some(Duration::from_secs(3600))).await.unwrap();
    }
    store.create("/other/thing", text("theirs")).await.unwrap();
}

async fn content(store: &dyn Store) -> BTreeMap<String, Bytes> {
    let page = store.list("/r/", None, None, 0).await.unwrap();
    page.entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

async fn check(source: &dyn Store, target: &dyn Store, summary: &Summary) {
    let all = content(source).await;
    assert!(all == content(target).await, "not the same");
    let objects = (OBJECTS - OBJECTS / 5 + 3) as u64;
    assert_eq!((summary.objects, summary.claims, summary.others, summary.mortal), (objects, 2, 0, 3));
    assert_eq!(summary.source_revision, source.revision().await.unwrap());
    assert_eq!(summary.target_revision, target.revision().await.unwrap());
    assert!(target.get("/other/thing").await.unwrap().is_none());
    // Whoever knows a revision of the source is not told of a past that never was.
    assert!(summary.target_revision >= summary.source_revision);
    for revision in [2, summary.source_revision / 2, summary.source_revision - 1] {
        let listed = target.list("/r/", None, Some(revision), 0).await;
        assert!(matches!(listed, Err(StoreError::Compacted { .. })), "{listed:?}");
        assert!(matches!(watch_error(target, "/r/", revision).await, StoreError::Compacted { .. }));
    }
    let mortal = target.mortal("/r/").await.unwrap();
    assert_eq!(mortal.len(), 3);
    for (key, left) in mortal {
        assert!(key.starts_with("/r/objects/events/"), "{key}");
        assert!(left > Duration::from_secs(3400) && left < Duration::from_secs(3800), "{left:?}");
    }
}

fn quiet(_: &str) {}

fn file(dir: &TempDir) -> PathBuf {
    dir.path().join("target.redb")
}

/// Copies into an embedded store, and opens it.
async fn to_file(source: &dyn Store, path: &Path) -> (Summary, EmbeddedStore) {
    let summary = into_file(source, path, &keys(), false, &quiet).await.unwrap();
    (summary, EmbeddedStore::open(path).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_file_into_etcd_and_back() {
    let (source, etcd, dir) = (bed::embedded().await, bed::etcd().await, TempDir::new().unwrap());
    fill(&source.store).await;
    let summary = into_store(&*source.store, &*etcd.store, &keys(), false, &quiet).await.unwrap();
    check(&*source.store, &*etcd.store, &summary).await;
    let (back, target) = to_file(&*etcd.store, &file(&dir)).await;
    check(&*etcd.store, &target, &back).await;
    assert!(content(&target).await == content(&*source.store).await);
    assert!(back.target_revision >= summary.source_revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_takes_over_the_revisions_of_etcd() {
    let (etcd, dir) = (bed::etcd().await, TempDir::new().unwrap());
    fill(&etcd.store).await;
    let (summary, target) = to_file(&*etcd.store, &file(&dir)).await;
    check(&*etcd.store, &target, &summary).await;
    assert_eq!(summary.target_revision, summary.source_revision);
    let revision = summary.source_revision;
    let [ours, theirs] = [&*etcd.store as &dyn Store, &target].map(|store| store.list("/r/", None, Some(revision), 0));
    assert!(ours.await.unwrap() == theirs.await.unwrap(), "the same revisions");
    // Who watches from the last revision goes on as if nothing had happened.
    let mut changes = target.watch("/r/", revision).await.unwrap();
    let key = "/r/objects/pods/default/p00002";
    let known = target.get(key).await.unwrap().unwrap();
    let changed = target.update(key, text("{}"), known.revision).await.unwrap();
    assert_eq!(changed, revision + 1);
    let change = next(&mut changes).await.unwrap();
    assert_eq!((change.revision, change.previous), (changed, Some(known.value)));
    // The past of each key is cleaned up like any other.
    target.compact(changed).await.unwrap();
    assert!(target.get(key).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_there_is_replaced_only_when_asked() {
    let (source, etcd, dir) = (bed::embedded().await, bed::etcd().await, TempDir::new().unwrap());
    fill(&source.store).await;
    etcd.store.create("/r/objects/pods/default/old", text("{}")).await.unwrap();
    let refused = into_store(&*source.store, &*etcd.store, &keys(), false, &quiet).await.unwrap_err();
    assert_eq!(refused.to_string(), "there is something below /r/ in the target already: /r/objects/pods/default/old");
    assert_eq!(content(&*etcd.store).await.len(), 1);
    let summary = into_store(&*source.store, &*etcd.store, &keys(), true, &quiet).await.unwrap();
    check(&*source.store, &*etcd.store, &summary).await;

    let path = file(&dir);
    let old = EmbeddedStore::open(&path).unwrap();
    old.create("/r/objects/pods/default/old", text("{}")).await.unwrap();
    let refused = into_file(&*etcd.store, &path, &keys(), true, &quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::Open(OpenError::InUse(_))), "{refused}");
    drop(old);
    let refused = into_file(&*etcd.store, &path, &keys(), false, &quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::NotEmpty { .. }), "{refused}");
    let summary = into_file(&*etcd.store, &path, &keys(), true, &quiet).await.unwrap();
    check(&*etcd.store, &EmbeddedStore::open(&path).unwrap(), &summary).await;
}

/// A target that was ahead stays ahead: its clients know its revisions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_of_the_target_do_not_go_back_either() {
    let (etcd, dir) = (bed::etcd().await, TempDir::new().unwrap());
    let old = EmbeddedStore::open(&file(&dir)).unwrap();
    let mut newest = old.create("/r/objects/a", text("1")).await.unwrap();
    for _ in 0..50 {
        newest = old.update("/r/objects/a", text("1"), newest).await.unwrap();
    }
    drop(old);
    etcd.store.create("/r/objects/b", text("2")).await.unwrap();
    let summary = into_file(&*etcd.store, &file(&dir), &keys(), true, &quiet).await.unwrap();
    assert_eq!(summary.target_revision, newest);
    assert!(summary.source_revision < newest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_no_cluster() {
    let (source, etcd, dir) = (bed::embedded().await, bed::etcd().await, TempDir::new().unwrap());
    source.store.create("/other/thing", text("1")).await.unwrap();
    let refused = into_store(&*source.store, &*etcd.store, &keys(), false, &quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::Nothing(_)), "{refused}");
    assert!(content(&*etcd.store).await.is_empty(), "not even a mark");
    let refused = into_file(&*etcd.store, &file(&dir), &keys(), false, &quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::Nothing(_)), "{refused}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "no file is left");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_during_the_copy_is_found_out() {
    let Bed { store: source, .. } = &bed::embedded().await;
    let etcd = bed::etcd().await;
    fill(source).await;
    let said = Mutex::new(Vec::new());
    let listener = |sentence: &str| {
        said.lock().unwrap().push(sentence.to_owned());
        if sentence == "comparing both" {
            let source = source.clone();
            // A server that goes on.
            let write = async move { source.create("/r/objects/pods/default/late", text("{}")).await.unwrap() };
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(write));
        }
    };
    let refused = into_store(&**source, &*etcd.store, &keys(), false, &listener).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "/r/objects/pods/default/late is not the same in both: something has written to one of them meanwhile"
    );
    assert_eq!(said.into_inner().unwrap().last().map(String::as_str), Some("comparing both"));
    // It is not whole, and says so.
    assert!(etcd.store.get(&keys().copying()).await.unwrap().is_some());
    let refused = into_store(&**source, &*etcd.store, &keys(), false, &quiet).await.unwrap_err();
    assert!(matches!(refused, CopyError::Unfinished), "{refused}");
    into_store(&**source, &*etcd.store, &keys(), true, &quiet).await.unwrap();
    assert!(etcd.store.get(&keys().copying()).await.unwrap().is_none());
}

/// The copy is dropped at many points of its way, as when it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_cut_off_is_never_taken_for_whole() {
    let (source, etcd, dir) = (bed::embedded().await, bed::etcd().await, TempDir::new().unwrap());
    fill(&source.store).await;
    let (keys, mut cut_off) = (keys(), 0);
    for milliseconds in [0, 5, 30, 80, 150, 300] {
        let copy = into_store(&*source.store, &*etcd.store, &keys, true, &quiet);
        if tokio::time::timeout(Duration::from_millis(milliseconds), copy).await.is_err() {
            cut_off += 1;
            let is_marked = etcd.store.get(&keys.copying()).await.unwrap().is_some();
            // What was sent may still arrive; what is there is either nothing, marked, or whole.
            let found = content(&*etcd.store).await;
            assert!(is_marked || found.is_empty() || found == content(&*source.store).await, "{}", found.len());
        }
    }
    assert!(cut_off > 0);
    let summary = into_store(&*source.store, &*etcd.store, &keys, true, &quiet).await.unwrap();
    check(&*source.store, &*etcd.store, &summary).await;

    let path = file(&dir);
    for milliseconds in [0, 5, 30, 80] {
        let copy = into_file(&*etcd.store, &path, &keys, true, &quiet);
        if tokio::time::timeout(Duration::from_millis(milliseconds), copy).await.is_err() {
            assert!(!path.exists(), "only a whole one has the name");
        }
    }
    let (summary, target) = to_file_again(&*etcd.store, &path).await;
    check(&*etcd.store, &target, &summary).await;
}

/// Blocking work of a copy that was cut off may hold its draft a little longer.
async fn to_file_again(etcd: &dyn Store, path: &Path) -> (Summary, EmbeddedStore) {
    let until = std::time::Instant::now() + bed::DEADLINE;
    loop {
        match into_file(etcd, path, &keys(), true, &quiet).await {
            Ok(summary) => return (summary, EmbeddedStore::open(path).unwrap()),
            Err(error) => assert!(std::time::Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_counts_up_to_a_source_that_is_far_ahead() {
    let (source, etcd) = (bed::embedded().await, bed::etcd().await);
    let mut newest = source.store.create("/r/objects/a", text("1")).await.unwrap();
    while newest < 3000 {
        newest = source.store.update("/r/objects/a", text(newest.to_string()), newest).await.unwrap();
    }
    let start = etcd.store.revision().await.unwrap();
    assert!(start < 10);
    let summary = into_store(&*source.store, &*etcd.store, &keys(), false, &quiet).await.unwrap();
    assert!(summary.target_revision > newest && summary.target_revision < newest + 6000, "{summary:?}");
    assert_eq!(content(&*etcd.store).await.len(), 1);
}
