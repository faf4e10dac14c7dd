//! Single operations.

use std::sync::Arc;

use bytes::Bytes;
use nodeplane_control_plane::store::{Change, Entry, MAX_VALUE_BYTES, Store, StoreError};

use crate::bed::{Bed, next, take, text, watch_error};

/// Runs each promise on each store.
macro_rules! on_every_store {
    ($($promise:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::bed::embedded().await).await;
            })*
        }
        mod etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                super::$promise(crate::bed::etcd().await).await;
            })*
        }
    };
}
pub(crate) use on_every_store;

on_every_store!(
    a_key_lives_from_create_to_delete,
    writes_are_refused_with_what_is_there,
    every_change_has_the_next_revision_and_a_refused_one_has_none,
    a_list_has_the_keys_of_its_prefix_in_order,
    pages_of_one_revision_fit_together_while_writes_go_on,
    an_old_revision_is_listed_as_it_was,
    what_has_been_compacted_is_gone_and_the_rest_stays,
    the_future_cannot_be_listed_but_watched,
    values_have_a_largest_size,
    one_of_many_wins_each_update,
);

async fn keys(store: &dyn Store, prefix: &str, revision: Option<u64>) -> Vec<String> {
    let page = store.list(prefix, None, revision, 0).await.unwrap();
    page.entries.into_iter().map(|entry| entry.key).collect()
}

async fn a_key_lives_from_create_to_delete(bed: Bed) {
    let store = &bed.store;
    assert_eq!(store.get("/r/a").await.unwrap(), None);
    let created = store.create("/r/a", text("1")).await.unwrap();
    let entry = |value: &str, revision| Some(Entry { key: "/r/a".into(), value: text(value), revision });
    assert_eq!(store.get("/r/a").await.unwrap(), entry("1", created));
    let updated = store.update("/r/a", text("2"), created).await.unwrap();
    assert_eq!(store.get("/r/a").await.unwrap(), entry("2", updated));
    store.delete("/r/a", updated).await.unwrap();
    assert_eq!(store.get("/r/a").await.unwrap(), None);
    let again = store.create("/r/a", Bytes::new()).await.unwrap();
    assert_eq!(store.get("/r/a").await.unwrap(), entry("", again));
}

async fn writes_are_refused_with_what_is_there(bed: Bed) {
    let store = &bed.store;
    for expected in [0, 1, 77] {
        assert!(matches!(store.update("/r/a", text("x"), expected).await, Err(StoreError::NotFound)));
        assert!(matches!(store.delete("/r/a", expected).await, Err(StoreError::NotFound)));
    }
    let first = store.create("/r/a", text("1")).await.unwrap();
    assert!(matches!(store.create("/r/a", text("x")).await, Err(StoreError::Exists)));
    let second = store.update("/r/a", text("2"), first).await.unwrap();
    let newest = Entry { key: "/r/a".into(), value: text("2"), revision: second };
    for expected in [0, first, second + 1] {
        let updated = store.update("/r/a", text("x"), expected).await;
        assert!(matches!(updated, Err(StoreError::Conflict { current }) if current == newest));
        let deleted = store.delete("/r/a", expected).await;
        assert!(matches!(deleted, Err(StoreError::Conflict { current }) if current == newest));
    }
}

async fn every_change_has_the_next_revision_and_a_refused_one_has_none(bed: Bed) {
    let store = &bed.store;
    let start = store.revision().await.unwrap();
    assert!(start > 0);
    let created = store.create("/r/a", text("1")).await.unwrap();
    assert!(store.create("/r/a", text("1")).await.is_err());
    let updated = store.update("/r/a", text("1"), created).await.unwrap();
    assert!(store.delete("/r/a", created).await.is_err());
    let deleted = store.delete("/r/a", updated).await.unwrap();
    assert_eq!([created, updated, deleted], [start + 1, start + 2, start + 3]);
    assert_eq!(store.revision().await.unwrap(), deleted);
    assert_eq!(store.list("/r/", None, None, 0).await.unwrap().revision, deleted);
}

