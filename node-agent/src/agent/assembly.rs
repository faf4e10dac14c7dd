//! Starts the parts, each when what it needs is there, and watches those that can fail later.

use std::{sync::Arc, time::Duration};

use nodeplane_ebpf_abi::ranges::{Range, Ranges};
use rustls::ServerConfig;
use tokio::{net::TcpListener, task::spawn_blocking, time::interval};
use tracing::{error, info};

use super::{Agent, listen_at};
use crate::{
    dataplane::{
        self,
        bpf::{self, BpfDataplane},
    },
    net::{self, Network, cidr::Cidr},
    node::{facts::MEMORY_RESERVE, health::Part},
    pods::{
        Pods,
        api::KubernetesApi,
        context::Context,
        files::ClusterDns,
        paths::Paths,
        resources::Allocatable,
        runtime::{ContainerRuntime, docker::DockerRuntime},
    },
    server,
    services::{Feed, ServicePlane},
};

/// How often the container engine is asked whether it answers.
const RUNTIME_PERIOD: Duration = Duration::from_secs(5);
/// How often it is looked whether rules and routes still stand.
const NETWORK_PERIOD: Duration = Duration::from_secs(10);

impl Agent {
    /// Everything that pods need, then pods.
    pub(super) async fn assemble(self: &Arc<Self>) {
        let Some(()) = self.insist(Part::Network, || net::protect(&self.settings)).await else { return };
        let (Some(runtime), Some(network)) = tokio::join!(self.start_runtime(), self.start_connecting()) else {
            return;
        };
        // Environments of containers name Services.
        if self.stop.run_until_cancelled(self.sources.ready()).await.is_some() {
            self.start_pods(runtime, network).await;
        }
    }

    /// The Service plane, the network over it, and names.
    async fn start_connecting(self: &Arc<Self>) -> Option<Arc<Network>> {
        let (plane, range) = tokio::join!(self.start_plane(), self.await_range());
        let network = self.start_network(&plane?, range?).await?;
        self.task("dns", |agent| async move { agent.answer_names().await });
        Some(network)
    }

    /// Programs and maps, proven to work, and the feed that keeps them right.
    async fn start_plane(self: &Arc<Self>) -> Option<Arc<ServicePlane>> {
        let config = bpf::Config {
            bpffs: self.flags.bpffs.clone(),
            cgroup_root: self.flags.cgroup_root.clone(),
            ranges: Ranges { services: range(self.flags.service_cidr), pods: range(self.flags.cluster_cidr) },
            object: bpf::Object::Embedded,
        };
        let open = || {
            let config = config.clone();
            async move { spawn_blocking(move || proven(&config)).await.map_err(|error| error.to_string())? }
        };
        let dataplane = self.insist(Part::Services, open).await?;
        let _ = self.cgroup.set(dataplane.cgroup().to_owned());
        let plane = Arc::new(ServicePlane::new(dataplane));
        let _ = self.plane.set(plane.clone());
        let (sources, recorder) = (self.sources.clone(), self.recorder.clone());
        let feed = Arc::new(Feed::new(sources, plane.clone(), recorder, &self.identity.name));
        let _ = self.feed.set(feed.clone());
        self.task("feed", |agent| {
            let feed = feed.clone();
            async move { feed.run(&agent.stop).await }
        });
        self.task("feed-health", |agent| async move { agent.watch_feed(&feed).await });
        Some(plane)
    }

    async fn watch_feed(&self, feed: &Feed) {
        let mut changed = feed.changed();
        loop {
            let progress = feed.progress();
            match progress.error {
                Some(error) => self.health.unwell(Part::Services, error),
                None if progress.syncs > 0 => self.health.well(Part::Services),
                None => {}
            }
            if !matches!(self.stop.run_until_cancelled(changed.changed()).await, Some(Ok(()))) {
                return;
            }
        }
    }

    async fn start_runtime(self: &Arc<Self>) -> Option<Arc<dyn ContainerRuntime>> {
        let connect = || async {
            let cgroup_parent = self.flags.container_cgroup_parent.clone();
            let docker = DockerRuntime::connect(&self.flags.docker_host, &self.identity.name, cgroup_parent).await?;
            self.keeper.set_runtime(&docker.version().await?.id);
            Ok::<_, crate::pods::runtime::RuntimeError>(docker)
        };
        let runtime: Arc<dyn ContainerRuntime> = Arc::new(self.insist(Part::Runtime, connect).await?);
        self.health.well(Part::Runtime);
        let watched = runtime.clone();
        self.task("runtime-health", |agent| async move { agent.watch_runtime(&*watched).await });
        Some(runtime)
    }

