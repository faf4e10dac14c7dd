//! An etcd of several members, of which some die.

use nodeplane_control_plane::store::{Store, StoreError, etcd::EtcdStore};
use tempfile::TempDir;

use crate::bed::{DEADLINE, Etcd, next, text};

/// Writes until it succeeds. A write whose answer was lost may have happened.
async fn write(store: &EtcdStore, key: &str) -> u32 {
    let mut failures = 0;
    let written = async {
        loop {
            match store.create(key, text("1")).await {
                Ok(_) => return,
                Err(StoreError::Exists) if failures > 0 => return,
                Err(StoreError::Unavailable(_)) => failures += 1,
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(DEADLINE, written).await.expect("no member answers");
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_go_on_when_a_member_dies() {
    let dir = TempDir::new().unwrap();
    let [mut first, second, third] = Etcd::cluster::<3>(dir.path(), &[]).await;
    let others = [second, third];
    let options = first.options_with(&others);
    let store = EtcdStore::connect(&options).await.unwrap();
    write(&store, "/r/before").await;
    let mut changes = store.watch("/r/", 0).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().key, "/r/before");

    first.kill();
    write(&store, "/r/after").await;
    assert_eq!(next(&mut changes).await.unwrap().key, "/r/after");
    // From now on nobody asks the dead one: nothing fails any more.
    for number in 0..100 {
        let key = format!("/r/{number}");
        store.create(&key, text("1")).await.unwrap();
        assert!(store.get(&key).await.unwrap().is_some());
        assert_eq!(next(&mut changes).await.unwrap().key, key);
    }
    // Who comes now and is told of the dead one first is served, too.
    let late = EtcdStore::connect(&options).await.unwrap();
    assert!(late.get("/r/before").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_answered_and_then_it_is() {
    let dir = TempDir::new().unwrap();
    let [first, second, third] = Etcd::cluster::<3>(dir.path(), &[]).await;
    let mut others = [second, third];
    let store = EtcdStore::connect(&first.options_with(&others)).await.unwrap();
    write(&store, "/r/before").await;
    let mut changes = store.watch("/r/", 0).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().key, "/r/before");
    for other in &mut others {
        other.kill();
    }
    assert!(matches!(store.create("/r/lost", text("1")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.get("/r/before").await, Err(StoreError::Unavailable(_))));
    for other in &mut others {
        other.restart().await;
    }
    write(&store, "/r/after").await;
    assert!(store.get("/r/before").await.unwrap().is_some());
    // The write without an answer may have happened after all.
    while next(&mut changes).await.unwrap().key != "/r/after" {}
}
