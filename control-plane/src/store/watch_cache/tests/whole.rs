use bytes::Bytes;
use tempfile::TempDir;

use super::{flaky::Flaky, *};
use crate::store::{embedded::EmbeddedStore, keys::Keys, object::encode};

const DEADLINE: Duration = Duration::from_secs(30);

struct Bed {
    store: Arc<Flaky<EmbeddedStore>>,
    cache: WatchCache,
    _dir: TempDir,
}

fn bed() -> Bed {
    let dir = TempDir::new().unwrap();
    let store = Arc::new(Flaky::new(EmbeddedStore::open(&dir.path().join("store.redb")).unwrap()));
    let cache = WatchCache::start(store.clone(), &Keys::new("/r"));
    Bed { store, cache, _dir: dir }
}

impl Bed {
    async fn create(&self, key: &str) -> u64 {
        self.store.create(key, encode(&mut object(key, 0).into_value())).await.unwrap()
    }

    async fn update(&self, key: &str) -> u64 {
        let entry = self.store.get(key).await.unwrap().unwrap();
        self.store.update(key, entry.value, entry.revision).await.unwrap()
    }
}

async fn next(watch: &mut Watch) -> Option<Arc<Event>> {
    tokio::time::timeout(DEADLINE, watch.next_event()).await.expect("nothing happens")
}

#[tokio::test]
async fn a_consistent_list_shows_every_acknowledged_write() {
    let bed = bed();
    for number in 0..200 {
        let revision = bed.create(&format!("/r/objects/{number:03}")).await;
        let list = bed.cache.list("/r/objects/", Freshness::Newest).await.unwrap();
        assert_eq!((list.revision, list.objects.len()), (revision, number + 1));
        assert_eq!(list.objects[number].value()["metadata"]["resourceVersion"], revision.to_string());
    }
    assert!(bed.cache.is_ready());
}

#[tokio::test]
async fn reads_are_as_fresh_as_they_ask_for() {
    let bed = bed();
    let a = bed.create("/r/objects/a").await;
    let b = bed.create("/r/objects/b").await;
    let list = |fresh| bed.cache.list("/r/objects/", fresh);
    assert_eq!(brief(&list(Freshness::AtLeast(b)).await.unwrap()), [("/r/objects/a", a), ("/r/objects/b", b)]);
    assert_eq!(brief(&list(Freshness::Any).await.unwrap()).len(), 2);
    let then = list(Freshness::Exact(a)).await.unwrap();
    assert_eq!((then.revision, brief(&then)), (a, vec![("/r/objects/a", a)]));
    let future = list(Freshness::AtLeast(b + 1)).await;
    assert!(matches!(future, Err(StoreError::Future { asked, newest }) if (asked, newest) == (b + 1, b)));
    let future = list(Freshness::Exact(b + 1)).await;
    assert!(matches!(future, Err(StoreError::Future { asked, newest }) if (asked, newest) == (b + 1, b)));
    assert_eq!(bed.cache.get("/r/objects/a", Freshness::Newest).await.unwrap().unwrap().revision(), a);
    assert_eq!(bed.cache.get("/r/objects/c", Freshness::Newest).await.unwrap(), None);
}

