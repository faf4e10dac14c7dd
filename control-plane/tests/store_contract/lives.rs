//! Keys that go by themselves.

use std::{sync::Arc, time::Duration};

use nodeplane_control_plane::store::{Store, StoreError, embedded::EmbeddedStore, etcd::EtcdStore};
use tempfile::TempDir;

use crate::{
    bed::{Bed, Etcd, next, take, text},
    contract::on_every_store,
};

const SHORT: Option<Duration> = Some(Duration::from_secs(1));
const LONG: Option<Duration> = Some(Duration::from_secs(3600));

on_every_store!(
    a_key_goes_when_its_life_is_over,
    the_last_write_says_how_long_a_key_lives,
    what_is_left_of_a_life_is_told,
    many_lives_end_with_all_their_keys,
);

async fn a_key_goes_when_its_life_is_over(bed: Bed) {
    let store = &bed.store;
    let stays = store.create("/r/stays", text("1")).await.unwrap();
    let made = store.create_for("/r/goes", text("2"), SHORT).await.unwrap();
    let mut changes = store.watch("/r/", stays).await.unwrap();
    let [created, deleted] = take(&mut changes, 2).await.try_into().unwrap();
    assert_eq!((created.revision, created.value), (made, Some(text("2"))));
    assert_eq!((deleted.key.as_str(), deleted.value, deleted.previous), ("/r/goes", None, Some(text("2"))));
    assert!(deleted.revision > made);
    assert_eq!(store.get("/r/goes").await.unwrap(), None);
    assert_eq!(store.get("/r/stays").await.unwrap().unwrap().revision, stays);
    // Its name is free again, and what takes it lives for ever.
    let again = store.create("/r/goes", text("3")).await.unwrap();
    store.create_for("/r/later", text("4"), SHORT).await.unwrap();
    while next(&mut changes).await.unwrap().key != "/r/later" {}
    assert_eq!(next(&mut changes).await.unwrap().key, "/r/later");
    assert_eq!(store.get("/r/goes").await.unwrap().unwrap().revision, again);
}

async fn the_last_write_says_how_long_a_key_lives(bed: Bed) {
    let store = &bed.store;
    let a = store.create_for("/r/a", text("1"), SHORT).await.unwrap();
    let b = store.create_for("/r/b", text("1"), SHORT).await.unwrap();
    let c = store.create_for("/r/c", text("1"), LONG).await.unwrap();
    store.update("/r/a", text("for ever"), a).await.unwrap();
    store.update_for("/r/b", text("longer"), b, LONG).await.unwrap();
    let c = store.update_for("/r/c", text("shorter"), c, SHORT).await.unwrap();
    let mut changes = store.watch("/r/", c).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().key, "/r/c");
    for (key, value) in [("/r/a", "for ever"), ("/r/b", "longer")] {
        assert_eq!(store.get(key).await.unwrap().unwrap().value, text(value));
    }
}

async fn what_is_left_of_a_life_is_told(bed: Bed) {
    let store = &bed.store;
    store.create("/r/a", text("1")).await.unwrap();
    store.create_for("/r/b", text("1"), LONG).await.unwrap();
    store.create_for("/r/c/d", text("1"), LONG).await.unwrap();
    store.create_for("/s/e", text("1"), LONG).await.unwrap();
    let mortal = store.mortal("/r/").await.unwrap();
    assert_eq!(mortal.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["/r/b", "/r/c/d"]);
    for (_, left) in mortal {
        assert!(left > Duration::from_secs(3500) && left <= Duration::from_secs(3662), "{left:?}");
    }
}

async fn many_lives_end_with_all_their_keys(bed: Bed) {
    let store: &Arc<dyn Store> = &bed.store;
    let start = store.revision().await.unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..700 {
        let store = store.clone();
        writers.spawn(async move { store.create_for(&format!("/r/{number}"), text("1"), SHORT).await.unwrap() });
    }
    writers.join_all().await;
    let mut changes = store.watch("/r/", start).await.unwrap();
    let all = take(&mut changes, 1400).await;
    assert_eq!(all.iter().filter(|change| change.value.is_none()).count(), 700);
    assert!(store.list("/r/", None, None, 0).await.unwrap().entries.is_empty());
    assert!(store.mortal("/r/").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lives_end_in_a_file_that_was_closed_meanwhile() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("store.redb");
    let store = EmbeddedStore::open(&file).unwrap();
    let made = store.create_for("/r/a", text("1"), SHORT).await.unwrap();
    store.create_for("/r/b", text("1"), LONG).await.unwrap();
    drop(store);
    let store = EmbeddedStore::open(&file).unwrap();
    let mut changes = store.watch("/r/a", made).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().value, None);
    assert_eq!(store.mortal("/r/").await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_etcd_has_lost_is_replaced() {
    let dir = TempDir::new().unwrap();
    let etcd = Etcd::start(dir.path(), &[]).await;
    let store = EtcdStore::connect(&etcd.options()).await.unwrap();
    store.create_for("/r/a", text("1"), LONG).await.unwrap();
    let mut client = etcd_client::Client::connect(etcd.options().endpoints, None).await.unwrap();
    let leases = client.leases().await.unwrap();
    assert_eq!(leases.leases().len(), 1, "one lease for all that is written soon after");
    client.lease_revoke(leases.leases()[0].id()).await.unwrap();
    assert_eq!(store.get("/r/a").await.unwrap(), None);
    store.create_for("/r/b", text("1"), LONG).await.unwrap();
    store.create_for("/r/c", text("1"), LONG).await.unwrap();
    assert_eq!(store.mortal("/r/").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_etcd_takes_nothing_until_there_is_room() {
    let dir = TempDir::new().unwrap();
    let etcd = Etcd::start(dir.path(), &["--quota-backend-bytes", "4194304"]).await;
    let store = EtcdStore::connect(&etcd.options()).await.unwrap();
    let refused = async {
        for number in 0.. {
            match store.create(&format!("/r/{number}"), text("x".repeat(1 << 20))).await {
                Ok(_) => {}
                Err(error) => return error,
            }
        }
        unreachable!("no limit")
    };
    let refused = refused.await;
    assert!(matches!(refused, StoreError::Full), "{refused:?}");
    assert!(store.get("/r/0").await.unwrap().is_some(), "what is there can still be read");
}
