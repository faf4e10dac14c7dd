//! A node for the dataplane: a namespace, a cgroup, a folder of pins, servers on loopback.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs, UdpSocket},
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use nodeplane_ebpf_abi::{
    ABI_VERSION,
    ranges::{Range, Ranges},
};
use nodeplane_node_agent::{
    dataplane::bpf::{self, BpfDataplane, Config, Object},
    model::{Backend, Frontend, Listen, ObjectKey, Protocol, Services},
    services::ServicePlane,
};
use nodeplane_tests::bed::netns::{Cell, Cgroup, Netns, unique};
use serde_json::json;

/// The Service that the tests ask for.
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(10, 96, 7, 1);
pub(crate) const PORT: u16 = 80;
/// Where backends listen; they differ by their loopback address.
pub(crate) const BACKEND_PORT: u16 = 8080;

/// How long a server may take to see that it should end, and a client to hear an answer.
const TICK: Duration = Duration::from_millis(20);
pub(crate) const ANSWER: Duration = Duration::from_secs(5);

/// A node with the programs attached.
pub(crate) struct Node {
    pub(crate) netns: Netns,
    pub(crate) cgroup: Cgroup,
    pub(crate) bpffs: PathBuf,
}

impl Node {
    pub(crate) fn new() -> Self {
        let netns = Netns::new("npd").expect("namespace");
        let cgroup = Cgroup::new("npd").expect("cgroup");
        Self { netns, cgroup, bpffs: PathBuf::from("/sys/fs/bpf").join(unique("npd")) }
    }

    pub(crate) fn config(&self) -> Config {
        Config {
            bpffs: self.bpffs.clone(),
            cgroup_root: Some(self.cgroup.path().to_owned()),
            ranges: Ranges {
                services: Range::new(Ipv4Addr::new(10, 96, 0, 0), 16),
                pods: Range::new(Ipv4Addr::new(10, 244, 0, 0), 16),
            },
            object: Object::Embedded,
        }
    }

    /// Where the maps are pinned, and the links below it.
    pub(crate) fn pins(&self) -> PathBuf {
        self.bpffs.join(format!("v{ABI_VERSION}"))
    }

    /// How many entries a map has.
    pub(crate) fn entries(&self, map: &str) -> usize {
        let entries = bpftool(&["map", "dump", "pinned", &self.pins().join(map).display().to_string()]);
        entries.as_array().expect("entries").len()
    }

    /// What an agent that starts on this node does.
    pub(crate) fn open(&self) -> BpfDataplane {
        BpfDataplane::open(&self.config()).expect("the programs load and attach")
    }

    pub(crate) fn plane(&self) -> ServicePlane {
        ServicePlane::new(self.open())
    }

    /// Where a client of this node runs.
    pub(crate) fn client(&self) -> Cell<'_> {
        Cell { netns: &self.netns, cgroup: &self.cgroup }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Err(error) = bpf::cleanup(&self.bpffs) {
            eprintln!("pins are left behind: {error}");
        }
    }
}

