//! Any history: the store at every revision is what a simple model says.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
};

use nodeplane_control_plane::store::{Store, StoreError};
use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tokio::runtime::Runtime;

use crate::bed::{self, Bed, take, text};

/// What one step tries.
#[derive(Clone, Copy, Debug)]
enum Step {
    Create(u8),
    Update(u8),
    Delete(u8),
    /// Compacts to somewhere between the oldest and the newest revision, in percent.
    Compact(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..5u8).prop_map(Step::Create),
        5 => (0..5u8).prop_map(Step::Update),
        3 => (0..5u8).prop_map(Step::Delete),
        1 => (0..=100u64).prop_map(Step::Compact),
    ]
}

type State = BTreeMap<String, (u64, String)>;

/// Every state that ever was, by revision.
struct Model {
    states: BTreeMap<u64, State>,
    oldest: u64,
}

impl Model {
    fn newest(&self) -> (u64, &State) {
        let (revision, state) = self.states.last_key_value().unwrap();
        (*revision, state)
    }

    fn change(&mut self, revision: u64, key: &str, value: Option<String>) {
        let (newest, state) = self.newest();
        assert_eq!(revision, newest + 1);
        let mut state = state.clone();
        match value {
            Some(value) => state.insert(key.to_owned(), (revision, value)),
            None => state.remove(key),
        };
        self.states.insert(revision, state);
    }
}

async fn run(store: &dyn Store, prefix: &str, steps: &[Step]) {
    let start = store.revision().await.unwrap();
    store.compact(start).await.unwrap();
    let mut model = Model { states: BTreeMap::from([(start, State::new())]), oldest: start };
    for (number, step) in steps.iter().enumerate() {
        apply(store, prefix, *step, format!("{number}"), &mut model).await;
    }
    for (revision, state) in &model.states {
        let listed = store.list(prefix, None, Some(*revision), 0).await;
        if *revision < model.oldest {
            assert!(matches!(listed, Err(StoreError::Compacted { oldest }) if oldest == model.oldest));
            continue;
        }
        let listed = listed.unwrap().entries.into_iter();
        let listed: State = listed.map(|entry| (entry.key, (entry.revision, utf8(&entry.value)))).collect();
        assert_eq!(&listed, state, "at {revision}");
    }
    let changes = model.newest().0 - model.oldest;
    let mut watch = store.watch(prefix, model.oldest).await.unwrap();
    for change in take(&mut watch, changes as usize).await {
        let at = |revision| model.states[&revision].get(&change.key).map(|(_, value)| value.clone());
        assert_eq!(change.value.as_deref().map(utf8), at(change.revision));
        assert_eq!(change.previous.as_deref().map(utf8), at(change.revision - 1));
    }
}

async fn apply(store: &dyn Store, prefix: &str, step: Step, value: String, model: &mut Model) {
    let key = |number| format!("{prefix}{number}");
    let current = |number| model.newest().1.get(&key(number)).map(|(revision, _)| *revision);
    match step {
        Step::Create(number) => match (store.create(&key(number), text(value.clone())).await, current(number)) {
            (Ok(revision), None) => model.change(revision, &key(number), Some(value)),
            (Err(StoreError::Exists), Some(_)) => {}
            (result, _) => panic!("{result:?}"),
        },
        Step::Update(number) => {
            let expected = current(number);
            match (store.update(&key(number), text(value.clone()), expected.unwrap_or(1)).await, expected) {
                (Ok(revision), Some(_)) => model.change(revision, &key(number), Some(value)),
                (Err(StoreError::NotFound), None) => {}
                (result, _) => panic!("{result:?}"),
            }
        }
        Step::Delete(number) => {
            let expected = current(number);
            match (store.delete(&key(number), expected.unwrap_or(1)).await, expected) {
                (Ok(revision), Some(_)) => model.change(revision, &key(number), None),
                (Err(StoreError::NotFound), None) => {}
                (result, _) => panic!("{result:?}"),
            }
        }
        Step::Compact(percent) => {
            model.oldest += (model.newest().0 - model.oldest) * percent / 100;
            store.compact(model.oldest).await.unwrap();
        }
    }
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn any_history(runtime: &Runtime, bed: &Bed, cases: u32) {
    let number = AtomicU32::new(0);
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&vec(step(), 1..60), |steps| {
        let prefix = format!("/case/{}/", number.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(run(&*bed.store, &prefix, &steps));
        Ok(())
    });
    result.unwrap();
}

#[test]
fn any_history_is_kept_by_the_embedded_store() {
    let runtime = Runtime::new().unwrap();
    let bed = runtime.block_on(bed::embedded());
    any_history(&runtime, &bed, 48);
}

#[test]
fn any_history_is_kept_by_etcd() {
    let runtime = Runtime::new().unwrap();
    let bed = runtime.block_on(bed::etcd());
    any_history(&runtime, &bed, 12);
}
