//! Server processes on free loopback ports, clients of them, and an etcd.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::{authentication::v1::TokenRequest, core::v1::ServiceAccount};
use kube::{
    Api, Client, Config,
    api::PostParams,
    client::ConfigExt,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Time that anything may take in a test.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The program with some arguments.
pub fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeplane-server"));
    command.args(arguments).stdin(Stdio::null()).env_remove("NODEPLANE_LOG");
    command
}

/// Runs the program to its end; one that goes on is killed.
pub fn output(arguments: &[&str]) -> Output {
    let mut child = program(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > DEADLINE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.wait_with_output().unwrap()
}

/// A running server; killed when it goes out of scope.
pub struct Server {
    child: Child,
    dir: PathBuf,
    log: PathBuf,
    pub address: SocketAddr,
}

impl Server {
    /// Starts a server with its state in `dir/server`, and waits until it says where it listens.
    pub fn start(dir: &Path, more: &[&str]) -> Self {
        let log = dir.join("server.log");
        let state = dir.join("server");
        let mut command = program(&["--listen", "127.0.0.1:0", "--state-dir", state.to_str().unwrap()]);
        let child = command.args(more).stderr(File::create(&log).unwrap()).spawn().unwrap();
        let mut server = Self { child, dir: state, log, address: SocketAddr::from(([0, 0, 0, 0], 0)) };
        server.address = server.await_address();
        server
    }

    fn await_address(&mut self) -> SocketAddr {
        let since = Instant::now();
        loop {
            let log = self.log();
            if let Some(address) = log.lines().find_map(address_of) {
                return address;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "the server has ended:\n{log}");
            assert!(since.elapsed() < DEADLINE, "the server is not ready:\n{log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.dir.join("admin.kubeconfig")
    }

    /// A client with the administrator's certificate.
    pub async fn client(&self) -> Client {
        client(&self.kubeconfig()).await
    }

    /// A client that trusts the server, but shows nothing.
    pub async fn stranger(&self) -> Client {
        let mut config = config(&self.kubeconfig()).await;
        config.auth_info = AuthInfo::default();
        Client::try_from(config).unwrap()
    }

    /// A connection of somebody who trusts the server, but shows nothing.
    pub async fn stranger_stream(&self) -> TlsStream<TcpStream> {
        let mut config = config(&self.kubeconfig()).await;
        config.auth_info = AuthInfo::default();
        self.connect(&config, &[]).await
    }

    /// A connection of the administrator, who speaks these protocols.
    pub async fn stream(&self, protocols: &[&str]) -> TlsStream<TcpStream> {
        self.connect(&config(&self.kubeconfig()).await, protocols).await
    }

    async fn connect(&self, config: &Config, protocols: &[&str]) -> TlsStream<TcpStream> {
        let mut tls = config.rustls_client_config().unwrap();
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(self.address).await.unwrap();
        TlsConnector::from(Arc::new(tls)).connect("localhost".try_into().unwrap(), stream).await.unwrap()
    }

    /// A client that reaches the server under another name.
    pub async fn client_at(&self, name: &str) -> Client {
        let mut config = config(&self.kubeconfig()).await;
        config.tls_server_name = Some(name.to_owned());
        Client::try_from(config).unwrap()
    }

    /// Waits until it has said this.
    pub async fn says(&self, text: &str) {
        self.says_times(text, 1).await;
    }

    /// Waits until it has said this so many times.
    pub async fn says_times(&self, text: &str, times: usize) {
        let since = Instant::now();
        while self.log().matches(text).count() < times {
            assert!(since.elapsed() < DEADLINE, "it does not say {text:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Sends a signal to the process.
    pub fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.child.id().to_string());
        assert!(Command::new("kill").args([&signal, &pid]).status().unwrap().success());
    }

    /// The process dies at once, as in a power failure of the program.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the process to end, and waits for it.
    pub fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.ended()
    }

    /// Waits for the process to end.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let since = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, self.log());
            }
            assert!(since.elapsed() < DEADLINE, "the server does not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Where the server says that it listens, in either form of the log.
fn address_of(line: &str) -> Option<SocketAddr> {
    if let Ok(line) = serde_json::from_str::<serde_json::Value>(line) {
        return (line["message"] == "ready").then(|| line["address"].as_str().unwrap().parse().unwrap());
    }
    let (_, rest) = line.split_once(": ready address=")?;
    rest.split(' ').next()?.parse().ok()
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

/// A client by a kubeconfig.
pub async fn client(kubeconfig: &Path) -> Client {
    Client::try_from(config(kubeconfig).await).unwrap()
}

/// A client that shows a token and no certificate.
pub async fn bearer(server: &Server, token: &str) -> Client {
    let mut config = config(&server.kubeconfig()).await;
    config.auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
    Client::try_from(config).unwrap()
}

/// A token of the account `default`, which comes a moment after its namespace.
pub async fn token(admin: &Client) -> String {
    let accounts = Api::<ServiceAccount>::namespaced(admin.clone(), "default");
    let mut tries = 0;
    while accounts.get_opt("default").await.unwrap().is_none() {
        tries += 1;
        assert!(tries < 2000, "there is no account");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let asked = TokenRequest::default();
    let answer: TokenRequest =
        accounts.create_subresource("token", "default", &PostParams::default(), &asked).await.unwrap();
    answer.status.unwrap().token
}

/// What an operator does before a second server starts.
pub fn share_authority(from: &Path, to: &Path) {
    let [from, to] = [from, to].map(|dir| dir.join("server/pki"));
    fs::create_dir_all(&to).unwrap();
    for file in ["ca.crt", "ca.key", "sa.key"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

/// A real etcd; killed when it goes out of scope.
pub struct Etcd {
    child: Child,
    pub url: String,
}

impl Etcd {
    /// Starts etcd with its data in `dir/etcd`, and waits until it takes connections.
    pub fn start(dir: &Path) -> Self {
        for _ in 0..5 {
            // The ports are free now; somebody else may be faster, then again with others.
            let [client, peer] = free_ports().map(|port| format!("http://127.0.0.1:{port}"));
            let _ = fs::remove_dir_all(dir.join("etcd"));
            let mut command = Command::new("etcd");
            command
                .arg("--data-dir")
                .arg(dir.join("etcd"))
                .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
                .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
                .args(["--initial-cluster", &format!("default={peer}"), "--log-level", "error"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let child = command.spawn().expect("these tests need etcd (package etcd-server) on the path");
            let mut etcd = Self { child, url: client };
            if etcd.is_up() {
                return etcd;
            }
        }
        panic!("etcd does not start");
    }

    fn is_up(&mut self) -> bool {
        let address = self.url.trim_start_matches("http://").to_owned();
        let since = Instant::now();
        while since.elapsed() < DEADLINE && self.child.try_wait().unwrap().is_none() {
            if std::net::TcpStream::connect(&address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
