//! A machine with a container engine of its own, one image, and an API server in memory.

use std::{
    collections::HashMap,
    fs::File,
    net::Ipv4Addr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use k8s_openapi::{
    api::core::v1::{Pod, Service},
    serde_json::{self, Value, json},
};
use nix::sys::signal::Signal;
use nodeplane_client::{
    fake::Fake,
    informer::Informer,
    kube::{Api, runtime::watcher},
    recorder::Recorder,
};
use nodeplane_node_agent::pods::{
    Pods, Timing,
    api::KubernetesApi,
    context::Context,
    files::ClusterDns,
    network::{NetworkError, PodNetwork},
    paths::Paths,
    resources::Allocatable,
    runtime::{ContainerRuntime, PodId, docker::DockerRuntime},
};
use nodeplane_tests::bed::{host::Host, process};
use tokio_util::sync::CancellationToken;

pub(crate) const IMAGE: &str = "nodeplane/busybox:1";
/// How long anything may take on a busy machine before a test calls it broken.
const PATIENCE: Duration = Duration::from_secs(60);
const COLLECTION: &str = "/api/v1/namespaces/default/pods";
const APPLETS: [&str; 9] = ["cat", "echo", "env", "hostname", "id", "readlink", "sh", "sleep", "true"];

pub(crate) struct Machine {
    pub(crate) server: Fake,
    pub(crate) network: NoNetwork,
    agent: Option<(Pods, CancellationToken)>,
    host: Host,
}

impl Machine {
    /// A machine whose engine has the image.
    pub(crate) async fn new() -> Self {
        let host = Host::new().expect("a host");
        let mut machine = Self { server: Fake::default(), network: NoNetwork::default(), agent: None, host };
        machine.start_engine().await;
        let tar = machine.path("image.tar");
        write_image(&tar).expect("the image");
        machine.docker(&["import", "--change", "CMD [\"sleep\", \"1000\"]", &tar.to_string_lossy(), IMAGE]);
        machine
    }

    /// A machine with an agent on it.
    pub(crate) async fn with_agent() -> Self {
        let mut machine = Self::new().await;
        machine.start_agent().await;
        machine
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.host.dir().join(name)
    }

    pub(crate) async fn start_engine(&mut self) {
        let mut command = self.host.command("dockerd");
        command
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false"])
            .args(["--userland-proxy=false", "--exec-opt", "native.cgroupdriver=cgroupfs", "--log-level=warn"])
            .args(["-H", &self.url(), "--cgroup-parent", &self.host.container_cgroup_parent()]);
        for (flag, name) in [("--data-root", "docker"), ("--exec-root", "docker-exec"), ("--pidfile", "docker.pid")] {
            command.arg(flag).arg(self.path(name));
        }
        self.host.spawn("dockerd", &mut command).expect("dockerd");
        let begun = Instant::now();
        while process::run(&mut self.docker_command(&["version"])).is_err() {
            assert!(self.host.is_running("dockerd") && begun.elapsed() < PATIENCE, "{}", self.host.logs());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub(crate) fn end_engine(&mut self, signal: Signal) {
        self.host.end("dockerd", signal).expect("an end");
    }

    fn url(&self) -> String {
        format!("unix://{}", self.path("docker.sock").display())
    }

    fn docker_command(&self, args: &[&str]) -> std::process::Command {
        let mut command = self.host.command("docker");
        command.args(["-H", &self.url()]).args(args);
        command
    }

    /// Runs the engine's own client.
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        process::run(&mut self.docker_command(args)).expect("docker").trim().to_owned()
    }

    pub(crate) async fn runtime(&self) -> DockerRuntime {
        DockerRuntime::connect(&self.url(), "node-1", Some(self.host.container_cgroup_parent()))
            .await
            .expect("an engine")
    }

    pub(crate) fn paths(&self) -> Paths {
        Paths::new(&self.path("agent"))
    }

    /// Starts the agent, and waits until it has found its way.
    pub(crate) async fn start_agent(&mut self) {
        let client = self.server.client();
        let services: Api<Service> = Api::all(client.clone());
        let services = Arc::new(Informer::start(services, watcher::Config::default()));
        let recorder = Recorder::new(client.clone(), "kubelet", "node-1");
        let context = Context {
            runtime: Arc::new(self.runtime().await),
            network: Arc::new(self.network.clone()),
            api: Arc::new(KubernetesApi::new(client.clone(), services, recorder)),
            paths: self.paths(),
            dns: ClusterDns { address: Ipv4Addr::new(10, 96, 0, 10), domain: "cluster.local".to_owned() },
            host: Ipv4Addr::LOCALHOST,
            allocatable: Allocatable { milli_cpu: 2000, memory: 4 << 30, storage: 10 << 30 },
        };
        let objects: Api<Pod> = Api::all(client);
        let objects = Arc::new(Informer::start(objects, watcher::Config::default()));
        let stop = CancellationToken::new();
        let timing = Timing { orphans: Duration::from_secs(1), ..Timing::default() };
        let pods = Pods::start_with(Arc::new(context), objects, stop.clone(), timing);
        pods.adopted().await;
        self.agent = Some((pods, stop));
    }

    pub(crate) async fn stop_agent(&mut self) {
        let (pods, stop) = self.agent.take().expect("an agent");
        stop.cancel();
        pods.stopped().await;
    }

    pub(crate) fn pods(&self) -> &Pods {
        &self.agent.as_ref().expect("an agent").0
    }

    #[expect(clippy::needless_pass_by_value, reason = "JSON is written where it is used")]
    pub(crate) fn put(&self, name: &str, spec: Value) {
        let object = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": spec });
        self.server.put(&format!("{COLLECTION}/{name}"), object);
    }

    pub(crate) fn object(&self, name: &str) -> Option<Value> {
        self.server.get(&format!("{COLLECTION}/{name}"))
    }

    /// Asks for a pod's end.
    pub(crate) fn delete(&self, name: &str, grace: i64) {
        let mut object = self.object(name).expect("a pod");
        object["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z".into();
        object["metadata"]["deletionGracePeriodSeconds"] = grace.into();
        self.server.put(&format!("{COLLECTION}/{name}"), object);
    }

    /// The status of a pod's first container.
    pub(crate) fn container(&self, name: &str) -> Value {
        self.object(name).unwrap_or_default()["status"]["containerStatuses"][0].clone()
    }

    pub(crate) async fn until(&self, what: &str, mut look: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !look(self) {
            let waited = begun.elapsed();
            assert!(waited < PATIENCE, "waited in vain until {what}\n{}", self.picture());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn until_ready(&self, name: &str) {
        self.until("the pod is ready", |machine| machine.container(name)["ready"] == true).await;
    }

    fn picture(&self) -> String {
        let pods = self.server.requests().len();
        let containers = process::run(&mut self.docker_command(&["ps", "-a"])).unwrap_or_default();
        format!("{pods} requests\n{containers}\n{}", self.host.logs())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some((_, stop)) = &self.agent {
            stop.cancel();
        }
        // The engine ends with the host, and containers that run would outlive it.
        if self.host.is_running("dockerd") {
            let ids = process::run(&mut self.docker_command(&["ps", "-aq"])).unwrap_or_default();
            for id in ids.split_whitespace() {
                let _ = process::run(&mut self.docker_command(&["rm", "-f", id]));
            }
        }
    }
}

/// A pod of the default namespace, to the runtime.
pub(crate) fn pod_id(name: &str) -> PodId {
    PodId { namespace: "default".to_owned(), name: name.to_owned(), uid: format!("uid-of-{name}") }
}

pub(crate) async fn observed(runtime: &DockerRuntime, pod: &PodId) -> nodeplane_node_agent::pods::runtime::Observed {
    runtime.observe(&pod.uid).await.expect("what runs")
}

fn write_image(path: &std::path::Path) -> std::io::Result<()> {
    let mut tar = tar::Builder::new(File::create(path)?);
    tar.append_path_with_name("/bin/busybox", "bin/busybox")?;
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    link.set_mode(0o777);
    for applet in APPLETS {
        tar.append_link(&mut link, format!("bin/{applet}"), "busybox")?;
    }
    tar.into_inner()?.sync_all()
}

/// Pods without a network, but with addresses.
#[derive(Clone, Default)]
pub(crate) struct NoNetwork(Arc<Mutex<HashMap<String, Ipv4Addr>>>);

impl NoNetwork {
    pub(crate) fn addresses(&self) -> HashMap<String, Ipv4Addr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// As after a restart.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[async_trait]
impl PodNetwork for NoNetwork {
    async fn adopt(&self, uid: &str, address: Ipv4Addr) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.to_owned(), address);
    }

    async fn address(&self, uid: &str) -> Result<Ipv4Addr, NetworkError> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let taken: Vec<Ipv4Addr> = all.values().copied().collect();
        let free = (1..=254).map(|last| Ipv4Addr::new(10, 0, 0, last)).find(|free| !taken.contains(free));
        let known = all.get(uid).copied().or(free).ok_or(NetworkError("no address is free".to_owned()))?;
        all.insert(uid.to_owned(), known);
        Ok(known)
    }

    async fn connect(&self, _: &str, _: Ipv4Addr, pid: i32) -> Result<(), NetworkError> {
        let namespace = format!("/proc/{pid}/ns/net");
        std::fs::read_link(namespace).map(drop).map_err(|error| NetworkError(error.to_string()))
    }

    async fn disconnect(&self, _: &str) -> Result<(), NetworkError> {
        Ok(())
    }

    async fn release(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// A container of the test image that runs a shell script.
pub(crate) fn shell(name: &str, script: &str) -> Value {
    json!({ "name": name, "image": IMAGE, "imagePullPolicy": "Never", "command": ["sh", "-c", script] })
}

/// `base` with these fields on top.
pub(crate) fn with(mut base: Value, fields: &Value) -> Value {
    if let (Some(base), Some(fields)) = (base.as_object_mut(), fields.as_object()) {
        base.extend(fields.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    base
}

/// The text of a JSON value.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// JSON that the engine's client printed.
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}