/// What `bpftool` says.
pub(crate) fn bpftool(arguments: &[&str]) -> serde_json::Value {
    let output = Command::new("bpftool").arg("--json").args(arguments).output().expect("bpftool");
    assert!(output.status.success(), "bpftool {arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// One Service port with backends on 127.0.1.`hosts`.
pub(crate) fn frontend(protocol: Protocol, hosts: &[u8]) -> Frontend {
    Frontend {
        service: ObjectKey { namespace: "default".into(), name: "web".into() },
        port_name: String::new(),
        at: Listen { addr: VIP.into(), port: PORT, protocol },
        affinity_secs: None,
        backends: hosts.iter().map(|host| Backend { addr: backend_addr(*host).into(), port: BACKEND_PORT }).collect(),
    }
}

/// A Service for each frontend, with a slice for each backend.
pub(crate) fn services(frontends: &[Frontend]) -> Services {
    let (mut services, mut slices) = (Vec::<Service>::new(), Vec::<EndpointSlice>::new());
    for (number, frontend) in frontends.iter().enumerate() {
        let name = format!("{}-{number}", frontend.service.name);
        let Listen { addr, port, protocol } = frontend.at;
        let protocol = protocol.to_string();
        let mut service = json!({
            "metadata": { "namespace": frontend.service.namespace, "name": name },
            "spec": { "clusterIP": addr, "ports": [{ "port": port, "protocol": protocol }] },
        });
        if let Some(seconds) = frontend.affinity_secs {
            service["spec"]["sessionAffinity"] = json!("ClientIP");
            service["spec"]["sessionAffinityConfig"] = json!({ "clientIP": { "timeoutSeconds": seconds } });
        }
        services.push(serde_json::from_value(service).expect("a Service"));
        slices.extend(frontend.backends.iter().zip(0..).map(|(backend, slice): (&Backend, u32)| {
            let slice = json!({
                "metadata": {
                    "namespace": frontend.service.namespace, "name": format!("{name}-{slice}"),
                    "labels": { "kubernetes.io/service-name": name },
                },
                "addressType": "IPv4",
                "ports": [{ "port": backend.port, "protocol": protocol }],
                "endpoints": [{ "addresses": [backend.addr] }],
            });
            serde_json::from_value(slice).expect("an EndpointSlice")
        }));
    }
    Services::build(services, slices, "here")
}

pub(crate) fn backend_addr(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 1, host)
}

/// A server that says the last number of its address to whoever asks. Ends when dropped.
pub(crate) struct Server {
    end: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn tcp(netns: &Netns, addr: Ipv4Addr) -> Self {
        let listener = netns.run(|| TcpListener::bind((addr, BACKEND_PORT))).expect("bind");
        listener.set_nonblocking(true).expect("nonblocking");
        Self::start(move || match listener.accept() {
            Ok((mut stream, _)) => {
                let _ = stream.write_all(&addr.octets()[3..]);
            }
            Err(_) => std::thread::sleep(Duration::from_micros(200)),
        })
    }

    pub(crate) fn udp(netns: &Netns, addr: Ipv4Addr) -> Self {
        let socket = netns.run(|| UdpSocket::bind((addr, BACKEND_PORT))).expect("bind");
        socket.set_read_timeout(Some(TICK)).expect("timeout");
        Self::start(move || {
            if let Ok((_, from)) = socket.recv_from(&mut [0; 16]) {
                let _ = socket.send_to(&addr.octets()[3..], from);
            }
        })
    }

    fn start(mut step: impl FnMut() + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let seen = end.clone();
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                step();
            }
        });
        Self { end, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// What a TCP client saw: which backend answered, and whom it believes to talk to.
pub(crate) type Seen = (u8, SocketAddr);

/// Connects and reads the answer. The error is a number, or -1.
pub(crate) fn ask_tcp(to: impl ToSocketAddrs) -> Result<Seen, i32> {
    let connect = || -> io::Result<Seen> {
        let mut stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(ANSWER))?;
        let peer = stream.peer_addr()?;
        let mut answer = [0];
        stream.read_exact(&mut answer)?;
        Ok((answer[0], peer))
    };
    connect().map_err(|error| error.raw_os_error().unwrap_or(-1))
}

/// Sends from an unconnected socket and reads the answer and its source.
pub(crate) fn ask_udp(socket: &UdpSocket, to: impl ToSocketAddrs) -> Result<Seen, i32> {
    let ask = || -> io::Result<Seen> {
        socket.set_read_timeout(Some(ANSWER))?;
        socket.send_to(b"?", to)?;
        let mut answer = [0];
        let (_, from) = socket.recv_from(&mut answer)?;
        Ok((answer[0], from))
    };
    ask().map_err(|error| error.raw_os_error().unwrap_or(-1))
}

pub(crate) fn any_udp() -> UdpSocket {
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("bind")
}

/// Looks until something is so; fails after a while.
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(TICK);
    }
}
