//! A machine with an agent on it, an API server in memory, and a container engine that has nothing.

use std::{
    convert::Infallible,
    fs,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::StreamExt as _;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use k8s_openapi::serde_json::{Value, json};
use nix::sys::signal::Signal;
use nodeplane_client::{fake::Fake, kube::client::Body};
use nodeplane_tests::bed::{host::Host, process, wait};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio::runtime::Runtime;

/// How long anything may take on a busy machine before a test calls it broken.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const NODE_PATH: &str = "/api/v1/nodes/node-1";

/// The machine. What the agent made there goes with it.
pub(crate) struct Machine {
    pub(crate) host: Host,
    pub(crate) api: Fake,
    /// Serves the API and plays the engine.
    runtime: Runtime,
}

type Answer = UnsyncBoxBody<Bytes, Infallible>;

impl Machine {
    pub(crate) fn new() -> Self {
        let host = Host::new().expect("a host");
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let api = Fake::default();
        let listener = host.netns().run(|| TcpListener::bind(("127.0.0.1", 0))).expect("bind");
        let address = listener.local_addr().expect("an address");
        runtime.spawn(serve_api(listener, api.clone()));
        let machine = Self { host, api, runtime };
        write_kubeconfig(&machine.path("kubeconfig"), address);
        machine
    }

    /// Brings a container engine up, in which nothing runs.
    pub(crate) fn start_engine(&self) {
        let listener = UnixListener::bind(self.path("docker.sock")).expect("bind");
        self.runtime.spawn(play_engine(listener));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.host.dir().join(name)
    }

    pub(crate) fn bpffs(&self) -> PathBuf {
        Path::new("/sys/fs/bpf").join(self.host.name())
    }

    /// The agent's program with its flags.
    pub(crate) fn agent(&self, verb: &[&str], cgroup_root: &Path) -> Command {
        let mut command = self.host.command(env!("CARGO_BIN_EXE_nodeplane-agent"));
        command.args(verb).args(["--node-name", "node-1", "--node-ip", "192.0.2.10"]);
        let paths = [
            ("--kubeconfig", self.path("kubeconfig")),
            ("--state-dir", self.path("agent")),
            ("--cgroup-root", cgroup_root.to_owned()),
            ("--bpffs", self.bpffs()),
        ];
        for (flag, path) in paths {
            command.arg(flag).arg(path);
        }
        command.arg("--docker-host").arg(format!("unix://{}", self.path("docker.sock").display()));
        command
    }

    pub(crate) fn start_agent(&mut self) {
        let root = self.host.cgroup().to_owned();
        self.start_agent_in(&root);
    }

    pub(crate) fn start_agent_in(&mut self, cgroup_root: &Path) {
        let mut command = self.agent(&[], cgroup_root);
        self.host.spawn("agent", command.env("RUST_LOG", "info,nodeplane::bpf=debug")).expect("started");
    }

    /// Gives the node its range as soon as it is there, as the server's controller does.
    pub(crate) fn give_range(&mut self, range: &str) {
        self.until("the node is registered", |machine| machine.api.get(NODE_PATH).is_some());
        let mut node = self.api.get(NODE_PATH).expect("a node");
        node["spec"]["podCIDR"] = range.into();
        self.api.put(NODE_PATH, node);
    }

    /// Status and message of the node's Ready condition.
    pub(crate) fn ready(&self) -> (String, String) {
        let node = self.api.get(NODE_PATH).unwrap_or_default();
        let conditions = node["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready = conditions.into_iter().find(|condition| condition["type"] == "Ready").unwrap_or_default();
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("message"))
    }

    pub(crate) fn until_ready(&mut self) {
        self.until("the node is ready", |machine| machine.ready().0 == "True");
    }

    /// Looks until something is so, and gives up at once when the agent ends.
    pub(crate) fn until(&mut self, what: &str, so: impl Fn(&Self) -> bool) {
        let seen = wait::until(PATIENCE, || {
            assert!(self.host.is_running("agent"), "the agent has ended:\n{}", self.host.logs());
            so(self).then_some(())
        });
        assert!(seen.is_some(), "never: {what}\n{:?}\n{}", self.ready(), self.host.logs());
    }

    /// A Service `web` with one endpoint.
    pub(crate) fn put_service(&self, cluster_ip: &str, backend: SocketAddr) {
        let service = json!({
            "kind": "Service", "apiVersion": "v1", "metadata": {},
            "spec": { "clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ports": [{ "port": 80 }] }
        });
        self.api.put("/api/v1/namespaces/default/services/web", service);
        let slice = json!({
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
            "metadata": { "labels": { "kubernetes.io/service-name": "web" } },
            "ports": [{ "port": backend.port() }], "endpoints": [{ "addresses": [backend.ip()] }]
        });
        self.api.put("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-1", slice);
        self.api.put("/api/v1/namespaces/default", json!({ "kind": "Namespace", "apiVersion": "v1", "metadata": {} }));
    }

    /// What a command says on the machine.
    pub(crate) fn says(&self, words: &[&str]) -> String {
        process::run(self.host.command(words[0]).args(&words[1..])).expect("it runs")
    }

    pub(crate) fn end_agent(&mut self, signal: Signal) {
        self.host.end("agent", signal).expect("it ends");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.host.is_running("agent") {
            let _ = self.host.end("agent", Signal::SIGKILL);
        }
        // Detached and not only unpinned, whatever the test was about.
        let _ = process::output(&mut self.agent(&["cleanup"], self.host.cgroup()));
    }
}

/// Credentials that the API in memory does not ask for, but that the agent serves with.
fn write_kubeconfig(path: &Path, address: SocketAddr) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let authority = params.self_signed(&key).expect("a certificate").pem();
    let issuer = Issuer::from_ca_cert_pem(&authority, key).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec!["node-1".to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &issuer).expect("a certificate").pem();
    let kubeconfig = json!({
        "clusters": [{ "name": "c", "cluster": {
            "server": format!("http://{address}"), "certificate-authority-data": STANDARD.encode(authority) } }],
        "users": [{ "name": "u", "user": { "client-certificate-data": STANDARD.encode(certificate),
            "client-key-data": STANDARD.encode(key.serialize_pem()) } }],
        "contexts": [{ "name": "x", "context": { "cluster": "c", "user": "u" } }],
        "current-context": "x",
    });
    fs::write(path, kubeconfig.to_string()).expect("written");
}