    async fn watch_runtime(&self, runtime: &dyn ContainerRuntime) {
        let mut ticks = interval(RUNTIME_PERIOD);
        while self.stop.run_until_cancelled(ticks.tick()).await.is_some() {
            match runtime.version().await {
                Ok(version) => {
                    self.keeper.set_runtime(&version.id);
                    self.health.well(Part::Runtime);
                }
                Err(error) => self.health.unwell(Part::Runtime, error.to_string()),
            }
        }
    }

    async fn await_range(&self) -> Option<Cidr> {
        let unusable = |text| format!("the server gave this node the pod range {text:?}, which is not an IPv4 range");
        let given = || async { self.keeper.range().await.map_err(unusable) };
        let range = self.insist(Part::Network, given).await?;
        info!(%range, "the server gave this node its pod range");
        Some(range)
    }

    async fn start_network(self: &Arc<Self>, plane: &Arc<ServicePlane>, range: Cidr) -> Option<Arc<Network>> {
        let open = || Network::open(&self.settings, range, plane.clone());
        let network = Arc::new(self.insist(Part::Network, open).await?);
        if let Some(cgroup) = self.cgroup.get() {
            network.expect_cgroup(cgroup.clone());
        }
        let _ = self.network.set(network.clone());
        self.health.well(Part::Network);
        let tended = network.clone();
        self.task("network", |agent| async move {
            let mut ticks = interval(NETWORK_PERIOD);
            ticks.tick().await;
            while agent.stop.run_until_cancelled(ticks.tick()).await.is_some() {
                match tended.tend().await {
                    Ok(()) => agent.health.well(Part::Network),
                    Err(error) => agent.health.unwell(Part::Network, error.to_string()),
                }
            }
        });
        Some(network)
    }

    /// Runs pods until the end.
    async fn start_pods(&self, runtime: Arc<dyn ContainerRuntime>, network: Arc<Network>) {
        let facts = self.keeper.facts();
        let whole = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
        let context = Context {
            runtime,
            network,
            api: Arc::new(KubernetesApi::new(
                self.client.clone(),
                self.sources.services.objects.clone(),
                self.recorder.clone(),
            )),
            paths: Paths::new(&self.flags.state_dir),
            dns: ClusterDns { address: self.flags.cluster_dns, domain: self.flags.cluster_domain.clone() },
            host: self.identity.address,
            allocatable: Allocatable {
                milli_cpu: whole(facts.processors * 1000),
                memory: whole(facts.memory.saturating_sub(MEMORY_RESERVE)),
                storage: whole(facts.disk),
            },
        };
        let pods = Arc::new(Pods::start(Arc::new(context), self.sources.pods.clone(), self.stop.clone()));
        let _ = self.pods.set(pods.clone());
        pods.stopped().await;
    }

    /// Serves the API server until the end.
    pub(super) async fn serve(self: &Arc<Self>, tls: ServerConfig) {
        let address = listen_at(&self.flags, &self.identity);
        let bind = || async move {
            TcpListener::bind(address).await.map_err(|error| format!("cannot listen at {address}: {error}"))
        };
        let Some(listener) = self.insist(Part::Server, bind).await else { return };
        self.health.well(Part::Server);
        server::serve(self.clone(), listener, tls, &self.stop).await;
    }

    /// Serves operators until the end.
    pub(super) async fn serve_admin(self: &Arc<Self>) {
        let path = server::socket(&self.flags.state_dir);
        if let Err(error) = server::serve_admin(self.clone(), &path, &self.stop).await {
            error!(path = %path.display(), %error, "the live state cannot be asked for");
            // Pods do without.
            self.stop.cancelled().await;
        }
    }
}

/// Programs that have been seen to act.
fn proven(config: &bpf::Config) -> Result<BpfDataplane, String> {
    let prove = || -> dataplane::Result<BpfDataplane> {
        let dataplane = BpfDataplane::open(config)?;
        dataplane.self_test()?;
        Ok(dataplane)
    };
    prove().map_err(|error| error.to_string())
}

fn range(cidr: Cidr) -> Range {
    Range::new(cidr.first(), cidr.prefix())
}