#[tokio::test]
async fn what_the_cache_has_forgotten_is_listed_from_the_store() {
    let bed = bed();
    let a = bed.create("/r/objects/a").await;
    let b = bed.create("/r/objects/b").await;
    let later = WatchCache::start(bed.store.clone(), &Keys::new("/r"));
    let list = later.list("/r/objects/", Freshness::Newest).await.unwrap();
    assert_eq!(list.revision, b);
    let then = later.list("/r/objects/", Freshness::Exact(a)).await.unwrap();
    assert_eq!((then.revision, brief(&then)), (a, vec![("/r/objects/a", a)]));
    assert!(
        matches!(later.watch("/r/objects/", a).await.map(drop), Err(StoreError::Compacted { oldest }) if oldest == b)
    );
    bed.store.compact(b).await.unwrap();
    let then = later.list("/r/objects/", Freshness::Exact(a)).await;
    assert!(matches!(then, Err(StoreError::Compacted { oldest }) if oldest == b));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_and_watches_of_many_readers_fit_together_while_writers_write() {
    let bed = Arc::new(bed());
    let writer = |number: u64| {
        let bed = bed.clone();
        tokio::spawn(async move {
            bed.create(&format!("/r/objects/{number}")).await;
            for _ in 0..60 {
                bed.update(&format!("/r/objects/{number}")).await;
            }
        })
    };
    let writers: Vec<_> = (0..4).map(writer).collect();
    let mut readers = Vec::new();
    while !writers.iter().all(JoinHandle::is_finished) && readers.len() < 30 {
        readers.push(bed.cache.list_and_watch("/r/objects/", Freshness::Newest).await.unwrap());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let end = bed.create("/r/objects/end").await;
    for (list, mut watch) in readers {
        for expected in list.revision + 1..=end {
            assert_eq!(next(&mut watch).await.unwrap().revision, expected);
        }
        assert_eq!(watch.revision(), end);
        assert!(watch.try_next_event().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_watch_of_the_store_goes_on_without_a_gap() {
    let bed = bed();
    let mut newest = bed.create("/r/objects/a").await;
    let (list, mut watch) = bed.cache.list_and_watch("/r/objects/", Freshness::Newest).await.unwrap();
    assert_eq!(list.revision, newest);
    for round in 0..10 {
        bed.store.set_cut(round % 2 == 0);
        newest = bed.update("/r/objects/a").await;
    }
    for expected in list.revision + 1..=newest {
        assert_eq!(next(&mut watch).await.unwrap().revision, expected);
    }
    // Watchers may hear of a change a moment before those who wait for a revision.
    bed.cache.wait_until(newest, FRESH_WITHIN).await.unwrap();
    assert_eq!(bed.cache.revision(), newest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_compaction_the_cache_lists_again_and_old_watches_end() {
    let bed = bed();
    bed.create("/r/objects/a").await;
    let gone = bed.create("/r/objects/b").await;
    let (list, mut watch) = bed.cache.list_and_watch("/r/objects/", Freshness::Newest).await.unwrap();
    bed.store.set_cut(true);
    bed.store.delete("/r/objects/b", gone).await.unwrap();
    let newest = bed.update("/r/objects/a").await;
    bed.store.compact(newest).await.unwrap();

    // While it is cut off, consistent reads come from the store.
    let fresh = bed.cache.list("/r/objects/", Freshness::Newest).await.unwrap();
    assert_eq!(brief(&fresh), [("/r/objects/a", newest)]);
    assert_eq!(bed.cache.list("/r/objects/", Freshness::Any).await.unwrap(), list);

    bed.store.set_cut(false);
    assert_eq!(next(&mut watch).await, None, "no events, but an end");
    assert_eq!(watch.revision(), list.revision, "no bookmark past what was seen");
    let again = bed.cache.watch("/r/objects/", list.revision).await.map(drop);
    assert!(matches!(again, Err(StoreError::Compacted { oldest }) if oldest == newest));
    let (list, mut watch) = bed.cache.list_and_watch("/r/objects/", Freshness::AtLeast(newest)).await.unwrap();
    assert_eq!(brief(&list), [("/r/objects/a", newest)]);
    let next_revision = bed.update("/r/objects/a").await;
    assert_eq!(next(&mut watch).await.unwrap().revision, next_revision);
}

#[tokio::test]
async fn an_unreadable_object_is_left_out_and_counts_as_deleted() {
    let bed = bed();
    let a = bed.create("/r/objects/a").await;
    let (_, mut watch) = bed.cache.list_and_watch("/r/objects/", Freshness::Newest).await.unwrap();
    let broken = bed.store.update("/r/objects/a", Bytes::from_static(b"broken"), a).await.unwrap();
    let event = next(&mut watch).await.unwrap();
    assert_eq!((event.kind, event.revision), (EventKind::Deleted, broken));
    let b = bed.create("/r/objects/b").await;
    let list = bed.cache.list("/r/objects/", Freshness::Newest).await.unwrap();
    assert_eq!(brief(&list), [("/r/objects/b", b)]);
}

#[tokio::test]
async fn what_is_no_object_moves_the_revision_on_and_nothing_else() {
    let bed = bed();
    let a = bed.create("/r/objects/a").await;
    let (_, mut watch) = bed.cache.list_and_watch("/r/objects/", Freshness::Newest).await.unwrap();
    // Not even JSON: it is not looked at.
    let claim = bed.store.create("/r/claims/a/1", Bytes::from_static(b"claim")).await.unwrap();
    bed.cache.wait_until(claim, DEADLINE).await.expect("the cache hears how far the store is");
    let list = bed.cache.list("/r/", Freshness::Any).await.unwrap();
    assert_eq!((list.revision, brief(&list)), (claim, vec![("/r/objects/a", a)]));
    assert!(watch.try_next_event().is_none());
    assert_eq!(watch.revision(), claim, "a bookmark says that nothing happened until then");
    let again = WatchCache::start(bed.store.clone(), &Keys::new("/r"));
    let list = again.list("/r/", Freshness::Newest).await.unwrap();
    assert_eq!((list.revision, brief(&list)), (claim, vec![("/r/objects/a", a)]));
}

#[tokio::test]
async fn parts_of_a_forgotten_past_are_read_from_the_store_in_pieces() {
    let bed = bed();
    let key = |number: usize| format!("/r/objects/{number:04}");
    let keys: Vec<String> = (0..1200).map(key).collect();
    futures::future::join_all(keys.iter().map(|key| bed.create(key))).await;
    let then = bed.store.revision().await.unwrap();
    bed.update(&keys[0]).await;
    let later = WatchCache::start(bed.store.clone(), &Keys::new("/r"));
    let whole = later.list("/r/objects/", Freshness::Newest).await.unwrap();
    assert_eq!((whole.objects.len(), whole.revision), (1200, then + 1), "listed in pieces, too");
    let is_last: &Keep<'_> = &|object| object.name() >= "1190";
    let cases = [
        (Part { start: Some(&keys[10]), limit: Some(7), keep: None }, 10..17, Some(1183)),
        (Part { start: Some(&keys[10]), limit: Some(7), keep: Some(is_last) }, 1190..1197, None),
        (Part { start: None, limit: Some(600), keep: None }, 0..600, Some(600)),
        (Part { start: None, limit: Some(1200), keep: None }, 0..1200, None),
        (Part { start: None, limit: None, keep: Some(is_last) }, 1190..1200, None),
    ];
    for (part, expected, remaining) in cases {
        let list = later.list_part("/r/objects/", &part, Freshness::Exact(then)).await.unwrap();
        let found: Vec<&str> = list.objects.iter().map(Object::key).collect();
        assert_eq!(found, keys[expected.clone()]);
        assert_eq!((list.revision, list.has_more, list.remaining), (then, expected.end < 1200, remaining));
    }
}