async fn serve_api(listener: TcpListener, api: Fake) {
    listener.set_nonblocking(true).expect("nonblocking");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let client = api.client();
    while let Ok((stream, _)) = listener.accept().await {
        let client = client.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let client = client.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.expect("a body").to_bytes();
                client.send(Request::from_parts(parts, Body::from(body))).await
            }
        });
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// An engine of version 20.10 without containers, in which nothing ever happens.
async fn play_engine(listener: UnixListener) {
    listener.set_nonblocking(true).expect("nonblocking");
    let listener = tokio::net::UnixListener::from_std(listener).expect("a listener");
    let service = service_fn(|request: Request<Incoming>| async move {
        let path = request.uri().path().to_owned();
        let whole = |value: Value| -> Answer { Full::from(value.to_string()).boxed_unsync() };
        let body = match path.rsplit_once('/').map_or("", |(_, last)| last) {
            "version" => whole(json!({ "ApiVersion": "1.41", "Version": "20.10.24" })),
            "json" => whole(json!([])),
            "events" => StreamBody::new(futures::stream::pending().boxed()).boxed_unsync(),
            _ => {
                let mut refusal = Response::new(whole(json!({ "message": format!("no {path} here") })));
                *refusal.status_mut() = hyper::StatusCode::NOT_FOUND;
                return Ok::<_, Infallible>(refusal);
            }
        };
        Ok(Response::new(body))
    });
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
        });
    }
}
