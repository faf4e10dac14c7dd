//! Many clients at once: each key behaves as if its operations happened one after the other, each
//! between its call and its answer.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use nodeplane_control_plane::store::{
    Store, StoreError,
    embedded::EmbeddedStore,
    etcd::EtcdStore,
    keys::Keys,
    watch_cache::{Freshness, WatchCache},
};
use tempfile::TempDir;

use crate::bed::{Etcd, text};

/// What a client did to a key, and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// A read: the revision of the key, if it is there.
    Read(Option<u64>),
    /// A write of a key at a revision (0: absent): its new revision.
    Written { expected: u64, now: u64 },
    /// A deletion of a key at a revision.
    Deleted { expected: u64 },
    /// A write or deletion that was refused, because the key is there like this.
    Refused { expected: u64, found: Option<u64> },
    /// `create` only says that the key is there.
    Exists,
    /// No answer: it happened at some time after the call, or never.
    Lost { expected: u64, deletes: bool },
}

#[derive(Clone, Copy, Debug)]
struct Call {
    start: u64,
    end: u64,
    told: Told,
}

/// The state of a key: absent, at a known revision, or as a lost write has left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Absent,
    At(u64),
    Unknown { by: usize },
}

impl Call {
    /// What the key is after this call, if the call fits to what it was. A lost write has a
    /// revision that nobody was told; whoever sees it first names it.
    fn step(&self, number: usize, key: Key) -> Option<Key> {
        let at = |revision: u64| if revision == 0 { Key::Absent } else { Key::At(revision) };
        let is = |key: Key, revision: u64| match key {
            Key::Unknown { .. } => revision != 0,
            key => key == at(revision),
        };
        match self.told {
            Told::Read(found) => is(key, found.unwrap_or(0)).then_some(at(found.unwrap_or(0))),
            Told::Written { expected, now } => is(key, expected).then_some(Key::At(now)),
            Told::Deleted { expected } => is(key, expected).then_some(Key::Absent),
            Told::Refused { expected, found } => {
                let fits = is(key, found.unwrap_or(0)) && found != Some(expected);
                fits.then_some(at(found.unwrap_or(0)))
            }
            Told::Exists => (key != Key::Absent).then_some(key),
            Told::Lost { expected, deletes } => {
                let after = if deletes { Key::Absent } else { Key::Unknown { by: number } };
                is(key, expected).then_some(after)
            }
        }
    }
}

/// Whether the calls to one key can be put in an order that explains all answers (Wing and Gong's
/// search, which remembers where it has been).
fn is_linearizable(calls: &[Call]) -> bool {
    assert!(calls.len() <= 128, "too many calls for one key: {}", calls.len());
    let must = calls.iter().enumerate().filter(|(_, call)| !matches!(call.told, Told::Lost { .. }));
    let must: u128 = must.map(|(number, _)| 1 << number).sum();
    let (mut open, mut seen) = (vec![(0_u128, Key::Absent)], HashSet::new());
    while let Some((done, key)) = open.pop() {
        if done & must == must {
            return true;
        }
        if !seen.insert((done, key)) {
            continue;
        }
        let left = || calls.iter().enumerate().filter(move |(number, _)| done >> number & 1 == 0);
        // The next one was called before any that is left was answered.
        let first_end = left().map(|(_, call)| call.end).min().unwrap_or(u64::MAX);
        for (number, call) in left().filter(|(_, call)| call.start < first_end) {
            open.extend(call.step(number, key).map(|after| (done | 1 << number, after)));
        }
    }
    false
}

#[test]
fn the_check_finds_what_is_wrong() {
    let call = |start, end, told| Call { start, end, told };
    let first = call(0, 1, Told::Written { expected: 0, now: 5 });
    let second = call(2, 6, Told::Written { expected: 5, now: 7 });
    let read = |start, end, revision| call(start, end, Told::Read(revision));
    for (rest, is_fine) in [
        (vec![read(3, 4, Some(5))], true),
        (vec![read(3, 4, Some(7)), read(5, 8, Some(7))], true),
        (vec![read(3, 4, Some(7)), read(5, 8, Some(5))], false),
        (vec![read(7, 8, Some(5))], false),
        (vec![read(3, 4, None)], false),
        (vec![call(3, 4, Told::Written { expected: 5, now: 6 })], false),
        (vec![call(7, 8, Told::Refused { expected: 5, found: Some(7) })], true),
        (vec![call(7, 8, Told::Refused { expected: 7, found: Some(7) })], false),
        (vec![call(7, u64::MAX, Told::Lost { expected: 7, deletes: true }), read(8, 9, None)], true),
        (vec![call(7, u64::MAX, Told::Lost { expected: 7, deletes: false }), read(8, 9, Some(9))], true),
        (vec![call(7, u64::MAX, Told::Lost { expected: 7, deletes: false }), read(8, 9, None)], false),
    ] {
        let calls: Vec<_> = [first, second].into_iter().chain(rest).collect();
        assert_eq!(is_linearizable(&calls), is_fine, "{calls:?}");
    }
}

const KEYS: u64 = 4;
const CALLS: u64 = 30;

/// What all clients did.
#[derive(Default)]
struct History {
    clock: AtomicU64,
    calls: Mutex<BTreeMap<u64, Vec<Call>>>,
}

