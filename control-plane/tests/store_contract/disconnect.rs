//! etcd goes away and comes back under those who use it.

use std::{sync::Arc, time::Duration};

use nodeplane_control_plane::store::{
    Store, StoreError,
    etcd::EtcdStore,
    keys::Keys,
    watch_cache::{Freshness, WatchCache},
};
use tempfile::TempDir;

use crate::bed::{DEADLINE, Etcd, next, text};

/// Writes one value after the other until told to stop, whatever fails; gives the last one.
async fn write_on(store: Arc<EtcdStore>, mut stop: tokio::sync::oneshot::Receiver<()>) -> (u64, u64) {
    let (mut value, mut revision, mut failures) = (0_u64, 0_u64, 0_u64);
    while stop.try_recv().is_err() {
        // After a lost answer the store says what happened.
        match store.get("/r/objects/a").await {
            Ok(Some(entry)) => revision = entry.revision,
            Ok(None) => revision = 0,
            Err(_) => {
                failures += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        }
        let bytes = text(format!("{{\"metadata\":{{\"name\":\"a\"}},\"value\":{}}}", value + 1));
        let result = match revision {
            0 => store.create("/r/objects/a", bytes).await,
            _ => store.update("/r/objects/a", bytes, revision).await,
        };
        match result {
            Ok(now) => (value, revision) = (value + 1, now),
            Err(StoreError::Unavailable(_)) => failures += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(failures > 0, "etcd was never away");
    let newest = store.get("/r/objects/a").await.unwrap().unwrap();
    assert!(newest.revision >= revision);
    (value, newest.revision)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_go_on_after_etcd_was_killed() {
    let dir = TempDir::new().unwrap();
    let mut etcd = Etcd::start(dir.path(), &[]).await;
    let store = Arc::new(EtcdStore::connect(&etcd.options()).await.unwrap());
    let start = store.revision().await.unwrap();
    let mut changes = store.watch("/r/objects/", start).await.unwrap();
    let cache = WatchCache::start(store.clone(), &Keys::new("/r"));
    let mut cached = cache.watch("/r/objects/", start).await.unwrap();

    let (stop, stopped) = tokio::sync::oneshot::channel();
    let writer = tokio::spawn(write_on(store.clone(), stopped));
    let mut seen = start;
    for _ in 0..2 {
        for _ in 0..50 {
            let change = next(&mut changes).await.unwrap();
            assert_eq!(change.revision, seen + 1);
            seen = change.revision;
        }
        etcd.kill();
        assert!(matches!(store.get("/r/objects/a").await, Err(StoreError::Unavailable(_))));
        assert!(matches!(cache.list("/r/objects/", Freshness::Newest).await, Err(StoreError::Unavailable(_))));
        assert!(cache.list("/r/objects/", Freshness::Any).await.is_ok(), "what is in memory is still there");
        etcd.restart().await;
    }
    let after = seen;
    while seen < after + 50 {
        let change = next(&mut changes).await.unwrap();
        assert_eq!(change.revision, seen + 1);
        seen = change.revision;
    }
    stop.send(()).unwrap();
    let (_, newest) = writer.await.unwrap();
    for expected in start + 1..=newest {
        let event = tokio::time::timeout(DEADLINE, cached.next_event()).await.expect("nothing happens");
        assert_eq!(event.expect("the watch ends").revision, expected);
    }
    let list = cache.list("/r/objects/", Freshness::Newest).await.unwrap();
    assert_eq!((list.revision, list.objects[0].revision()), (newest, newest));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_of_others_do_not_keep_consistent_reads_waiting() {
    let dir = TempDir::new().unwrap();
    let etcd = Etcd::start(dir.path(), &[]).await;
    let store = Arc::new(EtcdStore::connect(&etcd.options()).await.unwrap());
    let cache = WatchCache::start(store.clone(), &Keys::new("/r"));
    let ours = store.create("/r/objects/a", text("{}")).await.unwrap();
    let theirs = store.create("/elsewhere", text("x")).await.unwrap();
    let (list, mut watch) = cache.list_and_watch("/r/objects/", Freshness::Newest).await.unwrap();
    assert_eq!((list.objects[0].revision(), list.revision), (ours, theirs));
    let next = store.update("/r/objects/a", text("{}"), ours).await.unwrap();
    let event = tokio::time::timeout(DEADLINE, watch.next_event()).await.unwrap().unwrap();
    assert_eq!(event.revision, next);
    assert_eq!(watch.revision(), next);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_compacted_by_and_by() {
    let dir = TempDir::new().unwrap();
    let etcd = Etcd::start(dir.path(), &[]).await;
    let mut options = etcd.options();
    options.compact_every = Some(Duration::from_millis(100));
    let store = EtcdStore::connect(&options).await.unwrap();
    let first = store.create("/r/objects/a", text("1")).await.unwrap();
    let second = store.update("/r/objects/a", text("2"), first).await.unwrap();
    let compacted = async {
        while store.list("/r/objects/", None, Some(first), 0).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store.list("/r/objects/", None, Some(first), 0).await.unwrap_err()
    };
    let error = tokio::time::timeout(DEADLINE, compacted).await.unwrap();
    assert!(matches!(error, StoreError::Compacted { oldest } if oldest == second), "{error:?}");
    assert_eq!(store.get("/r/objects/a").await.unwrap().unwrap().revision, second);
}
