//! A node with one wire to the world, and pods.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use nodeplane_node_agent::{
    dataplane::fake::FakeDataplane,
    net::{self, Network, Settings, cidr::Cidr},
    pods::network::PodNetwork as _,
    services::ServicePlane,
};
use nodeplane_tests::bed::netns::Netns;
use tempfile::TempDir;

/// The node's address in the world, and that of somebody there.
pub(super) const NODE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(super) const STRANGER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(super) const PORT: u16 = 8080;
pub(super) const ANSWER: Duration = Duration::from_secs(5);

/// A machine with one wire to the outside.
pub(super) struct Machine {
    pub(super) node: Netns,
    pub(super) outside: Netns,
    pub(super) state: TempDir,
    pub(super) dataplane: FakeDataplane,
}

/// A pod: a namespace, and the process that holds it.
pub(super) struct Pod {
    pub(super) uid: String,
    pub(super) netns: Netns,
    process: Child,
}

impl Machine {
    pub(super) fn new() -> Self {
        let (node, outside) = (Netns::new("npn").expect("namespace"), Netns::new("npo").expect("namespace"));
        node.wire("uplink", &outside, "wire").expect("wire");
        node.ip(&format!("addr add {NODE}/24 dev uplink")).expect("address");
        node.ip(&format!("route add default via {STRANGER}")).expect("route");
        outside.ip(&format!("addr add {STRANGER}/24 dev wire")).expect("address");
        // Whatever the node lets out would be heard here.
        outside.ip(&format!("route add default via {NODE}")).expect("route");
        Self { node, outside, state: TempDir::new().expect("folder"), dataplane: FakeDataplane::default() }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings { services: cidr("10.96.0.0/16"), cluster: cidr("10.244.0.0/16"), state_dir: self.state.path().into() }
    }

    /// Runs something on the node.
    pub(super) fn run<T: Send>(&self, act: impl AsyncFnOnce() -> T + Send) -> T {
        self.node.run(|| runtime().block_on(act()))
    }

    pub(super) async fn open(&self) -> net::Result<Network> {
        self.open_range("10.244.3.0/24").await
    }

    pub(super) async fn open_range(&self, range: &str) -> net::Result<Network> {
        Network::open(&self.settings(), cidr(range), Arc::new(ServicePlane::new(self.dataplane.clone()))).await
    }

    pub(super) fn pod(&self, uid: &str) -> Pod {
        Pod::new(uid)
    }

    /// What a command says on the node.
    pub(super) fn says(&self, command: &str) -> String {
        let mut words = command.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        let output = self.node.run(|| command.args(words).output()).expect("it runs");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Everything that the network could have left behind.
    pub(super) fn traces(&self) -> Vec<String> {
        let links = self.says("ip -oneline link show");
        let links: Vec<&str> = links.lines().filter_map(|line| line.split(": ").nth(1)).collect();
        let forward = self.node.run(|| fs::read_to_string("/proc/sys/net/ipv4/ip_forward")).expect("readable");
        let rules = ["filter", "nat"].map(|table| self.says(&format!("iptables --table {table} --list-rules")));
        vec![
            links.join(" "),
            self.says("ip -4 route show table all"),
            self.says("ip address show lo"),
            forward,
            rules.concat(),
        ]
    }
}

impl Pod {
    pub(super) fn new(uid: &str) -> Self {
        let netns = Netns::new("npp").expect("namespace");
        let process = netns.run(|| Command::new("sleep").arg("300").stdout(Stdio::null()).spawn()).expect("process");
        Self { uid: uid.to_owned(), netns, process }
    }

    pub(super) fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).expect("a process id")
    }

    pub(super) async fn connect(&self, network: &Network) -> Ipv4Addr {
        let address = network.address(&self.uid).await.expect("a free address");
        network.connect(&self.uid, address, self.pid()).await.expect("connected");
        address
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

pub(super) fn cidr(text: &str) -> Cidr {
    text.parse().expect("a range")
}

/// Tells one client its address as seen from here.
pub(super) fn serve_one(netns: &Netns, address: Ipv4Addr) -> JoinHandle<IpAddr> {
    let listener = netns.run(|| TcpListener::bind((address, PORT))).expect("bind");
    thread::spawn(move || {
        let (mut stream, peer) = listener.accept().expect("a client");
        stream.write_all(b"hello").expect("written");
        peer.ip()
    })
}

/// Connects, and reads until the end.
pub(super) fn ask(netns: &Netns, to: Ipv4Addr) -> Result<String, i32> {
    netns.run(|| {
        let asked = || {
            let mut stream = TcpStream::connect_timeout(&SocketAddr::from((to, PORT)), ANSWER)?;
            stream.set_read_timeout(Some(ANSWER))?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(text)
        };
        asked().map_err(|error: std::io::Error| error.raw_os_error().unwrap_or(-1))
    })
}