impl History {
    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn record(&self, key: u64, start: u64, told: Told) {
        let end = if matches!(told, Told::Lost { .. }) { u64::MAX } else { self.tick() };
        self.calls.lock().unwrap().entry(key).or_default().push(Call { start, end, told });
    }

    #[track_caller]
    fn check(&self) {
        let calls = self.calls.lock().unwrap();
        assert_eq!(calls.len() as u64, KEYS);
        for (key, calls) in calls.iter() {
            assert!(is_linearizable(calls), "key {key}: {calls:#?}");
        }
    }
}

/// One server: its store, and what it reads from.
#[derive(Clone)]
struct Server {
    store: Arc<dyn Store>,
    cache: WatchCache,
}

impl Server {
    fn new(store: Arc<dyn Store>) -> Self {
        let cache = WatchCache::start(store.clone(), &Keys::new("/r"));
        Self { store, cache }
    }

    /// A client that reads through the cache or from the store, and then writes what it read, or
    /// something that it could not know.
    async fn act(self, history: Arc<History>, seed: u64) {
        let mut known = [0_u64; KEYS as usize];
        for step in 0..CALLS {
            let number = (seed * 7 + step * 3) % KEYS;
            let (path, expected) = (format!("/r/objects/k{number}"), known[number as usize]);
            let start = history.tick();
            let told = match (seed + step) % 4 {
                0 => self.read(&path, seed.is_multiple_of(2)).await,
                1 if expected > 0 => deleted(expected, self.store.delete(&path, expected).await.map(drop)),
                _ if expected == 0 => created(self.store.create(&path, text("{}")).await),
                _ => written(expected, self.store.update(&path, text("{}"), expected).await),
            };
            let Some(told) = told else { continue };
            known[number as usize] = match told {
                Told::Read(found) | Told::Refused { found, .. } => found.unwrap_or(0),
                Told::Written { now, .. } => now,
                Told::Deleted { .. } => 0,
                // Something that is not there, to be refused with what is.
                Told::Exists | Told::Lost { .. } => 1,
            };
            history.record(number, start, told);
        }
    }

    /// A read without an answer says nothing.
    async fn read(&self, path: &str, from_cache: bool) -> Option<Told> {
        let revision = if from_cache {
            self.cache.get(path, Freshness::Newest).await.ok()?.map(|object| object.revision())
        } else {
            self.store.get(path).await.ok()?.map(|entry| entry.revision)
        };
        Some(Told::Read(revision))
    }
}

fn created(result: Result<u64, StoreError>) -> Option<Told> {
    match result {
        Err(StoreError::Exists) => Some(Told::Exists),
        result => written(0, result),
    }
}

fn written(expected: u64, result: Result<u64, StoreError>) -> Option<Told> {
    match result {
        Ok(now) => Some(Told::Written { expected, now }),
        Err(error) => refused(expected, false, error),
    }
}

fn deleted(expected: u64, result: Result<(), StoreError>) -> Option<Told> {
    match result {
        Ok(()) => Some(Told::Deleted { expected }),
        Err(error) => refused(expected, true, error),
    }
}

fn refused(expected: u64, deletes: bool, error: StoreError) -> Option<Told> {
    match error {
        StoreError::NotFound => Some(Told::Refused { expected, found: None }),
        StoreError::Conflict { current } => Some(Told::Refused { expected, found: Some(current.revision) }),
        StoreError::Unavailable(_) => Some(Told::Lost { expected, deletes }),
        error => panic!("{error}"),
    }
}

/// Sixteen clients, spread over the servers.
async fn act(servers: &[Server]) -> Arc<History> {
    let history = Arc::new(History::default());
    act_in(servers, &history).await;
    history
}

async fn act_in(servers: &[Server], history: &Arc<History>) {
    let mut clients = tokio::task::JoinSet::new();
    for seed in 0..16 {
        let server = servers[seed as usize % servers.len()].clone();
        clients.spawn(server.act(history.clone(), seed));
    }
    clients.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_on_its_own_file_is_linearizable() {
    for _ in 0..5 {
        let dir = TempDir::new().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&dir.path().join("store.redb")).unwrap());
        act(&[Server::new(store)]).await.check();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_on_one_etcd_are_linearizable() {
    for _ in 0..3 {
        let dir = TempDir::new().unwrap();
        let etcd = Etcd::start(dir.path(), &[]).await;
        let connect = async || Server::new(Arc::new(EtcdStore::connect(&etcd.options()).await.unwrap()));
        act(&[connect().await, connect().await]).await.check();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_stay_linearizable_when_a_member_of_etcd_is_killed() {
    let dir = TempDir::new().unwrap();
    let [mut first, second, third] = Etcd::cluster::<3>(dir.path(), &[]).await;
    let others = [second, third];
    let connect = async |options| Server::new(Arc::new(EtcdStore::connect(&options).await.unwrap()));
    let servers = [connect(first.options_with(&others)).await, connect(others[0].options_with(&[])).await];
    let history = Arc::new(History::default());
    let ours = history.clone();
    let acting = tokio::spawn(async move { act_in(&servers, &ours).await });
    // In the middle of it.
    while history.clock.load(Ordering::SeqCst) < 16 * CALLS / 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    first.kill();
    acting.await.unwrap();
    history.check();
}
