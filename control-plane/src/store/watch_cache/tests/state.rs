use std::time::Instant;

use proptest::{collection::vec, prelude::*};

use super::{
    super::state::{Limits, State, Update, contains},
    *,
};

const LIMITS: Limits = Limits { min_events: 4, max_age: Duration::from_secs(75), max_events: 8, queue: 3 };

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
    assert_eq!(brief(&state.list("/r/a/", None)), [("/r/a/x", 5), ("/r/a/x1", 11)]);
    assert_eq!(brief(&state.list("/r/a/x", None)), [("/r/a/x", 5)]);
    assert_eq!(brief(&state.list("/r/", Some("/r/a/x\0"))), [("/r/a/x1", 11), ("/r/ab/x", 3)]);
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

#[test]
fn an_event_shows_before_and_after_and_shares_the_objects() {
    let mut state = state(LIMITS);
    let before = state.list("/r/a/x", None).objects.remove(0);
    let mut watcher = state.watch("/r/", 10).unwrap();
    put(&mut state, "/r/a/x", 11);
    delete(&mut state, "/r/a/x", 12);
    put(&mut state, "/r/a/x", 13);
    let mut next = || match watcher.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Some(event)) => event,
        other => panic!("{other:?}"),
    };
    let modified = next();
    assert_eq!(modified.kind, EventKind::Modified);
    assert!(modified.previous.as_ref().unwrap().shares_with(&before));
    let deleted = next();
    assert_eq!((deleted.kind, deleted.previous.as_ref()), (EventKind::Deleted, Some(&modified.object)));
    assert_eq!(deleted.object.value()["metadata"]["resourceVersion"], "12");
    let added = next();
    assert_eq!((added.kind, added.previous.as_ref()), (EventKind::Added, None));
    let listed = state.list("/r/a/x", None).objects.remove(0);
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
    assert_eq!(brief(&state.list("/r/a/", None)), [("/r/a/x", 11)]);
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
    assert!(state.list_at("/r/", None, 11).is_none());
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
    assert_eq!(brief(&state.list("/r/", None)), [("/r/b", 15)]);
    assert!(matches!(state.watch("/r/", 19), Err(StoreError::Compacted { oldest: 20 })));
    assert!(state.watch("/r/", 20).is_ok());
}

proptest! {
    /// What is undone from memory is what was listed then.
    #[test]
    fn every_revision_in_the_history_is_listed_as_it_was(
        steps in vec((0..6_usize, any::<bool>()), 1..40),
        scope in prop_oneof![Just("/r/"), Just("/r/a/"), Just("/r/a/1")],
        start in prop_oneof![Just(None), Just(Some("/r/a/1"))],
    ) {
        let keys = ["/r/a/0", "/r/a/1", "/r/a/11", "/r/ab/0", "/r/b", "/r/c/0"];
        let mut state = State::new(Limits { max_events: 30, min_events: 30, ..LIMITS });
        state.reset(vec![object("/r/a/1", 2), object("/r/b", 5)], 10);
        let mut was = vec![state.list(scope, start)];
        for (key, remove) in steps {
            let revision = state.revision() + 1;
            match remove {
                true => delete(&mut state, keys[key], revision),
                false => put(&mut state, keys[key], revision),
            }
            was.push(state.list(scope, start));
        }
        let forgotten = was.len().saturating_sub(31);
        for list in &was[forgotten..] {
            let undone = state.list_at(scope, start, list.revision);
            prop_assert_eq!(undone.as_ref(), Some(list));
        }
        prop_assert!(state.list_at(scope, start, state.revision() + 1).is_none());
    }
}
