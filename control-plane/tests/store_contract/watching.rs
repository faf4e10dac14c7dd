//! Watches: past and live changes are one sequence.

use std::{collections::BTreeMap, sync::Arc};

use nodeplane_control_plane::store::{Change, Changes, Store, StoreError};

use crate::{
    bed::{Bed, next, take, text},
    contract::on_every_store,
};

on_every_store!(
    a_change_shows_what_was_and_what_is,
    a_watch_hears_of_its_prefix_alone,
    past_and_live_changes_have_no_gap_and_no_duplicate,
    a_watch_that_lags_behind_a_compaction_ends,
);

async fn a_change_shows_what_was_and_what_is(bed: Bed) {
    let store = &bed.store;
    let start = store.revision().await.unwrap();
    let mut live = store.watch("/r/", start).await.unwrap();
    let a = store.create("/r/a", text("1")).await.unwrap();
    let b = store.update("/r/a", text("2"), a).await.unwrap();
    let c = store.delete("/r/a", b).await.unwrap();
    let d = store.create("/r/a", text("3")).await.unwrap();
    let change = |revision, value: Option<&str>, previous: Option<&str>| Change {
        key: "/r/a".into(),
        revision,
        value: value.map(text),
        previous: previous.map(text),
    };
    let expected = [
        change(a, Some("1"), None),
        change(b, Some("2"), Some("1")),
        change(c, None, Some("2")),
        change(d, Some("3"), None),
    ];
    assert_eq!(take(&mut live, 4).await, expected);
    let mut from_the_past = store.watch("/r/", a).await.unwrap();
    assert_eq!(take(&mut from_the_past, 3).await, expected[1..]);
    let mut from_the_beginning = store.watch("/r/", 0).await.unwrap();
    assert_eq!(take(&mut from_the_beginning, 4).await, expected);
}

async fn a_watch_hears_of_its_prefix_alone(bed: Bed) {
    let store = &bed.store;
    let mut changes = store.watch("/a/b/", 0).await.unwrap();
    for key in ["/a/bc/1", "/a/b/1", "/a/b", "/a/c/1", "/a/a/1", "/a/b/2"] {
        store.create(key, text(key)).await.unwrap();
    }
    let heard = take(&mut changes, 2).await;
    assert_eq!(heard.iter().map(|change| change.key.as_str()).collect::<Vec<_>>(), ["/a/b/1", "/a/b/2"]);
}

const WRITERS: usize = 6;
const WRITES: usize = 60;

/// Creates, updates and deletes on a few keys that all writers share.
async fn write(store: Arc<dyn Store>, seed: usize) -> usize {
    let mut done = 0;
    for step in 0..WRITES {
        let key = format!("/r/{}", (seed * 7 + step * 3) % 5);
        let value = text(format!("{seed}.{step}"));
        let result = match store.get(&key).await.unwrap() {
            None => store.create(&key, value).await,
            Some(entry) if (seed + step).is_multiple_of(4) => store.delete(&key, entry.revision).await,
            Some(entry) => store.update(&key, value, entry.revision).await,
        };
        match result {
            Ok(_) => done += 1,
            Err(StoreError::Exists | StoreError::NotFound | StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    done
}

/// Reads up to and with a revision.
async fn read_until(mut changes: Changes, revision: u64) -> Vec<Change> {
    let mut read = Vec::new();
    loop {
        let change = next(&mut changes).await.unwrap();
        let last = change.revision >= revision;
        read.push(change);
        if last {
            return read;
        }
    }
}

async fn past_and_live_changes_have_no_gap_and_no_duplicate(bed: Bed) {
    let store = &bed.store;
    let start = store.revision().await.unwrap();
    let from_start = store.watch("/r/", start).await.unwrap();
    let writers: Vec<_> = (0..WRITERS).map(|seed| tokio::spawn(write(store.clone(), seed))).collect();
    // Watches that begin at some point in the past while the present goes on.
    let mut watches = vec![(start, from_start)];
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let now = store.revision().await.unwrap();
        let after = start + (now - start) * (watches.len() as u64 % 5) / 4;
        watches.push((after, store.watch("/r/", after).await.unwrap()));
        tokio::task::yield_now().await;
        if watches.len() == 40 {
            break;
        }
    }
    let mut done = 0;
    for writer in writers {
        done += writer.await.unwrap();
    }
    let end = store.create("/r/end", text("end")).await.unwrap();
    assert_eq!(end, start + done as u64 + 1, "each acknowledged write has its own revision");

    let mut whole = Vec::new();
    for (after, changes) in watches {
        let read = read_until(changes, end).await;
        let revisions: Vec<_> = read.iter().map(|change| change.revision).collect();
        assert_eq!(revisions, (after + 1..=end).collect::<Vec<_>>());
        if whole.is_empty() {
            whole = read;
        } else {
            assert_eq!(read, whole[(after - start) as usize..]);
        }
    }
    replays_to_what_is_there(&**store, &whole).await;
}

/// The changes, one after the other, give the store's state, and each starts where the last ended.
async fn replays_to_what_is_there(store: &dyn Store, changes: &[Change]) {
    let mut state = BTreeMap::new();
    for change in changes {
        let previous = match &change.value {
            Some(value) => state.insert(change.key.clone(), (change.revision, value.clone())),
            None => state.remove(&change.key),
        };
        assert_eq!(change.previous, previous.map(|(_, value)| value));
    }
    let page = store.list("/r/", None, None, 0).await.unwrap();
    let stored: BTreeMap<_, _> =
        page.entries.into_iter().map(|entry| (entry.key, (entry.revision, entry.value))).collect();
    assert_eq!(stored, state);
}

async fn a_watch_that_lags_behind_a_compaction_ends(bed: Bed) {
    let store = &bed.store;
    let first = store.create("/r/a", text("0")).await.unwrap();
    let mut newest = first;
    for number in 0..600 {
        newest = store.update("/r/a", text(number.to_string()), newest).await.unwrap();
    }
    let mut lagging = store.watch("/r/", first).await.unwrap();
    store.compact(newest).await.unwrap();
    // What it has fetched already may come; then it ends, and never with a gap.
    let mut seen = first;
    loop {
        match next(&mut lagging).await {
            Ok(change) => {
                assert_eq!(change.revision, seen + 1);
                seen = change.revision;
                if seen == newest {
                    return;
                }
            }
            Err(StoreError::Compacted { oldest }) => return assert_eq!(oldest, newest),
            Err(error) => panic!("{error}"),
        }
    }
}