async fn a_list_has_the_keys_of_its_prefix_in_order(bed: Bed) {
    let store = &bed.store;
    for key in ["/a/bc/1", "/a/b/2", "/a/b/10", "/a/b/1", "/a/b", "/a/b/é", "/a/b0", "/a/a/z"] {
        store.create(key, text(key)).await.unwrap();
    }
    assert_eq!(keys(&**store, "/a/b/", None).await, ["/a/b/1", "/a/b/10", "/a/b/2", "/a/b/é"]);
    assert_eq!(keys(&**store, "/a/b", None).await.len(), 7);
    assert_eq!(keys(&**store, "/a/c", None).await, [""; 0]);
    let page = |start, limit| store.list("/a/b/", start, None, limit);
    let first = page(None, 2).await.unwrap();
    assert_eq!((first.entries[1].key.as_str(), first.entries.len(), first.remaining), ("/a/b/10", 2, 2));
    let second = page(Some("/a/b/10\0"), 1).await.unwrap();
    assert_eq!((second.entries[0].key.as_str(), second.remaining), ("/a/b/2", 1));
    let last = page(Some("/a/b/2\0"), 5).await.unwrap();
    assert_eq!((last.entries.len(), last.remaining), (1, 0));
    assert_eq!(page(Some("/a/c"), 5).await.unwrap().entries, []);
    assert_eq!(page(Some("/a/a"), 0).await.unwrap().entries.len(), 4, "a start before the prefix");
    assert_eq!(page(None, 4).await.unwrap().remaining, 0);
}

async fn pages_of_one_revision_fit_together_while_writes_go_on(bed: Bed) {
    let store = &bed.store;
    for number in 0..25 {
        store.create(&format!("/r/{number:02}"), text("before")).await.unwrap();
    }
    let whole = store.list("/r/", None, None, 0).await.unwrap();
    let (mut found, mut start) = (Vec::new(), None::<String>);
    loop {
        let page = store.list("/r/", start.as_deref(), Some(whole.revision), 4).await.unwrap();
        assert_eq!(page.revision, whole.revision);
        assert_eq!(page.remaining as usize, 25 - found.len() - page.entries.len());
        found.extend(page.entries);
        // Something behind, something ahead, something new.
        let behind = &found[0];
        let _ = store.delete(&behind.key, behind.revision).await;
        let ahead = &whole.entries[24];
        let _ = store.update(&ahead.key, text("after"), ahead.revision).await;
        store.create(&format!("/r/{:02}x", found.len()), text("new")).await.unwrap();
        if page.remaining == 0 {
            break;
        }
        start = Some(format!("{}\0", found.last().unwrap().key));
    }
    assert_eq!(found, whole.entries);
}

async fn an_old_revision_is_listed_as_it_was(bed: Bed) {
    let store = &bed.store;
    let empty = store.revision().await.unwrap();
    let a = store.create("/r/a", text("1")).await.unwrap();
    let b = store.create("/r/b", text("1")).await.unwrap();
    let a2 = store.update("/r/a", text("2"), a).await.unwrap();
    let gone = store.delete("/r/b", b).await.unwrap();
    let b2 = store.create("/r/b", text("3")).await.unwrap();
    for (revision, expected) in [
        (empty, vec![]),
        (a, vec![("/r/a", "1", a)]),
        (b, vec![("/r/a", "1", a), ("/r/b", "1", b)]),
        (a2, vec![("/r/a", "2", a2), ("/r/b", "1", b)]),
        (gone, vec![("/r/a", "2", a2)]),
        (b2, vec![("/r/a", "2", a2), ("/r/b", "3", b2)]),
    ] {
        let page = store.list("/r/", None, Some(revision), 0).await.unwrap();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(key, value, revision)| Entry { key: key.into(), value: text(value), revision })
            .collect();
        assert_eq!((page.revision, page.entries), (revision, expected));
    }
}

