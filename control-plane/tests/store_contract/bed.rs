//! Stores to test: a file in a temporary directory, and an etcd of one's own on loopback.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt;
use nodeplane_control_plane::store::{
    Change, Changes, Store, StoreError,
    embedded::EmbeddedStore,
    etcd::{EtcdOptions, EtcdStore},
};
use tempfile::TempDir;

/// Time that anything may take in a test.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A store, and what goes away with it.
pub struct Bed {
    pub store: Arc<dyn Store>,
    _etcd: Option<Etcd>,
    _dir: TempDir,
}

/// A new file.
pub async fn embedded() -> Bed {
    let dir = TempDir::new().unwrap();
    let store = EmbeddedStore::open(&dir.path().join("store.redb")).unwrap();
    Bed { store: Arc::new(store), _etcd: None, _dir: dir }
}

/// A new etcd.
pub async fn etcd() -> Bed {
    let dir = TempDir::new().unwrap();
    let etcd = Etcd::start(dir.path(), &[]).await;
    let store = Arc::new(EtcdStore::connect(&etcd.options()).await.unwrap());
    Bed { store, _etcd: Some(etcd), _dir: dir }
}

/// An etcd process; killed when it goes out of scope.
pub struct Etcd {
    child: Child,
    client_port: u16,
    arguments: Vec<String>,
}

impl Etcd {
    /// Starts etcd with its data in `dir` and waits until it answers.
    pub async fn start(dir: &Path, more: &[&str]) -> Self {
        let [etcd] = Self::cluster(dir, more).await;
        etcd
    }

    /// Starts the members of one etcd, and waits until all take connections.
    pub async fn cluster<const N: usize>(dir: &Path, more: &[&str]) -> [Self; N] {
        for _ in 0..5 {
            // The ports are free now; somebody else may be faster, then again with others.
            let (clients, peers) = (free_ports::<N>(), free_ports::<N>());
            let all: Vec<_> = (0..N).map(|at| format!("m{at}=http://127.0.0.1:{}", peers[at])).collect();
            let mut members = std::array::from_fn(|at| {
                let _ = fs::remove_dir_all(dir.join(format!("m{at}")));
                let arguments = arguments(dir, at, clients[at], peers[at], &all.join(","), more);
                Self { child: run(&arguments), client_port: clients[at], arguments }
            });
            let mut are_up = true;
            for member in &mut members {
                are_up &= member.is_up().await;
            }
            if are_up {
                return members;
            }
        }
        panic!("etcd does not start");
    }

    /// How to reach it; nothing is compacted unless a test does it.
    pub fn options(&self) -> EtcdOptions {
        EtcdOptions {
            compact_every: None,
            root: "/r".to_owned(),
            ..EtcdOptions::new([format!("127.0.0.1:{}", self.client_port)])
        }
    }

    /// How to reach all members, this one first.
    pub fn options_with(&self, others: &[Self]) -> EtcdOptions {
        let ports = [self].into_iter().chain(others).map(|etcd| etcd.client_port);
        EtcdOptions { endpoints: ports.map(|port| format!("127.0.0.1:{port}")).collect(), ..self.options() }
    }

    /// The process dies at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again with the same data and ports.
    pub async fn restart(&mut self) {
        // The one before has gone already, whoever ended it.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.child = run(&self.arguments);
        assert!(self.is_up().await, "etcd does not start again");
    }

    /// Waits until the port takes connections; false when the process has ended.
    async fn is_up(&mut self) -> bool {
        let until = Instant::now() + DEADLINE;
        while Instant::now() < until {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if tokio::net::TcpStream::connect(("127.0.0.1", self.client_port)).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("etcd does not listen");
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // It may have been killed by the test.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(arguments: &[String]) -> Child {
    let mut etcd = Command::new("etcd");
    etcd.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    etcd.spawn().expect("these tests need etcd (package etcd-server) on the path")
}

fn arguments(dir: &Path, at: usize, client: u16, peer: u16, all: &str, more: &[&str]) -> Vec<String> {
    let scheme = if more.contains(&"--cert-file") { "https" } else { "http" };
    let (client, peer) = (format!("{scheme}://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let (name, data) = (format!("m{at}"), dir.join(format!("m{at}")));
    let pairs = [
        ("--name", name.as_str()),
        ("--data-dir", data.to_str().unwrap()),
        ("--listen-client-urls", client.as_str()),
        ("--advertise-client-urls", client.as_str()),
        ("--listen-peer-urls", peer.as_str()),
        ("--initial-advertise-peer-urls", peer.as_str()),
        ("--initial-cluster", all),
        ("--log-level", "error"),
    ];
    let own = pairs.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
    own.chain(more.iter().map(|more| (*more).to_owned())).collect()
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// The bytes of a text.
pub fn text(text: impl Into<String>) -> Bytes {
    Bytes::from(text.into())
}

/// The next item of a watch.
pub async fn next(changes: &mut Changes) -> Result<Change, StoreError> {
    let next = tokio::time::timeout(DEADLINE, changes.next()).await;
    next.expect("nothing happens").expect("the watch ends")
}

/// The next `count` changes.
pub async fn take(changes: &mut Changes, count: usize) -> Vec<Change> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.push(next(changes).await.unwrap());
    }
    taken
}

/// A watch that cannot start because of a compaction, which comes at once or as the first item.
pub async fn watch_error(store: &dyn Store, prefix: &str, after: u64) -> StoreError {
    match store.watch(prefix, after).await {
        Err(error) => error,
        Ok(mut changes) => next(&mut changes).await.unwrap_err(),
    }
}
