use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use bytes::Bytes;

use proptest::{collection::vec, prelude::*};

use super::{
    super::state::{Limits, State, Update, contains},
    *,
};

const LIMITS: Limits =
    Limits { min_events: 4, max_age: Duration::from_secs(75), max_events: 8, max_bytes: 1 << 20, queue: 3 };
const ALL: Part<'_> = Part { start: None, limit: None, keep: None };

fn state(limits: Limits) -> State {
    let mut state = State::new(limits);
    state.reset(vec![object("/r/a/x", 5), object("/r/ab/x", 3)], 10);
    state
}

fn put(state: &mut State, key: &str, revision: u64) {
    state.apply(Update::Put(object(key, revision)), Instant::now());
}

fn delete(state: &mut State, key: &str, revision: u64) {
    state.apply(Update::Delete(key.to_owned(), revision), Instant::now());
}

#[test]
fn a_scope_is_a_whole_path() {
    assert!(contains("/r/", "/r/a/x"));
    assert!(contains("/r/a/", "/r/a/x"));
    assert!(!contains("/r/a/", "/r/ab/x"));
    assert!(contains("/r/a/x", "/r/a/x"));
    assert!(!contains("/r/a/x", "/r/a/x1"));
    let mut state = state(LIMITS);
    put(&mut state, "/r/a/x1", 11);
    assert_eq!(brief(&state.list("/r/a/", &ALL)), [("/r/a/x", 5), ("/r/a/x1", 11)]);
    assert_eq!(brief(&state.list("/r/a/x", &ALL)), [("/r/a/x", 5)]);
    assert_eq!(brief(&state.list("/r/", &Part { start: Some("/r/a/x\0"), ..ALL })), [("/r/a/x1", 11), ("/r/ab/x", 3)]);
}

#[test]
fn each_watcher_hears_of_its_scope() {
    let mut state = state(LIMITS);
    let scopes = ["/r/", "/r/a/", "/r/a/x", "/r/ab/", "/r/a"];
    let mut watchers = scopes.map(|scope| state.watch(scope, 10).unwrap());
    put(&mut state, "/r/a/x", 11);
    put(&mut state, "/r/a/x1", 12);
    delete(&mut state, "/r/ab/x", 13);
    let heard = watchers.each_mut().map(|watcher| drain(watcher).0);
    assert_eq!(heard, [vec![11, 12, 13], vec![11, 12], vec![11], vec![13], vec![]]);
}

/// Whoever waits for one object by its name watches a scope of its own.
#[test]
fn a_watcher_that_left_is_forgotten_though_nothing_changes() {
    let mut state = state(LIMITS);
    let mut stays = state.watch("/r/a/x", 10).unwrap();
    let mut leaves = state.watch("/r/a/x", 10).unwrap();
    let mut alone = state.watch("/r/a/y", 10).unwrap();
    assert_eq!(state.watched(), 2);
    state.leave(&mut alone);
    state.leave(&mut leaves);
    assert_eq!(state.watched(), 1);
    put(&mut state, "/r/a/x", 11);
    assert_eq!(drain(&mut stays).0, [11]);
    state.leave(&mut stays);
    assert_eq!(state.watched(), 0);
}

