//! A whole control plane in this process, and a node agent that only pretends.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::watcher,
};
use nodeplane_control_plane::{
    controllers::{self, ControllerConfig, caches::Caches},
    http::{Api as Server, in_process},
    pki::Pki,
    registry::{Registry, RegistryConfig, objects::Objects},
    scheduler,
    store::{Store, embedded::EmbeddedStore, keys::Keys, watch_cache::WatchCache},
    tokens::Tokens,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

const PREFIX: &str = "/registry";
/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// Without any write for this long, the cluster counts as settled.
const QUIET: Duration = Duration::from_millis(600);

/// The control plane. Ends with the test.
pub(crate) struct Bed {
    pub(crate) client: Client,
    server: Arc<Server>,
    running: Option<(CancellationToken, Vec<JoinHandle<()>>)>,
    kubelet: Option<JoinHandle<()>>,
    _state: tempfile::TempDir,
}

impl Bed {
    /// A control plane with the namespace `default` and no node.
    pub(crate) async fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(&state.path().join("store.redb")).unwrap());
        let keys = Keys::new(PREFIX);
        let cache = WatchCache::start(store.clone(), &keys);
        let pki = Pki::open(&state.path().join("pki")).unwrap();
        let identity = pki.client("kube-apiserver-kubelet-client", &["system:masters"]).unwrap();
        let config = RegistryConfig { keys: keys.clone(), service_cidr: (Ipv4Addr::new(10, 96, 0, 0), 16) };
        let server = Arc::new(Server::new(
            Objects::new(store.clone(), cache, keys),
            Arc::new(Registry::new(store, config)),
            "127.0.0.1:6443".to_owned(),
            Arc::new(pki.client_config(&identity).unwrap()),
            Tokens::open(&pki, vec!["issuer".to_owned()], vec!["issuer".to_owned()]).unwrap(),
        ));
        let client = in_process::client(&server, "test");
        let mut bed = Self { client, server, running: None, kubelet: None, _state: state };
        bed.create::<Namespace>(json!({ "metadata": { "name": "default" } })).await;
        bed.create::<Namespace>(json!({ "metadata": { "name": "kube-node-lease" } })).await;
        bed.resume();
        bed
    }

    /// Starts controllers and scheduler, as after a restart: with empty caches.
    pub(crate) fn resume(&mut self) {
        let shutdown = CancellationToken::new();
        let client = in_process::client(&self.server, "system:kube-controller-manager");
        let caches = Caches::start(&client);
        let config = ControllerConfig { root_ca: "PEM".to_owned(), ..ControllerConfig::default() };
        let controllers = tokio::spawn(controllers::run_with(client, caches.clone(), config, shutdown.clone()));
        let client = in_process::client(&self.server, "system:kube-scheduler");
        let scheduler = tokio::spawn(scheduler::run(client, caches, shutdown.clone()));
        self.running = Some((shutdown, vec![controllers, scheduler]));
    }

    /// Kills controllers and scheduler wherever they are.
    pub(crate) async fn crash(&mut self) {
        if let Some((_, tasks)) = self.running.take() {
            for task in tasks {
                task.abort();
                let _ = task.await;
            }
        }
    }

    /// Ends controllers and scheduler in an orderly way.
    pub(crate) async fn stop(&mut self) {
        if let Some((shutdown, tasks)) = self.running.take() {
            shutdown.cancel();
            for task in tasks {
                tokio::time::timeout(DEADLINE, task).await.expect("does not stop").unwrap();
            }
        }
    }

    /// Adds a node with an agent that makes every pod ready at once.
    pub(crate) async fn add_node(&mut self, name: &str) {
        self.create::<Node>(json!({ "metadata": { "name": name }, "status": {
            "allocatable": { "cpu": "4", "memory": "8Gi", "pods": "110" },
            "conditions": [{ "type": "Ready", "status": "True" }] } }))
            .await;
        self.kubelet = Some(tokio::spawn(kubelet(self.client.clone(), name.to_owned())));
    }

    pub(crate) fn all<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = ()>,
    {
        Api::all(self.client.clone())
    }

    /// Objects of `default`.
    pub(crate) fn here<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::default_namespaced(self.client.clone())
    }

    /// Creates an object in the namespace that it names, or `default`.
    pub(crate) async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = ()> + DeserializeOwned + Serialize + Clone + std::fmt::Debug,
    {
        let kind = controllers::caches::row::<K>();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or("default").to_owned();
        let root = if kind.group.is_empty() { "/api/v1".to_owned() } else { format!("/apis/{}", kind.api_version()) };
        let path = match kind.is_namespaced() {
            true => format!("{root}/namespaces/{namespace}/{}", kind.plural),
            false => format!("{root}/{}", kind.plural),
        };
        let mut object = object;
        object["apiVersion"] = kind.api_version().into();
        object["kind"] = kind.kind.into();
        let body = serde_json::to_vec(&object).unwrap();
        let request = kube::core::Request::new(path).create(&PostParams::default(), body).unwrap();
        self.client.request(request).await.unwrap()
    }

    pub(crate) async fn patch<K>(&self, name: &str, patch: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        self.here::<K>().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// All objects of a kind in `default`.
    pub(crate) async fn list<K>(&self) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + DeserializeOwned
            + Clone
            + std::fmt::Debug,
    {
        self.here::<K>().list(&ListParams::default()).await.unwrap().items
    }

    /// Waits until nobody writes any more: whoever keeps writing to a settled cluster never lets
    /// this return.
    pub(crate) async fn quiet(&self) {
        let mut seen = self.server.objects.cache().revision();
        let mut since = Instant::now();
        let deadline = since + DEADLINE;
        while since.elapsed() < QUIET {
            assert!(Instant::now() < deadline, "somebody keeps writing");
            tokio::time::sleep(Duration::from_millis(20)).await;
            let now = self.server.objects.cache().revision();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    /// Waits until `found` finds what it looks for.
    pub(crate) async fn until<T, F>(&self, what: &str, mut found: impl FnMut() -> F) -> T
    where
        F: Future<Output = Option<T>>,
    {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = found().await {
                return found;
            }
            if Instant::now() > deadline {
                panic!("never: {what}\npods: {:#?}", self.all::<Pod>().list(&ListParams::default()).await);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.server.stop.cancel();
        if let Some((shutdown, tasks)) = self.running.take() {
            shutdown.cancel();
            tasks.iter().for_each(JoinHandle::abort);
        }
        if let Some(kubelet) = self.kubelet.take() {
            kubelet.abort();
        }
    }
}

/// Makes pods of a node ready, and lets them go when they are asked to.
async fn kubelet(client: Client, node: String) {
    let all: Api<Pod> = Api::all(client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={node}"));
    let mut events = watcher(all, config).boxed();
    let mut addresses = 1..250;
    while let Some(event) = events.next().await {
        let (watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) = event.unwrap() else { continue };
        let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap());
        if pod.metadata.deletion_timestamp.is_some() {
            let _ = pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await;
            continue;
        }
        if pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some()) {
            continue;
        }
        let address = format!("10.244.0.{}", addresses.next().unwrap());
        let status = json!({ "status": { "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }],
            "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": jiff::Timestamp::now().to_string() }] } });
        // Gone meanwhile is fine.
        let _ = pods.patch_status(&pod.name_any(), &PatchParams::default(), &Patch::Merge(status)).await;
    }
}
