//! Pods, a network and a node for tests.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::{
    api::fake::FakeApi,
    context::Context,
    files::ClusterDns,
    network::{NetworkError, PodNetwork},
    paths::Paths,
    resources::Allocatable,
    runtime::fake::FakeRuntime,
};

/// The image of test containers.
pub(super) const IMAGE: &str = "test/app:1";
/// The test node's address.
pub(super) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// A pod `p` in `default` with uid `u` and this specification; `spec.containers` defaults to one
/// container `app`.
pub(super) fn pod(spec: Value) -> Pod {
    named("p", "u", spec)
}

/// A pod in `default`.
pub(super) fn named(name: &str, uid: &str, mut spec: Value) -> Pod {
    if spec["containers"].is_null() {
        spec["containers"] = json!([container("app")]);
    }
    let object = json!({
        "metadata": { "namespace": "default", "name": name, "uid": uid, "resourceVersion": "1" },
        "spec": spec,
    });
    serde_json::from_value(object).expect("a pod")
}

/// A container of the test image.
pub(super) fn container(name: &str) -> Value {
    json!({ "name": name, "image": IMAGE, "imagePullPolicy": "IfNotPresent" })
}

/// `base` with these fields on top.
pub(super) fn with(mut base: Value, fields: Value) -> Value {
    if let (Some(base), Value::Object(fields)) = (base.as_object_mut(), fields) {
        base.extend(fields);
    }
    base
}

/// What the test node gives.
pub(super) const NODE: Allocatable = Allocatable { milli_cpu: 4000, memory: 8 << 30, storage: 100 << 30 };

/// A network in memory. Clones share one.
#[derive(Clone, Default)]
pub(super) struct FakeNetwork {
    state: Arc<Mutex<NetworkState>>,
}

#[derive(Default)]
pub(super) struct NetworkState {
    pub(super) addresses: HashMap<String, Ipv4Addr>,
    pub(super) connected: HashMap<String, Ipv4Addr>,
    pub(super) calls: Vec<String>,
    pub(super) refusals: u32,
}

impl FakeNetwork {
    pub(super) fn state(&self) -> MutexGuard<'_, NetworkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl PodNetwork for FakeNetwork {
    async fn adopt(&self, uid: &str, address: Ipv4Addr) {
        self.state().calls.push(format!("adopt {uid} {address}"));
        self.state().addresses.insert(uid.to_owned(), address);
    }

    async fn address(&self, uid: &str) -> Result<Ipv4Addr, NetworkError> {
        let mut state = self.state();
        let known = state.addresses.get(uid).copied();
        let free = (1..=254)
            .map(|last| Ipv4Addr::new(10, 0, 0, last))
            .find(|free| !state.addresses.values().any(|taken| taken == free));
        let address = known.or(free).ok_or(NetworkError("no address is free".to_owned()))?;
        state.addresses.insert(uid.to_owned(), address);
        Ok(address)
    }

    async fn connect(&self, uid: &str, address: Ipv4Addr, _: i32) -> Result<(), NetworkError> {
        let mut state = self.state();
        state.calls.push(format!("connect {uid} {address}"));
        if state.refusals > 0 {
            state.refusals -= 1;
            return Err(NetworkError("the link is down".to_owned()));
        }
        state.connected.insert(uid.to_owned(), address);
        Ok(())
    }

    async fn disconnect(&self, uid: &str) -> Result<(), NetworkError> {
        self.state().connected.remove(uid);
        Ok(())
    }

    async fn release(&self, uid: &str) {
        self.state().addresses.remove(uid);
    }
}

/// A node of fakes, with its files in a directory of its own.
pub(super) struct FakeNode {
    pub(super) runtime: FakeRuntime,
    pub(super) network: FakeNetwork,
    pub(super) api: FakeApi,
    pub(super) dir: tempfile::TempDir,
}

impl FakeNode {
    pub(super) fn new() -> Self {
        Self {
            runtime: FakeRuntime::with_images(&[IMAGE]),
            network: FakeNetwork::default(),
            api: FakeApi::default(),
            dir: tempfile::tempdir().expect("a directory"),
        }
    }

    pub(super) fn context(&self) -> Arc<Context> {
        Arc::new(Context {
            runtime: Arc::new(self.runtime.clone()),
            network: Arc::new(self.network.clone()),
            api: Arc::new(self.api.clone()),
            paths: Paths::new(self.path()),
            dns: ClusterDns { address: Ipv4Addr::new(10, 96, 0, 10), domain: "cluster.local".to_owned() },
            host: HOST,
            allocatable: NODE,
        })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        // Pods that were not removed have their volumes mounted.
        let _ = super::volumes::mounts::unmount_below(self.path());
    }
}

/// Waits until `look` holds, on a machine that may be busy.
#[track_caller]
pub(super) fn eventually(what: &str, mut look: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    let deadline = Instant::now() + Duration::from_secs(20);
    async move {
        while !look() {
            assert!(Instant::now() < deadline, "{caller}: waited in vain until {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}