#[test]
fn an_event_shows_before_and_after_and_shares_the_objects() {
    let mut state = state(LIMITS);
    let before = state.list("/r/a/x", &ALL).objects.remove(0);
    let mut watcher = state.watch("/r/", 10).unwrap();
    put(&mut state, "/r/a/x", 11);
    delete(&mut state, "/r/a/x", 12);
    put(&mut state, "/r/a/x", 13);
    let mut next = || take(&mut watcher);
    let modified = next();
    assert_eq!(modified.kind, EventKind::Modified);
    assert!(modified.previous.as_ref().unwrap().shares_with(&before));
    let deleted = next();
    assert_eq!((deleted.kind, deleted.previous.as_ref()), (EventKind::Deleted, Some(&modified.object)));
    assert_eq!(deleted.object.value()["metadata"]["resourceVersion"], "12");
    let mut text = Vec::new();
    deleted.object.write_json(&mut text);
    assert_eq!(text, br#"{"metadata":{"resourceVersion":"12","name":"x"}}"#, "in bytes, too");
    assert!(deleted.object.shares_with(&modified.object));
    let added = next();
    assert_eq!((added.kind, added.previous.as_ref()), (EventKind::Added, None));
    let listed = state.list("/r/a/x", &ALL).objects.remove(0);
    assert!(listed.shares_with(&added.object));
}

#[test]
fn what_is_known_already_changes_nothing() {
    let mut state = state(LIMITS);
    let mut watcher = state.watch("/r/", 10).unwrap();
    put(&mut state, "/r/a/x", 11);
    put(&mut state, "/r/a/x", 11);
    put(&mut state, "/r/a/x", 5);
    delete(&mut state, "/r/a/x", 9);
    delete(&mut state, "/r/none", 11);
    assert_eq!(drain(&mut watcher), (vec![11], false));
    assert_eq!(brief(&state.list("/r/a/", &ALL)), [("/r/a/x", 11)]);
    // Two keys of one revision, as a transaction of somebody else makes them.
    put(&mut state, "/r/a/y", 12);
    put(&mut state, "/r/a/z", 12);
    assert_eq!(drain(&mut watcher), (vec![12, 12], false));
}

#[test]
fn the_past_is_heard_first_and_what_is_forgotten_is_gone() {
    let mut state = state(Limits { queue: 100, ..LIMITS });
    for revision in 11..=20 {
        put(&mut state, "/r/a/x", revision);
    }
    assert!(matches!(state.watch("/r/", 11), Err(StoreError::Compacted { oldest: 12 })));
    assert!(state.list_at("/r/", &ALL, 11).is_none());
    let mut watcher = state.watch("/r/", 12).unwrap();
    put(&mut state, "/r/a/x", 21);
    assert_eq!(drain(&mut watcher), ((13..=21).collect(), false));
    let mut future = state.watch("/r/", 22).unwrap();
    put(&mut state, "/r/a/x", 22);
    put(&mut state, "/r/a/x", 23);
    assert_eq!(drain(&mut future), (vec![23], false));
}

#[test]
fn young_events_stay_and_old_ones_only_up_to_a_number() {
    let mut state = state(Limits { max_events: 1000, ..LIMITS });
    let start = Instant::now();
    for second in 0..100 {
        state.apply(Update::Put(object("/r/a/x", 11 + second)), start + Duration::from_secs(second));
    }
    // Now is 99: events since 24 are young enough; the one of second 23 has revision 34.
    assert!(matches!(state.watch("/r/", 33), Err(StoreError::Compacted { oldest: 34 })));
    assert!(state.watch("/r/", 34).is_ok());
    state.apply(Update::Put(object("/r/a/x", 200)), start + Duration::from_secs(10_000));
    assert!(matches!(state.watch("/r/", 106), Err(StoreError::Compacted { oldest: 107 })));
    assert!(state.watch("/r/", 107).is_ok(), "the four newest stay");
}

#[test]
fn who_is_too_slow_is_cut_off_after_what_was_queued() {
    let mut state = state(LIMITS);
    let (mut slow, mut fast) = (state.watch("/r/", 10).unwrap(), state.watch("/r/", 10).unwrap());
    for revision in 11..=14 {
        put(&mut state, "/r/a/x", revision);
        assert_eq!(drain(&mut fast), (vec![revision], false));
    }
    assert!(slow.is_cut());
    assert_eq!(drain(&mut slow), (vec![11, 12, 13], true));
    assert!(!fast.is_cut());
}

#[test]
fn a_new_list_ends_the_watches_and_shares_what_is_the_same() {
    let mut state = state(LIMITS);
    let mut watcher = state.watch("/r/", 10).unwrap();
    put(&mut state, "/r/a/x", 11);
    assert!(state.same("/r/a/x", 11).is_some());
    assert!(state.same("/r/a/x", 12).is_none());
    state.reset(vec![object("/r/b", 15)], 20);
    assert_eq!(drain(&mut watcher), (vec![11], true));
    assert_eq!(brief(&state.list("/r/", &ALL)), [("/r/b", 15)]);
    assert!(matches!(state.watch("/r/", 19), Err(StoreError::Compacted { oldest: 20 })));
    assert!(state.watch("/r/", 20).is_ok());
}

proptest! {
    /// What is undone from memory is what was listed then, and a part is what the whole leaves.
    #[test]
    fn every_revision_in_the_history_is_listed_as_it_was(
        steps in vec((0..6_usize, any::<bool>()), 1..40),
        scope in prop_oneof![Just("/r/"), Just("/r/a/"), Just("/r/a/1")],
        start in prop_oneof![Just(None), Just(Some("/r/a/1")), Just(Some("/s"))],
        limit in proptest::option::of(1..5_usize),
        has_test in any::<bool>(),
    ) {
        let keys = ["/r/a/0", "/r/a/1", "/r/a/11", "/r/ab/0", "/r/b", "/r/c/0"];
        let mut state = State::new(Limits { max_events: 30, min_events: 30, ..LIMITS });
        state.reset(vec![object("/r/a/1", 2), object("/r/b", 5)], 10);
        let is_odd: &Keep<'_> = &|object| object.revision() % 2 == 1;
        let part = Part { start, limit, keep: has_test.then_some(is_odd) };
        let mut was = vec![state.list(scope, &part)];
        for (key, remove) in steps {
            let revision = state.revision() + 1;
            match remove {
                true => delete(&mut state, keys[key], revision),
                false => put(&mut state, keys[key], revision),
            }
            let list = state.list(scope, &part);
            let mut expected = state.list("/", &ALL);
            expected.objects.retain(|object| contains(scope, object.key()) && start.is_none_or(|s| object.key() >= s));
            expected.objects.retain(|object| !has_test || is_odd(object));
            let cut = limit.map_or(0, |limit| expected.objects.len().saturating_sub(limit));
            expected.objects.truncate(limit.unwrap_or(usize::MAX));
            (expected.has_more, expected.remaining) = (cut > 0, (cut > 0 && !has_test).then_some(cut));
            prop_assert_eq!(&list, &expected);
            was.push(list);
        }
        let forgotten = was.len().saturating_sub(31);
        for list in &was[forgotten..] {
            let undone = state.list_at(scope, &part, list.revision);
            prop_assert_eq!(undone.as_ref(), Some(list));
        }
        prop_assert!(state.list_at(scope, &part, state.revision() + 1).is_none());
    }
}

#[test]
fn a_page_looks_at_no_more_than_a_page() {
    let mut state = State::new(LIMITS);
    let key = |number: u64| format!("/r/a/{number:04}");
    state.reset((0..1000).map(|number| object(&key(number), 5)).collect(), 10);
    let looks = AtomicUsize::new(0);
    let keep = |_: &Object| looks.fetch_add(1, Ordering::Relaxed) < usize::MAX;
    let start = key(100);
    let page = state.list("/r/a/", &Part { start: Some(&start), limit: Some(20), keep: Some(&keep) });
    assert_eq!((page.objects[0].key(), page.objects.len(), page.has_more), (&*start, 20, true));
    assert_eq!(looks.into_inner(), 21);
    let page = state.list("/r/a/", &Part { start: Some(&start), limit: Some(20), keep: None });
    assert_eq!(page.remaining, Some(880));
    let last = state.list("/r/a/", &Part { start: Some(&key(980)), limit: Some(20), keep: None });
    assert_eq!((last.objects.len(), last.has_more, last.remaining), (20, false, None));
}

#[test]
fn watchers_share_an_event_and_the_history_keeps_nothing_that_they_made_of_it() {
    let mut state = state(LIMITS);
    let mut watchers = ["/r/", "/r/a/", "/r/a/x"].map(|scope| state.watch(scope, 10).unwrap());
    put(&mut state, "/r/a/x", 11);
    let mut encodings = 0;
    let mut heard = Vec::new();
    for watcher in &mut watchers {
        let event = take(watcher);
        for form in [0, 1, 0] {
            let encode = || {
                encodings += 1;
                Ok::<_, StoreError>(Bytes::from(vec![form]))
            };
            assert_eq!(event.encoded(form, encode).unwrap(), vec![form]);
        }
        assert!(event.object.value().is_object());
        heard.push(event);
    }
    assert_eq!(encodings, 2, "once per form");
    assert!(heard.iter().all(|event| Arc::ptr_eq(event, &heard[0])));
    assert!(heard[0].object.has_tree());
    assert!(!state.list("/r/a/x", &ALL).objects[0].has_tree());
    let late = take(&mut state.watch("/r/", 10).unwrap());
    assert_eq!(late, heard[0]);
    assert!(!late.object.has_tree());
}

#[test]
fn what_fails_to_be_encoded_is_tried_again() {
    let event = Event::new(EventKind::Added, object("/r/a", 1), None);
    assert_eq!(event.encoded(0, || Err("cannot")), Err("cannot"));
    assert_eq!(event.encoded(0, || Ok::<_, &str>(Bytes::from_static(b"x"))), Ok(Bytes::from_static(b"x")));
}

#[test]
fn the_history_is_bounded_in_bytes() {
    let weight = object("/r/a/x", 1).weight();
    let mut state = state(Limits { max_bytes: 2 * weight, ..LIMITS });
    for revision in 11..=14 {
        put(&mut state, "/r/a/x", revision);
    }
    assert!(matches!(state.watch("/r/", 11), Err(StoreError::Compacted { oldest: 12 })));
    assert!(state.watch("/r/", 12).is_ok());
}

fn take(watcher: &mut Subscription) -> Arc<Event> {
    match watcher.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(event)) => event,
        other => panic!("{other:?}"),
    }
}
