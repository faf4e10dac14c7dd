//! The one set of informers that all controllers and the scheduler read.
//!
//! In: a client. Out: caches by kind, kept small: only the config maps, service accounts and
//! leases that somebody reads, no managed fields, and of pods only what is read. For what reads all
//! kinds alike there is [`super::inventory`].

use std::sync::Arc;

use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet, Deployment, ReplicaSet},
    coordination::v1::Lease,
    core::v1::{ConfigMap, Container, Endpoints, Namespace, Node, Pod, ResourceQuota, Service, ServiceAccount},
    discovery::v1::EndpointSlice,
    policy::v1::PodDisruptionBudget,
};
use kube::{Api, Client, Resource, runtime::watcher};
use nodeplane_api::kinds::{self, Kind};
use nodeplane_client::informer::{Informer, Object};

/// Where nodes renew their leases.
pub const LEASE_NAMESPACE: &str = "kube-node-lease";
/// The service account that every namespace has.
pub const DEFAULT_SERVICE_ACCOUNT: &str = "default";
/// The config map with the cluster's CA that every namespace has.
pub const ROOT_CA: &str = "kube-root-ca.crt";

/// Informers by kind.
#[derive(Clone)]
pub struct Caches {
    /// All namespaces.
    pub namespaces: Arc<Informer<Namespace>>,
    /// All nodes.
    pub nodes: Arc<Informer<Node>>,
    /// The leases of all nodes.
    pub node_leases: Arc<Informer<Lease>>,
    /// All pods.
    pub pods: Arc<Informer<Pod>>,
    /// All services.
    pub services: Arc<Informer<Service>>,
    /// All endpoints.
    pub endpoints: Arc<Informer<Endpoints>>,
    /// All endpoint slices.
    pub endpoint_slices: Arc<Informer<EndpointSlice>>,
    /// All deployments.
    pub deployments: Arc<Informer<Deployment>>,
    /// All disruption budgets.
    pub budgets: Arc<Informer<PodDisruptionBudget>>,
    /// All quotas.
    pub quotas: Arc<Informer<ResourceQuota>>,
    /// All replica sets.
    pub replica_sets: Arc<Informer<ReplicaSet>>,
    /// All daemon sets.
    pub daemon_sets: Arc<Informer<DaemonSet>>,
    /// All revisions of workloads.
    pub controller_revisions: Arc<Informer<ControllerRevision>>,
    /// The service account [`DEFAULT_SERVICE_ACCOUNT`] of each namespace.
    pub default_accounts: Arc<Informer<ServiceAccount>>,
    /// The config map [`ROOT_CA`] of each namespace.
    pub root_cas: Arc<Informer<ConfigMap>>,
}

impl Caches {
    /// Starts all informers. Must be called inside a tokio runtime.
    pub fn start(client: &Client) -> Self {
        let named = |name: &str| watcher::Config::default().fields(&format!("metadata.name={name}"));
        let leases = Informer::start(Api::namespaced(client.clone(), LEASE_NAMESPACE), watcher::Config::default());
        Self {
            namespaces: all(client, watcher::Config::default()),
            nodes: all(client, watcher::Config::default()),
            node_leases: Arc::new(leases),
            pods: Arc::new(Informer::start_trimmed(Api::all(client.clone()), watcher::Config::default(), trim)),
            services: all(client, watcher::Config::default()),
            endpoints: all(client, watcher::Config::default()),
            endpoint_slices: all(client, watcher::Config::default()),
            deployments: all(client, watcher::Config::default()),
            budgets: all(client, watcher::Config::default()),
            quotas: all(client, watcher::Config::default()),
            replica_sets: all(client, watcher::Config::default()),
            daemon_sets: all(client, watcher::Config::default()),
            controller_revisions: all(client, watcher::Config::default()),
            default_accounts: all(client, named(DEFAULT_SERVICE_ACCOUNT)),
            root_cas: all(client, named(ROOT_CA)),
        }
    }
}

fn all<K: Object + Resource<DynamicType = ()>>(client: &Client, config: watcher::Config) -> Arc<Informer<K>> {
    Arc::new(Informer::start(Api::all(client.clone()), config))
}

/// Takes out of a pod what only its node reads. Nobody here writes more than a pod's status.
fn trim(pod: &mut Pod) {
    pod.metadata.annotations = None;
    let Some(spec) = &mut pod.spec else { return };
    spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()).for_each(|container| {
        *container = Container {
            name: std::mem::take(&mut container.name),
            image: container.image.take(),
            ports: container.ports.take().map(shrunk),
            resources: container.resources.take(),
            restart_policy: container.restart_policy.take(),
            ..Container::default()
        };
    });
    spec.volumes = None;
    spec.tolerations = spec.tolerations.take().map(shrunk);
}

fn shrunk<T>(mut list: Vec<T>) -> Vec<T> {
    list.shrink_to_fit();
    list
}

/// The row of a typed kind in the table of kinds.
pub fn row<K: Resource<DynamicType = ()>>() -> &'static Kind {
    kinds::by_api_version(&K::api_version(&()), &K::kind(&())).expect("kinds with a controller are in the table")
}