async fn what_has_been_compacted_is_gone_and_the_rest_stays(bed: Bed) {
    let store = &bed.store;
    let a = store.create("/r/a", text("1")).await.unwrap();
    let b = store.create("/r/b", text("1")).await.unwrap();
    let a2 = store.update("/r/a", text("2"), a).await.unwrap();
    let gone = store.delete("/r/b", b).await.unwrap();
    let a3 = store.update("/r/a", text("3"), a2).await.unwrap();
    store.compact(gone).await.unwrap();

    for revision in [a, b, a2] {
        let listed = store.list("/r/", None, Some(revision), 0).await;
        assert!(matches!(listed, Err(StoreError::Compacted { oldest }) if oldest == gone), "{listed:?}");
        let watched = watch_error(&**store, "/r/", revision).await;
        assert!(matches!(watched, StoreError::Compacted { oldest } if oldest == gone), "{watched:?}");
    }
    let listed = store.list("/r/", None, Some(gone), 0).await.unwrap();
    assert_eq!(listed.entries, [Entry { key: "/r/a".into(), value: text("2"), revision: a2 }]);
    let mut changes = store.watch("/r/", gone).await.unwrap();
    let expected = Change { key: "/r/a".into(), revision: a3, value: Some(text("3")), previous: Some(text("2")) };
    assert_eq!(next(&mut changes).await.unwrap(), expected);
    assert_eq!(keys(&**store, "/r/", None).await, ["/r/a"]);

    store.compact(a).await.unwrap();
    assert!(matches!(store.compact(a3 + 1).await, Err(StoreError::Future { newest, .. }) if newest == a3));
    store.compact(a3).await.unwrap();
    assert_eq!(store.get("/r/a").await.unwrap().unwrap().revision, a3);
}

async fn the_future_cannot_be_listed_but_watched(bed: Bed) {
    let store = &bed.store;
    let now = store.create("/r/a", text("1")).await.unwrap();
    let listed = store.list("/r/", None, Some(now + 2), 0).await;
    assert!(matches!(listed, Err(StoreError::Future { asked, newest }) if (asked, newest) == (now + 2, now)));
    let mut changes = store.watch("/r/", now + 1).await.unwrap();
    let before = store.update("/r/a", text("2"), now).await.unwrap();
    let after = store.update("/r/a", text("3"), before).await.unwrap();
    assert_eq!(next(&mut changes).await.unwrap().revision, after);
}

async fn values_have_a_largest_size(bed: Bed) {
    let store = &bed.store;
    let largest = Bytes::from(vec![b'x'; MAX_VALUE_BYTES]);
    let revision = store.create("/r/a", largest.clone()).await.unwrap();
    for size in [2 << 20, 8 << 20] {
        let larger = Bytes::from(vec![b'x'; size]);
        assert!(matches!(store.create("/r/b", larger.clone()).await, Err(StoreError::TooLarge)));
        assert!(matches!(store.update("/r/a", larger, revision).await, Err(StoreError::TooLarge)));
    }
    for number in 0..4 {
        store.create(&format!("/r/c{number}"), largest.clone()).await.unwrap();
    }
    // More than one message of gRPC by default.
    let page = store.list("/r/", None, None, 0).await.unwrap();
    assert_eq!(page.entries.iter().map(|entry| entry.value.len()).sum::<usize>(), 5 * MAX_VALUE_BYTES);
    let mut changes = store.watch("/r/", revision - 1).await.unwrap();
    assert_eq!(take(&mut changes, 5).await.len(), 5);
}

async fn one_of_many_wins_each_update(bed: Bed) {
    const TASKS: u64 = 8;
    const EACH: u64 = 20;
    let store: &Arc<dyn Store> = &bed.store;
    store.create("/r/counter", text("0")).await.unwrap();
    let count = |store: Arc<dyn Store>| async move {
        for _ in 0..EACH {
            loop {
                let entry = store.get("/r/counter").await.unwrap().unwrap();
                let number: u64 = str::from_utf8(&entry.value).unwrap().parse().unwrap();
                match store.update("/r/counter", text((number + 1).to_string()), entry.revision).await {
                    Ok(_) => break,
                    Err(StoreError::Conflict { current }) => assert!(current.revision > entry.revision),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    let tasks: Vec<_> = (0..TASKS).map(|_| tokio::spawn(count(store.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(store.get("/r/counter").await.unwrap().unwrap().value, text((TASKS * EACH).to_string()));
}
