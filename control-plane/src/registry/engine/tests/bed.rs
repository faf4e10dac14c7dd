//! An engine over a store in which others act at the worst moment.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use nodeplane_api::{
    kinds::{Subresource, Verb},
    meta,
    status::Status,
};
use serde_json::{Value, json};

use crate::{
    access::{Caller, Permit, cases},
    registry::{
        Registry, RegistryConfig,
        engine::{Engine, Expects, Ownership, Part, Target},
        objects::Objects,
    },
    store::{Changes, Entry, Page, Store, StoreError, embedded::EmbeddedStore, keys::Keys, watch_cache::WatchCache},
};

const ROOT: &str = "/registry";

type Act = Box<dyn FnOnce(Arc<dyn Store>) -> BoxFuture<'static, ()> + Send>;

/// What others do, once each, before an operation on a key that ends so.
#[derive(Default)]
struct Script(Mutex<Vec<(&'static str, String, Act)>>);

struct Scripted {
    inner: Arc<dyn Store>,
    script: Arc<Script>,
}

impl Scripted {
    async fn act(&self, operation: &str, key: &str) {
        let act = {
            let mut acts = self.script.0.lock().unwrap();
            let next = acts.iter().position(|(at, end, _)| *at == operation && key.ends_with(end.as_str()));
            next.map(|next| acts.remove(next).2)
        };
        if let Some(act) = act {
            act(self.inner.clone()).await;
        }
    }
}

#[async_trait]
impl Store for Scripted {
    async fn get(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(
        &self,
        prefix: &str,
        start: Option<&str>,
        revision: Option<u64>,
        limit: u64,
    ) -> Result<Page, StoreError> {
        self.inner.list(prefix, start, revision, limit).await
    }

    async fn create_for(&self, key: &str, value: Bytes, life: Option<Duration>) -> Result<u64, StoreError> {
        self.act("create", key).await;
        self.inner.create_for(key, value, life).await
    }

    async fn update_for(
        &self,
        key: &str,
        value: Bytes,
        expected: u64,
        life: Option<Duration>,
    ) -> Result<u64, StoreError> {
        self.act("update", key).await;
        self.inner.update_for(key, value, expected, life).await
    }

    async fn delete(&self, key: &str, expected: u64) -> Result<u64, StoreError> {
        self.act("delete", key).await;
        self.inner.delete(key, expected).await
    }

    async fn watch(&self, prefix: &str, after: u64) -> Result<Changes, StoreError> {
        self.inner.watch(prefix, after).await
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.inner.revision().await
    }

    async fn mortal(&self, prefix: &str) -> Result<Vec<(String, Duration)>, StoreError> {
        self.inner.mortal(prefix).await
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.inner.compact(revision).await
    }
}

/// An engine, and a cluster with the namespace `shop`.
pub(super) struct Bed {
    pub(super) engine: Engine,
    store: Arc<dyn Store>,
    script: Arc<Script>,
    _dir: tempfile::TempDir,
}

impl Bed {
    pub(super) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&dir.path().join("store.redb")).unwrap());
        let script = Arc::new(Script::default());
        let scripted: Arc<dyn Store> = Arc::new(Scripted { inner: store.clone(), script: script.clone() });
        let keys = Keys::new(ROOT);
        let namespace = json!({ "metadata": { "name": "shop" }, "status": { "phase": "Active" } });
        store.create(&key("namespaces/shop"), namespace.to_string().into()).await.unwrap();
        let cache = WatchCache::start(scripted.clone(), &keys);
        let objects = Objects::new(scripted.clone(), cache, keys.clone());
        let config = RegistryConfig { keys, service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16) };
        let engine = Engine::new(objects, Arc::new(Registry::new(scripted, config)));
        Self { engine, store, script, _dir: dir }
    }

    /// Lets others act before an operation on the key that ends so.
    pub(super) fn before<F>(
        &self,
        operation: &'static str,
        end: &str,
        act: impl FnOnce(Arc<dyn Store>) -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let act: Act = Box::new(move |store| Box::pin(act(store)));
        self.script.0.lock().unwrap().push((operation, end.to_owned(), act));
    }

    pub(super) async fn permit(&self, verb: Verb, plural: &str, place: &str) -> Permit {
        self.permit_for(verb, plural, place, None).await
    }

    pub(super) async fn permit_for(&self, verb: Verb, plural: &str, place: &str, part: Option<Subresource>) -> Permit {
        cases::permit(Caller::component("test"), cases::request(verb, plural, place, part)).await
    }

    /// Creates a Service.
    pub(super) async fn create(&self, service: Value) -> Result<Value, Status> {
        create(&self.engine, &self.permit(Verb::Create, "services", "shop/").await, service).await
    }

    /// Stores an object behind the engine's back.
    pub(super) async fn put(&self, end: &str, object: &Value) {
        self.store.create(&key(end), object.to_string().into()).await.unwrap();
    }

    pub(super) async fn stored(&self, end: &str) -> Option<Value> {
        let entry = self.store.get(&key(end)).await.unwrap()?;
        Some(serde_json::from_slice(&entry.value).unwrap())
    }

    /// All claims, as `range/item`.
    pub(super) async fn claims(&self) -> Vec<String> {
        let prefix = format!("{ROOT}/claims/");
        let page = self.store.list(&prefix, None, None, 0).await.unwrap();
        page.entries.iter().map(|entry| entry.key.trim_start_matches(&prefix).to_owned()).collect()
    }

    /// Waits for a condition.
    pub(super) async fn until(&self, condition: impl AsyncFn() -> bool) {
        let holds = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), holds).await.expect("it comes to hold");
    }
}

fn key(end: &str) -> String {
    format!("{ROOT}/objects/{end}")
}

pub(super) async fn create(engine: &Engine, permit: &Permit, object: Value) -> Result<Value, Status> {
    let name = meta::name(&object).to_owned();
    let target = Target {
        name: &name,
        part: Part::Whole,
        expects: Expects::Absent,
        ownership: Ownership::Manager("test"),
        dry_run: false,
    };
    engine.write(permit, &target, |_| Ok(object.clone().into())).await.map(|written| written.object)
}

pub(super) async fn replace(engine: &Engine, permit: &Permit, object: Value) -> Result<Value, Status> {
    let name = meta::name(&object).to_owned();
    let target = Target {
        name: &name,
        part: Part::Whole,
        expects: Expects::Present,
        ownership: Ownership::Manager("test"),
        dry_run: false,
    };
    engine.write(permit, &target, |_| Ok(object.clone().into())).await.map(|written| written.object)
}

pub(super) async fn delete(store: &dyn Store, end: &str) {
    let entry = store.get(&key(end)).await.unwrap().unwrap();
    store.delete(&key(end), entry.revision).await.unwrap();
}

pub(super) async fn edit(store: &dyn Store, end: &str, edit: impl FnOnce(&mut Value)) {
    let entry = store.get(&key(end)).await.unwrap().unwrap();
    let mut object: Value = serde_json::from_slice(&entry.value).unwrap();
    edit(&mut object);
    store.update(&key(end), object.to_string().into(), entry.revision).await.unwrap();
}

/// A Service in `shop`.
pub(super) fn service(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": name, "namespace": "shop" }, "spec": spec })
}
